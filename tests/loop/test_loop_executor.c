/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop executor with its own thread: what is specific to it. test_executor_*.c has the cases
 * for every kind. Tasks run on one thread, so they may share plain variables; the case reads them
 * when it has waited for the tasks.
 */
#include "fl_in_loop.h"

#include "core/exec/map.h"

static fl_executor *make(unsigned workers)
{
	return FL_TEST_EXECUTOR(loop, .workers = workers);
}

static unsigned count_of(const unsigned *counter)
{
	return fl__load_acquire(counter); /* pairs with the release of the counting task */
}

/* How much of a lazy map is under way: some for each worker, as long as these are not a million. */
FL_TEST(loop_executor_has_a_bounded_window)
{
	FL_SCOPED(fl_executor) *few = make(3), *many = make(0), *most = make(FL_LOOP_EXECUTOR_MAX);
	fl_task_type type = {.size = sizeof type, .arg_size = 8};
	assert_int_equal(fl__chunk_window(few, &type, 1), 3 * 1024);
	assert_int_equal(fl__chunk_window(many, &type, 1), 1 << 14);
	assert_int_equal(fl__chunk_window(most, &type, 1), FL_LOOP_EXECUTOR_MAX);
}

/* A crowd: each task counts itself, then waits until it is released. */
struct crowd {
	fl_event open;
	unsigned present;
};

FL_TASK_STATIC(wait_in_crowd, struct crowd *, void)
{
	fl__add_release(&(*arg)->present, 1); /* pairs with count_of() */
	return fl_event_wait(&(*arg)->open);
}

/* ThreadSanitizer has room for 8,000 fibers. */
static unsigned many(void)
{
	return fl_test_scaled(10000);
}

FL_TEST(loop_executor_has_thousands_under_way)
{
	const unsigned n = many();
	fl_executor *e = make(n);
	struct crowd crowd = {FL_EVENT_INIT, 0};
	fl_future **f = calloc(n, sizeof(fl_future *));
	for (unsigned i = 0; i < n; i++)
		FL_OK(wait_in_crowd_submit(e, &crowd, &f[i]));
	FL_WAIT_FOR(count_of(&crowd.present) == n); /* all of them, on one thread */
	fl_event_set(&crowd.open);
	for (unsigned i = 0; i < n; i++) {
		FL_OK(wait_in_crowd_get(f[i]));
		fl_future_free(f[i]);
	}
	free(f);
	fl_executor_free(e);
}

FL_TASK_STATIC(sleep_for, int64_t, int64_t)
{
	const fl_time begun = fl_now();
	int rc = fl_sleep(*arg);
	*result = fl_time_diff(fl_now(), begun);
	return rc;
}

FL_TEST(loop_executor_thousands_sleep)
{
	const unsigned n = many();
	FL_SCOPED(fl_executor) *e = make(n);
	int64_t *times = calloc(2 * (size_t)n, sizeof *times);
	for (unsigned i = 0; i < n; i++)
		times[i] = FL_MS(1 + i % 20);
	FL_OK(sleep_for_map(e, times, n, times + n, &(fl_map_config){.chunk = 1}));
	for (unsigned i = 0; i < n; i++)
		assert_true(times[n + i] >= times[i]); /* it slept, and not too little */
	free(times);
}

FL_TEST(loop_executor_cancel_ends_thousands)
{
	const unsigned n = many();
	fl_executor *e = make(n / 2);
	struct crowd crowd = {FL_EVENT_INIT, 0};
	for (unsigned i = 0; i < n; i++)
		FL_OK(wait_in_crowd_submit(e, &crowd, NULL));
	FL_WAIT_FOR(count_of(&crowd.present) == n / 2);
	/* The pending ones; the others are asked to stop. */
	assert_int_equal(fl_executor_terminate(e), n - n / 2);
	fl_executor_free(e);
	assert_int_equal(count_of(&crowd.present), n / 2);
}

/* How many are under way at once; they go on once `open` is set. */
struct gauge {
	int now, most;
	fl_event open;
};

