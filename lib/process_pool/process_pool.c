/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process executor in the parent process: a process pool. Each worker is a process that runs
 * worker.c; a `struct fl__process_pool_worker` is the parent's record of it. rings.c has the
 * protocol between the two. The *manager* is the pool's own thread. The executor's lock guards all
 * state here. The lock is held in each function, unless the function acquires it or its comment
 * says otherwise.
 *
 * A task is in one of these places:
 *
 *   place   where                               entered by
 *   queued  base.queue                          submit; withdrawal; death of a worker that had not
 *                                               started it; a new attempt
 *   posted  a worker's blocks[]; block->worker;   process_pool_post_task()
 *           counted by `posted`
 *   ended   `ended`; claimed; counted by        its completion; death of the worker that ran it;
 *           base.foreign                        process_pool_end_unposted()
 *   kept    `kept`; counted by base.foreign     a waiting thread that took it from `ended` and may
 *                                               not run its callbacks or hooks
 *
 * Invariants
 *   1. `posted` is the sum of all `load`. A task is in blocks[] exactly while it is posted.
 *   2. A task starts at most once per attempt: rings.c, invariant 1. A task leaves a worker by its
 *      completion, by a withdrawal that wins against its start, or by the worker's death.
 *   3. Futures end without the lock. User code runs neither in a submit, nor under the lock, nor on
 *      a waiting thread. A waiting thread or the manager empties `ended`; only the manager empties
 *      `kept`.
 *   4. A worker's writes affect only that worker's tasks. If a completion is one that no sound
 *      worker posts, the parent kills the worker and settles its tasks as at any death.
 *   5. No third process has the rings' memory. The parent maps the submission ring before it seals
 *      the ring against writing, so the worker cannot write. Both memories are allocated and cannot
 *      shrink: no access raises SIGBUS.
 *
 * The death of a worker
 *   1. The fork server reaps the process and reports its end over the channel, which is the
 *      sentinel. The manager, in epoll, sees the event and calls process_pool_reap_worker().
 *   2. The manager takes the completions that the worker posted before its death.
 *   3. For each other task, newest first:
 *      - not started: the task goes to the front of the queue and runs on another worker. If the
 *        pool was terminated, the task is cancelled. A task that was the oldest at several deaths
 *        counts as started: process_pool_counts_as_started().
 *      - started: elements of a chunk that had ended keep their results. The task fails: with
 *        -ETIMEDOUT if it was killed for its deadline, with -ECANCELED if the pool was terminated,
 *        otherwise with -EOWNERDEAD; with the error of the kill if the worker cannot be killed: the
 *        worker then counts as dead (process_pool_give_up_unkillable()). Instead of -EOWNERDEAD,
 *        the task is queued again if its type's `max_attempts` allows and the pool is not broken.
 *   4. The record is freed. The manager starts a new worker when tasks need one.
 *   5. A worker that died before it was ready, or in its initializer, counts as a failed start.
 *      Each failed start in a row doubles the pause before the next, from 1 ms to 128 ms. After
 *      PROCESS_POOL_START_TRIES, with no worker left that serves, the queued tasks fail with the
 *      error of the last start, and the count begins again. If each of these starts failed for a
 *      lasting reason, the pool breaks: process_pool_is_lasting(), process_pool_reap_worker().
 *
 * Three kinds of threads take completions: a submitter, now and then; a thread that waits for a
 * future; and the manager. Each then fills the submission rings again.
 *
 * The manager sleeps in epoll in one of two ways. Before an *armed* sleep, it arms all doorbells
 * and takes completions once more: rings.c, invariant 4. In a *nap* no worker rings, and the
 * manager wakes after a fixed time. It naps while waiting threads fetch results, since doorbells
 * would wake it in vain. A thread that stops waiting before its future has ended wakes the manager
 * from its nap. After the manager itself has found work, it polls on for a short time, with yields:
 * more work is likely to come, and a sleep costs two wakes.
 */
#include "process_pool.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../base/try_io.h"
#include "../exec/registry.h"
#include "../process/attributes.h"
#include "../process/fork_server.h"
#include "../process/identity.h"
#include "../process/packet.h"
#include "../process/process_sys.h"
#include "../process/reexec.h"
#include "../process/request.h"
#include "../shm/shm_sys.h"
#include "../sync/thread.h"
#include "../wait/cancel.h"
#include "../wait/context.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static bool process_pool_may_start(void)
{
	return !fl__reexec_missing() || fl__fork_server_pid() > 0;
}

static void process_pool_ring(int doorbell)
{
	const uint64_t one = 1;
	int before = errno;
	(void)!write(doorbell, &one, sizeof one);
	errno = before;
}

static void process_pool_drain_doorbell(int doorbell)
{
	uint64_t rings;
	/* does not wait, even if the worker has changed its doorbell's flags */
	(void)fl__try_read(doorbell, &rings, sizeof rings);
}

struct fl__process_pool_sys fl__process_pool_sys = {
    .may_start = process_pool_may_start,
    .start = fl_process_start,
    .free = fl_process_free,
    .kill = fl_process_kill,
    .try_join = fl_process_try_join,
    .is_alive = fl_process_is_alive,
    .sentinel = fl_process_sentinel,
    .pid = fl_process_pid,
    .name = fl_process_name,
    .ring = process_pool_ring,
    .drain = process_pool_drain_doorbell,
};

static void process_pool_wake_manager(struct fl__process_pool *p)
{
	if (!p->sleeping || p->woken)
		return;
	p->woken = true;
	fl__process_pool_sys.ring(p->doorbell);
}

/* Ensures that the manager is awake at `when`. */
static void process_pool_wake_manager_at(struct fl__process_pool *p, int64_t when)
{
	if (when < p->wakes_at)
		process_pool_wake_manager(p);
}

static int process_pool_start_manager(struct fl__process_pool *p);
static bool process_pool_take_all(struct fl__process_pool *p);
static bool process_pool_take_from(struct fl__process_pool_worker *w);
static void process_pool_take_progress(struct fl__process_pool_worker *w, struct fl__task_block *block);

/*
 * Tasks that have ended. The functions require a task that is neither queued nor posted. Its future
 * ends later, without the lock, in process_pool_complete().
 */

static void process_pool_append(struct fl__task_block ***end, struct fl__task_block *block)
{
	block->next = NULL;
	**end = block;
	*end = &block->next;
}

static void process_pool_add_ended(struct fl__process_pool *p, struct fl__task_block *block, int error, char *message)
{
	fl__stopper_free(block);
	fl__future_set_error(&block->future, error, message);
	p->base.foreign++;
	process_pool_append(&p->ended_end, block);
}

static void process_pool_end_cancelled(struct fl__process_pool *p, struct fl__task_block *block)
{
	if (fl__future_claim_cancel(&block->future)) /* always true: no other thread may claim it */
		process_pool_add_ended(p, block, -ECANCELED, NULL);
}

static void process_pool_end_claimed(struct fl__process_pool *p, struct fl__task_block *block, int error, char *message)
{
	if (fl__future_claim_ended(&block->future)) /* always true: no other thread may claim it */
		process_pool_add_ended(p, block, error, message);
}

static void FL_PRINTF(4, 5) process_pool_end_failed(struct fl__process_pool *p, struct fl__task_block *block, int error,
                                                    const char *format, ...)
{
	va_list args;
	char *message = fl__message_new(p->base.allocator);
	va_start(args, format);
	if (!fl__message_lost(message))
		(void)vsnprintf(message, FL_MESSAGE_MAX, format, args);
	va_end(args);
	process_pool_end_claimed(p, block, error, message);
}

/*
 * Requests to stop a posted task.
 *
 * fl_future_cancel() calls process_pool_request_stop(). But any thread may request a user's token,
 * without a call into the executor. So a task that was submitted with a token has a *stopper*:
 * while the task is posted, a waiter in the wait queue of the task's token. Its unpark wakes no
 * thread. Instead, it asks the worker to stop the task, so that the worker sees a request that
 * precedes the task's start; and it wakes the manager, which withdraws a task that has not started.
 *
 * The parking lot decides the stopper's wait once. If a request decides first, its unpark may still
 * run when the stopper is disarmed. Then the disarm waits for `park_word`, the unpark's last
 * access.
 */

struct fl__stopper {
	struct fl__wait wait;
	struct fl__node node;
	struct fl__process_pool_worker *worker; /* that has the task; valid while armed */
	uint32_t seq;
	bool armed;
};

/* Called without the lock. */
static void process_pool_stopper_unpark(struct fl__wait *wait)
{
	const struct fl__stopper *s = (const void *)wait; /* its first member */
	fl__rings_request_stop(&s->worker->rings, s->seq);
	fl__process_pool_sys.ring(s->worker->pool->doorbell);
	/* release: pairs with fl__stopper_disarm(); the last access */
	fl__store_release(&wait->park_word, 1);
}

static const struct fl__ctx_ops process_pool_stopper_ops = {.unpark = process_pool_stopper_unpark};
static struct fl__ctx process_pool_stopper_ctx = {.ops = &process_pool_stopper_ops, .id = 1, .name = "stopper"};

