/* SPDX-License-Identifier: BSD-2-Clause */
/* Lanes: both sides of the protocol, in one process, mostly on one thread. */
#include "fl_faults.h"
#include "fl_test.h"

#include "process_pool/rings.h"
#include <sys/mman.h>

struct pair {
	struct fl__lane lane;
	struct fl__lane_worker worker;
	fl_sem bell;
	unsigned rings;
};

static void *fresh_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	FL_CHECK(memory != MAP_FAILED);
	return memory;
}

static void ring(void *arg)
{
	struct pair *p = arg;
	p->rings++;
	fl_sem_release(&p->bell);
}

static void pair_begin(struct pair *p)
{
	*p = (struct pair){.bell = FL_SEM_INIT(0)};
	fl__lane_init(&p->lane, fresh_memory(sizeof(struct fl__orders)), fresh_memory(sizeof(struct fl__replies)));
	fl__lane_worker_init(&p->worker, p->lane.orders, p->lane.replies);
	p->worker.ring = ring;
	p->worker.arg = p;
}

static void pair_end(struct pair *p)
{
	FL_CHECK(munmap(p->lane.orders, sizeof *p->lane.orders) == 0);
	FL_CHECK(munmap(p->lane.replies, sizeof *p->lane.replies) == 0);
}

#define PAIR(p)                                                                                                        \
	__attribute__((cleanup(pair_end))) struct pair p;                                                              \
	pair_begin(&(p))

/* Both sides go on from `seq`, at least two rounds before what is compared with zeroed memory. */
static void pair_start_at(struct pair *p, uint32_t seq)
{
	p->lane.first = p->lane.next = p->lane.flushed = p->worker.next = seq;
}

/* An order that is told by a number. */
static uint32_t post(struct pair *p, uint64_t number)
{
	struct fl__order *order = fl__lane_place(&p->lane);
	order->task = number;
	uint32_t seq = fl__lane_post(&p->lane);
	fl__lane_flush(&p->lane);
	return seq;
}

/* The worker runs one: its number, which is also its result, and its count. */
static uint64_t serve(struct pair *p)
{
	const struct fl__order *order = fl__lane_take(&p->worker);
	const uint64_t number = order->task;
	memcpy(p->lane.replies->reply[p->worker.next % FL__LANE_DEPTH].small, &number, sizeof number);
	fl__lane_end(&p->worker, -(int32_t)number, FL__REPLY_MESSAGE, (uint32_t)number);
	return number;
}

/* The parent's oldest order has ended, with these. */
static bool is_ended(struct pair *p, uint64_t number)
{
	struct fl__reply reply;
	uint64_t result;
	memcpy(&result, p->lane.replies->reply[p->lane.first % FL__LANE_DEPTH].small, sizeof result);
	return fl__lane_look(&p->lane, &reply) == FL__LANE_ENDED && reply.flags == FL__REPLY_MESSAGE &&
	       reply.error == -(int32_t)number && reply.count == number && result == number;
}

static enum fl__lane_sight sight(struct pair *p)
{
	struct fl__reply reply;
	return fl__lane_look(&p->lane, &reply);
}

static bool is_skipped(struct pair *p)
{
	struct fl__reply reply;
	return fl__lane_look(&p->lane, &reply) == FL__LANE_ENDED && reply.flags == FL__REPLY_SKIPPED &&
	       reply.error == 0 && reply.count == 0;
}

FL_TEST(lane_results_come_in_order)
{
	PAIR(p);
	assert_int_equal(sight(&p), FL__LANE_NONE);
	for (uint64_t i = 1; i <= 3; i++)
		(void)post(&p, i);
	assert_int_equal(fl__lane_used(&p.lane), 3);
	assert_int_equal(sight(&p), FL__LANE_NONE);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(serve(&p), i);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_true(is_ended(&p, i));
		fl__lane_pass(&p.lane);
	}
	assert_int_equal(fl__lane_used(&p.lane), 0);
	assert_int_equal(sight(&p), FL__LANE_NONE);
}

FL_TEST(lane_revoke_before_the_start)
{
	PAIR(p);
	const uint32_t first = post(&p, 1), second = post(&p, 2);
	assert_true(fl__lane_revoke(&p.lane, first));
	assert_true(fl__lane_revoke(&p.lane, first)); /* again: nothing */
	assert_int_equal(sight(&p), FL__LANE_NONE);   /* its slot is in use until the worker has passed over it */
	assert_int_equal(serve(&p), 2);
	assert_true(is_skipped(&p));
	assert_false(fl__lane_revoke(&p.lane, second));
	fl__lane_pass(&p.lane);
	assert_true(is_ended(&p, 2));
}

