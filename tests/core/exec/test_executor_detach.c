/* SPDX-License-Identifier: BSD-2-Clause */
/* fl_executor_detach(), for every kind of executor. */
#include "conformance.h"
#include "core/exec/executor.h"

static bool all_are_freed(void)
{
	return fl__load_acquire(&fl__executors_detached) == 0; /* pairs with executor_free_when_ended() */
}

CONFORMANCE(detached_runs_what_is_queued)
{
	fl_executor *e = make(kind, 1);
	FL_SCOPED(fl_future) *f = NULL;
	struct tally *tally = new_tally();
	struct held held = hold_worker(e);
	submit_tallied(e, tally, 10);
	FL_OK(square_submit(e, 3, &f));
	FL_OK(fl_executor_detach(e));
	if (held.f) {
		assert_int_equal(counted(&tally->runs), 0);
		let_go(&held);
	}
	assert_int_equal(fl_test_result(f), 9); /* valid, also after the executor */
	FL_WAIT_FOR(all_are_freed());
	expect_tally(tally, 10, 10);
	expect_result_drops(tally, 10);
}

CONFORMANCE(detached_after_a_cancel_runs_nothing_more)
{
	fl_executor *e = make(kind, 1);
	struct tally *tally = new_tally();
	if (!is_concurrent(e)) {
		FL_OK(fl_executor_detach(e));
		FL_WAIT_FOR(all_are_freed());
		return;
	}
	struct held held = hold_worker(e);
	submit_tallied(e, tally, 10);
	assert_int_equal(fl_executor_cancel(e), 10);
	FL_OK(fl_executor_detach(e));
	let_go(&held);
	FL_WAIT_FOR(all_are_freed());
	expect_tally(tally, 0, 10);
}

CONFORMANCE(detached_unused_or_joined)
{
	fl_executor *unused = make(kind, 2), *joined = make(kind, 2);
	FL_OK(square_submit(joined, 2, NULL));
	FL_OK(fl_executor_join(joined));
	FL_OK(fl_executor_detach(unused));
	FL_OK(fl_executor_detach(joined));
	FL_WAIT_FOR(all_are_freed());
}

struct answers {
	int detach, submit;
};

/* The submit of a task that detaches its executor has returned. */
static fl_event submitted = FL_EVENT_INIT;

/* `*arg`: whether another thread submits it in this process. */
FL_TASK_STATIC(detach_self, bool, struct answers)
{
	fl_executor *e = fl_executor_current();
	if (*arg)
		FL_OK(fl_event_wait(&submitted));
	result->detach = fl_executor_detach(e);
	result->submit = square_submit(e, 1, NULL);
	return 0;
}

/* Without FL_CAP_BY_REFERENCE the executor is the worker's own, and closed until the task ends. */
CONFORMANCE(detached_by_its_own_task)
{
	fl_executor *e = make(kind, 1);
	const bool freed = is_by_reference(e);
	for (int i = 0; i < (freed ? 1 : 3); i++) {
		FL_SCOPED(fl_future) *f = NULL;
		struct answers answers;
		fl_event_reset(&submitted);
		FL_OK(detach_self_submit(e, freed && is_concurrent(e), &f));
		fl_event_set(&submitted);
		FL_OK(detach_self_get(f, &answers));
		FL_OK(answers.detach);
		FL_RC(answers.submit, -EPIPE);
	}
	if (!freed)
		FL_OK(fl_executor_detach(e));
	FL_WAIT_FOR(all_are_freed());
}

struct to_detach {
	fl_executor *e;
	bool waits; /* another thread submits */
	int calls;
};

static void detach_it(fl_future *f, void *arg)
{
	struct to_detach *x = arg;
	if (x->waits)
		FL_OK(fl_event_wait(&submitted));
	FL_OK(fl_executor_detach(x->e));
	count(&x->calls);
}

CONFORMANCE(detached_by_a_callback)
{
	struct to_detach x = {.e = make(kind, 2)};
	x.waits = is_concurrent(x.e);
	fl_event_reset(&submitted);
	FL_OK(square_submit_with(x.e, 3, NULL, &(fl_submit_config){.on_end = detach_it, .on_end_arg = &x}));
	fl_event_set(&submitted);
	FL_WAIT_FOR(counted(&x.calls) == 1);
	FL_WAIT_FOR(all_are_freed());
}

/* As an executor that was freed. */
CONFORMANCE(detached_refuses_what_is_chained_to_it)
{
	fl_executor *e = make(kind, 1);
	FL_SCOPED(fl_promise) *p = NULL;
	FL_SCOPED(fl_future) *f = NULL, *next = NULL;
	FL_OK(fl_promise_create(&p, sizeof(int), NULL, &f));
	FL_OK(fl_future_then(f, e, &square, &next));
	FL_OK(fl_executor_detach(e));
	FL_WAIT_FOR(all_are_freed());
	FL_OK(fl_promise_set(p, &(int){2}));
	FL_OK(fl_future_try_wait(next));
	FL_RC(fl_future_error(next), -EPIPE);
}
