/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times of tasks, by a clock that only the test moves. Tasks on the sequential executor move it, so
 * that it is known how long each ran. test_pool_stats.c has the counts of threads.
 */
#include "fl_faults.h"
#include "fl_pool.h"

#include "inspect/stats.h"

static void stats_advance(int64_t ns)
{
	fl__add_relaxed(&fl_test_time, ns);
}

FL_TASK_STATIC(stats_last, int64_t, void)
{
	stats_advance(*arg);
	return 0;
}

static void stats_run(fl_executor *e, int64_t ns, int times)
{
	while (times-- > 0)
		FL_OK(stats_last_submit(e, ns, NULL));
}

static fl_stats_times stats_ran(fl_executor *e)
{
	return fl_test_type_of(e, 0).ran;
}

static void stats_in_sequence(void (*body)(fl_executor *e))
{
	FL_FAULTS();
	fl_test_clock_stands();
	FL_SCOPED(fl_executor) *e = sequential();
	body(e);
}

/* With a sequential executor `e`, while the clock stands. */
#define STATS_TEST(name) FL_TEST_WITH(name, stats_in_sequence, fl_executor *e)

/* `value` or up to a quarter more. */
static bool stats_is_about(int64_t is, int64_t value)
{
	return is >= value && is <= value + value / 4;
}

STATS_TEST(stats_of_slow_tasks_are_of_each)
{
	stats_run(e, FL_US(100), 98);
	stats_run(e, FL_MS(10), 1);
	stats_run(e, FL_MS(500), 1);
	const fl_stats_times ran = stats_ran(e), queued = fl_test_type_of(e, 0).queued;
	assert_int_equal(ran.n, 100);
	assert_int_equal(ran.sum, 98 * FL_US(100) + FL_MS(510));
	assert_true(stats_is_about(ran.p50, FL_US(100)));
	assert_true(stats_is_about(ran.p99, FL_MS(10)));
	assert_int_equal(ran.max, FL_MS(500));
	assert_int_equal(queued.n, 100);
	assert_true(queued.max < 1024);
}

/* Half of the tasks take that long, the others longer, so that the quantile is of a bucket. */
FL_TEST(stats_quantiles_are_upper_bounds)
{
	FL_FAULTS();
	fl_test_clock_stands();
	for (int64_t ns = FL_US(51); ns < INT64_C(1) << 40; ns += ns / 3) {
		FL_SCOPED(fl_executor) *e = sequential();
		stats_run(e, ns, 1);
		stats_run(e, 3 * ns, 1);
		const fl_stats_times ran = stats_ran(e);
		if (3 * ns < INT64_C(1) << 36) /* one epoch on at most */
			assert_true(stats_is_about(ran.p50, ns));
		assert_int_equal(ran.sum, 4 * ns);
	}
}

STATS_TEST(stats_of_fast_tasks_stand_for_all)
{
	stats_run(e, 100, 6400);
	const fl_stats_times ran = stats_ran(e);
	assert_in_range(ran.n, 6400 - FL__STATS_EVERY * 3 / 2, 6400);
	assert_int_equal(ran.sum, ran.n * 100);
	assert_int_equal(stats_of(e).ended, 6400);
	/* a flood of any length leaves a debt of 64 stamps, at 20 us each */
	assert_in_range(e->stats.calm, 1, fl_test_time + 65 * FL_US(20));
	/* each again, when they are rare */
	stats_advance(FL_S(1));
	stats_run(e, FL_US(60), FL__STATS_EVERY);
	assert_int_equal(stats_ran(e).n, stats_of(e).ended);
}

/* Four types that differ by their names. */
static void stats_name_four(fl_task_type types[4], const fl_task_type *like)
{
	const char *names[] = {"decode", "scale", "encode", "store"};
	FL_EACH (i, names) {
		types[i] = *like;
		types[i].name = names[i];
	}
}

/* Also a cycle that divides EVERY. */
STATS_TEST(stats_of_types_in_turn)
{
	enum { TURNS = 20000 };
	fl_task_type types[4];
	stats_name_four(types, &stats_last);
	for (int n = 0; n < TURNS; n++)
		FL_EACH (i, types)
			FL_OK(fl_executor_submit(e, &types[i], &(int64_t){101}, NULL));
	FL_EACH (i, types)
		assert_in_range(fl_test_type_of(e, i).ran.n, TURNS * 3 / 4, TURNS * 5 / 4);
}

