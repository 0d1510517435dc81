/* SPDX-License-Identifier: BSD-2-Clause */
/* Rings: both sides of the protocol, in one process, mostly on one thread. */
#include "fl_faults.h"

#include "process/pool/rings.h"

struct pair {
	struct fl__rings rings;
	struct fl__worker_rings worker;
	fl_sem doorbell;
	unsigned ring_count;
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
	p->ring_count++;
	fl_sem_release(&p->doorbell);
}

static void pair_begin(struct pair *p)
{
	*p = (struct pair){.doorbell = FL_SEM_INIT(0)};
	fl__rings_init(&p->rings, fresh_memory(sizeof(struct fl__submission_ring)),
	               fresh_memory(sizeof(struct fl__completion_ring)));
	fl__worker_rings_init(&p->worker, p->rings.submissions, p->rings.completions);
	p->worker.ring = ring;
	p->worker.arg = p;
}

static void pair_end(struct pair *p)
{
	FL_OK(munmap(p->rings.submissions, sizeof *p->rings.submissions));
	FL_OK(munmap(p->rings.completions, sizeof *p->rings.completions));
}

#define PAIR(p)                                                                                                        \
	__attribute__((cleanup(pair_end))) struct pair p;                                                              \
	pair_begin(&(p))

/*
 * Both sides continue from `seq`, at least two rounds before sequence numbers meet zeroed memory.
 */
static void pair_start_at(struct pair *p, uint32_t seq)
{
	p->rings.first = p->rings.next = p->rings.flushed = p->worker.next = seq;
}

/* A submission that is identified by a number. */
static uint32_t post(struct pair *p, uint64_t number)
{
	struct fl__submission *order = fl__rings_next_entry(&p->rings);
	order->task = number;
	uint32_t seq = fl__rings_post(&p->rings);
	fl__rings_flush(&p->rings);
	return seq;
}

/* The worker runs one: its number, which is also its result, and its count. */
static uint64_t serve(struct pair *p)
{
	const struct fl__submission *order = fl__rings_take(&p->worker);
	const uint64_t number = order->task;
	memcpy(p->rings.completions->entry[p->worker.next % FL__RINGS_DEPTH].small, &number, sizeof number);
	fl__rings_complete(&p->worker, -(int32_t)number, FL__COMPLETION_MESSAGE, (uint32_t)number);
	return number;
}

/* The parent's oldest submission has ended, with these. */
static bool is_ended(struct pair *p, uint64_t number)
{
	struct fl__completion reply;
	uint64_t result;
	memcpy(&result, p->rings.completions->entry[p->rings.first % FL__RINGS_DEPTH].small, sizeof result);
	return fl__rings_peek(&p->rings, &reply) == FL__RINGS_ENDED && reply.flags == FL__COMPLETION_MESSAGE &&
	       reply.error == -(int32_t)number && reply.count == number && result == number;
}

static enum fl__rings_peeked sight(struct pair *p)
{
	struct fl__completion reply;
	return fl__rings_peek(&p->rings, &reply);
}

static bool is_skipped(struct pair *p)
{
	struct fl__completion reply;
	return fl__rings_peek(&p->rings, &reply) == FL__RINGS_ENDED && reply.flags == FL__COMPLETION_SKIPPED &&
	       reply.error == 0 && reply.count == 0;
}

FL_TEST(rings_revoke_before_the_start)
{
	PAIR(p);
	const uint32_t first = post(&p, 1), second = post(&p, 2);
	assert_true(fl__rings_revoke(&p.rings, first));
	assert_true(fl__rings_revoke(&p.rings, first)); /* again: nothing */
	/* Its slot is in use until the worker has passed it. */
	assert_int_equal(sight(&p), FL__RINGS_NONE);
	assert_int_equal(serve(&p), 2);
	assert_true(is_skipped(&p));
	assert_false(fl__rings_revoke(&p.rings, second));
	fl__rings_release(&p.rings);
	assert_true(is_ended(&p, 2));
}

/* The worker had seen the claim word as it was before the parent took the submission back. */
static struct pair *seam_pair;
static uint32_t seam_seq;

FL_TEST_FUTEX_WAIT(post_and_revoke)
{
	if (fl__rings_used(&seam_pair->rings) == 0) {
		FL_CHECK(fl__rings_revoke(&seam_pair->rings, post(seam_pair, 1)));
		seam_seq = post(seam_pair, 2);
	}
	return 0;
}

FL_TEST(rings_revoked_orders_wake_and_are_passed_over)
{
	PAIR(p);
	FL_FAULTS();
	seam_pair = &p;
	fl__sys.shared_wait = post_and_revoke;
	assert_int_equal(serve(&p), 2);
	assert_int_equal(p.worker.next, seam_seq + 1);
}

