/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process executor in the parent process, on the remote core (remote/remote.c has the states of
 * a task). It reaches its workers (worker.c) by rings in shared memory (rings.c). This file
 * contains the executor's interface; submissions.c, completions.c, workers.c and manager.c contain
 * the rest. The rules for failed starts are in workers.c.
 *
 * Invariants
 *   1. A task is in the blocks[] of its worker exactly while it is posted.
 *   2. A worker's writes affect only that worker's tasks. If no sound worker would write a
 *      completion, the parent kills the worker and settles its tasks as after any death.
 *   3. Only the parent, the worker, and children of the worker's tasks have access to the rings'
 *      memory. The parent maps the submission ring before it seals the ring against writing, so no
 *      other process can write to it. The memory of both rings is allocated in advance and cannot
 *      shrink, so no access raises SIGBUS.
 *
 * Threads of the parent. A submit posts to a ring, and from time to time also takes completions. A
 * thread that waits for a future takes completions and posts more while it waits, so that a round
 * trip needs no third thread. The manager does the rest: it learns of workers' deaths, watches
 * deadlines, and runs callbacks and `drop_arg` hooks. Waiting and submitting threads do not run
 * callbacks and hooks, but a thread that cancels a task or ends the executor may (remote/remote.c).
 * However, a waiting thread runs the callback of a lazy map, because that belongs to the library. A
 * separate thread, the starter, starts workers, because a start may wait 30 s for an answer, and
 * meanwhile the manager must watch deadlines. The starter posts tasks to a worker that it has
 * started.
 *
 * Why rings. The rings need no locks, and each word is written by only one process, except one
 * claim word for each submission. The CAS on the claim word orders a cancel, a recall and the start
 * of the submission. The `done` and claim words tell what a dead worker has left. A submission with
 * `done` has ended, with its result. A submission that is RUNNING without `done` fails with the
 * worker's death as its message, unless `max_attempts` lets it run again. The other submissions
 * never began, and go to another worker, unless the pool was terminated.
 *
 * The executor does not have `workers_max`. If all workers wait for something that only a pending
 * task can do, the executor hangs silently. So it needs an additional worker for each task that
 * waits for another task (docs/decisions/process-workers-max.md). FL_DEBUG=waits shows the pending
 * tasks of each executor, and `ps` shows the workers that sleep, by their names. The same holds for
 * the MPI executor.
 *
 * Signals. A worker process cannot just keep the default actions, because Ctrl-C reaches it
 * together with the parent, which may want to end its work in order. It does not ignore the signals
 * either, because a program that a task executes inherits ignored signals, but not handlers. So the
 * worker sets a handler that does nothing. A program of fl_process_start() has the caller's mask,
 * as after posix_spawn(), but without the signals that `fl_signals` has blocked, because the
 * library blocked those, and SIGTERM must end the program.
 */
#include "process_pool.h"
#include "../base/process_sys.h"
#include "../start/fork_server.h"
#include "../start/reexec.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/sync/thread.h"
#include "fd/try_io.h"
#include <errno.h>
#include <fairlead/time.h>

static int process_pool_check_start(void)
{
	return fl__fork_server_pid() > 0
	           ? 0
	           : fl__reexec_check("a process executor", ", or else fl_process_preload() before any thread");
}

static void process_pool_drain_doorbell(int doorbell)
{
	uint64_t rings;
	/* the read does not wait, even if the worker has changed its doorbell's flags */
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
    .memory = fl__process_memory,
    .ring = fl__ring,
    .drain = process_pool_drain_doorbell,
};

/* The transport. */

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

/*
 * The starter is started before the manager. If the manager then cannot be started, the starter
 * stays asleep, and the next submit tries to start the manager again.
 */
static int process_pool_on_start(fl_executor *e)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	int rc = p->epoll < 0 ? process_pool_open_epoll(p) : 0;
	if (rc == 0 && !p->starter)
		rc = fl__remote_start_thread(&p->remote, &p->starter, "starter", fl__process_pool_run_starter, p);
	return rc;
}

static bool process_pool_on_poll(fl_executor *e)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	if (fl_mutex_try_lock(&e->lock) != 0)
		return false;
	if (fl__process_pool_take_all(p)) {
		p->fetches++;
		fl__process_pool_dispatch(p);
	}
	const bool some = fl__remote_complete(&p->remote, false);
	fl_mutex_unlock(&e->lock);
	return some;
}

static void process_pool_on_leave(fl_executor *e, bool over)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	if (over)
		return;
	FL__HELD(&e->lock);
	if (p->napping)
		fl__process_pool_wake(p); /* from now on the workers must ring */
}

static void process_pool_on_wake(fl_executor *e)
{
	fl__process_pool_wake(fl__process_pool_of(e));
}

static bool process_pool_on_has_started(const struct fl__task_block *block)
{
	const struct fl__process_pool_worker *w = block->worker;
	return w && fl__rings_has_started(&w->rings, block->seq);
}