/* A task that comes while workers sleep is measured, and stands for none of the burst before. */
FL_TEST(stats_of_a_rare_task)
{
	FL_FAULTS();
	fl_test_clock_stands();
	fl__store_relaxed(&fl_test_tick, 10);
	FL_SCOPED(fl_executor) *e = pool_with(1);
	fl_task_type rare = stats_last;
	rare.name = "rare";
	for (int i = 0; i < 10; i++) {
		fl_future *f;
		for (int n = 0; n < 1000; n++)
			FL_OK(fl_test_run_task(e, &pool_nothing, NULL, NULL));
		FL_WAIT_FOR(stats_of(e).idle == 1 && fl__load_relaxed(&e->stats.skip) == 0 &&
		            fl__load_relaxed(&e->short_way) == FL__SHORT_WAY_CLOSED);
		FL_OK(fl_executor_submit(e, &rare, &(int64_t){FL_MS(100)}, &f));
		FL_OK(fl_future_wait(f));
		fl_future_free(f);
	}
	const fl_stats_times ran = fl_test_type_of(e, 1).ran;
	assert_int_equal(ran.n, 10);
	assert_in_range(ran.sum, 10 * FL_MS(100), 10 * FL_MS(101));
}

/* As before, in a burst: submits take a refill of the free list at equal distances. */
FL_TEST(stats_of_types_in_turn_in_a_burst)
{
	enum { TURNS = 20000 };
	FL_FAULTS();
	fl_test_clock_stands();
	fl__store_relaxed(&fl_test_tick, 101);
	FL_SCOPED(fl_executor) *e = pool_with(1);
	fl_task_type types[4];
	struct held held = hold_worker(e);
	stats_name_four(types, &pool_nothing);
	for (int n = 0; n < TURNS; n++)
		FL_EACH (i, types)
			FL_OK(fl_executor_submit(e, &types[i], NULL, NULL));
	let_go(&held);
	FL_WAIT_FOR(stats_of(e).ended == 4 * TURNS + 1);
	fl__store_relaxed(&fl_test_tick, FL_US(10)); /* spins end by the clock, after few yields */
	FL_EACH (i, types)
		assert_in_range(fl_test_type_of(e, i + 1).queued.n, TURNS / 2, TURNS * 3 / 2);
}

/* They begin long after the last submit. */
FL_TEST(stats_of_bursts)
{
	FL_FAULTS();
	fl_test_clock_stands();
	for (size_t n = 50; n <= 5000; n *= 10) {
		FL_SCOPED(fl_executor) *e = pool_with(1);
		struct held held = hold_worker(e);
		FL_OK(pool_nothing_submit_with(e, NULL, &(fl_submit_config){.deadline = FL_NO_WAIT}));
		for (size_t i = 0; i < n; i++)
			FL_OK(pool_nothing_submit(e, NULL));
		stats_advance(FL_S(1));
		let_go(&held);
		FL_WAIT_FOR(stats_of(e).ended == n + 2);
		assert_int_equal(fl_test_type_of(e, 0).queued.n, 1); /* it does not stand for the expired one */
		const uint64_t queued = fl_test_type_of(e, 1).queued.n, ran = fl_test_type_of(e, 1).ran.n;
		assert_in_range(queued, n < 64 ? n : n - 3 * FL__STATS_EVERY, n);
		assert_in_range(ran, n < 64 ? n : n - 3 * FL__STATS_EVERY, n);
		fl__store_relaxed(&fl_test_tick, FL_US(1)); /* spins of the worker end by the clock */
	}
}

