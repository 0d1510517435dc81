/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_queued.h"

/* One open-take-close. */
static size_t wake(const void *key, size_t max, uint32_t value)
{
	struct fl__lot lot;
	fl__lot_open(&lot, key);
	size_t taken = fl__lot_take(&lot, max, value);
	fl__lot_close(&lot);
	return taken;
}

/*
 * Queue entries of contexts that only count their unparks: one thread sees everything that the lot
 * does.
 */
typedef struct place {
	struct fl__ctx ctx;
	struct fl__wait wait;
	struct fl__node node;
	unsigned unparks;
} place;

static void count_unpark(struct fl__wait *wait)
{
	((place *)wait->ctx->front.inside.helper)->unparks++;
}

static int never_park(struct fl__wait *wait, fl_time deadline)
{
	FL_CHECK(!"nobody parks here");
	return 0;
}

static const struct fl__ctx_ops counting = {
    .park = never_park, .unpark = count_unpark, .unpark_in_handler = count_unpark};

static void place_init(place *p)
{
	memset(p, 0, sizeof *p);
	p->ctx.ops = &counting;
	p->ctx.front.inside.helper = p;
	p->wait.ctx = &p->ctx;
	p->wait.decision = FL__PENDING;
	p->node = FL__NODE(&p->wait);
}

static void stand(place *p, const void *key)
{
	struct fl__lot lot;
	place_init(p);
	fl__lot_open(&lot, key);
	fl__lot_add(&lot, &p->node);
	fl__lot_close(&lot);
}

static void stand_all(place *places, size_t n, const void *key)
{
	for (size_t i = 0; i < n; i++)
		stand(&places[i], key);
}

static bool is_taken(const place *p)
{
	return p->wait.decision == (uintptr_t)&p->node && p->unparks == 1 && !p->node.queued;
}

static bool is_waiting(const place *p)
{
	return p->wait.decision == FL__PENDING && p->unparks == 0 && p->node.queued;
}

/* Of `n` places, the first ones are taken, and the others wait. */
static void expect_taken(const place *places, size_t n, size_t taken)
{
	for (size_t i = 0; i < n; i++)
		assert_true(i < taken ? is_taken(&places[i]) : is_waiting(&places[i]));
}

FL_TEST(lot_takes_in_order)
{
	place places[5];
	char key = 0;
	stand_all(places, 5, &key);
	for (uint32_t i = 0; i < 5; i++) {
		assert_true(fl__lot_has_waiters_at(&key));
		assert_int_equal(wake(&key, 1, 100 + i), 1);
		expect_taken(places, 5, i + 1);
		assert_int_equal(places[i].node.value, 100 + i);
	}
	assert_false(fl__lot_has_waiters_at(&key));
}

FL_TEST(lot_takes_no_more_than_there_are_or_are_asked_for)
{
	place places[7];
	char key = 0;
	assert_int_equal(wake(&key, 3, 0), 0);
	assert_int_equal(wake(&key, FL__ALL, 0), 0);
	stand_all(places, 7, &key);
	assert_int_equal(wake(&key, 0, 0), 0);
	assert_int_equal(wake(&key, 3, 0), 3);
	expect_taken(places, 7, 3);
	assert_int_equal(wake(&key, FL__ALL, 0), 4);
	expect_taken(places, 7, 7);
}

FL_TEST(lot_unparks_at_close)
{
	place places[2];
	char key = 0;
	struct fl__lot lot;
	stand_all(places, 2, &key);
	fl__lot_open(&lot, &key);
	assert_true(fl__lot_has_waiters(&lot));
	assert_int_equal(fl__lot_take(&lot, 1, 7), 1);
	assert_true(fl__lot_has_waiters(&lot));
	assert_int_equal(fl__lot_take(&lot, 1, 8), 1);
	assert_false(fl__lot_has_waiters(&lot));
	assert_int_equal(places[0].unparks + places[1].unparks, 0);
	fl__lot_close(&lot);
	expect_taken(places, 2, 2);
	assert_int_equal(places[0].node.value, 7);
	assert_int_equal(places[1].node.value, 8);
}

