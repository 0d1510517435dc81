/* SPDX-License-Identifier: BSD-2-Clause */
/* Parallel loops on a thread executor: how they are cut, a caller that takes part, numbers of workers. */
#include "fl_faults.h"

/* How a loop is cut. One worker makes all calls, and a clock that jumps makes each loop a long one. */

enum { LINE = 64 };

static _Thread_local int64_t loop_time;

static int64_t loop_now(void)
{
	return loop_time != 0 ? loop_time : fl_test_real_sys.now();
}

struct cuts {
	size_t begin, end, calls, longest, shortest; /* the last two: of all calls but the last */
	int64_t took;                                /* by a number, in ns */
};

static int note_cut(void *state, size_t from, size_t to)
{
	struct cuts *c = state;
	loop_time += c->took * (int64_t)(to - from);
	c->calls++;
	if (to == c->end)
		return 0;
	c->longest = FL__MAX(c->longest, to - from);
	c->shortest = FL__MIN(c->shortest, to - from);
	return 0;
}

FL_TASK_STATIC(run_cuts, struct cuts *, void)
{
	struct cuts *c = *arg;
	const fl_parallel_config config = {.grain = c->calls};
	c->calls = 0;
	loop_time = 1;
	const int rc = fl_parallel_for(fl_executor_current(), c->begin, c->end, note_cut, c, &config);
	loop_time = 0;
	return rc;
}

static struct cuts cuts_of(size_t n, size_t grain, int64_t took)
{
	struct cuts c = {.begin = 5, .end = 5 + n, .calls = grain, .shortest = SIZE_MAX, .took = took}, *arg = &c;
	FL_FAULTS();
	fl__sys.now = loop_now;
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 1);
	FL_OK(fl_test_run_task(e, &run_cuts, &arg, NULL));
	return c;
}

/* At most 64. If they are long, they are of whole lines, and may be fewer. */
FL_TEST(parallel_for_makes_64_calls)
{
	for (size_t n = 1; n <= 200; n++) {
		const struct cuts c = cuts_of(n, 0, FL_MS(1));
		const size_t length = (n + 63) / 64;
		assert_int_equal(c.calls, (n + length - 1) / length);
		assert_true(n == 1 || (c.longest == length && c.shortest == length));
	}
	const struct cuts large = cuts_of(1000000, 0, FL_US(1));
	assert_true(large.calls > 56 && large.calls <= 64);
	assert_int_equal(large.longest % LINE, 0);
	assert_int_equal(large.shortest, large.longest);
}

FL_TEST(parallel_for_makes_calls_of_its_grain)
{
	for (int64_t took = 0; took <= FL_US(1); took += FL_US(1)) {
		const struct cuts c = cuts_of(995, 7, took), all = cuts_of(995, SIZE_MAX, took);
		assert_int_equal(c.calls, (995 + 6) / 7);
		assert_true(c.longest == 7 && c.shortest == 7);
		assert_int_equal(all.calls, 1);
	}
}

/* A loop that seems to take less than 20 us is not split: its calls get longer. */
FL_TEST(parallel_for_makes_few_calls_of_a_short_loop)
{
	assert_int_equal(cuts_of(1000, 0, 19).calls, 7);  /* of 1, 1, 2, 4, ..., 32 chunks */
	assert_int_equal(cuts_of(1000, 0, 21).calls, 63); /* of 16 numbers */
}

/* A caller that runs no task takes part. */

enum { CALLS = 30 }; /* so few that the loop is split before the first */

struct shared {
	fl_executor *e;
	int (*at_caller)(struct shared *s); /* called in the caller's first call */
	int (*at_helper)(struct shared *s); /* called in the first call of another thread */
	fl_event helper_runs;
	fl_event helper_may_go_on;
	size_t first[2]; /* the first number of the caller, and of another thread */
	unsigned char visited[CALLS];
};

static _Thread_local bool is_caller;

static int visit_shared(void *state, size_t from, size_t to)
{
	struct shared *s = state;
	size_t none = CALLS;
	assert_ptr_equal(fl_executor_current(), s->e);
	s->visited[from]++;
	if (!fl__cas_relaxed(&s->first[!is_caller], &none, from)) /* several workers */
		return 0;
	int (*const at)(struct shared *) = is_caller ? s->at_caller : s->at_helper;
	return at ? at(s) : 0;
}

