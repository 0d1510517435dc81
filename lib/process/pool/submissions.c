/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves tasks with their arguments from the queue into the submission rings of workers, and takes
 * tasks that have not started back into the queue.
 */
#include "../base/memfd.h"
#include "../base/packet.h"
#include "../base/process_sys.h"
#include "core/base/sys.h"
#include "process_pool.h"
#include <errno.h>
#include <fairlead/time.h>
#include <string.h>

enum { PROCESS_POOL_ARENA_UNIT = 64, PROCESS_POOL_LARGE = 1 << 20 };

/* Returns an offset in the arena, or -1 if there is no free run of that size. */
static int64_t process_pool_arena_alloc(struct fl__pool_arena *r, size_t size)
{
	const uint32_t need = FL__ROUND_UP((uint32_t)size, PROCESS_POOL_ARENA_UNIT);
	uint32_t at = r->head % FL__RINGS_ARENA;
	uint32_t skipped = at + need > FL__RINGS_ARENA ? FL__RINGS_ARENA - at : 0;
	if (r->head - r->tail + skipped + need > FL__RINGS_ARENA)
		return -1;
	at = (r->head + skipped) % FL__RINGS_ARENA;
	r->head += skipped + need;
	return at;
}

static int process_pool_send_arg(struct fl__process_pool_worker *w, uint32_t seq, int fd, size_t size)
{
	struct fl__memfd_packet head = {FL__MEMFD_MAGIC, seq, size};
	struct iovec part = {&head, sizeof head};
	return fl__packet_try_send(w->channel, &part, 1, &fd, 1);
}

/*
 * Fills in the submission of a task. Returns
 *   0
 *   -EAGAIN   one of the worker's arenas or its channel is full now, or the argument is large and
 *             the worker has two tasks or more
 *   -E2BIG    the structs of a task with bytes do not fit into the arena
 *   other     an error of the memfd or of process_pool_send_arg()
 */
static int process_pool_fill_entry(struct fl__process_pool_worker *w, const struct fl__task_block *block,
                                   struct fl__submission *submission)
{
	const fl_future *f = &block->future;
	const fl_task_type *type = f->type;
	const bool arg_bytes = fl__bytes_declares(type->drop_arg), bytes = fl__bytes_declares(type->drop_result);
	const size_t arg_size = f->count * type->arg_size, result_size = f->count * type->result_size;
	const size_t arg_begin = fl__room_begin(arg_size, type->arg_align);
	const enum fl__place arg = fl__place_of(arg_size, type->arg_align);
	const uint64_t arg_more = arg_bytes ? fl__bytes_arg_size(f) : 0;
	const size_t arg_room = arg_begin + arg_more <= FL__RINGS_INLINE_MOST ? (size_t)arg_more : 0;
	if ((arg_bytes && arg == FL__PLACE_MEMFD) ||
	    (bytes && fl__place_of(result_size, type->result_align) == FL__PLACE_MEMFD))
		return -E2BIG;
	/*
	 * A large argument is posted only to a worker that has at most one task, because copies
	 * that wait for the worker take memory.
	 */
	if (arg_size + arg_more > PROCESS_POOL_LARGE && w->load > 1)
		return -EAGAIN;
	const size_t result_begin = fl__room_begin(result_size, type->result_align);
	const uint32_t room = bytes ? fl__bytes_result_room(w, f->count, result_begin) : 0;
	const struct fl__pool_arena args = w->args, results = w->results;
	const int64_t arg_at = process_pool_arena_alloc(&w->args, arg_begin + arg_room);
	const int64_t result_at = process_pool_arena_alloc(&w->results, result_begin + room);
	unsigned char *const arena = w->rings.submissions->arena + arg_at;
	unsigned char *const array = arg == FL__PLACE_SLOT ? submission->small : arena;
	int64_t memfd_size = 0;
	int fd = -1, rc = 0;
	if (arg_at < 0 || result_at < 0) {
		memfd_size = -EAGAIN;
	} else if (arg == FL__PLACE_MEMFD) {
		fd = fl__sealed_memory(f->arg, arg_size);
		memfd_size = fd < 0 ? fd : (int64_t)arg_size;
	} else {
		if (arg == FL__PLACE_ARENA)
			memcpy(array, f->arg, arg_size);
		else if (arg_size > 0)
			fl__copy(array, f->arg, arg_size);
		if (arg_bytes)
			memfd_size = fl__bytes_write_args(f, array, arena + arg_begin, arg_room, &fd);
	}
	if (memfd_size != 0)
		rc = memfd_size < 0 ? (int)memfd_size : process_pool_send_arg(w, block->seq, fd, (size_t)memfd_size);
	fl__fd_close(fd);
	if (rc != 0) {
		w->args = args;
		w->results = results;
		return rc;
	}
	submission->arg = (uint32_t)arg_at;
	submission->result = (uint32_t)result_at;
	submission->room = (uint16_t)(room / FL__BYTES_UNIT);
	submission->flags = memfd_size > 0 ? FL__SUBMISSION_ARG_MEMFD : 0;
	return 0;
}

