/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backlog of the thread executor when it is long, and when other contexts have claimed its
 * tasks; the local queues of workers.
 */
#include "core/exec/map.h"
#include "core/thread_pool/backlog.h"
#include "fl_pool.h"

enum { RING = 16384, MANY = 2 * RING }; /* some numbers above those of a local queue */

static int order[MANY];
static unsigned ran, dropped;

static void drop(void *arg)
{
	COUNT(&dropped);
}

FL_TASK(backlog_note, int, void, .drop_arg = drop)
{
	order[__atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED)] = *arg;
	return 0;
}

static void begin(void)
{
	SET(&ran, 0);
	SET(&dropped, 0);
}

POOL_TEST(backlog_keeps_the_order_of_submission, 1)
{
	begin();
	struct held held = hold_worker(e);
	for (int i = 0; i < MANY; i++)
		FL_OK(backlog_note_submit(e, i, NULL));
	let_go(&held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&ran), MANY);
	FL_EACH (i, order)
		assert_int_equal(order[i], i);
}

/*
 * The only worker runs the tasks that it waits for, and leaves them in its queue. Their results are
 * dropped with the last reference, and not when the worker comes to the queue.
 */

static unsigned results_dropped;

static void drop_result(void *result)
{
	COUNT(&results_dropped);
}

FL_TASK(backlog_make, int, int, .drop_result = drop_result)
{
	*result = *arg;
	return 0;
}

FL_TASK_STATIC(run_what_it_awaits, void, void)
{
	for (unsigned i = 1; i <= 100; i++) {
		fl_future *f = FL_SUBMITTED(backlog_make, fl_executor_current(), 1);
		FL_CHECK(fl_future_wait(f) == 0);
		fl_future_free(f);
		FL_CHECK(LOOK(&results_dropped) == i);
	}
	return 0;
}

POOL_TEST(backlog_delays_no_drop_of_a_result, 1)
{
	SET(&results_dropped, 0);
	FL_OK(fl_test_run_task(e, &run_what_it_awaits, NULL, NULL));
	assert_int_equal(LOOK(&results_dropped), 100);
}

/* Closed while tasks are pending: they run, or are cancelled. */
FL_TEST(backlog_closed_with_tasks)
{
	FL_BOTH (cancel) {
		fl_executor *e = pool_with(2);
		struct held held[2];
		begin();
		hold_workers(e, held, 2);
		for (int i = 0; i < MANY; i++)
			FL_OK(backlog_note_submit(e, i, NULL));
		if (cancel)
			assert_int_equal(fl_executor_cancel(e), MANY);
		else
			fl_executor_close(e);
		FL_RC(backlog_note_submit(e, 0, NULL), -EPIPE);
		let_all_go(held, 2);
		FL_OK(fl_executor_join(e));
		assert_int_equal(LOOK(&ran), cancel ? 0 : MANY);
		assert_int_equal(LOOK(&dropped), MANY);
		fl_executor_free(e);
	}
}

/* Cancelled tasks are skipped, wherever they are; the others keep their order. */
POOL_TEST(backlog_of_cancelled_tasks, 1)
{
	static fl_future *f[MANY];
	begin();
	struct held held = hold_worker(e);
	FL_EACH (i, f)
		FL_OK(backlog_note_submit(e, i, &f[i]));
	FL_EACH (i, f)
		if (i % 3 != 0)
			FL_OK(fl_future_cancel(f[i]));
	assert_int_equal(LOOK(&dropped), MANY - (MANY + 2) / 3);
	FL_EACH (i, f) {
		fl_future_free(f[i]);
		FL_OK(backlog_note_submit(e, MANY + i, NULL));
		if (i % 2 == 0)
			break;
	}
	let_go(&held);
	FL_OK(fl_executor_join(e));
	for (int i = 1; i < MANY; i++)
		fl_future_free(f[i]);
	assert_int_equal(LOOK(&ran), (MANY + 2) / 3 + 1);
	for (int i = 0; i < (MANY + 2) / 3; i++)
		assert_int_equal(order[i], 3 * i);
	assert_int_equal(order[(MANY + 2) / 3], MANY);
}

/* A task that runs others by waiting for them: these do not stay in the backlog for ever. */
static unsigned most;

FL_TASK(backlog_root, fl_executor *, void)
{
	unsigned freed = 0;
	static const void *seen[4 * RING];
	for (int i = 0; i < 8 * RING; i++) {
		FL_SCOPED(fl_future) *f = FL_SUBMITTED(pool_double, *arg, i);
		FL_CHECK(fl_test_result(f) == 2 * i);
		/* Its memory is reused, except for a bounded number of blocks. */
		const size_t place = ((uintptr_t)f / 64) % (4 * RING);
		freed += seen[place] == f;
		seen[place] = f;
	}
	SET(&most, 8 * RING - freed);
	return 0;
}

