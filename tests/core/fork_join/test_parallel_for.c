/* SPDX-License-Identifier: BSD-2-Clause */
/* Parallel loops on a thread executor: chunks, halves, and a caller that takes part. */
#include "fl_faults.h"

/* On the thread of a loop only the elements take time. */
static _Thread_local int64_t loop_time;

static int64_t loop_now(void)
{
	return loop_time != 0 ? loop_time : fl_test_real_sys.now();
}

enum { N = 1000000, JUMP = 700000, FIRST_CALLS = 12 };
enum { LINE = 64, LARGE = 512 }; /* a large chunk ends at a multiple of LINE */

struct work {
	int64_t cost[2]; /* of an element before JUMP and after, in ns */
	size_t calls[2];
	int64_t shortest[2], longest[2]; /* of the calls after the first ones */
};

static int work(void *state, size_t from, size_t to)
{
	struct work *w = state;
	const int part = to > JUMP;
	const int64_t took = w->cost[part] * (int64_t)(to - from);
	assert_true(to - from < LARGE || to % LINE == 0 || to == N);
	loop_time += took;
	if (++w->calls[part] <= FIRST_CALLS || to == N)
		return 0;
	w->shortest[part] = FL__MIN(w->shortest[part], took);
	w->longest[part] = FL__MAX(w->longest[part], took);
	return 0;
}

FL_TASK_STATIC(run_work, struct work *, void)
{
	loop_time = 1;
	const int rc = fl_parallel_for(fl_executor_current(), 0, N, work, *arg, NULL);
	loop_time = 0;
	return rc;
}

/* Also after the elements have become cheaper or dearer. */
FL_TEST(parallel_for_chunks_take_tens_of_microseconds)
{
	FL_FAULTS();
	fl__sys.now = loop_now;
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 1);
	const int64_t costs[] = {1, 30, 3000};
	FL_EACH (i, costs)
		FL_EACH (k, costs) {
			struct work w = {.cost = {costs[i], costs[k]}, .shortest = {FL_S(1), FL_S(1)}}, *arg = &w;
			FL_OK(fl_test_run_task(e, &run_work, &arg, NULL));
			FL_EACH (part, w.calls) {
				assert_true(w.calls[part] > FIRST_CALLS);
				assert_in_range(w.shortest[part], FL_US(9), FL_US(80));
				assert_in_range(w.longest[part], FL_US(9), FL_US(80));
			}
		}
}

/* Of two workers, each begins its loops with the same half, and the two with different halves. */
enum { LOOPS = 100 };
static _Thread_local const size_t *own_loop; /* the first number that its own thread got; 2: none */

static int note_first(void *first, size_t from, size_t to)
{
	size_t *const number = first;
	if (number == own_loop && *number == 2)
		*number = from;
	return 0;
}

FL_TASK_STATIC(run_loops, fl_barrier *, int)
{
	FL_CHECK(fl_barrier_wait(*arg) >= 0); /* so two workers run the two tasks */
	*result = 0;
	for (int i = 0; i < LOOPS; i++) {
		size_t first = 2;
		own_loop = &first;
		FL_OK(fl_parallel_for(fl_executor_current(), 0, 2, note_first, &first,
		                      &(fl_parallel_config){.grain = 1}));
		own_loop = NULL;
		FL_CHECK(first < 2);
		*result += (int)first;
	}
	return 0;
}

FL_TEST(parallel_for_keeps_its_halves)
{
	fl_barrier both = FL_BARRIER_INIT(2), *arg = &both;
	fl_future *f[2];
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2);
	FL_EACH (i, f)
		FL_OK(run_loops_submit(e, arg, &f[i]));
	const int first = fl_test_result(f[0]), second = fl_test_result(f[1]);
	assert_true((first == 0 && second == LOOPS) || (first == LOOPS && second == 0));
	fl_test_futures_free(f, 2);
}

/* A caller that runs no task takes part. */

enum { CALLS = 100 };

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

/* The caller begins at the front, one worker at the back. */
FL_TEST(parallel_for_shares_with_its_caller)
{
	for (unsigned workers = 2; workers <= 4; workers++) {
		struct shared s = {.at_caller = meet_helper, .at_helper = meet_caller};
		FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = workers);
		FL_OK(run_shared(&s, e, &by_one));
		is_complete(&s);
		assert_int_equal(s.first[0], 0);
		if (workers == 2)
			assert_int_equal(s.first[1], CALLS - 1);
	}
}

FL_TASK_STATIC(do_nothing, void, void)
{
	return 0;
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

/* Few calls may be long ones, so the first must not delay the others. */
FL_TEST(parallel_for_leaves_few_calls_to_workers)
{
	struct shared s = {.at_helper = NULL};
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2);
	FL_OK(run_shared(&s, e, &(fl_parallel_config){.grain = 2}));
	assert_int_equal(s.first[0], CALLS);
}