int fl__stopper_make(struct fl__task_block *block)
{
	if (!block->future.token.parent_)
		return 0;
	block->stopper = fl__alloc_from(fl__task_block_owner(block)->allocator, 1, sizeof *block->stopper);
	return block->stopper ? 0 : -ENOMEM;
}

void fl__stopper_free(struct fl__task_block *block)
{
	fl__free_to(fl__task_block_owner(block)->allocator, block->stopper);
	block->stopper = NULL;
}

void fl__stopper_arm(struct fl__task_block *block)
{
	struct fl__stopper *s = block->stopper;
	if (!s)
		return;
	s->wait = (struct fl__wait){.ctx = &process_pool_stopper_ctx, .decision = FL__PENDING};
	s->node = FL__NODE(&s->wait);
	s->worker = block->worker;
	s->seq = block->seq;
	s->armed = fl__cancel_arm(&block->future.token, &s->node);
	if (s->armed)
		return;
	fl__rings_request_stop(&s->worker->rings, s->seq); /* already requested */
	process_pool_wake_manager(s->worker->pool);
}

void fl__stopper_disarm(struct fl__task_block *block)
{
	struct fl__stopper *s = block->stopper;
	if (!s || !s->armed)
		return;
	s->armed = false;
	fl__lot_leave(&s->node);
	uintptr_t pending = FL__PENDING;
	/* relaxed: as in lib/wait/wait.c */
	if (fl__cas_relaxed(&s->wait.decision, &pending, FL__GAVE_UP))
		return;
	/* acquire: pairs with process_pool_stopper_unpark() */
	for (unsigned round = 0; !fl__load_acquire(&s->wait.park_word); round++)
		fl__back_off(round);
}

static void process_pool_request_stop(struct fl__process_pool *p, struct fl__task_block *block)
{
	if (!block->worker || block->asked)
		return;
	block->asked = FL__STOP_REQUESTED;
	fl__rings_request_stop(&block->worker->rings, block->seq);
	int64_t now = fl__sys.now();
	block->worker->times[block->seq % FL__RINGS_DEPTH].asked = now;
	process_pool_wake_manager_at(p, fl__later(now, p->request_grace));
}

/* Submit: the identity of a task type. */

static bool process_pool_same_type(const fl_task_type *a, const fl_task_type *b)
{
	return a->run == b->run && a->name == b->name && a->version == b->version && a->arg_size == b->arg_size &&
	       a->arg_align == b->arg_align && a->result_size == b->result_size && a->result_align == b->result_align;
}

/*
 * Looks up the identity of `type`. Returns:
 *
 *   0
 *   -ENOENT   the type is not registered
 *   -EEXIST   another type has its name
 *   -ENOMEM   no memory for the lookup
 */
static int process_pool_lookup_type(struct fl__process_pool *p, const fl_task_type *type, struct fl__type_known **known)
{
	struct fl__type_known *k = &p->known[((uintptr_t)type >> 5) % FL__KNOWN_TYPES];
	/* Before the lookup: the count may be too old for what is found, never too new. */
	const uint64_t changes = fl__registry_changes();
	*known = k;
	if (k->type == type && k->changes == changes && process_pool_same_type(&k->copy, type))
		return 0;
	const fl_task_type *registered;
	int rc = fl__registry_find(type->name, &registered);
	if (rc != 0)
		return rc;
	if (registered->run != type->run)
		return -ENOENT;
	struct fl__task_identity identity;
	fl__task_identify(registered, &identity);
	*k = (struct fl__type_known){type, *type, changes, identity.id, fl__task_check(&identity)};
	return 0;
}

/* Submit: one submission. */

enum { PROCESS_POOL_ARENA_UNIT = 64 };

/* Allocates `size` bytes in one piece. Returns their offset; -1: no room. */
static int64_t process_pool_arena_alloc(struct fl__pool_arena *r, size_t size)
{
	const uint32_t need = (uint32_t)(size + PROCESS_POOL_ARENA_UNIT - 1) & ~(uint32_t)(PROCESS_POOL_ARENA_UNIT - 1);
	uint32_t at = r->head % FL__RINGS_ARENA;
	uint32_t skipped = at + need > FL__RINGS_ARENA ? FL__RINGS_ARENA - at : 0;
	if (r->head - r->tail + skipped + need > FL__RINGS_ARENA)
		return -1;
	at = (r->head + skipped) % FL__RINGS_ARENA;
	r->head += skipped + need;
	return at;
}

/* What process_pool_post() posts: a task or the initializer. */
struct process_pool_draft {
	struct fl__task_block *block; /* NULL: the initializer */
	const fl_task_type *type;
	const void *arg;
	size_t arg_size, result_size;
};

static int process_pool_send_arg(struct fl__process_pool_worker *w, const struct process_pool_draft *d, uint32_t seq)
{
	struct fl__memfd_packet head = {FL__MEMFD_MAGIC, seq, d->arg_size};
	struct iovec part = {&head, sizeof head};
	int fd = fl__sealed_memory(d->arg, d->arg_size);
	if (fd < 0)
		return fd;
	int rc = fl__packet_try_send(w->channel, &part, 1, &fd, 1);
	fl__fd_close(fd);
	return rc;
}

/*
 * Stores the argument and allocates the result. Returns:
 *
 *   0
 *   -EAGAIN   no room now
 *   other     an error of process_pool_send_arg()
 */
static int process_pool_fill_entry(struct fl__process_pool_worker *w, const struct process_pool_draft *d,
                                   struct fl__submission *submission, uint32_t seq)
{
	enum fl__place arg = fl__place_of(d->arg_size, d->type->arg_align);
	enum fl__place result = fl__place_of(d->result_size, d->type->result_align);
	const struct fl__pool_arena args = w->args, results = w->results;
	int64_t arg_at = arg == FL__PLACE_ARENA ? process_pool_arena_alloc(&w->args, d->arg_size) : 0;
	int64_t result_at = result == FL__PLACE_ARENA ? process_pool_arena_alloc(&w->results, d->result_size) : 0;
	int rc = arg_at < 0 || result_at < 0 ? -EAGAIN : arg == FL__PLACE_MEMFD ? process_pool_send_arg(w, d, seq) : 0;
	if (rc != 0) {
		w->args = args;
		w->results = results;
		return rc;
	}
	submission->arg = (uint32_t)arg_at;
	submission->result = (uint32_t)result_at;
	submission->flags = (uint16_t)((arg == FL__PLACE_MEMFD ? FL__SUBMISSION_ARG_MEMFD : 0) |
	                               (result == FL__PLACE_MEMFD ? FL__SUBMISSION_RESULT_MEMFD : 0));
	if (arg == FL__PLACE_SLOT && d->arg_size > 0)
		fl__copy(submission->small, d->arg, d->arg_size);
	else if (arg == FL__PLACE_ARENA)
		memcpy(w->rings.submissions->arena + arg_at, d->arg, d->arg_size);
	return 0;
}

static void process_pool_set_times(struct fl__process_pool_worker *w, const struct fl__task_block *block,
                                   struct fl__submission *submission, unsigned slot)
{
	struct fl__process_pool *p = w->pool;
	const int64_t deadline = fl_cancel_token_deadline(&block->future.token);
	w->times[slot] = (struct fl__task_times){0, 0, 0};
	if (deadline != FL_FOREVER) {
		submission->flags |= FL__SUBMISSION_DEADLINE;
		w->rings.submissions->deadline[slot] = deadline;
		process_pool_wake_manager_at(p, fl__later(deadline, p->deadline_grace));
	}
	if (p->config.task_timeout > 0) {
		submission->flags |= FL__SUBMISSION_TIMED;
		w->times[slot].posted = fl__sys.now();
		process_pool_wake_manager_at(p, fl__later(w->times[slot].posted, p->config.task_timeout));
	}
}

static int process_pool_post(struct fl__process_pool_worker *w, const struct process_pool_draft *d, uint64_t task,
                             uint32_t check, uint32_t count)
{
	const uint32_t seq = w->rings.next;
	const unsigned slot = seq % FL__RINGS_DEPTH;
	struct fl__submission *submission = fl__rings_next_entry(&w->rings);
	int rc = process_pool_fill_entry(w, d, submission, seq);
	if (rc != 0)
		return rc;
	submission->task = task;
	submission->check = check;
	submission->count = count;
	if (d->block)
		process_pool_set_times(w, d->block, submission, slot);
	else
		submission->flags |= FL__SUBMISSION_INITIALIZE;
	w->blocks[slot] = d->block;
	w->arg_head[slot] = w->args.head;
	w->result_head[slot] = w->results.head;
	(void)fl__rings_post(&w->rings);
	return 0;
}

