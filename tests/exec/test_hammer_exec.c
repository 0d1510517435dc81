/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thousand threads, or a hundred on slow builds, use one queue, or one executor, with deadlines
 * and cancels in flight. The queue or the executor ends during that. Every item and every task has
 * a record, and all records must add up.
 */
#include "fl_test.h"
#include <fairlead/task.h>

enum { THREADS = 1000, STACK = 256 * 1024, TOKENS = 16, RECORDS = 1 << 18 };

/* The record of an item or a task: each context adds to the field of what it has seen. */
struct record {
	unsigned char accepted, got, dropped; /* of an item */
	/* Of a task; called and registered callbacks. */
	unsigned char ran, succeeded, undone, told, owed;
};

static struct record records[RECORDS];
static unsigned next_record, steps;

#define ADD(counter) __atomic_fetch_add((counter), 1, __ATOMIC_RELAXED)
#define READ(counter) __atomic_load_n((counter), __ATOMIC_ACQUIRE)

/* Marsaglia's xorshift: each thread its own, the same in every run. */
static unsigned roll(unsigned *seed, unsigned below)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed % below;
}

struct hand {
	fl_thread thread;
	unsigned id, seed, rounds;
	fl_queue *q;
	fl_executor *e;
	fl_mutex lock;          /* guards the next */
	fl_cancel_token *token; /* what it waits under now, for others to request; NULL: none */
};

static struct hand hands[THREADS];

static unsigned threads(void)
{
	return fl_test_scaled(THREADS);
}

static void offer(struct hand *h, fl_cancel_token *token)
{
	FL_LOCKED(&h->lock);
	h->token = token;
}

/* Now and then requests the token of another. */
static void request_some(struct hand *h)
{
	if (roll(&h->seed, 4) != 0)
		return;
	struct hand *other = &hands[roll(&h->seed, threads())];
	FL_LOCKED(&other->lock);
	if (other->token)
		fl_cancel_token_request(other->token);
}

static void begin_hammer(void)
{
	memset(records, 0, sizeof records);
	memset(hands, 0, sizeof hands);
	next_record = steps = 0;
}

static void start_hands(fl_thread_function *function, unsigned rounds)
{
	for (unsigned i = 0; i < threads(); i++) {
		hands[i].id = i;
		hands[i].seed = i * 2654435761u + 12345;
		hands[i].rounds = fl_test_scaled(rounds);
		FL_OK(fl_thread_start(&hands[i].thread, function, &hands[i], &(fl_thread_config){.stack_size = STACK}));
	}
}

static void join_hands(void)
{
	for (unsigned i = 0; i < threads(); i++) {
		int rc = 77;
		FL_OK(fl_thread_join(&hands[i].thread, &rc));
		FL_OK(rc);
	}
}

/* The queue. Items are numbers of records. */

static unsigned new_record(void)
{
	unsigned id = ADD(&next_record);
	return id < RECORDS ? id : RECORDS;
}

static void got_items(fl_queue *q, const unsigned *items, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		FL_CHECK(items[i] < RECORDS);
		ADD(&records[items[i]].got);
		fl_queue_task_done(q);
	}
}

static void drop_item(void *item, void *arg)
{
	ADD(&records[*(unsigned *)item].dropped);
	ADD((unsigned *)arg);
}

static bool may_fail(int rc)
{
	return rc == 0 || rc == -EAGAIN || rc == -ETIMEDOUT || rc == -ECANCELED || rc == -EPIPE;
}

