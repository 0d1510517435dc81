/* SPDX-License-Identifier: BSD-2-Clause */
/* Debugging from outside: the environment, a signal; and the contention profile. */
#include "fl_debugging.h"

#include "fl_faults.h"
#include "inspect/table.h"
#include <sys/auxv.h>

/* Locks `m` several times, from one place. */
FL_FRAME(lock_often, fl_mutex *m, int times)
{
	for (int i = 0; i < times; i++) {
		fl_mutex_lock(m);
		fl_mutex_unlock(m);
	}
}

FL_TEST(debug_contention_counts_one_of_16_for_16)
{
	unsigned long long locks = 0, waits = 1;
	FL_DEBUGGING(FL_DEBUG_CONTENTION);
	fl_mutex m = FL_MUTEX_INIT;
	lock_often(&m, 16 * 50);
	profile();
	assert_true(figures("lock_often", &locks, &waits));
	assert_int_equal(locks, 16 * 50);
	assert_int_equal(waits, 0);
	FL_OK(fl_debug_enable(0));
	FL_OK(fl_debug_enable(FL_DEBUG_CONTENTION));
	profile();
	assert_null(strstr(printed, "lock_often"));
}

static int wait_often(void *m)
{
	lock_here(m);
	fl_mutex_unlock(m);
	return 0;
}

FL_TEST(debug_contention_counts_each_wait)
{
	unsigned long long locks = 0, waits = 0;
	FL_DEBUGGING(FL_DEBUG_CONTENTION);
	fl_mutex m = FL_MUTEX_INIT;
	for (int i = 0; i < 5; i++) {
		fl_thread *t;
		fl_mutex_lock(&m);
		fl_test_go(&t, wait_often, &m);
		FL_WAIT_FOR(fl__lot_has_waiters_at(&m));
		fl_mutex_unlock(&m);
		fl_test_end(t);
	}
	profile();
	assert_true(figures("lock_here", &locks, &waits));
	assert_int_equal(waits, 5);
	assert_int_equal(locks, 5);
}

FL_TEST(debug_contention_without_memory_prints_its_head)
{
	FL_FAULTS();
	FL_DEBUGGING(FL_DEBUG_CONTENTION);
	fl_mutex m = FL_MUTEX_INIT;
	lock_often(&m, 160);
	fl__sys.map = fl_test_no_memory;
	profile();
	fl_test_contains(printed, "contention");
	assert_null(strstr(printed, "lock_often"));
}

/* The handler of SIGQUIT. */
static void (*quit_handler(void))(int)
{
	struct sigaction now;
	FL_OK(sigaction(SIGQUIT, NULL, &now));
	return now.sa_handler;
}

FL_TEST(debug_waits_have_the_signal_while_they_are_on)
{
	FL_CHECK(signal(SIGQUIT, SIG_IGN) != SIG_ERR);
	FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
	assert_true(quit_handler() == SIG_IGN);
	FL_OK(fl_debug_enable(0));
	assert_true(quit_handler() == SIG_IGN);
	FL_CHECK(signal(SIGQUIT, SIG_DFL) != SIG_ERR);
	FL_OK(fl_debug_enable(FL_DEBUG_LOCKORDER));
	assert_true(quit_handler() == SIG_DFL);
	for (int i = 0; i < 2; i++) {
		FL_OK(fl_debug_enable(FL_DEBUG_WAITS));
		assert_true(quit_handler() != SIG_DFL);
	}
	FL_OK(fl_debug_enable(FL_DEBUG_LOCKORDER));
	assert_true(quit_handler() == SIG_DFL);
	FL_OK(fl_debug_enable(0));
}

/*
 * Run by the restarted program in each of the cases below; in a run of all cases it does nothing.
 */
FL_TEST(debug_outside_body)
{
	const char *what = getenv("FL_TEST_DEBUG");
	if (!what)
		return;
	static fl_mutex pair[2] = {FL_MUTEX_INIT, FL_MUTEX_INIT};
	FL_EACH (i, pair) {
		fl_mutex_lock(&pair[i]);
		fl_mutex_lock(&pair[1 - i]);
		fl_mutex_unlock(&pair[0]);
		fl_mutex_unlock(&pair[1]);
	}
	lock_often(&pair[0], 160);
	lock_here(&pair[0]);
	(void)raise((int)strtol(what, NULL, 10));
	fl_mutex_unlock(&pair[0]);
}

static void start_again(void *modes)
{
	FL_OK(setenv("FL_DEBUG", modes, 1));
	FL_OK(setenv("FL_TEST_DEBUG",
	             strstr(modes, "signal=9")               ? "0"
	             : strcmp(modes, "waits,signal=10") == 0 ? "10"
	                                                     : "3",
	             1));
	FL_CHECK(signal(SIGQUIT, SIG_DFL) != SIG_ERR);
	FL_CHECK(freopen("/dev/null", "w", stdout) != NULL); /* it reports cases, too */
	(void)execl("/proc/self/exe", "test_debug_outside", "debug_outside_body", (char *)NULL);
	FL_CHECK(!"not executed");
}

