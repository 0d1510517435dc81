/* SPDX-License-Identifier: BSD-2-Clause */
/* The thread executor with a bounded backlog: what a submit does when it is full. */
#include "fl_in_loop.h"
#include "fl_pool.h"

static unsigned drops, runs;

static void count_drop(void *arg)
{
	COUNT(&drops);
}

FL_TASK(full_count, int, int, .drop_arg = count_drop)
{
	COUNT(&runs);
	*result = *arg;
	return 0;
}

static const fl_submit_config at_once = {.backlog_deadline = FL_NO_WAIT};

static fl_executor *counting(unsigned workers, uint32_t backlog, fl_when_full when_full)
{
	SET(&drops, 0);
	SET(&runs, 0);
	return bounded(workers, backlog, when_full);
}

/*
 * A case whose executor `e` waits for space: its worker is held, and `bound` tasks are in its
 * backlog.
 */
#define FULL_TEST(name, bound)                                                                                         \
	static void name##_in(fl_executor *e, struct held *held);                                                      \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = counting(1, bound, FL_FULL_WAIT);                                          \
		struct held held = hold_worker(e);                                                                     \
		for (int i = 0; i < (bound); i++)                                                                      \
			FL_OK(full_count_submit(e, 0, NULL));                                                          \
		name##_in(e, &held);                                                                                   \
	}                                                                                                              \
	static void name##_in(fl_executor *e, struct held *held)

/* The tasks that have run when the executor has ended. */
static unsigned ran_in_the_end(fl_executor *e)
{
	FL_OK(fl_executor_join(e));
	return LOOK(&runs);
}

FL_TEST(full_at_the_largest_bound)
{
	FL_SCOPED(fl_executor) *e = counting(1, FL_BACKLOG_MAX, FL_FULL_WAIT);
	FL_OK(full_count_submit(e, 1, NULL));
}

FL_TEST(full_refuses)
{
	FL_SCOPED(fl_executor) *e = counting(1, 2, FL_FULL_REFUSE);
	struct held held = hold_worker(e);
	fl_future *f = held.f;
	FL_OK(full_count_submit(e, 1, NULL));
	FL_OK(full_count_submit(e, 2, NULL));
	FL_RC(full_count_submit(e, 3, &f), -ENOBUFS);
	assert_ptr_equal(f, held.f);       /* untouched */
	assert_int_equal(LOOK(&drops), 0); /* the argument is still the caller's */
	let_go(&held);
	FL_WAIT_FOR(LOOK(&runs) == 2);
	FL_OK(full_count_submit(e, 3, NULL));
	assert_int_equal(ran_in_the_end(e), 3);
	assert_int_equal(LOOK(&drops), 3);
	FL_RC(full_count_submit(e, 4, NULL), -EPIPE);
}

FL_TEST(full_refuses_with_epipe_when_closed)
{
	FL_SCOPED(fl_executor) *e = counting(1, 1, FL_FULL_REFUSE);
	struct held held = hold_worker(e);
	FL_OK(full_count_submit(e, 1, NULL));
	FL_RC(full_count_submit(e, 2, NULL), -ENOBUFS);
	fl_executor_close(e);
	for (int i = 0; i < 5; i++)
		FL_RC(full_count_submit(e, 2, NULL), -EPIPE);
	let_go(&held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&drops), 1);
}

FL_TASK_STATIC(thread_of, void, uint64_t)
{
	*result = fl_thread_current_id();
	return 0;
}

FL_TEST(full_runs_the_task_on_the_submitter)
{
	FL_SCOPED(fl_executor) *e = counting(1, 1, FL_FULL_RUN);
	FL_SCOPED(fl_future) *first = NULL, *second = NULL;
	struct held held = hold_worker(e);
	uint64_t thread;
	FL_OK(thread_of_submit(e, &first));
	FL_STATE_IS(first, FL_PENDING);
	FL_OK(thread_of_submit(e, &second));
	FL_STATE_IS(second, FL_DONE);
	FL_OK(thread_of_get(second, &thread));
	assert_true(thread == fl_thread_current_id());
	FL_OK(full_count_submit(e, 1, NULL));
	assert_int_equal(LOOK(&runs), 1);
	assert_int_equal(LOOK(&drops), 1);
	let_go(&held);
	FL_OK(thread_of_get(first, &thread));
	assert_true(thread != fl_thread_current_id());
	held = hold_worker(e);
	FL_OK(full_count_submit(e, 1, NULL));
	fl_executor_close(e);
	FL_RC(full_count_submit(e, 1, NULL), -EPIPE); /* and does not run it */
	assert_int_equal(LOOK(&runs), 1);
	let_go(&held);
}

