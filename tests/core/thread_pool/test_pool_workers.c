/* SPDX-License-Identifier: BSD-2-Clause */
/* The number of threads of a thread executor: idle threads, other limits, tasks that block. */
#include "core/thread_pool/thread_pool.h"
#include "fl_child.h"
#include "fl_pool.h"
#include <fairlead/parallel.h>

static void count_named(const fl_thread_info *info, void *n)
{
	if (strncmp(info->name, "crowd-", 6) == 0)
		++*(int *)n;
}

/* The threads of `e`, also those that have ended and are not joined. */
static int threads(void)
{
	int n = 0;
	(void)fl_thread_enumerate(count_named, &n);
	return n;
}

static fl_executor *crowd(unsigned workers, int64_t idle_timeout)
{
	return pool_of(&(fl_executor_config){.workers = workers, .idle_timeout = idle_timeout, .name = "crowd"});
}

/* A case with such an executor `e`, whose idle workers stay. */
#define CROWD_TEST(name, workers)                                                                                      \
	static void name##_in(fl_executor *e);                                                                         \
	FL_TEST(name)                                                                                                  \
	{                                                                                                              \
		FL_SCOPED(fl_executor) *e = crowd(workers, 0);                                                         \
		name##_in(e);                                                                                          \
	}                                                                                                              \
	static void name##_in(fl_executor *e)

enum { MOST = 8 };

/* Has `n` workers busy at once, and lets them go. */
static void use_workers(fl_executor *e, unsigned n)
{
	struct held held[MOST];
	hold_workers(e, held, n);
	let_all_go(held, n);
}

static unsigned ran;

FL_TASK_STATIC(count_run, void, void)
{
	COUNT(&ran);
	return 0;
}

/* The stack. */

static size_t stack_of_worker;

FL_TEST_THREAD_CREATE(note_stack)
{
	FL_OK(pthread_attr_getstacksize(attr, &stack_of_worker));
	return seam_thread_create(thread, attr, routine, arg);
}

FL_TEST(pool_workers_have_the_stack_of_the_config)
{
	enum { STACK = 3 << 20 };
	fl_executor *refused = NULL;
	stack_of_worker = 0;
	fl__sys.thread_create = note_stack;
	FL_SCOPED(fl_executor) *e = pool_of(&(fl_executor_config){.workers = 1, .stack_size = STACK});
	FL_OK(fl_test_run_task(e, &count_run, NULL, NULL));
	fl__sys.thread_create = seam_thread_create;
	assert_int_equal(stack_of_worker, STACK);
	FL_RC(fl_sequential_executor_create(&refused, &(fl_executor_config){.stack_size = STACK}), -EINVAL);
}

/*
 * Idle. A worker that has ended is joined by the next one, or at the end: so the list may have one
 * more than there are.
 */

FL_TEST(pool_idle_workers_end_but_one)
{
	enum { ROUNDS = 20 };
	FL_SCOPED(fl_executor) *e = crowd(4, 1);
	const unsigned before = seam_threads_started();
	use_workers(e, 4);
	FL_WAIT_FOR(threads() <= 2 && seam_sleepers() == 1);
	const long allocs = seam_live_allocs();
	for (int round = 0; round < ROUNDS; round++) {
		use_workers(e, 4);
		FL_WAIT_FOR(threads() <= 2 && seam_sleepers() == 1);
	}
	assert_true(seam_threads_started() >= before + 4 + 3); /* one stayed */
	/*
	 * Workers and their memory are reused: the leftovers of each round would exceed this bound.
	 * A worker that ends may be about to free its predecessor's record; and a block that a
	 * worker frees stays in that worker's free list, which may cost a slab.
	 */
	FL_WAIT_FOR(seam_live_allocs() < allocs + ROUNDS);
	FL_OK(fl_executor_join(e));
	assert_int_equal(threads(), 0);
}

CROWD_TEST(pool_idle_workers_stay_without_a_timeout, 3)
{
	use_workers(e, 3);
	FL_WAIT_FOR(seam_sleepers() == 3);
	const unsigned before = seam_threads_started();
	use_workers(e, 3);
	assert_int_equal(seam_threads_started(), before);
	assert_int_equal(threads(), 3);
}