FL_TEST(lane_revoke_after_the_start)
{
	PAIR(p);
	const uint32_t seq = post(&p, 1);
	const struct fl__order *order = fl__lane_take(&p.worker);
	assert_int_equal(order->task, 1);
	assert_false(fl__lane_revoke(&p.lane, seq));
	fl__lane_end(&p.worker, 0, 0, 1);
	assert_false(fl__lane_revoke(&p.lane, seq));
	assert_int_equal(sight(&p), FL__LANE_ENDED);
}

/* The worker had seen the claim word as it was before the parent took the order back. */
static struct pair *seam_pair;
static uint32_t seam_seq;

static int post_and_revoke(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	(void)word;
	(void)expected;
	(void)deadline;
	if (fl__lane_used(&seam_pair->lane) == 0) {
		FL_CHECK(fl__lane_revoke(&seam_pair->lane, post(seam_pair, 1)));
		seam_seq = post(seam_pair, 2);
	}
	return 0;
}

FL_TEST(lane_revoked_orders_wake_and_are_passed_over)
{
	PAIR(p);
	FL_FAULTS();
	seam_pair = &p;
	fl__sys.shared_wait = post_and_revoke;
	assert_int_equal(serve(&p), 2);
	assert_int_equal(p.worker.next, seam_seq + 1);
}

FL_TEST(lane_fate)
{
	PAIR(p);
	const uint32_t ended = post(&p, 1);
	assert_int_equal(fl__lane_fate(&p.lane, ended), FL__LANE_QUEUED);
	(void)serve(&p);
	const uint32_t revoked = post(&p, 2), started = post(&p, 3), queued = post(&p, 4), damaged = post(&p, 5);
	assert_true(fl__lane_revoke(&p.lane, revoked));
	(void)fl__lane_take(&p.worker); /* and here it dies */
	fl__store_relaxed(&p.lane.replies->claim[damaged % FL__LANE_DEPTH], 0xdeadbeef);
	assert_true(is_ended(&p, 1));
	fl__lane_pass(&p.lane);
	assert_true(is_skipped(&p));
	assert_int_equal(fl__lane_fate(&p.lane, revoked), FL__LANE_QUEUED);
	fl__lane_pass(&p.lane);
	assert_int_equal(sight(&p), FL__LANE_NONE);
	assert_int_equal(fl__lane_fate(&p.lane, started), FL__LANE_STARTED);
	assert_int_equal(fl__lane_fate(&p.lane, queued), FL__LANE_QUEUED);
	assert_int_equal(fl__lane_fate(&p.lane, damaged), FL__LANE_STARTED);
}

/* Orders that are run, revoked, revoked too late and asked, through `n` of them; all that was not asked is not. */
static void go_round(struct pair *p, unsigned n)
{
	for (uint64_t i = 1; i <= n; i++) {
		bool revoke = i % 3 == 0, ask = i % 5 == 0;
		const uint32_t first = post(p, i), second = post(p, i + n);
		assert_int_equal(fl__lane_fate(&p->lane, first), FL__LANE_QUEUED);
		if (revoke)
			assert_true(fl__lane_revoke(&p->lane, first));
		if (ask)
			fl__lane_ask(&p->lane, second);
		if (!revoke) {
			assert_int_equal(fl__lane_take(&p->worker)->task, i);
			assert_int_equal(fl__lane_fate(&p->lane, first), FL__LANE_STARTED);
			assert_false(fl__lane_is_asked(&p->worker));
			assert_false(fl__lane_revoke(&p->lane, first));
			fl__lane_end(&p->worker, 0, FL__REPLY_SKIPPED, 0);
		}
		assert_int_equal(fl__lane_take(&p->worker)->task, i + n);
		assert_int_equal(fl__lane_is_asked(&p->worker), ask);
		assert_true(is_skipped(p));
		fl__lane_pass(&p->lane);
		assert_int_equal(sight(p), FL__LANE_NONE);
		fl__lane_end(&p->worker, 7, 0, 0);
		assert_int_equal(sight(p), FL__LANE_ENDED);
		fl__lane_pass(&p->lane);
	}
}