FL_TEST(rings_fate)
{
	PAIR(p);
	const uint32_t ended = post(&p, 1);
	assert_false(fl__rings_has_started(&p.rings, ended));
	(void)serve(&p);
	const uint32_t revoked = post(&p, 2), started = post(&p, 3), queued = post(&p, 4), damaged = post(&p, 5);
	assert_true(fl__rings_revoke(&p.rings, revoked));
	(void)fl__rings_take(&p.worker); /* and here it dies */
	fl__store_relaxed(&p.rings.completions->claim[damaged % FL__RINGS_DEPTH], 0xdeadbeef);
	assert_true(is_ended(&p, 1));
	fl__rings_release(&p.rings);
	assert_true(is_skipped(&p));
	assert_false(fl__rings_has_started(&p.rings, revoked));
	fl__rings_release(&p.rings);
	assert_int_equal(sight(&p), FL__RINGS_NONE);
	assert_true(fl__rings_has_started(&p.rings, started));
	assert_false(fl__rings_has_started(&p.rings, queued));
	assert_true(fl__rings_has_started(&p.rings, damaged));
}

/*
 * Submissions that are run, revoked, revoked too late and asked to stop, through `n` of them; only
 * those that were asked are stopped.
 */
static void go_round(struct pair *p, unsigned n)
{
	for (uint64_t i = 1; i <= n; i++) {
		bool revoke = i % 3 == 0, ask = i % 5 == 0;
		const uint32_t first = post(p, i), second = post(p, i + n);
		assert_false(fl__rings_has_started(&p->rings, first));
		if (revoke)
			assert_true(fl__rings_revoke(&p->rings, first));
		if (ask)
			fl__rings_request_stop(&p->rings, second);
		if (!revoke) {
			assert_int_equal(fl__rings_take(&p->worker)->task, i);
			assert_true(fl__rings_has_started(&p->rings, first));
			assert_false(fl__rings_stop_requested(&p->worker));
			assert_false(fl__rings_revoke(&p->rings, first));
			fl__rings_complete(&p->worker, 0, FL__COMPLETION_SKIPPED, 0);
		}
		assert_int_equal(fl__rings_take(&p->worker)->task, i + n);
		assert_int_equal(fl__rings_stop_requested(&p->worker), ask);
		assert_true(is_skipped(p));
		fl__rings_release(&p->rings);
		assert_int_equal(sight(p), FL__RINGS_NONE);
		fl__rings_complete(&p->worker, 7, 0, 0);
		assert_int_equal(sight(p), FL__RINGS_ENDED);
		fl__rings_release(&p->rings);
	}
}

FL_TEST(rings_results_come_in_order_when_full)
{
	PAIR(p);
	assert_int_equal(sight(&p), FL__RINGS_NONE);
	for (uint64_t round = 0; round < 3; round++) {
		for (uint64_t i = 1; i <= FL__RINGS_DEPTH; i++)
			(void)post(&p, i);
		assert_int_equal(fl__rings_used(&p.rings), FL__RINGS_DEPTH);
		assert_int_equal(sight(&p), FL__RINGS_NONE);
		for (uint64_t i = 1; i <= FL__RINGS_DEPTH; i++)
			assert_int_equal(serve(&p), i);
		for (uint64_t i = 1; i <= FL__RINGS_DEPTH; i++) {
			assert_true(is_ended(&p, i));
			fl__rings_release(&p.rings);
		}
		assert_int_equal(sight(&p), FL__RINGS_NONE);
	}
}

FL_TEST(rings_slots_and_numbers_go_round)
{
	PAIR(p);
	pair_start_at(&p, UINT32_MAX - 3 * FL__RINGS_DEPTH);
	go_round(&p, 4 * FL__RINGS_DEPTH);
	assert_true(p.rings.next < 6 * FL__RINGS_DEPTH);
	assert_int_equal(p.rings.next, p.worker.next);
	assert_int_equal(fl__rings_used(&p.rings), 0);
}

static void go_unasked(struct pair *p, uint64_t number)
{
	(void)post(p, number);
	(void)fl__rings_take(&p->worker);
	assert_false(fl__rings_stop_requested(&p->worker));
	fl__rings_complete(&p->worker, 0, 0, 0);
	fl__rings_release(&p->rings);
}

FL_TEST(rings_damaged_done)
{
	PAIR(p);
	const uint32_t seq = post(&p, 1);
	uint32_t *done = &p.rings.completions->entry[seq % FL__RINGS_DEPTH].done;
	const uint32_t wrong[] = {seq + 1, seq - 1, seq + FL__RINGS_DEPTH, seq - 2 * FL__RINGS_DEPTH, UINT32_MAX};
	FL_EACH (i, wrong) {
		fl__store_relaxed(done, wrong[i]);
		assert_int_equal(sight(&p), FL__RINGS_DAMAGED);
	}
	fl__store_relaxed(done, seq);
	assert_int_equal(sight(&p), FL__RINGS_ENDED);
}