static bool hammer_put(struct hand *h, fl_cancel_token *token, int64_t deadline)
{
	unsigned items[3] = {0}, n = 1;
	size_t count = 0;
	if ((items[0] = new_record()) == RECORDS)
		return true;
	int rc;
	switch (roll(&h->seed, 4)) {
	case 0:
		rc = fl_queue_try_put(h->q, items);
		break;
	case 1:
		while (n < 3 && (items[n] = new_record()) < RECORDS)
			n++;
		rc = fl_queue_put_many_until(h->q, items, n, &count, deadline, token);
		FL_CHECK((rc == 0) == (count == n));
		break;
	default:
		rc = fl_queue_put_until(h->q, items, deadline, token);
	}
	FL_CHECK(may_fail(rc));
	if (n == 1)
		count = rc == 0;
	for (size_t i = 0; i < count; i++)
		ADD(&records[items[i]].accepted);
	return rc != -EPIPE;
}

static bool hammer_get(struct hand *h, fl_cancel_token *token, int64_t deadline)
{
	unsigned items[5];
	size_t count = 1;
	int rc;
	switch (roll(&h->seed, 4)) {
	case 0:
		rc = fl_queue_try_get(h->q, items);
		break;
	case 1:
		rc = fl_queue_get_many_until(h->q, items, 5, &count, deadline, token);
		break;
	case 2: /* checks first: readiness is no promise */
		rc = FL_WAIT_ANY_UNTIL(deadline, token, FL_ON_QUEUE(h->q));
		rc = rc == 0 ? fl_queue_try_get(h->q, items) : rc;
		break;
	default:
		rc = fl_queue_get_until(h->q, items, deadline, token);
	}
	FL_CHECK(may_fail(rc));
	if (rc == 0)
		got_items(h->q, items, count);
	return rc != -EPIPE;
}

/*
 * Every tenth thread puts, and every tenth gets, without deadline or token, until the queue is
 * closed.
 */
static void hammer_plainly(struct hand *h, bool puts)
{
	unsigned item;
	for (unsigned i = 0; puts && i < h->rounds; i++)
		if ((item = new_record()) < RECORDS && fl_queue_put(h->q, &item) == 0)
			ADD(&records[item].accepted);
	while (fl_queue_get(h->q, &item) == 0)
		got_items(h->q, &item, 1);
}

/*
 * One operation under a token that others may request, and that has its own deadline; or under a
 * child of it.
 */
static bool hammer_once(struct hand *h)
{
	FL_SCOPED(fl_cancel_token) own = FL_CANCEL_TOKEN_INIT;
	FL_SCOPED(fl_cancel_token) child = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_init(&own, FL_SHIELDED, fl_after(FL_US(roll(&h->seed, 5000))));
	fl_cancel_token_init(&child, &own, FL_FOREVER);
	offer(h, &own);
	int64_t deadline = fl_after(FL_US(roll(&h->seed, 3000)));
	fl_cancel_token *token = roll(&h->seed, 2) ? &own : &child;
	bool open = h->id % 2 ? hammer_put(h, token, deadline) : hammer_get(h, token, deadline);
	offer(h, NULL);
	request_some(h);
	ADD(&steps);
	return open;
}

static int hammer_at_queue(void *arg)
{
	struct hand *h = arg;
	if (h->id % 10 < 2) {
		hammer_plainly(h, h->id % 10 == 0);
		return 0;
	}
	bool open = true;
	for (unsigned i = 0; i < h->rounds && open; i++)
		open = hammer_once(h);
	while (open) /* helps to drain, so that plain putters go on: until it is closed */
		open = hammer_get(h, FL_SHIELDED, fl_after(FL_MS(50)));
	return 0;
}

static void run_queue_hammer(bool at_once)
{
	enum { ROUNDS = 300 };
	unsigned dropped = 0, counted = 0;
	fl_queue *q = NULL;
	begin_hammer();
	const fl_queue_config config = {.capacity = 61, .drop = drop_item, .drop_arg = &dropped};
	FL_OK(fl_queue_create(&q, sizeof(unsigned), &config));
	for (unsigned i = 0; i < threads(); i++)
		hands[i].q = q;
	start_hands(hammer_at_queue, ROUNDS);
	FL_WAIT_FOR(READ(&steps) >= threads() * fl_test_scaled(ROUNDS) / 2);
	if (at_once)
		(void)fl_queue_close_now(q);
	else
		fl_queue_close(q);
	join_hands();
	FL_OK(fl_queue_join(q)); /* all that was put was dealt with */
	assert_int_equal(fl_queue_length(q), 0);
	fl_queue_free(q);
	for (unsigned i = 0; i < RECORDS; i++) {
		const struct record *r = &records[i];
		assert_true(r->accepted <= 1 && r->got + r->dropped == r->accepted);
		counted += r->dropped;
	}
	assert_int_equal(counted, dropped);
}