FL_TEST(lane_slots_are_used_again)
{
	PAIR(p);
	go_round(&p, 5 * FL__LANE_DEPTH);
	assert_int_equal(fl__lane_used(&p.lane), 0);
}

FL_TEST(lane_can_be_full)
{
	PAIR(p);
	for (uint64_t round = 0; round < 3; round++) {
		for (uint64_t i = 1; i <= FL__LANE_DEPTH; i++)
			(void)post(&p, i);
		assert_int_equal(fl__lane_used(&p.lane), FL__LANE_DEPTH);
		for (uint64_t i = 1; i <= FL__LANE_DEPTH; i++)
			assert_int_equal(serve(&p), i);
		for (uint64_t i = 1; i <= FL__LANE_DEPTH; i++) {
			assert_true(is_ended(&p, i));
			fl__lane_pass(&p.lane);
		}
		assert_int_equal(sight(&p), FL__LANE_NONE);
	}
}

FL_TEST(lane_numbers_go_round)
{
	PAIR(p);
	pair_start_at(&p, UINT32_MAX - 3 * FL__LANE_DEPTH);
	go_round(&p, 4 * FL__LANE_DEPTH);
	assert_true(p.lane.next < 6 * FL__LANE_DEPTH);
	assert_int_equal(p.lane.next, p.worker.next);
}

/* Zeroed memory says nothing about order 0, when its turn comes. */
FL_TEST(lane_order_0_is_not_asked)
{
	PAIR(p);
	pair_start_at(&p, UINT32_MAX - 2 * FL__LANE_DEPTH);
	for (uint64_t i = 1; i <= 4 * FL__LANE_DEPTH; i++) {
		(void)post(&p, i);
		(void)fl__lane_take(&p.worker);
		assert_false(fl__lane_is_asked(&p.worker));
		fl__lane_end(&p.worker, 0, 0, 0);
		fl__lane_pass(&p.lane);
	}
}

FL_TEST(lane_damaged_done)
{
	PAIR(p);
	const uint32_t seq = post(&p, 1);
	uint32_t *done = &p.lane.replies->reply[seq % FL__LANE_DEPTH].done;
	const uint32_t wrong[] = {seq + 1, seq - 1, seq + FL__LANE_DEPTH, seq - 2 * FL__LANE_DEPTH, UINT32_MAX};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		fl__store_relaxed(done, wrong[i]);
		assert_int_equal(sight(&p), FL__LANE_DAMAGED);
	}
	fl__store_relaxed(done, seq);
	assert_int_equal(sight(&p), FL__LANE_ENDED);
}

FL_TEST(lane_bell_rings_once_a_sleep)
{
	PAIR(p);
	for (uint64_t i = 1; i <= 6; i++)
		(void)post(&p, i);
	(void)serve(&p);
	assert_int_equal(p.rings, 0); /* nobody sleeps */
	fl__lane_arm(&p.lane, 1);
	(void)serve(&p);
	(void)serve(&p);
	assert_int_equal(p.rings, 1);
	fl__lane_disarm(&p.lane);
	(void)serve(&p);
	assert_int_equal(p.rings, 1);
	fl__lane_arm(&p.lane, 2);
	(void)serve(&p);
	(void)serve(&p);
	assert_int_equal(p.rings, 2);
}

FL_TEST(lane_asks_one_order)
{
	PAIR(p);
	const uint32_t first = post(&p, 1), second = post(&p, 2);
	fl__lane_ask(&p.lane, second);
	assert_int_equal(fl__load_acquire(&p.lane.orders->asks), 1);
	(void)fl__lane_take(&p.worker);
	assert_false(fl__lane_is_asked(&p.worker));
	fl__lane_ask(&p.lane, first);
	assert_true(fl__lane_is_asked(&p.worker));
	fl__lane_end(&p.worker, 0, 0, 0);
	(void)fl__lane_take(&p.worker);
	assert_true(fl__lane_is_asked(&p.worker));
	fl__lane_end(&p.worker, 0, 0, 0);
	fl__lane_pass(&p.lane);
	fl__lane_pass(&p.lane);
	for (uint64_t i = 0; i < FL__LANE_DEPTH; i++) { /* a round later nothing is left of it */
		(void)post(&p, i);
		(void)fl__lane_take(&p.worker);
		assert_false(fl__lane_is_asked(&p.worker));
		fl__lane_end(&p.worker, 0, 0, 0);
		fl__lane_pass(&p.lane);
	}
}

