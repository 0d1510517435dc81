/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop executor on a loop of the caller's. */
#include "fl_child.h"
#include "fl_in_loop.h"
#include "fl_queued.h"

#include "core/exec/executor.h"

static fl_executor *make_on(fl_loop *l, unsigned workers)
{
	fl_executor *e = NULL;
	FL_OK(fl_loop_executor_create_on(&e, l, &(fl_executor_config){.workers = workers, .name = "on"}));
	return e;
}

FL_TASK_STATIC(square, int, int)
{
	*result = *arg * *arg;
	return 0;
}

FL_TASK_STATIC(current_loop, void, fl_loop *)
{
	*result = fl_loop_current();
	return fl_sleep(FL_US(10));
}

FL_TASK_STATIC(wait_for, fl_event *, void)
{
	return fl_event_wait(*arg);
}

FL_TEST(loop_executor_on_refuses_what_is_senseless)
{
	fl_executor *e = NULL;
	fl_loop *l = fl_test_loop();
	FL_RC(fl_loop_executor_create_on(&e, l, &(fl_executor_config){.workers = FL_LOOP_EXECUTOR_MAX + 1}), -EINVAL);
	FL_RC(fl_loop_executor_create_on(&e, l, &(fl_executor_config){.initialize = &square}), -EINVAL);
	assert_null(e);
	FL_OK(fl_loop_executor_create_on(&e, l, NULL));
	assert_int_equal(fl_executor_workers(e), FL_LOOP_EXECUTOR_DEFAULT);
	assert_string_equal(fl_executor_kind(e), "loop");
	fl_executor_free(e);
	fl_loop_free(l);
}