POOL_TEST(backlog_of_tasks_that_were_helped, 1)
{
	FL_OK(fl_test_run_task(e, &backlog_root, &e, NULL));
	FL_IN_RANGE(LOOK(&most), 1, 4 * RING);
}

/* Queues of workers. */

enum { BATCH = 16, LOCAL_FIRST = 40, LOCAL_TASKS = 400 };

struct local_note {
	fl_executor *e;
	int number;
};

/* Each submits the one that is LOCAL_FIRST further. */
FL_TASK_DECLARE(backlog_local, struct local_note, void)
FL_TASK_DEFINE(backlog_local, struct local_note, void)
{
	order[__atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED)] = arg->number;
	if (arg->number + LOCAL_FIRST < LOCAL_TASKS)
		FL_OK(backlog_local_submit(arg->e, (struct local_note){arg->e, arg->number + LOCAL_FIRST}, NULL));
	return 0;
}

FL_TASK(backlog_local_begin, fl_executor *, void)
{
	for (int i = 0; i < LOCAL_FIRST; i++)
		FL_OK(backlog_local_submit(*arg, (struct local_note){*arg, i}, NULL));
	return 0;
}

/* One worker submits and runs all, first beyond what its queue has room for. */
POOL_TEST(backlog_local_is_overtaken_by_a_batch, 2)
{
	begin();
	struct held held = hold_worker(e);
	FL_OK(fl_test_run_task(e, &backlog_local_begin, &e, NULL));
	FL_WAIT_FOR(LOOK(&ran) == LOCAL_TASKS);
	let_go(&held);
	FL_OK(fl_executor_wait_idle(e)); /* the last task has noted its number */
	for (int at = 0; at < LOCAL_TASKS; at++)
		FL_CHECK(at <= order[at] + 2 * BATCH);
}

static fl_event local_reached;

FL_TASK_DECLARE(backlog_endless, fl_executor *, void)
FL_TASK_DEFINE(backlog_endless, fl_executor *, void)
{
	/* -EPIPE: the case is over */
	if (!fl_event_is_set(&local_reached))
		FL_IGNORE(backlog_endless_submit(*arg, *arg, NULL));
	return 0;
}

FL_TASK(backlog_submit_and_hold, fl_executor *, void)
{
	FL_OK(pool_set_submit(*arg, &local_reached, NULL));
	fl_test_hold_until(&local_reached);
	return 0;
}

/*
 * Both workers always have tasks in their queues: so each task, in an injector and in the queue of
 * a worker that is held, is reached only in its turn.
 */
POOL_TEST(backlog_reaches_each_queue, 2)
{
	fl_event_reset(&local_reached);
	for (int i = 0; i < 4; i++)
		FL_OK(backlog_endless_submit(e, e, NULL));
	FL_OK(backlog_submit_and_hold_submit(e, e, NULL));
	FL_OK(fl_event_wait(&local_reached));
}

/* From here on all workers have tasks in their queues. */
FL_TASK(backlog_fill_and_hold, struct gate *, void)
{
	fl_executor *e = fl_executor_current();
	for (int i = 0; i < 64; i++) /* others take half of them when they begin */
		FL_OK(backlog_endless_submit(e, e, NULL));
	fl_event_set(&(*arg)->entered);
	fl_test_hold_until(&(*arg)->open);
	return 0;
}

static unsigned ran_before;

FL_TASK(backlog_reach, void, void)
{
	ran_before = LOOK(&ran);
	fl_event_set(&local_reached);
	return 0;
}

struct outside {
	fl_executor *e;
	unsigned injector;
	int n;
	bool done;
};

/* Submits `n` tasks, unless this thread's tasks go into another injector. */
static int submit_from_outside(void *arg)
{
	struct outside *outside = arg;
	outside->done = fl__ctx_get()->id % 2 == outside->injector;
	if (outside->done && outside->n == 1)
		FL_OK(backlog_reach_submit(outside->e, NULL));
	for (int i = 0; outside->done && outside->n > 1 && i < outside->n; i++)
		FL_OK(backlog_note_submit(outside->e, i, NULL));
	return 0;
}

static void submit_into(fl_executor *e, unsigned injector, int n)
{
	struct outside outside = {e, injector, n, false};
	while (!outside.done) {
		fl_thread *t;
		FL_OK(fl_thread_start(&t, submit_from_outside, &outside, NULL));
		FL_OK(fl_thread_join(t, NULL));
	}
}