/* Sleeping and waking. */

static const uint32_t *slept_on, *woken;

static int keep_woken(const uint32_t *word, int n)
{
	FL_CHECK(n == 1);
	woken = word;
	return 0;
}

/* The worker is about to sleep, and the parent posts. */
static int post_meanwhile(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	FL_CHECK(deadline == FL_FOREVER);
	if (slept_on)
		return 0;
	slept_on = word;
	FL_CHECK(fl__load_relaxed(word) == expected);
	(void)post(seam_pair, 2);
	return 0;
}

static void sleep_in(struct pair *p)
{
	slept_on = woken = NULL;
	seam_pair = p;
	fl__sys.shared_wake = keep_woken;
	fl__sys.shared_wait = post_meanwhile;
}

FL_TEST(lane_wakes_a_worker_that_sleeps)
{
	PAIR(p);
	FL_FAULTS();
	sleep_in(&p);
	assert_int_equal(serve(&p), 2);
	assert_non_null(slept_on);
	assert_ptr_equal(woken, slept_on);
	woken = NULL;
	(void)post(&p, 3); /* it does not sleep any more */
	assert_null(woken);
	assert_int_equal(serve(&p), 3);
}

/* It had found the first of two orders by itself, before they were flushed, and sleeps until the second. */
FL_TEST(lane_wakes_a_worker_that_was_ahead_of_the_flush)
{
	PAIR(p);
	FL_FAULTS();
	sleep_in(&p);
	fl__lane_place(&p.lane)->task = 1;
	(void)fl__lane_post(&p.lane);
	assert_int_equal(serve(&p), 1);
	assert_int_equal(serve(&p), 2); /* posted when it sleeps; one flush for both */
	assert_non_null(slept_on);
	assert_ptr_equal(woken, slept_on);
}

FL_TEST(lane_listener_sleeps_until_asked)
{
	PAIR(p);
	const uint32_t seq = post(&p, 1);
	uint32_t asks = fl__load_acquire(&p.lane.orders->asks);
	fl__lane_ask(&p.lane, seq);
	fl__lane_listen(&p.worker, asks); /* returns: it is another number by now */
	assert_int_not_equal(fl__load_acquire(&p.lane.orders->asks), asks);
}

/* A worker that writes anything, anywhere. */

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 33;
}

static void scribble(struct fl__replies *replies)
{
	/* all but the arena, of which the parent takes bytes and nothing else */
	uint32_t *words = (uint32_t *)(void *)replies;
	for (size_t i = 0; i < offsetof(struct fl__replies, arena) / sizeof *words; i++)
		fl__store_relaxed(&words[i], (uint32_t)next_random() << 16 ^ (uint32_t)next_random());
}

/* What is the parent's own says the same whatever is there. */
static void look_around(struct pair *p)
{
	struct fl__reply reply;
	const uint32_t first = p->lane.first, next = p->lane.next;
	for (uint32_t seq = first; seq != next; seq++) {
		enum fl__lane_fate fate = fl__lane_fate(&p->lane, seq);
		assert_true(fate == FL__LANE_QUEUED || fate == FL__LANE_STARTED);
	}
	enum fl__lane_sight seen = fl__lane_look(&p->lane, &reply);
	assert_true(first == next ? seen == FL__LANE_NONE : seen != FL__LANE_NONE);
	fl__lane_arm(&p->lane, 1);
	fl__lane_disarm(&p->lane);
	fl__lane_flush(&p->lane);
	if (first != next)
		fl__lane_ask(&p->lane, first);
	assert_true(p->lane.first == first && p->lane.next == next);
}

FL_TEST(lane_survives_a_mad_worker)
{
	random_state = 5;
	for (unsigned trial = 0; trial < fl_test_scaled(1000); trial++) {
		PAIR(p);
		const unsigned n = (unsigned)next_random() % (FL__LANE_DEPTH + 1);
		const unsigned revoked = (unsigned)next_random() % FL__LANE_DEPTH;
		for (unsigned i = 0; i < n; i++)
			(void)post(&p, i);
		if (revoked < n)
			(void)fl__lane_revoke(&p.lane, p.lane.first + revoked);
		scribble(p.lane.replies);
		look_around(&p);
		for (unsigned i = 0; i < n; i++) {
			scribble(p.lane.replies);
			assert_false(fl__lane_revoke(&p.lane, p.lane.first) && i != revoked);
			fl__lane_pass(&p.lane);
		}
		look_around(&p);
		assert_int_equal(fl__lane_used(&p.lane), 0);
	}
}