struct submitter {
	fl_executor *e;
	fl_cancel_token *cancel;
	fl_future *f;
	int rc;
};

static int submit_one(void *arg)
{
	struct submitter *s = arg;
	s->rc = full_count_submit_with(s->e, 7, &s->f, &(fl_submit_config){.cancel = s->cancel});
	return 0;
}

static fl_thread *start_submitter(struct submitter *s)
{
	fl_thread *t;
	const unsigned before = seam_sleepers();
	fl_test_go(&t, submit_one, s);
	FL_WAIT_FOR(seam_sleepers() == before + 1);
	return t;
}

FULL_TEST(full_waits_for_room, 3)
{
	struct submitter s = {.e = e, .rc = 1};
	fl_thread *t = start_submitter(&s);
	assert_int_equal(LOOK(&runs), 0);
	let_go(held);
	fl_test_end(t);
	FL_OK(s.rc);
	assert_int_equal(fl_test_result(s.f), 7);
	fl_future_free(s.f);
	assert_int_equal(ran_in_the_end(e), 4);
}

FULL_TEST(full_wait_gives_up_at_its_deadline, 1)
{
	const fl_submit_config soon = {.backlog_deadline = fl_after(FL_MS(1))};
	fl_future *f = NULL;
	FL_RC(full_count_submit_with(e, 1, &f, &at_once), -ETIMEDOUT);
	FL_RC(full_count_submit_with(e, 1, &f, &soon), -ETIMEDOUT);
	assert_null(f);
	assert_int_equal(LOOK(&drops), 0);
	let_go(held);
	FL_WAIT_FOR(LOOK(&runs) == 1);
	FL_OK(full_count_submit_with(e, 1, NULL, &at_once)); /* there is room */
	assert_int_equal(ran_in_the_end(e), 2);
}

FULL_TEST(full_group_submit_tries_or_waits_for_a_time, 1)
{
	const fl_submit_config soon = {.backlog_deadline = fl_after(FL_MS(1))};
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	int results[2] = {0, 0};
	FL_RC(fl_group_submit_with(&g, &full_count, &(int){5}, &results[0], &at_once), -ETIMEDOUT);
	FL_RC(full_count_group_submit_with(&g, 5, &results[0], &soon), -ETIMEDOUT);
	assert_int_equal(fl_group_count(&g), 0);
	assert_int_equal(LOOK(&drops), 0);
	let_go(held);
	FL_WAIT_FOR(LOOK(&runs) == 1);
	FL_OK(full_count_group_submit_with(&g, 6, &results[1], &at_once)); /* there is space */
	FL_OK(fl_group_join(&g));
	assert_int_equal(results[0], 0);
	assert_int_equal(results[1], 6);
	assert_int_equal(ran_in_the_end(e), 2);
}

FULL_TEST(full_wait_observes_its_token_and_scope, 1)
{
	fl_cancel_token token = FL_CANCEL_TOKEN_INIT;
	struct submitter s = {.e = e, .cancel = &token};
	fl_thread *t = start_submitter(&s);
	fl_cancel_token_request(&token);
	fl_test_end(t);
	FL_RC(s.rc, -ECANCELED);
	{
		FL_CANCEL_SCOPE(&token);
		FL_RC(full_count_submit(e, 1, NULL), -ECANCELED);
	}
	assert_int_equal(LOOK(&drops), 0);
	let_go(held);
	assert_int_equal(ran_in_the_end(e), 1);
}