static int run_shared(struct shared *s, fl_executor *e, const fl_parallel_config *config)
{
	s->e = e;
	s->first[0] = s->first[1] = CALLS;
	is_caller = true;
	const int rc = fl_parallel_for(e, 0, CALLS, visit_shared, s, config);
	is_caller = false;
	return rc;
}

static void is_complete(const struct shared *s)
{
	FL_EACH (i, s->visited)
		assert_int_equal(s->visited[i], 1);
}

static const fl_parallel_config by_one = {.grain = 1};

static int await_helper(struct shared *s)
{
	return fl_event_wait(&s->helper_runs);
}

static int meet_helper(struct shared *s)
{
	fl_event_set(&s->helper_may_go_on);
	return await_helper(s);
}

static int meet_caller(struct shared *s)
{
	fl_event_set(&s->helper_runs);
	return fl_event_wait(&s->helper_may_go_on);
}

FL_TASK_STATIC(do_nothing, void, void)
{
	return 0;
}

/* An executor whose worker exists and sleeps: only then may a caller take part. */
static fl_executor *started_executor(unsigned workers)
{
	fl_executor *e = FL_TEST_EXECUTOR(thread, .workers = workers);
	FL_OK(fl_test_run_task(e, &do_nothing, NULL, NULL));
	FL_OK(fl_executor_wait_idle(e));
	return e;
}

/* The caller begins at the front. */
FL_TEST(parallel_for_shares_with_its_caller)
{
	for (unsigned workers = 2; workers <= 4; workers++) {
		struct shared s = {.at_caller = meet_helper, .at_helper = meet_caller};
		FL_SCOPED(fl_executor) *e = started_executor(workers);
		FL_OK(run_shared(&s, e, &by_one));
		is_complete(&s);
		assert_int_equal(s.first[0], 0);
	}
}

FL_TASK_STATIC(run_shared_in_task, struct shared *, void)
{
	return run_shared(*arg, (*arg)->e, &by_one);
}

/* The workers alone make the calls, where a caller must not. */
FL_TEST(parallel_for_leaves_calls_to_workers)
{
	const fl_executor_config configs[] = {
	    {.workers = 1}, {.workers = 2, .initialize = &do_nothing}, {.workers = 2}};
	FL_SCOPED(fl_executor) *sequential = fl_test_executor(fl_sequential_executor_create, NULL);
	FL_EACH (i, configs) {
		struct shared s = {.at_helper = NULL}, *arg = &s;
		FL_SCOPED(fl_executor) *e = fl_test_executor(fl_thread_executor_create, &configs[i]);
		s.e = e;
		if (configs[i].workers == 2 && !configs[i].initialize) /* a task of another executor */
			FL_OK(fl_test_run_task(sequential, &run_shared_in_task, &arg, NULL));
		else
			FL_OK(run_shared(&s, e, &by_one));
		is_complete(&s);
		assert_int_equal(s.first[0], CALLS);
	}
}

static int take_19ns_each(void *state, size_t from, size_t to)
{
	assert_true(is_caller);
	loop_time += 19 * (int64_t)(to - from);
	return 0;
}

FL_TEST(parallel_for_runs_a_short_loop_on_its_caller)
{
	FL_FAULTS();
	fl__sys.now = loop_now;
	fl_stats_executor stats;
	FL_SCOPED(fl_executor) *e = started_executor(2);
	is_caller = true;
	loop_time = 1;
	FL_OK(fl_parallel_for(e, 0, 1000, take_19ns_each, NULL, NULL));
	loop_time = 0;
	is_caller = false;
	FL_OK(fl_executor_stats(e, &stats));
	assert_int_equal(stats.workers_started, 1);
}

static int close_executor(struct shared *s)
{
	fl_executor_close(s->e);
	FL_RC(fl_executor_join(s->e), -EDEADLK);
	return 0;
}

/* The caller's calls are in a task: a join waits for it. Without a helper the caller goes on. */
FL_TEST(parallel_for_ends_after_a_close)
{
	struct shared s = {.at_caller = close_executor};
	FL_SCOPED(fl_executor) *e = started_executor(2);
	FL_OK(run_shared(&s, e, &by_one));
	is_complete(&s);
	FL_RC(run_shared(&s, e, &by_one), -EPIPE);
}