static int process_pool_post_task(struct fl__process_pool_worker *w, struct fl__task_block *block)
{
	struct fl__process_pool *p = w->pool;
	const fl_task_type *type = block->future.type;
	const struct process_pool_draft d = {block, type, block->future.arg, block->future.count * type->arg_size,
	                                     block->future.count * type->result_size};
	block->seq = w->rings.next;
	int rc = process_pool_post(w, &d, block->task, block->check, block->future.count);
	if (rc != 0)
		return rc;
	block->worker = w;
	block->asked = FL__STOP_NOT_REQUESTED;
	w->quota--;
	w->load++;
	p->posted++;
	fl__stopper_arm(block);
	return 0;
}

static int process_pool_post_initializer(struct fl__process_pool_worker *w)
{
	const struct fl__process_pool *p = w->pool;
	const fl_task_type *type = p->base.initialize;
	const struct process_pool_draft d = {NULL, type, p->base.initialize_arg, type->arg_size, 0};
	int rc = process_pool_post(w, &d, p->initializer.id, p->initializer.check, 1);
	if (rc == 0) {
		w->initializing = true;
		fl__rings_flush(&w->rings);
	}
	return rc;
}

/* Tells a worker without tasks to exit. */
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

/* Submit: withdrawal of posted tasks. */

/* Withdraws a posted task to the front of the queue. False: the task has started. */
static bool process_pool_withdraw(struct fl__process_pool *p, struct fl__task_block *block)
{
	struct fl__process_pool_worker *w = block->worker;
	if (!fl__rings_revoke(&w->rings, block->seq))
		return false;
	w->blocks[block->seq % FL__RINGS_DEPTH] = NULL;
	w->quota++;
	w->load--;
	p->posted--;
	fl__stopper_disarm(block);
	block->worker = NULL;
	fl__task_list_add_first(&p->base.queue, block);
	return true;
}

/* Withdraws up to `n` of the newest tasks, as far as they have not started. */
static void process_pool_withdraw_newest(struct fl__process_pool_worker *w, uint32_t n)
{
	for (uint32_t seq = w->rings.next; n > 0 && seq != w->rings.first; seq--) {
		struct fl__task_block *block = w->blocks[(seq - 1) % FL__RINGS_DEPTH];
		if (block && process_pool_withdraw(w->pool, block))
			n--;
	}
}

/*
 * Submit: from the queue to the workers.
 *
 * A submission ring has 16 slots, so that a worker need not wait for the parent between small
 * tasks. With 2 slots, and fewer CPUs than processes, every two tasks cost a context switch.
 */

static bool process_pool_worker_has_room(const struct fl__process_pool_worker *w)
{
	return !w->retired && !w->kill_reason && w->quota > 0 && fl__rings_used(&w->rings) < FL__RINGS_DEPTH;
}

/* The least busy worker with room; NULL: none. */
static struct fl__process_pool_worker *process_pool_least_busy(const struct fl__process_pool *p)
{
	struct fl__process_pool_worker *best = NULL;
	for (unsigned i = 0; i < p->n_workers; i++) {
		struct fl__process_pool_worker *w = p->workers[i];
		if (process_pool_worker_has_room(w) && (!best || w->load < best->load))
			best = w;
	}
	return best;
}

/* Ends a task that cannot be posted: with `rc`; or, if `rc` is 0, as cancelled. */
static void process_pool_end_unposted(struct fl__process_pool *p, struct fl__task_block *block, int rc)
{
	if (rc == 0)
		process_pool_end_cancelled(p, block);
	else
		process_pool_end_failed(p, block, rc, "the argument does not reach a worker: %s", fl_error_text(rc));
	process_pool_wake_manager(p); /* no doorbell will ring for it */
}

/* Posts the first task of the queue, or ends it. False: no worker has room. */
static bool process_pool_dispatch_one(struct fl__process_pool *p)
{
	struct fl__task_block *block = p->base.queue.head;
	struct fl__process_pool_worker *w = process_pool_least_busy(p);
	if (!w)
		return false;
	fl__task_list_remove(&p->base.queue, block);
	if (fl_cancel_token_is_requested(&block->future.token)) {
		process_pool_end_unposted(p, block, 0);
		return true;
	}
	int rc = process_pool_post_task(w, block);
	if (rc == -EAGAIN && fl__rings_used(&w->rings) > 0) {
		fl__task_list_add_first(&p->base.queue, block);
		return false;
	}
	if (rc == -EPIPE) { /* the worker is dead, and is reaped later */
		w->retired = true;
		fl__task_list_add_first(&p->base.queue, block);
	} else if (rc != 0) {
		process_pool_end_unposted(p, block, rc);
	}
	return true;
}

static void process_pool_dispatch_queue(struct fl__process_pool *p)
{
	while (p->base.queue.head && process_pool_dispatch_one(p))
		;
	for (unsigned i = 0; i < p->n_workers; i++)
		fl__rings_flush(&p->workers[i]->rings);
}

/* If a worker is idle, withdraws half of the busiest worker's tasks. True: a task is queued. */
static bool process_pool_steal(struct fl__process_pool *p)
{
	struct fl__process_pool_worker *busiest = NULL, *idle = process_pool_least_busy(p);
	if (!idle || idle->load > 0)
		return false;
	for (unsigned i = 0; i < p->n_workers; i++)
		if (!busiest || p->workers[i]->load > busiest->load)
			busiest = p->workers[i];
	process_pool_withdraw_newest(busiest, busiest->load / 2);
	return p->base.queue.head != NULL;
}

static bool process_pool_wants_worker(const struct fl__process_pool *p)
{
	unsigned serving = 0;
	for (unsigned i = 0; i < p->n_workers; i++)
		serving += !p->workers[i]->retired;
	return serving < p->base.workers && p->base.queue.length + p->posted > serving && !p->base.broken &&
	       !p->terminated;
}

/* Posts queued tasks while workers have room. If none is queued, an idle worker steals. */
static void process_pool_dispatch(struct fl__process_pool *p)
{
	if (p->base.queue.head || (p->posted > 1 && p->n_workers > 1 && process_pool_steal(p)))
		process_pool_dispatch_queue(p);
	if (p->sleeping && process_pool_wants_worker(p))
		process_pool_wake_manager_at(p, p->retry_at);
}

/* Submits per check of the completion rings. A check costs a cache miss for each worker. */
enum { PROCESS_POOL_TAKE_EACH = 8 };

static int process_pool_on_submit(fl_executor *e, struct fl__task_block *block)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	struct fl__type_known *known;
	FL_LOCKED(&e->lock);
	int rc = fl__executor_refuses(e);
	if (rc == 0)
		rc = process_pool_lookup_type(p, block->future.type, &known);
	if (rc == 0 && !p->running)
		rc = process_pool_start_manager(p);
	if (rc == 0)
		rc = fl__stopper_make(block);
	if (rc != 0)
		return rc;
	block->task = known->id;
	block->check = known->check;
	fl__task_list_add(&e->queue, block);
	if (p->posted > 0 && ++p->submits % PROCESS_POOL_TAKE_EACH == 0)
		(void)process_pool_take_all(p);
	process_pool_dispatch(p);
	return 0;
}

/* Supervision: the memory of a worker. */

/* Makes shared memory and maps it here. Returns its descriptor. */
static int process_pool_make_memory(size_t size, int seals, void **memory)
{
	*memory = NULL;
	int fd = fl__fd_above_streams(fl__shm_sys.memory());
	if (fd < 0)
		return fd;
	int rc = fl__memfd_allocate(fd, size);
	if (rc == 0)
		rc = fl__shm_sys.add_seals(fd, F_SEAL_SHRINK | F_SEAL_GROW);
	if (rc == 0)
		rc = fl__shm_sys.map(fd, size, true, memory);
	if (rc == 0)
		rc = fl__shm_sys.keep(*memory, size);
	if (rc == 0)
		rc = fl__shm_sys.add_seals(fd, seals);
	if (rc == 0)
		return fd;
	fl__fd_close(fd);
	return rc;
}

/* Frees the record and its resources. Needs no lock. Works in a forked child, too. */
static void process_pool_free_worker(struct fl__process_pool_worker *w)
{
	const bool forked = fl__executor_is_forked(&w->pool->base);
	fl__process_pool_sys.free(w->process);
	if (!forked && w->rings.submissions)
		fl__shm_sys.unmap(w->rings.submissions, sizeof *w->rings.submissions);
	if (!forked && w->rings.completions)
		fl__shm_sys.unmap(w->rings.completions, sizeof *w->rings.completions);
	if (!fl__process_has_closed(w->pool->base.fork_count)) {
		fl__fd_close(w->channel);
		fl__fd_close(w->doorbell);
	}
	fl__free_to(w->pool->base.allocator, w);
}

/* Supervision: the start of a worker. */

static int process_pool_make_rings(struct fl__process_pool_worker *w, int fds[FL__WORKER_FDS])
{
	void *submissions, *completions = NULL;
	fds[FL__WORKER_SUBMISSIONS] =
	    process_pool_make_memory(sizeof *w->rings.submissions, FL__SEAL_FUTURE_WRITE | F_SEAL_SEAL, &submissions);
	fds[FL__WORKER_COMPLETIONS] = process_pool_make_memory(sizeof *w->rings.completions, F_SEAL_SEAL, &completions);
	w->rings.submissions = submissions;
	w->rings.completions = completions;
	if (fds[FL__WORKER_SUBMISSIONS] < 0 || fds[FL__WORKER_COMPLETIONS] < 0)
		return fds[fds[FL__WORKER_SUBMISSIONS] < 0 ? FL__WORKER_SUBMISSIONS : FL__WORKER_COMPLETIONS];
	fl__rings_init(&w->rings, submissions, completions);
	return 0;
}

