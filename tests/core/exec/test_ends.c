/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A function that the library calls ends otherwise than by its return: the table of
 * docs/in-your-process.md.
 */
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_in_loop.h"

enum how { EXITS, IS_CANCELLED };

static void leave(enum how how)
{
	if (how == EXITS)
		pthread_exit(NULL);
	FL_OK(pthread_cancel(pthread_self()));
	pthread_testcancel();
}

FL_TASK(ends_by, enum how, int)
{
	*result = 1;
	leave(*arg);
	return 0;
}

FL_TASK(ends_well, int, int)
{
	*result = *arg + 1;
	return 0;
}

FL_TASK(ends_in_thirds, int, void)
{
	if (*arg % 3 == 0)
		leave(*arg % 2 ? EXITS : IS_CANCELLED);
	return 0;
}

/* Panics: in a child, which says why. */

/* The child is to end with SIGABRT, after that text. */
static void panics(void (*function)(void *arg), const void *arg, const char *text)
{
	if (!fl_test_children_have_threads())
		FL_SKIP(FL_TEST_CHILDREN_REASON);
	fl_test_child_dies(function, (void *)(uintptr_t)arg, SIGABRT, text);
}

static void exit_thread(void *arg)
{
	leave(EXITS);
}

static void exit_in_callback(fl_future *f, void *arg)
{
	exit_thread(arg);
}

/* The parent's handler would fail the case. */
static void begin_child(void)
{
	(void)fl_panic_set_handler(NULL);
}

/* What the child waits for does not come. */
static void wait_for_the_panic(void)
{
	fl_event never = FL_EVENT_INIT;
	FL_IGNORE(fl_event_wait(&never));
}

/* A task, and the conditions under which its function, or what it leads to, ends the thread. */
struct fatal {
	const fl_task_type *type;
	const void *arg;
	fl_executor_config config;
	fl_submit_config submit;
};

static void submit_fatal(void *arg)
{
	const struct fatal *fatal = arg;
	fl_executor *e = NULL;
	begin_child();
	e = fl_test_executor(fl_thread_executor_create, &fatal->config);
	FL_IGNORE(fl_executor_submit_with(e, fatal->type, fatal->arg, NULL, &fatal->submit));
	wait_for_the_panic();
}

/* alitto/pond #135 */
FL_TEST(ends_panics_in_a_task)
{
	static const enum how how[] = {EXITS, IS_CANCELLED};
	FL_EACH (i, how) {
		const struct fatal task = {&ends_by, &how[i]};
		panics(submit_fatal, &task, "ends_by(");
		panics(submit_fatal, &task, "the task ends its thread, by pthread_exit() or pthread_cancel()");
	}
}

FL_TASK(ends_in_its_hook, int, void, .drop_arg = exit_thread)
{
	return 0;
}

FL_TEST(ends_panics_outside_of_a_task)
{
	static const int number = 3;
	static const struct fatal callback = {&ends_well, &number, .submit = {.on_end = exit_in_callback}};
	static const struct fatal hook = {&ends_in_its_hook, &number};
	static const struct fatal initializer = {&ends_well, &number,
	                                         .config = {.initialize = &ends_in_thirds, .initialize_arg = &number}};
	const struct fatal *const fatals[] = {&callback, &hook, &initializer};
	FL_EACH (i, fatals)
		panics(submit_fatal, fatals[i],
		       "an initializer, a callback, a hook or a part of a parallel loop ends its thread");
}

FL_TASK(ends_inside, enum how, void)
{
	fl_future *f = FL_SUBMITTED(ends_by, fl_executor_current(), *arg);
	FL_IGNORE(fl_future_wait(f));
	return 0;
}

static int exits(void *arg)
{
	exit_thread(arg);
	return 0;
}

FL_TASK(ends_a_fork, void, void)
{
	return fl_parallel_invoke(exits, NULL, exits, NULL);
}

/* One worker: it runs the task that it waits for. */
FL_TEST(ends_panics_inside_of_another_call)
{
	static const enum how how = EXITS;
	static const struct fatal nested = {&ends_inside, &how, {.workers = 1}},
				  forker = {&ends_a_fork, NULL, {.workers = 1}};
	panics(submit_fatal, &nested, "the task ends its thread");
	panics(submit_fatal, &forker, "the task ends its thread");
}

static int runs_a_task(void *unused)
{
	fl_executor *e = fl_test_executor(fl_sequential_executor_create, NULL);
	return ends_by_submit(e, EXITS, NULL);
}

static void caller_exits(void *unused)
{
	begin_child();
	fl_thread *t;
	FL_OK(fl_thread_start(&t, runs_a_task, NULL, &(fl_thread_config){.name = "caller"}));
	FL_IGNORE(fl_thread_join(t, NULL));
}

static void timer_exits(void *unused)
{
	begin_child();
	static fl_timer t = FL_TIMER_INIT;
	FL_OK(fl_timer_start(&t, FL_NO_WAIT, exit_thread, NULL));
	wait_for_the_panic();
}

FL_TEST(ends_panics_on_other_threads)
{
	panics(caller_exits, NULL, "caller(");
	panics(timer_exits, NULL, "timers(");
}

static void fiber_exits(void *unused)
{
	begin_child();
	FL_IGNORE(fl_loop_run(exits, unused));
}

static void loop_executor_exits(void *unused)
{
	begin_child();
	fl_executor *e = FL_TEST_EXECUTOR(loop, .name = "theirs");
	FL_IGNORE(ends_by_submit(e, IS_CANCELLED, NULL));
	wait_for_the_panic();
}

static int calls_soon(void *unused)
{
	FL_OK(fl_loop_post(fl_loop_current(), exit_thread, NULL));
	return fl_sleep(FL_S(60));
}

static void loop_call_exits(void *unused)
{
	begin_child();
	FL_IGNORE(fl_loop_run(calls_soon, unused));
}

FL_TEST(ends_panics_on_a_loop)
{
	FL_NEEDS(FL_TEST_EVENTFD);
#if defined(FL__ASAN) || defined(FL__TSAN)
	FL_SKIP("the sanitizer does not follow an exit from a fiber's stack");
#endif
	panics(fiber_exits, NULL, "fiber main ends its thread, by pthread_exit() or pthread_cancel()");
	panics(loop_executor_exits, NULL, "fiber theirs-0 ends its thread");
	panics(loop_call_exits, NULL, "fiber callbacks ends its thread");
}

/* A longjmp() to a frame of the outer task, past the wait in which the inner task runs. */
static jmp_buf outer;

FL_TASK(ends_by_longjmp, void, void)
{
	longjmp(outer, 1);
}

FL_TASK(ends_inside_by_longjmp, void, void)
{
	fl_future *f = NULL;
	if (setjmp(outer) == 0) {
		FL_OK(ends_by_longjmp_submit(fl_executor_current(), &f));
		FL_IGNORE(fl_future_wait(f));
	}
	return 0;
}

FL_TEST(ends_panics_after_a_longjmp)
{
	static const struct fatal skips = {&ends_inside_by_longjmp, NULL, {.workers = 1}};
	panics(submit_fatal, &skips, "ends_inside_by_longjmp(");
}