/* A task in one injector is reached while the other one is full. */
POOL_TEST(backlog_reaches_each_injector, 5)
{
	begin();
	fl_event_reset(&local_reached);
	struct gate gates[5];
	FL_EACH (i, gates) {
		gates[i] = (struct gate){FL_EVENT_INIT, FL_EVENT_INIT};
		FL_OK(backlog_fill_and_hold_submit(e, &gates[i], NULL));
		FL_OK(fl_event_wait(&gates[i].entered));
	}
	submit_into(e, 0, RING);
	submit_into(e, 1, 1);
	FL_EACH (i, gates)
		fl_event_set(&gates[i].open);
	FL_OK(fl_event_wait(&local_reached));
	FL_CHECK(ran_before < RING);
	FL_OK(fl_executor_join(e));
}

/* The worker that gets to the last task has one in its queue at each take, and so never searches. */
POOL_TEST(backlog_reaches_what_is_late, 2)
{
	begin();
	fl_event_reset(&local_reached);
	struct held held[2];
	hold_workers(e, held, 2);
	for (int i = 1; i < RING; i++)
		FL_OK(backlog_note_submit(e, i, NULL));
	FL_OK(backlog_endless_submit(e, e, NULL));
	FL_OK(pool_set_submit(e, &local_reached, NULL));
	let_go(&held[0]);
	FL_OK(fl_event_wait(&local_reached));
	let_go(&held[1]);
}

static int local_refused;

FL_TASK(backlog_submit_late, fl_executor *, void)
{
	SET(&local_refused, backlog_note_submit(*arg, 0, NULL));
	return 0;
}

/* A worker that exists only since the close submits no task into its queue. */
POOL_TEST(backlog_local_after_the_close, 2)
{
	struct held held[2];
	struct gate gate = {FL_EVENT_INIT, FL_EVENT_INIT};
	hold_workers(e, held, 2);
	FL_OK(pool_block_submit(e, &gate, NULL));
	FL_OK(backlog_submit_late_submit(e, e, NULL));
	fl_executor_close(e);
	let_go(&held[0]); /* its worker blocks, and another one is made */
	FL_WAIT_FOR(LOOK(&local_refused) != 0);
	assert_int_equal(LOOK(&local_refused), -EPIPE);
	fl_event_set(&gate.open);
	let_go(&held[1]);
	FL_OK(fl_executor_join(e));
}

/* The queue of a worker. Only the addresses of these blocks are used. */

static struct fl__task_block local_blocks[FL__LOCAL_SLOTS + 1];

static size_t local_number(const struct fl__task_block *block)
{
	return (size_t)(block - local_blocks);
}

FL_TEST(backlog_local_is_taken_in_its_order)
{
	static struct fl__local q;
	struct fl__task_block *blocks[FL__LOCAL_SLOTS];
	q.word = (uint64_t)-1000 << FL__LOCAL_FIRST; /* the numbers wrap around */
	for (int round = 0; round < 1000; round++) {
		assert_true(fl__local_is_empty(&q));
		assert_int_equal(fl__local_take(&q, blocks, 1, true), 0);
		for (int i = 0; i < FL__LOCAL_SLOTS; i++)
			assert_true(fl__local_put(&q, &local_blocks[i]));
		assert_false(fl__local_put(&q, &local_blocks[FL__LOCAL_SLOTS]));
		assert_int_equal(fl__local_take(&q, blocks, 3, true), 3);
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(local_number(blocks[i]), i);
		assert_int_equal(fl__local_take(&q, blocks, FL__LOCAL_SLOTS, true), (FL__LOCAL_SLOTS - 3 + 1) / 2);
		assert_int_equal(local_number(blocks[0]), 3);
		const size_t left = (FL__LOCAL_SLOTS - 3) / 2;
		assert_int_equal(fl__local_length(q.word), left);
		fl__local_put_many(&q, blocks, 2);
		assert_int_equal(fl__local_take(&q, blocks, FL__LOCAL_SLOTS, false), left + 2);
		assert_int_equal(local_number(blocks[left]), 3);
		assert_int_equal(local_number(blocks[left + 1]), 4);
	}
}

