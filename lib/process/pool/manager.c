/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manager thread. It gives tasks to workers, takes completions, forwards requests to stop,
 * kills workers whose tasks run for too long or use too much memory, dismisses idle workers, reaps
 * dead workers, and sleeps when nothing is left to do.
 *
 * The manager sleeps in epoll in one of two ways:
 *   - In an armed sleep, it arms all doorbells and takes completions once more before it sleeps
 *     (rings.c, invariant 4). The sleep ends at a doorbell, at a death, at the next timeout of a
 *     task or a worker, or when a failed start is to be tried again.
 *   - In a nap, no worker rings, because waiting threads take the completions. The nap ends after a
 *     fixed time at the latest. It ends earlier at the next timeout of a task or a worker, at a
 *     death, or when the pool's doorbell rings, for example because a thread stops waiting for a
 *     future that has not ended.
 *
 * After work the manager polls for a short time, with yields, because a sleep costs two wakes. It
 * does not poll while a worker starts, because the start also needs the CPU and the lock, nor while
 * polling is off.
 *
 * Deadlines. No executor can interrupt a C function. On threads and on a loop, a task whose
 * deadline has passed is only asked to stop. But a process can be killed: if a task still runs some
 * time after its deadline (`grace_period`, by default 100 ms), its worker is killed. The task's
 * error is -ETIMEDOUT, so that the caller can tell an expired task from a crashed one. After a
 * request to stop, a worker is killed only if `grace_period` is set, because a caller of
 * fl_future_cancel() does not expect a worker to die. If a task returns -ECANCELED after its
 * deadline, its future ends with -ETIMEDOUT on all kinds of executors, even if the task was also
 * asked to stop. When a deadline passes, the caller often requests a stop as well, and the error
 * must not depend on which of the two comes first.
 *
 * Memory. A worker checks its own memory after a task, and leaves when it has passed `memory_max`
 * (worker.c). While a task runs, only the manager checks: every 10 ms, and only the workers whose
 * task was already running at the previous check. So workers with short tasks are not checked. The
 * manager kills a worker with more than twice the limit. That ends only the task that has passed
 * the limit, because a worker above the limit does not begin a task. (Between two of its own
 * checks, a worker's memory may grow by about 10 MiB, so the limit must not be much smaller than
 * that.) The checks stop when no task is posted, and the next post wakes the manager. So a caller
 * that submits one task after another causes one wake per 10 ms.
 */
#include "../base/process_sys.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/sync/thread.h"
#include "process_pool.h"
#include <fairlead/time.h>

/* Tasks that run for too long. */

/*
 * Returns when a started task began. That is the time that the worker has stored, if it lies
 * between the post and the moment when this process first saw that the task had started. Otherwise
 * it is that moment.
 */
static int64_t process_pool_running_since(const struct fl__process_pool_worker *w, struct fl__task_times *times,
                                          uint32_t seq, int64_t now)
{
	if (times->seen == 0)
		times->seen = now;
	/* relaxed: the worker's time is only a hint, and is checked */
	const int64_t began = fl__load_relaxed(&w->rings.completions->entry[seq % FL__RINGS_DEPTH].began);
	return began >= times->posted && began <= times->seen ? began : times->seen;
}

/* Returns when a started task is to be killed for its deadline, or FL__NEVER. */
static int64_t process_pool_deadline_kill_time(const struct fl__process_pool *p, const struct fl__task_block *block)
{
	return fl__later(fl__expiry(block->future.token.deadline_), p->deadline_grace);
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
		fl__process_pool_kill_worker(w, "its task ran for too long");
		return;
	}
	block->asked = FL__STOP_EXPIRED;
	/* the text says "a task", because the worker may have begun another one by now */
	fl__process_pool_kill_worker(w, "it ran a task past its deadline");
}

/*
 * Forwards a request to stop to the worker. Returns true if the task is queued again instead, to
 * end as cancelled.
 */
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
 * Checks all tasks of workers that are not damaged, and forwards requests to stop. If a task has
 * expired, takes it back if it has not started; otherwise kills its worker. Also watches the tasks
 * of a killed worker, because more of them may expire. Returns the time of the next call.
 */
static int64_t process_pool_watch_tasks(struct fl__process_pool *p, int64_t now)
{
	int64_t again = FL__NEVER;
	FL__EACH_SAFE (struct fl__task_block, block, p->remote.posted.head) {
		struct fl__process_pool_worker *w = block->worker;
		if (w->damaged || process_pool_forward_stop(p, block))
			continue;
		const bool started = fl__rings_has_started(&w->rings, block->seq);
		const int64_t when = process_pool_kill_time(w, block, started, now);
		if (when > now)
			again = fl__min_deadline(again, when);
		/* the task is taken back if it has not started; if it has, its worker is killed */
		else if (!fl__remote_on_withdraw(&p->base, block))
			process_pool_kill_overdue(w, block, now);
	}
	return again;
}