static int fail_after_helper(struct shared *s)
{
	return fl_event_wait(&s->helper_runs) == 0 ? -EIO : 0;
}

static int await_request(struct shared *s)
{
	fl_event_set(&s->helper_runs);
	return fl_event_wait(&s->helper_may_go_on); /* never set */
}

/* A failure of the caller, and a deadline, end a call of the helper. */
FL_TEST(parallel_for_stops_its_helper)
{
	int error = 0;
	struct shared s = {.at_caller = fail_after_helper, .at_helper = await_request};
	FL_SCOPED(fl_executor) *e = started_executor(2);
	FL_RC(run_shared(&s, e, &(fl_parallel_config){.grain = 1, .error = &error}), FL_ETASK);
	assert_int_equal(error, -EIO);
	struct shared late = {.at_caller = await_helper, .at_helper = await_request};
	FL_RC(run_shared(&late, e, &(fl_parallel_config){.grain = 1, .deadline = fl_after(FL_MS(20))}), -ETIMEDOUT);
	struct shared resized = {.at_helper = NULL};
	FL_OK(fl_executor_resize(e, 3));
	FL_OK(run_shared(&resized, e, &by_one));
	is_complete(&resized);
}

struct full {
	fl_sem begun;
	fl_event end;
};

FL_TASK_STATIC(hold_until, struct full *, void)
{
	fl_sem_release(&(*arg)->begun);
	fl_test_hold_until(&(*arg)->end);
	return 0;
}

/* A full executor makes the loop wait for a worker. A worker that is free lets the caller take part. */
FL_TEST(parallel_for_has_no_call_while_all_workers_are_busy)
{
	struct full full = {FL_SEM_INIT(0), FL_EVENT_INIT};
	struct shared s = {.at_helper = NULL};
	FL_SCOPED(fl_executor) *e = started_executor(2);
	for (int k = 0; k < 2; k++) {
		FL_OK(hold_until_submit(e, &full, NULL));
		FL_OK(fl_sem_acquire(&full.begun));
	}
	FL_RC(run_shared(&s, e, &(fl_parallel_config){.grain = 1, .deadline = fl_after(FL_MS(1))}), -ETIMEDOUT);
	assert_int_equal(s.first[0], CALLS);
	assert_int_equal(s.first[1], CALLS);
	fl_event_set(&full.end);
}

/* A call that blocks keeps its number, and the worker in its place has a further one. */
static int block_and_note(struct shared *s)
{
	FL_BLOCKING();
	fl_event_set(&s->helper_may_go_on);
	return fl_event_wait(&s->helper_runs);
}

FL_TEST(parallel_for_lets_another_worker_run_while_its_caller_blocks)
{
	struct shared s = {.at_caller = block_and_note, .at_helper = meet_caller};
	FL_SCOPED(fl_executor) *e = started_executor(2);
	FL_OK(run_shared(&s, e, &by_one));
	is_complete(&s);
	assert_int_equal(s.first[0], 0);
}

FL_TASK_STATIC(count_task, int *, void)
{
	fl__add_relaxed(*arg, 1);
	return 0;
}

struct submits {
	fl_executor *e;
	int ran;
};

static int submit_in_call(void *state, size_t from, size_t to)
{
	struct submits *s = state;
	for (; from < to; from++)
		FL_OK(count_task_submit(s->e, &s->ran, NULL));
	return 0;
}

/* Tasks that the caller has submitted in its calls run after it has left, and a join waits for them. */
FL_TEST(parallel_for_leaves_the_tasks_of_its_caller_to_workers)
{
	FL_SCOPED(fl_executor) *e = started_executor(2);
	struct submits s = {.e = e};
	FL_OK(fl_parallel_for(e, 0, 1000, submit_in_call, &s, NULL));
	FL_OK(fl_executor_wait_idle(e));
	assert_int_equal(s.ran, 1000);
}

/* Numbers of workers. The case of a port: arrays with an element for each worker were overrun. */

enum { WIDTH_MAX = 4, WIDE_CALLS = 100 };

struct width {
	fl_executor *e;
	unsigned workers;
	int now, calls;
	int used[WIDTH_MAX]; /* by the number of the worker */
};