/* fl_executor_submit() goes its short way but for the submits that stamp. */
STATS_TEST(stats_leave_the_short_way_open)
{
	assert_int_equal(e->short_way, FL__SHORT_WAY_CLOSED);
	stats_run(e, 100, FL__STATS_EVERY);
	assert_int_equal(e->short_way, FL__SHORT_WAY_CLOSED);
	stats_run(e, 100, 1);
	for (int i = 0; i < 10; i++) {
		int distance = 0;
		assert_int_equal(e->short_way, fl__fork_count);
		for (; e->short_way == fl__fork_count; distance++)
			stats_run(e, 100, 1);
		assert_in_range(distance, FL__STATS_EVERY / 2, FL__STATS_EVERY * 3 / 2);
		stats_run(e, 100, 1);
	}
	assert_int_equal(e->short_way, fl__fork_count);
}

FL_TEST(stats_never_open_the_short_way_at_a_bound)
{
	FL_SCOPED(fl_executor) *full = bounded(1, 1, FL_FULL_RUN);
	for (int i = 0; i < 1000; i++)
		FL_OK(fl_test_run_task(full, &pool_nothing, NULL, NULL));
	assert_int_equal(fl__load_relaxed(&full->short_way), FL__SHORT_WAY_CLOSED);
}

STATS_TEST(stats_forget_times_of_long_ago)
{
	stats_run(e, FL_MS(1), 3);
	stats_advance(INT64_C(1) << 36);
	assert_int_equal(stats_ran(e).max, FL_MS(1));
	stats_run(e, FL_US(100), 1);
	assert_int_equal(stats_ran(e).max, FL_MS(1));
	stats_advance(INT64_C(1) << 36);
	assert_int_equal(stats_ran(e).max, FL_US(100));
	/* the set of the first three is used again */
	stats_run(e, FL_US(200), 1);
	assert_true(stats_is_about(stats_ran(e).p50, FL_US(100)));
	assert_int_equal(stats_ran(e).max, FL_US(200));
	stats_advance(INT64_C(3) << 36);
	const fl_stats_times ran = stats_ran(e);
	assert_int_equal(ran.max, 0);
	assert_int_equal(ran.p99, 0);
	assert_int_equal(ran.n, 5);
	assert_int_equal(ran.sum, 3 * FL_MS(1) + FL_US(300));
}

STATS_TEST(stats_know_16_types)
{
	char names[FL__STATS_TYPES + 1][60];
	fl_task_type types[FL__STATS_TYPES + 1];
	const int64_t ns = FL_US(100);
	FL_EACH (i, types) {
		types[i] = stats_last;
		types[i].name = names[i];
		FL_TEXT(names[i], "type %zu with a name that is cut after so many characters", i);
		for (int n = 0; n < 2; n++)
			FL_OK(fl_executor_submit(e, &types[i], &ns, NULL));
	}
	assert_true(fl_test_has_types(e, FL__STATS_TYPES));
	assert_string_equal(fl_test_type_of(e, 0).name, "type 0 with a name that is cut after so many ch");
	assert_int_equal(fl_test_type_of(e, 14).ran.n, 2);
	assert_string_equal(fl_test_type_of(e, 15).name, "other types");
	assert_int_equal(fl_test_type_of(e, 15).ran.n, 4);
	assert_int_equal(fl_test_type_of(e, 15).queued.n, 4);
}

/* By the name as shown, wherever it is in memory; a type may have none. */
STATS_TEST(stats_tell_types_by_their_names)
{
	const int64_t ns = FL_US(100);
	const char *names[] = {"a.c:same", "b.c:same", NULL, "other types", "gone", "late"};
	const char *shown[] = {"same", "task", "gone", "late", "other types"};
	FL_EACH (i, names) {
		char name[20] = "";
		fl_task_type type = stats_last;
		type.name = names[i] ? strncpy(name, names[i], sizeof name - 1) : NULL;
		FL_OK(fl_executor_submit(e, &type, &ns, NULL));
	}
	assert_true(fl_test_has_types(e, 5));
	FL_EACH (i, shown) {
		assert_string_equal(fl_test_type_of(e, i).name, shown[i]);
		assert_int_equal(fl_test_type_of(e, i).ran.n, i == 0 ? 2 : 1);
	}
}

static void *stats_no_large_memory(size_t size)
{
	return size < sizeof(struct fl__stats_type) ? fl_test_real_sys.alloc(size) : NULL;
}