/*
 * The last worker stays: so no submit needs a thread that cannot be started; the existing workers
 * do the work.
 */
FL_TEST(pool_idle_worker_that_stays_needs_no_thread)
{
	FL_SCOPED(fl_executor) *e = crowd(4, 1);
	use_workers(e, 4);
	FL_WAIT_FOR(threads() <= 2 && seam_sleepers() == 1);
	SET(&ran, 0);
	seam_fail_threads(0, 1000);
	for (int i = 0; i < 100; i++)
		FL_OK(count_run_submit(e, NULL));
	FL_WAIT_FOR(LOOK(&ran) == 100);
	seam_heal();
	use_workers(e, 4); /* and now they start */
}

/* After a start that failed, the next submit tries again, also while tasks wait. */
CROWD_TEST(pool_start_that_failed_is_tried_again_by_the_next_submit, 3)
{
	struct gate gate[2] = {{FL_EVENT_INIT, FL_EVENT_INIT}};
	struct held held = hold_worker(e);
	SEAM_NO_THREAD(hold_submit(e, &gate[0], NULL), 0);
	FL_OK(hold_submit(e, &gate[1], NULL));
	FL_EACH (i, gate) {
		FL_OK(fl_event_wait(&gate[i].entered));
		fl_event_set(&gate[i].open);
	}
	let_go(&held);
	FL_OK(fl_executor_join(e)); /* no task has a gate any more */
}

/* Another number. */

FL_TEST(pool_resize_results)
{
	FL_SCOPED(fl_executor) *e = crowd(2, 0), *here = sequential();
	FL_RC(fl_executor_resize(e, 0), -EINVAL);
	FL_RC(fl_executor_resize(e, FL_WORKERS_MAX + 1), -EINVAL);
	assert_int_equal(fl_executor_workers(e), 2);
	FL_OK(fl_executor_resize(e, FL_WORKERS_MAX));
	assert_int_equal(fl_executor_workers(e), FL_WORKERS_MAX);
	FL_OK(fl_executor_resize(e, 5));
	assert_int_equal(threads(), 0); /* when they are needed */
	fl_executor_close(e);
	FL_RC(fl_executor_resize(e, 3), -EPIPE);
	FL_RC(fl_executor_resize(here, 2), -ENOTSUP);
	assert_int_equal(fl_executor_workers(e), 5);
}

CROWD_TEST(pool_resize_up_starts_workers_for_what_waits, 1)
{
	struct gate gate[MOST] = {{{0}, {0}}};
	FL_EACH (i, gate)
		FL_OK(hold_submit(e, &gate[i], NULL));
	FL_OK(fl_event_wait(&gate[0].entered));
	assert_int_equal(threads(), 1);
	FL_OK(fl_executor_resize(e, MOST));
	FL_EACH (i, gate)
		FL_OK(fl_event_wait(&gate[i].entered)); /* all at once */
	FL_EACH (i, gate)
		fl_event_set(&gate[i].open);
	assert_int_equal(threads(), MOST);
	FL_OK(fl_executor_join(e)); /* no task has a gate any more */
}

CROWD_TEST(pool_resize_up_from_a_task, 1)
{
	use_workers(e, 1);
	FL_OK(fl_executor_resize(e, 3));
	use_workers(e, 3);
	FL_OK(fl_executor_resize(e, 2));
	FL_OK(fl_executor_resize(e, 4));
	use_workers(e, 4);
}

static unsigned at_once, most_at_once;

