/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process executor in the parent process, on the remote core (remote/remote.c has the states of
 * a task). Its transport are rings (rings.c) that it shares with worker processes (worker.c).
 * docs/design.md, section 4, has the reasons, also for failed starts ("Shortages").
 *
 * Invariants
 *   1. A task is in the blocks[] of its worker exactly while it is posted.
 *   2. A worker's writes affect only that worker's tasks. If a completion is one that no sound
 *      worker posts, the parent kills the worker and settles its tasks as at any death.
 *   3. No third process has the rings' memory. The parent maps the submission ring before it seals
 *      the ring against writing, so the worker cannot write. Both memories are allocated and cannot
 *      shrink: no access raises SIGBUS.
 *
 * The death of a worker
 *   1. The fork server reports the end over the channel of the start, which is the sentinel. The
 *      manager, in epoll, sees the event and calls process_pool_reap_worker().
 *   2. Of the tasks without a completion, one that has not started is queued again, first, or
 *      cancelled if the pool was terminated. One that has started fails, or is queued again if its
 *      type's `max_attempts` allows.
 *   3. The starter thread starts a new worker when tasks need one. A worker that died before it was
 *      ready, or in its initializer, counts as a failed start.
 *
 * Three kinds of threads take completions and dispatch: a submitter, now and then; a thread that
 * waits for a future; and the manager. The starter dispatches to a worker that it has started.
 *
 * The manager sleeps in epoll in one of two ways:
 *   an armed sleep  it arms all doorbells and takes completions once more (rings.c, invariant 4);
 *                   ends at a doorbell or a death
 *   a nap           while waiting threads take completions; no worker rings; ends after a fixed
 *                   time, or when a thread stops waiting before its future has ended
 * After work the manager polls on for a short time, with yields: a sleep costs two wakes.
 *
 * A start may wait for an answer, so a thread of its own makes it, the starter, one at a time. The
 * thread that dispatches sets `starting`. The starter clears it when the worker is in the list, or
 * the start has failed, and wakes the manager, which arms the new doorbell. The manager does not
 * poll while a worker starts: both need the CPU and the lock.
 */
#include "process_pool.h"
#include "../attributes.h"
#include "../fork_server.h"
#include "../packet.h"
#include "../process_sys.h"
#include "../reexec.h"
#include "../request.h"
#include "../shm/shm_region.h"
#include "../shm/shm_sys.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "fd/try_io.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

static int process_pool_check_start(void)
{
	const char *problem;
	if (!fl__reexec_missing() || fl__fork_server_pid() > 0)
		return 0;
	return fl__reexec_check("a process executor", ", or else fl_process_preload() before any thread", &problem);
}

static void process_pool_drain_doorbell(int doorbell)
{
	uint64_t rings;
	/* does not wait, even if the worker has changed its doorbell's flags */
	(void)fl__try_read(doorbell, &rings, sizeof rings);
}

struct fl__process_pool_sys fl__process_pool_sys = {
    .check_start = process_pool_check_start,
    .start = fl_process_start,
    .free = fl_process_free,
    .kill = fl_process_kill,
    .try_join = fl_process_try_join,
    .is_alive = fl_process_is_alive,
    .sentinel = fl_process_sentinel,
    .pid = fl_process_pid,
    .name = fl_process_name,
    .ring = fl__ring,
    .drain = process_pool_drain_doorbell,
};

static void process_pool_wake_manager(struct fl__process_pool *p)
{
	if (!p->sleeping || p->woken)
		return;
	p->woken = true;
	fl__process_pool_sys.ring(p->doorbell);
}

static void process_pool_on_wake(struct fl__remote *r)
{
	process_pool_wake_manager(fl__process_pool_of(&r->base));
}

static void process_pool_wake_manager_at(struct fl__process_pool *p, int64_t when)
{
	if (when < p->wakes_at)
		process_pool_wake_manager(p);
}

static void process_pool_trace(const struct fl__process_pool_worker *w, enum fl__trace_kind kind,
                               const struct fl__task_block *block, int error)
{
	if (fl__trace_is_on())
		fl__trace_event(kind, (uintptr_t)&block->future,
		                FL__TRACE_REMOTE(fl__process_pool_sys.pid(w->process), block->seq),
		                block->future.type->name, 0 - (unsigned)error);
}

/* Posts: one submission. */

enum { PROCESS_POOL_ARENA_UNIT = 64, PROCESS_POOL_LARGE = 1 << 20 };

/* Returns an offset; -1: no room. */
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
 * Returns:
 *
 *   0
 *   -EAGAIN   no room now
 *   -E2BIG    too many bytes
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
	/* Copies that wait for the worker take memory. */
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
	const int64_t deadline = fl_cancel_token_deadline(&block->future.token);
	w->times[slot] = (struct fl__task_times){0, 0, 0};
	if (deadline != FL_FOREVER) {
		submission->flags |= FL__SUBMISSION_DEADLINE;
		w->rings.submissions->deadline[slot] = deadline;
		process_pool_wake_manager_at(p, fl__later(deadline, p->deadline_grace));
	}
	const int64_t timeout = p->remote.config.task_timeout;
	if (timeout == 0 && block->future.error == 0) /* not measured */
		return;
	submission->flags |= FL__SUBMISSION_TIMED;
	w->times[slot].posted = fl__sys.now();
	if (timeout > 0)
		process_pool_wake_manager_at(p, fl__later(w->times[slot].posted, timeout));
}

/* Returns as a transport's post(). */
static int process_pool_post(struct fl__process_pool_worker *w, struct fl__task_block *block, bool initializes)
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
		process_pool_trace(w, FL__TRACE_POST, block, 0);
	}
	w->blocks[slot] = initializes ? NULL : block;
	w->arg_head[slot] = w->args.head;
	w->result_head[slot] = w->results.head;
	(void)fl__rings_post(&w->rings);
	return 0;
}

static int process_pool_on_post(void *worker, struct fl__task_block *block)
{
	struct fl__process_pool_worker *w = worker;
	int rc = process_pool_post(w, block, false);
	if (rc == 0) {
		block->worker = w;
		w->quota--;
		w->load++;
	} else if (rc == -EPIPE) { /* the worker is dead; the manager reaps it */
		w->retired = true;
	}
	return rc;
}

static int process_pool_post_initializer(struct fl__process_pool_worker *w)
{
	const struct fl__remote *r = &w->pool->remote;
	struct fl__task_block block = {
	    .future = {.type = r->base.initialize, .arg = r->base.initialize_arg, .count = 1},
	    .task = r->initializer.id,
	    .check = r->initializer.check,
	};
	int rc = process_pool_post(w, &block, true);
	if (rc == 0) {
		w->initializing = true;
		fl__rings_flush(&w->rings);
	}
	return rc;
}

static void process_pool_post_exit(struct fl__process_pool_worker *w)
{
	const uint32_t seq = w->rings.next;
	struct fl__submission *submission = fl__rings_next_entry(&w->rings);
	submission->flags = FL__SUBMISSION_EXIT;
	w->blocks[seq % FL__RINGS_DEPTH] = NULL;
	w->exiting = w->retired = true;
	(void)fl__rings_post(&w->rings);
	fl__rings_flush(&w->rings);
}

