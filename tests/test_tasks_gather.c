/* SPDX-License-Identifier: BSD-2-Clause */
/* Gather, after asyncio's with our change: the first error cancels and joins the others. And shield. */
#include "fl_children.h"
#include "fl_faults.h"

static int in_order(void *unused)
{
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	const fl_call calls[] = {{runs, &c, NULL}, {returns, RC(0), "second"}, {waits_for, &gate, NULL}};
	int results[3] = {7, 7, 7};
	(void)unused;
	fl_event_set(&gate);
	FL_CHECK(fl_gather(calls, 3, results) == 0 && c.ended);
	FL_CHECK(results[0] == 0 && results[1] == 0 && results[2] == 0);
	FL_CHECK(fl_gather(calls, 3, NULL) == 0 && c.ended == 2);
	FL_CHECK(fl_gather_all(calls, 3, results) == 0 && c.ended == 3);
	return 0;
}

FL_TEST(gather_runs_all)
{
	fl_test_in_loop(in_order, NULL);
}

static int first_error(void *unused)
{
	int ends = 0;
	child late = {.rc = -EPIPE};
	const fl_call calls[] = {
	    {until_cancelled, &ends, NULL}, {returns, RC(0), NULL},         {returns, RC(-EIO), NULL},
	    {runs, &late, "late"},          {until_cancelled, &ends, NULL},
	};
	int results[5];
	(void)unused;
	TOLD();
	FL_CHECK(fl_gather(calls, 5, results) == -EIO && ends == 2 && late.cancelled);
	FL_CHECK(results[0] == -ECANCELED && results[1] == 0 && results[2] == -EIO);
	FL_CHECK(results[3] == -EPIPE && results[4] == -ECANCELED && told.count == 0);
	/* without results nobody would hear of the second error */
	FL_CHECK(fl_gather(calls, 5, NULL) == -EIO && told.count == 1 && told.error == -EPIPE);
	FL_CHECK(strcmp(told.name, "late") == 0);
	return 0;
}

FL_TEST(gather_first_error_cancels_the_others)
{
	fl_test_in_loop(first_error, NULL);
}

static int of_nothing(void *unused)
{
	(void)unused;
	FL_CHECK(fl_gather(NULL, 0, NULL) == 0 && fl_gather_all(NULL, 0, NULL) == 0);
	FL_CHECK(fl_gather_until(NULL, 0, NULL, 0, NULL) == 0 && fl_gather_all_until(NULL, 0, NULL, 0, NULL) == 0);
	return 0;
}

FL_TEST(gather_of_nothing)
{
	(void)of_nothing(NULL);
	fl_test_in_loop(of_nothing, NULL);
}

static void gathers_in_a_callback(void *event)
{
	const fl_call call = {returns, NULL, NULL};
	int result = 7;
	FL_CHECK(fl_gather(&call, 1, &result) == -ENOTSUP && result == 7);
	FL_CHECK(fl_shield(returns, NULL, &result) == -ENOTSUP && result == 7);
	fl_event_set(event);
}

static int calls_back(void *unused)
{
	fl_event done = FL_EVENT_INIT;
	(void)unused;
	FL_CHECK(fl_loop_post(fl_loop_current(), gathers_in_a_callback, &done) == 0);
	return fl_event_wait(&done);
}

FL_TEST(gather_outside_of_fibers)
{
	const fl_call call = {returns, NULL, NULL};
	FL_RC(fl_gather(&call, 1, NULL), -ENOTSUP);
	FL_RC(fl_gather_until(&call, 1, NULL, 0, NULL), -ENOTSUP);
	FL_RC(fl_gather_all(&call, 1, NULL), -ENOTSUP);
	FL_RC(fl_gather_all_until(&call, 1, NULL, 0, NULL), -ENOTSUP);
	FL_RC(fl_shield(returns, NULL, NULL), -ENOTSUP);
	FL_RC(fl_shield_until(returns, NULL, NULL, 0, NULL), -ENOTSUP);
	fl_test_in_loop(calls_back, NULL);
}