FULL_TEST(full_wait_ends_when_the_executor_is_closed, 2)
{
	struct submitter s[3] = {{.e = e}, {.e = e}, {.e = e}};
	fl_thread *t[3];
	FL_EACH (i, s)
		t[i] = start_submitter(&s[i]);
	fl_executor_close(e);
	FL_EACH (i, s) {
		fl_test_end(t[i]);
		FL_RC(s[i].rc, -EPIPE);
	}
	let_go(held);
	assert_int_equal(ran_in_the_end(e), 2); /* what was queued still ran */
	assert_int_equal(LOOK(&drops), 2);
}

static fl_event broken_entered, broken_open;

FL_TASK_STATIC(fail_when_told, void, void)
{
	fl_event_set(&broken_entered);
	fl_test_hold_until(&broken_open);
	return -EIO;
}

FL_TEST(full_wait_ends_when_the_executor_is_broken)
{
	fl_event_init(&broken_entered);
	fl_event_init(&broken_open);
	FL_SCOPED(fl_executor) *e =
	    pool_of(&(fl_executor_config){.workers = 1, .backlog = 1, .initialize = &fail_when_told});
	FL_SCOPED(fl_future) *f = FL_SUBMITTED(full_count, e, 1);
	FL_OK(fl_event_wait(&broken_entered));
	struct submitter s = {.e = e};
	fl_thread *t = start_submitter(&s);
	fl_event_set(&broken_open);
	fl_test_end(t);
	FL_RC(s.rc, -ENOTRECOVERABLE);
	fl_test_future_ends(f, -ENOTRECOVERABLE, NULL);
}

/* From a task of the same executor. */

struct nest {
	fl_event filled;
	int left;
	unsigned ran, deepest;
};

static _Thread_local unsigned nested;

FL_TASK_STATIC(submit_next, struct nest *, void)
{
	struct nest *nest = *arg;
	int rc = 0;
	fl_test_hold_until(&nest->filled);
	nested++;
	if (nested > nest->deepest)
		nest->deepest = nested;
	if (nest->left-- > 0)
		rc = submit_next_submit(fl_executor_current(), nest, NULL);
	nested--;
	COUNT(&nest->ran);
	return rc;
}

/*
 * A submit of a task runs the new task as a call when there is no space, but a chain of them does
 * not nest without end.
 */
FL_TEST(full_submits_of_a_worker_run_at_once_and_nest_so_deep_only)
{
	struct nest nest = {.left = 10000};
	FL_SCOPED(fl_executor) *e = counting(1, 1, FL_FULL_WAIT);
	FL_OK(submit_next_submit(e, &nest, NULL));
	/* After the first was taken; the backlog is full. */
	FL_OK(full_count_submit(e, 1, NULL));
	fl_event_set(&nest.filled);
	/* A closed executor would refuse the rest of the chain. */
	FL_WAIT_FOR(LOOK(&nest.ran) == 10001);
	assert_int_equal(ran_in_the_end(e), 1);
	assert_int_equal(nest.deepest, 65);
}

struct spread {
	fl_executor *e;
	fl_event *full;
	int n, ended;
};

FL_TASK_STATIC(spread_out, struct spread *, void)
{
	struct spread *s = *arg;
	FL_SCOPED(fl_future) *f = NULL;
	int rc = 0;
	for (int i = 0; i < s->n && rc == 0; i++)
		rc = full_count_submit(s->e, i, NULL); /* beyond the bound: here */
	if (rc == 0)
		rc = full_count_submit(s->e, 1, &f);
	if (rc == 0)
		s->ended = fl_future_state(f) == FL_DONE;
	return rc;
}

FL_TEST(full_submit_from_the_only_worker_does_not_deadlock)
{
	const fl_when_full all[] = {FL_FULL_WAIT, FL_FULL_RUN};
	FL_EACH (i, all) {
		FL_SCOPED(fl_executor) *e = counting(1, 2, all[i]);
		struct spread s = {.e = e, .n = 100}, *arg = &s;
		FL_OK(fl_test_run_task(e, &spread_out, &arg, NULL));
		assert_true(s.ended);
		assert_int_equal(ran_in_the_end(e), 101);
	}
}

