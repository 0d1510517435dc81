/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No function of the library is a cancellation point (fairlead/defs.h). Here are calls of each part
 * on threads with a request of pthread_cancel() pending, which return. That no call of any test
 * reaches a cancellation point of the C library where a cancel could act, is noted by
 * support/fl_cancel_points.c and judged by tests/run.
 */
#include "fl_cancel_points.h"
#include "fl_child.h"

#include "core/base/panic.h"
#include <poll.h>

FL_ALL_NEED(FL_TEST_PROCESS_POOLS)

FL_TASK(cancel_points_add_one, int, int)
{
	*result = *arg + 1;
	return 0;
}

static fl_time soon(void)
{
	return fl_after(FL_MS(2));
}

static void use_executor(fl_executor *e)
{
	int sum = 0;
	fl_future *f = FL_SUBMITTED(cancel_points_add_one, e, 1);
	FL_OK(cancel_points_add_one_get(f, &sum));
	FL_CHECK(sum == 2);
	fl_future_free(f);
	fl_executor_free(e);
}

static void use_thread_executor(void)
{
	fl_executor *e = FL_TEST_EXECUTOR(thread, .workers = 2);
	use_executor(e);
}

static void use_process_executor(void)
{
	fl_executor *e = FL_TEST_EXECUTOR(process, .workers = 1);
	use_executor(e);
}

static void use_cpus(void)
{
	FL_CHECK(fl_cpu_count() > 0);
}

static void use_pipes(void)
{
	fl_pipe *a = NULL, *b = NULL;
	char text[8];
	size_t n = 0;
	FL_OK(fl_pipe_create(&a, &b, NULL));
	FL_OK(fl_pipe_send(a, "x", 1));
	FL_OK(fl_pipe_receive(b, text, sizeof text, &n));
	FL_RC(fl_pipe_receive_until(b, text, sizeof text, &n, soon(), NULL), -ETIMEDOUT);
	fl_pipe_free(a);
	fl_pipe_free(b);
}

static void use_signals(void)
{
	static const int usr = SIGUSR1;
	fl_signals *s = NULL;
	FL_OK(fl_signals_create(&s, &usr, 1));
	FL_RC(fl_signals_wait_until(s, soon(), NULL), -ETIMEDOUT);
	fl_signals_free(s);
}

static void use_shared_memory(void)
{
	fl_shm *region = NULL;
	FL_OK(fl_shm_create(&region, 4096));
	fl_shm_sem *s = fl_shm_block_alloc(region, sizeof *s);
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	FL_CHECK(s != NULL);
	FL_RC(fl_shm_sem_acquire_until(s, soon(), &token), -ETIMEDOUT); /* by the thread `bridge` */
	fl_cancel_token_destroy(&token);
	fl_shm_free(region);
}

static void use_processes(void)
{
	static const char *const sleeps[] = {"sleep", "100", NULL};
	fl_process *p = NULL;
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = "true"}));
	FL_OK(fl_process_join(p, NULL));
	fl_process_free(p);
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = "sleep", .argv = sleeps}));
	FL_RC(fl_process_join_until(p, NULL, soon(), NULL), -ETIMEDOUT);
	FL_OK(fl_process_stop(p, FL_S(10), NULL));
	fl_process_free(p);
	FL_RC(fl_process_start(&p, &(fl_process_config){.program = "/no/such"}), -ENOENT); /* logs it */
}

static void run_program(void)
{
	FL_SCOPED(fl_process_io) io = {0};
	FL_OK(fl_process_run(&(fl_process_config){.program = "true"}, &io, NULL));
}

static int in_fiber(void *unused)
{
	fl_address list[4];
	fl_listener *l = NULL;
	fl_stream *a = NULL, *b = NULL;
	char text[8];
	FL_OK(fl_sleep(FL_MS(1)));
	FL_CHECK(fl_net_resolve("localhost", 0, list, 4) > 0);
	FL_OK(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL));
	FL_OK(fl_stream_connect_tcp(&a, "127.0.0.1", fl_listener_port(l)));
	FL_OK(fl_listener_accept_until(l, &b, FL_FOREVER, NULL));
	FL_OK(fl_stream_write(a, "x", 1));
	FL_CHECK(fl_stream_read_some(b, text, sizeof text) == 1);
	FL_RC(fl_stream_read_some_until(b, text, sizeof text, soon(), NULL), -ETIMEDOUT);
	fl_stream_free(a);
	fl_stream_free(b);
	fl_listener_free(l);
	return 0;
}