STATS_TEST(stats_without_memory_have_no_times)
{
	stats_run(e, FL_US(100), 1);
	fl__sys.alloc = stats_no_large_memory;
	FL_OK(pool_nothing_submit(e, NULL));
	assert_int_equal(stats_of(e).ended, 2);
	assert_true(fl_test_has_types(e, 1));
	fl__sys.alloc = fl_test_real_sys.alloc;
	FL_OK(pool_nothing_submit(e, NULL));
	assert_int_equal(fl_test_type_of(e, 0).ran.n, 2); /* stands for the next one */
	assert_int_equal(fl_test_type_of(e, 1).ran.n, 1);
}

FL_TEST(stats_measure_the_queue_of_threads)
{
	FL_FAULTS();
	fl_test_clock_stands();
	FL_SCOPED(fl_executor) *e = pool_with(1);
	struct held held = hold_worker(e);
	stats_advance(FL_US(30));
	FL_OK(pool_nothing_submit_with(e, NULL, &(fl_submit_config){.deadline = FL_NO_WAIT}));
	stats_advance(FL_US(30));
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(pool_nothing, e);
	stats_advance(FL_S(3));
	let_go(&held);
	FL_OK(fl_future_wait(f));
	assert_true(fl_test_has_types(e, 2));
	assert_string_equal(fl_test_type_of(e, 1).name, "pool_nothing");
	assert_int_equal(fl_test_type_of(e, 1).queued.n, 1); /* not the expired one */
	const int64_t queued = fl_test_type_of(e, 1).queued.max;
	assert_true(queued > FL_S(3) - 1024 && queued < FL_S(3) + 1024);
	assert_int_equal(fl_test_type_of(e, 0).ran.max, FL_S(3) + FL_US(60));
	fl__store_relaxed(&fl_test_tick, FL_US(1)); /* spins of the worker end by the clock */
}

static fl_executor *stats_asked;
static size_t stats_most_ended;

/* A worker reads the clock between the claim of a task and its run. */
static int64_t stats_now_asks(void)
{
	fl_stats_executor stats = {0};
	fl_executor *e = fl__load_acquire(&stats_asked);
	if (e)
		e->ops->count(e, &stats);
	if (stats.ended > fl__load_relaxed(&stats_most_ended))
		fl__store_relaxed(&stats_most_ended, stats.ended);
	return fl_test_real_sys.now();
}

FL_TEST(stats_count_a_task_at_its_end)
{
	FL_FAULTS();
	FL_SCOPED(fl_executor) *e = pool_with(1);
	fl__store_release(&stats_asked, e);
	fl__sys.now = stats_now_asks;
	FL_OK(fl_test_run_task(e, &pool_nothing, NULL, NULL));
	fl__store_release(&stats_asked, NULL);
	assert_int_equal(fl_test_type_of(e, 0).ran.n, 1); /* so the clock was read in between */
	assert_in_range(fl__load_relaxed(&stats_most_ended), 0, 1);
}

STATS_TEST(stats_of_impossible_times)
{
	const int64_t now = FL_S(1000);
	fl_future f = {.type = &stats_last};
	fl__hook_stamp_on(e, &f);
	stats_advance(FL_MS(5));
	const int64_t wrong[][2] = {{now + FL_MS(5) + 1, 0}, {now, FL_MS(5) + 1}, {now, -1}, {0, 1}, {-1, 1},
	                            {INT64_MIN, INT64_MAX}};
	FL_EACH (i, wrong)
		fl__hook_remote_on(e, &f, wrong[i][0], wrong[i][1]);
	assert_true(fl_test_has_types(e, 0));
	fl__hook_remote_on(e, &f, now + FL_MS(1), FL_MS(4));
	assert_int_equal(stats_ran(e).max, FL_MS(4));
	assert_in_range(fl_test_type_of(e, 0).queued.max, FL_MS(1) - 1024, FL_MS(1) + 1024);
}

