/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names: the results of a lookup, the meaning of its errors, and callers that do not wait for it.
 */
#include "fl_streams.h"

FL_NET_TEST(net_resolve_numbers)
{
	fl_test_lookup_finds("127.0.0.9");
	fl_address a[4];
	fl_fiber_cancel(fl_fiber_current()); /* they never wait */
	FL_RC(fl_net_resolve("127.0.0.1", 0, a, 4), 1);
	FL_CHECK(fl_test_is_address(a, "127.0.0.1"));
	FL_RC(fl_net_resolve("::1", 80, a, 4), 1);
	FL_CHECK(fl_test_is_address(a, "[::1]:80"));
	FL_RC(fl_net_resolve("2001:db8:0:0:0:0:0:1", 0, a, 4), 1);
	FL_CHECK(fl_test_is_address(a, "2001:db8::1"));
	FL_RC(fl_net_resolve_until("127.1", 0, a, 1, FL_NO_WAIT, NULL), 1);
	FL_CHECK(fl_test_is_address(a, "127.0.0.1"));
	FL_RC(fl_net_resolve("fe80::1%lo", 0, a, 1), 1);
	FL_CHECK(fl_test_is_address(a, "fe80::1%1"));
	FL_RC(fl_net_resolve("fe80::1%1234567", 0, a, 1), 1);
	FL_CHECK(fl_test_is_address(a, "fe80::1%1234567"));
	FL_RC(fl_test_asked, 0);
}

FL_NET_TEST(net_resolve_for_real)
{
	fl_address a[2];
	FL_CHECK(fl_net_resolve("localhost", 0, a, 2) > 0);
	FL_CHECK(fl_test_is_address(&a[0], "127.0.0.1") || fl_test_is_address(&a[0], "::1"));
	/* these are no names, so no lookup is made */
	FL_RC(fl_net_resolve("no such name", 0, a, 2), -ENOENT);
	FL_RC(fl_net_resolve("no..name", 0, a, 2), -ENOENT);
}

FL_NET_TEST(net_resolve_names)
{
	fl_address a[FL_ADDRESSES_MAX + 1];
	fl_test_lookup_finds("127.0.0.2 ::1 127.0.0.1");
	FL_RC(fl_net_resolve("some.name", 80, a, FL_ADDRESSES_MAX + 1), 3); /* in their order */
	FL_CHECK(fl_test_is_address(&a[0], "127.0.0.2:80") && fl_test_is_address(&a[1], "[::1]:80") &&
	         fl_test_is_address(&a[2], "127.0.0.1:80"));
	a[1].size = 0;
	FL_RC(fl_net_resolve("some.name", 0, a, 1), 1);
	FL_CHECK(fl_test_is_address(&a[0], "127.0.0.2") && fl_test_is_address(&a[1], ""));
	while (fl_test_found_n < 40)
		fl_test_found[fl_test_found_n++] = fl_test_found[0];
	FL_RC(fl_net_resolve("some.name", 0, a, FL_ADDRESSES_MAX + 1), FL_ADDRESSES_MAX);
	FL_RC(fl_test_asked, 3);
}

FL_NET_TEST(net_resolve_bad_calls)
{
	char name[300];
	fl_address a;
	fl_test_lookup_finds("127.0.0.1");
	FL_RC(fl_net_resolve(NULL, 0, &a, 1), -EINVAL);
	FL_RC(fl_net_resolve("127.0.0.1", 0, &a, 0), -EINVAL);
	FL_RC(fl_net_resolve("", 0, &a, 1), -ENOENT);
	memset(name, 'x', sizeof name);
	name[256] = '\0';
	FL_RC(fl_net_resolve(name, 0, &a, 1), -ENAMETOOLONG);
	name[255] = '\0';
	FL_RC(fl_net_resolve(name, 0, &a, 1), 1);
}

/* ---- errors */

