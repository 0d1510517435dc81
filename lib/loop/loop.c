/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop. Section 8 of docs/design.md says what a fiber may rely on.
 *
 * Events. One wait may return several events. If the `fire` of one event removes another source,
 * the loop clears that source in the remaining events, so that a removed source may be freed.
 *
 * Polls. While fibers are runnable, the loop runs a batch of switches, then polls without sleeping.
 * Such a poll costs as much as a few switches, so the batch adapts to the time between two polls:
 *
 *   below loop_poll_too_often    the next batch is twice as long, up to LOOP_BATCH_MAX switches
 *   above loop_poll_too_seldom   the next batch is one round of the runnable fibers; a running
 *                                batch ends after the current piece of LOOP_BATCH_PIECE switches
 *
 * A loop with nothing to run sleeps in one system call of its poller, until an event comes or until
 * the next deadline of a timer or of a waiting fiber. If another thread ended the last sleep soon
 * after it began, the loop spins for a moment before it sleeps.
 */
#include "loop.h"
#include "core/base/atomic.h"
#include "core/base/list.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "linger.h"
#include "loop_debug.h"
#include "poller.h"
#include "to_thread.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>

enum { LOOP_BATCH_MAX = 512, LOOP_BATCH_PIECE = 64, LOOP_OWN_FIBERS = 1 };
static const int64_t loop_poll_too_often = FL_US(25), loop_poll_too_seldom = FL_US(100);

/* Events. */

int fl__loop_add(fl_loop *l, int fd, uint32_t events, struct fl__poller_source *source)
{
	return fl__poller_sys.control(l->poller, EPOLL_CTL_ADD, fd, events, source);
}

int fl__loop_modify(fl_loop *l, int fd, uint32_t events, struct fl__poller_source *source)
{
	return fl__poller_sys.control(l->poller, EPOLL_CTL_MOD, fd, events, source);
}

void fl__loop_remove(fl_loop *l, int fd, const struct fl__poller_source *source)
{
	/* a closed `fd` is no longer registered */
	(void)fl__poller_sys.control(l->poller, EPOLL_CTL_DEL, fd, 0, NULL);
	for (int i = l->next_event; i < l->n_events; i++)
		if (l->events[i].data.ptr == source)
			l->events[i].data.ptr = NULL;
}

static void loop_on_bell(void *source, uint32_t events)
{
	fl_loop *l = FL__CONTAINER_OF(source, fl_loop, on_bell);
	(void)events;
	/* pairs with the release in loop_wake(); ThreadSanitizer does not know that events order */
	fl__tsan_acquire(source);
	/* the eventfd is watched edge-triggered, so it is not read */
	l->rung = true;
}

/* Polls once. Treats an error, for example -EINTR, like a poll without events. */
static void loop_poll(fl_loop *l, int64_t deadline)
{
	fl__loop_debug_note(l, false);
	l->n_events = fl__poller_sys.wait(l->poller, l->events, FL__LOOP_EVENTS, deadline);
	fl__loop_debug_note(l, true);
	l->held_up |= l->calling;
	for (l->next_event = 0; l->next_event < l->n_events;) {
		const struct epoll_event *event = &l->events[l->next_event++];
		struct fl__poller_source *source = event->data.ptr;
		if (l->next_event < l->n_events)
			__builtin_prefetch(event[1].data.ptr);
		if (source)
			source->fire(source, event->events);
	}
	l->n_events = 0;
}

static int loop_sleep(struct fl__sched *s, int64_t deadline)
{
	fl_loop *l = s->config.user;
	l->rung = false;
	loop_poll(l, deadline);
	return l->rung ? 0 : -EINTR;
}

static void loop_wake(struct fl__sched *s)
{
	fl_loop *l = s->config.user;
	const int bell = l->bell;
	fl__tsan_release(&l->on_bell); /* pairs with the acquire in loop_on_bell() */
	fl__poller_sys.ring(bell);
}