/* Before the loop has run a join has nothing to wait for. */
FL_TEST(loop_executor_on_is_freed_before_its_loop_and_after_it)
{
	fl_loop *l = fl_test_loop();
	fl_executor_free(make_on(l, 1));
	fl_executor *e = make_on(l, 1);
	fl_loop_free(l);
	FL_RC(square_submit(e, 3, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
	fl_executor_free(e);
}

static int wait_for_future(void *f)
{
	return fl_future_wait(f);
}

/* A detached executor lasts until its loop has run its tasks, or is freed. */

FL_TEST(loop_executor_on_is_detached_before_its_loop_runs)
{
	FL_BOTH (run) {
		fl_loop *l = fl_test_loop();
		fl_executor *e = make_on(l, 1);
		FL_SCOPED(fl_future) *f = FL_SUBMITTED(square, e, 3);
		FL_OK(fl_executor_detach(e));
		if (run)
			FL_OK(fl_loop_run_on(l, wait_for_future, f));
		fl_loop_free(l);
		FL_OK(fl_future_try_wait(f));
		FL_WAIT_FOR(fl_thread_enumerate(NULL, NULL) == 0);
	}
}

/* Other threads let a loop work: its main fiber waits until they have ended. */

struct served {
	fl_executor *e;
	fl_event done;
	unsigned left;
	fl_loop *loop;
};

static int serve(void *arg)
{
	struct served *served = arg;
	served->loop = fl_loop_current();
	FL_OK(fl_event_wait(&served->done));
	return fl_executor_join(served->e); /* by a fiber of that loop */
}

static int be_client(void *arg)
{
	enum { TASKS = 100 };
	struct served *served = arg;
	fl_future *f[TASKS];
	FL_EACH (i, f)
		FL_OK(current_loop_submit(served->e, &f[i]));
	FL_EACH (i, f) {
		fl_loop *loop = NULL;
		FL_CHECK(current_loop_get(f[i], &loop) == 0 && loop == served->loop && loop);
		fl_future_free(f[i]);
	}
	if (fl__sub_acq_rel(&served->left, 1) == 1) /* acq_rel: the last one speaks for all */
		fl_event_set(&served->done);
	return 0;
}

static void serve_clients(unsigned workers)
{
	enum { CLIENTS = 4 };
	fl_loop *l = fl_test_loop();
	struct served served = {.e = make_on(l, workers), .left = CLIENTS};
	fl_thread *clients[CLIENTS];
	FL_EACH (i, clients)
		fl_test_go(&clients[i], be_client, &served);
	FL_OK(fl_loop_run_on(l, serve, &served));
	FL_END_ALL(clients);
	fl_executor_free(served.e);
	fl_loop_free(l);
}

FL_TEST(loop_executor_on_runs_what_other_threads_submit)
{
	serve_clients(1);
	serve_clients(20);
	serve_clients(0);
}

/* By fibers of the loop. */

FL_LOOP_TEST(loop_executor_on_is_freed_by_a_fiber_of_its_loop)
{
	fl_executor *e = make_on(fl_loop_current(), 2);
	fl_future *f[10];
	FL_EACH (i, f)
		FL_OK(square_submit(e, i, &f[i]));
	fl_executor_free(e); /* lets the tasks run */
	FL_EACH (i, f) {
		int result = 0;
		FL_CHECK(square_try_get(f[i], &result) == 0 && result == (int)(i * i));
		fl_future_free(f[i]);
	}
}

FL_TASK_STATIC(join_own, fl_executor *, void)
{
	return fl_executor_join(*arg);
}

FL_LOOP_TEST(loop_executor_on_join_by_its_own_task_is_edeadlk)
{
	FL_SCOPED(fl_executor) *e = make_on(fl_loop_current(), 2);
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(join_own, e, e);
	FL_CHECK(join_own_get(f) == FL_ETASK && fl_future_error(f) == -EDEADLK);
}

/* By callbacks of the loop: they cannot wait for what the loop is to run. */
struct callback {
	fl_executor *e;
	fl_future *f;
	int submitted, joined, again, tried;
	fl_event called;
};

static void join_here(void *arg)
{
	struct callback *c = arg;
	c->submitted = square_submit(c->e, 5, &c->f);
	c->joined = fl_executor_join(c->e);
	c->again = square_submit(c->e, 5, NULL); /* nothing had happened */
	c->tried = fl_executor_try_join(c->e);
	fl_event_set(&c->called);
}

static void free_here(void *arg)
{
	struct callback *c = arg;
	fl_executor_free(c->e); /* it is idle */
	fl_event_set(&c->called);
}

FL_LOOP_TEST(loop_executor_on_join_in_a_callback_is_edeadlk)
{
	fl_loop *l = fl_loop_current();
	struct callback by_call = {.e = make_on(l, 2)}, by_timer = {.e = make_on(l, 2)};
	fl_loop_timer timer = {0};
	struct callback *const all[] = {&by_call, &by_timer};
	FL_OK(fl_loop_post(l, join_here, &by_call));
	fl_loop_timer_start(l, &timer, FL_NO_WAIT, join_here, &by_timer);
	FL_EACH (i, all) {
		int result = 0;
		FL_OK(fl_event_wait(&all[i]->called));
		FL_CHECK(all[i]->submitted == 0 && all[i]->joined == -EDEADLK);
		FL_CHECK(all[i]->again == 0 && all[i]->tried == -EAGAIN);
		FL_CHECK(square_get(all[i]->f, &result) == 0 && result == 25);
		fl_future_free(all[i]->f);
		FL_OK(fl_executor_join(all[i]->e));
		fl_event_reset(&all[i]->called);
	}
	FL_OK(fl_loop_post(l, free_here, &by_call));
	fl_loop_timer_start(l, &timer, FL_NO_WAIT, free_here, &by_timer);
	FL_OK(fl_event_wait(&by_call.called));
	FL_OK(fl_event_wait(&by_timer.called));
}

static void free_with_task(void *arg)
{
	struct callback *c = arg;
	FL_OK(square_submit(c->e, 5, NULL));
	fl_executor_free(c->e);
}

static int free_in_callback(void *unused)
{
	struct callback c = {.e = make_on(fl_loop_current(), 1)};
	FL_OK(fl_loop_post(fl_loop_current(), free_with_task, &c));
	return fl_event_wait(&c.called);
}

static void run_free_in_callback(void *unused)
{
	fl_panic_set_handler(NULL);
	FL_IGNORE(fl_loop_run(free_in_callback, NULL)); /* it does not return */
}

FL_TEST(loop_executor_on_free_in_a_callback_panics)
{
	FL_NEEDS(FL_TEST_EVENTFD);
	fl_test_child_dies(run_free_in_callback, NULL, SIGABRT, "fl_executor_free");
}

/* An initializer that holds on. */
struct holder {
	fl_event entered, open;
	int calls;
};

FL_TASK_STATIC(hold_on, struct holder *, void)
{
	(*arg)->calls++;
	fl_event_set(&(*arg)->entered);
	return fl_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
}

static int cancel_while_it_begins(void *arg)
{
	struct holder *holder = arg;
	fl_executor *e = NULL;
	const fl_executor_config config = {.initialize = &hold_on, .initialize_arg = &holder};
	FL_OK(fl_loop_executor_create_on(&e, fl_loop_current(), &config));
	fl_test_settle();
	FL_CHECK(holder->calls == 0); /* no task was submitted */
	fl_future *f = FL_SUBMITTED(square, e, 1);
	FL_OK(fl_event_wait(&holder->entered));
	FL_CHECK(fl_future_state(f) == FL_PENDING);
	FL_CHECK(fl_executor_cancel(e) == 1);
	FL_RC(fl_executor_try_join(e), -EAGAIN); /* it uses what its caller has given it */
	fl_event_set(&holder->open);
	FL_OK(fl_executor_join(e));
	FL_CHECK(holder->calls == 1);
	fl_future_free(f);
	fl_executor_free(e);
	return 0;
}

FL_TEST(loop_executor_on_join_waits_for_the_initializer)
{
	fl_test_in_loop(cancel_while_it_begins, &(struct holder){.calls = 0});
}

/* A drop hook that lets others run first. */
static void drop_slowly(void *result)
{
	fl_test_settle();
	(**(int **)result)++;
}

FL_TASK_STATIC(give_back, int *, int *, .drop_result = drop_slowly)
{
	*result = *arg;
	return 0;
}

FL_LOOP_TEST(loop_executor_on_join_waits_for_drop_hooks)
{
	int dropped = 0;
	fl_executor *e = make_on(fl_loop_current(), 3);
	for (int i = 0; i < 10; i++)
		FL_OK(give_back_submit(e, &dropped, NULL));
	FL_OK(fl_executor_join(e));
	FL_CHECK(dropped == 10);
	fl_executor_free(e);
}

/* The end of a run. */

struct run {
	fl_executor *e;
	fl_event never;
	fl_future *waits, *pending;
};

static int leave_tasks(void *arg)
{
	struct run *run = arg;
	FL_OK(wait_for_submit(run->e, &run->never, &run->waits));
	FL_OK(wait_for_submit(run->e, &run->never, &run->pending));
	fl_test_settle();
	FL_CHECK(fl_future_state(run->waits) == FL_RUNNING);
	return 0;
}

static void expect_cancelled(struct run *run)
{
	FL_RC(fl_future_error(run->waits), -ECANCELED);
	FL_STATE_IS(run->waits, FL_DONE);
	FL_STATE_IS(run->pending, FL_CANCELLED);
	FL_RC(square_submit(run->e, 1, NULL), -EPIPE);
	fl_future_free(run->waits);
	fl_future_free(run->pending);
}

FL_TEST(loop_executor_on_is_cancelled_at_the_end_of_the_run)
{
	fl_loop *l = fl_test_loop();
	struct run run = {.e = make_on(l, 1)};
	FL_OK(fl_loop_run_on(l, leave_tasks, &run));
	expect_cancelled(&run);
	fl_executor_free(run.e);                /* does not wait */
	run = (struct run){.e = make_on(l, 1)}; /* for the next run */
	FL_OK(fl_loop_run_on(l, leave_tasks, &run));
	expect_cancelled(&run);
	fl_loop_free(l);
	fl_executor_free(run.e);
}

static int cancel_the_loop(void *arg)
{
	struct run *run = arg;
	FL_OK(leave_tasks(run));
	fl_loop_cancel(fl_loop_current());
	FL_OK(fl_future_wait_until(run->waits, FL_FOREVER, FL_SHIELDED));
	FL_OK(fl_future_wait_until(run->pending, FL_FOREVER, FL_SHIELDED));
	FL_RC(square_submit(run->e, 1, NULL), -EPIPE);
	return fl_executor_join_until(run->e, FL_FOREVER, FL_SHIELDED);
}

FL_TEST(loop_executor_on_is_cancelled_with_its_loop)
{
	fl_loop *l = fl_test_loop();
	struct run run = {.e = make_on(l, 1)};
	FL_OK(fl_loop_run_on(l, cancel_the_loop, &run));
	expect_cancelled(&run);
	fl_executor_free(run.e);
	fl_loop_free(l);
}

FL_TASK_STATIC(initialize_until_stopped, struct holder *, void)
{
	(*arg)->calls++;
	fl_event_set(&(*arg)->entered);
	const int rc = fl_event_wait(&(*arg)->open);
	FL_CHECK(rc == -ECANCELED && fl_task_is_cancelled(ctx));
	return rc;
}

struct initialized_run {
	bool cancels;
	struct holder *holder;
	fl_executor *e;
	fl_future *f;
};

static int leave_initializer(void *arg)
{
	struct initialized_run *run = arg;
	const fl_executor_config config = {.initialize = &initialize_until_stopped, .initialize_arg = &run->holder};
	FL_OK(fl_loop_executor_create_on(&run->e, fl_loop_current(), &config));
	run->f = FL_SUBMITTED(square, run->e, 1);
	FL_OK(fl_event_wait(&run->holder->entered));
	if (run->cancels)
		fl_loop_cancel(fl_loop_current());
	return 0;
}

/* The manager ran the initializer, and so did not see that the loop was to end. */
FL_TEST(loop_executor_on_initializer_is_stopped_with_its_loop)
{
	for (int cancels = 0; cancels < 2; cancels++) {
		fl_loop *l = fl_test_loop();
		struct holder holder = {.calls = 0};
		struct initialized_run run = {.cancels = cancels, .holder = &holder};
		FL_OK(fl_loop_run_on(l, leave_initializer, &run));
		FL_STATE_IS(run.f, FL_CANCELLED);
		assert_int_equal(holder.calls, 1);
		assert_false(fl_executor_is_broken(run.e));
		fl_future_free(run.f);
		fl_executor_free(run.e);
		fl_loop_free(l);
	}
}

/* A loop that is driven by turns. */
FL_TEST(loop_executor_on_a_loop_that_is_driven_by_turns)
{
	fl_executor *e = NULL;
	fl_future *f = NULL, *g = NULL;
	fl_time deadline;
	int result = 0;
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_executor_create_on(&e, l, NULL));
	FL_OK(square_submit(e, 6, &f));
	while (fl_future_try_wait(f) != 0)
		FL_OK(fl_loop_run_once(l, &deadline));
	FL_OK(square_get(f, &result));
	assert_int_equal(result, 36);
	fl_future_free(f);
	FL_OK(square_submit(e, 7, &g));
	/* No other thread would drive the loop. */
	FL_RC(fl_executor_join_until(e, fl_after(FL_S(60)), NULL), -EDEADLK);
	FL_PANICS_OF("fl_executor_free", e, fl_executor_free(e));
	int rc;
	fl_executor_close(e);
	while ((rc = fl_executor_try_join(e)) == -EAGAIN)
		FL_OK(fl_loop_run_once(l, &deadline));
	FL_OK(rc);
	FL_OK(square_get(g, &result));
	assert_int_equal(result, 49);
	fl_future_free(g);
	fl_executor_free(e); /* its main fiber is told, and ends when it can */
	FL_OK(fl_loop_run_once(l, &deadline));
	fl_loop_free(l);
}

/* Between runs. */

/* The loop belongs to this thread, since it has run it; so no other thread can run the task. */
FL_TEST(loop_executor_on_join_between_runs_is_edeadlk)
{
	int result = 0;
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_run_on(l, fl_test_nothing, NULL));
	fl_executor *e = make_on(l, 1);
	FL_OK(fl_executor_join_until(e, fl_test_soon(), NULL)); /* there are no tasks */
	fl_executor_free(e);
	e = make_on(l, 1);
	fl_future *f = FL_SUBMITTED(square, e, 8);
	FL_RC(fl_executor_join_until(e, fl_after(FL_S(60)), NULL), -EDEADLK);
	FL_PANICS(fl_executor_free(e));
	FL_RC(fl_executor_try_join(e), -EAGAIN);
	FL_OK(fl_loop_run_on(l, wait_for_future, f));
	FL_OK(square_get(f, &result));
	assert_int_equal(result, 64);
	FL_OK(fl_executor_join(e));
	fl_future_free(f);
	fl_executor_free(e);
	fl_loop_free(l);
}