FL_TEST(debug_environment_switches_on)
{
	static char text[1 << 16];
	static char all[] = "lockorder,waits,contention", other[] = "waits,signal=10", wrong[] = "waits,lockodrer",
		    denied[] = "waits,signal=9";
	/* with SIGSEGV a fault would print dumps for ever; SIGCHLD comes with each child */
	static char no_signals[][20] = {"waits,signal=USR1", "waits,signal=",   "waits,signal=10x",
	                                "waits,signal=1000", "waits,signal=11", "waits,signal=17"};
	FL_RC(fl_test_child(start_again, all, text, sizeof text), 0);
	fl_test_contains(text, "potential deadlock");
	fl_test_contains(text, "fairlead: waits of process"); /* SIGQUIT */
	fl_test_contains(text, "lock_here");
	fl_test_contains(text, "lock_often"); /* the profile, at exit */
	FL_RC(fl_test_child(start_again, other, text, sizeof text), 0);
	assert_null(strstr(text, "potential deadlock"));
	fl_test_contains(text, "lock_here");
	FL_RC(fl_test_child(start_again, wrong, text, sizeof text), 0);
	fl_test_contains(text, "\"lockodrer\" is none of");
	FL_RC(fl_test_child(start_again, denied, text, sizeof text), 0);
	fl_test_contains(text, "FL_DEBUG: signal 9 cannot be caught");
	FL_EACH (i, no_signals) {
		FL_RC(fl_test_child(start_again, no_signals[i], text, sizeof text), 0);
		fl_test_contains(text, "is none of lockorder, waits, contention, signal=N");
		fl_test_contains(text, "fairlead: waits of process"); /* SIGQUIT */
	}
}

static void debug_find_mark(void *mark)
{
	FL_CHECK(fl__debug_runs[0].since == *(int *)mark);
}

/* Run by the restarted program in the case below, where no mode was ever on. */
FL_TEST(debug_unused_body)
{
	int mark = 4711;
	if (!getenv("FL_TEST_UNUSED"))
		return;
	fl__debug_runs[0].since = mark;
	FL_IN_CHILD(debug_find_mark, &mark);
}

static void start_unused(void *unused)
{
	FL_OK(unsetenv("FL_DEBUG"));
	FL_OK(setenv("FL_TEST_UNUSED", "1", 1));
	FL_CHECK(freopen("/dev/null", "w", stdout) != NULL);
	(void)execl("/proc/self/exe", "test_debug_outside", "debug_unused_body", (char *)NULL);
	FL_CHECK(!"not executed");
}

/* The table is a hundred pages, and each that a child touches is a page fault. */
FL_TEST(debug_unused_leaves_its_table_alone_in_a_child)
{
	FL_IN_CHILD(start_unused, NULL);
}

/* Run by the restarted program in the case below; in a run of all cases it does nothing. */
FL_TEST(debug_privileged_body)
{
	struct sigaction quit = {0}, usr1 = {0};
	if (!getauxval(AT_SECURE))
		return;
	assert_non_null(getenv("FL_DEBUG"));
	assert_int_equal(fl__hook_word(&fl__hooks), 0);
	FL_OK(sigaction(SIGQUIT, NULL, &quit));
	FL_OK(sigaction(SIGUSR1, NULL, &usr1));
	assert_true(quit.sa_handler == SIG_DFL && usr1.sa_handler == SIG_DFL);
}

/* The real user is not root, and the effective user is: as in a set-uid program. */
static void start_privileged(void *modes)
{
	FL_OK(setenv("FL_DEBUG", modes, 1));
	FL_CHECK(signal(SIGQUIT, SIG_DFL) != SIG_ERR && setresuid(65534, 0, 0) == 0);
	FL_CHECK(freopen("/dev/null", "w", stdout) != NULL);
	(void)execl("/proc/self/exe", "test_debug_outside", "debug_privileged_body", (char *)NULL);
	FL_CHECK(!"not executed");
}

/* bug: environment_of_a_privileged_program */
FL_TEST(debug_privileged_program_ignores_the_environment)
{
	static char quit[] = "waits,contention", other[] = "lockorder,waits,signal=10", text[1 << 14];
	fl_test_need_users();
#ifdef FL__ASAN
	FL_SKIP("LeakSanitizer cannot do its work in a set-uid program");
#endif
	FL_RC(fl_test_child(start_privileged, quit, text, sizeof text), 0);
	assert_string_equal(text, "");
	FL_RC(fl_test_child(start_privileged, other, text, sizeof text), 0);
	assert_string_equal(text, "");
}