/* What fairlead/net.h says of each. */
FL_TEST(net_resolve_codes)
{
	static const struct {
		int code, system, means;
	} codes[] = {
	    {EAI_NONAME, 0, -ENOENT},
	    {EAI_NODATA, 0, -ENOENT},
	    {EAI_ADDRFAMILY, 0, -ENOENT},
	    {EAI_AGAIN, 0, -EAGAIN},
	    {EAI_FAIL, 0, -EIO},
	    {EAI_OVERFLOW, 0, -ENAMETOOLONG},
	    {EAI_MEMORY, 0, -ENOMEM},
	    {EAI_FAMILY, 0, -EAFNOSUPPORT},
	    {EAI_IDN_ENCODE, 0, -EINVAL},
	    {EAI_BADFLAGS, 0, -EINVAL},
	    {EAI_SOCKTYPE, 0, -EINVAL},
	    {EAI_SERVICE, 0, -EINVAL},
	    {EAI_SYSTEM, EMFILE, -EMFILE},
	    {EAI_SYSTEM, ENFILE, -ENFILE},
	    {EAI_SYSTEM, 0, -EIO},
	    {EAI_NONAME, EMFILE, -ENOENT},
	    {-1234, 0, -EIO},
	};
	FL_EACH (i, codes)
		FL_RC(fl__lookup_error(codes[i].code, codes[i].system), codes[i].means);
}

static char logged[512];
static unsigned logs;

FL_TEST_LOG_HANDLER(keep_log)
{
	FL_CHECK(level == FL_LOG_ERROR);
	FL_TEXT(logged, "%s", message);
	logs++;
}

/* Whether a failed lookup of "some.name" is logged. `reason` NULL: as the error's text. */
static bool is_logged(int error, const char *reason)
{
	char line[sizeof logged];
	FL_TEXT(line, "cannot look up host \"some.name\": %s: %s", fl_error_name(error),
	        reason ? reason : fl_error_text(error));
	return strcmp(logged, line) == 0;
}

/* The system's own faults come first: as long as there is no thread. */
FL_NET_TEST(net_resolve_failures)
{
	fl_address a;
	fl_stream *s = NULL;
	logs = 0;
	(void)fl_log_set_handler(keep_log);
	fl_test_lookup_finds("127.0.0.1");
	fl__sys.thread_create = fl_test_no_threads;
	FL_RC(fl_net_resolve("some.name", 0, &a, 1), -EAGAIN);
	FL_RC(fl_stream_connect_tcp(&s, "some.name", 80), -EAGAIN);
	fl__sys.thread_create = fl_test_real_sys.thread_create;
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_net_resolve("some.name", 0, &a, 1), -ENOMEM);
	FL_RC(fl_stream_connect_tcp(&s, "some.name", 80), -ENOMEM);
	fl__sys.alloc = fl_test_counting_alloc;
	FL_CHECK(fl_test_asked == 0 && logs == 0); /* there was no lookup */
	static const struct {
		int error;
		const char *reason;
	} found[] = {
	    {-ENOENT, "the name does not exist, or has no address"},
	    {-EAGAIN, "the name servers do not answer now"},
	    {-EIO, "the name servers refuse"},
	    {-EMFILE, NULL},
	    {-ENAMETOOLONG, NULL},
	};
	FL_EACH (i, found) {
		fl_test_found_n = found[i].error;
		FL_RC(fl_net_resolve("some.name", 0, &a, 1), found[i].error);
		FL_CHECK(is_logged(found[i].error, found[i].reason));
		logged[0] = '\0';
		FL_RC(fl_stream_connect_tcp(&s, "some.name", 80), found[i].error);
		FL_CHECK(is_logged(found[i].error, found[i].reason));
	}
	FL_RC(fl_net_resolve("", 0, &a, 1), -ENOENT);
	FL_CHECK(strcmp(logged, "cannot look up host \"\": ENOENT: the name does not exist, or has no address") == 0);
	FL_RC(logs, 11);
	(void)fl_log_set_handler(NULL);
}