/* Its result: how many of the tasks that it submitted have run. */
FL_TASK_STATIC(try_to_spread, fl_executor *, int)
{
	if (full_count_submit_with(*arg, 1, NULL, &at_once) != 0) /* there is room */
		return -EFAULT;
	const int rc = full_count_submit_with(*arg, 1, NULL, &at_once);
	*result = LOOK(&runs);
	return rc == -ETIMEDOUT ? 0 : -EFAULT;
}

FL_TEST(full_submit_without_a_wait_is_not_run_by_the_only_worker)
{
	FL_SCOPED(fl_executor) *e = counting(1, 1, FL_FULL_WAIT);
	assert_int_equal(fl_test_result_of(e, &try_to_spread, &e), 0);
	assert_int_equal(ran_in_the_end(e), 1);
}

/* Calls that contain a submit. */

static void expect_plus_one(const int *out, int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(out[i], i + 1);
}

/* The iteration gives 1, 2, ..., n. */
static void expect_next(fl_imap *it, int n)
{
	for (int i = 1; i <= n; i++) {
		int out = 0;
		FL_OK(pool_plus_one_imap_next(it, NULL, &out));
		assert_int_equal(out, i);
	}
}

static void map_in_three_ways(fl_executor *e)
{
	enum { N = 300 };
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	FL_SCOPED(fl_imap) *it = NULL;
	int in[N], out[N];
	fl_test_number(in, N);
	FL_OK(pool_plus_one_map(e, in, N, out, &(fl_map_config){.chunk = 1}));
	expect_plus_one(out, N);
	FL_OK(pool_plus_one_imap(e, in, N, &it, &(fl_imap_config){.chunk = 1, .window = 50}));
	expect_next(it, N);
	memset(out, 0, sizeof out);
	FL_EACH (i, out)
		FL_OK(pool_plus_one_group_submit(&g, in[i], &out[i]));
	FL_OK(fl_group_join(&g));
	expect_plus_one(out, N);
}

FL_TASK_STATIC(map_inside, void, void)
{
	map_in_three_ways(fl_executor_current());
	return 0;
}

FL_TEST(full_maps_and_groups_go_through)
{
	static const fl_when_full all[] = {FL_FULL_WAIT, FL_FULL_RUN};
	for (unsigned i = 0; i < 4; i++) {
		FL_SCOPED(fl_executor) *e = counting(1 + i / 2, 1, all[i % 2]);
		map_in_three_ways(e);
		FL_OK(fl_test_run_task(e, &map_inside, NULL, NULL));
	}
}

FULL_TEST(full_map_waits_for_room_until_its_deadline, 1)
{
	int in = 1, out = 0;
	const fl_map_config soon = {.deadline = fl_after(FL_MS(1))};
	const fl_map_config shielded = {.cancel = FL_SHIELDED, .deadline = fl_after(FL_MS(1))};
	FL_RC(pool_plus_one_map(e, &in, 1, &out, &soon), -ETIMEDOUT);
	{
		FL_CANCEL_SCOPE(fl_test_requested);
		FL_RC(pool_plus_one_map(e, &in, 1, &out, &shielded), -ETIMEDOUT);
		FL_RC(pool_plus_one_map(e, &in, 1, &out, NULL), -ECANCELED);
	}
	assert_int_equal(out, 0);
	let_go(held);
}

/* It waits for room only when nothing is under way; then up to its deadline, and a try does not. */
FL_TEST(full_imap_goes_on_with_what_is_under_way)
{
	enum { N = 20 };
	FL_SCOPED(fl_executor) *e = bounded(1, 2, FL_FULL_WAIT);
	FL_SCOPED(fl_imap) *it = NULL, *late = NULL;
	int in[N], out;
	fl_test_number(in, N);
	struct held held = hold_worker(e);
	FL_OK(pool_plus_one_imap(e, in, N, &it, &(fl_imap_config){.window = N}));
	FL_RC(fl_imap_try_next(it, NULL, &out), -EAGAIN);
	const int rc = pool_plus_one_imap(e, in, N, &late, &(fl_imap_config){.deadline = fl_after(FL_MS(1))});
	/*
	 * If the deadline passes before the thread asks for space, as after a long stop, the task
	 * is made, and has ended.
	 */
	FL_RC(rc != 0 ? rc : fl_imap_next(late, NULL, &out), -ETIMEDOUT);
	let_go(&held);
	expect_next(it, N);
	FL_RC(fl_imap_next(it, NULL, &out), -ENODATA);
}