FL_TASK_STATIC(pass_gauge, struct gauge *, void)
{
	struct gauge *gauge = *arg;
	if (++gauge->now > gauge->most)
		gauge->most = gauge->now;
	const int rc = fl_event_wait(&gauge->open);
	for (int i = 0; i < 5; i++)
		fl_fiber_yield();
	gauge->now--;
	return rc;
}

FL_TEST(loop_executor_holds_to_its_number)
{
	for (unsigned workers = 1; workers <= 4; workers++) {
		struct gauge gauge = {0, 0, FL_EVENT_INIT};
		fl_executor *e = make(workers);
		for (int i = 0; i < 100; i++)
			FL_OK(pass_gauge_submit(e, &gauge, NULL));
		fl_event_set(&gauge.open);
		fl_executor_free(e);
		assert_int_equal(gauge.most, workers);
	}
}

FL_TASK_STATIC(submit_gauges, struct gauge *, void)
{
	for (int i = 0; i < 100; i++)
		FL_OK(pass_gauge_submit(fl_executor_current(), *arg, NULL));
	fl_event_set(&(*arg)->open);
	return pass_gauge.run(ctx, arg, NULL); /* it is one of them */
}

FL_TEST(loop_executor_holds_to_its_number_from_within)
{
	struct gauge gauge = {0, 0, FL_EVENT_INIT};
	fl_executor *e = make(3);
	FL_OK(fl_test_run_task(e, &submit_gauges, &(struct gauge *){&gauge}, NULL));
	fl_executor_free(e);
	assert_int_equal(gauge.most, 3);
}

/* Tasks that wait for tasks of their own executor. */

struct family {
	int runs, others, cancelled;
	fl_future *child;
};

FL_TASK_STATIC(be_child, struct family *, void)
{
	(*arg)->runs++;
	return 0;
}

FL_TASK_STATIC(be_other, struct family *, void)
{
	FL_CHECK((*arg)->runs == 0); /* the child is behind it */
	(*arg)->others++;
	return 0;
}

static int wait_for_child_in_a_thread(void *family)
{
	return fl_future_wait(((struct family *)family)->child);
}

enum waits { WAIT_FOR_FUTURE, WAIT_ANY_FUTURE, WAIT_AS_COMPLETED, JOIN_GROUP, JOIN_THREAD, WAITS };

static int wait_for_child_as(enum waits how, struct family *family)
{
	fl_as_completed *completed = NULL;
	fl_thread *thread = NULL;
	size_t index;
	int rc;
	switch (how) {
	case WAIT_FOR_FUTURE:
		return fl_future_wait(family->child);
	case WAIT_ANY_FUTURE:
		return FL_WAIT_ANY(FL_ON_FUTURE(family->child));
	case WAIT_AS_COMPLETED:
		FL_OK(fl_as_completed_create(&completed, &family->child, 1));
		rc = fl_as_completed_next(completed, &index);
		fl_as_completed_free(completed);
		return rc;
	default:
		fl_test_go(&thread, wait_for_child_in_a_thread, family);
		return fl_thread_join(thread, NULL);
	}
}

struct parent {
	enum waits how;
	struct family *family;
};

FL_TASK_STATIC(wait_behind_others, struct parent, void)
{
	fl_executor *e = fl_executor_current();
	struct family *family = arg->family;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	for (int i = 0; i < 100; i++)
		FL_OK(be_other_submit(e, family, NULL));
	if (arg->how == JOIN_GROUP) {
		FL_OK(be_child_group_submit(&g, family));
		FL_OK(fl_group_join(&g));
	} else {
		FL_OK(be_child_submit(e, family, &family->child));
		FL_OK(wait_for_child_as(arg->how, family));
		fl_future_free(family->child);
	}
	FL_CHECK(family->others == 100 && family->runs == 1);
	return 0;
}