/* Removes the entry `gone` from a queue of `n`; the others keep their order. */
static void remove_one(size_t n, size_t gone)
{
	place places[4];
	char key = 0;
	stand_all(places, n, &key);
	fl__lot_leave(&places[gone].node);
	assert_false(places[gone].node.queued);
	fl__lot_leave(&places[gone].node); /* once more does nothing */
	for (size_t i = 0; i < n; i++) {
		if (i == gone)
			continue;
		assert_int_equal(wake(&key, 1, 0), 1);
		assert_true(is_taken(&places[i]));
	}
	assert_false(fl__lot_has_waiters_at(&key));
	assert_int_equal(places[gone].unparks, 0);
	assert_true(places[gone].wait.decision == FL__PENDING);
}

FL_TEST(lot_removes_any_one)
{
	for (size_t n = 1; n <= 4; n++)
		for (size_t gone = 0; gone < n; gone++)
			remove_one(n, gone);
}

FL_TEST(lot_queue_continues_behind_a_waiter_that_left)
{
	place places[4];
	char key = 0;
	stand_all(places, 3, &key);
	fl__lot_leave(&places[2].node);
	stand(&places[3], &key);
	fl__lot_leave(&places[0].node);
	stand(&places[0], &key);
	static const int order[] = {1, 3, 0};
	FL_EACH (i, order) {
		assert_int_equal(wake(&key, 1, 0), 1);
		assert_true(is_taken(&places[order[i]]));
	}
}

/* Finds `n` keys with wait queues in one bucket. */
static void colliding_keys(const char *keys[], size_t n)
{
	static const char space[1 << 16];
	struct fl__bucket *bucket = NULL;
	for (size_t i = 0, found = 0; found < n; i++) {
		struct fl__lot lot;
		FL_CHECK(i < sizeof space);
		fl__lot_open(&lot, &space[i]);
		fl__lot_close(&lot);
		if (found == 0)
			bucket = lot.bucket;
		if (lot.bucket == bucket)
			keys[found++] = &space[i];
	}
}

FL_TEST(lot_queues_of_one_bucket_are_apart)
{
	enum { KEYS = 4, EACH = 3 };
	const char *keys[KEYS];
	place places[KEYS][EACH];
	static const int order[KEYS] = {2, 0, 3, 1};
	colliding_keys(keys, KEYS);
	for (int i = 0; i < EACH; i++)
		FL_EACH (k, keys)
			stand(&places[k][i], keys[k]);
	FL_EACH (k, order) {
		assert_int_equal(wake(keys[order[k]], 2, 0), 2);
		expect_taken(places[order[k]], EACH, 2);
	}
	for (int k = KEYS - 1; k >= 0; k--) {
		assert_true(fl__lot_has_waiters_at(keys[order[k]]));
		assert_int_equal(wake(keys[order[k]], FL__ALL, 0), 1);
		assert_false(fl__lot_has_waiters_at(keys[order[k]]));
		for (int j = 0; j < k; j++)
			assert_true(is_waiting(&places[order[j]][2]));
	}
}

FL_TEST(lot_queues_of_one_bucket_survive_any_leave)
{
	enum { KEYS = 3, EACH = 3 };
	const char *keys[KEYS];
	colliding_keys(keys, KEYS);
	for (int left = 0; left < KEYS * EACH; left++) {
		place places[KEYS][EACH];
		FL_EACH (k, keys)
			stand_all(places[k], EACH, keys[k]);
		fl__lot_leave(&places[left / EACH][left % EACH].node);
		for (int k = 0; k < KEYS; k++)
			assert_int_equal(wake(keys[k], FL__ALL, 0), k == left / EACH ? EACH - 1 : EACH);
		for (int i = 0; i < KEYS * EACH; i++)
			assert_int_equal(places[i / EACH][i % EACH].unparks, i != left);
	}
}

/* The most steps that a search takes to one of the `n` places, each alone in its queue. */
static size_t most_steps(place *places, size_t n)
{
	size_t most = 0;
	for (size_t i = 0; i < n; i++) {
		struct fl__lot lot;
		size_t steps = 1;
		fl__lot_open(&lot, places[i].node.key);
		/* the path of the library's search: a node comes before those below it */
		const struct fl__node *node = lot.bucket->queues;
		uint64_t path = ((uint64_t)(uintptr_t)places[i].node.key * 0x9e3779b97f4a7c15u) << 10;
		for (; node != &places[i].node; path <<= 1, steps++) {
			FL_CHECK(node && node->key != places[i].node.key);
			node = node->below[path >> 63];
		}
		fl__lot_close(&lot);
		most = steps > most ? steps : most;
	}
	return most;
}