FL_CALL(join_it)
{
	return fl_executor_join_until(object, deadline, cancel);
}

/* Another thread waits: this one may run the loop at any time. */
FL_TEST(loop_executor_on_join_by_another_thread_waits_for_a_run)
{
	FL_BOTH (runs_before) {
		fl_future *f = NULL;
		fl_test_caller joiner;
		fl_loop *l = fl_test_loop();
		if (runs_before)
			FL_OK(fl_loop_run_on(l, fl_test_nothing, NULL));
		fl_executor *e = make_on(l, 1);
		FL_OK(square_submit(e, 9, &f));
		fl_test_call_queued(&joiner, join_it, e, &e->gone, FL_FOREVER, NULL);
		FL_OK(fl_loop_run_on(l, wait_for_future, f));
		FL_OK(fl_test_call_end(&joiner));
		fl_future_free(f);
		fl_executor_free(e);
		fl_loop_free(l);
	}
}

/* Which thread will run a loop that has never run is not known. */
FL_TEST(loop_executor_on_join_before_the_first_run_waits)
{
	fl_loop *l = fl_test_loop();
	fl_executor *e = make_on(l, 1);
	FL_OK(square_submit(e, 9, NULL));
	FL_RC(fl_executor_join_until(e, fl_test_soon(), NULL), -ETIMEDOUT);
	fl_loop_free(l); /* cancels the task */
	FL_OK(fl_executor_join(e));
	fl_executor_free(e);
}