static int all_of_them(void *unused)
{
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	const fl_call calls[] = {{runs, &c, NULL}, {returns, RC(-EIO), NULL}, {returns, RC(-EPIPE), NULL}, {0}};
	int results[3];
	(void)unused;
	TOLD();
	fl_fiber *f = fl_test_start(sets_later, &gate);
	FL_CHECK(fl_gather_all(calls, 3, results) == -EIO && c.ended && !c.cancelled);
	FL_CHECK(results[0] == 0 && results[1] == -EIO && results[2] == -EPIPE && told.count == 0);
	FL_CHECK(fl_gather_all_until(calls, 3, NULL, FL_FOREVER, NULL) == -EIO && told.count == 1);
	FL_CHECK(fl_test_join(f) == 0);
	return 0;
}

FL_TEST(gather_all_runs_on_after_errors)
{
	fl_test_in_loop(all_of_them, NULL);
}

/* Deadlines and cancels, with slow children. */

static int until(void *unused)
{
	int ends = 0;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	const fl_call calls[] = {
	    {until_cancelled, &ends, NULL}, {returns, RC(0), NULL}, {until_cancelled, &ends, NULL}};
	int results[3];
	(void)unused;
	FL_CHECK(fl_gather_until(calls, 3, results, fl_after(FL_MS(1)), NULL) == -ETIMEDOUT && ends == 2);
	FL_CHECK(results[0] == -ECANCELED && results[1] == 0 && results[2] == -ECANCELED);
	FL_CHECK(fl_gather_all_until(calls, 3, results, fl_after(FL_MS(1)), NULL) == -ETIMEDOUT && ends == 4);
	/* those that were started had their turn; the deadline had passed all the same */
	FL_CHECK(fl_gather_until(calls, 3, results, 0, NULL) == -ETIMEDOUT && ends == 6);
	fl_cancel_token_request(&stop);
	FL_CHECK(fl_gather_until(calls, 3, results, FL_FOREVER, &stop) == -ECANCELED && ends == 6);
	FL_CHECK(fl_gather_all_until(calls, 3, results, FL_FOREVER, &stop) == -ECANCELED && ends == 6);
	FL_CHECK(results[1] == -ECANCELED); /* it was not called */
	{
		FL_CANCEL_SCOPE(&stop);
		FL_CHECK(fl_gather(calls, 3, results) == -ECANCELED && ends == 6);
		FL_CHECK(fl_gather_all(calls, 3, results) == -ECANCELED && ends == 6);
	}
	return 0;
}

FL_TEST(gather_until_answers)
{
	fl_test_in_loop(until, NULL);
}

typedef struct gathering {
	child c[2];
	fl_cancel_token *cancel;
	int64_t deadline;
	int results[2];
} gathering;

static int gathers(void *arg)
{
	gathering *g = arg;
	const fl_call calls[] = {{runs, &g->c[0], NULL}, {runs, &g->c[1], NULL}};
	return fl_gather_until(calls, 2, g->results, g->deadline, g->cancel);
}

/* The caller's cancel reaches them, and it waits; so does that of a token in its place. */
static int waits_for_them(void *unused)
{
	(void)unused;
	for (int i = 0; i < 3; i++) {
		fl_event cleanup = FL_EVENT_INIT;
		fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
		gathering g = {.c = {{.cleanup = &cleanup}, {.rc = i == 2 ? -EIO : 0}},
		               .cancel = i == 0 ? NULL : &stop,
		               .deadline = FL_FOREVER};
		fl_fiber *f = fl_test_start(gathers, &g);
		fl_test_settle();
		if (i == 0)
			fl_fiber_cancel(f);
		else
			fl_cancel_token_request(&stop);
		fl_test_settle();
		FL_CHECK(fl_fiber_is_alive(f) && g.c[0].cancelled && !g.c[0].ended && g.c[1].ended);
		fl_event_set(&cleanup);
		FL_CHECK(fl_test_join(f) == (i == 2 ? -EIO : -ECANCELED)); /* an error is told before a cancel */
		FL_CHECK(g.results[0] == -ECANCELED && g.results[1] == (i == 2 ? -EIO : -ECANCELED));
	}
	return 0;
}

FL_TEST(gather_cancelled_waits_for_all)
{
	fl_test_in_loop(waits_for_them, NULL);
}

