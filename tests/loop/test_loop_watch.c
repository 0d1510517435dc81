/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches of a loop: callbacks for descriptors of others.
 */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "loop/loop.h"
#include <sys/epoll.h>

typedef struct watched {
	fl_loop_watch w;
	int ends[2]; /* [0] is watched */
	unsigned calls, events;
	unsigned stop_after;    /* 0: never */
	struct watched *victim; /* what its callback stops, changes, frees */
} watched;

static void open_watched(watched *x)
{
	*x = (watched){.calls = 0};
	FL_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, x->ends));
}

static void close_watched(watched *x)
{
	fl_loop_watch_cancel(&x->w);
	if (x->ends[0] >= 0)
		FL_OK(close(x->ends[0]));
	if (x->ends[1] >= 0)
		FL_OK(close(x->ends[1]));
}

static void write_to(watched *x)
{
	FL_CHECK(write(x->ends[1], "x", 1) == 1);
}

/* A callback of a watch. */
#define WATCH_CALL(name) static void name(fl_loop_watch *w, int fd, unsigned events, void *arg)

WATCH_CALL(count_call)
{
	watched *x = arg;
	FL_CHECK(w == &x->w && fd == x->ends[0]);
	x->events = events;
	if (++x->calls == x->stop_after)
		fl_loop_watch_cancel(w);
}

static void start_with(watched *x, unsigned events, fl_loop_watch_callback *callback)
{
	FL_OK(fl_loop_watch_start(fl_loop_current(), &x->w, x->ends[0], events, callback, x));
}

static void start(watched *x, unsigned events)
{
	start_with(x, events, count_call);
}

static void wait_for_call(watched *x)
{
	x->events = 0;
	for (unsigned calls = x->calls; x->calls == calls;)
		fl_fiber_yield();
}

/* The next call is told of these events. */
static void is_told(watched *x, unsigned events)
{
	wait_for_call(x);
	FL_CHECK(x->events == events);
}

/* The loop checks for events, and does not call. */
static void is_quiet(const watched *x)
{
	const unsigned calls = x->calls;
	fl_test_look();
	FL_CHECK(x->calls == calls);
}

FL_LOOP_TEST(loop_watch_is_level_triggered)
{
	watched x;
	char byte;
	open_watched(&x);
	start(&x, FL_FD_IN);
	is_quiet(&x);
	write_to(&x);
	while (x.calls < 5) /* again and again, until it is read */
		fl_fiber_yield();
	FL_CHECK(x.events == FL_FD_IN);
	FL_CHECK(read(x.ends[0], &byte, 1) == 1);
	is_quiet(&x);
	write_to(&x);
	wait_for_call(&x);
	FL_OK(fl_loop_watch_cancel(&x.w));
	FL_RC(fl_loop_watch_cancel(&x.w), -EALREADY);
	is_quiet(&x);
	x.stop_after = x.calls + 1;
	start(&x, FL_FD_IN); /* what was there before counts */
	wait_for_call(&x);
	is_quiet(&x);
	close_watched(&x);
}

FL_LOOP_TEST(loop_watch_tells_what_was_asked_for)
{
	watched x;
	open_watched(&x);
	start(&x, FL_FD_OUT);
	is_told(&x, FL_FD_OUT);
	write_to(&x);
	is_told(&x, FL_FD_OUT); /* the other was not asked for */
	FL_OK(fl_loop_watch_change(&x.w, FL_FD_IN | FL_FD_OUT));
	is_told(&x, FL_FD_IN | FL_FD_OUT);
	FL_OK(fl_loop_watch_change(&x.w, FL_FD_IN));
	is_told(&x, FL_FD_IN);
	FL_OK(fl_loop_watch_change(&x.w, 0));
	fl_test_look();
	is_quiet(&x);
	FL_OK(shutdown(x.ends[1], SHUT_WR)); /* an end is something to read */
	is_quiet(&x);
	FL_OK(fl_loop_watch_change(&x.w, FL_FD_IN));
	is_told(&x, FL_FD_IN);
	FL_OK(fl_loop_watch_change(&x.w, 0));
	FL_OK(close(x.ends[1]));
	x.ends[1] = -1;
	is_told(&x, FL_FD_ERR); /* always reported */
	FL_OK(fl_loop_watch_change(&x.w, FL_FD_IN | FL_FD_OUT));
	is_told(&x, FL_FD_IN | FL_FD_OUT | FL_FD_ERR);
	close_watched(&x);
}

