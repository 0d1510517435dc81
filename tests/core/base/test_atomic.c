/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"

#include "core/queue/mpmc_unbounded.h"
#include "core/queue/queue.h"
#include "core/wait/lock.h"
#include <stddef.h>

FL_TEST(atomic_load_store_swap)
{
	uint32_t word = 1;
	assert_int_equal(fl__load_relaxed(&word), 1);
	fl__store_relaxed(&word, 2);
	assert_int_equal(fl__load_acquire(&word), 2);
	fl__store_release(&word, 3);
	assert_int_equal(fl__swap_acquire(&word, 4), 3);
	assert_int_equal(fl__swap_release(&word, 5), 4);
	assert_int_equal(fl__swap_acq_rel(&word, 6), 5);
	assert_int_equal(word, 6);
}

FL_TEST(atomic_arithmetic_returns_what_was)
{
	uint64_t word = UINT64_MAX;
	assert_true(fl__add_relaxed(&word, 2) == UINT64_MAX);
	assert_true(fl__add_release(&word, 9) == 1);
	assert_true(fl__sub_release(&word, 3) == 10);
	assert_true(fl__sub_acq_rel(&word, 7) == 7);
	assert_true(word == 0);
	assert_true(fl__or_relaxed(&word, 5) == 0);
	assert_true(fl__or_acquire(&word, 2) == 5);
	assert_true(fl__and_relaxed(&word, 6) == 7);
	assert_true(fl__and_release(&word, 4) == 6);
	assert_true(fl__and_acquire(&word, 12) == 4);
	assert_true(word == 4);
}

/* Whether that member is aligned to 8 bytes in an object of that type, wherever the object is. */
#define ALIGNED_TO_8(type, member)                                                                                     \
	({                                                                                                             \
		struct apart {                                                                                         \
			char before;                                                                                   \
			type it;                                                                                       \
		};                                                                                                     \
		offsetof(struct apart, it) % 8 == 0 && offsetof(type, member) % 8 == 0;                                \
	})

/* On 32-bit x86, words of 64 bits once could lie in two cache lines. */
FL_TEST(atomic_words_are_in_one_cache_line)
{
	assert_true(ALIGNED_TO_8(fl_barrier, state_));
	assert_true(ALIGNED_TO_8(fl_barrier, acting_));
	assert_true(ALIGNED_TO_8(fl_rmutex, owner_));
	assert_true(ALIGNED_TO_8(fl_queue, done));
	assert_true(ALIGNED_TO_8(struct fl__queue_spsc, put.count));
	assert_true(ALIGNED_TO_8(struct fl__queue_spsc, get.count));
	assert_true(ALIGNED_TO_8(struct fl_mpmc, tail));
	assert_true(ALIGNED_TO_8(struct fl_mpmc, head));
	assert_true(ALIGNED_TO_8(struct fl__segment, end));
	assert_true(ALIGNED_TO_8(struct fl__unbounded, poisoned));
	assert_true(ALIGNED_TO_8(struct fl__bucket, gate));
	assert_true(ALIGNED_TO_8(struct fl__host, awake));
}

#define CHECK_CAS(cas)                                                                                                 \
	do {                                                                                                           \
		uint32_t word = 7, expected = 7;                                                                       \
		while (!cas(&word, &expected, 8))                                                                      \
			assert_int_equal(expected, 7);                                                                 \
		assert_int_equal(word, 8);                                                                             \
		assert_false(cas(&word, &expected, 9));                                                                \
		assert_int_equal(expected, 8);                                                                         \
		assert_int_equal(word, 8);                                                                             \
	} while (0)

FL_TEST(atomic_cas_tells_what_it_found)
{
	CHECK_CAS(fl__cas_relaxed);
	CHECK_CAS(fl__cas_acquire);
	CHECK_CAS(fl__cas_release);
	CHECK_CAS(fl__cas_acq_rel);
	CHECK_CAS(fl__cas_weak_relaxed);
	CHECK_CAS(fl__cas_weak_acquire);
	CHECK_CAS(fl__cas_weak_release);
	CHECK_CAS(fl__cas_weak_acq_rel);
}

/*
 * Message passing: what was written before a release is seen after the acquire that pairs with it.
 * x86 keeps the order by itself; ThreadSanitizer reports a too weak wrapper as a race on `cargo`.
 */
typedef struct mail {
	void (*send)(uint32_t *flag);
	bool (*receive)(uint32_t *flag);
	uint32_t flag;
	int cargo;
} mail;

#define SEND(name, ...)                                                                                                \
	static void send_##name(uint32_t *flag)                                                                        \
	{                                                                                                              \
		__VA_ARGS__;                                                                                           \
	}
#define RECEIVE(name, ...)                                                                                             \
	static bool receive_##name(uint32_t *flag)                                                                     \
	{                                                                                                              \
		uint32_t seen = 1;                                                                                     \
		(void)seen;                                                                                            \
		return __VA_ARGS__;                                                                                    \
	}