/*
 * The steps to a queue grow with the logarithm of the number of queues, in whatever order the
 * addresses come, and at whatever distance they are. Lists took n / 1,024 steps in the mean.
 */
FL_TEST(lot_finds_one_of_many_queues_in_few_steps)
{
	static const size_t strides[] = {1, 4, 8, 24, 64, 144, 4096, 65536, 118784, (size_t)1 << 20};
	enum { N = 100000 };
	const size_t n = fl_test_scaled(N);
	place *places = calloc(n, sizeof *places);
	FL_CHECK(places);
	FL_EACH (k, strides) {
		if (strides[k] > UINTPTR_MAX / 2 / n)
			continue;
		for (size_t i = 0; i < n; i++) /* a key is a number for the lot */
			stand(&places[i], (const void *)(UINTPTR_MAX / 2 - strides[k] * (k % 2 ? i : n - i)));
		FL_IN_RANGE((int64_t)most_steps(places, n), 1, 40);
		for (size_t i = 0; i < n; i++) {
			const size_t at = i * 7919 % n;
			if (is_waiting(&places[at]))
				fl__lot_leave(&places[at].node);
		}
		for (size_t i = 0; i < n; i++)
			FL_CHECK(!places[i].node.queued || wake(places[i].node.key, 1, 0) == 1);
	}
	free(places);
}

/* Queues of one bucket come and go in a random order; each keeps its waiters, in order. */
FL_TEST(lot_queues_of_one_bucket_come_and_go)
{
	enum { KEYS = 24, EACH = 3, ROUNDS = 20000 };
	const char *keys[KEYS];
	static place places[KEYS][EACH];
	unsigned begins[KEYS] = {0}, ends[KEYS] = {0}, seed = 1;
	colliding_keys(keys, KEYS);
	for (int i = 0; i < ROUNDS; i++) {
		const unsigned k = (unsigned)rand_r(&seed) % KEYS, waiters = ends[k] - begins[k];
		FL_CHECK(fl__lot_has_waiters_at(keys[k]) == (waiters > 0));
		if (waiters == EACH || (waiters > 0 && rand_r(&seed) % 2)) {
			place *first = &places[k][begins[k]++ % EACH];
			FL_CHECK(is_waiting(first));
			if (rand_r(&seed) % 2)
				FL_CHECK(wake(keys[k], 1, 0) == 1 && is_taken(first));
			else
				fl__lot_leave(&first->node);
			FL_CHECK(!first->node.queued);
		} else {
			stand(&places[k][ends[k]++ % EACH], keys[k]);
		}
	}
	FL_EACH (k, keys)
		FL_CHECK(wake(keys[k], FL__ALL, 0) == ends[k] - begins[k]);
}

FL_TEST(lot_observers_are_woken_and_not_counted)
{
	place places[5];
	char key = 0;
	stand_all(places, 5, &key);
	places[0].node.observer = places[1].node.observer = places[3].node.observer = true;
	assert_int_equal(wake(&key, 1, 0), 1);
	expect_taken(places, 5, 3);
	assert_int_equal(wake(&key, FL__ALL, 0), 1);
	expect_taken(places, 5, 5);
}

FL_TEST(lot_of_observers_counts_no_waiter)
{
	place places[3];
	char key = 0;
	stand_all(places, 3, &key);
	FL_EACH (i, places)
		places[i].node.observer = true;
	assert_int_equal(wake(&key, 1, 0), 0);
	expect_taken(places, 3, 3);
}

FL_TEST(lot_skips_a_waiter_that_gave_up)
{
	place places[4];
	char key = 0;
	stand_all(places, 4, &key);
	places[0].wait.decision = places[2].wait.decision = FL__GAVE_UP;
	assert_int_equal(wake(&key, 1, 5), 1);
	assert_true(is_taken(&places[1]));
	assert_int_equal(wake(&key, FL__ALL, 6), 1);
	assert_true(is_taken(&places[3]));
	for (int i = 0; i < 4; i += 2) {
		assert_true(places[i].wait.decision == FL__GAVE_UP);
		assert_int_equal(places[i].unparks, 0);
		assert_false(places[i].node.queued);
	}
	assert_false(fl__lot_has_waiters_at(&key));
}