FL_TEST(stats_of_a_loop)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(loop, .workers = 2);
	fl_event open = FL_EVENT_INIT;
	fl_future *f[5];
	FL_EACH (i, f)
		FL_OK(pool_await_submit(e, &open, &f[i]));
	FL_OK(fl_future_cancel(f[4]));
	FL_WAIT_FOR(stats_of(e).running == 2);
	fl_stats_executor stats = stats_of(e);
	assert_int_equal(stats.pending, 2);
	assert_int_equal(stats.ended, 1);
	assert_int_equal(stats.cancelled, 1);
	fl_event_set(&open);
	fl_test_futures_end(f, 5);
	FL_OK(fl_executor_join(e));
	stats = stats_of(e);
	assert_int_equal(stats.ended, 5);
	assert_int_equal(stats.failed, 0);
	assert_true(fl_test_type_of(e, 0).ran.n > 0);
}

FL_TEST(stats_count_submits_at_a_full_backlog)
{
	FL_SCOPED(fl_executor) *e = bounded(1, 1, FL_FULL_REFUSE);
	struct held held = hold_worker(e);
	FL_OK(pool_nothing_submit(e, NULL));
	FL_RC(pool_nothing_submit(e, NULL), -ENOBUFS);
	assert_int_equal(stats_of(e).backlog_refusals, 1);
	assert_int_equal(stats_of(e).backlog_waits, 0);
	let_go(&held);
	FL_SCOPED(fl_executor) *waits = bounded(1, 1, FL_FULL_WAIT);
	held = hold_worker(waits);
	FL_OK(pool_nothing_submit(waits, NULL));
	FL_RC(pool_nothing_submit_with(waits, NULL, &(fl_submit_config){.backlog_deadline = FL_NO_WAIT}), -ETIMEDOUT);
	assert_int_equal(stats_of(waits).backlog_waits, 1);
	assert_int_equal(stats_of(waits).backlog_refusals, 0);
	let_go(&held);
}

/* consumer_stats_text parses one. */
FL_TEST(stats_text_has_all_executors)
{
	FL_FAULTS();
	fl_test_clock_stands();
	FL_SCOPED(fl_bytes) none = {0}, text = {0};
	FL_OK(fl_stats_text(&none));
	FL_RC(fl_stats_text(&(fl_bytes){.data = none.data, .size = PTRDIFF_MAX}), -E2BIG);
	assert_null(strchr(none.data, '{'));
	FL_SCOPED(fl_executor) *a = NULL, *b = NULL;
	const fl_executor_config config = {.name = "a \"b\" \\ \n \xc3\xbc"};
	a = fl_test_executor(fl_sequential_executor_create, &config);
	b = fl_test_executor(fl_sequential_executor_create, &config);
	stats_run(b, FL_MS(1500), 2);
	FL_OK(fl_bytes_append(&text, "before\n", 7));
	FL_OK(fl_stats_text(&text));
	char line[200];
#define LABELS "executor=\"a \\\"b\\\" \\\\ \\\\x0a \\\\xc3\\\\xbc\",kind=\"sequential\",number=\"%llu\""
#define HAS(format, e, ...)                                                                                            \
	(FL_TEXT(line, format, (unsigned long long)(e)->number, ##__VA_ARGS__), fl_test_contains(text.data, line))
	assert_true(strncmp(text.data, "before\n# HELP fairlead_workers_limit ", 37) == 0);
	fl_test_contains(text.data, "\n# TYPE fairlead_tasks_ended_total counter\nfairlead_tasks_ended_total{");
	fl_test_contains(text.data, "\n# TYPE fairlead_workers gauge\n");
	HAS("\nfairlead_workers_limit{" LABELS "} 1\n", a);
	HAS("\nfairlead_tasks_ended_total{" LABELS "} 0\n", a);
	HAS("\nfairlead_tasks_ended_total{" LABELS "} 2\n", b);
	HAS("\nfairlead_task_run_seconds{" LABELS ",task=\"stats_last\",quantile=\"1\"} 1.500000000\n", b);
	HAS("\nfairlead_task_run_seconds_sum{" LABELS ",task=\"stats_last\"} 3.000000000\n", b);
	HAS("\nfairlead_task_queue_seconds_count{" LABELS ",task=\"stats_last\"} 2\n", b);
	assert_int_equal(b->number, a->number + 1);
	fl_executor_free(b);
	b = NULL;
	fl_bytes_free(&text);
	FL_OK(fl_stats_text(&text));
	assert_null(strstr(text.data, "stats_last"));
}