int fl__loop_await(struct fl__node **waiter, enum fl__debug_kind kind, const void *object, fl_time deadline,
                   fl_cancel_token *cancel)
{
	FL__WAIT(wait, node, kind, object);
	*waiter = &node;
	const int rc = fl__wait_sleep(&wait, deadline, cancel);
	*waiter = NULL;
	return rc;
}

struct loop_fd_waiter {
	struct fl__poller_source source;
	struct fl__node *waiting;
};

static void loop_on_fd_event(void *source, uint32_t events)
{
	(void)events;
	fl__loop_wake(((struct loop_fd_waiter *)source)->waiting);
}

int fl__loop_wait_fds(fl_loop *l, const struct pollfd *fds, unsigned n, enum fl__debug_kind kind, const void *object,
                      fl_time deadline, fl_cancel_token *cancel)
{
	struct loop_fd_waiter w = {.source.fire = loop_on_fd_event};
	unsigned added = 0;
	int rc = 0;
	while (added < n && rc == 0) {
		/* poll and epoll have the same bits */
		const uint32_t events = (uint16_t)fds[added].events | EPOLLONESHOT;
		rc = fl__loop_add(l, fds[added].fd, events, &w.source);
		added += rc == 0;
	}
	if (rc == 0)
		rc = fl__loop_await(&w.waiting, kind, object, deadline, cancel);
	while (added-- > 0)
		fl__loop_remove(l, fds[added].fd, &w.source);
	return rc;
}

/* Returns -ENOSYS if a descriptor cannot be registered, for example one that the loop watches. */
static int loop_wait_fds(struct fl__sched *s, const struct pollfd *fds, unsigned n, fl_time deadline,
                         fl_cancel_token *cancel)
{
	const int rc = fl__loop_wait_fds(s->config.user, fds, n, FL__DEBUG_DESCRIPTOR, (void *)(uintptr_t)fds[0].fd,
	                                 deadline, cancel);
	return rc == 0 || rc == -ETIMEDOUT || rc == -ECANCELED ? rc : -ENOSYS;
}

static const struct fl__sched_ops loop_sched_ops = {loop_sleep, loop_wake, loop_wait_fds};

/* Running. */

fl_loop *fl_loop_current(void)
{
	const struct fl__sched *s = fl__sched_current;
	return s ? s->config.user : NULL;
}

fl_loop *fl__loop_needed(bool waits, const char *function)
{
	fl_loop *l = fl_loop_current();
	if (l && (!waits || fl_fiber_current()))
		return l;
	fl__log(FL_LOG_ERROR, "%s needs a %s: see fl_loop_run()", function,
	        waits ? "fiber of an event loop" : "thread that runs an event loop");
	return NULL;
}

void fl__loop_missing(const char *function)
{
	fl__panic(function, NULL, "the loop is NULL: does this thread run one?");
}

static int loop_enter(fl_loop *l)
{
	int rc = fl__sched_enter(l->sched);
	if (rc != 0 || !l->armed)
		return rc;
	l->armed = false;
	fl__sched_disarm(l->sched, loop_sleep(l->sched, 0) == 0);
	return 0;
}

static void loop_poll_and_adapt(fl_loop *l)
{
	const int64_t now = fl__sys.now(), apart = now - l->polled;
	if (l->polled != 0 && apart > loop_poll_too_seldom)
		l->batch = 1;
	else if (l->polled != 0 && apart < loop_poll_too_often && l->batch < LOOP_BATCH_MAX)
		l->batch *= 2;
	l->polled = now;
	loop_poll(l, 0);
}

/* Polls, so that wakes by other threads do not starve the poller's events. */
static void loop_poll_if_due(fl_loop *l)
{
	if (fl__sys.now() - l->polled >= loop_poll_too_often)
		loop_poll_and_adapt(l);
}