static int process_pool_start_process(struct fl__process_pool_worker *w, const int given[FL__WORKER_FDS])
{
	const struct fl__process_pool *p = w->pool;
	int fds[FL__WORKER_FDS + FL_REGIONS_MAX];
	char name[32];
	const struct fl__worker_start start = {.n_regions = p->base.n_regions};
	for (unsigned i = 0; i < FL__WORKER_FDS; i++)
		fds[i] = given[i];
	for (unsigned i = 0; i < p->base.n_regions; i++)
		fds[FL__WORKER_FDS + i] = fl_shm_fd(p->base.regions[i]);
	(void)snprintf(name, sizeof name, "%s-%u", p->base.name, w->number);
	const fl_process_config config = {.task = &fl__worker_task,
	                                  .arg = &start,
	                                  .name = name,
	                                  .daemon = true,
	                                  .fds = fds,
	                                  .n_fds = FL__WORKER_FDS + p->base.n_regions};
	return fl__process_pool_sys.start(&w->process, &config);
}

/* Called without the lock. `call`: what has failed. */
static int process_pool_launch(struct fl__process_pool_worker *w, const char **call)
{
	int fds[FL__WORKER_FDS] = {-1, -1, -1, -1}, ends[2] = {-1, -1};
	*call = "eventfd";
	w->doorbell = fds[FL__WORKER_DOORBELL] = fl__fd_above_streams(fl__process_sys.eventfd());
	int rc = w->doorbell;
	if (rc >= 0) {
		*call = "socketpair";
		rc = fl__packet_pair_above_streams(ends);
	}
	if (rc == 0) {
		w->channel = ends[0];
		fds[FL__WORKER_CHANNEL] = ends[1];
		*call = "shared memory";
		rc = process_pool_make_rings(w, fds);
	}
	if (rc == 0) {
		*call = "fl_process_start";
		rc = process_pool_start_process(w, fds);
	}
	fl__fd_close(ends[1]);
	fl__fd_close(fds[FL__WORKER_SUBMISSIONS]);
	fl__fd_close(fds[FL__WORKER_COMPLETIONS]);
	return rc;
}

/* The least number that no worker has. */
static unsigned process_pool_free_number(const struct fl__process_pool *p)
{
	for (unsigned number = 0;; number++) {
		unsigned i = 0;
		while (i < p->n_workers && p->workers[i]->number != number)
			i++;
		if (i == p->n_workers)
			return number;
	}
}

/* Makes room for one more worker. Workers that are exiting count, too. */
static int process_pool_reserve(struct fl__process_pool *p)
{
	if (p->n_workers < p->room)
		return 0;
	const unsigned room = p->room ? 2 * p->room : 8;
	struct fl__process_pool_worker **workers =
	    fl__alloc_from(p->base.allocator, room, sizeof(struct fl__process_pool_worker *));
	if (!workers)
		return -ENOMEM;
	if (p->n_workers > 0)
		memcpy(workers, p->workers, p->n_workers * sizeof(struct fl__process_pool_worker *));
	fl__free_to(p->base.allocator, p->workers);
	p->workers = workers;
	p->room = room;
	return 0;
}

/* The number of workers that get submissions. */
static unsigned process_pool_serving(const struct fl__process_pool *p)
{
	unsigned n = 0;
	for (unsigned i = 0; i < p->n_workers; i++)
		n += !p->workers[i]->retired && !p->workers[i]->kill_reason;
	return n;
}

/* A close is not enough: a forked child's copies of the descriptors keep them in the epoll set. */
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
	int rc = process_pool_reserve(p);
	if (rc == 0)
		rc = fl__fd_sys.epoll_control(p->epoll, EPOLL_CTL_ADD, w->doorbell, EPOLLIN);
	if (rc == 0)
		rc = fl__fd_sys.epoll_control(p->epoll, EPOLL_CTL_ADD, sentinel, EPOLLIN);
	if (rc == 0 && p->base.initialize)
		rc = process_pool_post_initializer(w);
	if (rc != 0) {
		process_pool_unwatch(w);
		return rc;
	}
	w->retired = process_pool_serving(p) >= p->base.workers; /* a resize may have come first */
	p->workers[p->n_workers++] = w;
	return 0;
}

/*
 * Starts a worker. Releases the lock for a while. Returns 0; or an error, which `text` describes.
 * `text` has room for FL_MESSAGE_MAX bytes.
 */
static int process_pool_start_worker(struct fl__process_pool *p, char *text)
{
	const char *call;
	struct fl__process_pool_worker *w = fl__alloc_from(p->base.allocator, 1, sizeof *w);
	if (!w) {
		(void)snprintf(text, FL_MESSAGE_MAX, "no memory for a worker");
		return -ENOMEM;
	}
	w->pool = p;
	w->channel = w->doorbell = -1;
	w->quota = p->config.max_tasks > 0 ? (uint32_t)p->config.max_tasks : UINT32_MAX / 2;
	w->number = process_pool_free_number(p);
	fl_mutex_unlock(&p->base.lock);
	int rc = process_pool_launch(w, &call);
	fl_mutex_lock(&p->base.lock);
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

/* Whether the program cannot start at all. Other errors may be those of a passing shortage. */
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
	for (unsigned i = 0; i < p->n_workers; i++)
		if (p->workers[i]->ready && !p->workers[i]->initializing && !p->workers[i]->retired)
			return true;
	return false;
}

/* Records a failed start, and when to try again. */
static void process_pool_start_failed(struct fl__process_pool *p, int error, bool lasting, const char *how)
{
	const int64_t first_pause = FL_MS(1);
	p->retry_at = fl__sys.now() + (first_pause << (p->failures < 7 ? p->failures : 7));
	/* While another worker is ready, the count stays below PROCESS_POOL_START_TRIES. */
	if (p->failures + 1 < PROCESS_POOL_START_TRIES || !process_pool_any_ready(p))
		p->failures++;
	p->start_error = error;
	p->lasting = lasting && (p->lasting || p->failures == 1);
	(void)snprintf(p->why_failed, sizeof p->why_failed, "%s", how);
}

/* Starts a worker if one is wanted and the pause is over. True: it tried. */
static bool process_pool_try_start(struct fl__process_pool *p)
{
	char text[FL_MESSAGE_MAX];
	if (!process_pool_wants_worker(p) || p->retry_at > fl__sys.now())
		return false;
	int rc = process_pool_start_worker(p, text);
	if (rc != 0)
		process_pool_start_failed(p, rc, process_pool_is_lasting(rc), text);
	return true;
}

static bool process_pool_has_tried_all(const struct fl__process_pool *p)
{
	return p->failures >= PROCESS_POOL_START_TRIES && process_pool_serving(p) == 0;
}

/*
 * Fails the queued tasks. Later tasks have tries of their own, after the pause. Releases the lock
 * for a while.
 */
static void process_pool_end_queued(struct fl__process_pool *p)
{
	char text[FL_MESSAGE_MAX + 64];
	const int error = p->start_error;
	(void)snprintf(text, sizeof text, "no worker can be started: %s", p->why_failed);
	p->failures = 0;
	fl_mutex_unlock(&p->base.lock);
	fl__executor_end_queued(&p->base, error, text);
	fl_mutex_lock(&p->base.lock);
}

/* Releases the lock for a while. */
static void process_pool_break(struct fl__process_pool *p)
{
	char text[FL_MESSAGE_MAX + 64];
	char *message = p->init_message;
	const int error = p->init_error;
	(void)snprintf(text, sizeof text, "the executor is broken: no worker can be started: %s", p->why_failed);
	p->init_message = NULL;
	fl_mutex_unlock(&p->base.lock);
	if (error != 0)
		fl__executor_initialize_failed(&p->base, error, message);
	else
		fl__executor_break(&p->base, text);
	fl_mutex_lock(&p->base.lock);
}

/* Supervision: the death of a worker. */

/* `kill_reason` is for the message. */
static void process_pool_kill_worker(struct fl__process_pool_worker *w, const char *kill_reason)
{
	if (w->kill_reason)
		return;
	w->kill_reason = kill_reason;
	int rc = fl__process_pool_sys.kill(w->process);
	if (rc == 0 || rc == -ESRCH) /* -ESRCH: it has ended */
		return;
	w->kill_error = rc;
	process_pool_wake_manager(w->pool);
}