FL_TEST(full_imap_without_room_waits_as_long_as_its_call)
{
	FL_SCOPED(fl_executor) *e = bounded(1, 1, FL_FULL_WAIT);
	FL_SCOPED(fl_imap) *it = NULL;
	int in[2] = {1, 2}, out;
	FL_OK(pool_plus_one_imap(e, in, 2, &it, &(fl_imap_config){.window = 1}));
	FL_OK(fl_imap_next(it, NULL, &out));
	struct held held = hold_worker(e);
	FL_OK(full_count_submit(e, 1, NULL));
	FL_RC(fl_imap_try_next(it, NULL, &out), -EAGAIN);
	FL_RC(fl_imap_next_until(it, NULL, &out, fl_after(FL_MS(1)), NULL), -ETIMEDOUT);
	let_go(&held);
	FL_OK(fl_imap_next(it, NULL, &out));
	assert_int_equal(out, 3);
}

FL_TEST(full_refuses_maps_too)
{
	FL_SCOPED(fl_executor) *e = bounded(1, 1, FL_FULL_REFUSE);
	FL_SCOPED(fl_imap) *it = NULL;
	int in = 1, out = 0;
	struct held held = hold_worker(e);
	FL_OK(full_count_submit(e, 1, NULL));
	FL_RC(pool_plus_one_map(e, &in, 1, &out, NULL), -ENOBUFS);
	FL_RC(fl_imap_create(&it, e, &pool_plus_one, &in, 1, NULL), -ENOBUFS);
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	FL_RC(fl_group_submit(&g, &pool_plus_one, &in, &out), -ENOBUFS);
	let_go(&held);
	assert_int_equal(out, 0);
}

FL_TEST(full_then_goes_in_all_the_same)
{
	FL_SCOPED(fl_executor) *e = bounded(1, 1, FL_FULL_REFUSE);
	FL_SCOPED(fl_future) *first = NULL, *next = NULL, *last = NULL;
	FL_OK(pool_plus_one_submit(e, 1, &first));
	FL_OK(fl_future_wait(first));
	struct held held = hold_worker(e);
	FL_OK(full_count_submit(e, 1, NULL));
	FL_OK(fl_future_then(first, e, &pool_plus_one, &next));
	FL_OK(fl_future_then(next, e, &pool_plus_one, &last));
	FL_RC(full_count_submit(e, 1, NULL), -ENOBUFS);
	let_go(&held);
	assert_int_equal(fl_test_result(last), 4);
}

/* A fiber that waits for space lets the others of its thread run. */

struct on_fiber {
	fl_executor *e;
	struct held *held;
	bool other_ran;
};

static int open_on_fiber(void *arg)
{
	struct on_fiber *on = arg;
	on->other_ran = true;
	fl_event_set(&on->held->gate->open);
	return 0;
}

static int submit_on_fiber(void *arg)
{
	struct on_fiber *on = arg;
	fl_fiber *other = fl_test_start(open_on_fiber, on);
	FL_OK(full_count_submit(on->e, 1, NULL));
	FL_CHECK(on->other_ran);
	return fl_test_join(other);
}

FULL_TEST(full_wait_of_a_fiber_lets_others_run, 1)
{
	struct on_fiber on = {.e = e, .held = held};
	fl_test_in_loop(submit_on_fiber, &on);
	let_go(held);
}

/*
 * A cancelled task is no longer pending: a producer that cancels its tasks continues, in bounded
 * memory, while no worker is free.
 */