/* Runs a batch. Reads the clock after each piece, because a fiber may compute for a long time. */
static void loop_run_batch(fl_loop *l)
{
	size_t left = l->batch;
	for (;;) {
		const size_t all = l->sched->runnable, piece = FL__MIN(left, LOOP_BATCH_PIECE);
		/* the least number of switches in this piece */
		const size_t run = FL__MAX(all, piece);
		if (!fl__sched_turn(l->sched, piece) || left <= run || fl__sys.now() - l->polled > loop_poll_too_seldom)
			return;
		left -= run;
	}
}

/* Waits for work. The reports of slow fibers also count the spin before the sleep as waiting. */
static bool loop_wait_for_work(fl_loop *l)
{
	fl__loop_debug_note(l, false);
	const bool slept = fl__sched_sleep(l->sched, fl__loop_next_timer(l));
	fl__loop_debug_note(l, true);
	return slept;
}

static void loop_step(fl_loop *l)
{
	if (l->sched->runnable > 0)
		loop_poll_and_adapt(l);
	else if (loop_wait_for_work(l))
		l->polled = 0;
	else
		loop_poll_if_due(l);
	fl__loop_check_timers(l);
	loop_run_batch(l);
}

/*
 * Cancels all fibers, including the fibers of groups that began elsewhere, and runs until they
 * have ended.
 */
static void loop_drain(fl_loop *l)
{
	fl_cancel_token_request(&l->root);
	FL__EACH (struct fl_fiber, f, l->all)
		if (f->token.token.root_ != &l->root)
			fl_cancel_token_request(&f->token.token);
	while (l->sched->fibers > LOOP_OWN_FIBERS)
		loop_step(l);
	if (!fl__cancel_take_back(&l->root))
		fl__panic("fl_loop_run", l,
		          "a fiber was neither joined nor detached, or one of its tokens was not destroyed");
}

/* Called when a fiber or a callback ends the thread, so that nothing would run the other fibers. */
FL__COLD static void loop_exits(void *loop)
{
	char reason[96];
	const struct fl__fiber *f = fl__fiber_self();
	(void)snprintf(reason, sizeof reason, "fiber %s " FL__ENDS_THREAD, f ? f->name : "(none)");
	fl__panic("fl_loop_run", loop, reason);
}

static int loop_run(fl_loop *l, fl_fiber_function *function, void *arg)
{
	struct fl_fiber *first;
	int result, rc = fl__fiber_start(l, &first, function, arg, "main", &l->root);
	if (rc != 0)
		return rc;
	while (fl_fiber_is_alive(first))
		loop_step(l);
	rc = fl_fiber_try_join(first, &result);
	loop_drain(l);
	return rc == 0 ? result : rc;
}

int fl_loop_run_on(fl_loop *l, fl_fiber_function *function, void *arg)
{
	fl__loop_check(l, "fl_loop_run_on");
	int rc = loop_enter(l);
	if (rc != 0)
		return rc;
	pthread_cleanup_push(loop_exits, l);
	rc = loop_run(l, function, arg);
	pthread_cleanup_pop(0);
	fl__sched_leave(l->sched);
	return rc;
}

int fl_loop_run(fl_fiber_function *function, void *arg)
{
	fl_loop *l;
	if (fl__sched_current)
		return -EALREADY;
	int rc = fl_loop_create(&l, NULL);
	if (rc != 0)
		return rc;
	rc = fl_loop_run_on(l, function, arg);
	fl_loop_free(l);
	return rc;
}

int fl_loop_fd(const fl_loop *l)
{
	fl__loop_check(l, "fl_loop_fd");
	return l->poller;
}

int fl_loop_run_once(fl_loop *l, fl_time *deadline)
{
	fl__loop_check(l, "fl_loop_run_once");
	bool first = !l->armed;
	int rc = loop_enter(l);
	if (rc != 0)
		return rc;
	pthread_cleanup_push(loop_exits, l);
	if (first)
		loop_poll(l, 0);
	fl__loop_check_timers(l);
	(void)fl__sched_turn(l->sched, 0);
	pthread_cleanup_pop(0);
	l->armed = fl__sched_arm(l->sched);
	const int64_t next = fl__min_deadline(fl__loop_next_timer(l), fl__sched_next_deadline(l->sched));
	*deadline = !l->armed ? FL_NO_WAIT : next == FL__NEVER ? FL_FOREVER : FL__TIME(next);
	fl__sched_leave(l->sched);
	FL__LIST_ADD(&l->sched->host.thread->hosted, &l->sched->host);
	return 0;
}