/*
 * Asks the initializers to stop if the executor was cancelled. With `grace_period` it kills the
 * workers whose initializers still run that long after the request. Returns the time of the next
 * call.
 */
static int64_t process_pool_watch_initializers(struct fl__process_pool *p, int64_t now)
{
	int64_t again = FL__NEVER;
	if (!fl__cancel_is_requested(&p->base.stop))
		return again;
	FL__EACH_WORKER (w, p) {
		int64_t *const asked = &w->times[w->rings.first % FL__RINGS_DEPTH].asked;
		if (!w->initializing || w->kill_reason)
			continue;
		if (*asked == 0) {
			*asked = now;
			fl__rings_request_stop(&w->rings, w->rings.first);
		}
		const int64_t when = fl__later(*asked, p->request_grace);
		if (when <= now)
			fl__process_pool_kill_worker(w, "its initializer ran on after its executor was cancelled");
		else
			again = fl__min_deadline(again, when);
	}
	return again;
}

/* Tasks that use too much memory. */

static const int64_t process_pool_look = FL_MS(10);

/*
 * Returns true if the worker has been running the same task since the previous look, and uses more
 * than twice `memory_max`. If the worker has ended, its pid may belong to another process.
 */
static bool process_pool_is_large(struct fl__process_pool_worker *w)
{
	const uint32_t oldest = w->rings.first;
	const bool lasts = w->looked_at == oldest && w->blocks[oldest % FL__RINGS_DEPTH];
	w->looked_at = oldest;
	return lasts && fl__rings_has_started(&w->rings, oldest) &&
	       fl__process_pool_sys.memory(fl__process_pool_sys.pid(w->process)) / 2 >
	           w->pool->remote.config.memory_max &&
	       fl__process_pool_sys.is_alive(w->process);
}

/* Kills the workers whose task uses too much memory. Returns the time of the next call. */
static int64_t process_pool_watch_memory(struct fl__process_pool *p, int64_t now)
{
	if (p->remote.config.memory_max == 0)
		return FL__NEVER;
	if (p->look_at > now)
		return p->look_at;
	FL__EACH_WORKER (w, p) {
		if (w->kill_reason || w->damaged || !process_pool_is_large(w))
			continue;
		w->large = true;
		fl__process_pool_kill_worker(w, "its task had passed twice the limit memory_max");
	}
	p->look_at = p->remote.posted.length > 0 ? now + process_pool_look : FL__NEVER;
	return p->look_at;
}

/* The sleep. */

enum { PROCESS_POOL_EVENTS = 16 };

/*
 * The length of a nap; the time for which the manager polls after work; and the pause between a
 * busy manager's polls of epoll.
 */
static const int64_t process_pool_nap = FL_MS(1), process_pool_spin = FL_US(30),
		     process_pool_poll_interval = FL_US(200);

struct process_pool_manager {
	struct fl__process_pool *p;
	uint32_t fetches; /* the pool's `fetches`, as the manager last saw it */
	int64_t found;    /* when the manager last found work */
	int64_t polled;   /* when the manager last polled epoll without a sleep */
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
			fl__process_pool_reap_worker(w);
	}
}

/*
 * Tells idle workers to exit: with `all`, every idle worker; otherwise the workers that were idle
 * for too long, are retired, or have used up their quota of tasks. Returns the time of the next
 * call.
 */
static int64_t process_pool_dismiss_idle(struct fl__process_pool *p, bool all, int64_t now)
{
	int64_t next = FL__NEVER;
	const int64_t timeout = p->remote.config.idle_timeout;
	FL__EACH_WORKER (w, p) {
		if (w->exiting || w->kill_reason || fl__rings_used(&w->rings) > 0)
			continue;
		if (w->idle_since == 0)
			w->idle_since = now;
		if (all || w->retired || w->quota == 0 || (timeout > 0 && fl__later(w->idle_since, timeout) <= now))
			fl__process_pool_post_exit(w);
		else if (timeout > 0)
			next = fl__min_deadline(next, fl__later(w->idle_since, timeout));
	}
	return next;
}

static int process_pool_milliseconds_until(int64_t when)
{
	if (when == FL__NEVER)
		return -1;
	int64_t ns = when - fl__sys.now();
	int64_t ms = ns <= 0 ? 0 : (ns + FL_MS(1) - 1) / FL_MS(1);
	return (int)FL__MIN(ms, INT32_MAX);
}

