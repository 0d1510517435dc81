/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a loop asks of the system, how often, and what it does when the answer is an error.
 */
#include "fl_denials.h"
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

/* A loop that waits is in one call of the system, however long. */
typedef struct sleeper {
	fl_event event;
	uint32_t waits; /* when the other thread checked */
} sleeper;

static int wake_it_later(void *arg)
{
	sleeper *s = arg;
	FL_WAIT_FOR(fl__load_relaxed(&fl_test_polled.waits) >= 1 && fl_test_queued(&s->event) == 3);
	fl_time end = fl_after(FL_MS(20)); /* in which a polling loop would call repeatedly */
	FL_WAIT_FOR(fl_time_is_past(end));
	s->waits = fl__load_relaxed(&fl_test_polled.waits);
	fl_event_set(&s->event);
	return 0;
}

static int be_idle(void *arg)
{
	sleeper *s = arg;
	fl_thread *t;
	fl_loop_timer hour = {0};
	fl_fiber *f[2] = {fl_test_start(fl_test_wait_event, &s->event), fl_test_start(fl_test_wait_event, &s->event)};
	fl_loop_timer_start(fl_loop_current(), &hour, fl_after(FL_S(3600)), NULL, NULL);
	fl_test_settle();
	fl_test_poller_count();
	fl_test_go(&t, wake_it_later, s);
	FL_OK(fl_event_wait(&s->event));
	/* It may have slept again between the three wakes. */
	FL_CHECK(fl__load_relaxed(&fl_test_polled.rings) <= 3);
	FL_CHECK(fl_test_polled.controls == 0);
	fl_loop_timer_cancel(fl_loop_current(), &hour);
	fl_test_end(t);
	FL_OK(fl_test_join(f[0]));
	FL_OK(fl_test_join(f[1]));
	return 0;
}

FL_TEST(loop_poller_idle_is_one_call)
{
	FL_POLLER_FAULTS();
	sleeper s = {FL_EVENT_INIT, 0};
	fl_test_in_loop(be_idle, &s);
	assert_int_equal(s.waits, 1);
}

/* Calls of many threads that come while the loop sleeps are one ring; while it runs, none. */
static fl_loop *sleeping;
static uint32_t made, sleeps;

static void count_made(void *unused)
{
	made++;
}

static int call_often(void *unused)
{
	for (int i = 0; i < 100; i++)
		FL_OK(fl_loop_post(sleeping, count_made, NULL));
	return 0;
}

static void call_from_threads(void)
{
	fl_thread *t[3];
	FL_EACH (i, t)
		fl_test_go(&t[i], call_often, NULL);
	FL_END_ALL(t);
}

/* The loop has said that it sleeps, and does not yet. */
FL_TEST_POLLER_WAIT(be_called_in_sleep)
{
	if (deadline != 0 && sleeps++ == 0)
		call_from_threads();
	return fl_test_real_poller.wait(poller, events, n, deadline);
}

FL_LOOP_TEST(loop_poller_many_calls_are_one_ring)
{
	FL_POLLER_FAULTS();
	made = sleeps = 0;
	sleeping = fl_loop_current();
	fl_test_poller_count();
	fl__poller_sys.wait = be_called_in_sleep;
	while (made < 300)
		FL_OK(fl_sleep(FL_MS(1)));
	FL_CHECK(fl__load_relaxed(&fl_test_polled.rings) == 1);
	FL_RC(made, 300);
}

static void call_while_it_runs(void *over)
{
	*(uint32_t *)over = 1;
}

FL_LOOP_TEST(loop_poller_calls_of_its_own_thread_do_not_ring)
{
	FL_POLLER_FAULTS();
	uint32_t over = 0;
	fl_test_poller_count();
	FL_OK(fl_loop_post(fl_loop_current(), call_while_it_runs, &over));
	while (!over)
		fl_fiber_yield();
	FL_CHECK(fl_test_polled.rings == 0 && fl_test_polled.controls == 0);
}

/* Interrupted waits, and events for no reason. */
FL_TEST_POLLER_WAIT(interrupted)
{
	static unsigned calls;
	return ++calls % 3 ? -EINTR : fl_test_real_poller.wait(poller, events, n, deadline);
}