/* The limit is reached, and the child is behind other tasks: they run, since who waits does not count. */
FL_TEST(loop_executor_waits_for_a_child_behind_others)
{
	for (unsigned workers = 1; workers <= 2; workers++)
		for (enum waits how = 0; how < WAITS; how++) {
			FL_SCOPED(fl_executor) *e = make(workers);
			struct family family = {.runs = 0};
			FL_OK(fl_test_run_task(e, &wait_behind_others, &(struct parent){how, &family}, NULL));
			FL_OK(fl_executor_join(e));
			assert_int_equal(family.others, 100);
			assert_int_equal(family.runs, 1);
		}
}

/* A fiber that waits for another task does not count; when it goes on, it counts again. */
FL_TASK_STATIC(wait_then_pass_gauge, struct gauge *, void)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	FL_OK(pass_gauge_group_submit(&g, *arg));
	FL_OK(fl_group_join(&g));
	return 0;
}

FL_TEST(loop_executor_holds_to_its_number_while_tasks_join)
{
	for (unsigned workers = 1; workers <= 3; workers++) {
		struct gauge gauge = {0, 0, FL_EVENT_INIT};
		fl_executor *e = make(workers);
		for (int i = 0; i < 50; i++)
			FL_OK(wait_then_pass_gauge_submit(e, &gauge, NULL));
		fl_event_set(&gauge.open);
		FL_OK(fl_executor_wait_idle(e));
		fl_executor_free(e);
		assert_int_equal(gauge.now, 0);
		FL_IN_RANGE(gauge.most, 1, workers);
	}
}

/* The initializer waits, too: no task starts before it has returned. */

static fl_executor *pool_of_initializer;
static unsigned initialized;

FL_TASK_STATIC(return_after_a_while, void, void)
{
	return fl_sleep(FL_US(100));
}

FL_TASK_STATIC(initialize_by_waits, void, void)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(pool_of_initializer);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(return_after_a_while_group_submit(&g));
	FL_OK(return_after_a_while_submit(pool_of_initializer, &f));
	FL_OK(fl_group_join(&g));
	FL_OK(fl_future_wait(f));
	initialized++;
	return 0;
}

FL_TASK_STATIC(look_whether_initialized, void, void)
{
	return initialized == 1 ? 0 : -EPROTO;
}

FL_TEST(loop_executor_initializer_waits_for_tasks)
{
	pool_of_initializer = FL_TEST_EXECUTOR(thread, .workers = 1);
	fl_executor *e = FL_TEST_EXECUTOR(loop, .workers = 1, .initialize = &initialize_by_waits);
	fl_future *f[20];
	initialized = 0;
	FL_EACH (i, f)
		FL_OK(look_whether_initialized_submit(e, &f[i]));
	FL_EACH (i, f) {
		FL_OK(look_whether_initialized_get(f[i]));
		fl_future_free(f[i]);
	}
	fl_executor_free(e);
	fl_executor_free(pool_of_initializer);
}

FL_TASK_STATIC(wait_for_the_child, struct family *, void)
{
	return fl_future_wait((*arg)->child);
}

FL_TASK_STATIC(have_child_awaited, struct family *, void)
{
	fl_executor *e = fl_executor_current();
	struct family *family = *arg;
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	FL_OK(be_child_submit(e, family, &family->child));
	FL_OK(wait_for_the_child_submit(e, family, &f));
	FL_OK(wait_for_the_child_submit(e, family, &g));
	FL_OK(fl_future_wait(g));
	FL_OK(fl_future_wait(f));
	FL_OK(fl_future_try_wait(family->child));
	fl_future_free(family->child);
	return 0;
}

FL_TEST(loop_executor_starts_a_child_once_that_several_await)
{
	fl_executor *e = make(1);
	struct family family = {.runs = 0};
	FL_OK(fl_test_run_task(e, &have_child_awaited, &(struct family *){&family}, NULL));
	fl_executor_free(e);
	assert_int_equal(family.runs, 1);
}

static int cancel_child(void *arg)
{
	struct family *family = arg;
	family->cancelled = fl_future_cancel(family->child);
	return 0;
}