static void process_pool_vacate(struct fl__process_pool_worker *w, struct fl__task_block *block)
{
	w->blocks[block->seq % FL__RINGS_DEPTH] = NULL;
	w->load--;
}

static bool process_pool_on_recall(struct fl__task_block *block)
{
	struct fl__process_pool_worker *w = block->worker;
	if (!fl__rings_revoke(&w->rings, block->seq))
		return false;
	process_pool_vacate(w, block);
	w->quota++;
	return true;
}

static void process_pool_on_stop(struct fl__task_block *block, bool by_token)
{
	struct fl__process_pool_worker *w = block->worker;
	fl__rings_request_stop(&w->rings, block->seq);
	if (by_token) {
		fl__process_pool_sys.ring(w->pool->doorbell);
		return;
	}
	const int64_t now = fl__sys.now();
	w->times[block->seq % FL__RINGS_DEPTH].asked = now;
	process_pool_wake_manager_at(w->pool, fl__later(now, w->pool->request_grace));
}

static void process_pool_recall_newest(struct fl__process_pool_worker *w, uint32_t n)
{
	for (uint32_t seq = w->rings.next; n > 0 && seq != w->rings.first; seq--) {
		struct fl__task_block *block = w->blocks[(seq - 1) % FL__RINGS_DEPTH];
		n -= block && fl__remote_on_withdraw(&w->pool->base, block);
	}
}

/* Posts: from the queue to the workers. */

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

static void *process_pool_on_choose(struct fl__remote *r)
{
	return process_pool_least_busy(fl__process_pool_of(&r->base));
}

/* An idle worker gets half of the busiest worker's tasks. True: a task is queued. */
static bool process_pool_steal(struct fl__process_pool *p)
{
	struct fl__process_pool_worker *busiest = NULL, *idle = process_pool_least_busy(p);
	if (!idle || idle->load > 0)
		return false;
	FL__EACH_WORKER (w, p)
		if (!busiest || w->load > busiest->load)
			busiest = w;
	process_pool_recall_newest(busiest, busiest->load / 2);
	return p->base.queue.head != NULL;
}

static bool process_pool_wants_worker(const struct fl__process_pool *p)
{
	const size_t waiting = p->base.queue.length + p->remote.posted.length;
	unsigned serving = 0;
	if (waiting == 0 || p->starting || p->init_error != 0 || p->base.broken || p->terminated)
		return false;
	FL__EACH_WORKER (w, p)
		serving += !w->retired;
	return serving < p->base.workers && serving < waiting;
}

static void process_pool_dispatch(struct fl__process_pool *p)
{
	if (p->base.queue.head || (p->remote.posted.length > 1 && process_pool_steal(p))) {
		fl__remote_dispatch(&p->remote);
		FL__EACH_WORKER (w, p)
			fl__rings_flush(&w->rings);
	}
	if (!process_pool_wants_worker(p))
		return;
	if (p->retry_at <= fl__sys.now()) {
		p->starting = true;
		fl_cond_signal(&p->start);
	} else if (p->sleeping) {
		process_pool_wake_manager_at(p, p->retry_at);
	}
}

static void process_pool_kill_worker(struct fl__process_pool_worker *w, const char *kill_reason)
{
	if (w->kill_reason)
		return;
	w->kill_reason = w->pool->base.why_killed = kill_reason;
	if (fl__trace_is_on())
		fl__trace_event(FL__TRACE_KILL, (uint64_t)fl__process_pool_sys.pid(w->process), 0, kill_reason, 0);
	int rc = fl__process_pool_sys.kill(w->process);
	if (rc == 0 || rc == -ESRCH) /* -ESRCH: it has ended */
		return;
	w->kill_error = rc;
	process_pool_wake_manager(w->pool);
}

int fl__process_pool_recv(struct fl__process_pool_worker *w, const struct fl__task_block *block)
{
	for (unsigned i = 0; i < 2 * FL__RINGS_DEPTH && (block || !w->ready); i++) { /* against a flood */
		struct fl__memfd_packet head = {0, 0, 0};
		struct iovec part = {&head, sizeof head};
		int fds[FL__PACKET_FDS];
		struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = fds};
		int rc = fl__packet_try_recv(w->channel, &packet, 0);
		if (rc != 0) /* the worker sends the packet before it posts the completion */
			return rc == -EAGAIN || rc == -EPIPE ? -EBADMSG : rc;
		w->ready |= head.magic == FL__READY_MAGIC;
		const bool ours =
		    block && packet.size == sizeof head && head.magic == FL__MEMFD_MAGIC && head.seq == block->seq;
		const bool lost = block && packet.lost;
		if (ours && !lost && packet.n_fds == 1)
			return fds[0];
		fl__fds_close(fds, packet.n_fds);
		if (ours || lost)
			return lost ? -EMFILE : -EBADMSG;
	}
	return -EBADMSG;
}

static int process_pool_map_result(struct fl__process_pool_worker *w, struct fl__task_block *block, size_t size)
{
	void *memory;
	const int fd = fl__process_pool_recv(w, block);
	if (fd < 0)
		return fd;
	const int rc = fl__sealed_map(fd, size, &memory);
	fl__fd_close(fd);
	if (rc != 0)
		return rc;
	block->future.result = memory;
	block->mapped = size;
	return 0;
}

/* False: the result is a memfd. */
static bool process_pool_copy_result(const struct fl__process_pool_worker *w, struct fl__task_block *block, size_t size,
                                     size_t n)
{
	const struct fl__completion_ring *completions = w->rings.completions;
	const unsigned slot = block->seq % FL__RINGS_DEPTH;
	switch (fl__place_of(size, block->future.type->result_align)) {
	case FL__PLACE_SLOT:
		fl__copy(block->future.result, completions->entry[slot].small, n);
		return true;
	case FL__PLACE_ARENA:
		memcpy(block->future.result, completions->arena + w->rings.submissions->entry[slot].result, n);
		return true;
	default:
		return false;
	}
}

static int process_pool_take_result(struct fl__process_pool_worker *w, struct fl__task_block *block,
                                    const struct fl__completion *completion)
{
	const size_t size = block->future.count * block->future.type->result_size;
	const bool kept = completion->error != 0 && (completion->flags & FL__COMPLETION_KEPT);
	if (size == 0 || process_pool_copy_result(w, block, size, size))
		return fl__bytes_declares(block->future.type->drop_result)
		           ? fl__bytes_take_results(w, block, completion->count + kept,
		                                    completion->flags & FL__COMPLETION_MEMFD)
		           : 0;
	/* A failed submission may have no result, unless it kept one. */
	return completion->error != 0 && completion->count == 0 && !kept ? 0 : process_pool_map_result(w, block, size);
}

