/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_fds.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

static struct fl__process_sys real_signals;

__attribute__((constructor)) static void keep_signals(void)
{
	real_signals = fl__process_sys;
}

static const int both[] = {SIGUSR1, SIGUSR2};

static bool is_blocked(int signal)
{
	sigset_t now;
	FL_OK(pthread_sigmask(SIG_BLOCK, NULL, &now));
	return sigismember(&now, signal) == 1;
}

static int wait_in_every_way(void *arg)
{
	fl_signals *s = arg;
	FL_RC(fl_signals_try_wait(s), -EAGAIN);
	FL_RC(fl_signals_wait_until(s, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_signals_wait_until(s, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_signals_wait_until(s, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(fl_signals_wait(s));
	FL_OK(kill(getpid(), SIGUSR1));
	FL_CHECK(fl_signals_wait_until(s, FL_NO_WAIT, NULL) == SIGUSR1);
	FL_OK(kill(getpid(), SIGUSR2));
	FL_OK(kill(getpid(), SIGUSR2));
	FL_CHECK(fl_signals_wait_until(s, FL_FOREVER, fl_test_requested) == SIGUSR2);
	FL_RC(fl_signals_try_wait(s), -EAGAIN); /* two were one */
	FL_OK(kill(getpid(), SIGUSR2));
	FL_CHECK(fl_signals_try_wait(s) == SIGUSR2);
	return 0;
}

FL_TEST(signals_wait_in_every_context)
{
	fl_signals *s;
	FL_OK(fl_signals_create(&s, both, 2));
	assert_true(is_blocked(SIGUSR1) && is_blocked(SIGUSR2));
	FL_OK(wait_in_every_way(s)); /* with a token: by the watcher, which stays */
	unsigned fds = fl_test_fds();
	FL_OK(wait_in_every_way(s));
	fl_test_in_loop(wait_in_every_way, s);
	assert_int_equal(fl_test_fds(), fds);
	fl_signals_free(s);
	assert_false(is_blocked(SIGUSR1) || is_blocked(SIGUSR2));
	fl_signals_free(NULL);
	assert_int_equal(fl_test_fds(), fds - 1);
}

/* A thread that waits, and a fiber of a loop that sleeps: both are woken. */
FL_CALL(wait_call)
{
	return fl_signals_wait_until(object, deadline, cancel);
}

static int send_after_look(void *unused)
{
	fl_test_look();
	FL_OK(kill(getpid(), SIGUSR1));
	return 0;
}

static int wait_beside_others(void *s)
{
	fl_fiber *f = fl_test_start(send_after_look, NULL);
	FL_CHECK(fl_signals_wait(s) == SIGUSR1);
	return fl_test_join(f);
}

FL_TEST(signals_wake_waiters)
{
	FL_SCOPED(fl_signals) *s = NULL;
	fl_test_caller c;
	FL_OK(fl_signals_create(&s, both, 2));
	fl_test_in_loop(wait_beside_others, s);
	fl_test_call_start(&c, wait_call, s, FL_FOREVER, NULL);
	FL_OK(kill(getpid(), SIGUSR2));
	assert_int_equal(fl_test_call_end(&c), SIGUSR2);
}

/* Callbacks. */
static int caught;

static void catch_signal(fl_loop_watch *w, int fd, unsigned events, void *s)
{
	FL_CHECK(fd == fl_signals_fd(s) && events == FL_FD_IN);
	caught = fl_signals_try_wait(s);
}

static int watch_signals(void *s)
{
	fl_loop_watch w = {0};
	caught = 0;
	FL_OK(fl_loop_watch_start(fl_loop_current(), &w, fl_signals_fd(s), FL_FD_IN, catch_signal, s));
	FL_OK(kill(getpid(), SIGUSR2));
	while (caught == 0)
		fl_test_look();
	fl_loop_watch_cancel(&w);
	FL_CHECK(caught == SIGUSR2);
	return 0;
}

FL_TEST(signals_call_back)
{
	FL_SCOPED(fl_signals) *s = NULL;
	FL_OK(fl_signals_create(&s, both, 2));
	fl_test_in_loop(watch_signals, s);
}

/*
 * Signals that were blocked before stay so; a pending signal that was not taken has its usual
 * effect.
 */
static volatile sig_atomic_t handled;

static void handle(int signal)
{
	handled = signal;
}

FL_TEST(signals_free_restores_the_mask)
{
	sigset_t one;
	fl_signals *s;
	struct sigaction before, ours = {.sa_handler = handle};
	FL_OK(sigaction(SIGUSR2, &ours, &before));
	FL_OK(sigemptyset(&one));
	FL_OK(sigaddset(&one, SIGUSR1));
	FL_OK(pthread_sigmask(SIG_BLOCK, &one, NULL));
	FL_OK(fl_signals_create(&s, both, 2));
	handled = 0;
	FL_OK(kill(getpid(), SIGUSR2));
	assert_int_equal(handled, 0);
	fl_signals_free(s);
	assert_int_equal(handled, SIGUSR2);
	assert_true(is_blocked(SIGUSR1));
	assert_false(is_blocked(SIGUSR2));
	FL_OK(pthread_sigmask(SIG_UNBLOCK, &one, NULL));
	FL_OK(sigaction(SIGUSR2, &before, NULL));
}

static int fail_with;

static int no_open(const sigset_t *signals)
{
	return fail_with;
}

static int no_mask(int how, const sigset_t *signals, sigset_t *before)
{
	return -EINVAL;
}

FL_TEST(signals_create_fails_whole)
{
	static const int errors[] = {-EMFILE, -ENFILE, -ENOMEM};
	static const int wrong[][2] = {
	    {SIGKILL, SIGUSR1}, {SIGUSR1, SIGSTOP}, {SIGUSR1, 0}, {-1, SIGUSR1}, {SIGUSR1, 10000}};
	unsigned fds = fl_test_fds();
	fl_signals *s = NULL;
	for (int i = 0; i < 5; i++)
		FL_RC(fl_signals_create(&s, wrong[i], 2), -EINVAL);
	FL_RC(fl_signals_create(&s, both, 0), -EINVAL);
	FL_EACH (i, errors) {
		fail_with = errors[i];
		fl__process_sys.signalfd = no_open;
		FL_RC(fl_signals_create(&s, both, 2), errors[i]);
	}
	fl__process_sys = real_signals;
	fl__process_sys.mask = no_mask;
	FL_RC(fl_signals_create(&s, both, 2), -EINVAL);
	fl__process_sys = real_signals;
	FL_FAULTS();
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_signals_create(&s, both, 2), -ENOMEM);
	assert_false(is_blocked(SIGUSR1) || is_blocked(SIGUSR2));
	assert_int_equal(fl_test_fds(), fds);
	assert_null(s);
}