/* A loop that takes no time starts no worker. */
FL_TEST(parallel_for_runs_a_short_loop_on_its_caller)
{
	FL_FAULTS();
	fl__sys.now = loop_now;
	loop_time = 1;
	struct shared s = {.at_helper = NULL};
	fl_executor_stats stats;
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2);
	FL_OK(run_shared(&s, e, NULL));
	loop_time = 0;
	FL_OK(fl_executor_get_stats(e, &stats));
	assert_int_equal(stats.workers_started, 0);
	assert_int_equal(s.first[1], CALLS);
}

static int take_80ns_each(void *state, size_t from, size_t to)
{
	if (is_caller)
		loop_time += 80 * (int64_t)(to - from);
	return 0;
}

/* A loop of 8 us starts a worker only if the thread's last loop began shortly before. */
FL_TEST(parallel_for_shares_the_short_loops_of_a_series)
{
	FL_FAULTS();
	fl__sys.now = loop_now;
	is_caller = true;
	const int64_t pauses[] = {FL_MS(1), FL_US(10), FL_MS(1)};
	loop_time = fl_test_real_sys.now();
	FL_EACH (i, pauses) {
		fl_executor_stats stats;
		FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2);
		for (int k = 0; k < 2; k++) {
			loop_time += pauses[i] + FL_MS(k == 0);
			FL_OK(fl_parallel_for(e, 0, CALLS, take_80ns_each, NULL, NULL));
		}
		FL_OK(fl_executor_get_stats(e, &stats));
		assert_int_equal(stats.workers_started, pauses[i] < FL_MS(1));
	}
	is_caller = false;
	loop_time = 0;
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
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2);
	FL_OK(run_shared(&s, e, &by_one));
	is_complete(&s);
	FL_RC(run_shared(&s, e, &by_one), -EPIPE);
}

struct takes {
	fl_executor *e;
	size_t longest, last;
};

static int note_take(void *state, size_t from, size_t to)
{
	struct takes *t = state;
	fl_executor_close(t->e); /* so no helper comes */
	loop_time += 30 * (int64_t)(to - from);
	t->last = to - from;
	t->longest = FL__MAX(t->longest, t->last);
	return 0;
}

/* The last takes are smaller, so that caller and helper end at the same time. */
FL_TEST(parallel_for_ends_with_small_takes)
{
	FL_FAULTS();
	fl__sys.now = loop_now;
	loop_time = 1;
	struct takes t = {.longest = 0};
	t.e = FL_TEST_EXECUTOR(thread, .workers = 2);
	FL_OK(fl_parallel_for(t.e, 0, N / 2 + 1, note_take, &t, NULL));
	loop_time = 0;
	assert_true(t.last <= t.longest / 2);
	fl_executor_free(t.e);
}

static int note_border(void *helper_is_far, size_t from, size_t to)
{
	enum { NOT_ALONE = 17, FAR = N / 8 };
	if (is_caller) {
		loop_time += 40 * (int64_t)(to - from);
		return from >= NOT_ALONE ? fl_event_wait(helper_is_far) : 0;
	}
	assert_true(to - from < LARGE || from % LINE == 0 || from < FAR);
	if (from < FAR)
		fl_event_set(helper_is_far);
	return 0;
}

/* Of the helper, which begins at an odd end. The rest is large until the caller goes on. */
FL_TEST(parallel_for_aligns_the_chunks_of_its_helper)
{
	FL_FAULTS();
	fl__sys.now = loop_now;
	fl_event helper_is_far = FL_EVENT_INIT;
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2);
	is_caller = true;
	loop_time = 1;
	FL_OK(fl_parallel_for(e, 0, N / 2 + 1, note_border, &helper_is_far, NULL));
	loop_time = 0;
	is_caller = false;
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
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2);
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

/* A full executor does not hold up the caller. */
FL_TEST(parallel_for_runs_on_the_caller_of_a_full_executor)
{
	const fl_when_full whens[] = {FL_FULL_WAIT, FL_FULL_REFUSE, FL_FULL_RUN};
	FL_EACH (i, whens) {
		struct full full = {FL_SEM_INIT(0), FL_EVENT_INIT};
		struct shared s = {.at_helper = NULL};
		FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(thread, .workers = 2, .backlog = 1, .when_full = whens[i]);
		for (int k = 0; k < 2; k++) {
			FL_OK(hold_until_submit(e, &full, NULL));
			FL_OK(fl_sem_acquire(&full.begun));
		}
		FL_OK(hold_until_submit(e, &full, NULL)); /* it waits: the backlog is full */
		FL_OK(run_shared(&s, e, &by_one));
		is_complete(&s);
		assert_int_equal(s.first[1], CALLS);
		fl_event_set(&full.end);
	}
}