static void process_pool_set_times(struct fl__process_pool_worker *w, const struct fl__task_block *block,
                                   struct fl__submission *submission)
{
	struct fl__process_pool *p = w->pool;
	const unsigned slot = block->seq % FL__RINGS_DEPTH;
	const fl_time deadline = block->future.token.deadline_;
	w->times[slot] = (struct fl__task_times){0, 0, 0};
	if (!fl__is_forever(deadline)) {
		submission->flags |= FL__SUBMISSION_DEADLINE;
		w->rings.submissions->deadline[slot] = deadline;
		fl__process_pool_wake_at(p, fl__later(fl__expiry(deadline), p->deadline_grace));
	}
	const int64_t timeout = p->remote.config.task_timeout;
	if (timeout == 0 && block->future.error == 0) /* the task is not measured */
		return;
	submission->flags |= FL__SUBMISSION_TIMED;
	w->times[slot].posted = fl__sys.now();
	if (timeout > 0)
		fl__process_pool_wake_at(p, fl__later(w->times[slot].posted, timeout));
}

/*
 * Posts to a worker with a free slot. Returns the transport's results of post(), or -EPIPE if
 * the worker is dead.
 */
static int process_pool_post_to(struct fl__process_pool_worker *w, struct fl__task_block *block, bool initializes)
{
	const unsigned slot = w->rings.next % FL__RINGS_DEPTH;
	struct fl__submission *submission = fl__rings_next_entry(&w->rings);
	block->seq = w->rings.next;
	int rc = process_pool_fill_entry(w, block, submission);
	if (rc != 0)
		return rc == -EAGAIN && fl__rings_used(&w->rings) == 0 ? -ENOBUFS : rc;
	submission->task = block->task;
	submission->check = block->check;
	submission->count = block->future.count;
	if (initializes) {
		submission->flags |= FL__SUBMISSION_INITIALIZE;
	} else {
		process_pool_set_times(w, block, submission);
		fl__process_pool_trace(w, FL__TRACE_POST, block, 0);
	}
	w->blocks[slot] = initializes ? NULL : block;
	w->arg_head[slot] = w->args.head;
	w->result_head[slot] = w->results.head;
	(void)fl__rings_post(&w->rings);
	return 0;
}

static bool process_pool_worker_has_room(const struct fl__process_pool_worker *w)
{
	return !w->retired && !w->kill_reason && w->quota > 0 && fl__rings_used(&w->rings) < FL__RINGS_DEPTH;
}

static struct fl__process_pool_worker *process_pool_least_busy(const struct fl__process_pool *p)
{
	struct fl__process_pool_worker *best = NULL;
	FL__EACH_WORKER (w, p)
		if (process_pool_worker_has_room(w) && (!best || w->load < best->load))
			best = w;
	return best;
}

int fl__process_pool_post(fl_executor *e, struct fl__task_block *block)
{
	struct fl__process_pool_worker *w;
	while ((w = process_pool_least_busy(fl__process_pool_of(e))) != NULL) {
		int rc = process_pool_post_to(w, block, false);
		if (rc == 0) {
			block->worker = w;
			w->quota--;
			w->load++;
			fl__process_pool_plan_look(w->pool);
		}
		if (rc != -EPIPE)
			return rc;
		w->retired = true; /* the worker is dead; the manager reaps it */
	}
	return -EAGAIN;
}