static int note_width(void *state, size_t from, size_t to)
{
	struct width *w = state;
	const unsigned number = fl_executor_current_worker();
	fl__add_relaxed(&w->calls, (int)(to - from));
	assert_true(fl__add_relaxed(&w->now, 1) < (int)w->workers);
	assert_true(number < w->workers);
	assert_int_equal(fl__swap_acquire(&w->used[number], 1), 0);
	for (int i = 0; i < 2; i++) /* beside busy processes each takes a time slice */
		sched_yield();      /* others may begin a call meanwhile */
	assert_int_equal(fl_executor_current_worker(), number);
	fl__store_release(&w->used[number], 0); /* before it counts as ended */
	fl__sub_release(&w->now, 1);
	return 0;
}

enum { WIDE_LOOPS = 6 };

static int run_wide_loops(void *arg)
{
	struct width *w = arg;
	for (int i = 0; i < WIDE_LOOPS; i++)
		FL_OK(fl_parallel_for(w->e, 0, WIDE_CALLS, note_width, w, &by_one));
	return 0;
}

FL_TASK_STATIC(run_wide_loops_in_task, struct width *, void)
{
	return run_wide_loops(*arg);
}

FL_TEST(parallel_for_makes_at_most_as_many_calls_as_workers)
{
	FL_BOTH (in_task)
		for (unsigned workers = 1; workers <= WIDTH_MAX; workers++) {
			/* in the first loop the executor has no thread */
			FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = workers);
			struct width w = {.e = e, .workers = workers}, *at = &w;
			if (in_task)
				FL_OK(fl_test_run_task(e, &run_wide_loops_in_task, &at, NULL));
			else
				FL_OK(run_wide_loops(&w));
			assert_int_equal(w.calls, WIDE_LOOPS * WIDE_CALLS);
		}
}

/* Callers take the places of workers, one each. */
FL_TEST(parallel_for_of_several_callers_has_a_number_for_each_call)
{
	fl_thread *threads[3];
	FL_SCOPED(fl_executor) *e = started_executor(2);
	struct width w = {.e = e, .workers = 2};
	FL_EACH (i, threads)
		fl_test_go(&threads[i], run_wide_loops, &w);
	FL_END_ALL(threads);
	assert_int_equal(w.calls, 3 * WIDE_LOOPS * WIDE_CALLS);
}

static size_t threads_of(const fl_executor *e)
{
	fl_stats_executor stats;
	FL_OK(fl_executor_stats(e, &stats));
	return stats.threads;
}

struct meeting {
	fl_barrier both;
};

FL_TASK_STATIC(meet, struct meeting *, unsigned)
{
	*result = fl_executor_current_worker();
	FL_IGNORE(fl_barrier_wait(&(*arg)->both));
	return 0;
}

/* Workers that end because they are idle give their numbers back. */
FL_TEST(current_worker_stays_below_the_workers)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2, .idle_timeout = 1);
	for (int i = 0; i < 200; i++) {
		struct meeting m = {FL_BARRIER_INIT(2)};
		FL_SCOPED(fl_future) *f = NULL, *g = NULL;
		unsigned a = 2, b = 2;
		FL_OK(meet_submit(e, &m, &f));
		FL_OK(meet_submit(e, &m, &g));
		FL_OK(meet_get(f, &a));
		FL_OK(meet_get(g, &b));
		assert_int_equal(a + b, 1);
		FL_WAIT_FOR(i % 8 != 0 || threads_of(e) < 2); /* at least one has ended */
	}
}

FL_TASK_STATIC(number_of_worker, void, unsigned)
{
	*result = fl_executor_current_worker();
	return 0;
}

FL_TEST(current_worker_is_0_on_one_worker_and_outside)
{
	fl_test_create *const creates[] = {fl_sequential_executor_create, fl_thread_executor_create};
	assert_int_equal(fl_executor_current_worker(), 0);
	FL_EACH (i, creates) {
		unsigned number = 7;
		FL_SCOPED(fl_executor) *e = fl_test_executor(creates[i], &(fl_executor_config){.workers = 1});
		FL_OK(fl_test_run_task(e, &number_of_worker, NULL, &number));
		assert_int_equal(number, 0);
	}
}