FL_TASK_STATIC(lose_child, struct family *, void)
{
	struct family *family = *arg;
	fl_fiber *f = NULL;
	FL_OK(be_child_submit(fl_executor_current(), family, &family->child));
	FL_OK(fl_fiber_start(&f, cancel_child, family, NULL)); /* runs first */
	FL_OK(fl_future_wait(family->child));
	FL_CHECK(fl_future_state(family->child) == FL_CANCELLED);
	fl_future_free(family->child);
	return fl_fiber_join(f, NULL);
}

/* It has a fiber by then, which finds nothing to be run. */
FL_TEST(loop_executor_child_is_cancelled_as_it_starts)
{
	fl_executor *e = make(1);
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	struct family family = {.cancelled = 1};
	FL_OK(lose_child_submit(e, &family, &f));
	FL_OK(lose_child_get(f));
	FL_OK(family.cancelled);
	FL_OK(be_child_submit(e, &family, &g)); /* and all goes on */
	FL_OK(be_child_get(g));
	fl_executor_free(e);
	assert_int_equal(family.runs, 1);
}

/* Fibers and what they may do. */

/* Two tasks with a stream between them. */
struct talk {
	fl_stream *ends[2];
	fl_event made;
	unsigned number;
};

FL_TASK_STATIC(ask, struct talk *, unsigned)
{
	struct talk *talk = *arg;
	FL_OK(fl_stream_pair(talk->ends));
	fl_event_set(&talk->made);
	FL_OK(fl_stream_write(talk->ends[0], &talk->number, sizeof talk->number));
	FL_CHECK(fl_stream_read_exactly(talk->ends[0], result, sizeof *result) == sizeof *result);
	fl_stream_free(talk->ends[0]);
	return 0;
}

FL_TASK_STATIC(answer, struct talk *, void)
{
	struct talk *talk = *arg;
	unsigned number = 0;
	FL_OK(fl_event_wait(&talk->made));
	FL_CHECK(fl_stream_read_exactly(talk->ends[1], &number, sizeof number) == sizeof number);
	FL_OK(fl_sleep(FL_US(100)));
	number = number * 2 + 1;
	FL_OK(fl_stream_write(talk->ends[1], &number, sizeof number));
	fl_stream_free(talk->ends[1]);
	return 0;
}

FL_TEST(loop_executor_tasks_use_streams)
{
	enum { TALKS = 100 };
	FL_SCOPED(fl_executor) *e = make(0);
	static struct talk talks[TALKS];
	fl_future *f[TALKS];
	memset(talks, 0, sizeof talks);
	FL_EACH (i, talks) {
		talks[i].number = i;
		FL_OK(answer_submit(e, &talks[i], NULL));
		FL_OK(ask_submit(e, &talks[i], &f[i]));
	}
	FL_EACH (i, f) {
		unsigned answered = 0;
		FL_OK(ask_get(f[i], &answered));
		assert_int_equal(answered, i * 2 + 1);
		fl_future_free(f[i]);
	}
}

struct self {
	fl_loop *loop;
	fl_fiber *fiber;
	uint64_t thread;
	bool on_a_thread;
};

static int note_thread(void *arg)
{
	struct self *self = arg;
	self->on_a_thread = fl_loop_current() == NULL;
	return 0;
}

FL_TASK_STATIC(look_around, void, struct self)
{
	result->loop = fl_loop_current();
	result->fiber = fl_fiber_current();
	result->thread = fl_thread_current_id();
	return fl_blocking_call(note_thread, result, NULL);
}

FL_TASK_STATIC(set_local, fl_local *, bool)
{
	*result = fl_local_get(*arg) == NULL;
	return fl_local_set(*arg, result);
}

FL_TEST(loop_executor_task_is_a_fiber_of_its_own)
{
	FL_SCOPED(fl_executor) *e = make(1);
	FL_SCOPED(fl_future) *f = NULL, *g = NULL;
	struct self one, other;
	static fl_local local = FL_LOCAL_INIT(NULL);
	FL_OK(look_around_submit(e, &f));
	FL_OK(look_around_submit(e, &g));
	FL_OK(look_around_get(f, &one));
	FL_OK(look_around_get(g, &other));
	assert_non_null(one.loop);
	assert_ptr_equal(one.loop, other.loop);
	assert_non_null(one.fiber);
	assert_true(one.on_a_thread && other.on_a_thread);
	assert_true(one.thread != other.thread); /* another context each */
	for (int i = 0; i < 3; i++) {
		bool fresh = false;
		FL_OK(fl_test_run_task(e, &set_local, &(fl_local *){&local}, &fresh));
		assert_true(fresh);
	}
}

