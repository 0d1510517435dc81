/* SPDX-License-Identifier: BSD-2-Clause */
/* What a future calls when it ends: once, in order, on the right thread. And its messages. */
#include "fl_pool.h"

enum { NOTES_MOST = 32 };

/* The calls of the callbacks of a future; one thread at a time calls them. */
struct notes {
	int order[NOTES_MOST];
	unsigned n; /* atomic */
	uint64_t thread;
	fl_future_state state;
	fl_event all;
	unsigned expected;
};

struct note {
	struct notes *notes;
	int id;
};

static void take_note(fl_future *f, void *arg)
{
	const struct note *note = arg;
	struct notes *notes = note->notes;
	unsigned n = LOOK(&notes->n);
	FL_CHECK(n < NOTES_MOST);
	notes->order[n] = note->id;
	notes->thread = fl_thread_current_id();
	notes->state = fl_future_get_state(f);
	SET(&notes->n, n + 1);
	if (n + 1 == notes->expected)
		fl_event_set(&notes->all);
}

FL_TASK(callback_task, int, int)
{
	*result = *arg;
	return *arg < 0 ? *arg : 0;
}

FL_TEST(future_callback_order_is_that_of_registration)
{
	enum { N = 10 };
	FL_SCOPED(fl_executor) *e = pool_with(1);
	for (int error = -1; error <= 1; error += 2) {
		struct gate gate = {0};
		fl_future *held = hold_worker(e, &gate), *f = NULL;
		FL_OK(callback_task_submit(e, error, &f));
		struct notes notes = {.expected = N};
		struct note note[N];
		for (int i = 0; i < N; i++) {
			note[i] = (struct note){&notes, i};
			FL_OK(fl_future_on_end(f, take_note, &note[i]));
		}
		assert_int_equal(LOOK(&notes.n), 0);
		let_go(&gate, held);
		FL_OK(fl_event_wait(&notes.all));
		for (int i = 0; i < N; i++)
			assert_int_equal(notes.order[i], i);
		assert_int_equal(notes.state, FL_DONE); /* it is over when they are called */
		assert_true(notes.thread != fl_thread_current_id());
		fl_future_free(f);
	}
}

FL_TEST(future_callback_runs_on_the_canceller)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(callback_task_submit(e, 1, &f));
	struct notes notes = {0};
	struct note note[2] = {{&notes, 1}, {&notes, 2}};
	FL_OK(fl_future_on_end(f, take_note, &note[0]));
	FL_OK(fl_future_on_end(f, take_note, &note[1]));
	FL_OK(fl_future_cancel(f));
	assert_int_equal(LOOK(&notes.n), 2);
	assert_int_equal(notes.order[0], 1);
	assert_int_equal(notes.order[1], 2);
	assert_true(notes.thread == fl_thread_current_id());
	assert_int_equal(notes.state, FL_CANCELLED);
	FL_OK(fl_future_cancel(f)); /* no callback runs twice */
	let_go(&gate, held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&notes.n), 2);
}

FL_TEST(future_callback_after_the_end_runs_at_once)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(callback_task_submit(e, 1, &f));
	FL_OK(fl_future_wait(f));
	struct notes notes = {0};
	struct note note = {&notes, 5};
	FL_OK(fl_future_on_end(f, take_note, &note));
	assert_int_equal(LOOK(&notes.n), 1);
	assert_true(notes.thread == fl_thread_current_id());
	FL_OK(fl_future_on_end(f, take_note, &note));
	assert_int_equal(LOOK(&notes.n), 2);
}

FL_TEST(future_callback_without_memory_is_refused_and_not_called)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate);
	struct notes notes = {0};
	struct note note[2] = {{&notes, 1}, {&notes, 2}};
	seam_fail_allocs(0, 1);
	FL_RC(fl_future_on_end(held, take_note, &note[0]), -ENOMEM);
	assert_int_equal(seam_heal(), 0);
	FL_OK(fl_future_on_end(held, take_note, &note[1]));
	let_go(&gate, held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&notes.n), 1);
	assert_int_equal(notes.order[0], 2);
}

static void free_future(fl_future *f, void *arg)
{
	FL_CHECK(fl_future_get_state(f) != FL_PENDING);
	fl_future_free(f);
	COUNT((unsigned *)arg);
}

FL_TEST(future_callback_may_free_the_future)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	unsigned freed = 0;
	fl_future *held = hold_worker(e, &gate), *done = NULL, *cancelled = NULL, *ended = NULL;
	FL_OK(callback_task_submit(e, 1, &done));
	FL_OK(fl_future_on_end(done, free_future, &freed)); /* from now on it is the callback's */
	FL_OK(callback_task_submit(e, 1, &cancelled));
	FL_OK(fl_future_on_end(fl_future_ref(cancelled), free_future, &freed));
	FL_OK(fl_future_on_end(cancelled, free_future, &freed));
	FL_OK(fl_future_cancel(cancelled));
	assert_int_equal(LOOK(&freed), 2);
	let_go(&gate, held);
	FL_OK(callback_task_submit(e, 1, &ended));
	FL_OK(fl_future_wait(ended));
	FL_OK(fl_future_on_end(ended, free_future, &freed));
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&freed), 4);
}