/* With a token of its own in place of the scope, the caller's cancel does not reach them. */
static int in_place_of_the_scope(void *unused)
{
	fl_event gate = FL_EVENT_INIT;
	gathering g = {.c = {{.start = &gate}, {.start = &gate}}, .cancel = FL_SHIELDED, .deadline = FL_FOREVER};
	(void)unused;
	fl_fiber *f = fl_test_start(gathers, &g);
	fl_test_settle();
	fl_fiber_cancel(f);
	fl_test_settle();
	FL_CHECK(fl_fiber_is_alive(f) && !g.c[0].ended);
	fl_event_set(&gate);
	FL_CHECK(fl_test_join(f) == 0 && !g.c[0].cancelled);
	return 0;
}

FL_TEST(gather_shielded)
{
	fl_test_in_loop(in_place_of_the_scope, NULL);
}

/* Memory for so many stacks more. */
static int stacks_left;

static int guards_some(void *memory, size_t size)
{
	return stacks_left-- > 0 ? fl_test_real_sys.guard(memory, size) : -ENOMEM;
}

static int fails_at(void *unused)
{
	enum { N = 6 };
	(void)unused;
	FL_FAULTS();
	TOLD();
	fl__sys.guard = guards_some;
	/* each round leaves one stack more behind that can be used again */
	for (int k = 0; k < N; k++) {
		int ends = 0, results[N];
		fl_call calls[N];
		for (int i = 0; i < N; i++)
			calls[i] = (fl_call){until_cancelled, &ends, NULL};
		stacks_left = k > 0;
		FL_CHECK((k % 2 ? fl_gather : fl_gather_all)(calls, N, results) == -ENOMEM && ends == k);
		for (int i = 0; i < N; i++)
			FL_CHECK(results[i] == -ECANCELED);
	}
	child late = {.rc = -EPIPE};
	const fl_call calls[] = {{runs, &late, NULL},   {returns, NULL, NULL}, {returns, NULL, NULL},
	                         {returns, NULL, NULL}, {returns, NULL, NULL}, {returns, NULL, NULL}};
	stacks_left = 0;
	FL_CHECK(fl_gather_until(calls, N, NULL, FL_FOREVER, NULL) == -ENOMEM && late.ended);
	FL_CHECK(fl_gather_all_until(calls, N, NULL, FL_FOREVER, NULL) == -ENOMEM && late.ended == 2);
	FL_CHECK(told.count == 2 && told.error == -EPIPE);
	FL_CHECK(fl_gather(calls, N, NULL) == -ENOMEM && fl_gather_all(calls, N, NULL) == -ENOMEM);
	return 0;
}

FL_TEST(gather_without_memory_for_the_next)
{
	fl_test_in_loop(fails_at, NULL);
}

static int counts(void *ended)
{
	fl_fiber_yield();
	++*(unsigned *)ended;
	return 0;
}

static int many(void *unused)
{
	const unsigned n = fl_test_scaled(10000);
	unsigned ended = 0;
	fl_call *calls = malloc(n * sizeof *calls);
	int *results = malloc(n * sizeof *results);
	(void)unused;
	FL_CHECK(calls && results);
	for (unsigned i = 0; i < n; i++)
		calls[i] = (fl_call){i % 100 == 99 ? returns : counts, i % 100 == 99 ? RC(-(int)i) : (void *)&ended, 0};
	FL_CHECK(fl_gather_all(calls, n, results) == -99 && ended == n - n / 100);
	for (unsigned i = 0; i < n; i++)
		FL_CHECK(results[i] == (i % 100 == 99 ? -(int)i : 0));
	free(calls);
	free(results);
	return 0;
}

FL_TEST(gather_many_in_the_order_of_the_calls)
{
	fl_test_in_loop(many, NULL);
}

/* Shield. */

static int shielded(void *unused)
{
	int result = 7;
	(void)unused;
	FL_CHECK(fl_shield(returns, RC(-EIO), &result) == 0 && result == -EIO);
	FL_CHECK(fl_shield(returns, RC(0), NULL) == 0);
	FL_CHECK(fl_shield_until(returns, RC(-EPIPE), &result, FL_FOREVER, NULL) == 0 && result == -EPIPE);
	return 0;
}