/* Of a task that ran when its worker died, the ended elements keep their results. */
static void process_pool_take_progress(struct fl__process_pool_worker *w, struct fl__task_block *block)
{
	const uint32_t count = block->future.count;
	const size_t each = block->future.type->result_size;
	/*
	 * Does not trust a worker that damaged its memory or cleared its claim word. If all
	 * elements of a failed task are done, fl__chunk_end() counts none.
	 */
	const bool believed = !w->damaged && fl__rings_has_started(&w->rings, block->seq);
	block->done = believed ? fl__rings_progress(&w->rings, block->seq, count) : count;
	/* The result is no memfd: fl__chunk_limit() limits the size. */
	if (each == 0 || block->done == 0 || block->done >= count)
		return;
	(void)process_pool_copy_result(w, block, count * each, block->done * each);
	if (fl__bytes_declares(block->future.type->drop_result) &&
	    fl__bytes_take_results(w, block, block->done, false) != 0)
		block->done = count;
}

static char *process_pool_take_message(const struct fl__process_pool_worker *w, unsigned slot, uint32_t flags)
{
	if (!(flags & FL__COMPLETION_MESSAGE))
		return NULL;
	return fl__message_format("%.*s", FL__RINGS_MESSAGE - 1, (const char *)w->rings.completions->message[slot]);
}
_Static_assert(FL__RINGS_MESSAGE == FL_MESSAGE_MAX, "a message fits");

/* False: no sound worker posts such a completion. */
static bool process_pool_take_completion(struct fl__process_pool_worker *w, struct fl__task_block *block,
                                         const struct fl__completion *completion)
{
	struct fl__remote *r = &w->pool->remote;
	const unsigned slot = block->seq % FL__RINGS_DEPTH;
	const bool skipped = completion->flags & FL__COMPLETION_SKIPPED;
	const bool failed = completion->error != 0;
	__builtin_prefetch(w->rings.completions->arena + w->rings.submissions->entry[slot].result);
	if (!skipped && (failed ? completion->count >= block->future.count : completion->count != block->future.count))
		return false;
	process_pool_vacate(w, block);
	fl__remote_unpost(r, block);
	if (skipped) {
		fl__remote_end_cancelled(r, block);
		return true;
	}
	process_pool_trace(w, FL__TRACE_TAKEN, block, completion->error);
	block->done = completion->count;
	if (completion->began >= w->times[slot].posted) { /* 0 and 0: not timed */
		block->began = completion->began;
		block->ran = (int64_t)completion->ran * FL__RINGS_RAN_UNIT;
	}
	if (completion->flags & FL__COMPLETION_BETWEEN)
		block->asked = FL__STOP_BETWEEN;
	int rc = process_pool_take_result(w, block, completion);
	if (rc != 0) {
		block->done = block->future.count; /* none counts */
		fl__remote_end_failed(r, block, rc, "the result does not arrive: %s", fl_error_text(rc));
		return true;
	}
	if (failed && (completion->flags & FL__COMPLETION_KEPT))
		fl__future_keep_result(&block->future);
	fl__remote_end(r, block, completion->error,
	               failed ? process_pool_take_message(w, slot, completion->flags) : NULL);
	return true;
}

static void process_pool_take_initializer(struct fl__process_pool_worker *w, const struct fl__completion *completion)
{
	struct fl__process_pool *p = w->pool;
	w->initializing = false;
	w->ready = false; /* process_pool_check_ready() runs again */
	if (completion->error == 0 || p->init_error != 0)
		return;
	p->init_error = completion->error;
	p->init_message = process_pool_take_message(w, w->rings.first % FL__RINGS_DEPTH, completion->flags);
	process_pool_wake_manager(p);
}

static void process_pool_check_ready(struct fl__process_pool_worker *w)
{
	/* relaxed: a word by itself */
	w->ready = fl__load_relaxed(&w->rings.completions->state) == FL__WORKER_READY;
	if (!w->ready || w->initializing)
		return;
	w->pool->failures = 0;
	w->pool->retry_at = 0;
}

/* True: there was a completion. */
static bool process_pool_take_from(struct fl__process_pool_worker *w)
{
	struct fl__completion completion;
	enum fl__rings_peeked peeked;
	bool some = false;
	if (!w->ready)
		process_pool_check_ready(w);
	while (!w->damaged && (peeked = fl__rings_peek(&w->rings, &completion)) != FL__RINGS_NONE) {
		const unsigned slot = w->rings.first % FL__RINGS_DEPTH;
		struct fl__task_block *block = w->blocks[slot];
		if (peeked == FL__RINGS_DAMAGED || (block && !process_pool_take_completion(w, block, &completion))) {
			w->damaged = true;
			process_pool_kill_worker(w, "it had damaged the memory that it shares");
			break;
		}
		if (!block && w->initializing)
			process_pool_take_initializer(w, &completion);
		w->args.tail = w->arg_head[slot];
		w->results.tail = w->result_head[slot];
		fl__rings_release(&w->rings);
		some = true;
	}
	if (!some || fl__rings_used(&w->rings) > 0)
		return some;
	const int64_t timeout = w->pool->remote.config.idle_timeout;
	if (timeout > 0) {
		w->idle_since = fl__sys.now();
		process_pool_wake_manager_at(w->pool, fl__later(w->idle_since, timeout));
	}
	if ((w->retired || w->quota == 0) && !w->exiting)
		process_pool_post_exit(w);
	return true;
}

static bool process_pool_take_all(struct fl__process_pool *p)
{
	bool some = false;
	FL__EACH_WORKER (w, p)
		some |= process_pool_take_from(w);
	return some;
}

/* Supervision: the start of a worker. */

static int process_pool_make_memory(size_t size, int seals, int *fd, void **memory)
{
	*fd = fl__fd_above_streams(fl__shm_sys.memory());
	if (*fd < 0)
		return *fd;
	int rc = fl__shm_allocate(*fd, size);
	if (rc == 0)
		rc = fl__shm_sys.add_seals(*fd, F_SEAL_SHRINK | F_SEAL_GROW);
	if (rc == 0)
		rc = fl__shm_sys.map(*fd, size, true, memory);
	if (rc == 0)
		rc = fl__shm_sys.keep(*memory, size);
	return rc == 0 ? fl__shm_sys.add_seals(*fd, seals) : rc;
}

/* Needs no lock. Works in a forked child, too. */
static void process_pool_free_worker(struct fl__process_pool_worker *w)
{
	const bool forked = fl__executor_is_forked(&w->pool->base);
	fl__process_pool_sys.free(w->process);
	if (!forked && w->rings.submissions)
		fl__shm_sys.unmap(w->rings.submissions, sizeof *w->rings.submissions);
	if (!forked && w->rings.completions)
		fl__shm_sys.unmap(w->rings.completions, sizeof *w->rings.completions);
	if (!forked && w->trace)
		fl__trace_ring_drop(w->trace);
	if (!fl__process_has_closed(w->pool->base.fork_count)) {
		fl__fd_close(w->channel);
		fl__fd_close(w->doorbell);
	}
	fl__free(w);
}