const struct fl__remote_transport fl__process_pool_transport = {
    .start = process_pool_on_start,
    .post = fl__process_pool_post,
    .has_started = process_pool_on_has_started,
    .recall = fl__process_pool_recall,
    .stop = fl__process_pool_stop,
    .poll = process_pool_on_poll,
    .leave = process_pool_on_leave,
    .wake = process_pool_on_wake,
    .manage = fl__process_pool_manage,
};

/* The executor interface. */

/*
 * One submit in PROCESS_POOL_TAKE_EACH also checks the completion rings, which costs a cache miss
 * for each worker.
 */
enum { PROCESS_POOL_TAKE_EACH = 8 };

static int process_pool_on_submit(fl_executor *e, struct fl__task_block *block)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	FL__HELD(&e->lock);
	int rc = fl__remote_queue(&p->remote, block);
	if (rc != 0)
		return rc;
	if (p->remote.posted.head && ++p->submits % PROCESS_POOL_TAKE_EACH == 0)
		(void)fl__process_pool_take_all(p);
	fl__process_pool_dispatch(p);
	return 0;
}

static int process_pool_on_resize(fl_executor *e, unsigned workers)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	/* relaxed: the number does not publish other data, and is read without the lock */
	fl__store_relaxed(&e->workers, workers);
	unsigned kept = 0;
	FL__EACH_WORKER (w, p) {
		if (w->retired || ++kept <= workers)
			continue;
		w->retired = true;
		fl__process_pool_recall_newest(w, FL__RINGS_DEPTH);
		if (fl__rings_used(&w->rings) == 0)
			fl__process_pool_post_exit(w);
	}
	fl__process_pool_dispatch(p);
	fl__process_pool_wake(p);
	return 0;
}

static void process_pool_on_terminate(fl_executor *e)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	p->terminated = true;
	fl__process_pool_wake(p);
}

/* Called without the lock. */
static void process_pool_on_destroy(fl_executor *e)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	FL__EACH_SAFE (struct fl__process_pool_worker, w, p->workers) {
		fl__process_pool_free_worker(w);
	}
	fl__fd_close(p->epoll);
	fl__fd_close(p->doorbell);
	fl__message_free(p->init_message);
	fl_cond_signal(&p->start);
	fl__thread_join(&p->starter);
	fl__fork_server_count_pool(-1);
	fl__remote_fini(&p->remote);
}

/* The function may read without the lock, which ThreadSanitizer must not see. */
__attribute__((no_sanitize("thread"))) static void process_pool_on_count(const fl_executor *e, fl_stats_executor *stats)
{
	/* the executor is the pool's first member */
	const struct fl__process_pool *p = (const void *)e;
	const size_t posted = p->remote.posted.length, alive = p->alive;
	/* the dispatch gives each worker that takes tasks one task before any worker has two */
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
    .on_closed = process_pool_on_wake,
    .destroy = process_pool_on_destroy,
    .terminate = process_pool_on_terminate,
    .count = process_pool_on_count,
    .resize = process_pool_on_resize,
};

#define PROCESS_POOL_DEADLINE_GRACE FL_MS(100) /* for a config that does not set it */

int fl_process_executor_create(fl_executor **made, const fl_executor_config *config)
{
	config = FL__OR_DEFAULTS(config);
	if (!fl__executor_may_have(config->workers, FL_WORKERS_MAX, "fl_process_executor_create") ||
	    !fl__remote_config_is_valid(config))
		return -EINVAL;
	int rc = fl__process_pool_sys.check_start();
	if (rc != 0)
		return rc;
	if (config->memory_max > 0 && fl__process_pool_sys.memory(getpid()) == 0) {
		fl__log(FL_LOG_ERROR,
		        "fl_process_executor_create: memory_max needs /proc/PID/statm: is /proc mounted?");
		return -ENOTSUP;
	}
	struct fl__process_pool *p = fl__alloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	p->deadline_grace = config->grace_period > 0 ? config->grace_period : PROCESS_POOL_DEADLINE_GRACE;
	p->request_grace = config->grace_period > 0 ? config->grace_period : FL__NEVER;
	p->epoll = p->doorbell = -1;
	p->wakes_at = FL__NEVER;
	p->look_at = config->memory_max > 0 ? FL__NEVER : 0;
	rc = fl__remote_init(&p->remote, &process_pool_ops, &fl__process_pool_transport,
	                     fl__executor_worker_count(config), config);
	if (rc == 0) {
		fl__fork_server_count_pool(1);
		*made = &p->base;
	}
	return rc;
}

size_t fl_process_executor_pids(const fl_executor *of, int *pids, size_t room)
{
	fl_executor *e = FL__MUTABLE(of);
	fl__executor_must_enter(e, "fl_process_executor_pids");
	if (e->ops != &process_pool_ops)
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