FL_TEST(backlog_local_is_taken_from_its_newest)
{
	static struct fl__local q;
	struct fl__task_block *block;
	q.word = (uint64_t)(-1000 * FL__LOCAL_SLOTS) << FL__LOCAL_FIRST; /* the numbers wrap around */
	for (int round = 0; round < 2000; round++) {
		assert_null(fl__local_take_newest(&q));
		for (int i = 0; i < FL__LOCAL_SLOTS; i++)
			assert_true(fl__local_put(&q, &local_blocks[i]));
		assert_int_equal(local_number(fl__local_take_newest(&q)), FL__LOCAL_SLOTS - 1);
		assert_int_equal(fl__local_take(&q, &block, 1, false), 1);
		assert_int_equal(local_number(block), 0);
		assert_int_equal(local_number(fl__local_take_newest(&q)), FL__LOCAL_SLOTS - 2);
		assert_true(fl__local_put(&q, &local_blocks[FL__LOCAL_SLOTS])); /* where those were */
		assert_int_equal(local_number(fl__local_take_newest(&q)), FL__LOCAL_SLOTS);
		for (size_t i = FL__LOCAL_SLOTS - 3; i >= 1; i--)
			assert_int_equal(local_number(fl__local_take_newest(&q)), i);
	}
}

/* A thief that has read the word, and goes on after many tasks, finds another value. */
FL_TEST(backlog_local_numbers_return_late)
{
	struct fl__task_block *block;
	FL_BOTH (newest) {
		struct fl__local q = {.word = 0};
		assert_true(fl__local_put(&q, &local_blocks[0]));
		const uint64_t seen = q.word;
		for (int i = 0; i < 3 << 16; i++) {
			if (newest)
				assert_non_null(fl__local_take_newest(&q));
			else
				assert_int_equal(fl__local_take(&q, &block, 1, false), 1);
			assert_true(fl__local_put(&q, &local_blocks[1]));
			assert_true(q.word != seen);
		}
	}
}

/* The number of an injector is not taken for the reason why a task has stopped. */

struct from_outside {
	fl_executor *e;
	fl_event submitted, *open;
	fl_future *f;
};

FL_TASK_STATIC(time_out, void, void)
{
	return -ETIMEDOUT;
}

static int submit_and_wait(void *from)
{
	struct from_outside *const s = from;
	FL_OK(time_out_submit(s->e, &s->f));
	fl_event_set(&s->submitted);
	return fl_event_wait(s->open); /* so each thread has a number of its own */
}

POOL_TEST(backlog_number_of_an_injector_is_no_stop, 32)
{
	enum { THREADS = FL__INJECTORS };
	struct from_outside from[THREADS];
	fl_thread *threads[THREADS];
	fl_event open = FL_EVENT_INIT;
	FL_EACH (i, from) {
		from[i] = (struct from_outside){e, FL_EVENT_INIT, &open, NULL};
		FL_OK(fl_thread_start(&threads[i], submit_and_wait, &from[i], NULL));
	}
	FL_EACH (i, from)
		FL_OK(fl_event_wait(&from[i].submitted));
	fl_event_set(&open);
	FL_EACH (i, from) {
		FL_OK(fl_thread_join(threads[i], NULL));
		FL_OK(fl_future_wait(from[i].f));
		const struct fl__chunk_end end = fl__chunk_end(from[i].f, &time_out);
		FL_CHECK(end.error == -ETIMEDOUT && end.begun && !end.stopped);
		fl_future_free(from[i].f);
	}
}

/* An injector. Only the addresses of these blocks and their places are used. */

enum { INJECTED = 8 * FL__INJECTOR_SLOTS };
static struct fl__task_block injected[INJECTED];

static size_t injected_number(const struct fl__task_block *block)
{
	return (size_t)(block - injected);
}

static void inject(struct fl__backlog *b, size_t i)
{
	struct fl__injector *q = &b->injectors[0];
	while (!fl__injector_add(b, q, &injected[i]))
		FL_OK(fl__injector_grow(q, q->mask + 1));
}

FL_TEST(backlog_injector_grows_and_keeps_its_order)
{
	struct fl__backlog b;
	FL_OK(fl__backlog_init(&b, 1));
	b.injectors[0].head = b.injectors[0].tail = (size_t)-3; /* the numbers wrap around */
	for (size_t i = 0; i < INJECTED; i++)
		inject(&b, i);
	for (size_t i = 0; i < INJECTED; i += 3)
		assert_true(fl__backlog_remove(&b, &injected[i]));
	assert_false(fl__backlog_remove(&b, &injected[0]));
	for (size_t i = 0; i < INJECTED; i++)
		if (i % 3 != 0)
			assert_int_equal(injected_number(fl__backlog_take_any(&b)), i);
	assert_true(fl__backlog_is_empty(&b));
	assert_null(fl__backlog_take_any(&b));
	fl__backlog_fini(&b);
}

