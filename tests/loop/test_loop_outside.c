/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that need a loop, or a fiber of one, made elsewhere: each names itself and its requirement.
 */
#include "fl_streams.h"

static char logged[256];

FL_TEST_LOG_HANDLER(keep)
{
	FL_CHECK(level == FL_LOG_ERROR);
	FL_TEXT(logged, "%s", message);
}

#define A_LOOP "a thread that runs an event loop"
#define A_FIBER "a fiber of an event loop"

/* For any thread: the call gave -ENOTSUP, and the log says that `function` needs `what`. */
static void check_needs(const char *function, const char *what, int rc)
{
	char expected[sizeof logged];
	FL_TEXT(expected, "%s needs %s: see fl_loop_run()", function, what);
	if (rc != -ENOTSUP || strcmp(logged, expected) != 0)
		print_error("%s: %d, '%s'\n", function, rc, logged);
	FL_CHECK(rc == -ENOTSUP && strcmp(logged, expected) == 0);
	logged[0] = '\0';
}

#define NEEDS(what, function, ...) check_needs(#function, what, function(__VA_ARGS__))

/* Each call gives -ENOTSUP. */
FL_TEST(loop_outside_calls_name_themselves)
{
	fl_log_handler *before = fl_log_set_handler(keep);
	fl_fiber *f;
	fl_group g = FL_GROUP_INIT(NULL);
	fl_stream *s = NULL, *ends[2] = {NULL, NULL};
	fl_listener *l = NULL;
	fl_datagram *d = NULL;
	fl_address a, at;
	NEEDS(A_LOOP, fl_fiber_start, &f, fl_test_nothing, NULL, NULL);
	NEEDS(A_LOOP, fl_group_start, &g, fl_test_nothing, NULL);
	NEEDS(A_FIBER, fl_blocking_call, fl_test_nothing, NULL, NULL);
	NEEDS(A_LOOP, fl_stream_from_fd, &s, 0);
	NEEDS(A_LOOP, fl_stream_pair, ends);
	NEEDS(A_FIBER, fl_net_resolve, "127.0.0.1", 0, &a, 1);
	check_needs("fl_net_resolve", A_FIBER, fl_net_resolve_until("127.0.0.1", 0, &a, 1, FL_NO_WAIT, NULL));
	NEEDS(A_FIBER, fl_stream_connect_tcp, &s, "127.0.0.1", 80);
	check_needs("fl_stream_connect_tcp", A_FIBER,
	            fl_stream_connect_tcp_until(&s, "127.0.0.1", 80, FL_NO_WAIT, NULL));
	NEEDS(A_FIBER, fl_stream_connect_unix, &s, "/nowhere");
	check_needs("fl_stream_connect_unix", A_FIBER, fl_stream_connect_unix_until(&s, "/nowhere", FL_NO_WAIT, NULL));
	NEEDS(A_LOOP, fl_listener_open_tcp, &l, "127.0.0.1", 0, NULL);
	NEEDS(A_LOOP, fl_listener_open_unix, &l, "/nowhere", NULL);
	NEEDS(A_LOOP, fl_address_ip, &at, "127.0.0.1", 1);
	NEEDS(A_LOOP, fl_datagram_open_udp, &d, "127.0.0.1", 0, NULL);
	NEEDS(A_LOOP, fl_datagram_open_unix, &d, NULL);
	NEEDS(A_LOOP, fl_datagram_from_fd, &d, 0);
	(void)fl_log_set_handler(before);
	assert_true(!s && !ends[0] && !ends[1] && !l && !d);
}

static void in_a_callback(void *unused)
{
	fl_stream *s = NULL;
	NEEDS(A_FIBER, fl_blocking_call, fl_test_nothing, NULL, NULL);
	NEEDS(A_FIBER, fl_stream_connect_tcp, &s, "127.0.0.1", 80);
	NEEDS(A_FIBER, fl_stream_connect_unix, &s, "/nowhere");
}

FL_LOOP_TEST(loop_outside_of_fibers_is_a_callback)
{
	fl_log_handler *before = fl_log_set_handler(keep);
	fl_test_in_callback(in_a_callback, NULL);
	(void)fl_log_set_handler(before);
}

static void never(void *unused)
{
}

static void never_watches(fl_loop_watch *w, int fd, unsigned events, void *unused)
{
}

#define MISSING(name, ...)                                                                                             \
	do {                                                                                                           \
		FL_PANICS((void)(__VA_ARGS__));                                                                        \
		assert_string_equal(fl_test_panic.function, #name);                                                    \
		assert_null(fl_test_panic.object);                                                                     \
		assert_string_equal(fl_test_panic.reason, "the loop is NULL: does this thread run one?");              \
	} while (0)

FL_TEST(loop_outside_null_is_a_panic_with_a_name)
{
	fl_loop_timer t = {0};
	fl_loop_watch w = {0};
	fl_executor *e = NULL;
	fl_time deadline;
	assert_null(fl_loop_current());
	MISSING(fl_loop_post, FL_IGNORE(fl_loop_post(fl_loop_current(), never, NULL)));
	MISSING(fl_loop_cancel, fl_loop_cancel(NULL));
	MISSING(fl_loop_run_on, FL_IGNORE(fl_loop_run_on(NULL, fl_test_nothing, NULL)));
	MISSING(fl_loop_run_once, FL_IGNORE(fl_loop_run_once(NULL, &deadline)));
	MISSING(fl_loop_fd, fl_loop_fd(NULL));
	MISSING(fl_loop_timer_start, fl_loop_timer_start(NULL, &t, FL_NO_WAIT, never, NULL));
	MISSING(fl_loop_timer_cancel, fl_loop_timer_cancel(NULL, &t));
	MISSING(fl_loop_watch_start, FL_IGNORE(fl_loop_watch_start(NULL, &w, 0, FL_FD_IN, never_watches, NULL)));
	MISSING(fl_loop_debug, FL_IGNORE(fl_loop_debug(NULL, NULL)));
	MISSING(fl_loop_dump, fl_loop_dump(NULL, stderr));
	MISSING(fl_loop_executor_create_on, FL_IGNORE(fl_loop_executor_create_on(&e, NULL, NULL)));
	fl_loop_free(NULL);
}