/* sigabbrev_np() needs glibc 2.32. `text`: for a signal without a name here. */
static const char *process_pool_signal_name(int signal, char text[24])
{
	static const char *const names[] = {
	    [SIGHUP] = "SIGHUP",   [SIGINT] = "SIGINT",   [SIGQUIT] = "SIGQUIT", [SIGILL] = "SIGILL",
	    [SIGTRAP] = "SIGTRAP", [SIGABRT] = "SIGABRT", [SIGBUS] = "SIGBUS",   [SIGFPE] = "SIGFPE",
	    [SIGKILL] = "SIGKILL", [SIGUSR1] = "SIGUSR1", [SIGSEGV] = "SIGSEGV", [SIGUSR2] = "SIGUSR2",
	    [SIGPIPE] = "SIGPIPE", [SIGALRM] = "SIGALRM", [SIGTERM] = "SIGTERM", [SIGXCPU] = "SIGXCPU",
	    [SIGXFSZ] = "SIGXFSZ", [SIGSYS] = "SIGSYS",
	};
	if (signal > 0 && (size_t)signal < sizeof names / sizeof *names && names[signal])
		return names[signal];
	(void)snprintf(text, 24, "signal %d", signal);
	return text;
}

/* For a worker that has begun tasks: one of them may have used a pointer in its argument. */
static const char *process_pool_pointer_hint(const struct fl__process_pool_worker *w, int signal)
{
	return w->ready && (signal == SIGSEGV || signal == SIGBUS)
	           ? " (pointers of the submitting process are not valid here: pass data by value, or in a region)"
	           : "";
}

/*
 * Writes how the worker died: "worker 4711 (name-0) killed by SIGKILL". `rc` and `status`: of its
 * join.
 */
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
		(void)snprintf(rest, room, "killed by %s%s", process_pool_signal_name(status->signal, number),
		               process_pool_pointer_hint(w, status->signal));
	else
		(void)snprintf(rest, room, "exited with status %d", status->code);
}

/* For a task that had started: queues a new attempt, or fails it. */
static void process_pool_settle_started(struct fl__process_pool_worker *w, struct fl__task_block *block,
                                        const char *how)
{
	struct fl__process_pool *p = w->pool;
	process_pool_take_progress(w, block);
	block->attempts += block->attempts < UINT16_MAX;
	const bool again = block->attempts < block->future.type->max_attempts && block->attempts < UINT16_MAX;
	const int error = w->kill_error != 0                 ? w->kill_error
	                  : block->asked == FL__STOP_EXPIRED ? -ETIMEDOUT
	                  : p->terminated                    ? -ECANCELED
	                                                     : -EOWNERDEAD;
	if (again && error == -EOWNERDEAD && !p->base.broken)
		fl__task_list_add_first(&p->base.queue, block);
	else
		process_pool_end_failed(p, block, error, "%s", how);
}

/*
 * Whether the task counts as started. `next`: it was the oldest task of the dead worker. A task
 * that was the oldest at more than SUSPICIONS_MOST deaths of ready workers counts as started,
 * whatever its claim word says. Otherwise a task that damages the claim words and ends its worker
 * would be run again for ever.
 */
static bool process_pool_counts_as_started(struct fl__process_pool_worker *w, struct fl__task_block *block, bool next)
{
	enum { SUSPICIONS_MOST = 3 };
	if (fl__rings_has_started(&w->rings, block->seq))
		return true;
	block->suspicions += next && w->ready;
	return block->suspicions > SUSPICIONS_MOST;
}

/* Settles the tasks of a dead worker, newest first, since each goes to the front of the queue. */
static void process_pool_settle_tasks(struct fl__process_pool_worker *w, const char *how)
{
	struct fl__process_pool *p = w->pool;
	for (uint32_t seq = w->rings.next; seq != w->rings.first; seq--) {
		const unsigned slot = (seq - 1) % FL__RINGS_DEPTH;
		struct fl__task_block *block = w->blocks[slot];
		if (!block)
			continue;
		const bool started = process_pool_counts_as_started(w, block, seq - 1 == w->rings.first);
		w->blocks[slot] = NULL;
		w->load--;
		p->posted--;
		fl__stopper_disarm(block);
		block->worker = NULL;
		if (started)
			process_pool_settle_started(w, block, how);
		else if (p->terminated)
			process_pool_end_cancelled(p, block);
		else
			fl__task_list_add_first(&p->base.queue, block);
	}
}

/* Reads the worker's packets for "ready": the word in its memory may be damaged. */
static void process_pool_recv_ready(struct fl__process_pool_worker *w)
{
	for (unsigned i = 0; i < 2 * FL__RINGS_DEPTH && !w->ready; i++) { /* against a flood */
		struct fl__memfd_packet head = {0, 0, 0};
		struct iovec part = {&head, sizeof head};
		struct fl__packet packet = {.parts = &part, .n_parts = 1};
		if (fl__packet_try_recv(w->channel, &packet, 0) != 0)
			return;
		w->ready = head.magic == FL__READY_MAGIC;
	}
}

/*
 * A death in the initializer is lasting, unless a SIGKILL may have come from outside: the kernel
 * sends one when memory is short.
 */
static void process_pool_reap_worker(struct fl__process_pool_worker *w)
{
	struct fl__process_pool *p = w->pool;
	char how[FL_MESSAGE_MAX];
	fl_process_status status = {0, 0};
	(void)process_pool_take_from(w);
	process_pool_recv_ready(w);
	const int rc = fl__process_pool_sys.try_join(w->process, &status);
	process_pool_describe_death(w, rc, &status, how, sizeof how);
	process_pool_settle_tasks(w, how);
	const bool by_itself = rc == 0 && (w->kill_reason || status.signal != SIGKILL);
	if (!p->terminated && (!w->ready || w->initializing))
		process_pool_start_failed(p, -EOWNERDEAD, w->ready && by_itself, how);
	unsigned i = 0;
	while (p->workers[i] != w)
		i++;
	p->workers[i] = p->workers[--p->n_workers];
	process_pool_unwatch(w);
	process_pool_free_worker(w);
}

/*
 * Gives up workers that this process may not kill, since it has dropped privileges. Their running
 * tasks fail. Each such process exits after its task, and ends with this process at the latest.
 */
static void process_pool_give_up_unkillable(struct fl__process_pool *p)
{
	for (unsigned i = p->n_workers; i-- > 0;) {
		struct fl__process_pool_worker *w = p->workers[i];
		if (w->kill_error == 0)
			continue;
		process_pool_withdraw_newest(w, FL__RINGS_DEPTH);
		if (!w->damaged && !w->exiting && fl__rings_used(&w->rings) < FL__RINGS_DEPTH)
			process_pool_post_exit(w);
		process_pool_reap_worker(w);
	}
}

/* Supervision: tasks that run for too long. */

/*
 * When a started task began. The worker's time counts if it lies between the post and the moment
 * when this process first saw the task started; otherwise that moment counts, as when the slot
 * still has the time of its previous task.
 */
static int64_t process_pool_running_since(const struct fl__process_pool_worker *w, struct fl__task_times *times,
                                          uint32_t seq, int64_t now)
{
	if (times->seen == 0)
		times->seen = now;
	int64_t began = fl__rings_began(&w->rings, seq);
	return began >= times->posted && began <= times->seen ? began : times->seen;
}

/* When the task is killed for its deadline, if it has started by then; FL_FOREVER: never. */
static int64_t process_pool_deadline_kill_time(const struct fl__process_pool *p, const struct fl__task_block *block)
{
	return fl__later(fl_cancel_token_deadline(&block->future.token), p->deadline_grace);
}