/* Without the lock. `call`: what has failed. */
static int process_pool_launch(struct fl__process_pool_worker *w, const char **call)
{
	const fl_executor *e = &w->pool->base;
	const struct fl__worker_start start = {.bytes_max = e->bytes_max,
	                                       .n_regions = e->n_regions,
	                                       .trace_size = fl__trace_is_on() ? (uint32_t)fl__trace_ring_size() : 0};
	int fds[FL__WORKER_FDS + FL_REGIONS_MAX] = {-1, -1, -1, -1}, ends[2] = {-1, -1};
	void *submissions = NULL, *completions = NULL;
	char name[32];
	*call = "eventfd";
	int rc = w->doorbell = fds[FL__WORKER_DOORBELL] = fl__process_sys.eventfd();
	if (rc >= 0) {
		*call = "socketpair";
		rc = fl__fd_sys.pair(ends);
	}
	if (rc == 0) {
		w->channel = ends[0];
		fds[FL__WORKER_CHANNEL] = ends[1];
		*call = "shared memory";
		rc = process_pool_make_memory(sizeof *w->rings.submissions, FL__SEAL_FUTURE_WRITE | F_SEAL_SEAL,
		                              &fds[FL__WORKER_SUBMISSIONS], &submissions);
	}
	if (rc == 0)
		rc = process_pool_make_memory(fl__completions_size(start.trace_size), F_SEAL_SEAL,
		                              &fds[FL__WORKER_COMPLETIONS], &completions);
	w->rings.submissions = submissions;
	w->rings.completions = completions;
	if (completions && start.trace_size > 0)
		w->trace = fl__completions_trace(completions, start.trace_size);
	if (rc == 0) {
		fl__rings_init(&w->rings, submissions, completions);
		for (unsigned i = 0; i < e->n_regions; i++)
			fds[FL__WORKER_FDS + i] = fl_shm_fd(e->regions[i]);
		(void)snprintf(name, sizeof name, "%s-%u", e->name, w->number);
		*call = "fl_process_start";
		rc = fl__process_pool_sys.start(&w->process,
		                                &(fl_process_config){.task = &fl__worker_task,
		                                                     .arg = &start,
		                                                     .name = name,
		                                                     .daemon = true,
		                                                     .fds = fds,
		                                                     .n_fds = FL__WORKER_FDS + e->n_regions});
	}
	if (rc == 0 && w->trace)
		fl__trace_ring_add(w->trace, fl__process_pool_sys.pid(w->process), name);
	fl__fd_close(ends[1]);
	fl__fd_close(fds[FL__WORKER_SUBMISSIONS]);
	fl__fd_close(fds[FL__WORKER_COMPLETIONS]);
	return rc;
}

static unsigned process_pool_free_number(const struct fl__process_pool *p)
{
	unsigned number = 0;
	for (struct fl__process_pool_worker *w = p->workers; w;)
		if (w->number == number) {
			number++;
			w = p->workers;
		} else {
			w = w->next;
		}
	return number;
}

/* Workers that get submissions. */
static unsigned process_pool_serving(const struct fl__process_pool *p)
{
	unsigned n = 0;
	FL__EACH_WORKER (w, p)
		n += !w->retired && !w->kill_reason;
	return n;
}

/* Before the close: a forked child's copies would keep the descriptors in the epoll set. */
static void process_pool_unwatch(struct fl__process_pool_worker *w)
{
	const int epoll = w->pool->epoll;
	(void)fl__fd_sys.epoll_control(epoll, EPOLL_CTL_DEL, w->doorbell, 0);
	(void)fl__fd_sys.epoll_control(epoll, EPOLL_CTL_DEL, fl__process_pool_sys.sentinel(w->process), 0);
}

static int process_pool_add_worker(struct fl__process_pool_worker *w)
{
	struct fl__process_pool *p = w->pool;
	const int sentinel = fl__process_pool_sys.sentinel(w->process);
	int rc = fl__fd_sys.epoll_control(p->epoll, EPOLL_CTL_ADD, w->doorbell, EPOLLIN);
	if (rc == 0)
		rc = fl__fd_sys.epoll_control(p->epoll, EPOLL_CTL_ADD, sentinel, EPOLLIN);
	/* A resize or an end of the executor may have come first. */
	w->retired = process_pool_serving(p) >= p->base.workers || p->base.broken || p->terminated;
	if (rc == 0 && p->base.initialize && !w->retired)
		rc = process_pool_post_initializer(w);
	if (rc != 0) {
		process_pool_unwatch(w);
		return rc;
	}
	FL__QUEUE_ADD(p->workers, p->newest, w);
	p->alive++;
	p->started++;
	return 0;
}

/* Releases the lock for a while. `text`, of FL_MESSAGE_MAX bytes, describes an error. */
static int process_pool_start_worker(struct fl__process_pool *p, char *text)
{
	const char *call;
	struct fl__process_pool_worker *w = fl__alloc(1, sizeof *w);
	if (!w) {
		(void)snprintf(text, FL_MESSAGE_MAX, "no memory for a worker");
		return -ENOMEM;
	}
	w->pool = p;
	w->channel = w->doorbell = -1;
	w->quota = p->remote.config.max_tasks > 0 ? (uint32_t)p->remote.config.max_tasks : UINT32_MAX / 2;
	w->number = process_pool_free_number(p);
	fl_mutex_unlock(&p->base.lock);
	int rc = process_pool_launch(w, &call);
	fl__mutex_hold(&p->base.lock);
	if (rc == 0) {
		call = "epoll_ctl";
		rc = process_pool_add_worker(w);
	}
	if (rc == 0)
		return 0;
	(void)snprintf(text, FL_MESSAGE_MAX, "worker %s-%u cannot be started: %s: %s: %s", p->base.name, w->number,
	               call, fl_error_name(rc), fl_error_text(rc));
	process_pool_free_worker(w);
	return rc;
}

/* Supervision: failed starts. */

/* With no worker left that serves, so many failed starts in a row end the queued tasks. */
enum { PROCESS_POOL_START_TRIES = 10 };

/* Other errors may be those of a passing shortage. */
static bool process_pool_is_lasting(int error)
{
	switch (error) {
	case -ENOENT:
	case -ENOTDIR:
	case -EACCES:
	case -ELOOP:
	case -ENOEXEC:
	case -ENOSYS:
	case -ENOTSUP:
		return true;
	default:
		return false;
	}
}

static bool process_pool_any_ready(const struct fl__process_pool *p)
{
	FL__EACH_WORKER (w, p)
		if (w->ready && !w->initializing && !w->retired)
			return true;
	return false;
}

static void process_pool_start_failed(struct fl__process_pool *p, int error, bool lasting, const char *how)
{
	const int64_t first_pause = FL_MS(1);
	p->retry_at = fl__sys.now() + (first_pause << FL__MIN(p->failures, 7));
	/* While another worker is ready, the count stays below PROCESS_POOL_START_TRIES. */
	if (p->failures + 1 < PROCESS_POOL_START_TRIES || !process_pool_any_ready(p))
		p->failures++;
	p->start_error = error;
	p->lasting = lasting && (p->lasting || p->failures == 1);
	(void)snprintf(p->why_failed, sizeof p->why_failed, "%s", how);
}