/* ---- without a wait */

static fl_event go_on, begun;
static uint32_t n_begun, n_over;

/* Until `go_on`. */
static int slow_lookup(const char *host, int flags, fl_address *list, unsigned n)
{
	if (flags & AI_NUMERICHOST)
		return fl_test_lookup(host, flags, list, n);
	fl__add_relaxed(&n_begun, 1);
	fl_event_set(&begun);
	fl_test_hold_until(&go_on);
	int rc = fl_test_lookup(host, flags, list, n);
	fl__add_relaxed(&n_over, 1);
	return rc;
}

static void slow_lookup_ours(void)
{
	fl_test_lookup_finds("127.0.0.1");
	fl_event_reset(&go_on);
	fl_event_reset(&begun);
	n_begun = n_over = 0;
	fl__name_sys.lookup = slow_lookup;
}

static int resolve_it(void *address)
{
	return fl_net_resolve("some.name", 0, address, 1);
}

/*
 * The fiber returns at once. The lookup continues; its result is freed, as the count of the memory
 * shows.
 */
static int cancelled(void *unused)
{
	fl_address a = {.size = 0};
	fl_stream *s = NULL;
	slow_lookup_ours();
	fl_fiber *f = fl_test_start(resolve_it, &a);
	FL_OK(fl_event_wait(&begun));
	fl_fiber_cancel(f);
	FL_RC(fl_test_join(f), -ECANCELED); /* fl_net_resolve() */
	FL_RC(fl_net_resolve_until("some.name", 0, &a, 1, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_net_resolve_until("some.name", 0, &a, 1, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_stream_connect_tcp_until(&s, "some.name", 80, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_net_resolve_until("some.name", 0, &a, 1, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_stream_connect_tcp_until(&s, "some.name", 80, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CHECK(fl__load_relaxed(&n_over) == 0 && fl_test_is_address(&a, "") && s == NULL);
	fl_event_set(&go_on);
	return 0;
}

FL_TEST(net_resolve_cancelled)
{
	fl_test_leaves_nothing(cancelled, NULL);
	assert_true(n_over >= 1 && n_over == n_begun);
}

enum { LOOKUPS = 40 }; /* more than there are threads */

/* A lookup that is cancelled before its begin never begins. */
static int in_line(void *unused)
{
	fl_address a[LOOKUPS];
	fl_fiber *f[LOOKUPS];
	slow_lookup_ours();
	FL_EACH (i, f)
		f[i] = fl_test_start(resolve_it, &a[i]);
	fl_test_settle();
	FL_EACH (i, f)
		fl_fiber_cancel(f[i]);
	FL_EACH (i, f)
		FL_RC(fl_test_join(f[i]), -ECANCELED);
	fl_event_set(&go_on);
	FL_RC(fl_net_resolve("some.name", 0, a, 1), 1); /* after those that had begun */
	return 0;
}

FL_TEST(net_resolve_cancelled_while_queued)
{
	fl_test_leaves_nothing(in_line, NULL);
	assert_true(n_over == n_begun && n_begun < LOOKUPS);
}

/* The other fibers run in the meantime; and many lookups at once give each its own answer. */
static int at_once(void *unused)
{
	fl_address a[LOOKUPS];
	fl_fiber *f[LOOKUPS];
	slow_lookup_ours();
	FL_EACH (i, f)
		f[i] = fl_test_start(resolve_it, &a[i]);
	FL_OK(fl_event_wait(&begun));
	FL_CHECK(fl__load_relaxed(&n_over) == 0);
	fl_event_set(&go_on);
	FL_EACH (i, f) {
		FL_RC(fl_test_join(f[i]), 1);
		FL_CHECK(fl_test_is_address(&a[i], "127.0.0.1"));
	}
	return 0;
}

FL_TEST(net_resolve_many_at_once)
{
	fl_test_leaves_nothing(at_once, NULL);
	assert_int_equal(n_over, LOOKUPS);
}

/* Names that nobody answers. */

static int answer[2]; /* a pipe, whose end is the answer */

/* Hangs in the system, of which the executor knows nothing. */
static int deaf_lookup(const char *host, int flags, fl_address *list, unsigned n)
{
	char byte;
	if (flags & AI_NUMERICHOST)
		return fl_test_lookup(host, flags, list, n);
	fl_event_set(&begun);
	FL_CHECK(read(answer[0], &byte, 1) == 0);
	fl__add_relaxed(&n_over, 1);
	return fl_test_lookup(host, flags, list, n);
}

static void deaf_lookup_ours(void)
{
	slow_lookup_ours();
	fl__name_sys.lookup = deaf_lookup;
}

static int note_call(void *called)
{
	*(bool *)called = true;
	return 0;
}

/* The lookups took all threads of the loop, and other calls waited behind them. */
static int lookups_and_call(void *unused)
{
	fl_address a[LOOKUPS];
	fl_fiber *f[LOOKUPS];
	bool called = false;
	deaf_lookup_ours();
	FL_EACH (i, f)
		f[i] = fl_test_start(resolve_it, &a[i]);
	fl_test_settle();
	FL_OK(fl_blocking_call(note_call, &called, NULL));
	FL_CHECK(called && fl__load_relaxed(&n_over) == 0);
	FL_OK(close(answer[1]));
	FL_EACH (i, f)
		FL_RC(fl_test_join(f[i]), 1);
	return 0;
}

FL_TEST(net_lookups_that_hang_leave_threads_for_other_calls)
{
	FL_OK(pipe2(answer, O_CLOEXEC));
	FL_NET_FAULTS();
	fl_test_in_loop(lookups_and_call, NULL);
	FL_OK(close(answer[0]));
	assert_int_equal(n_over, LOOKUPS);
}

static int give_up(void *unused)
{
	fl_address a;
	deaf_lookup_ours();
	fl_fiber *f = fl_test_start(resolve_it, &a);
	FL_OK(fl_event_wait(&begun));
	fl_fiber_cancel(f);
	FL_RC(fl_test_join(f), -ECANCELED);
	return 0;
}

/* The end of the loop waited for a lookup that nobody awaited any more. */
FL_TEST(net_lookup_that_was_given_up_does_not_hold_up_the_end_of_the_loop)
{
	FL_NET_FAULTS();
	FL_OK(pipe2(answer, O_CLOEXEC));
	fl_test_in_loop(give_up, NULL);
	assert_int_equal(fl__load_relaxed(&n_over), 0); /* the lookup goes on */
	FL_OK(close(answer[1]));
	/* acquire: pairs with executor_free_when_ended() */
	FL_WAIT_FOR(fl__load_acquire(&fl__executors_detached) == 0);
	assert_int_equal(n_over, 1);
	fl__helpers_end(); /* joins the thread that has freed it */
	FL_OK(close(answer[0]));
}

/* Leaves the number of descriptors as it was. */
FL_TEST_THREAD_CREATE(no_thread_but_an_answer)
{
	FL_CHECK(dup2(answer[0], answer[1]) == answer[1]);
	return -EAGAIN;
}

static int give_up_without_threads(void *unused)
{
	FL_OK(give_up(NULL));
	fl__sys.thread_create = no_thread_but_an_answer;
	return 0;
}

/* Without a thread that would free the executor the end of the loop waits for the lookup. */
FL_TEST(net_lookup_is_awaited_where_no_thread_can_be_started)
{
	FL_OK(pipe2(answer, O_CLOEXEC));
	fl_test_leaves_nothing(give_up_without_threads, NULL);
	assert_int_equal(n_over, 1);
	fl_test_close_two(answer);
}