/* When the task is killed for its deadline, a request, or `task_timeout`. */
static int64_t process_pool_kill_time(struct fl__process_pool_worker *w, const struct fl__task_block *block,
                                      bool started, int64_t now)
{
	const struct fl__process_pool *p = w->pool;
	struct fl__task_times *times = &w->times[block->seq % FL__RINGS_DEPTH];
	int64_t when = process_pool_deadline_kill_time(p, block);
	if (block->asked)
		when = fl__min_deadline(when, fl__later(times->asked, p->request_grace));
	if (p->config.task_timeout > 0) {
		int64_t since = started ? process_pool_running_since(w, times, block->seq, now) : now;
		when = fl__min_deadline(when, fl__later(since, p->config.task_timeout));
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

/*
 * Passes on a request of the task's token. True: the task had not started and is queued again, to
 * end as cancelled.
 */
static bool process_pool_forward_stop(struct fl__process_pool *p, struct fl__task_block *block)
{
	if (!block->stopper || block->asked || !fl_cancel_token_is_requested(&block->future.token))
		return false;
	if (process_pool_withdraw(p, block))
		return true;
	process_pool_request_stop(p, block);
	return false;
}

static int64_t process_pool_watch_worker(struct fl__process_pool_worker *w, int64_t now)
{
	int64_t next = FL_FOREVER;
	for (uint32_t seq = w->rings.first; seq != w->rings.next; seq++) {
		struct fl__task_block *block = w->blocks[seq % FL__RINGS_DEPTH];
		if (!block || process_pool_forward_stop(w->pool, block))
			continue;
		const bool started = fl__rings_has_started(&w->rings, seq);
		const int64_t when = process_pool_kill_time(w, block, started, now);
		if (when > now)
			next = fl__min_deadline(next, when);
		else if (!process_pool_withdraw(w->pool, block)) /* the CAS failed: it has started */
			process_pool_kill_overdue(w, block, now);
	}
	return next;
}

/*
 * Passes on new requests to stop. Kills the workers of tasks that run for too long. Returns when to
 * call it again.
 */
static int64_t process_pool_watch_tasks(struct fl__process_pool *p, int64_t now)
{
	int64_t next = FL_FOREVER;
	for (unsigned i = 0; i < p->n_workers; i++)
		if (!p->workers[i]->kill_reason)
			next = fl__min_deadline(next, process_pool_watch_worker(p->workers[i], now));
	return next;
}

/* Taking results. */

/* Maps the sealed memfd `fd` of `size` bytes as the future's result. */
static int process_pool_map_result(struct fl__task_block *block, int fd, size_t size)
{
	int64_t there;
	void *memory;
	int rc = fl__fd_sys.sealed_size(fd, &there);
	if (rc != 0 || there != (int64_t)size)
		return -EBADMSG;
	rc = fl__shm_sys.map_sealed(fd, size, &memory);
	if (rc != 0)
		return rc;
	block->future.result = memory;
	block->mapped = size;
	return 0;
}

/*
 * Receives the next packet. True: the search is over, with `*rc`. False: the packet was another
 * submission's.
 */
static bool process_pool_recv_packet(struct fl__process_pool_worker *w, struct fl__task_block *block, size_t size,
                                     int *rc)
{
	struct fl__memfd_packet head = {0, 0, 0};
	struct iovec part = {&head, sizeof head};
	int fds[FL__PACKET_FDS];
	struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = fds};
	*rc = fl__packet_try_recv(w->channel, &packet, 0);
	if (*rc != 0) {
		/* The worker sends the packet before it posts the completion. */
		*rc = *rc == -EAGAIN || *rc == -EPIPE ? -EBADMSG : *rc;
		return true;
	}
	bool ours = packet.size == sizeof head && head.magic == FL__MEMFD_MAGIC && head.seq == block->seq;
	if (packet.lost)
		*rc = -EMFILE;
	else if (ours)
		*rc = packet.n_fds == 1 ? process_pool_map_result(block, fds[0], size) : -EBADMSG;
	if (head.magic == FL__READY_MAGIC)
		w->ready = true;
	fl__fds_close(fds, packet.n_fds);
	return ours || packet.lost;
}

/*
 * Receives a result that is a memfd. Results of failed submissions, and "ready", may come before
 * it.
 */
static int process_pool_recv_result(struct fl__process_pool_worker *w, struct fl__task_block *block, size_t size)
{
	int rc = -EBADMSG;
	for (unsigned i = 0; i < 2 * FL__RINGS_DEPTH; i++)
		if (process_pool_recv_packet(w, block, size, &rc))
			return rc;
	return -EBADMSG;
}

/* Copies the first `n` of the result's `size` bytes. False: the result is a memfd. */
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
	if (size == 0 || process_pool_copy_result(w, block, size, size))
		return 0;
	if (completion->flags & FL__COMPLETION_MEMFD)
		return process_pool_recv_result(w, block, size);
	/* A failed submission may have no result, unless it kept one. */
	return completion->error != 0 && completion->count == 0 && !(completion->flags & FL__COMPLETION_KEPT)
	           ? 0
	           : -EBADMSG;
}

/* For a task that ran when its worker died: the elements that had ended keep their results. */
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
	if (each > 0 && block->done > 0 && block->done < count)
		(void)process_pool_copy_result(w, block, count * each, block->done * each);
}

static char *process_pool_take_message(const struct fl__process_pool_worker *w, unsigned slot, uint32_t flags)
{
	if (!(flags & FL__COMPLETION_MESSAGE))
		return NULL;
	char *message = fl__message_new(w->pool->base.allocator);
	if (!fl__message_lost(message)) {
		memcpy(message, w->rings.completions->message[slot], FL__RINGS_MESSAGE);
		message[FL__RINGS_MESSAGE - 1] = '\0';
	}
	return message;
}
_Static_assert(FL__RINGS_MESSAGE == FL_MESSAGE_MAX, "a message fits");

/* False: no sound worker posts such a completion. */
static bool process_pool_take_completion(struct fl__process_pool_worker *w, struct fl__task_block *block,
                                         const struct fl__completion *completion)
{
	struct fl__process_pool *p = w->pool;
	const unsigned slot = block->seq % FL__RINGS_DEPTH;
	const bool skipped = completion->flags & FL__COMPLETION_SKIPPED;
	const bool failed = completion->error != 0;
	if (!skipped && (failed ? completion->count >= block->future.count : completion->count != block->future.count))
		return false;
	w->blocks[slot] = NULL;
	block->worker = NULL;
	w->load--;
	p->posted--;
	fl__stopper_disarm(block);
	if (skipped) {
		process_pool_end_cancelled(p, block);
		return true;
	}
	block->done = completion->count;
	if (completion->flags & FL__COMPLETION_BETWEEN)
		block->asked = FL__STOP_BETWEEN;
	int rc = process_pool_take_result(w, block, completion);
	if (rc != 0) {
		process_pool_end_failed(p, block, rc, "the result does not arrive: %s", fl_error_text(rc));
		return true;
	}
	if (failed && (completion->flags & FL__COMPLETION_KEPT))
		fl__future_keep_result(&block->future);
	process_pool_end_claimed(p, block, completion->error,
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

/* A worker that is ready and initialized ends a row of failed starts. */
static void process_pool_check_ready(struct fl__process_pool_worker *w)
{
	/* relaxed: a word by itself */
	w->ready = fl__load_relaxed(&w->rings.completions->state) == FL__WORKER_READY;
	if (!w->ready || w->initializing)
		return;
	w->pool->failures = 0;
	w->pool->retry_at = 0;
}

/* Takes all completions of a worker. True: there was one. */
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
	if (some && w->pool->config.idle_timeout > 0 && fl__rings_used(&w->rings) == 0) {
		w->idle_since = fl__sys.now();
		process_pool_wake_manager_at(w->pool, fl__later(w->idle_since, w->pool->config.idle_timeout));
	}
	if (some && (w->retired || w->quota == 0) && !w->exiting && fl__rings_used(&w->rings) == 0)
		process_pool_post_exit(w);
	return some;
}

static bool process_pool_take_all(struct fl__process_pool *p)
{
	bool some = false;
	for (unsigned i = 0; i < p->n_workers; i++)
		some |= process_pool_take_from(p->workers[i]);
	return some;
}

/*
 * Ends the futures of the tasks in the list and returns their number. Called without the lock. With
 * `kept_end`, no user code runs: tasks that need it are appended there.
 */
static size_t process_pool_complete(struct fl__task_block *list, struct fl__task_block ***kept_end)
{
	size_t n = 0;
	while (list) {
		struct fl__task_block *block = list;
		fl_future *f = &block->future;
		list = block->next;
		if (!kept_end) {
			char *message = f->message;
			f->message = NULL;
			fl__future_finish(f, f->error, message);
		} else if (!fl__future_try_finish(f, NULL)) {
			process_pool_append(kept_end, block);
			continue;
		}
		fl_future_free(f); /* the producer's reference */
		n++;
	}
	return n;
}

/* Waiting threads fetch results. */

/* A waiting thread, and what it has completed since it last had the lock. */
struct process_pool_fetcher {
	bool busy; /* counted by `fetchers` */
	size_t n;
	struct fl__task_block *kept, **kept_end;
};

/* Accounts for the completed tasks, and hands the kept ones to the manager. */
static void process_pool_settle_fetcher(struct fl__process_pool *p, struct process_pool_fetcher *f)
{
	if (!f->busy)
		return;
	p->base.foreign -= f->n;
	p->fetchers--;
	if (f->kept) {
		*p->kept_end = f->kept;
		p->kept_end = f->kept_end;
		process_pool_wake_manager(p);
	}
	*f = (struct process_pool_fetcher){.kept_end = &f->kept};
	if (p->base.foreign == 0)
		fl_cond_broadcast(&p->base.gone);
	if (p->base.closed)
		process_pool_wake_manager(p);
}

/*
 * Takes completions, and completes the tasks in `ended`. False: there were none, or the lock was
 * taken. Called without the lock.
 */
static bool process_pool_fetch(struct fl__process_pool *p, struct process_pool_fetcher *f)
{
	if (fl_mutex_try_lock(&p->base.lock) != 0)
		return false;
	process_pool_settle_fetcher(p, f);
	bool some = process_pool_take_all(p);
	if (some) {
		p->fetches++;
		process_pool_dispatch(p);
	}
	struct fl__task_block *list = p->ended;
	p->ended = NULL;
	p->ended_end = &p->ended;
	f->busy = list != NULL;
	p->fetchers += f->busy;
	fl_mutex_unlock(&p->base.lock);
	f->n = process_pool_complete(list, &f->kept_end);
	return list != NULL;
}

static bool process_pool_wait_is_over(const fl_future *f, int64_t now, int64_t deadline, const fl_cancel_token *cancel)
{
	return fl_future_try_wait((fl_future *)f) == 0 || now >= deadline ||
	       (cancel && fl_cancel_token_is_requested(cancel));
}

/*
 * For a thread that waits for `f`. Fetches while results come, and for PATIENCE after the last.
 * After POLLS attempts, yields between them, since the workers may need this CPU. Then leaves the
 * rest to the manager. Called without the lock.
 */
static void process_pool_on_attend(fl_executor *e, fl_future *f, const fl_event *or_event, int64_t deadline,
                                   const fl_cancel_token *cancel)
{
	enum { POLLS = 32, PATIENCE = 100000 /* ns */ };
	struct fl__process_pool *p = fl__process_pool_of(e);
	struct fl__ctx *ctx = fl__ctx_get();
	struct process_pool_fetcher fetcher = {.kept_end = &fetcher.kept};
	if (ctx->ops != &fl__thread_parker)
		return; /* a fiber: its thread has others to run */
	if (or_event)
		return; /* only the manager calls the callback that sets it */
	const fl_cancel_token *token = fl__cancel_resolve(cancel, ctx);
	int64_t patience = 0;
	for (unsigned polls = 0, rounds = 1;; polls++, rounds++) {
		if (rounds % POLLS == 0 && process_pool_wait_is_over(f, fl__sys.now(), deadline, token))
			break;
		if (process_pool_fetch(p, &fetcher)) {
			polls = 0;
			patience = 0;
		}
		if (fl_future_try_wait(f) == 0)
			break;
		if (polls < POLLS) {
			fl__sys.relax();
			continue;
		}
		int64_t now = fl__sys.now();
		if (patience == 0)
			patience = now + PATIENCE;
		if (now >= patience || process_pool_wait_is_over(f, now, deadline, token))
			break;
		(void)fl__sys.give_way(now);
	}
	FL_LOCKED(&e->lock);
	process_pool_settle_fetcher(p, &fetcher);
	if (p->napping && fl_future_try_wait(f) != 0)
		process_pool_wake_manager(p); /* from now on the workers must ring */
}

/* The manager thread. */

enum { PROCESS_POOL_EVENTS = 16 };

/*
 * The length of a nap; how long the manager polls on after work; how often a busy manager polls
 * epoll.
 */
static const int64_t process_pool_nap = FL_MS(1), process_pool_spin = FL_US(30),
		     process_pool_poll_interval = FL_US(200);

struct process_pool_manager {
	struct fl__process_pool *p;
	uint32_t fetches; /* the pool's, as last seen */
	int64_t found;    /* when it last found work */
	int64_t polled;   /* when it last polled epoll without a sleep */
};

/* Drains doorbells and reaps dead workers. */
static void process_pool_handle_events(struct fl__process_pool *p, const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		const int fd = events[i].data.fd;
		unsigned k = 0;
		while (k < p->n_workers && p->workers[k]->doorbell != fd &&
		       fl__process_pool_sys.sentinel(p->workers[k]->process) != fd)
			k++;
		if (fd == p->doorbell || (k < p->n_workers && fd == p->workers[k]->doorbell))
			fl__process_pool_sys.drain(fd);
		else if (k < p->n_workers && !fl__process_pool_sys.is_alive(p->workers[k]->process))
			process_pool_reap_worker(p->workers[k]);
	}
}