/* Stays true. */
static bool process_pool_is_over(const struct fl__process_pool *p)
{
	const struct fl__remote *r = &p->remote;
	return r->base.closed && !r->base.queue.head && !r->posted.head && !r->ended && !r->kept &&
	       r->completers == 0 && !p->workers && !p->starting;
}

/* The starter thread, since a start may wait for up to `answer_timeout`. */
static int process_pool_run_starter(void *pool)
{
	struct fl__process_pool *p = pool;
	struct fl__run run;
	fl__rights_fix_place();
	fl__run_enter(&run, &p->base); /* so that a join by a log handler is refused */
	fl__mutex_hold(&p->base.lock);
	while (!process_pool_is_over(p)) {
		char text[FL_MESSAGE_MAX];
		if (!p->starting) {
			FL__AWAITS(FL__DEBUG_TASK, &p->base);
			FL_IGNORE(fl_cond_wait_until(&p->start, &p->base.lock, FL_FOREVER, FL_SHIELDED));
			continue;
		}
		const int rc = process_pool_start_worker(p, text);
		if (rc != 0)
			process_pool_start_failed(p, rc, process_pool_is_lasting(rc), text);
		p->starting = false;
		process_pool_dispatch(p);
		process_pool_wake_manager(p);
	}
	fl_mutex_unlock(&p->base.lock);
	fl__run_leave(&run);
	return 0;
}

static bool process_pool_has_tried_all(const struct fl__process_pool *p)
{
	return p->failures >= PROCESS_POOL_START_TRIES && process_pool_serving(p) == 0 && !p->starting;
}

/*
 * Fails the queued tasks, or breaks the pool. Later tasks have tries of their own, after the pause.
 * Releases the lock for a while.
 */
static void process_pool_give_up_starting(struct fl__process_pool *p, bool breaks)
{
	char text[FL_MESSAGE_MAX + 64], *message = NULL;
	(void)snprintf(text, sizeof text, "%sno worker can be started: %s", breaks ? "the executor is broken: " : "",
	               p->why_failed);
	const int error = breaks ? p->init_error : p->start_error;
	if (breaks) {
		message = p->init_message;
		p->init_message = NULL;
	}
	p->failures = 0;
	fl_mutex_unlock(&p->base.lock);
	if (!breaks)
		fl__executor_end_queued(&p->base, error, text);
	else if (error != 0)
		fl__executor_initialize_failed(&p->base, error, message);
	else
		fl__executor_break(&p->base, text);
	fl__mutex_hold(&p->base.lock);
}

/* Supervision: the death of a worker. */

/* sigabbrev_np() needs glibc 2.32. `text`: for a signal without a name here. */
static const char *process_pool_signal_name(int signal, char text[24])
{
#define NAMED(signal) [signal] = #signal,
	static const char *const names[] = {
	    /* clang-format off */
	    NAMED(SIGHUP) NAMED(SIGINT) NAMED(SIGQUIT) NAMED(SIGILL) NAMED(SIGTRAP) NAMED(SIGABRT)
	    NAMED(SIGBUS) NAMED(SIGFPE) NAMED(SIGKILL) NAMED(SIGUSR1) NAMED(SIGSEGV) NAMED(SIGUSR2)
	    NAMED(SIGPIPE) NAMED(SIGALRM) NAMED(SIGTERM) NAMED(SIGXCPU) NAMED(SIGXFSZ) NAMED(SIGSYS)
	    /* clang-format on */
	};
#undef NAMED
	if (signal > 0 && (size_t)signal < FL__COUNT(names) && names[signal])
		return names[signal];
	(void)snprintf(text, 24, "signal %d", signal);
	return text;
}

/*
 * Whether the worker has died where it has no memory, and this process has: it used a pointer of
 * this process. mincore() fails if nothing is mapped at the page.
 */
static bool process_pool_used_pointer(const struct fl__process_pool_worker *w)
{
	enum { NULL_POINTERS = 1 << 16 };
	const uintptr_t at = (uintptr_t)w->rings.completions->fault;
	unsigned char resident;
	return at >= NULL_POINTERS && mincore((void *)(at & -fl__page_size()), 1, &resident) == 0;
}

/* "worker 4711 (name-0) killed by SIGKILL". `rc` and `status`: of its join. */
static void process_pool_describe_death(const struct fl__process_pool_worker *w, int rc,
                                        const fl_process_status *status, char *text, size_t room)
{
	char number[24];
	int n = snprintf(text, room, "worker %d (%s) ", fl__process_pool_sys.pid(w->process),
	                 fl__process_pool_sys.name(w->process));
	const size_t at = n > 0 && (size_t)n < room ? (size_t)n : 0;
	char *rest = text + at;
	room -= at;
	if (w->kill_error != 0)
		(void)snprintf(rest, room, "cannot be killed: %s: %s", w->kill_reason, fl_error_text(w->kill_error));
	else if (w->kill_reason)
		(void)snprintf(rest, room, "was killed: %s", w->kill_reason);
	else if (rc != 0)
		(void)snprintf(rest, room, "has died, and how is not known: %s", fl_error_text(rc));
	else if (status->signal != 0)
		(void)snprintf(
		    rest, room, "killed by %s%s", process_pool_signal_name(status->signal, number),
		    status->signal == SIGSEGV && process_pool_used_pointer(w)
			? " (it used a pointer of the submitting process, which is not valid there: pass data "
			  "by value, or in a region)"
			: "");
	else
		(void)snprintf(rest, room, "exited with status %d", status->code);
}

static void process_pool_settle_started(struct fl__process_pool_worker *w, struct fl__task_block *block,
                                        const char *how)
{
	struct fl__process_pool *p = w->pool;
	block->attempts += block->attempts < UINT16_MAX;
	const bool again = block->attempts < block->future.type->max_attempts && block->attempts < UINT16_MAX;
	const int error = w->kill_error != 0                 ? w->kill_error
	                  : block->asked == FL__STOP_EXPIRED ? -ETIMEDOUT
	                  : p->terminated                    ? -ECANCELED
	                                                     : -EOWNERDEAD;
	if (again && error == -EOWNERDEAD && !p->base.broken) {
		fl__task_list_add_first(&p->base.queue, block);
		return;
	}
	process_pool_trace(w, FL__TRACE_TAKEN, block, error);
	process_pool_take_progress(w, block);
	fl__remote_end_failed(&p->remote, block, error, "%s", how);
}

/*
 * `next`: the task was the oldest of the dead worker. After more than SUSPICIONS_MOST such deaths
 * of ready workers it counts as started. Otherwise a task that damages the claim words and ends its
 * worker would run for ever.
 */