static int join_on_another_loop(void *e)
{
	FL_RC(fl_executor_join_until(e, fl_after(FL_S(60)), NULL), -EDEADLK);
	return fl_executor_try_join(e);
}

/* In a fiber of another loop of the thread. */
FL_TEST(loop_executor_on_join_on_another_loop_is_edeadlk)
{
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_run_on(l, fl_test_nothing, NULL));
	fl_executor *e = make_on(l, 1);
	FL_OK(square_submit(e, 9, NULL));
	FL_RC(fl_loop_run(join_on_another_loop, e), -EAGAIN);
	fl_loop_free(l);
	FL_OK(fl_executor_join(e));
	fl_executor_free(e);
}

/* A task that another thread is just ending does not need the loop. */
static void end_slowly(fl_future *f, void *open)
{
	FL_OK(fl_event_wait_until(open, FL_FOREVER, FL_SHIELDED));
}

FL_CALL(cancel_it)
{
	return fl_future_cancel(object);
}

FL_TEST(loop_executor_on_join_waits_for_a_cancel_by_another_thread)
{
	fl_event open = FL_EVENT_INIT;
	fl_test_caller canceller;
	fl_loop *l = fl_test_loop();
	FL_OK(fl_loop_run_on(l, fl_test_nothing, NULL));
	fl_executor *e = make_on(l, 1);
	fl_future *f = FL_SUBMITTED(square, e, 9);
	FL_OK(fl_future_on_end(f, end_slowly, &open));
	fl_test_call_queued(&canceller, cancel_it, f, &open, FL_FOREVER, NULL);
	FL_RC(fl_executor_join_until(e, fl_test_soon(), NULL), -ETIMEDOUT);
	fl_event_set(&open);
	FL_OK(fl_executor_join(e));
	FL_OK(fl_test_call_end(&canceller));
	fl_future_free(f);
	fl_executor_free(e);
	fl_loop_free(l);
}