FL_TEST(hammer_queue)
{
	run_queue_hammer(false);
	run_queue_hammer(true);
}

/* The executor. */

static fl_cancel_token stops[TOKENS]; /* of tasks; they outlive them */

struct job {
	unsigned id;
	bool nested;
};

static void drop_job(void *arg)
{
	ADD(&records[((struct job *)arg)->id].dropped);
}

static void drop_job_result(void *result)
{
	ADD(&records[*(unsigned *)result].undone);
}

static void end_job(fl_future *f, void *arg)
{
	struct record *r = arg;
	FL_CHECK(fl_future_try_wait(f) == 0);
	ADD(&r->told);
}

static bool may_refuse(int rc)
{
	return rc == 0 || rc == -EPIPE;
}

FL_TASK_DECLARE(hammer_job, struct job, unsigned);

static int nest_job(fl_task_ctx *ctx)
{
	FL_SCOPED(fl_future) *f = NULL;
	struct job job = {new_record(), true};
	if (job.id == RECORDS)
		return 0;
	int rc = hammer_job_submit(fl_executor_current(), job, &f);
	FL_CHECK(may_refuse(rc));
	if (rc != 0)
		return rc;
	ADD(&records[job.id].accepted);
	unsigned id;
	rc = hammer_job_get(f, &id); /* under this task's token; helps */
	FL_CHECK(rc == 0 || rc == FL_ETASK || (rc == -ECANCELED && fl_task_is_cancelled(ctx)));
	return rc;
}

FL_TASK_DEFINE(hammer_job, struct job, unsigned, .drop_arg = drop_job, .drop_result = drop_job_result)
{
	int rc = 0;
	ADD(&records[arg->id].ran);
	if (arg->id % 8 == 0)
		rc = fl_task_fail(ctx, -EIO, "job %u", arg->id);
	else if (arg->id % 8 == 1)
		rc = fl_sleep(FL_US(arg->id % 200)); /* -ECANCELED when it is asked to stop */
	else if (arg->id % 8 == 2 && !arg->nested)
		rc = nest_job(ctx);
	*result = arg->id;
	if (rc == 0)
		ADD(&records[arg->id].succeeded);
	return rc;
}

/* Waits for the end, or not for long, or not at all. */
static int await_job(struct hand *h, fl_future *f)
{
	FL_SCOPED(fl_cancel_token) own = FL_CANCEL_TOKEN_INIT;
	unsigned id;
	int rc;
	switch (roll(&h->seed, 6)) {
	case 0:
		return -EAGAIN;
	case 1:
		rc = fl_future_cancel(f);
		FL_CHECK(rc == 0 || rc == -EBUSY || rc == -EALREADY);
		return -EAGAIN;
	case 2:
		return hammer_job_get_until(f, &id, fl_after(FL_US(roll(&h->seed, 1000))), NULL);
	case 3:
		rc = FL_WAIT_ANY_UNTIL(fl_after(FL_US(roll(&h->seed, 1000))), NULL, FL_ON_FUTURE(f));
		return rc == 0 ? hammer_job_try_get(f, &id) : rc;
	case 4:
		offer(h, &own);
		rc = hammer_job_get_until(f, &id, FL_FOREVER, &own);
		offer(h, NULL);
		return rc;
	default:
		return hammer_job_get(f, &id);
	}
}