static bool process_pool_counts_as_started(struct fl__process_pool_worker *w, struct fl__task_block *block, bool next)
{
	enum { SUSPICIONS_MOST = 3 };
	if (fl__rings_has_started(&w->rings, block->seq))
		return true;
	block->suspicions += next && w->ready;
	return block->suspicions > SUSPICIONS_MOST;
}

/* Newest first, since each task goes to the front of the queue. */
static void process_pool_settle_tasks(struct fl__process_pool_worker *w, const char *how)
{
	struct fl__process_pool *p = w->pool;
	for (uint32_t seq = w->rings.next; seq != w->rings.first; seq--) {
		struct fl__task_block *block = w->blocks[(seq - 1) % FL__RINGS_DEPTH];
		if (!block)
			continue;
		const bool started = process_pool_counts_as_started(w, block, seq - 1 == w->rings.first);
		process_pool_vacate(w, block);
		fl__remote_unpost(&p->remote, block);
		if (started)
			process_pool_settle_started(w, block, how);
		else if (p->terminated)
			fl__remote_end_cancelled(&p->remote, block);
		else
			fl__task_list_add_first(&p->base.queue, block);
	}
}

/* A death in the initializer is lasting, but not by SIGKILL: memory may be short. */
static void process_pool_reap_worker(struct fl__process_pool_worker *w)
{
	struct fl__process_pool *p = w->pool;
	char how[FL_MESSAGE_MAX];
	fl_process_status status = {0, 0};
	(void)process_pool_take_from(w);
	(void)fl__process_pool_recv(w, NULL); /* "ready": the word in its memory may be damaged */
	const int rc = fl__process_pool_sys.try_join(w->process, &status);
	process_pool_describe_death(w, rc, &status, how, sizeof how);
	process_pool_settle_tasks(w, how);
	const bool by_itself = rc == 0 && (w->kill_reason || status.signal != SIGKILL);
	if (!p->terminated && (!w->ready || w->initializing))
		process_pool_start_failed(p, -EOWNERDEAD, w->ready && by_itself, how);
	FL__QUEUE_REMOVE(p->workers, p->newest, w);
	p->alive--;
	p->ended++;
	p->killed += status.signal != 0;
	process_pool_unwatch(w);
	process_pool_free_worker(w);
}

/*
 * This process has dropped privileges, and may not kill its workers. Their running tasks fail. Each
 * such worker exits after its task, or with this process.
 */
static void process_pool_give_up_unkillable(struct fl__process_pool *p)
{
	FL__EACH_SAFE (struct fl__process_pool_worker, w, p->workers) {
		if (w->kill_error == 0)
			continue;
		process_pool_recall_newest(w, FL__RINGS_DEPTH);
		if (!w->damaged && !w->exiting && fl__rings_used(&w->rings) < FL__RINGS_DEPTH)
			process_pool_post_exit(w);
		process_pool_reap_worker(w);
	}
}

/* Tasks that run for too long. */

/*
 * When a started task began: the worker's time, if it lies between the post and the moment when
 * this process first saw the task started; otherwise that moment.
 */
static int64_t process_pool_running_since(const struct fl__process_pool_worker *w, struct fl__task_times *times,
                                          uint32_t seq, int64_t now)
{
	if (times->seen == 0)
		times->seen = now;
	const int64_t began = fl__load_relaxed(&w->rings.completions->entry[seq % FL__RINGS_DEPTH].began); /* a hint */
	return began >= times->posted && began <= times->seen ? began : times->seen;
}

/* When a started task is killed for its deadline; FL_FOREVER: never. */
static int64_t process_pool_deadline_kill_time(const struct fl__process_pool *p, const struct fl__task_block *block)
{
	return fl__later(fl_cancel_token_deadline(&block->future.token), p->deadline_grace);
}

static int64_t process_pool_kill_time(struct fl__process_pool_worker *w, const struct fl__task_block *block,
                                      bool started, int64_t now)
{
	const struct fl__process_pool *p = w->pool;
	struct fl__task_times *times = &w->times[block->seq % FL__RINGS_DEPTH];
	int64_t when = process_pool_deadline_kill_time(p, block);
	if (block->asked)
		when = fl__min_deadline(when, fl__later(times->asked, p->request_grace));
	if (p->remote.config.task_timeout > 0) {
		int64_t since = started ? process_pool_running_since(w, times, block->seq, now) : now;
		when = fl__min_deadline(when, fl__later(since, p->remote.config.task_timeout));
	}
	return when;
}

static void process_pool_kill_overdue(struct fl__process_pool_worker *w, struct fl__task_block *block, int64_t now)
{
	if (process_pool_deadline_kill_time(w->pool, block) > now) {
		process_pool_kill_worker(w, "its task ran for too long");
		return;
	}
	block->asked = FL__STOP_EXPIRED;
	/* "a task": the worker may have begun another one by now */
	process_pool_kill_worker(w, "it ran a task past its deadline");
}

/* True: the task is queued again, to end as cancelled. */
static bool process_pool_forward_stop(struct fl__process_pool *p, struct fl__task_block *block)
{
	if (!block->stopper || block->asked || !fl_cancel_token_is_requested(&block->future.token))
		return false;
	if (fl__remote_on_withdraw(&p->base, block))
		return true;
	fl__remote_on_asked(&p->base, block);
	return false;
}

/*
 * Returns when to call it again. Watches a killed worker's tasks, too: more of them may pass their
 * deadlines.
 */
static int64_t process_pool_watch_tasks(struct fl__process_pool *p, int64_t now)
{
	int64_t again = FL_FOREVER;
	FL__EACH_SAFE (struct fl__task_block, block, p->remote.posted.head) {
		struct fl__process_pool_worker *w = block->worker;
		if (w->damaged || process_pool_forward_stop(p, block))
			continue;
		const bool started = fl__rings_has_started(&w->rings, block->seq);
		const int64_t when = process_pool_kill_time(w, block, started, now);
		if (when > now)
			again = fl__min_deadline(again, when);
		else if (!fl__remote_on_withdraw(&p->base, block)) /* the CAS failed: it has started */
			process_pool_kill_overdue(w, block, now);
	}
	return again;
}

static bool process_pool_on_poll(struct fl__remote *r)
{
	struct fl__process_pool *p = fl__process_pool_of(&r->base);
	if (fl_mutex_try_lock(&r->base.lock) != 0)
		return false;
	if (process_pool_take_all(p)) {
		p->fetches++;
		process_pool_dispatch(p);
	}
	const bool some = fl__remote_complete(r, false);
	fl_mutex_unlock(&r->base.lock);
	return some;
}

static void process_pool_on_leave(struct fl__remote *r, bool over)
{
	struct fl__process_pool *p = fl__process_pool_of(&r->base);
	if (over)
		return;
	FL__HELD(&r->base.lock);
	if (p->napping)
		process_pool_wake_manager(p); /* from now on the workers must ring */
}

/* Submits per check of the completion rings, which costs a cache miss for each worker. */
enum { PROCESS_POOL_TAKE_EACH = 8 };