FL_LOOP_TEST(loop_watch_tells_of_an_error)
{
	watched x = {.calls = 0};
	static char block[65536];
	int ends[2];
	FL_OK(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
	while (write(ends[1], block, sizeof block) > 0)
		;
	x.ends[0] = ends[1];
	x.ends[1] = ends[0];
	start(&x, FL_FD_OUT);
	is_quiet(&x);
	FL_OK(close(ends[0]));
	x.ends[1] = -1;
	is_told(&x, FL_FD_OUT | FL_FD_ERR); /* a watch for writing sees the error */
	close_watched(&x);
}

/* Two are ready in one poll, and the callback of the first one acts on the other. */
WATCH_CALL(stop_victim)
{
	watched *x = arg;
	count_call(w, fd, events, arg);
	fl_loop_watch_cancel(&x->victim->w);
}

WATCH_CALL(stop_and_free_victim)
{
	watched *x = arg, *victim = x->victim;
	count_call(w, fd, events, arg);
	fl_loop_watch_cancel(w);
	close_watched(victim);
	memset(victim, 0xa5, sizeof *victim);
	free(victim);
	x->victim = NULL;
}

WATCH_CALL(change_victim)
{
	watched *x = arg;
	count_call(w, fd, events, arg);
	fl_loop_watch_cancel(w);
	FL_OK(fl_loop_watch_change(&x->victim->w, 0));
}

WATCH_CALL(restart_victim)
{
	watched *x = arg, *victim = x->victim;
	count_call(w, fd, events, arg);
	fl_loop_watch_cancel(w);
	fl_loop_watch_cancel(&victim->w);
	victim->stop_after = victim->calls + 2;
	start(victim, FL_FD_IN);
}

/* Both have data to read; the loop finds both in one poll. */
static void open_pair(watched *pair[2], fl_loop_watch_callback *callback)
{
	for (int i = 0; i < 2; i++) {
		pair[i] = malloc(sizeof *pair[i]);
		FL_CHECK(pair[i] != NULL);
		open_watched(pair[i]);
	}
	for (int i = 0; i < 2; i++) {
		pair[i]->victim = pair[1 - i];
		write_to(pair[i]);
		start_with(pair[i], FL_FD_IN, callback);
	}
	fl_test_look();
}

static void close_pair(watched *pair[2])
{
	for (int i = 0; i < 2; i++) {
		close_watched(pair[i]);
		free(pair[i]);
	}
}

FL_LOOP_TEST(loop_watch_stopped_in_the_callback_of_another)
{
	watched *pair[2];
	open_pair(pair, stop_victim);
	FL_CHECK((pair[0]->calls == 0) != (pair[1]->calls == 0));
	close_pair(pair);
}

static watched *survivor;

WATCH_CALL(free_and_survive)
{
	FL_CHECK(survivor == NULL);
	survivor = arg;
	stop_and_free_victim(w, fd, events, arg);
}

FL_LOOP_TEST(loop_watch_freed_in_the_callback_of_another)
{
	watched *pair[2];
	survivor = NULL;
	open_pair(pair, free_and_survive);
	FL_CHECK(survivor != NULL && survivor->calls == 1);
	close_watched(survivor);
	free(survivor);
}

FL_LOOP_TEST(loop_watch_changed_in_the_callback_of_another)
{
	watched *pair[2];
	open_pair(pair, change_victim);
	/* The other was changed before its event was fired. */
	FL_CHECK(pair[0]->calls + pair[1]->calls == 1);
	close_pair(pair);
	open_pair(pair, restart_victim);
	while (pair[0]->calls + pair[1]->calls < 3)
		fl_fiber_yield();
	fl_test_look();
	/* One, and two of the other after its restart. */
	FL_CHECK(pair[0]->calls + pair[1]->calls == 3);
	close_pair(pair);
}

/* A callback that stops itself, closes its descriptor and frees its memory. */
static unsigned freed;

WATCH_CALL(free_itself)
{
	watched *x = arg;
	close_watched(x);
	memset(x, 0xa5, sizeof *x);
	free(x);
	freed++;
}

FL_LOOP_TEST(loop_watch_freed_in_its_callback)
{
	freed = 0;
	for (unsigned i = 1; i <= 20; i++) {
		watched *x = malloc(sizeof *x);
		FL_CHECK(x != NULL);
		open_watched(x);
		write_to(x);
		start_with(x, FL_FD_IN, free_itself);
		while (freed < i)
			fl_fiber_yield();
	}
}

/* What it answers. */
static int fail_with;

FL_TEST_POLLER_CONTROL(no_control)
{
	return fail_with;
}

/* fl_loop_watch_start and fl_loop_watch_change: -ENOMEM and -ENOSPC are the system's. */
FL_LOOP_TEST(loop_watch_answers)
{
	static const int errors[] = {-ENOMEM, -ENOSPC};
	fl_loop *l = fl_loop_current();
	watched x, twin;
	open_watched(&x);
	twin = x;
	FL_RC(fl_loop_watch_start(l, &x.w, x.ends[0], FL_FD_ERR, count_call, &x), -EINVAL);
	FL_RC(fl_loop_watch_start(l, &x.w, x.ends[0], 1u << 9, count_call, &x), -EINVAL);
	/* Its own. */
	FL_RC(fl_loop_watch_start(l, &x.w, fl_loop_fd(l), FL_FD_IN, count_call, &x), -EINVAL);
	FL_RC(fl_loop_watch_start(l, &x.w, -1, FL_FD_IN, count_call, &x), -EBADF);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	FL_RC(fl_loop_watch_start(l, &x.w, file, FL_FD_IN, count_call, &x), -EPERM);
	FL_OK(close(file));
	int around = epoll_create1(EPOLL_CLOEXEC);
	FL_OK(epoll_ctl(around, EPOLL_CTL_ADD, fl_loop_fd(l), &(struct epoll_event){0}));
	FL_RC(fl_loop_watch_start(l, &x.w, around, FL_FD_IN, count_call, &x), -ELOOP);
	FL_OK(close(around));
	FL_RC(fl_loop_watch_change(&x.w, FL_FD_IN), -EINVAL); /* not started */
	start(&x, 0);
	FL_RC(fl_loop_watch_start(l, &twin.w, x.ends[0], FL_FD_IN, count_call, &twin), -EEXIST);
	int copy = dup(x.ends[0]);
	FL_OK(fl_loop_watch_start(l, &twin.w, copy, 0, count_call, &twin));
	fl_loop_watch_cancel(&twin.w);
	FL_OK(close(copy));
	FL_RC(fl_loop_watch_change(&x.w, FL_FD_ERR), -EINVAL);
	FL_EACH (i, errors) {
		FL_POLLER_FAULTS();
		fail_with = errors[i];
		fl__poller_sys.control = no_control;
		FL_CHECK(fl_loop_watch_start(l, &twin.w, x.ends[1], FL_FD_IN, count_call, &twin) == fail_with);
		FL_CHECK(fl_loop_watch_change(&x.w, FL_FD_IN) == fail_with);
	}
	fl_test_look();
	write_to(&x);
	fl_test_look();
	FL_CHECK(x.calls == 0); /* the change that failed has changed nothing */
	close_watched(&x);
}

/* More are ready than one wait takes in. */
static int watch_many(void *unused)
{
	enum { MANY = 300 };
	static watched x[MANY];
	FL_EACH (i, x) {
		open_watched(&x[i]);
		x[i].stop_after = 1;
		write_to(&x[i]);
		start(&x[i], FL_FD_IN);
	}
	FL_EACH (i, x)
		while (x[i].calls == 0)
			fl_fiber_yield();
	FL_EACH (i, x) {
		FL_CHECK(x[i].calls == 1);
		close_watched(&x[i]);
	}
	return 0;
}

FL_TEST(loop_watch_hundreds)
{
	unsigned fds = fl_test_fds();
	struct rlimit limit, before;
	FL_OK(getrlimit(RLIMIT_NOFILE, &before));
	limit = before;
	limit.rlim_cur = limit.rlim_max < 2048 ? limit.rlim_max : 2048;
	if (before.rlim_cur < limit.rlim_cur)
		FL_OK(setrlimit(RLIMIT_NOFILE, &limit));
	fl_test_in_loop(watch_many, NULL);
	FL_OK(setrlimit(RLIMIT_NOFILE, &before));
	assert_int_equal(fl_test_fds(), fds);
}

/* Watches that are left when the loop is freed are forgotten. */
FL_TEST(loop_watch_is_forgotten_with_the_loop)
{
	watched x;
	open_watched(&x);
	fl_loop *l = fl_test_loop();
	write_to(&x);
	FL_OK(fl_loop_watch_start(l, &x.w, x.ends[0], 0, count_call, &x));
	fl_loop_free(l);
	assert_int_equal(x.calls, 0);
	FL_OK(close(x.ends[0]));
	FL_OK(close(x.ends[1]));
}

/*
 * A callback waits, and watches are ready in the meantime: the loop sleeps. The poller ends the
 * wait of the callback when the loop is about to sleep, or when the loop has polled too often.
 */
enum { POLLS_MOST = 1000 };

static struct held_up {
	fl_event go_on;
	bool waits, slept;
	unsigned polls;
} held_up;

FL_TEST_POLLER_WAIT(end_wait_in_sleep)
{
	int rc = fl_test_real_poller.wait(poller, events, n, held_up.waits ? 0 : deadline);
	if (!held_up.waits || (rc > 0 && ++held_up.polls < POLLS_MOST) || (rc == 0 && deadline == 0))
		return rc;
	held_up.waits = false;
	held_up.slept = rc == 0;
	fl_event_set(&held_up.go_on);
	return rc;
}

/* Leaves the bytes unread. */
WATCH_CALL(wait_once)
{
	watched *x = arg;
	count_call(w, fd, events, arg);
	if (x->calls > 1)
		return;
	held_up.waits = true;
	FL_OK(fl_event_wait(&held_up.go_on));
}

static int wait_beside_ready_watches(void *hangs_up)
{
	enum { OTHERS = 2 };
	watched x, others[OTHERS];
	held_up = (struct held_up){.waits = false};
	open_watched(&x);
	write_to(&x);
	if (hangs_up) { /* always reported */
		FL_OK(close(x.ends[1]));
		x.ends[1] = -1;
	}
	x.stop_after = 3; /* it is called again, for it is ready */
	FL_EACH (i, others) {
		open_watched(&others[i]);
		others[i].stop_after = 2;
		write_to(&others[i]);
	}
	start_with(&x, FL_FD_IN, wait_once);
	FL_EACH (i, others)
		start(&others[i], FL_FD_IN);
	while (x.calls < x.stop_after || others[0].calls < 2 || others[1].calls < 2)
		FL_OK(fl_sleep(FL_US(20)));
	FL_CHECK(held_up.slept);
	close_watched(&x);
	FL_EACH (i, others)
		close_watched(&others[i]);
	return 0;
}

FL_TEST(loop_watch_is_not_polled_while_a_callback_waits)
{
	FL_POLLER_FAULTS();
	fl__poller_sys.wait = end_wait_in_sleep;
	fl_test_in_loop(wait_beside_ready_watches, NULL);
	fl_test_in_loop(wait_beside_ready_watches, &held_up);
}

/* At the same time other watches are changed, stopped, and not ready any more. */
WATCH_CALL(wait_for_change)
{
	count_call(w, fd, events, arg);
	fl_loop_watch_cancel(w);
	held_up.waits = true;
	FL_OK(fl_event_wait(&held_up.go_on));
}

FL_LOOP_TEST(loop_watch_changes_while_a_callback_waits)
{
	watched x, changed, stopped, drained;
	watched *all[] = {&x, &changed, &stopped, &drained};
	char byte;
	held_up = (struct held_up){.waits = false};
	FL_EACH (i, all) {
		open_watched(all[i]);
		write_to(all[i]);
	}
	start_with(&x, FL_FD_IN, wait_for_change);
	start(&changed, FL_FD_IN);
	start(&stopped, FL_FD_IN);
	start(&drained, FL_FD_IN);
	changed.stop_after = 1;
	while (!held_up.waits)
		fl_fiber_yield();
	fl_test_look();
	FL_OK(fl_loop_watch_change(&changed.w, FL_FD_OUT));
	fl_loop_watch_cancel(&stopped.w);
	FL_CHECK(read(drained.ends[0], &byte, 1) == 1);
	fl_test_look();
	FL_CHECK(changed.calls == 0 && stopped.calls == 0 && drained.calls == 0);
	fl_event_set(&held_up.go_on);
	while (changed.calls == 0)
		fl_fiber_yield();
	fl_test_look();
	FL_CHECK(changed.events == FL_FD_OUT);
	FL_CHECK(stopped.calls == 0 && drained.calls == 0);
	write_to(&drained);
	while (drained.calls == 0)
		fl_fiber_yield();
	FL_EACH (i, all)
		close_watched(all[i]);
}

/* A callback that waits each time does not hold up the callbacks of other watches. */
WATCH_CALL(wait_each_time)
{
	count_call(w, fd, events, arg);
	FL_OK(fl_sleep(FL_US(20)));
}

FL_LOOP_TEST(loop_watch_that_waits_each_time_lets_others_have_their_turn)
{
	enum { OTHERS = 3 };
	watched x, others[OTHERS];
	open_watched(&x);
	write_to(&x);
	start_with(&x, FL_FD_IN, wait_each_time);
	FL_EACH (i, others) {
		open_watched(&others[i]);
		write_to(&others[i]);
		start_with(&others[i], FL_FD_IN, wait_each_time);
	}
	FL_EACH (i, others)
		while (others[i].calls < 3)
			fl_fiber_yield();
	close_watched(&x);
	FL_EACH (i, others)
		close_watched(&others[i]);
}

/* Many watches that are ready while a callback waits. */

enum { LISTED = 60 };
static watched listed[LISTED];

static unsigned count_listed(void)
{
	unsigned n = 0;
	const fl_loop_watch *before = NULL;
	for (const fl_loop_watch *w = fl_loop_current()->fired; w; w = w->next_) {
		FL_CHECK(w->prev_ == before);
		before = w;
		n++;
	}
	FL_CHECK(n == 0 || fl_loop_current()->fired_last == before);
	return n;
}

WATCH_CALL(stop_most)
{
	w->function_ = count_call;
	while (count_listed() < LISTED) /* with this watch, which is still ready */
		FL_OK(fl_sleep(FL_US(20)));
	for (int i = LISTED; i-- > 0;)
		if (i % 10 != 0 && &listed[i].w != w)
			fl_loop_watch_cancel(&listed[i].w);
	count_call(w, fd, events, arg);
}

/* The stop of one of them walked from the first one to it. Now it needs its neighbours only. */
FL_LOOP_TEST(loop_watch_stop_of_one_of_many_that_are_ready)
{
	FL_EACH (i, listed) {
		open_watched(&listed[i]);
		write_to(&listed[i]);
		start_with(&listed[i], FL_FD_IN, i == 0 ? stop_most : count_call);
	}
	FL_EACH (i, listed)
		while (i % 10 == 0 && listed[i].calls == 0)
			fl_fiber_yield();
	FL_EACH (i, listed)
		close_watched(&listed[i]);
	(void)count_listed();
}

static unsigned changes;

FL_TEST_POLLER_CONTROL(count_change)
{
	changes += op == EPOLL_CTL_MOD;
	return fl_test_real_poller.control(poller, op, fd, events, owner);
}

WATCH_CALL(wait_and_stop)
{
	count_call(w, fd, events, arg);
	FL_OK(fl_sleep(FL_US(20)));
	fl_loop_watch_cancel(w);
}

/* After each callback that waited, all watches that were ready were muted and unmuted again. */
FL_LOOP_TEST(loop_watch_is_muted_once_however_many_callbacks_wait)
{
	FL_POLLER_FAULTS();
	fl__poller_sys.control = count_change;
	changes = 0;
	FL_EACH (i, listed) {
		open_watched(&listed[i]);
		write_to(&listed[i]);
		start_with(&listed[i], FL_FD_IN, wait_and_stop);
	}
	FL_EACH (i, listed) {
		while (listed[i].calls == 0 || listed[i].w.loop_)
			fl_fiber_yield();
		FL_CHECK(listed[i].calls == 1 && listed[i].events == FL_FD_IN);
	}
	FL_CHECK(changes <= 3 * LISTED);
	FL_EACH (i, listed)
		close_watched(&listed[i]);
}