FL_TEST(lot_wakes_a_wait_with_two_places_once)
{
	place one, other;
	char first = 0, second = 0;
	stand(&one, &first);
	stand(&other, &second);
	other.node.wait = &one.wait;
	assert_int_equal(wake(&second, 1, 0), 1);
	assert_true(one.wait.decision == (uintptr_t)&other.node);
	assert_int_equal(wake(&first, 1, 0), 0); /* passed on, to none */
	assert_int_equal(one.unparks, 1);
	assert_false(one.node.queued);
}

/* Waits of this thread itself, decided before it sleeps. */
FL_TEST(lot_sleep_gives_up_without_a_wake)
{
	struct fl__wait wait;
	static const fl_time past[] = {{INT64_MIN}, {-1}, {1}};
	FL_EACH (i, past) {
		fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
		FL_RC(fl__wait_sleep(&wait, past[i], NULL), -ETIMEDOUT);
		assert_true(wait.decision == FL__GAVE_UP);
	}
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	FL_RC(fl__wait_sleep(&wait, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_true(wait.decision == FL__GAVE_UP);
}

FL_TEST(lot_sleep_takes_the_wake_that_came_first)
{
	char key = 0;
	static const struct {
		fl_time deadline;
		bool cancelled;
	} rows[] = {{FL_NO_WAIT, false}, {FL_FOREVER, false}, {FL_FOREVER, true}, {FL_NO_WAIT, true}};
	FL_EACH (i, rows) {
		struct fl__wait wait;
		fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
		struct fl__node node = FL__NODE(&wait);
		struct fl__lot lot;
		fl__lot_open(&lot, &key);
		fl__lot_add(&lot, &node);
		fl__lot_close(&lot);
		assert_int_equal(wake(&key, 1, 9), 1);
		FL_OK(fl__wait_sleep(&wait, rows[i].deadline, rows[i].cancelled ? fl_test_requested : NULL));
		assert_int_equal(node.value, 9);
		assert_int_equal(wait.park_word, 1); /* the unpark was seen */
	}
}

/* Words, and the parker of threads. */
static const struct fl__word at_three = {0xff, 3, 0x100};

FL_CALL(wait_for_three)
{
	return fl__word_wait(object, &at_three, deadline, cancel);
}

FL_TEST(lot_word_is_waited_for)
{
	uint32_t word = 0x203;
	FL_OK(fl__word_wait(&word, &at_three, FL_NO_WAIT, NULL));
	assert_int_equal(word, 0x203);
	word = 0x200;
	FL_RC(fl__word_wait(&word, &at_three, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(word, 0x300); /* the bit stays, safely */

	fl_test_caller c;
	fl_test_begin_wait(&c, wait_for_three, &word);
	assert_int_equal(fl__load_relaxed(&word), 0x300);
	struct fl__lot lot;
	fl__lot_open(&lot, &word);
	assert_int_equal(fl__lot_take(&lot, FL__ALL, 0), 1);
	fl__store_release(&word, 3);
	fl__lot_close(&lot);
	FL_OK(fl_test_call_end(&c));
}

FL_TEST(parker_consumes_one_unpark)
{
	struct fl__wait wait, nested;
	fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
	const struct fl__ctx_ops *ops = wait.ctx->ops;
	assert_ptr_equal(ops, &fl__thread_parker);
	fl_time deadline = fl_test_soon();
	FL_RC(ops->park(&wait, deadline), -ETIMEDOUT);
	assert_true(fl_time_is_past(deadline));
	ops->unpark(&wait);
	fl__wait_begin(&nested, FL__DEBUG_NOTHING, NULL); /* a wait within a wait does not take the other's unpark */
	FL_RC(ops->park(&nested, FL_NO_WAIT), -ETIMEDOUT);
	ops->unpark(&nested);
	FL_OK(ops->park(&nested, FL_FOREVER));
	FL_OK(ops->park(&wait, FL_FOREVER));
}

static void lines_are_empty(void *sem)
{
	FL_CHECK(!fl__lot_has_waiters_at(sem));
	FL_CHECK(fl__fork_count == 1);
}

FL_TEST(lot_is_empty_in_a_forked_child)
{
	fl_sem sem = FL_SEM_INIT(0);
	fl_test_caller c;
	assert_int_equal(fl__fork_count, 0);
	fl_test_begin_wait(&c, fl_test_acquire, &sem);
	FL_IN_CHILD(lines_are_empty, &sem);
	assert_int_equal(fl_test_queued(&sem), 1);
	fl_sem_release(&sem);
	FL_OK(fl_test_call_end(&c));
}