FL_TASK_STATIC(note_how_many, void, void)
{
	const unsigned now = __atomic_add_fetch(&at_once, 1, __ATOMIC_RELAXED);
	unsigned seen = LOOK(&most_at_once);
	while (now > seen &&
	       !__atomic_compare_exchange_n(&most_at_once, &seen, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	fl__sys.yield();
	__atomic_sub_fetch(&at_once, 1, __ATOMIC_RELAXED);
	COUNT(&ran);
	return 0;
}

/* Superfluous workers end: a sleeping one, and one that runs a task when that has ended. */
CROWD_TEST(pool_resize_down_ends_workers, 6)
{
	struct held held[3];
	use_workers(e, 6);
	FL_WAIT_FOR(seam_sleepers() == 6);
	hold_workers(e, held, 3);
	FL_OK(fl_executor_resize(e, 2));
	FL_WAIT_FOR(threads() <= 4 && seam_sleepers() == 0);
	for (int i = 0; i < 200; i++)
		FL_OK(note_how_many_submit(e, NULL));
	SET(&most_at_once, 0);
	let_all_go(held, 3);
	FL_WAIT_FOR(threads() <= 3 && seam_sleepers() == 2);
	FL_OK(fl_executor_join(e));
	assert_int_equal(threads(), 0);
	assert_true(LOOK(&most_at_once) <= 2);
}

/* Tasks that block. */

struct blocker {
	fl_event blocks, open;
	bool nested;
};

FL_TASK_STATIC(block, struct blocker *, void)
{
	FL_BLOCKING();
	if ((*arg)->nested)
		fl_blocking_begin();
	fl_event_set(&(*arg)->blocks);
	int rc = fl_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED);
	if ((*arg)->nested)
		fl_blocking_end();
	return rc;
}

CROWD_TEST(blocking_lets_another_worker_run, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct blocker b = {.nested = false};
	FL_OK(block_submit(e, &b, &f));
	FL_OK(fl_event_wait(&b.blocks));
	assert_int_equal(threads(), 1); /* when there is a task for it */
	FL_OK(fl_test_run_task(e, &count_run, NULL, NULL));
	assert_int_equal(threads(), 2);
	assert_int_equal(fl_executor_workers(e), 1);
	fl_event_set(&b.open);
	FL_OK(fl_future_wait(f));
}

CROWD_TEST(blocking_starts_a_worker_for_what_waits_already, 1)
{
	FL_SCOPED(fl_future) *f = NULL, *other = NULL;
	struct blocker b = {.nested = true};
	struct held held = hold_worker(e);
	FL_OK(block_submit(e, &b, &f));
	FL_OK(count_run_submit(e, &other));
	let_go(&held);
	FL_OK(fl_future_wait(other)); /* though the section has not ended */
	FL_STATE_IS(f, FL_RUNNING);
	fl_event_set(&b.open);
	FL_OK(fl_future_wait(f));
}

/* After it, no more run at once than there are workers; and the one too many ends. */
CROWD_TEST(blocking_over_one_steps_back, 1)
{
	for (int round = 0; round < 3; round++) {
		FL_SCOPED(fl_future) *f = NULL;
		struct blocker b = {.nested = false};
		FL_OK(block_submit(e, &b, &f));
		FL_OK(fl_event_wait(&b.blocks));
		struct held held = hold_worker(e);
		fl_event_set(&b.open);
		FL_OK(fl_future_wait(f)); /* two are active */
		SET(&most_at_once, 0);
		SET(&ran, 0);
		for (int i = 0; i < 100; i++)
			FL_OK(note_how_many_submit(e, NULL));
		let_go(&held);
		FL_WAIT_FOR(LOOK(&ran) == 100);
		assert_int_equal(LOOK(&most_at_once), 1);
	}
	FL_WAIT_FOR(threads() <= 2 && seam_sleepers() == 1);
}

/* A worker that fell asleep while another one was blocked is one too many after the section. */

FL_TASK_STATIC(block_and_stay, struct blocker *, void)
{
	{
		FL_BLOCKING();
		fl_event_set(&(*arg)->blocks);
		FL_OK(fl_event_wait_until(&(*arg)->open, FL_FOREVER, FL_SHIELDED));
	}
	FL_WAIT_FOR(threads() <= 2 && stats_of(fl_executor_current()).threads == 1);
	return 0;
}

CROWD_TEST(blocking_over_an_idle_worker_ends, 1)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct blocker b = {.nested = false};
	FL_OK(block_and_stay_submit(e, &b, &f));
	FL_OK(fl_event_wait(&b.blocks));
	FL_OK(fl_test_run_task(e, &count_run, NULL, NULL));
	FL_WAIT_FOR(seam_sleepers() == 2); /* the other worker sleeps, too */
	fl_event_set(&b.open);
	FL_OK(fl_future_get(f, NULL, 0));
}