FL_TASK(callback_of_a_large_task, char[1000], void)
{
	(void)ctx;
	return (*arg)[0];
}

struct passed {
	struct gate *gate;
	fl_future *behind;
};

static void free_and_be_passed(fl_future *f, void *arg)
{
	const struct passed *p = arg;
	fl_future_free(f);
	fl_event_set(&p->gate->open);
	FL_CHECK(fl_future_wait(p->behind) == 0);
}

/* ... also a task that is being cancelled while a worker takes it. */
FL_TEST(future_callback_frees_what_is_being_cancelled)
{
	const char zeros[1000] = {0};
	FL_SCOPED(fl_executor) *e = pool_with(1);
	for (int large = 0; large <= 1; large++) {
		struct gate gate = {0};
		struct passed p = {&gate, NULL};
		fl_future *held = hold_worker(e, &gate), *f = NULL;
		FL_OK(large ? fl_submit(e, &callback_of_a_large_task, zeros, &f) : callback_task_submit(e, 1, &f));
		FL_OK(callback_task_submit(e, 1, &p.behind));
		/* From now on it is the callback's. */
		FL_OK(fl_future_on_end(f, free_and_be_passed, &p));
		FL_OK(fl_future_cancel(f));
		fl_future_free(p.behind);
		fl_future_free(held);
	}
}

/* A callback must not inherit the waiter's cancel scope. */
static void note_scope(fl_future *f, void *scope)
{
	(void)f;
	*(fl_cancel_token **)scope = fl_cancel_scope_current();
}

FL_TASK_STATIC(wait_under_a_scope, fl_cancel_token **, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_CHECK(fl_cancel_scope_current() != NULL);
	FL_CHECK(callback_task_submit(fl_executor_current(), 1, &f) == 0);
	FL_CHECK(fl_future_on_end(f, note_scope, *arg) == 0);
	return fl_future_wait(f); /* runs it here */
}

FL_TEST(future_callback_has_no_scope)
{
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT, *seen = &token;
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(wait_under_a_scope_submit(e, &seen, &f));
	FL_OK(wait_under_a_scope_get(f));
	assert_null(seen);
	seen = &token;
	FL_CANCEL_SCOPE(&token);
	FL_OK(fl_future_on_end(f, note_scope, &seen)); /* now */
	assert_null(seen);
	assert_ptr_equal(fl_cancel_scope_current(), &token);
}

/* The callback may use the library: the future, the executor, waits. */
struct next {
	fl_executor *e;
	fl_future *f;
	fl_event submitted;
};

static void submit_another(fl_future *f, void *arg)
{
	struct next *next = arg;
	int n = 0;
	FL_CHECK(fl_future_try_get(f, &n, sizeof n) == 0);
	FL_CHECK(fl_future_wait(f) == 0);
	FL_CHECK(fl_future_cancel(f) == -EALREADY);
	FL_CHECK(callback_task_submit(next->e, n + 1, &next->f) == 0);
	fl_event_set(&next->submitted);
}

FL_TEST(future_callback_may_submit)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct gate gate = {0};
	struct next next = {e, NULL, FL_EVENT_INIT};
	fl_future *held = hold_worker(e, &gate);
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(callback_task_submit(e, 1, &f));
	FL_OK(fl_future_on_end(f, submit_another, &next));
	let_go(&gate, held);
	FL_OK(fl_event_wait(&next.submitted));
	int n = 0;
	FL_OK(callback_task_get(next.f, &n));
	assert_int_equal(n, 2);
	fl_future_free(next.f);
}

/* Threads that register while the task ends: each callback is called once, in any order. */
struct crowd {
	fl_future *f;
	unsigned calls, refused;
	fl_latch *start;
};

static void count_call(fl_future *f, void *arg)
{
	FL_CHECK(fl_future_try_wait(f) == 0);
	COUNT((unsigned *)arg);
}

static int register_some(void *arg)
{
	struct crowd *c = arg;
	fl_latch_count_down(c->start, 1);
	for (int i = 0; i < 50; i++)
		FL_CHECK(fl_future_on_end(c->f, count_call, &c->calls) == 0);
	return 0;
}

