/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Select: one of several puts and gets, whichever can be made first; the others leave nothing
 * behind.
 */
#include "fl_blocked.h"

struct selecting {
	fl_select_case cases[2];
	int got[2], which;
	fl_time deadline;
	fl_cancel_token *cancel, *scope;
	fl_thread *thread;
};

static int selecting_run(void *arg)
{
	struct selecting *s = arg;
	FL_CANCEL_SCOPE(s->scope);
	s->which = fl_select_until(s->cases, 2, s->deadline, s->cancel);
	return 0;
}

/* It waits to get from `a` or from `b`. */
static void begin_gets(struct selecting *s, fl_queue *a, fl_queue *b)
{
	s->cases[0] = (fl_select_case)FL_GET(a, &s->got[0]);
	s->cases[1] = (fl_select_case)FL_GET(b, &s->got[1]);
	unsigned before = seam_sleepers();
	fl_test_go(&s->thread, selecting_run, s);
	FL_WAIT_FOR(seam_sleepers() == before + 1);
}

static int end(struct selecting *s)
{
	FL_OK(fl_thread_join_until(s->thread, NULL, FL_FOREVER, FL_SHIELDED));
	return s->which;
}

static const fl_queue_config kinds[] = {
    {.capacity = 1},
    {.capacity = 1, .order = FL_LIFO},
    {.capacity = 1, .order = FL_PRIORITY, .compare = fl_test_by_value},
    {.capacity = 1, .when_full = FL_OVERWRITE},
    {.capacity = FL_RENDEZVOUS},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static fl_queue *queue_of_kind(int kind)
{
	return FL_TEST_QUEUE_OF(sizeof(int), &kinds[kind]);
}

FL_TEST(select_makes_the_one_that_can_be_made)
{
	FL_SCOPED(fl_queue) *empty = queue_with(2, 0);
	FL_SCOPED(fl_queue) *full = queue_with(1, 1);
	int got = 77, mine = 5;
	FL_RC(FL_SELECT_UNTIL(FL_NO_WAIT, NULL, FL_GET(empty, &got), FL_PUT(full, &mine)), -ETIMEDOUT);
	FL_RC(FL_SELECT(FL_GET(empty, &got), FL_PUT(full, &mine), FL_PUT(empty, &mine)), 2);
	assert_int_equal(got, 77);
	FL_RC(FL_SELECT(FL_PUT(full, &mine), FL_GET(full, &got)), 1);
	assert_int_equal(got, 1);
	FL_RC(FL_SELECT(FL_PUT(full, &mine)), 0);
	GETS(full, 5);
	GETS(empty, 5);
	assert_int_equal(fl_queue_length(full), 0);
	assert_int_equal(fl_queue_length(empty), 0);
}

FL_QUEUE_OF(long, longs)

FL_TEST(select_takes_typed_queues)
{
	FL_SCOPED(longs) *q = NULL;
	FL_OK(longs_create(&q, NULL));
	long item = 5, got = 0;
	FL_RC(FL_SELECT(FL_GET(q, &got), FL_PUT(q, &item)), 1);
	FL_RC(FL_SELECT(FL_GET(q, &got)), 0);
	assert_int_equal(got, 5);
}

FL_TEST(select_refuses_what_makes_no_sense)
{
	FL_SCOPED(fl_queue) *q = queue_with(2, 1);
	int item = 0;
	char small = 0;
	fl_select_case both = FL_GET(q, &item), neither = FL_GET(q, &item), out = FL_GET(q, &item);
	both.from = &item;
	neither.to = NULL;
	out.queue = NULL;
	FL_RC(fl_select_until(&both, 1, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_select_until(&neither, 1, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_select_until(&out, 1, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_select_until(NULL, 0, FL_FOREVER, NULL), -EINVAL);
	FL_RC(FL_SELECT(FL_PUT(q, &item), FL_GET(q, &small)), -EINVAL);
	assert_int_equal(fl_queue_length(q), 1);
#if SIZE_MAX > UINT32_MAX
	const size_t too_many = (size_t)INT32_MAX + 1;
	FL_RC(fl_select_until(&out, too_many, FL_FOREVER, NULL), -EINVAL);
#endif
}

FL_TEST(select_hears_a_request_only_where_it_has_to_wait)
{
	FL_SCOPED(fl_queue) *q = queue_with(1, 1);
	int got = 0;
	fl_select_case gets = FL_GET(q, &got);
	FL_RC(fl_select_until(&gets, 1, FL_FOREVER, fl_test_requested), 0);
	FL_RC(fl_select_until(&gets, 1, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(got, 1);
}

FL_TEST(select_leaves_out_a_case_without_queue)
{
	FL_SCOPED(fl_queue) *q = queue_with(1, 0);
	int a = 77, b = 77;
	fl_select_case cases[] = {FL_GET(q, &a), FL_GET(q, &b)};
	cases[0].queue = NULL;
	FL_RC(fl_select_until(cases, 2, fl_test_soon(), NULL), -ETIMEDOUT);
	PUTS(q, 5);
	FL_RC(fl_select_until(cases, 2, FL_FOREVER, NULL), 1);
	assert_int_equal(a, 77);
	assert_int_equal(b, 5);
}

/*
 * The list of the cases that have queues is in the order of the addresses. Its sort once took a time
 * in the square of the number of cases.
 */
FL_TEST(select_sorts_many_cases)
{
	enum { N = 100 };
	for (int n = 1; n <= N; n += 9) {
		fl_select_case cases[N];
		fl_queue *q[N];
		int got = 0, found = 0;
		for (int i = 0; i < n; i++) {
			q[i] = queue_with(1, 0);
			cases[i] = (fl_select_case)FL_GET(q[i], &got);
		}
		for (int i = 0; i < n; i++) /* shuffles; two cases may have one queue, and some have none */
			cases[i].queue = i > 0 && i % 7 == 3 ? NULL : q[i * 37 % n];
		FL_RC(fl_select_until(cases, (size_t)n, fl_test_soon(), NULL), -ETIMEDOUT);
		const fl_select_case *first = NULL;
		for (int i = 0; i < n; i++)
			if (cases[i].queue && (!first || (uintptr_t)cases[i].queue < (uintptr_t)first->queue))
				first = &cases[i];
		for (const fl_select_case *c = first; c; c = c->next_, found++)
			assert_true(c->queue && (!c->next_ || (uintptr_t)c->queue <= (uintptr_t)c->next_->queue));
		assert_int_equal(found, n - (n + 3) / 7);
		for (int i = 0; i < n; i++)
			fl_queue_free(q[i]);
	}
}

/* A get that waits in two queues is woken by a put to either, of whatever kind. */
FL_TEST(select_is_woken_by_a_put)
{
	for (int kind = 0; kind < 2 * KINDS; kind++) {
		FL_SCOPED(fl_queue) *a = queue_of_kind(kind / 2), *b = queue_of_kind(kind / 2);
		struct selecting s = {.got = {77, 77}};
		begin_gets(&s, a, b);
		FL_OK(fl_queue_put(kind % 2 ? b : a, &(int){5}));
		FL_RC(end(&s), kind % 2);
		assert_int_equal(s.got[kind % 2], 5);
		assert_int_equal(s.got[1 - kind % 2], 77);
		FL_RC(fl_queue_try_get(a, &(int){0}), -EAGAIN);
		FL_RC(fl_queue_try_get(b, &(int){0}), -EAGAIN);
	}
}

FL_TEST(select_is_woken_by_a_get)
{
	for (int kind = 0; kind < KINDS; kind++) {
		if (kinds[kind].when_full == FL_OVERWRITE)
			continue; /* a put never waits */
		FL_SCOPED(fl_queue) *a = queue_of_kind(kind), *b = queue_with(1, 0);
		int filled = fl_queue_try_put(a, &(int){1}), item = 5, got = 0;
		struct selecting s = {.got = {77, 77}};
		s.cases[0] = (fl_select_case)FL_PUT(a, &item);
		s.cases[1] = (fl_select_case)FL_GET(b, &s.got[1]);
		fl_test_go(&s.thread, selecting_run, &s);
		FL_WAIT_FOR(seam_sleepers() == 1);
		FL_OK(fl_queue_get(a, &got));
		FL_RC(end(&s), 0);
		/* A rendezvous has no slots: it met the select. */
		assert_int_equal(got, filled == 0 ? 1 : 5);
		if (filled == 0)
			GETS(a, 5);
	}
}

FL_TEST(select_gives_up_and_leaves_nothing_behind)
{
	for (int kind = 0; kind < KINDS; kind++) {
		for (int way = 0; way < 3; way++) {
			fl_queue *a = queue_of_kind(kind), *b = queue_of_kind(kind);
			FL_SCOPED(fl_cancel_token) stop = FL_CANCEL_TOKEN_INIT;
			struct selecting s = {.got = {77, 77}};
			if (way == 0)
				s.deadline = fl_after(FL_MS(2));
			else if (way == 1)
				s.cancel = &stop;
			else
				s.scope = &stop;
			if (way == 0) {
				s.cases[0] = (fl_select_case)FL_GET(a, &s.got[0]);
				s.cases[1] = (fl_select_case)FL_GET(b, &s.got[1]);
				FL_OK(selecting_run(&s));
				assert_true(fl_time_is_past(s.deadline));
			} else {
				begin_gets(&s, a, b);
				fl_cancel_token_request(&stop);
				(void)end(&s);
			}
			FL_RC(s.which, way == 0 ? -ETIMEDOUT : -ECANCELED);
			assert_int_equal(s.got[0] + s.got[1], 2 * 77);
			FL_RC(fl_queue_put_until(a, &(int){1}, FL_NO_WAIT, NULL),
			      kinds[kind].capacity == FL_RENDEZVOUS ? -ETIMEDOUT : 0);
			fl_queue_free(a); /* panics if a waiter is left */
			fl_queue_free(b);
		}
	}
}

FL_TEST(select_tells_which_is_closed)
{
	for (int kind = 0; kind < KINDS; kind++) {
		FL_SCOPED(fl_queue) *a = queue_of_kind(kind), *b = queue_of_kind(kind);
		struct selecting s = {.got = {77, 77}};
		begin_gets(&s, a, b);
		fl_queue_close(b);
		FL_RC(end(&s), -EPIPE);
		assert_false(s.cases[0].closed);
		assert_true(s.cases[1].closed);
		s.cases[1].queue = NULL;
		FL_RC(fl_select_until(s.cases, 2, FL_NO_WAIT, NULL), -ETIMEDOUT);
		assert_false(s.cases[0].closed);
		int item = 5;
		FL_RC(FL_SELECT(FL_PUT(b, &item)), -EPIPE);
		FL_RC(FL_SELECT(FL_GET(b, &item)), -EPIPE);
		assert_int_equal(item, 5);
	}
}

FL_TEST(select_drains_before_it_tells_of_a_close)
{
	FL_SCOPED(fl_queue) *q = queue_with(1, 1);
	int got = 0;
	fl_queue_close(q);
	FL_RC(FL_SELECT(FL_GET(q, &got)), 0);
	assert_int_equal(got, 1);
	FL_RC(FL_SELECT(FL_GET(q, &got)), -EPIPE);
}

/* Each possible case gets its share, wherever it is listed; so does a close. */
FL_TEST(select_is_fair)
{
	enum { N = 3000 };
	FL_SCOPED(fl_queue) *a = queue_with(N, 0), *b = queue_with(N, 0), *never = queue_with(1, 0),
			    *closed = queue_with(1, 0);
	fl_queue_close(closed);
	int times[5] = {0}, item = 5;
	for (int i = 0; i < N; i++) {
		int got,
		    which = FL_SELECT(FL_PUT(a, &item), FL_GET(never, &got), FL_PUT(b, &item), FL_GET(closed, &got));
		times[which == -EPIPE ? 4 : which]++;
	}
	assert_int_equal(times[1] + times[3], 0);
	FL_IN_RANGE(times[0], N / 4, N / 2);
	FL_IN_RANGE(times[2], N / 4, N / 2);
	FL_IN_RANGE(times[4], N / 4, N / 2);
}

enum { CONTEXTS = 64 };
static fl_queue *either[2];

static int selects_once(void *arg)
{
	int item;
	((int *)arg)[FL_SELECT(FL_GET(either[0], &item), FL_GET(either[1], &item))]++;
	return 0;
}

static int fibers_select_once(void *times)
{
	for (int i = 0; i < CONTEXTS; i++) {
		fl_fiber *f = NULL;
		FL_OK(fl_fiber_start(&f, selects_once, times, NULL));
		FL_CHECK(fl_fiber_join(f, NULL) == 0);
	}
	return 0;
}

/* A fiber for each request, one select in each: that is a choice each time, too. */
FL_TEST(select_chooses_at_random_from_the_first_time)
{
	int times[2] = {0};
	FL_EACH (i, either)
		either[i] = queue_with(CONTEXTS, CONTEXTS);
	FL_OK(fl_loop_run(fibers_select_once, times));
	FL_EACH (i, times) {
		FL_IN_RANGE(times[i], 1, CONTEXTS - 1);
		fl_queue_free(either[i]);
	}
}

/* Several selects, one item each time: one of them gets it, the others sleep on. */
FL_TEST(select_one_item_wakes_one)
{
	enum { N = 4 };
	for (int kind = 0; kind < KINDS; kind++) {
		FL_SCOPED(fl_queue) *a = queue_of_kind(kind), *b = queue_of_kind(kind);
		struct selecting s[N];
		FL_EACH (i, s) {
			s[i] = (struct selecting){.which = 99};
			begin_gets(&s[i], a, b);
		}
		for (int i = 0; i < N; i++) {
			FL_OK(fl_queue_put(i % 2 ? a : b, &(int){i + 1}));
			FL_WAIT_FOR(seam_sleepers() == (unsigned)(N - 1 - i) && fl_queue_length(i % 2 ? a : b) == 0);
		}
		int sum = 0;
		FL_EACH (i, s) {
			FL_OK(end(&s[i]) < 0);
			sum += s[i].got[0] + s[i].got[1];
		}
		assert_int_equal(sum, 1 + 2 + 3 + 4);
	}
}

FL_TEST(select_of_a_rendezvous_meets_another_never_itself)
{
	FL_SCOPED(fl_queue) *q = queue_of_kind(KINDS - 1);
	int item = 5, got = 0;
	FL_RC(FL_SELECT_UNTIL(fl_test_soon(), NULL, FL_GET(q, &got), FL_PUT(q, &item)), -ETIMEDOUT);
	struct selecting s = {.got = {77, 77}};
	s.cases[0] = (fl_select_case)FL_GET(q, &s.got[0]);
	s.cases[1] = (fl_select_case)FL_PUT(q, &s.got[1]);
	fl_test_go(&s.thread, selecting_run, &s);
	FL_WAIT_FOR(seam_sleepers() == 1);
	const int which = FL_SELECT(FL_GET(q, &got), FL_PUT(q, &item));
	FL_RC(end(&s), 1 - which);
	assert_int_equal(which == 0 ? got : s.got[0], which == 0 ? 77 : 5);
}

FL_TEST(select_says_when_there_is_no_memory)
{
	static const char item[300];
	FL_SCOPED(fl_queue) *q =
	    FL_TEST_QUEUE_OF(sizeof item, &(fl_queue_config){.capacity = 1, .when_full = FL_OVERWRITE});
	fl_select_case puts = FL_PUT(q, &item);
	FL_RC(fl_select_until(&puts, 1, FL_FOREVER, NULL), 0);
	seam_fail_allocs(0, 1);
	FL_RC(fl_select_until(&puts, 1, FL_FOREVER, NULL), -ENOMEM);
	assert_false(puts.closed);
	(void)seam_heal();
	assert_int_equal(fl_queue_length(q), 1);
}

static fl_queue *places[2];

static int puts_one(void *arg)
{
	return fl_queue_put(places[1], &(int){5});
}

static int selects_one(void *arg)
{
	fl_fiber *puts = NULL;
	int a = 0, b = 0;
	FL_OK(fl_fiber_start(&puts, puts_one, NULL, NULL));
	FL_CHECK(FL_SELECT(FL_GET(places[0], &a), FL_GET(places[1], &b)) == 1);
	FL_CHECK(a == 0 && b == 5);
	FL_CHECK(FL_SELECT_UNTIL(fl_test_soon(), NULL, FL_GET(places[0], &a)) == -ETIMEDOUT);
	return fl_fiber_join(puts, NULL);
}

FL_TEST(select_suspends_the_fiber_alone)
{
	for (int kind = 0; kind < KINDS; kind++) {
		places[0] = queue_of_kind(kind);
		places[1] = queue_of_kind(kind);
		FL_OK(fl_loop_run(selects_one, NULL));
		fl_queue_free(places[0]);
		fl_queue_free(places[1]);
	}
}