SEND(store, fl__store_release(flag, 1))
SEND(swap, (void)fl__swap_release(flag, 1))
SEND(swap_both, (void)fl__swap_acq_rel(flag, 1))
SEND(add, (void)fl__add_release(flag, 1))
SEND(sub, (void)fl__sub_release(flag, UINT32_MAX))
SEND(sub_both, (void)fl__sub_acq_rel(flag, UINT32_MAX))
SEND(cas, FL_CHECK(fl__cas_release(flag, &(uint32_t){0}, 1)))
SEND(cas_both, FL_CHECK(fl__cas_acq_rel(flag, &(uint32_t){0}, 1)))
SEND(fence, fl__fence_release(); fl__store_relaxed(flag, 1))
SEND(fence_all, fl__fence_seq_cst(); fl__store_relaxed(flag, 1))
RECEIVE(load, fl__load_acquire(flag) == 1)
RECEIVE(swap, fl__swap_acquire(flag, 0) == 1)
RECEIVE(swap_both, fl__swap_acq_rel(flag, 0) == 1)
RECEIVE(or, fl__or_acquire(flag, 0) == 1)
RECEIVE(and, fl__and_acquire(flag, UINT32_MAX) == 1)
RECEIVE(sub_both, fl__sub_acq_rel(flag, 0) == 1)
RECEIVE(cas, fl__cas_acquire(flag, &seen, 2))
RECEIVE(cas_both, fl__cas_acq_rel(flag, &seen, 2))
RECEIVE(cas_weak, fl__cas_weak_acquire(flag, &seen, 2))
RECEIVE(cas_weak_both, fl__cas_weak_acq_rel(flag, &seen, 2))

static int post(void *arg)
{
	mail *m = arg;
	m->cargo = 42;
	m->send(&m->flag);
	return 0;
}

static bool received(void *arg)
{
	mail *m = arg;
	return m->receive(&m->flag);
}

static void pass_message(void (*send)(uint32_t *), bool (*receive)(uint32_t *))
{
	mail m = {send, receive, 0, 0};
	fl_thread *sender;
	fl_test_go(&sender, post, &m);
	fl_test_wait_until(received, &m);
	int cargo = m.cargo; /* before the join, which would order it too */
	fl_test_end(sender);
	assert_int_equal(cargo, 42);
}

FL_TEST(atomic_release_reaches_acquire)
{
	static void (*const sends[])(uint32_t *) = {send_store, send_swap, send_swap_both, send_add,
	                                            send_sub,   send_cas,  send_cas_both,  send_sub_both};
	static bool (*const receives[])(uint32_t *) = {
	    receive_load,     receive_swap, receive_swap_both, receive_or,       receive_and,
	    receive_sub_both, receive_cas,  receive_cas_both,  receive_cas_weak, receive_cas_weak_both};
	FL_EACH (i, sends)
		pass_message(sends[i], receive_load);
	FL_EACH (i, receives)
		pass_message(send_store, receives[i]);
}

static bool receive_through_fence(uint32_t *flag)
{
	if (fl__load_relaxed(flag) != 1)
		return false;
	fl__fence_acquire();
	return true;
}

/*
 * Both sides with fences, which ThreadSanitizer would report as a race if they were plain C11
 * fences. Its build understands a fence by the fence that it pairs with; C11 lets a fence pair with
 * an operation as well.
 */
FL_TEST(atomic_fence_pairs)
{
	pass_message(send_fence, receive_through_fence);
	pass_message(send_fence_all, receive_through_fence);
#ifndef FL__TSAN
	pass_message(send_fence, receive_load);
	pass_message(send_store, receive_through_fence);
#endif
}

/*
 * Store buffering: with a full fence between the store and the load, at least one thread sees the
 * other's store.
 */
typedef struct dekker {
	_Alignas(64) uint32_t stored[2];
	_Alignas(64) uint32_t seen[2];
	pthread_barrier_t turn;
	unsigned rounds, missed;
} dekker;

static void dekker_side(dekker *d, int me)
{
	for (unsigned i = 1; i <= d->rounds; i++) {
		(void)pthread_barrier_wait(&d->turn);
		fl__store_relaxed(&d->stored[me], i);
		fl__fence_seq_cst();
		d->seen[me] = fl__load_relaxed(&d->stored[1 - me]);
		(void)pthread_barrier_wait(&d->turn);
		if (me == 0)
			d->missed += d->seen[0] != i && d->seen[1] != i;
	}
}

static int dekker_other(void *arg)
{
	dekker_side(arg, 1);
	return 0;
}

FL_TEST(atomic_full_fence_orders_store_and_load)
{
	dekker d = {.rounds = fl_test_scaled(2000)};
	fl_thread *other;
	FL_OK(pthread_barrier_init(&d.turn, NULL, 2));
	fl_test_go(&other, dekker_other, &d);
	dekker_side(&d, 0);
	fl_test_end(other);
	FL_OK(pthread_barrier_destroy(&d.turn));
	assert_int_equal(d.missed, 0);
}

/* The lock under the lot. */
typedef struct guarded {
	uint32_t lock;
	unsigned count, rounds;
} guarded;

static int lock_once(void *arg)
{
	guarded *g = arg;
	fl__lock(&g->lock);
	g->count++;
	fl__unlock(&g->lock);
	return 0;
}

FL_TEST(lock_sleeps_and_is_woken)
{
	enum { HELD = 1, SLEEPERS = 8 }; /* lib/core/wait/lock.c */
	guarded g = {0, 0, 0};
	fl_thread *waiters[3];
	fl__lock(&g.lock);
	FL_EACH (i, waiters)
		fl_test_go(&waiters[i], lock_once, &g);
	FL_WAIT_FOR(fl__load_relaxed(&g.lock) == (HELD | SLEEPERS));
	unsigned count = g.count;
	fl__unlock(&g.lock);
	FL_END_ALL(waiters);
	assert_int_equal(count, 0);
	assert_int_equal(g.count, 3);
}