FL_TEST(shield_hands_over_the_result)
{
	fl_test_in_loop(shielded, NULL);
}

static int shields(void *c)
{
	int result = 7, rc = fl_shield(runs, c, &result);
	FL_CHECK(result == 7);
	return rc;
}

static int fails_later(void *event)
{
	int rc = fl_event_wait(event);
	return rc != 0 ? rc : -EIO;
}

static int shields_a_failure(void *event)
{
	return fl_shield(fails_later, event, NULL);
}

static int inner_goes_on(void *unused)
{
	fl_event gate = FL_EVENT_INIT;
	child c = {.start = &gate};
	(void)unused;
	TOLD();
	fl_fiber *f = fl_test_start(shields, &c);
	fl_test_settle();
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == -ECANCELED && c.began && !c.ended && !c.cancelled);
	fl_event_set(&gate);
	fl_test_settle();
	FL_CHECK(c.ended && !c.cancelled && told.count == 0);

	fl_event_reset(&gate);
	f = fl_test_start(shields_a_failure, &gate);
	fl_test_settle();
	fl_fiber_cancel(f);
	FL_CHECK(fl_test_join(f) == -ECANCELED && told.count == 0);
	fl_event_set(&gate);
	fl_test_settle();
	FL_CHECK(told.count == 1 && told.error == -EIO);
	return 0;
}

FL_TEST(shield_goes_on_when_the_caller_is_cancelled)
{
	fl_test_in_loop(inner_goes_on, NULL);
}

/* The caller's cancel and the inner's end in one turn: the error is told once, by the one or the other. */
static int both_at_once(void *unused)
{
	(void)unused;
	for (int order = 0; order < 2; order++) {
		fl_event gate = FL_EVENT_INIT;
		TOLD();
		fl_fiber *f = fl_test_start(shields_a_failure, &gate);
		fl_test_settle();
		if (order == 0)
			fl_fiber_cancel(f);
		fl_event_set(&gate);
		if (order == 1)
			fl_fiber_cancel(f);
		FL_CHECK(fl_test_join(f) == -ECANCELED);
		fl_test_settle();
		FL_CHECK(told.count == 1 && told.error == -EIO);
	}
	return 0;
}

FL_TEST(shield_cancelled_as_it_ends)
{
	fl_test_in_loop(both_at_once, NULL);
}

static int shield_until(void *unused)
{
	fl_event gate = FL_EVENT_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	child c = {.start = &gate};
	int result = 7;
	(void)unused;
	fl_cancel_token_request(&stop);
	FL_CHECK(fl_shield_until(runs, &c, &result, fl_after(FL_MS(1)), NULL) == -ETIMEDOUT);
	FL_CHECK(fl_shield_until(runs, &c, &result, FL_FOREVER, &stop) == -ECANCELED && result == 7);
	fl_event_set(&gate);
	fl_test_settle();
	FL_CHECK(c.began == 2 && c.ended == 2 && !c.cancelled);
	FL_FAULTS();
	fl__sys.guard = guards_some;
	stacks_left = 0;
	int rc;
	/* until no stack is left that was used before */
	while ((rc = fl_shield_until(runs, &c, NULL, 0, NULL)) == -ETIMEDOUT)
		;
	FL_CHECK(rc == -ENOMEM && fl_shield(runs, &c, NULL) == -ENOMEM);
	fl_test_settle(); /* those that go on use what is here */
	FL_CHECK(c.ended == c.began);
	return 0;
}

FL_TEST(shield_until_answers)
{
	fl_test_in_loop(shield_until, NULL);
}

static child left;

static int leaves_it(void *unused)
{
	(void)unused;
	TOLD();
	FL_CHECK(fl_shield_until(runs, &left, NULL, 0, NULL) == -ETIMEDOUT);
	return 0;
}

/* The end of the loop cancels what nobody waits for, which is no error. */
FL_TEST(shield_ends_with_the_loop)
{
	memset(&left, 0, sizeof left);
	TOLD();
	fl_test_in_loop(leaves_it, NULL);
	assert_true(left.cancelled && left.ended);
	assert_int_equal(told.count, 0);
}