/* A worker waits for a blocked one, which needs a further task. Nobody but these two may be active. */

struct needing {
	fl_executor *e;
	fl_future *outer;
	fl_event begun, runs, done;
};

FL_TASK_STATIC(give_what_is_needed, struct needing *, void)
{
	fl_event_set(&(*arg)->done);
	return 0;
}

static int need_a_task(struct needing *n)
{
	FL_OK(give_what_is_needed_submit(n->e, n, NULL));
	FL_BLOCKING();
	return fl_event_wait_until(&n->done, fl_after(FL_S(60)), FL_SHIELDED);
}

/* It runs while the task that waits for it is in a section, and blocks after that section. */
FL_TASK_STATIC(need_a_task_later, struct needing *, void)
{
	fl_event_set(&(*arg)->runs);
	FL_WAIT_FOR(stats_of((*arg)->e).blocked == 0);
	return need_a_task(*arg);
}

FL_TASK_STATIC(wait_for_one_in_need, struct needing *, void)
{
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(need_a_task_later_submit((*arg)->e, *arg, &f));
	{
		FL_BLOCKING();
		FL_OK(fl_event_wait(&(*arg)->runs));
	}
	FL_WAIT_FOR(stats_of((*arg)->e).blocked == 1);
	return fl_future_get(f, NULL, 0);
}

CROWD_TEST(blocking_worker_is_replaced_beside_one_that_waits_for_it, 1)
{
	struct needing n = {.e = e};
	FL_OK(fl_test_run_task(e, &wait_for_one_in_need, &(struct needing *){&n}, NULL));
	FL_OK(fl_executor_wait_idle(e)); /* no task uses `n` any more */
}

/* The same of a stolen call. The other worker waits for the task whose call it is. */

FL_TASK_STATIC(wait_for_the_forker, struct needing *, void)
{
	fl_event_set(&(*arg)->runs);
	FL_WAIT_FOR(stats_of((*arg)->e).blocked == 1);
	return fl_future_wait((*arg)->outer);
}

static int fork_waits_for_the_thief(void *arg)
{
	return fl_event_wait(&((struct needing *)arg)->begun);
}

static int stolen_call_in_need(void *arg)
{
	struct needing *n = arg;
	fl_event_set(&n->begun);
	FL_OK(wait_for_the_forker_submit(n->e, n, NULL));
	{
		FL_BLOCKING();
		FL_OK(fl_event_wait(&n->runs));
	}
	return need_a_task(n);
}

FL_TASK_STATIC(fork_one_in_need, struct needing *, void)
{
	FL_WAIT_FOR(LOOK(&(*arg)->outer));
	return fl_parallel_invoke(fork_waits_for_the_thief, *arg, stolen_call_in_need, *arg);
}

CROWD_TEST(blocking_thief_is_replaced_beside_its_forker, 2)
{
	struct needing n = {.e = e};
	FL_SCOPED(fl_future) *f = NULL;
	FL_OK(fork_one_in_need_submit(e, &n, &f));
	SET(&n.outer, f);
	FL_OK(fl_future_get(f, NULL, 0));
	FL_OK(fl_executor_wait_idle(e));
}

/*
 * A worker whose wait has ended depends on nothing, but counts so until it has the lock. With another
 * one that waits for it all workers count so. None is started for that moment.
 */

FL_TASK_STATIC(await_future, fl_future *, void)
{
	return fl_future_wait(*arg);
}

/* Returns how many threads the executor has once two workers count as depending; 0 before. */
static unsigned threads_of_two_that_depend(fl_executor *e)
{
	const struct fl__thread_pool *p = fl__pool_of(e);
	if (fl_mutex_try_lock(&e->lock) != 0) /* a wait for it might sleep, and need `seam_lock` */
		return 0;
	const unsigned n = p->depending == 2 ? p->alive : 0;
	fl_mutex_unlock(&e->lock);
	return n;
}