int fl__process_pool_post_initializer(struct fl__process_pool_worker *w)
{
	const struct fl__remote *r = &w->pool->remote;
	struct fl__task_block block = {
	    .future = {.type = r->base.initialize, .arg = r->base.initialize_arg, .count = 1},
	    .task = r->initializer.id,
	    .check = r->initializer.check,
	};
	int rc = process_pool_post_to(w, &block, true);
	if (rc == 0) {
		w->initializing = true;
		fl__rings_flush(&w->rings);
	}
	return rc;
}

void fl__process_pool_post_exit(struct fl__process_pool_worker *w)
{
	const uint32_t seq = w->rings.next;
	struct fl__submission *submission = fl__rings_next_entry(&w->rings);
	submission->flags = FL__SUBMISSION_EXIT;
	w->blocks[seq % FL__RINGS_DEPTH] = NULL;
	w->exiting = w->retired = true;
	(void)fl__rings_post(&w->rings);
	fl__rings_flush(&w->rings);
}

void fl__process_pool_vacate(struct fl__process_pool_worker *w, struct fl__task_block *block)
{
	w->blocks[block->seq % FL__RINGS_DEPTH] = NULL;
	w->load--;
}

bool fl__process_pool_recall(struct fl__task_block *block)
{
	struct fl__process_pool_worker *w = block->worker;
	if (!fl__rings_revoke(&w->rings, block->seq))
		return false;
	fl__process_pool_vacate(w, block);
	w->quota++;
	return true;
}

void fl__process_pool_stop(struct fl__task_block *block, bool by_token)
{
	struct fl__process_pool_worker *w = block->worker;
	fl__rings_request_stop(&w->rings, block->seq);
	if (by_token) {
		fl__process_pool_sys.ring(w->pool->doorbell);
		return;
	}
	const int64_t now = fl__sys.now();
	w->times[block->seq % FL__RINGS_DEPTH].asked = now;
	fl__process_pool_wake_at(w->pool, fl__later(now, w->pool->request_grace));
}

void fl__process_pool_recall_newest(struct fl__process_pool_worker *w, uint32_t n)
{
	for (uint32_t seq = w->rings.next; n > 0 && seq != w->rings.first; seq--) {
		struct fl__task_block *block = w->blocks[(seq - 1) % FL__RINGS_DEPTH];
		n -= block && fl__remote_on_withdraw(&w->pool->base, block);
	}
}

/*
 * If a worker is idle, takes half of the busiest worker's tasks back into the queue. Returns true
 * if a task is queued then.
 */
static bool process_pool_steal(struct fl__process_pool *p)
{
	struct fl__process_pool_worker *idle = process_pool_least_busy(p), *busiest = idle;
	if (!idle || idle->load > 0)
		return false;
	FL__EACH_WORKER (w, p)
		if (w->load > busiest->load)
			busiest = w;
	fl__process_pool_recall_newest(busiest, busiest->load / 2);
	return p->base.queue.head != NULL;
}

bool fl__process_pool_wants_worker(const struct fl__process_pool *p)
{
	const size_t waiting = p->base.queue.length + p->remote.posted.length;
	unsigned serving = 0;
	if (waiting == 0 || p->starting || p->init_error != 0 || p->base.broken || p->terminated)
		return false;
	FL__EACH_WORKER (w, p)
		serving += !w->retired;
	return serving < p->base.workers && serving < waiting;
}

void fl__process_pool_dispatch(struct fl__process_pool *p)
{
	if (p->base.queue.head || (p->remote.posted.length > 1 && process_pool_steal(p))) {
		fl__remote_dispatch(&p->remote);
		FL__EACH_WORKER (w, p)
			fl__rings_flush(&w->rings);
	}
	if (!fl__process_pool_wants_worker(p))
		return;
	if (p->retry_at <= fl__sys.now()) {
		p->starting = true;
		fl_cond_signal(&p->start);
	} else if (p->sleeping) {
		fl__process_pool_wake_at(p, p->retry_at);
	}
}
