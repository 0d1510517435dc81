/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_queued.h"

static int return_it(void *arg)
{
	return *(int *)arg;
}

static int wait_for(void *event)
{
	return fl_event_wait_until(event, FL_FOREVER, FL_SHIELDED);
}

FL_TEST(thread_runs_and_returns)
{
	static const int results[] = {0, 1, -1, INT_MAX, INT_MIN};
	FL_EACH (i, results) {
		int value = results[i], result = 77;
		fl_thread *t = NULL;
		FL_OK(fl_thread_start(&t, return_it, &value, NULL));
		FL_OK(fl_thread_join(t, &result));
		assert_int_equal(result, results[i]);
	}
	int value = 5;
	fl_thread *t;
	FL_OK(fl_thread_start(&t, return_it, &value, &(fl_thread_config){.name = NULL}));
	FL_OK(fl_thread_join(t, NULL));
}

FL_TEST(thread_join_answers)
{
	fl_event end = FL_EVENT_INIT;
	fl_thread *t;
	int result = 77;
	FL_OK(fl_thread_start(&t, wait_for, &end, NULL));
	FL_RC(fl_thread_try_join(t, &result), -EAGAIN);
	FL_RC(fl_thread_join_until(t, &result, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_time deadline = fl_test_soon();
	FL_RC(fl_thread_join_until(t, &result, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_time_is_past(deadline));
	FL_RC(fl_thread_join_until(t, &result, FL_FOREVER, fl_test_requested), -ECANCELED);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(fl_thread_join(t, &result), -ECANCELED);
		FL_RC(fl_thread_try_join(t, &result), -EAGAIN);
	}
	assert_int_equal(result, 77);
	fl_event_set(&end);
	FL_OK(fl_thread_join(t, &result)); /* it could be joined again */
	assert_int_equal(result, 0);
}

FL_TEST(thread_try_join_of_one_that_has_ended)
{
	int value = 3, result = 77;
	fl_thread *t;
	FL_OK(fl_thread_start(&t, return_it, &value, NULL));
	FL_WAIT_FOR(!fl_thread_is_alive(t));
	FL_OK(fl_thread_try_join(t, &result));
	assert_int_equal(result, 3);
	FL_OK(fl_thread_start(&t, return_it, &value, NULL));
	FL_WAIT_FOR(!fl_thread_is_alive(t));
	FL_OK(fl_thread_join_until(t, NULL, FL_NO_WAIT, fl_test_requested));
}

typedef struct self {
	fl_thread *handle;
	fl_event started, ended;
	uint64_t id;
	char name[64], kernel_name[64];
	bool was_alive;
} self;

static int join_oneself(void *arg)
{
	self *s = arg;
	FL_OK(fl_event_wait(&s->started));
	FL_RC(fl_thread_join_until(s->handle, NULL, FL_NO_WAIT, NULL), -EDEADLK);
	fl_event_set(&s->ended);
	return 0;
}

FL_TEST(thread_cannot_join_itself)
{
	self s = {NULL, FL_EVENT_INIT, FL_EVENT_INIT, 0, "", "", false};
	FL_OK(fl_thread_start(&s.handle, join_oneself, &s, NULL));
	fl_event_set(&s.started);
	FL_OK(fl_event_wait(&s.ended));
	FL_OK(fl_thread_join(s.handle, NULL));
}

static int detach_oneself(void *arg)
{
	self *s = arg;
	FL_OK(fl_event_wait(&s->started));
	fl_thread_detach(s->handle);
	fl_event_set(&s->ended);
	return 0;
}

FL_TEST(thread_detached_by_itself_or_by_others)
{
	static self s; /* it outlives the case's frame with its thread */
	FL_OK(fl_thread_start(&s.handle, detach_oneself, &s, NULL));
	fl_event_set(&s.started);
	FL_OK(fl_event_wait(&s.ended));
	FL_WAIT_FOR(fl_thread_enumerate(NULL, NULL) == 0);

	static fl_event end;
	fl_thread *t;
	FL_OK(fl_thread_start(&t, wait_for, &end, NULL));
	fl_thread_detach(t);
	FL_WAIT_FOR(fl_test_queued(&end) == 1);
	assert_int_equal(fl_thread_enumerate(NULL, NULL), 1);
	fl_event_set(&end);
	FL_WAIT_FOR(fl_thread_enumerate(NULL, NULL) == 0);

	FL_OK(fl_thread_start(&t, wait_for, &end, NULL));
	FL_WAIT_FOR(!fl_thread_is_alive(t));
	assert_int_equal(fl_thread_enumerate(NULL, NULL), 1);
	fl_thread_detach(t);
	FL_WAIT_FOR(fl_thread_enumerate(NULL, NULL) == 0);
}

FL_TEST(thread_is_alive_until_its_function_ends)
{
	fl_event end = FL_EVENT_INIT;
	fl_thread *t;
	FL_OK(fl_thread_start(&t, wait_for, &end, NULL));
	assert_true(fl_thread_is_alive(t));
	fl_event_set(&end);
	FL_WAIT_FOR(!fl_thread_is_alive(t));
	FL_OK(fl_thread_join(t, NULL));
}

static int tell_self(void *arg)
{
	self *s = arg;
	s->id = fl_thread_current_id();
	FL_TEXT(s->name, "%s", fl_thread_current_name());
	FL_OK(pthread_getname_np(pthread_self(), s->kernel_name, sizeof s->kernel_name));
	return 0;
}

static void name_of(const char *name, self *s)
{
	memset(s, 0, sizeof *s);
	FL_OK(fl_thread_start(&s->handle, tell_self, s, &(fl_thread_config){.name = name}));
	fl_test_end(s->handle);
}

FL_TEST(thread_names)
{
	self s;
	char mine[] = "download";
	name_of(mine, &s);
	assert_string_equal(s.name, "download");
	assert_string_equal(s.kernel_name, "download");
	name_of("0123456789abcdefghijklmnopqrstuvwxyz", &s);
	assert_string_equal(s.name, "0123456789abcdefghijklmnopqrstu");
	assert_string_equal(s.kernel_name, "0123456789abcde");
	name_of("", &s);
	assert_string_equal(s.name, "");

	unsigned first, second;
	name_of(NULL, &s);
	assert_int_equal(sscanf(s.name, "thread-%u", &first), 1);
	name_of(NULL, &s);
	assert_int_equal(sscanf(s.name, "thread-%u", &second), 1);
	assert_int_equal(second, first + 1);
	assert_string_equal(fl_thread_current_name(), "main");
}

static void *tell_foreign(void *arg)
{
	(void)tell_self(arg);
	return NULL;
}

FL_TEST(thread_that_others_started)
{
	self s, other;
	(void)fl_test_foreign(tell_foreign, &s);
	assert_string_equal(s.name, "foreign");
	(void)fl_test_foreign(tell_foreign, &other);
	assert_true(s.id != 0 && other.id != 0 && s.id != other.id && s.id != fl_thread_current_id());
}

FL_TEST(thread_ids_are_never_used_twice)
{
	enum { N = 40 };
	uint64_t ids[N + 1] = {fl_thread_current_id()};
	assert_true(ids[0] != 0 && fl_thread_current_id() == ids[0]);
	for (int i = 1; i <= N; i++) {
		self s = {NULL, FL_EVENT_INIT, FL_EVENT_INIT, 0, "", "", false};
		FL_OK(fl_thread_start(&s.handle, tell_self, &s, NULL));
		ids[i] = fl_thread_id(s.handle);
		fl_test_end(s.handle);
		assert_true(s.id == ids[i] && s.id != 0);
		for (int j = 0; j < i; j++)
			assert_true(ids[j] != ids[i]);
	}
}

static int tell_stack(void *arg)
{
	pthread_attr_t attr;
	FL_OK(pthread_getattr_np(pthread_self(), &attr));
	FL_OK(pthread_attr_getstacksize(&attr, arg));
	FL_OK(pthread_attr_destroy(&attr));
	return 0;
}

static size_t stack_of(size_t asked)
{
	size_t got = 0;
	fl_thread *t;
	FL_OK(fl_thread_start(&t, tell_stack, &got, &(fl_thread_config){.stack_size = asked}));
	fl_test_end(t);
	return got;
}

FL_TEST(thread_stack_size)
{
	size_t usual = stack_of(0);
	assert_true(stack_of(1) >= (size_t)PTHREAD_STACK_MIN);
	assert_true(stack_of(1) < usual);
	/* glibc may give a kept stack of up to four times the size, and the usual may be 1 MiB */
	assert_true(stack_of(64 << 10) >= 64 << 10);
	assert_true(stack_of(64 << 10) < usual);
	assert_true(stack_of(32 << 20) >= 32 << 20);
}

FL_TEST(thread_stack_that_is_impossible)
{
	fl_thread *t = NULL;
	FL_RC(fl_thread_start(&t, return_it, NULL, &(fl_thread_config){.stack_size = SIZE_MAX}), -EINVAL);
#ifdef __GLIBC__
	const int refused = -EAGAIN; /* at the start */
#else
	const int refused = -EINVAL; /* as a size */
#endif
	FL_RC(fl_thread_start(&t, return_it, NULL, &(fl_thread_config){.stack_size = SIZE_MAX / 8 * 7}), refused);
	assert_null(t);
	assert_int_equal(fl_thread_enumerate(NULL, NULL), 0);
}

static int tell_signals(void *mask)
{
	FL_OK(pthread_sigmask(SIG_SETMASK, NULL, mask));
	return 0;
}

static int blocked_in(bool block, sigset_t *mine_after)
{
	sigset_t theirs;
	fl_thread *t;
	int n = 0;
	FL_OK(fl_thread_start(&t, tell_signals, &theirs, &(fl_thread_config){.block_signals = block}));
	fl_test_end(t);
	FL_OK(pthread_sigmask(SIG_SETMASK, NULL, mine_after));
	for (int s = 1; s < 32; s++)
		n += sigismember(&theirs, s) == 1;
	return n;
}

FL_TEST(thread_block_signals)
{
	sigset_t before, after, usr1;
	FL_OK(sigemptyset(&usr1));
	FL_OK(sigaddset(&usr1, SIGUSR1));
	FL_OK(pthread_sigmask(SIG_SETMASK, &usr1, &before));
	int inherited = blocked_in(false, &after);
	bool same = sigismember(&after, SIGUSR1) == 1 && sigismember(&after, SIGUSR2) == 0;
	int all = blocked_in(true, &after);
	same &= sigismember(&after, SIGUSR1) == 1 && sigismember(&after, SIGUSR2) == 0;
	FL_OK(pthread_sigmask(SIG_SETMASK, &before, NULL));
	assert_int_equal(inherited, 1);
	assert_int_equal(all, 31 - 2 - 6); /* all but SIGKILL, SIGSTOP and those of faults */
	assert_true(same);                 /* the caller's mask is as it was */
}