/* Sleeps until an event or the time `when`, without the lock. Returns true if an event came. */
static bool process_pool_wait_events(struct fl__process_pool *p, int64_t when)
{
	struct epoll_event events[PROCESS_POOL_EVENTS];
	p->sleeping = true;
	p->wakes_at = when;
	fl_mutex_unlock(&p->base.lock);
	int n = fl__fd_sys.epoll_wait(p->epoll, events, PROCESS_POOL_EVENTS, process_pool_milliseconds_until(when));
	fl__mutex_hold(&p->base.lock);
	p->sleeping = p->woken = false;
	/* an error of the wait, for example -EINTR, counts as no event */
	process_pool_handle_events(p, events, n);
	return n > 0;
}

/*
 * Arms all doorbells. Returns false if a completion has come; if it came before the arming, no
 * worker rings for it.
 */
static bool process_pool_arm(struct fl__process_pool *p)
{
	if (++p->sleeps == 0)
		p->sleeps = 1;
	FL__EACH_WORKER (w, p)
		fl__rings_arm(&w->rings, p->sleeps);
	return !fl__process_pool_take_all(p);
}

static void process_pool_disarm(struct fl__process_pool *p)
{
	FL__EACH_WORKER (w, p)
		fl__rings_disarm(&w->rings);
}

/*
 * Naps if waiting threads have fetched completions since the last call; otherwise sleeps. Returns
 * true if they have also fetched some during this nap and nothing else has happened.
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
			fl__process_pool_kill_worker(w, "its executor was terminated");
}

/* Does all work that there is. May release the lock for a while. Returns true if there was work. */
static bool process_pool_do_work(struct fl__process_pool *p)
{
	bool some = fl__process_pool_take_all(p);
	process_pool_kill_if_terminated(p);
	fl__process_pool_give_up_unkillable(p);
	fl__process_pool_dispatch(p);
	some |= fl__remote_complete(&p->remote, true);
	some |= fl__process_pool_give_up_starting(p);
	return some;
}

/* Returns the time of the next work. The caller holds the lock from here until the sleep. */
static int64_t process_pool_check_timeouts(struct fl__process_pool *p)
{
	const bool closing = (p->base.closed || p->base.broken) && !p->base.queue.head;
	const int64_t now = fl__sys.now();
	process_pool_kill_if_terminated(p);
	int64_t until = fl__min_deadline(process_pool_watch_tasks(p, now), process_pool_dismiss_idle(p, closing, now));
	until = fl__min_deadline(until, process_pool_watch_initializers(p, now));
	until = fl__min_deadline(until, process_pool_watch_memory(p, now));
	fl__process_pool_give_up_unkillable(p);
	if (fl__process_pool_wants_worker(p))
		until = fl__min_deadline(until, p->retry_at);
	/* dispatches tasks that were recalled, or submitted since */
	fl__process_pool_dispatch(p);
	return p->remote.ended || p->remote.kept ? now : until;
}

/*
 * A manager that always finds work does not sleep. It learns of deaths here, and looks at the
 * timeouts.
 */
static void process_pool_poll_events(struct process_pool_manager *m)
{
	const int64_t now = fl__sys.now();
	if (now < m->polled + process_pool_poll_interval)
		return;
	m->polled = now;
	(void)process_pool_wait_events(m->p, now);
	(void)process_pool_check_timeouts(m->p);
}

void fl__process_pool_manage(fl_executor *e)
{
	struct fl__process_pool *p = fl__process_pool_of(e);
	struct process_pool_manager m = {.p = p};
	for (bool fetchers_active = false; !fl__process_pool_is_over(p);) {
		if (!fetchers_active && process_pool_do_work(p)) {
			m.found = fl__sys.now();
			process_pool_poll_events(&m);
		}
		if (fl__process_pool_is_over(p))
			break;
		fetchers_active = false;
		const int64_t now = fl__sys.now();
		if (m.fetches == p->fetches && !p->starting && now < m.found + process_pool_spin && fl__may_poll()) {
			fl_mutex_unlock(&p->base.lock);
			(void)fl__sys.give_way(now);
			fl__mutex_hold(&p->base.lock);
		} else {
			fetchers_active = process_pool_nap_or_sleep(&m, process_pool_check_timeouts(p));
		}
	}
	fl_cond_signal(&p->start);
	fl_mutex_unlock(&p->base.lock);
	fl__thread_join(&p->starter);
	fl__mutex_hold(&p->base.lock);
}