/* The tasks that are submitted and cancelled while an old one waits leave no slots behind. */
FL_TEST(backlog_injector_closes_up)
{
	struct fl__backlog b;
	FL_OK(fl__backlog_init(&b, 1));
	inject(&b, 0);
	for (size_t i = 1; i < 100 * FL__INJECTOR_SLOTS; i++) {
		inject(&b, 1 + i % 2);
		if (i > 1)
			assert_true(fl__backlog_remove(&b, &injected[1 + (i - 1) % 2]));
	}
	assert_int_equal(b.injectors[0].mask, FL__INJECTOR_SLOTS - 1);
	assert_int_equal(injected_number(fl__backlog_take_any(&b)), 0);
	assert_int_equal(b.injectors[0].length, 1);
	fl__backlog_fini(&b);
}

/* Too few slots are free to do without more of them; but there is no memory. */
FL_TEST(backlog_injector_without_memory_uses_each_slot)
{
	struct fl__backlog b;
	FL_OK(fl__backlog_init(&b, 1));
	struct fl__injector *q = &b.injectors[0];
	for (size_t i = 0; i <= FL__INJECTOR_SLOTS; i++)
		inject(&b, i);
	assert_true(fl__backlog_remove(&b, &injected[2]));
	assert_false(fl__injector_add(&b, q, &injected[2]));
	SEAM_NO_MEMORY(fl__injector_grow(q, FL__INJECTOR_SLOTS), 0);
	assert_true(fl__injector_add(&b, q, &injected[2]));
	assert_false(fl__injector_add(&b, q, &injected[INJECTED - 1]));
	SEAM_NO_MEMORY(fl__injector_grow(q, FL__INJECTOR_SLOTS), -ENOMEM);
	for (size_t i = 0; i <= FL__INJECTOR_SLOTS; i++)
		if (i != 2)
			assert_int_equal(injected_number(fl__backlog_take_any(&b)), i);
	assert_int_equal(injected_number(fl__backlog_take_any(&b)), 2);
	fl__backlog_fini(&b);
}

/* Blocks come in chains, of which some have unused ones left here. So the slots alone need memory. */
POOL_TEST(backlog_without_memory_refuses_a_task, 1)
{
	begin();
	struct held held = hold_worker(e);
	for (int i = 0; i <= FL__INJECTOR_SLOTS; i++)
		FL_OK(backlog_note_submit(e, i, NULL));
	seam_fail_allocs(0, 1);
	FL_RC(backlog_note_submit(e, -1, NULL), -ENOMEM);
	assert_int_equal(seam_heal(), 0);
	FL_OK(backlog_note_submit(e, FL__INJECTOR_SLOTS + 1, NULL));
	let_go(&held);
	FL_OK(fl_executor_join(e));
	assert_int_equal(LOOK(&ran), FL__INJECTOR_SLOTS + 2);
	assert_int_equal(LOOK(&dropped), FL__INJECTOR_SLOTS + 2);
	for (int i = 0; i < FL__INJECTOR_SLOTS + 2; i++)
		assert_int_equal(order[i], i);
}

/* The allocator of the program may wait for a context that submits: the caller holds no lock. */

static fl_executor *submits_meanwhile;

static int submit_meanwhile(void *e)
{
	FL_OK(backlog_note_submit(e, INJECTED, NULL));
	return 0;
}

static void *alloc_meanwhile(size_t size)
{
	fl_executor *e = submits_meanwhile;
	fl_thread *t;
	submits_meanwhile = NULL;
	if (e) {
		FL_OK(fl_thread_start(&t, submit_meanwhile, e, NULL));
		FL_OK(fl_thread_join(t, NULL));
	}
	return seam_alloc(size);
}

POOL_TEST(backlog_allocates_without_a_lock, 1)
{
	begin();
	struct held held = hold_worker(e);
	for (int i = 0; i <= FL__INJECTOR_SLOTS; i++)
		FL_OK(backlog_note_submit(e, i, NULL));
	submits_meanwhile = e;
	fl__sys.alloc = alloc_meanwhile;
	FL_OK(backlog_note_submit(e, FL__INJECTOR_SLOTS + 1, NULL));
	assert_null(submits_meanwhile);
	let_go(&held);
	FL_OK(fl_executor_join(e));
	fl__sys.alloc = seam_alloc;
	assert_int_equal(LOOK(&ran), FL__INJECTOR_SLOTS + 3);
	assert_int_equal(order[FL__INJECTOR_SLOTS + 1], INJECTED);
	assert_int_equal(order[FL__INJECTOR_SLOTS + 2], FL__INJECTOR_SLOTS + 1);
}