FL_TEST(full_cancelled_tasks_hold_no_place)
{
	FL_SCOPED(fl_executor) *e = counting(1, 4, FL_FULL_WAIT);
	struct held held = hold_worker(e);
	long most = 0;
	const long before = seam_live_allocs();
	for (int i = 0; i < 20000; i++) {
		fl_future *f = FL_SUBMITTED(full_count, e, i);
		FL_OK(fl_future_cancel(f));
		fl_future_free(f);
		const long now = seam_live_allocs() - before;
		most = now > most ? now : most;
	}
	assert_true(most < 64); /* slabs of up to 256 blocks */
	assert_int_equal(LOOK(&drops), 20000);
	for (int i = 0; i < 4; i++)
		FL_OK(full_count_submit(e, i, NULL));
	FL_RC(full_count_submit_with(e, 1, NULL, &at_once), -ETIMEDOUT);
	let_go(&held);
	assert_int_equal(ran_in_the_end(e), 4);
}

/*
 * Nor does a cancelled task keep the memory of a large argument, or of a large result, while the
 * worker is busy.
 */

struct load {
	char bytes[4000];
};

FL_TASK_STATIC(full_eat, struct load, void)
{
	return arg->bytes[0];
}

FL_TASK_STATIC(full_make, void, struct load)
{
	result->bytes[0] = 1;
	return 0;
}

FL_TEST(full_cancelled_tasks_keep_no_large_memory)
{
	static const struct load zeros;
	const fl_task_type *const types[] = {&full_eat, &full_make};
	FL_EACH (t, types) {
		FL_SCOPED(fl_executor) *e = bounded(1, 4, FL_FULL_WAIT);
		struct held held = hold_worker(e);
		long most = 0;
		const long before = seam_live_allocs();
		for (int i = 0; i < 2000; i++) {
			fl_future *f = NULL;
			FL_OK(fl_executor_submit(e, types[t], &zeros, &f));
			FL_OK(fl_future_cancel(f));
			fl_future_free(f);
			const long now = seam_live_allocs() - before;
			most = now > most ? now : most;
		}
		assert_true(most < 64); /* slabs of up to 1,024 blocks */
		let_go(&held);
	}
}

/* On an error nothing is kept, nor a permit. */
FL_TEST(full_submit_without_memory_keeps_no_place)
{
	FL_SCOPED(fl_executor) *e = bounded(1, 1, FL_FULL_REFUSE);
	SEAM_NO_THREAD(full_count_submit(e, 1, NULL), -EAGAIN); /* no worker */
	struct held held = hold_worker(e);
	fl_task_type large = full_count;
	large.arg_size = 5000;
	static const char zeros[5000];
	for (int i = 0; i < 10; i++) {
		SEAM_NO_MEMORY(fl_executor_submit(e, &large, zeros, NULL), -ENOMEM);
	}
	FL_OK(full_count_submit(e, 1, NULL));
	FL_RC(full_count_submit(e, 1, NULL), -ENOBUFS);
	let_go(&held);
}

/*
 * A producer that is a hundred times too fast: its memory is that of the bound, for each meaning of
 * a full backlog.
 */

FL_TASK_STATIC(slow, struct load, void)
{
	const fl_time end = fl_after(FL_US(20)); /* a submit takes some 200 ns */
	while (!fl_time_is_past(end))
		;
	COUNT(&runs);
	return 0;
}

enum { FAST = 2000, BOUND = 16, WORKERS = 2 };

struct produced {
	int accepted, refused;
	long most; /* allocations at once */
};

static struct produced produce(fl_executor *e, int64_t patience)
{
	struct produced p = {0};
	static const struct load load;
	const long before = seam_live_allocs();
	for (int i = 0; i < FAST; i++) {
		const fl_time deadline = patience ? fl_after(patience) : FL_FOREVER;
		int rc = slow_submit_with(e, load, NULL, &(fl_submit_config){.backlog_deadline = deadline});
		assert_true(rc == 0 || rc == -ENOBUFS || (rc == -ETIMEDOUT && patience));
		p.accepted += rc == 0;
		p.refused += rc != 0;
		const long now = seam_live_allocs() - before;
		p.most = now > p.most ? now : p.most;
	}
	assert_int_equal(ran_in_the_end(e), p.accepted);
	return p;
}