/* Life. */

void fl_loop_cancel(fl_loop *l)
{
	fl__loop_check(l, "fl_loop_cancel");
	fl__cancel_request_children(&l->root);
}

static int loop_open_fds(fl_loop *l)
{
	l->poller = fl__poller_sys.create();
	if (l->poller < 0)
		return l->poller;
	l->bell = fl__poller_sys.bell();
	return l->bell < 0 ? l->bell : fl__loop_add(l, l->bell, EPOLLIN | EPOLLET, &l->on_bell);
}

static int loop_create_sched(fl_loop *l, const fl_loop_config *config)
{
	const struct fl__sched_config sched = {
	    .stack_size = config->stack_size,
	    .fiber_size = sizeof(struct fl_fiber),
	    .ended = fl__fiber_ended,
	    .ops = &loop_sched_ops,
	    .user = l,
	};
	int rc = fl__sched_create(&l->sched, &sched);
	if (rc != 0)
		return rc;
	rc = fl__fiber_create(l->sched, &l->callback_fiber, fl__loop_run_callbacks, l, "callbacks");
	if (rc != 0)
		fl__sched_destroy(l->sched);
	return rc;
}

static void loop_free_rest(fl_loop *l)
{
	fl__loop_free_threads(l);
	fl__linger_end_all(l);
	fl__poller_sys.close(l->bell);
	fl__poller_sys.close(l->poller);
	fl__free(l->spare);
	fl__free(l);
}

int fl_loop_create(fl_loop **made, const fl_loop_config *config)
{
	config = FL__OR_DEFAULTS(config);
	fl_loop *l = fl__alloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->on_bell.fire = loop_on_bell;
	l->batch = 1;
	l->poller = l->bell = -1;
	fl_cancel_token_init(&l->root, FL_SHIELDED, FL_FOREVER);
	int rc = loop_open_fds(l);
	if (rc == 0)
		rc = loop_create_sched(l, config);
	if (rc != 0) {
		loop_free_rest(l);
		return rc;
	}
	*made = l;
	return 0;
}

/*
 * Ends all fibers, the loop's own fiber last. Needs no memory if the loop has never run and has no
 * other fiber.
 */
static void loop_end_fibers(fl_loop *l)
{
	int rc = loop_enter(l);
	if (rc == -ENOMEM && l->sched->fibers == LOOP_OWN_FIBERS)
		return;
	if (rc != 0)
		fl__panic("fl_loop_free", l,
		          rc == -ENOMEM ? "out of memory" : "it runs, or has run, on another thread");
	/* the second round makes the calls that ending fibers posted */
	for (int i = 0; i < 2; i++) {
		(void)fl__sched_turn(l->sched, 0);
		loop_drain(l);
	}
	l->ending = true;
	fl__fiber_resume(l->callback_fiber);
	while (l->sched->fibers > 0) { /* a callback may still be waiting */
		(void)fl__sched_sleep(l->sched, FL__NEVER);
		(void)fl__sched_turn(l->sched, 0);
	}
	fl__sched_leave(l->sched);
}

static void loop_end_sched(fl_loop *l)
{
	if (fl__sched_current)
		fl__panic("fl_loop_free", l, "a loop runs on this thread");
	loop_end_fibers(l);
	fl__loop_free_calls(l);
}

void fl_loop_free(fl_loop *l)
{
	if (!l)
		return;
	fl__hook_ends(l);
	fl__loop_debug_end(l);
	loop_end_sched(l);
	fl__loop_discard(l);
}

void fl__loop_discard(fl_loop *l)
{
	/* callback_fiber has ended or never begun */
	fl__fiber_free(l->callback_fiber);
	fl__sched_destroy(l->sched);
	loop_free_rest(l);
}