static int sleep_and_be_woken(void *unused)
{
	sleeper s = {FL_EVENT_INIT, 0};
	fl_fiber *f = fl_test_start(fl_test_wait_event, &s.event);
	for (int i = 0; i < 5; i++) {
		fl_time deadline = fl_after(FL_US(300));
		FL_CHECK(fl_sleep_until(deadline, NULL) == 0 && fl_time_is_past(deadline));
	}
	fl_event_set(&s.event);
	return fl_test_join(f);
}

FL_TEST(loop_poller_interrupted)
{
	FL_POLLER_FAULTS();
	fl__poller_sys.wait = interrupted;
	fl_test_in_loop(sleep_and_be_woken, NULL);
}

/* By itself: the table's own functions. */
FL_TEST(loop_poller_table)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	struct epoll_event events[2];
	int poller = fl__poller_sys.create(), bell = fl__poller_sys.bell();
	assert_true(poller >= 0 && bell >= 0);
	assert_true(fcntl(poller, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(bell, F_GETFD) & FD_CLOEXEC);
	errno = 77;
	FL_OK(fl__poller_sys.control(poller, EPOLL_CTL_ADD, bell, EPOLLIN | EPOLLET, events));
	FL_RC(fl__poller_sys.control(poller, EPOLL_CTL_ADD, bell, EPOLLIN, events), -EEXIST);
	FL_RC(fl__poller_sys.control(poller, EPOLL_CTL_MOD, poller, EPOLLIN, events), -EINVAL);
	assert_int_equal(fl__poller_sys.wait(poller, events, 2, 0), 0);
	assert_int_equal(fl__poller_sys.wait(poller, events, 2, INT64_MIN), 0);
	fl_time deadline = fl_after(FL_US(1500));
	assert_int_equal(FL__RETRY(fl__poller_sys.wait(poller, events, 2, deadline.ns)), 0);
	assert_true(fl_time_is_past(deadline));
	for (int i = 0; i < 3; i++) {
		fl__poller_sys.ring(bell);
		assert_int_equal(fl__poller_sys.wait(poller, events, 2, i == 0 ? FL__NEVER : fl_after(FL_S(60)).ns), 1);
		assert_ptr_equal(events[0].data.ptr, events);
		/* An edge, though the descriptor was not read. */
		assert_int_equal(fl__poller_sys.wait(poller, events, 2, 0), 0);
	}
	FL_RC(fl__poller_sys.wait(bell, events, 2, 0), -EINVAL);
	FL_RC(fl__poller_sys.wait(-1, events, 2, fl_after(FL_S(60)).ns), -EBADF);
	fl__poller_sys.close(bell);
	fl__poller_sys.close(poller);
	assert_int_equal(errno, 77);
	rlim_t before = fl_test_limit_fds(0);
	int none = fl__poller_sys.create(), no_bell = fl__poller_sys.bell();
	fl_test_unlimit_fds(before);
	FL_RC(none, -EMFILE);
	FL_RC(no_bell, -EMFILE);
}

/*
 * A kernel without epoll_pwait2(), by a filter in a child. Waits are as long, to the millisecond,
 * and not shorter.
 */
static void wait_coarsely(void *error)
{
	fl_test_deny(SYS_epoll_pwait2, error);
	errno = 0;
	FL_CHECK(syscall(SYS_epoll_pwait2, -1, NULL, 0, NULL, NULL, 0) == -1 && errno == *(int *)error);
	FL_OK(fl_loop_run(sleep_and_be_woken, NULL));
	int poller = fl__poller_sys.create();
	struct epoll_event event;
	for (int i = 0; i < 3; i++) {
		fl_time deadline = fl_after(FL_US(100));
		FL_CHECK(FL__RETRY(fl__poller_sys.wait(poller, &event, 1, deadline.ns)) == 0 &&
		         fl_time_is_past(deadline));
	}
	FL_CHECK(fl__poller_sys.wait(poller, &event, 1, 0) == 0);
	fl__poller_sys.close(poller);
}

FL_TEST(loop_poller_without_epoll_pwait2)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	FL_WITHOUT(wait_coarsely, ENOSYS, EPERM);
}