/* Two threads, with revokes, sleeps and bells. */

enum { ROUNDS = 20000 };

struct traffic {
	struct pair *pair;
	uint32_t ran[ROUNDS]; /* by the worker */
	bool revoked[ROUNDS]; /* by the parent */
	unsigned posted, passed;
	uint32_t sleeps;
};

static int work(void *arg)
{
	struct traffic *t = arg;
	struct pair *p = t->pair;
	const struct fl__order *order;
	while (order = fl__lane_take(&p->worker), !(order->flags & FL__ORDER_LEAVE)) {
		fl__add_relaxed(&t->ran[order->task], 1); /* relaxed: looked at after the join */
		memcpy(p->lane.replies->reply[p->worker.next % FL__LANE_DEPTH].small, &order->task, sizeof order->task);
		fl__lane_end(&p->worker, 0, 0, order->count);
	}
	return 0;
}

static bool take_replies(struct traffic *t)
{
	struct pair *p = t->pair;
	struct fl__reply reply;
	enum fl__lane_sight seen;
	bool some = false;
	while ((seen = fl__lane_look(&p->lane, &reply)) != FL__LANE_NONE) {
		assert_int_equal(seen, FL__LANE_ENDED);
		const bool skipped = reply.flags & FL__REPLY_SKIPPED;
		assert_int_equal(skipped, t->revoked[t->passed]);
		if (!skipped) {
			uint64_t result;
			memcpy(&result, p->lane.replies->reply[p->lane.first % FL__LANE_DEPTH].small, sizeof result);
			assert_int_equal(result, t->passed);
			assert_int_equal(reply.count, t->passed);
		}
		fl__lane_pass(&p->lane);
		t->passed++;
		some = true;
	}
	return some;
}

static void post_some(struct traffic *t, unsigned n)
{
	struct pair *p = t->pair;
	while (n-- > 0 && t->posted < ROUNDS && fl__lane_used(&p->lane) < FL__LANE_DEPTH) {
		struct fl__order *order = fl__lane_place(&p->lane);
		order->flags = 0;
		order->task = order->count = t->posted++;
		(void)fl__lane_post(&p->lane);
		if (next_random() % 2 == 0)
			fl__sys.yield(); /* the worker gets ahead of the flush */
	}
	fl__lane_flush(&p->lane);
}

static void revoke_some(struct traffic *t, unsigned n)
{
	struct pair *p = t->pair;
	for (; n > 0 && n <= fl__lane_used(&p->lane); n--)
		if (fl__lane_revoke(&p->lane, p->lane.next - n))
			t->revoked[t->posted - n] = true;
}

/* The collector, when it has nothing to do. */
static void sleep_until_rung(struct traffic *t)
{
	struct pair *p = t->pair;
	fl__lane_arm(&p->lane, ++t->sleeps);
	if (!take_replies(t) && fl__lane_used(&p->lane) > 0)
		FL_OK(fl_sem_acquire(&p->bell));
	fl__lane_disarm(&p->lane);
}

FL_TEST(lane_two_threads)
{
	PAIR(p);
	struct traffic *t = calloc(1, sizeof *t);
	fl_thread worker;
	t->pair = &p;
	random_state = 7;
	pair_start_at(&p, UINT32_MAX - ROUNDS / 2); /* the numbers go round on the way */
	FL_OK(fl_thread_start(&worker, work, t, NULL));
	while (t->passed < ROUNDS) {
		post_some(t, (unsigned)next_random() % FL__LANE_DEPTH);
		revoke_some(t, (unsigned)next_random() % 4);
		if (!take_replies(t))
			sleep_until_rung(t);
	}
	fl__lane_place(&p.lane)->flags = FL__ORDER_LEAVE;
	(void)fl__lane_post(&p.lane);
	fl__lane_flush(&p.lane);
	FL_OK(fl_thread_join(&worker, NULL));
	unsigned revoked = 0;
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(t->ran[i], !t->revoked[i]);
		revoked += t->revoked[i];
	}
	assert_true(revoked > 0 && revoked < ROUNDS);
	free(t);
}