static void check_job(fl_future *f, const struct record *r, unsigned id)
{
	fl_future_state state = fl_future_get_state(f);
	if (state == FL_CANCELLED)
		FL_CHECK(READ(&r->ran) == 0 && (fl_future_error(f) == -ECANCELED || fl_future_error(f) == -ETIMEDOUT));
	if (state != FL_DONE)
		return;
	FL_CHECK(READ(&r->ran) == 1 && READ(&r->dropped) == 1);
	if (fl_future_error(f) == 0)
		FL_CHECK(*(const unsigned *)fl_future_result(f) == id);
	else if (fl_future_error(f) == -EIO)
		FL_CHECK(strncmp(fl_future_message(f), "job ", 4) == 0);
}

static bool hammer_submit(struct hand *h)
{
	FL_SCOPED(fl_future) *f = NULL;
	fl_submit_config config = {0, NULL};
	struct job job = {new_record(), false};
	if (job.id == RECORDS)
		return true;
	if (roll(&h->seed, 4) == 0)
		config.deadline = fl_after(FL_US(roll(&h->seed, 3000)));
	if (roll(&h->seed, 4) == 0)
		config.cancel = &stops[roll(&h->seed, TOKENS)];
	int rc = hammer_job_submit_with(h->e, job, &f, &config);
	FL_CHECK(may_refuse(rc));
	if (rc != 0)
		return false;
	struct record *r = &records[job.id];
	ADD(&r->accepted);
	for (unsigned n = roll(&h->seed, 3); n > 0; n--) {
		ADD(&r->owed);
		FL_CHECK(fl_future_on_end(f, end_job, r) == 0);
	}
	rc = await_job(h, f);
	FL_CHECK(rc == FL_ETASK || may_fail(rc));
	check_job(f, r, job.id);
	return true;
}

static int hammer_at_executor(void *arg)
{
	struct hand *h = arg;
	bool open = true;
	for (unsigned i = 0; i < h->rounds && open; i++) {
		open = hammer_submit(h);
		request_some(h);
		if (roll(&h->seed, 2000) == 0)
			fl_cancel_token_request(&stops[roll(&h->seed, TOKENS)]);
		ADD(&steps);
	}
	return 0;
}

static void run_executor_hammer(int (*create)(fl_executor **, const fl_executor_config *), bool cancel)
{
	enum { ROUNDS = 200, WORKERS = 8 };
	fl_executor *e = NULL;
	begin_hammer();
	memset(stops, 0, sizeof stops);
	FL_OK(create(&e, &(fl_executor_config){.workers = WORKERS}));
	for (unsigned i = 0; i < threads(); i++)
		hands[i].e = e;
	start_hands(hammer_at_executor, ROUNDS);
	FL_WAIT_FOR(READ(&steps) >= threads() * fl_test_scaled(ROUNDS) / 2);
	if (cancel)
		(void)fl_executor_cancel(e);
	else
		fl_executor_close(e);
	join_hands();
	FL_OK(fl_executor_join(e));
	fl_executor_free(e);
	unsigned accepted = 0;
	for (unsigned i = 0; i < RECORDS; i++) {
		const struct record *r = &records[i];
		assert_true(r->accepted <= 1 && r->ran <= r->accepted && r->dropped == r->accepted);
		assert_true(r->undone == r->succeeded && r->told == r->owed);
		accepted += r->accepted;
	}
	assert_true(accepted > 0);
	for (int i = 0; i < TOKENS; i++)
		fl_cancel_token_destroy(&stops[i]);
}

FL_TEST(hammer_executor)
{
	run_executor_hammer(fl_thread_executor_create, false);
	run_executor_hammer(fl_thread_executor_create, true);
}

FL_TEST(hammer_loop_executor)
{
	run_executor_hammer(fl_loop_executor_create, false);
	run_executor_hammer(fl_loop_executor_create, true);
}