static int process_pool_on_submit(fl_executor *e, struct fl__task_block *block)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	FL__HELD(&e->lock);
	int rc = fl__remote_queue(&p->remote, block);
	if (rc != 0)
		return rc;
	if (p->remote.posted.head && ++p->submits % PROCESS_POOL_TAKE_EACH == 0)
		(void)process_pool_take_all(p);
	process_pool_dispatch(p);
	return 0;
}

/* The manager thread. */

enum { PROCESS_POOL_EVENTS = 16 };

/* The nap; polls after work; the pause between a busy manager's polls of epoll. */
static const int64_t process_pool_nap = FL_MS(1), process_pool_spin = FL_US(30),
		     process_pool_poll_interval = FL_US(200);

struct process_pool_manager {
	struct fl__process_pool *p;
	uint32_t fetches; /* the pool's, as last seen */
	int64_t found;    /* when it last found work */
	int64_t polled;   /* when it last polled epoll without a sleep */
};

static void process_pool_handle_events(struct fl__process_pool *p, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		const int fd = events[i].data.fd;
		struct fl__process_pool_worker *w = p->workers;
		while (w && w->doorbell != fd && fl__process_pool_sys.sentinel(w->process) != fd)
			w = w->next;
		if (fd == p->doorbell || (w && fd == w->doorbell))
			fl__process_pool_sys.drain(fd);
		else if (w && !fl__process_pool_sys.is_alive(w->process))
			process_pool_reap_worker(w);
	}
}

/* Returns when to call it again. */
static int64_t process_pool_dismiss_idle(struct fl__process_pool *p, bool all, int64_t now)
{
	int64_t next = FL_FOREVER;
	const int64_t timeout = p->remote.config.idle_timeout;
	FL__EACH_WORKER (w, p) {
		if (w->exiting || w->kill_reason || fl__rings_used(&w->rings) > 0)
			continue;
		if (w->idle_since == 0)
			w->idle_since = now;
		if (all || w->retired || w->quota == 0 || (timeout > 0 && fl__later(w->idle_since, timeout) <= now))
			process_pool_post_exit(w);
		else if (timeout > 0)
			next = fl__min_deadline(next, fl__later(w->idle_since, timeout));
	}
	return next;
}

static int process_pool_milliseconds_until(int64_t when)
{
	if (when == FL_FOREVER)
		return -1;
	int64_t ns = when - fl__sys.now();
	int64_t ms = ns <= 0 ? 0 : (ns + FL_MS(1) - 1) / FL_MS(1);
	return (int)FL__MIN(ms, INT32_MAX);
}

/* Releases the lock for the sleep. True: an event came. */
static bool process_pool_wait_events(struct fl__process_pool *p, int64_t when)
{
	struct epoll_event events[PROCESS_POOL_EVENTS];
	p->sleeping = true;
	p->wakes_at = when;
	fl_mutex_unlock(&p->base.lock);
	int n = fl__fd_sys.epoll_wait(p->epoll, events, PROCESS_POOL_EVENTS, process_pool_milliseconds_until(when));
	fl__mutex_hold(&p->base.lock);
	p->sleeping = p->woken = false;
	process_pool_handle_events(p, events, n); /* an error of the wait, as -EINTR, is no event */
	return n > 0;
}

/* False: a completion came, perhaps before the arming: then no doorbell rings. */
static bool process_pool_arm(struct fl__process_pool *p)
{
	if (++p->sleeps == 0)
		p->sleeps = 1;
	FL__EACH_WORKER (w, p)
		fl__rings_arm(&w->rings, p->sleeps);
	return !process_pool_take_all(p);
}

static void process_pool_disarm(struct fl__process_pool *p)
{
	FL__EACH_WORKER (w, p)
		fl__rings_disarm(&w->rings);
}

/*
 * A nap if waiting threads have fetched since the last call. True: they have fetched in this nap,
 * too, and nothing else has happened.
 */
static bool process_pool_nap_or_sleep(struct process_pool_manager *m, int64_t until)
{
	struct fl__process_pool *p = m->p;
	const int64_t now = fl__sys.now();
	if (m->fetches == p->fetches) {
		if (process_pool_arm(p))
			(void)process_pool_wait_events(p, until);
		process_pool_disarm(p);
		return false;
	}
	m->fetches = p->fetches;
	p->napping = true;
	bool happened = process_pool_wait_events(p, fl__min_deadline(until, now + process_pool_nap));
	p->napping = false;
	if (happened)
		m->fetches = p->fetches;
	return m->fetches != p->fetches && until > now + process_pool_nap;
}

static void process_pool_kill_if_terminated(struct fl__process_pool *p)
{
	FL__EACH_WORKER (w, p)
		if (p->terminated)
			process_pool_kill_worker(w, "its executor was terminated");
}

/* Releases the lock for a while. True: there was work. */
static bool process_pool_do_work(struct fl__process_pool *p)
{
	bool some = process_pool_take_all(p);
	process_pool_kill_if_terminated(p);
	process_pool_give_up_unkillable(p);
	process_pool_dispatch(p);
	some |= fl__remote_complete(&p->remote, true);
	const bool tried = process_pool_has_tried_all(p);
	const bool breaks = p->base.broken ? p->base.queue.head != NULL : p->init_error != 0 || (tried && p->lasting);
	if (breaks || tried) {
		process_pool_give_up_starting(p, breaks);
		some = true;
	}
	return some;
}

/* Returns the time of the next work. The lock is then held until the sleep. */
static int64_t process_pool_check_timeouts(struct fl__process_pool *p)
{
	const bool closing = (p->base.closed || p->base.broken) && !p->base.queue.head;
	const int64_t now = fl__sys.now();
	process_pool_kill_if_terminated(p);
	int64_t until = fl__min_deadline(process_pool_watch_tasks(p, now), process_pool_dismiss_idle(p, closing, now));
	process_pool_give_up_unkillable(p);
	if (process_pool_wants_worker(p))
		until = fl__min_deadline(until, p->retry_at);
	process_pool_dispatch(p); /* recalled, or submitted since */
	return p->remote.ended || p->remote.kept ? now : until;
}

/* A manager that always finds work learns of deaths here, and looks at the timeouts. */
static void process_pool_poll_events(struct process_pool_manager *m)
{
	const int64_t now = fl__sys.now();
	if (now < m->polled + process_pool_poll_interval)
		return;
	m->polled = now;
	(void)process_pool_wait_events(m->p, now);
	(void)process_pool_check_timeouts(m->p);
}

