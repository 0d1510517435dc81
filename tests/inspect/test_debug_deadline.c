/* SPDX-License-Identifier: BSD-2-Clause */
/* A duration in place of a deadline: reported once, with the stack of the call. */
#include "fl_debugging.h"

#include "fl_emulated.h"
#include "fl_in_loop.h"
#include "fl_shm.h"

#define SHORT FL_MS(20) /* so short that no process begins with less uptime twice over */

static int n_reports(void)
{
	return heard("a deadline of 0.02 s is long past; fl_after() makes one of a duration");
}

FL_TASK_STATIC(deadline_nothing, int, int)
{
	*result = *arg;
	return 0;
}

static int body_nothing(void *state, size_t from, size_t to)
{
	return from < to ? 0 : -EINVAL;
}

static void timer_nothing(void *unused)
{
}

/* Each of these calls one function with a duration. */

FL_FRAME(call_sleep, void *unused)
{
	FL_OK(fl_sleep_until(SHORT, NULL));
	FL_STAYS();
}

FL_FRAME(call_event, void *unused)
{
	fl_event never = FL_EVENT_INIT;
	FL_RC(fl_event_wait_until(&never, SHORT, NULL), -ETIMEDOUT);
	FL_STAYS();
}

FL_FRAME(call_mutex, void *unused)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_mutex_lock(&m);
	FL_RC(fl_mutex_lock_until(&m, SHORT, NULL), -ETIMEDOUT);
	fl_mutex_unlock(&m);
	FL_STAYS();
}

FL_FRAME(call_cond, void *unused)
{
	fl_mutex m = FL_MUTEX_INIT;
	fl_cond c = FL_COND_INIT;
	fl_mutex_lock(&m);
	FL_RC(fl_cond_wait_until(&c, &m, SHORT, NULL), -ETIMEDOUT);
	fl_mutex_unlock(&m);
	FL_STAYS();
}

FL_FRAME(call_sem, void *unused)
{
	fl_sem s = FL_SEM_INIT(0);
	FL_RC(fl_sem_acquire_until(&s, SHORT, NULL), -ETIMEDOUT);
	FL_STAYS();
}

FL_FRAME(call_queue, void *unused)
{
	fl_queue *q = NULL;
	int item;
	FL_OK(fl_queue_create(&q, sizeof item, &(fl_queue_config){.capacity = 1}));
	FL_RC(fl_queue_get_until(q, &item, SHORT, NULL), -ETIMEDOUT);
	fl_queue_free(q);
	FL_STAYS();
}

FL_FRAME(call_wait_any, void *unused)
{
	fl_event never = FL_EVENT_INIT;
	FL_CHECK(FL_WAIT_ANY_UNTIL(SHORT, NULL, FL_ON_EVENT(&never)) == -ETIMEDOUT);
	FL_STAYS();
}

FL_FRAME(call_fd, void *unused)
{
	int ends[2];
	FL_OK(pipe(ends));
	FL_RC(fl_fd_wait_until(ends[0], FL_FD_IN, SHORT, NULL), -ETIMEDOUT);
	FL_OK(close(ends[0]));
	FL_OK(close(ends[1]));
	FL_STAYS();
}

FL_FRAME(call_shm_event, void *unused)
{
	fl_shm_event never;
	fl_shm_event_init(&never);
	FL_RC(fl_shm_event_wait_until(&never, SHORT, NULL), -ETIMEDOUT);
	FL_STAYS();
}

FL_FRAME(call_token, void *unused)
{
	fl_cancel_token token;
	fl_cancel_token_init(&token, NULL, SHORT);
	FL_CHECK(fl_cancel_token_is_requested(&token));
	fl_cancel_token_destroy(&token);
	FL_STAYS();
}

FL_FRAME(call_timer, void *unused)
{
	fl_timer t = FL_TIMER_INIT;
	FL_OK(fl_timer_start(&t, SHORT, timer_nothing, NULL));
	FL_OK(fl_timer_join(&t));
	FL_STAYS();
}

FL_FRAME(call_submit, void *e)
{
	fl_future *f = NULL;
	FL_OK(deadline_nothing_submit_with(e, 1, &f, &(fl_submit_config){.deadline = SHORT}));
	fl_future_free(f);
	FL_STAYS();
}

FL_FRAME(call_group, void *e)
{
	fl_group g = FL_GROUP_INIT_UNTIL(e, SHORT);
	FL_RC(deadline_nothing_group_submit(&g, 1, NULL), -ECANCELED);
	FL_OK(fl_group_join(&g));
	FL_STAYS();
}

FL_FRAME(call_map, void *e)
{
	int results[2];
	const fl_map_config config = {.deadline = SHORT};
	FL_CHECK(deadline_nothing_map(e, (int[]){1, 2}, 2, results, &config) == -ETIMEDOUT);
	FL_STAYS();
}

FL_FRAME(call_imap, void *e)
{
	FL_SCOPED(fl_imap) *it = NULL;
	FL_OK(deadline_nothing_imap(e, (int[]){1, 2}, 2, &it, &(fl_imap_config){.deadline = SHORT}));
	FL_STAYS();
}

