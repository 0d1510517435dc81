/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that need a loop, or a fiber of one, made elsewhere: each names itself and its requirement.
 */
#include "fl_in_loop.h"
#include "fl_net.h"

static char logged[256];

static void keep(fl_log_level level, const char *message)
{
	FL_CHECK(level == FL_LOG_ERROR);
	(void)snprintf(logged, sizeof logged, "%s", message);
}

static int returns_0(void *unused)
{
	return 0;
}

#define A_LOOP "a thread that runs an event loop"
#define A_FIBER "a fiber of an event loop"

/* For any thread: `expr` is -ENOTSUP, and the log says that `function` needs `what`. */
#define NEEDS(function, what, expr)                                                                                    \
	do {                                                                                                           \
		logged[0] = '\0';                                                                                      \
		FL_CHECK((expr) == -ENOTSUP);                                                                          \
		FL_CHECK(strcmp(logged, #function " needs " what ": see fl_loop_run()") == 0);                         \
	} while (0)

FL_TEST(loop_outside_calls_name_themselves)
{
	fl_log_handler *before = fl_set_log_handler(keep);
	fl_fiber *f;
	fl_group g = FL_GROUP_INIT(NULL);
	fl_stream *s, *ends[2];
	fl_listener *l;
	fl_address a;
	NEEDS(fl_fiber_start, A_LOOP, fl_fiber_start(&f, returns_0, NULL, NULL));
	NEEDS(fl_group_start, A_LOOP, fl_group_start(&g, returns_0, NULL));
	NEEDS(fl_to_thread, A_FIBER, fl_to_thread(returns_0, NULL, NULL));
	NEEDS(fl_stream_from_fd, A_LOOP, fl_stream_from_fd(&s, 0));
	NEEDS(fl_stream_pair, A_LOOP, fl_stream_pair(ends));
	NEEDS(fl_resolve, A_FIBER, fl_resolve("127.0.0.1", &a, 1));
	NEEDS(fl_connect_tcp, A_FIBER, fl_connect_tcp(&s, "127.0.0.1", 80));
	NEEDS(fl_connect_unix, A_FIBER, fl_connect_unix(&s, "/nowhere"));
	NEEDS(fl_listen_tcp, A_LOOP, fl_listen_tcp(&l, "127.0.0.1", 0, NULL));
	NEEDS(fl_listen_unix, A_LOOP, fl_listen_unix(&l, "/nowhere", NULL));
	(void)fl_set_log_handler(before);
}

static void in_a_callback(void *done)
{
	NEEDS(fl_to_thread, A_FIBER, fl_to_thread(returns_0, NULL, NULL));
	fl_event_set(done);
}

static int calls_back(void *unused)
{
	fl_event done = FL_EVENT_INIT;
	FL_OK(fl_loop_post(fl_loop_current(), in_a_callback, &done));
	return fl_event_wait(&done);
}

FL_TEST(loop_outside_of_fibers_is_a_callback)
{
	fl_log_handler *before = fl_set_log_handler(keep);
	fl_test_in_loop(calls_back, NULL);
	(void)fl_set_log_handler(before);
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
	int64_t deadline;
	assert_null(fl_loop_current());
	MISSING(fl_loop_post, FL_IGNORE(fl_loop_post(fl_loop_current(), never, NULL)));
	MISSING(fl_loop_cancel, fl_loop_cancel(NULL));
	MISSING(fl_loop_run_on, FL_IGNORE(fl_loop_run_on(NULL, returns_0, NULL)));
	MISSING(fl_loop_run_once, FL_IGNORE(fl_loop_run_once(NULL, &deadline)));
	MISSING(fl_loop_fd, fl_loop_fd(NULL));
	MISSING(fl_loop_timer_start, fl_loop_timer_start(NULL, &t, 1, never, NULL));
	MISSING(fl_loop_timer_cancel, fl_loop_timer_cancel(NULL, &t));
	MISSING(fl_loop_watch_start, FL_IGNORE(fl_loop_watch_start(NULL, &w, 0, FL_LOOP_IN, never_watches, NULL)));
	MISSING(fl_loop_debug, FL_IGNORE(fl_loop_debug(NULL, NULL)));
	MISSING(fl_loop_dump, fl_loop_dump(NULL, stderr));
	MISSING(fl_loop_executor_create_on, FL_IGNORE(fl_loop_executor_create_on(&e, NULL, NULL)));
	fl_loop_free(NULL);
}