/* Tells workers to exit that are idle for too long or not needed. Returns when to call it again. */
static int64_t process_pool_dismiss_idle(struct fl__process_pool *p, bool all, int64_t now)
{
	int64_t next = FL_FOREVER;
	const int64_t timeout = p->config.idle_timeout;
	for (unsigned i = 0; i < p->n_workers; i++) {
		struct fl__process_pool_worker *w = p->workers[i];
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

/* Completes the tasks in `ended` and `kept`. True: there was one. Releases the lock for a while. */
static bool process_pool_complete_ended(struct fl__process_pool *p)
{
	struct fl__task_block *kept = p->kept, *ended = p->ended;
	if (!kept && !ended)
		return false;
	p->kept = p->ended = NULL;
	p->kept_end = &p->kept;
	p->ended_end = &p->ended;
	fl_mutex_unlock(&p->base.lock);
	size_t n = process_pool_complete(kept, NULL) + process_pool_complete(ended, NULL);
	fl_mutex_lock(&p->base.lock);
	p->base.foreign -= n;
	if (p->base.foreign == 0)
		fl_cond_broadcast(&p->base.gone);
	return true;
}

static int process_pool_milliseconds_until(int64_t when)
{
	if (when == FL_FOREVER)
		return -1;
	int64_t ns = when - fl__sys.now();
	int64_t ms = ns <= 0 ? 0 : (ns + FL_MS(1) - 1) / FL_MS(1);
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* Releases the lock for the sleep. True: an event came. */
static bool process_pool_wait_events(struct fl__process_pool *p, int64_t when)
{
	struct epoll_event events[PROCESS_POOL_EVENTS];
	p->sleeping = true;
	p->wakes_at = when;
	fl_mutex_unlock(&p->base.lock);
	int n = fl__fd_sys.epoll_wait(p->epoll, events, PROCESS_POOL_EVENTS, process_pool_milliseconds_until(when));
	fl_mutex_lock(&p->base.lock);
	p->sleeping = p->woken = false;
	process_pool_handle_events(p, events, n); /* an error of the wait, as -EINTR, is no event */
	return n > 0;
}

/*
 * Arms the doorbells. False: a completion came, perhaps before the arming, and then no doorbell
 * rings.
 */
static bool process_pool_arm(struct fl__process_pool *p)
{
	if (++p->sleeps == 0)
		p->sleeps = 1;
	for (unsigned i = 0; i < p->n_workers; i++)
		fl__rings_arm(&p->workers[i]->rings, p->sleeps);
	return !process_pool_take_all(p);
}

static void process_pool_disarm(struct fl__process_pool *p)
{
	for (unsigned i = 0; i < p->n_workers; i++)
		fl__rings_disarm(&p->workers[i]->rings);
}

/*
 * Sleeps until an event or `until`: a nap if waiting threads have fetched since the last call.
 * True: they have fetched in this nap, too, and nothing else has happened.
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
	for (unsigned i = 0; p->terminated && i < p->n_workers; i++)
		process_pool_kill_worker(p->workers[i], "its executor was terminated");
}

/* Does all pending work once. True: there was some. Releases the lock for a while. */
static bool process_pool_do_work(struct fl__process_pool *p)
{
	bool some = process_pool_take_all(p);
	process_pool_kill_if_terminated(p);
	process_pool_give_up_unkillable(p);
	process_pool_dispatch(p);
	some |= process_pool_complete_ended(p);
	const bool tried = process_pool_has_tried_all(p);
	if (p->base.broken ? p->base.queue.head != NULL : p->init_error != 0 || (tried && p->lasting)) {
		process_pool_break(p);
		some = true;
	} else if (tried) {
		process_pool_end_queued(p);
		some = true;
	}
	return process_pool_try_start(p) || some;
}

/*
 * Acts on timeouts and dispatches. Returns the time of the next work. The manager holds the lock
 * until it sleeps, so that it misses nothing.
 */
static int64_t process_pool_check_timeouts(struct fl__process_pool *p)
{
	const bool closing = (p->base.closed || p->base.broken) && !p->base.queue.head;
	const int64_t now = fl__sys.now();
	process_pool_kill_if_terminated(p);
	int64_t until = fl__min_deadline(process_pool_watch_tasks(p, now), process_pool_dismiss_idle(p, closing, now));
	process_pool_give_up_unkillable(p);
	if (process_pool_wants_worker(p))
		until = fl__min_deadline(until, p->retry_at);
	const size_t posted = p->posted;
	process_pool_dispatch(p); /* tasks that were withdrawn, or submitted since */
	return p->ended || p->kept || p->posted > posted ? now : until;
}

static bool process_pool_is_over(const struct fl__process_pool *p)
{
	return p->base.closed && !p->base.queue.head && p->posted == 0 && !p->ended && !p->kept && p->fetchers == 0 &&
	       p->n_workers == 0;
}

/* A manager that always finds work never sleeps. It polls epoll here, to learn of deaths. */
static void process_pool_poll_events(struct process_pool_manager *m)
{
	struct epoll_event events[PROCESS_POOL_EVENTS];
	struct fl__process_pool *p = m->p;
	const int64_t now = fl__sys.now();
	if (now < m->polled + process_pool_poll_interval)
		return;
	m->polled = now;
	fl_mutex_unlock(&p->base.lock);
	int n = fl__fd_sys.epoll_wait(p->epoll, events, PROCESS_POOL_EVENTS, 0);
	fl_mutex_lock(&p->base.lock);
	process_pool_handle_events(p, events, n);
}

static void process_pool_yield(struct fl__process_pool *p)
{
	fl_mutex_unlock(&p->base.lock);
	(void)fl__sys.give_way(fl__sys.now());
	fl_mutex_lock(&p->base.lock);
}

static int process_pool_manage(void *arg)
{
	struct process_pool_manager m = {.p = arg};
	struct fl__process_pool *p = m.p;
	struct fl__run run;
	fl__rights_fix_place();
	fl__run_enter(&run, &p->base); /* so that a join by a callback is refused */
	fl_mutex_lock(&p->base.lock);
	for (bool fetchers_active = false; !process_pool_is_over(p);) {
		if (!fetchers_active && process_pool_do_work(p)) {
			m.found = fl__sys.now();
			process_pool_poll_events(&m);
		}
		if (process_pool_is_over(p))
			break;
		fetchers_active = false;
		if (m.fetches == p->fetches && fl__sys.now() < m.found + process_pool_spin)
			process_pool_yield(p);
		else
			fetchers_active = process_pool_nap_or_sleep(&m, process_pool_check_timeouts(p));
	}
	fl__run_leave(&run);
	p->finished = true;
	fl_cond_broadcast(&p->base.gone);
	fl_mutex_unlock(&p->base.lock); /* the last access */
	return 0;
}

static int process_pool_open_epoll(struct fl__process_pool *p)
{
	if (p->epoll >= 0)
		return 0;
	int epoll = fl__fd_above_streams(fl__fd_sys.epoll_create());
	int doorbell = epoll < 0 ? epoll : fl__fd_above_streams(fl__process_sys.eventfd());
	int rc = doorbell < 0 ? doorbell : fl__fd_sys.epoll_control(epoll, EPOLL_CTL_ADD, doorbell, EPOLLIN);
	if (rc == 0) {
		p->epoll = epoll;
		p->doorbell = doorbell;
		return 0;
	}
	fl__fd_close(doorbell);
	fl__fd_close(epoll);
	return rc == -ENOMEM || rc == -ENOSYS ? rc : -EAGAIN;
}

/* Returns 0, -EAGAIN, -ENOMEM or -ENOSYS. */
static int process_pool_start_manager(struct fl__process_pool *p)
{
	char name[32];
	(void)snprintf(name, sizeof name, "%s-manager", p->base.name);
	const fl_thread_config config = {.name = name};
	int rc = process_pool_open_epoll(p);
	if (rc == 0)
		rc =
		    fl__thread_start(&p->manager, process_pool_manage, p, &config, p->base.allocator, &p->base.signals);
	if (rc != 0)
		return rc == -ENOMEM || rc == -ENOSYS ? rc : -EAGAIN;
	p->running = true;
	return 0;
}

/* Cancel and resize. */

static bool process_pool_on_withdraw(fl_executor *e, struct fl__task_block *block)
{
	return block->worker && process_pool_withdraw(fl__process_pool_of(e), block);
}

static bool process_pool_on_has_started(fl_executor *e, const struct fl__task_block *block)
{
	(void)e;
	return block->worker && fl__rings_has_started(&block->worker->rings, block->seq);
}

static void process_pool_on_asked(fl_executor *e, struct fl__task_block *block)
{
	process_pool_request_stop(fl__process_pool_of(e), block);
}

static void process_pool_on_recall(fl_executor *e, bool ask)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	for (unsigned i = 0; i < p->n_workers; i++) {
		struct fl__process_pool_worker *w = p->workers[i];
		process_pool_withdraw_newest(w, FL__RINGS_DEPTH);
		for (unsigned slot = 0; ask && slot < FL__RINGS_DEPTH; slot++) {
			if (!w->blocks[slot])
				continue;
			fl__future_request_stop(&w->blocks[slot]->future);
			process_pool_request_stop(p, w->blocks[slot]);
		}
	}
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
	for (unsigned i = 0, kept = 0; i < p->n_workers; i++) {
		struct fl__process_pool_worker *w = p->workers[i];
		if (w->retired || ++kept <= workers)
			continue;
		w->retired = true;
		process_pool_withdraw_newest(w, FL__RINGS_DEPTH);
		if (fl__rings_used(&w->rings) == 0)
			process_pool_post_exit(w);
	}
	process_pool_dispatch(p);
	process_pool_wake_manager(p);
	return 0;
}

/* Terminate, join and destroy. */

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

static bool process_pool_is_busy(const fl_executor *e)
{
	return ((const struct fl__process_pool *)(const void *)e)->posted > 0;
}

static bool process_pool_has_ended(fl_executor *e)
{
	const struct fl__process_pool *p = fl__process_pool_of(e);
	return !p->running || (p->finished && fl__executor_is_idle(e));
}

static int process_pool_on_join(fl_executor *e, int64_t deadline, fl_cancel_token *cancel)
{
	return fl__executor_join_thread(e, &fl__process_pool_of(e)->manager, process_pool_has_ended, deadline, cancel);
}

/* Called without the lock. */
static void process_pool_on_destroy(fl_executor *e)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	int rc = fl_thread_detach(&p->manager);
	/* -EINVAL: joined or never started. In a forked child: frees the thread's memory. */
	(void)rc;
	/* Workers exist here only in a forked child, and belong to the parent. */
	for (unsigned i = 0; i < p->n_workers; i++)
		process_pool_free_worker(p->workers[i]);
	if (!fl__process_has_closed(e->fork_count)) {
		fl__fd_close(p->epoll);
		fl__fd_close(p->doorbell);
	}
	fl__message_free(p->init_message);
	fl__free_to(e->allocator, p->workers);
	fl__executor_fini(e); /* `p` lasts as long as its task blocks */
}

static const struct fl__executor_ops process_pool_ops = {
    .size = sizeof process_pool_ops,
    .kind = "processes",
    .capabilities = FL_CAP_CONCURRENT | FL_CAP_NESTED,
    .result_most = FL__RINGS_INLINE_MOST,
    .submit = process_pool_on_submit,
    .wake_all = process_pool_on_wake_all,
    .join = process_pool_on_join,
    .is_busy = process_pool_is_busy,
    .destroy = process_pool_on_destroy,
    .recall = process_pool_on_recall,
    .release = process_pool_on_release,
    .withdraw = process_pool_on_withdraw,
    .has_started = process_pool_on_has_started,
    .asked = process_pool_on_asked,
    .attend = process_pool_on_attend,
    .terminate = process_pool_on_terminate,
    .resize = process_pool_on_resize,
};

/* Create. */

#define PROCESS_POOL_DEADLINE_GRACE FL_MS(100) /* unless the config says otherwise */

static bool process_pool_config_is_valid(const fl_executor_config *config)
{
	return fl__executor_may_have(config->workers, FL_WORKERS_MAX, "fl_process_executor_create") &&
	       config->max_tasks >= 0 && config->idle_timeout >= 0 && config->task_timeout >= 0 &&
	       config->kill_after >= 0;
}

static int process_pool_check_start(void)
{
	if (fl__process_pool_sys.may_start())
		return 0;
	const char *missing = fl__reexec_missing();
	fl__log(FL_LOG_ERROR, "a process executor needs %s, or else fl_process_preload() before any thread",
	        missing ? missing : "a fork server");
	return -ENOTSUP;
}

/* Takes ownership of `p`, also on failure. */
static int process_pool_init(struct fl__process_pool *p, const fl_executor_config *config)
{
	unsigned workers = fl__executor_worker_count(config);
	int rc = fl__executor_init(&p->base, &process_pool_ops, workers, config, true);
	if (rc != 0) {
		fl__free_to(config->allocator, p);
		return rc;
	}
	p->config = *config;
	p->deadline_grace = config->kill_after > 0 ? config->kill_after : PROCESS_POOL_DEADLINE_GRACE;
	p->request_grace = config->kill_after > 0 ? config->kill_after : FL_FOREVER;
	p->epoll = p->doorbell = -1;
	p->ended_end = &p->ended;
	p->kept_end = &p->kept;
	p->wakes_at = FL_FOREVER;
	struct fl__type_known *known;
	rc = config->initialize ? process_pool_lookup_type(p, config->initialize, &known) : 0;
	if (rc != 0)
		fl__executor_fini(&p->base); /* frees `p` */
	else if (config->initialize)
		p->initializer = *known;
	return rc;
}

int fl_process_executor_create(fl_executor **made, const fl_executor_config *config)
{
	static const fl_executor_config defaults;
	if (!config)
		config = &defaults;
	if (!process_pool_config_is_valid(config))
		return -EINVAL;
	int rc = process_pool_check_start();
	if (rc != 0)
		return rc;
	struct fl__process_pool *p = fl__alloc_from(config->allocator, 1, sizeof *p);
	if (!p)
		return -ENOMEM;
	rc = process_pool_init(p, config);
	if (rc == 0)
		*made = &p->base;
	return rc;
}

size_t fl_process_executor_pids(fl_executor *e, int *pids, size_t room)
{
	fl__executor_check(e, "fl_process_executor_pids");
	struct fl__process_pool *p = fl__process_pool_of(e);
	if (e->ops != &process_pool_ops || fl__executor_is_forked(e))
		return 0;
	FL_LOCKED(&e->lock);
	for (unsigned i = 0; i < p->n_workers && i < room; i++)
		pids[i] = fl__process_pool_sys.pid(p->workers[i]->process);
	return p->n_workers;
}