static void stays_flat(fl_when_full when_full, int64_t patience, bool refuses)
{
	FL_SCOPED(fl_executor) *e = counting(WORKERS, BOUND, when_full);
	const struct produced p = produce(e, patience);
	assert_int_equal(p.accepted + p.refused, FAST);
	/* Those that run, and the memory of a worker's start. */
	assert_true(p.most <= BOUND + 8 * WORKERS);
	assert_true(refuses || p.refused == 0);
}

FL_TEST(full_memory_is_flat_when_the_producer_waits)
{
	stays_flat(FL_FULL_WAIT, 0, false);
}

FL_TEST(full_memory_is_flat_when_the_producer_waits_for_a_time)
{
	stays_flat(FL_FULL_WAIT, FL_US(5), true);
}

FL_TEST(full_memory_is_flat_when_the_producer_is_refused)
{
	stays_flat(FL_FULL_REFUSE, 0, true);
}

FL_TEST(full_memory_is_flat_when_the_producer_runs_tasks)
{
	stays_flat(FL_FULL_RUN, 0, false);
}

/*
 * A wait for idleness ends with the first moment in which the pool is idle, so that each waiter is
 * woken once. The waiter is a fiber that cannot run before the pool is busy again.
 */
struct idle_moment {
	fl_executor *e;
	int rc;
};

static int wait_for_idle_moment(void *arg)
{
	struct idle_moment *m = arg;
	m->rc = fl_executor_wait_idle_until(m->e, fl_after(FL_S(60)), NULL);
	return 0;
}

static int be_idle_for_a_moment(void *arg)
{
	struct idle_moment *m = arg;
	struct held held = hold_worker(m->e);
	fl_fiber *waiter = fl_test_start(wait_for_idle_moment, m);
	while (m->e->waiters == 0)
		fl_fiber_yield();
	fl_event_set(&held.gate->open);
	FL_WAIT_FOR(stats_of(m->e).idle == 1);
	struct held again = hold_worker(m->e);
	FL_OK(fl_test_join(waiter));
	let_go(&again);
	let_go(&held);
	return m->rc;
}

POOL_TEST(pool_was_idle_for_a_moment, 1)
{
	struct idle_moment m = {.e = e};
	fl_test_in_loop(be_idle_for_a_moment, &m);
}

/*
 * A worker waits for a task that a submitting thread runs, and that task waits for another one: a
 * second worker runs it.
 */

struct outside {
	fl_executor *e;
	struct gate gate; /* opens when the worker's task may wait */
	fl_future *inner; /* waits for a member of a group; runs on the submitting thread */
};

FL_TASK_STATIC(wait_for_inner, struct outside *, int)
{
	fl_event_set(&(*arg)->gate.entered);
	FL_OK(fl_event_wait(&(*arg)->gate.open));
	FL_OK(fl_future_wait((*arg)->inner));
	return pool_plus_one_get((*arg)->inner, result);
}

FL_TASK_STATIC(join_member, struct outside *, int)
{
	int in = 1;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT((*arg)->e);
	fl_event_set(&(*arg)->gate.open);
	FL_OK(pool_plus_one_group_submit(&g, in, result));
	return fl_group_join(&g);
}

FL_TASK_STATIC(help_with_inner, struct outside *, void)
{
	return fl_future_wait((*arg)->inner);
}

FL_TEST(full_task_of_the_submitter_gets_a_worker)
{
	FL_SCOPED(fl_executor) *e = bounded(1, 1, FL_FULL_RUN);
	FL_SCOPED(fl_future) *waits = NULL, *inner = NULL, *outer = NULL;
	struct outside o = {.e = e}, *at = &o;
	struct held held = hold_worker(e);
	let_go(&held);
	FL_OK(wait_for_inner_submit(e, at, &waits));
	FL_OK(fl_event_wait(&o.gate.entered));    /* it has left the backlog */
	FL_OK(join_member_submit(e, at, &inner)); /* fills the backlog */
	o.inner = inner;
	FL_OK(help_with_inner_submit(e, at, &outer)); /* runs here, and there `inner` */
	FL_OK(fl_future_wait(outer));
	assert_int_equal(fl_test_result(waits), 2);
}