static void use_loop_executor(void)
{
	fl_executor *e = FL_TEST_EXECUTOR(loop, .workers = 2);
	use_executor(e);
}

static int accept_one(void *endpoint)
{
	fl_pipe *p = NULL;
	FL_OK(fl_endpoint_accept_until(*(fl_endpoint **)endpoint, &p, FL_FOREVER, NULL));
	fl_pipe_free(p);
	return 0;
}

static void use_endpoints(void)
{
	fl_endpoint *o = NULL;
	fl_pipe *p = NULL;
	fl_thread *acceptor;
	char path[64];
	(void)snprintf(path, sizeof path, "/tmp/fl-cancel-points-%d", (int)getpid());
	FL_OK(fl_endpoint_create(&o, path, NULL));
	fl_test_go(&acceptor, accept_one, &o);
	FL_OK(fl_endpoint_connect_until(NULL, &p, path, NULL, FL_FOREVER, FL_SHIELDED));
	FL_OK(fl_thread_join_until(acceptor, NULL, FL_FOREVER, FL_SHIELDED));
	fl_pipe_free(p);
	fl_endpoint_free(o);
}

static void use_trace(void)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/tmp/fl-cancel-points-%d.json", (int)getpid());
	FL_OK(fl_trace_enable("ring,file=/tmp/fl-cancel-points"));
	FL_OK(fl_trace_write(path));
	FL_OK(fl_trace_enable(NULL));
	FL_OK(unlink(path));
}

static void use_loop(void)
{
	FL_OK(fl_loop_run(in_fiber, NULL));
}

static void (*const parts[])(void) = {use_cpus,    use_thread_executor, use_process_executor, use_pipes,
                                      use_signals, use_shared_memory,   use_processes,        run_program,
                                      use_loop,    use_endpoints,       use_loop_executor,    use_trace};

static void *use_with_a_request_pending(void *part)
{
	FL_OK(pthread_cancel(pthread_self()));
	(*(void (**)(void))part)();
	return part; /* not PTHREAD_CANCELED */
}

FL_TEST_LOG_HANDLER(log_nothing)
{
}

FL_TEST(cancel_points_are_none_of_the_library)
{
	fl_log_handler *before = fl_log_set_handler(log_nothing);
	FL_EACH (i, parts) {
		void (*part)(void) = parts[i];
		if (fl_test_foreign(use_with_a_request_pending, &part) != &part)
			print_error("part %zu is cancelled\n", i);
		FL_CHECK(fl_test_foreign(use_with_a_request_pending, &part) == &part);
	}
	(void)fl_log_set_handler(before);
}

static int run_on_thread(void *part)
{
	(*(void (**)(void))part)();
	return 0;
}

/*
 * Every system call that a signal may interrupt fails with EINTR, each time before it succeeds: the
 * write that wakes a loop or a manager was lost, and a region could not be made.
 */
FL_TEST(cancel_points_may_be_interrupted)
{
	if (!FL_TEST_CANCEL_POINTS)
		FL_SKIP("a sanitizer defines these functions, or the machine is another");
	fl_log_handler *before = fl_log_set_handler(log_nothing);
	int interrupted = 0;
	FL_EACH (i, parts) {
		void (*part)(void) = parts[i];
		fl_thread *t;
		__atomic_store_n(&fl_test_interrupts, 1, __ATOMIC_RELAXED);
		fl_test_go(&t, run_on_thread, &part);
		FL_OK(fl_thread_join(t, NULL));
		const int interrupts = __atomic_exchange_n(&fl_test_interrupts, 0, __ATOMIC_RELAXED);
		interrupted += interrupts > 1;
	}
	(void)fl_log_set_handler(before);
	assert_true(interrupted > 8); /* parts; others make no such call */
}

static bool is_cancellable(void)
{
	int state, unused;
	FL_OK(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state));
	FL_OK(pthread_setcancelstate(state, &unused));
	return state == PTHREAD_CANCEL_ENABLE;
}

static void join_fibers(int (*const functions[])(void *), unsigned n)
{
	fl_fiber *fibers[4];
	for (unsigned i = 0; i < n; i++)
		FL_OK(fl_fiber_start(&fibers[i], functions[i], NULL, NULL));
	for (unsigned i = 0; i < n; i++)
		FL_OK(fl_fiber_join(fibers[i], NULL));
}

static void *run_on_foreign_thread(void *first)
{
	FL_OK(fl_loop_run(*(int (**)(void *))first, NULL));
	return is_cancellable() ? first : NULL;
}