FL_TEST(rings_doorbell_rings_once_a_sleep)
{
	PAIR(p);
	for (uint64_t i = 1; i <= 6; i++)
		(void)post(&p, i);
	(void)serve(&p);
	assert_int_equal(p.ring_count, 0); /* no side sleeps */
	fl__rings_arm(&p.rings, 1);
	(void)serve(&p);
	(void)serve(&p);
	assert_int_equal(p.ring_count, 1);
	fl__rings_disarm(&p.rings);
	(void)serve(&p);
	assert_int_equal(p.ring_count, 1);
	fl__rings_arm(&p.rings, 2);
	(void)serve(&p);
	(void)serve(&p);
	assert_int_equal(p.ring_count, 2);
}

FL_TEST(rings_asks_one_order)
{
	PAIR(p);
	const uint32_t first = post(&p, 1), second = post(&p, 2);
	fl__rings_request_stop(&p.rings, second);
	assert_int_equal(fl__load_acquire(&p.rings.submissions->stop_requests), 1);
	(void)fl__rings_take(&p.worker);
	assert_false(fl__rings_stop_requested(&p.worker));
	fl__rings_request_stop(&p.rings, first);
	assert_true(fl__rings_stop_requested(&p.worker));
	fl__rings_complete(&p.worker, 0, 0, 0);
	(void)fl__rings_take(&p.worker);
	assert_true(fl__rings_stop_requested(&p.worker));
	fl__rings_complete(&p.worker, 0, 0, 0);
	fl__rings_release(&p.rings);
	fl__rings_release(&p.rings);
	for (uint64_t i = 0; i < FL__RINGS_DEPTH; i++) { /* a round later nothing is left of it */
		go_unasked(&p, i);
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
FL_TEST_FUTEX_WAIT(post_meanwhile)
{
	FL_CHECK(deadline == FL__NEVER);
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

FL_TEST(rings_wakes_a_worker_that_sleeps)
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

/*
 * It found the first of two submissions by itself, before they were flushed, and sleeps until the
 * second.
 */
FL_TEST(rings_wakes_a_worker_that_was_ahead_of_the_flush)
{
	PAIR(p);
	FL_FAULTS();
	sleep_in(&p);
	fl__rings_next_entry(&p.rings)->task = 1;
	(void)fl__rings_post(&p.rings);
	assert_int_equal(serve(&p), 1);
	assert_int_equal(serve(&p), 2); /* posted when it sleeps; one flush for both */
	assert_non_null(slept_on);
	assert_ptr_equal(woken, slept_on);
}

FL_TEST(rings_listener_sleeps_until_asked)
{
	PAIR(p);
	const uint32_t seq = post(&p, 1);
	uint32_t asks = fl__load_acquire(&p.rings.submissions->stop_requests);
	fl__rings_request_stop(&p.rings, seq);
	fl__rings_await_stop_request(&p.worker, asks); /* returns: it is another number by now */
	assert_int_not_equal(fl__load_acquire(&p.rings.submissions->stop_requests), asks);
}

/* A worker that writes anything, anywhere. */

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return random_state >> 33;
}

static void scribble(struct fl__completion_ring *replies)
{
	/* all but the arena, of which the parent takes bytes and nothing else */
	uint32_t *words = (uint32_t *)(void *)replies;
	for (size_t i = 0; i < offsetof(struct fl__completion_ring, arena) / sizeof *words; i++)
		fl__store_relaxed(&words[i], (uint32_t)next_random() << 16 ^ (uint32_t)next_random());
}

/* Checks of the parent's own state do not depend on the shared memory. */
static void look_around(struct pair *p)
{
	struct fl__completion reply;
	const uint32_t first = p->rings.first, next = p->rings.next;
	for (uint32_t seq = first; seq != next; seq++)
		(void)fl__rings_has_started(&p->rings, seq);
	enum fl__rings_peeked seen = fl__rings_peek(&p->rings, &reply);
	assert_true(first == next ? seen == FL__RINGS_NONE : seen != FL__RINGS_NONE);
	fl__rings_arm(&p->rings, 1);
	fl__rings_disarm(&p->rings);
	fl__rings_flush(&p->rings);
	if (first != next)
		fl__rings_request_stop(&p->rings, first);
	assert_true(p->rings.first == first && p->rings.next == next);
}

FL_TEST(rings_survives_a_mad_worker)
{
	random_state = 5;
	for (unsigned trial = 0; trial < fl_test_scaled(1000); trial++) {
		PAIR(p);
		const unsigned n = (unsigned)next_random() % (FL__RINGS_DEPTH + 1);
		const unsigned revoked = (unsigned)next_random() % FL__RINGS_DEPTH;
		for (unsigned i = 0; i < n; i++)
			(void)post(&p, i);
		if (revoked < n)
			(void)fl__rings_revoke(&p.rings, p.rings.first + revoked);
		scribble(p.rings.completions);
		look_around(&p);
		for (unsigned i = 0; i < n; i++) {
			scribble(p.rings.completions);
			assert_false(fl__rings_revoke(&p.rings, p.rings.first) && i != revoked);
			fl__rings_release(&p.rings);
		}
		look_around(&p);
		assert_int_equal(fl__rings_used(&p.rings), 0);
	}
}