static void note_scope(fl_future *f, void *arg)
{
	*(bool *)arg = fl_cancel_scope_current() == NULL;
}

FL_TASK_STATIC(has_scope, void, void)
{
	return fl_cancel_scope_current() == fl_task_token(ctx) && fl_task_token(ctx) ? 0 : -EINVAL;
}

/* As on a worker of any kind: a callback runs on, though the task was asked to stop. */
FL_TEST(loop_executor_scope_is_the_tasks)
{
	fl_executor *e = make(1);
	FL_SCOPED(fl_future) *f = NULL;
	bool shielded = false;
	FL_OK(has_scope_submit_with(e, &f, &(fl_submit_config){.on_end = note_scope, .on_end_arg = &shielded}));
	FL_OK(has_scope_get(f));
	fl_executor_free(e);
	assert_true(shielded);
}

/* Fibers that a task leaves behind. */

struct left {
	fl_executor *e;
	fl_event never;
	int waited, joined, tried, submitted;
};

static int stay(void *arg)
{
	struct left *left = arg;
	left->waited = fl_event_wait(&left->never);
	left->joined = fl_executor_join(left->e);
	left->tried = fl_executor_try_join(left->e);
	left->submitted = has_scope_submit(left->e, NULL);
	return 0;
}

FL_TASK_STATIC(leave_behind, struct left *, void)
{
	fl_fiber *f = NULL;
	int rc = fl_fiber_start(&f, stay, *arg, NULL);
	if (rc == 0)
		fl_fiber_detach(f);
	return rc;
}

FL_TEST(loop_executor_ends_what_tasks_left_behind)
{
	struct left left = {.e = make(2)};
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(leave_behind, left.e, &left);
	FL_OK(leave_behind_get(f));
	fl_executor_free(left.e);
	FL_RC(left.waited, -ECANCELED);
	FL_RC(left.joined, -EDEADLK); /* it would wait for itself */
	FL_RC(left.tried, -EAGAIN);
	FL_RC(left.submitted, -EPIPE);
}

FL_TASK_STATIC(cancel_loop, struct crowd *, void)
{
	FL_OK(wait_in_crowd_submit(fl_executor_current(), *arg, NULL));
	fl_loop_cancel(fl_loop_current());
	return fl_event_wait(&(*arg)->open);
}

FL_TEST(loop_executor_cancel_of_its_loop_cancels_it)
{
	FL_SCOPED(fl_executor) *e = make(1);
	struct crowd crowd = {FL_EVENT_INIT, 0};
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(cancel_loop, e, &crowd);
	FL_RC(cancel_loop_get(f), FL_ETASK);
	FL_RC(fl_future_error(f), -ECANCELED);
	FL_RC(has_scope_submit(e, NULL), -EPIPE);
	FL_OK(fl_executor_join(e));
	assert_int_equal(count_of(&crowd.present), 0);
}

/* Many threads. */

FL_TASK_STATIC(add_one, unsigned *, unsigned)
{
	*result = ++**arg; /* one thread runs them all */
	return 0;
}

/* In the fibers of another loop. */

FL_LOOP_TEST(loop_executor_is_used_by_the_fibers_of_another_loop)
{
	FL_SCOPED(fl_executor) *e = NULL, *never_used = NULL;
	unsigned sum = 4, result = 0;
	never_used = fl_test_executor(fl_loop_executor_create, NULL);
	e = fl_test_executor(fl_loop_executor_create, NULL);
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(add_one, e, &sum);
	FL_CHECK(add_one_get(f, &result) == 0 && result == 5);
	FL_OK(fl_executor_join(e));
}