static void process_pool_on_manage(struct fl__remote *r)
{
	struct fl__process_pool *p = fl__process_pool_of(&r->base);
	struct process_pool_manager m = {.p = p};
	for (bool fetchers_active = false; !process_pool_is_over(p);) {
		if (!fetchers_active && process_pool_do_work(p)) {
			m.found = fl__sys.now();
			process_pool_poll_events(&m);
		}
		if (process_pool_is_over(p))
			break;
		fetchers_active = false;
		const int64_t now = fl__sys.now();
		if (m.fetches == p->fetches && !p->starting && now < m.found + process_pool_spin) {
			fl_mutex_unlock(&p->base.lock);
			(void)fl__sys.give_way(now);
			fl__mutex_hold(&p->base.lock);
		} else {
			fetchers_active = process_pool_nap_or_sleep(&m, process_pool_check_timeouts(p));
		}
	}
	fl_cond_signal(&p->start);
	fl_mutex_unlock(&p->base.lock);
	FL_IGNORE(fl_thread_join(&p->starter, NULL));
	fl__mutex_hold(&p->base.lock);
}

static int process_pool_open_epoll(struct fl__process_pool *p)
{
	int epoll = fl__fd_sys.epoll_create();
	int doorbell = epoll < 0 ? epoll : fl__process_sys.eventfd();
	int rc = doorbell < 0 ? doorbell : fl__fd_sys.epoll_control(epoll, EPOLL_CTL_ADD, doorbell, EPOLLIN);
	if (rc == 0) {
		p->epoll = epoll;
		p->doorbell = doorbell;
		return 0;
	}
	fl__fd_close(doorbell);
	fl__fd_close(epoll);
	return rc;
}

/* Without a manager, the starter waits for the next submit. */
static int process_pool_on_start(struct fl__remote *r)
{
	struct fl__process_pool *p = fl__process_pool_of(&r->base);
	int rc = p->epoll < 0 ? process_pool_open_epoll(p) : 0;
	if (rc == 0 && !p->starter.thread_)
		rc = fl__remote_start_thread(r, &p->starter, "starter", process_pool_run_starter, p);
	return rc;
}

const struct fl__remote_transport fl__process_pool_transport = {
    .start = process_pool_on_start,
    .choose = process_pool_on_choose,
    .post = process_pool_on_post,
    .recall = process_pool_on_recall,
    .stop = process_pool_on_stop,
    .poll = process_pool_on_poll,
    .leave = process_pool_on_leave,
    .wake = process_pool_on_wake,
    .manage = process_pool_on_manage,
};

/* The executor interface. */

static bool process_pool_on_has_started(fl_executor *e, const struct fl__task_block *block)
{
	(void)e;
	const struct fl__process_pool_worker *w = block->worker;
	return w && fl__rings_has_started(&w->rings, block->seq);
}

/* Called without the lock. */
static void process_pool_on_release(struct fl__task_block *block)
{
	fl__stopper_free(block);
	if (block->mapped > 0)
		fl__shm_sys.unmap(block->future.result, block->mapped);
}

static int process_pool_on_resize(fl_executor *e, unsigned workers)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	fl__store_relaxed(&e->workers, workers); /* relaxed: a number by itself, read unlocked */
	unsigned kept = 0;
	FL__EACH_WORKER (w, p) {
		if (w->retired || ++kept <= workers)
			continue;
		w->retired = true;
		process_pool_recall_newest(w, FL__RINGS_DEPTH);
		if (fl__rings_used(&w->rings) == 0)
			process_pool_post_exit(w);
	}
	process_pool_dispatch(p);
	process_pool_wake_manager(p);
	return 0;
}

static void process_pool_on_wake_all(fl_executor *e)
{
	process_pool_wake_manager(fl__process_pool_of(e));
}

static void process_pool_on_terminate(fl_executor *e)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	p->terminated = true;
	process_pool_wake_manager(p);
}

/* Called without the lock. */
static void process_pool_on_destroy(fl_executor *e)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	FL__EACH_SAFE (struct fl__process_pool_worker, w, p->workers) {
		process_pool_free_worker(w);
	}
	if (!fl__process_has_closed(e->fork_count)) {
		fl__fd_close(p->epoll);
		fl__fd_close(p->doorbell);
	}
	fl__message_free(p->init_message);
	if (fl__executor_is_forked(e)) {
		FL_IGNORE(fl_thread_detach(&p->starter)); /* frees the thread's memory */
	} else {
		fl_cond_signal(&p->start);
		FL_IGNORE(fl_thread_join(&p->starter, NULL)); /* -EINVAL: joined before */
		fl__fork_server_count_pool(-1);
	}
	fl__remote_fini(&p->remote);
}

/* May read without the lock, which ThreadSanitizer must not see. */
__attribute__((no_sanitize("thread"))) static void process_pool_on_count(const fl_executor *e, fl_executor_stats *stats)
{
	const struct fl__process_pool *p = (const void *)e; /* its first member */
	const size_t posted = p->remote.posted.length, alive = p->alive;
	/* dispatch gives each worker one before any has two */
	const size_t running = FL__MIN(posted, alive);
	stats->threads = (unsigned)alive;
	stats->idle = (unsigned)(alive - running);
	stats->running = running;
	stats->pending += posted - running;
	stats->workers_started = p->started;
	stats->workers_ended = p->ended;
	stats->workers_killed = p->killed;
}

static const struct fl__executor_ops process_pool_ops = {
    FL__REMOTE_OPS,
    .kind = "processes",
    .result_most = FL__RINGS_INLINE_MOST,
    .submit = process_pool_on_submit,
    .wake_all = process_pool_on_wake_all,
    .destroy = process_pool_on_destroy,
    .release = process_pool_on_release,
    .has_started = process_pool_on_has_started,
    .terminate = process_pool_on_terminate,
    .count = process_pool_on_count,
    .resize = process_pool_on_resize,
};

#define PROCESS_POOL_DEADLINE_GRACE FL_MS(100) /* unless the config says otherwise */

int fl_process_executor_create(fl_executor **made, const fl_executor_config *config)
{
	config = FL__OR_DEFAULTS(config);
	if (!fl__executor_may_have(config->workers, FL_WORKERS_MAX, "fl_process_executor_create") ||
	    !fl__remote_config_is_valid(config))
		return -EINVAL;
	int rc = fl__process_pool_sys.check_start();
	if (rc != 0)
		return rc;
	struct fl__process_pool *p = fl__alloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	p->deadline_grace = config->grace_period > 0 ? config->grace_period : PROCESS_POOL_DEADLINE_GRACE;
	p->request_grace = config->grace_period > 0 ? config->grace_period : FL_FOREVER;
	p->epoll = p->doorbell = -1;
	p->wakes_at = FL_FOREVER;
	rc = fl__remote_init(&p->remote, &process_pool_ops, &fl__process_pool_transport,
	                     fl__executor_worker_count(config), config);
	if (rc == 0) {
		fl__fork_server_count_pool(1);
		*made = &p->base;
	}
	return rc;
}

size_t fl_process_executor_pids(fl_executor *e, int *pids, size_t room)
{
	fl__executor_check(e, "fl_process_executor_pids");
	if (e->ops != &process_pool_ops || fl__executor_is_forked(e))
		return 0;
	FL__HELD(&e->lock);
	size_t n = 0;
	FL__EACH_WORKER (w, fl__process_pool_of(e)) {
		if (n < room)
			pids[n] = fl__process_pool_sys.pid(w->process);
		n++;
	}
	return n;
}