static int start_by_fork_server(void *unused)
{
	int one = 1;
	fl_process *p = NULL;
	FL_OK(fl_process_start(&p, &(fl_process_config){.task = &cancel_points_add_one, .arg = &one}));
	FL_OK(fl_process_join(p, NULL));
	fl_process_free(p);
	return 0;
}

static int start_program(void *unused)
{
	fl_process *p = NULL;
	FL_OK(fl_process_start(&p, &(fl_process_config){.program = "true"}));
	FL_OK(fl_process_join(p, NULL));
	fl_process_free(p);
	return 0;
}

static int start_two_and_two(void *unused)
{
	join_fibers((int (*const[])(void *)){start_by_fork_server, start_by_fork_server, start_program, start_program},
	            4);
	return 0;
}

/* Each start disabled pthread_cancel() until its end, and restored what the other one had set. */
FL_TEST(cancel_points_thread_is_cancellable_after_starts_of_fibers)
{
	int (*first)(void *) = start_two_and_two;
	assert_ptr_equal(fl_test_foreign(run_on_foreign_thread, &first), &first);
}

static fl_mutex handler_lock;
static fl_event handler_begins;
static unsigned handled, others;

/* The handler's wait blocks the thread, so that no other fiber runs before the handler returns. */
FL_TEST_LOG_HANDLER(handle_under_lock)
{
	const unsigned before = others;
	FL_CHECK(!is_cancellable());
	handled++;
	fl_event_set(&handler_begins);
	FL_LOCKED(&handler_lock);
	FL_CHECK(!is_cancellable() && others == before);
	if (handled == 2)
		fl__log(FL_LOG_INFO, "about what the handler does"); /* not for the handler */
}

static int log_one(void *unused)
{
	fl__log(FL_LOG_WARNING, "for the handler");
	FL_CHECK(is_cancellable());
	return 0;
}

static int count_one(void *unused)
{
	others++;
	FL_CHECK(is_cancellable());
	return 0;
}

static int hold_handler_lock(void *is_held)
{
	FL_LOCKED(&handler_lock);
	fl_event_set(is_held);
	return fl_event_wait_until(&handler_begins, FL_FOREVER, FL_SHIELDED);
}

static int log_in_two_fibers(void *unused)
{
	join_fibers((int (*const[])(void *)){log_one, count_one, log_one, count_one}, 4);
	return 0;
}

/* The messages of other fibers went to standard error, and these fibers could not be cancelled. */
FL_TEST(cancel_points_log_handler_waits_in_a_fiber)
{
	int (*first)(void *) = log_in_two_fibers;
	fl_event is_held = FL_EVENT_INIT;
	fl_thread *holder;
	fl_mutex_init(&handler_lock);
	fl_event_init(&handler_begins);
	handled = others = 0;
	fl_test_go(&holder, hold_handler_lock, &is_held);
	FL_OK(fl_event_wait(&is_held));
	fl_log_handler *before = fl_log_set_handler(handle_under_lock);
	assert_ptr_equal(fl_test_foreign(run_on_foreign_thread, &first), &first);
	(void)fl_log_set_handler(before);
	assert_true(handled == 2 && others == 2);
	FL_OK(fl_thread_join(holder, NULL));
}

static void panic_with_a_request_pending(void *unused)
{
	fl_mutex m = FL_MUTEX_INIT;
	(void)fl_panic_set_handler(NULL);
	FL_OK(pthread_cancel(pthread_self()));
	fl_mutex_unlock(&m);
}

/* Else the thread ends, and the process goes on, or exits with 0. */
FL_TEST(cancel_points_panic_ends_the_process)
{
	fl_test_child_dies(panic_with_a_request_pending, NULL, SIGABRT, "fl_mutex_unlock");
}

static __attribute__((noinline)) void poll_here(void)
{
	FL_CHECK(poll(NULL, 0, 0) == 0);
}

/* The notes, on which all else rests. */
FL_TEST(cancel_points_are_noted)
{
	if (!FL_TEST_CANCEL_POINTS)
		FL_SKIP("a sanitizer defines these functions, or the machine is another");
	const unsigned before = fl_test_cancel_points();
	FL_RC(FL__SYS_RESULT(poll(NULL, 0, 0)), 0);
	assert_int_equal(fl_test_cancel_points(), before);
	poll_here();
	assert_int_equal(fl_test_cancel_points(), before + 1);
	poll_here();
	assert_int_equal(fl_test_cancel_points(), before + 1);
}