CROWD_TEST(blocking_worker_that_wakes_needs_no_further_one, 2)
{
	FL_SCOPED(fl_future) *first = NULL, *second = NULL, *pending = NULL;
	struct held held = hold_worker(e);
	unsigned n = 0;
	FL_OK(await_future_submit(e, held.f, &first));
	FL_WAIT_FOR(seam_sleepers() == 1);
	FL_OK(await_future_submit(e, first, &second)); /* for the worker that is held */
	FL_OK(pool_nothing_submit(e, &pending));
	pthread_mutex_lock(&seam_lock); /* the sleeper cannot go on after its wake */
	fl_event_set(&held.gate->open);
	FL_WAIT_FOR((n = threads_of_two_that_depend(e)) != 0);
	pthread_mutex_unlock(&seam_lock);
	assert_int_equal(n, 2);
	FL_OK(fl_future_wait(second));
	FL_OK(fl_future_wait(pending));
	let_go(&held);
}

static unsigned refused;
static int (*real_thread_create)(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);

FL_TEST_THREAD_CREATE(count_refused)
{
	int rc = real_thread_create(thread, attr, routine, arg);
	if (rc != 0)
		COUNT(&refused);
	return rc;
}

FL_TEST(blocking_has_a_bound)
{
	enum { BOUND = FL_WORKERS_MAX, N = BOUND + 40 };
	if (UINTPTR_MAX <= 0xffffffff)
		FL_SKIP("there may be no room for so many stacks");
	if (fl_test_scaled(100) < 100)
		FL_SKIP("so many threads take too long here");
	static struct blocker b[N];
	static fl_future *f[N];
	FL_SCOPED(fl_executor) *e = crowd(2, 0);
	real_thread_create = fl__sys.thread_create;
	fl__sys.thread_create = count_refused;
	FL_EACH (i, b)
		FL_OK(block_submit(e, &b[i], &f[i]));
	FL_WAIT_FOR(threads() == BOUND || LOOK(&refused) > 0);
	const bool has_room = LOOK(&refused) == 0;
	FL_WAIT_FOR(!has_room || stats_of(e).blocked == BOUND); /* whichever: several workers, no exact order */
	FL_EACH (i, b)
		fl_event_set(&b[i].open);
	fl_test_futures_end(f, N);
	fl__sys.thread_create = real_thread_create;
	assert_true(threads() <= BOUND);
	FL_OK(fl_executor_join(e));
	if (!has_room)
		FL_SKIP("the system starts no more threads");
}

FL_TASK_STATIC(block_without_threads, fl_executor *, void)
{
	seam_fail_threads(0, 1000);
	{
		FL_BLOCKING();
		FL_OK(count_run_submit(*arg, NULL));
	}
	FL_CHECK(seam_heal() < 1000); /* it tried */
	return 0;
}

CROWD_TEST(blocking_is_a_hint_when_no_thread_can_be_started, 1)
{
	SET(&ran, 0);
	FL_OK(block_without_threads_submit(e, e, NULL));
	FL_WAIT_FOR(LOOK(&ran) == 1);
	assert_int_equal(threads(), 1);
}

FL_TASK_STATIC(end_none, void, void)
{
	fl_blocking_end();
	return 0;
}

static void end_none_in_child(void *unused)
{
	fl_executor *e = crowd(1, 0);
	fl_panic_set_handler(NULL);
	FL_OK(end_none_submit(e, NULL));
	fl_executor_free(e);
}

FL_TEST(blocking_end_without_a_begin_panics)
{
	if (!fl_test_children_have_threads())
		skip();
	fl_test_child_dies(end_none_in_child, NULL, SIGABRT, "fl_blocking_end");
}

/* There is no blocked worker. */
FL_TEST(blocking_elsewhere_does_nothing)
{
	FL_SCOPED(fl_executor) *here = sequential();
	fl_blocking_begin();
	fl_blocking_end();
	fl_blocking_end();
	FL_BLOCKING();
	FL_OK(fl_test_run_task(here, &pool_block_a_little, NULL, NULL));
}