FL_FRAME(call_parallel, void *e)
{
	const fl_parallel_config config = {.deadline = SHORT};
	FL_RC(fl_parallel_for(e, 0, 10, body_nothing, NULL, &config), -ETIMEDOUT);
	FL_STAYS();
}

#define CALL(function)                                                                                                 \
	{                                                                                                              \
		function, #function                                                                                    \
	}
static const struct {
	void (*call)(void *e);
	const char *name;
} calls[] = {
    CALL(call_sleep),     CALL(call_event), CALL(call_mutex),    CALL(call_cond),
    CALL(call_sem),       CALL(call_queue), CALL(call_wait_any), CALL(call_fd),
    CALL(call_shm_event), CALL(call_token), CALL(call_timer),    CALL(call_submit),
    CALL(call_group),     CALL(call_map),   CALL(call_imap),     CALL(call_parallel),
};

FL_TEST(debug_deadline_that_is_a_duration)
{
	FL_SCOPED(fl_executor) *e = NULL;
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	FL_EACH (i, calls) {
		FL_DEBUGGING(1u << i % 3); /* any mode */
		for (int twice = 0; twice < 2; twice++)
			calls[i].call(e);
		assert_int_equal(n_reports(), 1);
		assert_true(heard(calls[i].name) > 0);
	}
}

static int start_timer(void *unused)
{
	fl_loop_timer t = {0};
	fl_loop_timer_start(fl_loop_current(), &t, SHORT, timer_nothing, NULL);
	fl_loop_timer_cancel(fl_loop_current(), &t);
	return 0;
}

static int call_to_thread(void *unused)
{
	FL_RC(fl_to_thread_until(start_timer, unused, NULL, SHORT, NULL), -ETIMEDOUT);
	return 0;
}

static int sleep_in_fiber(void *unused)
{
	return fl_sleep_until(SHORT, NULL);
}

static int look_up_a_name(void *unused)
{
	fl_address address;
	FL_RC(fl_net_resolve_until("a-name.invalid", &address, 1, SHORT, NULL), -ETIMEDOUT);
	return 0;
}

static int connect_to_a_name(void *unused)
{
	fl_stream *s = NULL;
	FL_RC(fl_stream_connect_tcp_until(&s, "a-name.invalid", 1, SHORT, NULL), -ETIMEDOUT);
	return 0;
}

FL_TEST(debug_deadline_that_is_a_duration_in_a_loop)
{
	fl_fiber_function *const functions[] = {start_timer, call_to_thread, sleep_in_fiber, look_up_a_name,
	                                        connect_to_a_name};
	FL_NEEDS(FL_TEST_EVENTFD);
	FL_EACH (i, functions) {
		FL_DEBUGGING(FL_DEBUG_WAITS);
		FL_OK(fl_loop_run(functions[i], NULL));
		assert_int_equal(n_reports(), 1);
	}
}

FL_TEST(debug_deadline_that_is_no_duration)
{
	const int64_t deadlines[] = {INT64_MIN, -FL_MS(20),           0,        1,
	                             999,       fl_after(-FL_MS(20)), fl_now(), fl_after(FL_US(1))};
	fl_event never = FL_EVENT_INIT;
	FL_DEBUGGING(FL_DEBUG_WAITS);
	FL_EACH (i, deadlines)
		FL_RC(fl_event_wait_until(&never, deadlines[i], NULL), -ETIMEDOUT);
	HEARD("long past", 0);
}

/*
 * Without a mode of debugging the first such call of a process is reported, in one line. Each call
 * is the first one of a child process.
 */
static int call_without_debugging(void *call)
{
	const size_t i = *(const size_t *)call;
	fl_executor *e = NULL;
	FL_DEBUGGING(0);
	FL_OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}));
	for (int twice = 0; twice < 2; twice++)
		calls[i].call(e);
	FL_CHECK(n_reports() == 1 && heard(calls[i].name) == 0);
	fl_executor_free(e);
	return 0;
}

FL_TEST(debug_deadline_is_reported_in_every_build)
{
	FL_NEEDS(FL_TEST_MEMFD | FL_TEST_EVENTFD);
	if (!fl_test_children_have_threads())
		FL_SKIP(FL_TEST_CHILDREN_REASON);
	FL_EACH (i, calls)
		fl_test_reap(fl_test_fork(call_without_debugging, &i));
}

/* A call that succeeds at once, or whose deadline is in the past on purpose, is not reported. */
FL_TEST(debug_deadline_on_purpose_is_not_reported)
{
	fl_event set = FL_EVENT_INIT, never = FL_EVENT_INIT;
	FL_DEBUGGING(0);
	fl_event_set(&set);
	FL_OK(fl_event_wait_until(&set, SHORT, NULL));
	FL_RC(fl_event_wait_until(&never, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_event_wait_until(&never, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_event_wait_until(&never, fl_after(-FL_MS(20)), NULL), -ETIMEDOUT);
	HEARD("long past", 0);
}