static void run_crowd(fl_executor *e, bool cancel)
{
	enum { N = 4 };
	struct gate gate = {0};
	fl_future *held = hold_worker(e, &gate), *f = NULL;
	FL_OK(callback_task_submit(e, 1, &f));
	fl_latch start = FL_LATCH_INIT(N);
	struct crowd crowd[N];
	fl_thread threads[N];
	for (int i = 0; i < N; i++)
		crowd[i] = (struct crowd){f, 0, 0, &start};
	seam_start(threads, N, register_some, crowd, sizeof *crowd);
	FL_OK(fl_latch_wait(&start));
	if (cancel)
		FL_OK(fl_future_cancel(f));
	let_go(&gate, held);
	seam_join(threads, N);
	FL_OK(fl_future_wait(f));
	for (int i = 0; i < N; i++)
		FL_WAIT_FOR(LOOK(&crowd[i].calls) == 50); /* the worker may still be calling */
	fl_future_free(f);
}

FL_TEST(future_callback_then_vs_set)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	for (unsigned i = 0, rounds = fl_test_scaled(200); i < rounds; i++)
		run_crowd(e, i % 2);
}

static unsigned contested_drops, contested_runs;

static void count_contested(void *arg)
{
	(void)arg;
	COUNT(&contested_drops);
}

FL_TASK(callback_contested, int, int, .drop_arg = count_contested)
{
	COUNT(&contested_runs);
	*result = *arg;
	return 0;
}

/*
 * A cancel against the start and the end of the task: one final state, and the callback agrees with
 * it.
 */
FL_TEST(future_cancel_vs_complete)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	unsigned ran = 0, told = 0;
	unsigned rounds = fl_test_scaled(10000);
	for (unsigned i = 0; i < rounds; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		int n = -1;
		FL_OK(callback_contested_submit(e, 5, &f));
		FL_OK(fl_future_on_end(f, count_call, &told));
		for (volatile unsigned k = 0; k < i % 128 * 8; k++)
			;
		int rc = fl_future_cancel(f), got = callback_contested_get(f, &n);
		assert_int_equal(fl_future_get_state(f), rc == 0 ? FL_CANCELLED : FL_DONE);
		assert_true(rc == 0 || rc == -EBUSY || rc == -EALREADY);
		FL_RC(got, rc == 0 ? FL_ETASK : 0);
		assert_int_equal(n, rc == 0 ? -1 : 5);
		ran += rc != 0;
	}
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&told), rounds);
	assert_int_equal(LOOK(&contested_drops), rounds);
	assert_int_equal(LOOK(&contested_runs), ran);
}

/* Messages. */

FL_TASK(message_task, int, void)
{
	char text[2000];
	memset(text, 'm', sizeof text);
	text[*arg] = '\0';
	return fl_task_fail(ctx, -EIO, "%s", text);
}

FL_TEST(future_message_is_cut_at_its_most)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	const int lengths[] = {0, 1, 254, 255, 256, 257, 1999};
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(message_task_submit(e, lengths[i], &f));
		FL_RC(message_task_get(f), FL_ETASK);
		const char *message = fl_future_message(f);
		int expected = lengths[i] < FL_MESSAGE_MAX ? lengths[i] : FL_MESSAGE_MAX - 1;
		assert_int_equal(strlen(message), expected);
		for (int k = 0; k < expected; k++)
			assert_int_equal(message[k], 'm');
		assert_ptr_equal(fl_future_message(f), message);
	}
}

FL_TASK(message_without_memory, void, void)
{
	seam_fail_allocs(0, 100);
	int rc = fl_task_fail(ctx, -EIO, "cannot say %s", "anything");
	rc = fl_task_fail(ctx, rc, "nor %s", "this");
	(void)seam_heal();
	return rc;
}

/* The failure counts, the message is a luxury. */
FL_TEST(future_message_without_memory_leaves_the_error)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	for (int i = 0; i < 3; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		FL_OK(message_without_memory_submit(e, &f));
		FL_RC(message_without_memory_get(f), FL_ETASK);
		FL_RC(fl_future_error(f), -EIO);
		assert_non_null(fl_future_message(f));
		assert_true(strlen(fl_future_message(f)) < FL_MESSAGE_MAX);
	}
}

FL_TASK(message_after_all_well, int, int)
{
	(void)fl_task_fail(ctx, -EIO, "first");
	if (*arg == 0)
		(void)fl_task_fail(ctx, -EIO, "last");
	*result = 1;
	return *arg == 0 ? -EINTR : 0;
}

FL_TEST(future_message_counts_only_with_a_failure)
{
	FL_SCOPED(fl_executor) *e = pool_with(1);
	FL_SCOPED(fl_future) *well = NULL, *failed = NULL;
	int n = 0;
	FL_OK(message_after_all_well_submit(e, 1, &well));
	FL_OK(message_after_all_well_get(well, &n));
	assert_string_equal(fl_future_message(well), "");
	FL_OK(message_after_all_well_submit(e, 0, &failed));
	FL_RC(message_after_all_well_get(failed, &n), FL_ETASK);
	/* The task's result, not the argument of fl_task_fail(). */
	FL_RC(fl_future_error(failed), -EINTR);
	assert_string_equal(fl_future_message(failed), "last");
}
