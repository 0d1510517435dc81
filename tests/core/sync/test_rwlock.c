/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/sync/reader_bias.h"
#include "core/sync/rwlock.h"
#include "fl_child.h"
#include "fl_faults.h"
#include "fl_queued.h"

FL_CALL(read_briefly)
{
	int rc = fl_rwlock_read_lock_until(object, deadline, cancel);
	if (rc == 0)
		fl_rwlock_read_unlock(object);
	return rc;
}

FL_CALL(write_briefly)
{
	int rc = fl_rwlock_write_lock_until(object, deadline, cancel);
	if (rc == 0)
		fl_rwlock_write_unlock(object);
	return rc;
}

FL_TEST(rwlock_many_read_or_one_writes)
{
	fl_rwlock l = FL_RWLOCK_INIT;
	for (int i = 0; i < 3; i++) {
		fl_rwlock_read_lock(&l);
		FL_OK(fl_rwlock_try_read_lock(&l));
		FL_OK(fl_rwlock_read_lock_until(&l, FL_NO_WAIT, NULL));
		assert_true(fl__rwlock_is_read_locked(&l) && !fl__rwlock_is_write_locked(&l));
		FL_RC(fl_rwlock_try_write_lock(&l), -EAGAIN);
		FL_CHECK(fl__rwlock_is_busy(&l));
		for (int j = 0; j < 3; j++)
			fl_rwlock_read_unlock(&l);
		fl_rwlock_write_lock(&l);
		assert_true(!fl__rwlock_is_read_locked(&l) && fl__rwlock_is_write_locked(&l));
		FL_RC(fl_rwlock_try_read_lock(&l), -EAGAIN);
		FL_RC(fl_rwlock_try_write_lock(&l), -EAGAIN);
		FL_CHECK(fl__rwlock_is_busy(&l));
		fl_rwlock_write_unlock(&l);
		FL_OK(fl_rwlock_try_write_lock(&l));
		fl_rwlock_write_unlock(&l);
	}
}

FL_TEST(rwlock_until_gives_up)
{
	fl_rwlock l = FL_RWLOCK_INIT;
	const fl_time past[] = {{INT64_MIN}, FL_NO_WAIT, {1}, fl_now()};
	fl_rwlock_write_lock(&l);
	FL_EACH (i, past) {
		FL_RC(fl_rwlock_read_lock_until(&l, past[i], NULL), -ETIMEDOUT);
		FL_RC(fl_rwlock_write_lock_until(&l, past[i], NULL), -ETIMEDOUT);
	}
	fl_time deadline = fl_test_soon();
	FL_RC(fl_rwlock_read_lock_until(&l, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_time_is_past(deadline));
	FL_RC(fl_rwlock_read_lock_until(&l, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_rwlock_write_lock_until(&l, FL__TIME(INT64_MAX - 1), fl_test_requested), -ECANCELED);
	fl_rwlock_write_unlock(&l);
	FL_EACH (i, past) {
		FL_OK(fl_rwlock_read_lock_until(&l, past[i], fl_test_requested));
		FL_RC(fl_rwlock_write_lock_until(&l, past[i], NULL), -ETIMEDOUT);
		fl_rwlock_read_unlock(&l);
		FL_OK(fl_rwlock_write_lock_until(&l, past[i], fl_test_requested));
		fl_rwlock_write_unlock(&l);
	}
	FL_CHECK(!fl__rwlock_is_busy(&l));
	assert_int_equal(l.word_, 0); /* a wait that gave up left nothing */
}

FL_CALL(lock_plainly)
{
	FL_CANCEL_SCOPE(cancel);
	if (fl__is_forever(deadline)) {
		fl_rwlock_read_lock(object);
		fl_rwlock_read_unlock(object);
	} else {
		fl_rwlock_write_lock(object);
		fl_rwlock_write_unlock(object);
	}
	return 0;
}

FL_TEST(rwlock_plain_locking_is_never_cancelled)
{
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller reader, writer;
	fl_rwlock_write_lock(&l);
	fl_test_call_queued(&reader, lock_plainly, &l, &l, FL_FOREVER, &stop);
	fl_test_call_queued(&writer, lock_plainly, &l, &l, FL_NO_WAIT, &stop);
	FL_CHECK(fl__rwlock_is_busy(&l));
	fl_cancel_token_request(&stop);
	assert_int_equal(fl_test_queued(&l), 2);
	fl_rwlock_write_unlock(&l);
	FL_OK(fl_test_call_end(&reader));
	FL_OK(fl_test_call_end(&writer));
}

FL_TEST(rwlock_misuse_panics)
{
	fl_rwlock l = FL_RWLOCK_INIT;
	FL_PANICS_OF("fl_rwlock_read_unlock", &l, fl_rwlock_read_unlock(&l));
	FL_PANICS(fl_rwlock_write_unlock(&l));
	FL_PANICS(fl_rwlock_downgrade(&l));
	FL_PANICS(fl_rwlock_assert_read_held(&l));
	FL_PANICS(fl_rwlock_assert_write_held(&l));
	assert_int_equal(l.word_, 0); /* as it was before */
	fl_rwlock_read_lock(&l);
	fl_rwlock_assert_read_held(&l);
	FL_PANICS(fl_rwlock_write_unlock(&l));
	FL_PANICS(fl_rwlock_downgrade(&l));
	FL_PANICS(fl_rwlock_assert_write_held(&l));
	fl_rwlock_read_unlock(&l);
	fl_rwlock_write_lock(&l);
	fl_rwlock_assert_read_held(&l);
	fl_rwlock_assert_write_held(&l);
	FL_PANICS(fl_rwlock_read_unlock(&l));
	fl_rwlock_write_unlock(&l);
	assert_int_equal(l.word_, 0);
}

FL_TEST(rwlock_too_many_readers_panic)
{
	fl_rwlock l = {1u << 26, 0};
	FL_PANICS(fl_rwlock_read_lock(&l));
	FL_PANICS(FL_IGNORE(fl_rwlock_try_read_lock(&l)));
	FL_PANICS(FL_IGNORE(fl_rwlock_read_lock_until(&l, FL_NO_WAIT, NULL)));
	assert_int_equal(l.word_, 1u << 26);
}

FL_TEST(rwlock_scopes)
{
	fl_rwlock l = FL_RWLOCK_INIT;
	for (int i = 0; i < 3; i++) {
		FL_READ_LOCKED(&l);
		assert_true(fl__rwlock_is_read_locked(&l));
		if (i == 1)
			continue;
	}
	assert_int_equal(l.word_, 0);
	do {
		FL_WRITE_LOCKED(&l);
		assert_true(fl__rwlock_is_write_locked(&l));
		break;
	} while (true);
	assert_int_equal(l.word_, 0);
}

/* Waiters are served in the order of arrival: a writer, a run of readers together, a writer. */
typedef struct parade {
	fl_rwlock lock;
	uint32_t inside, n;
	uint32_t order[8];
} parade;

static int march(void *arg, fl_time number, fl_cancel_token *cancel)
{
	parade *p = arg;
	if (number.ns < 0) { /* both readers must be inside together */
		fl_rwlock_read_lock(&p->lock);
		fl__add_relaxed(&p->inside, 1);
		FL_WAIT_FOR(fl__load_relaxed(&p->inside) == 2);
		p->order[fl__add_relaxed(&p->n, 1)] = 9;
		fl_rwlock_read_unlock(&p->lock);
	} else {
		fl_rwlock_write_lock(&p->lock);
		p->order[fl__add_relaxed(&p->n, 1)] = (uint32_t)number.ns;
		fl_rwlock_write_unlock(&p->lock);
	}
	return 0;
}

FL_TEST(rwlock_serves_in_order)
{
	static const int numbers[] = {1, -1, -1, 2, 3};
	static const uint32_t expected[] = {1, 9, 9, 2, 3};
	enum { N = 5 };
	parade p = {.n = 0};
	fl_test_caller callers[N];
	fl_rwlock_write_lock(&p.lock);
	FL_EACH (i, callers)
		fl_test_call_queued(&callers[i], march, &p, &p.lock, FL__TIME(numbers[i]), NULL);
	fl_rwlock_write_unlock(&p.lock);
	fl_test_calls_end(callers, N);
	assert_memory_equal(p.order, expected, sizeof expected);
}

/* rw_prefer_writer_stall (glibc 23861), and what the header says of overtaking. */
FL_TEST(rwlock_long_waiter_is_not_overtaken)
{
	FL_FAULTS();
	fl_test_caller writer, reader;
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_rwlock_read_lock(&l);
	fl_test_clock_stands();
	fl_test_call_start(&writer, write_briefly, &l, FL_FOREVER, NULL);
	while (fl_test_queued(&l) == 0)
		fl__sys.yield();
	FL_OK(fl_rwlock_try_read_lock(&l));
	fl_rwlock_read_unlock(&l);
	fl__add_relaxed(&fl_test_time, FL_MS(2));
	FL_OK(fl_rwlock_try_read_lock(&l)); /* the last one */
	fl_rwlock_read_unlock(&l);
	FL_RC(fl_rwlock_try_read_lock(&l), -EAGAIN);
	FL_RC(fl_rwlock_read_lock_until(&l, FL_NO_WAIT, NULL), -ETIMEDOUT);
	fl_test_call_start(&reader, read_briefly, &l, FL_FOREVER, NULL);
	while (fl_test_queued(&l) == 1)
		fl__sys.yield();
	fl_rwlock_read_unlock(&l);
	FL_OK(fl_test_call_end(&writer));
	FL_OK(fl_test_call_end(&reader));
	assert_int_equal(l.word_, 0);
}

/*
 * rw_timeout_clears_parked (parking_lot #465): a waiter that gives up does not hide the waiters
 * behind it.
 */
FL_TEST(rw_timeout_clears_parked)
{
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_test_caller first, second, third, fourth;
	fl_rwlock_write_lock(&l);
	fl_test_call_queued(&first, write_briefly, &l, &l, FL_FOREVER, &stop);
	fl_test_call_queued(&second, read_briefly, &l, &l, fl_after(FL_MS(5)), NULL);
	fl_test_begin_wait(&third, write_briefly, &l);
	fl_test_begin_wait(&fourth, read_briefly, &l);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&first), -ECANCELED);
	FL_RC(fl_test_call_end(&second), -ETIMEDOUT);
	assert_int_equal(fl_test_queued(&l), 2);
	fl_rwlock_write_unlock(&l);
	FL_OK(fl_test_call_end(&third));
	FL_OK(fl_test_call_end(&fourth));
}

FL_TEST(rwlock_downgrade_lets_readers_in)
{
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_test_caller readers[2], writer;
	fl_rwlock_write_lock(&l);
	fl_test_begin_waits(readers, 2, read_briefly, &l);
	fl_test_begin_wait(&writer, write_briefly, &l);
	fl_rwlock_downgrade(&l);
	fl_test_calls_end(readers, 2);
	assert_true(fl__rwlock_is_read_locked(&l));
	assert_int_equal(fl_test_queued(&l), 1);
	fl_rwlock_read_unlock(&l);
	FL_OK(fl_test_call_end(&writer));
	assert_int_equal(l.word_, 0);
}

/* The bias for readers: lib/core/sync/reader_bias.h. */

static const uint32_t biased = FL__BIAS + FL__BIAS_UNITS;

/* A biased lock that the calling thread has read before. */
static void make_biased(fl_rwlock *l)
{
	*l = (fl_rwlock){biased, 0};
	fl__bias_note(l);
}

static int unlock_for_another(void *l)
{
	fl_rwlock_read_unlock(l);
	return 0;
}

static void *make_biased_and_lock(void *l)
{
	make_biased(l);
	fl_rwlock_read_lock(l);
	return NULL;
}

/* Readers that meet begin it; then a read lock leaves the word alone; a writer ends it. */
FL_TEST(rwlock_readers_that_meet_begin_a_bias)
{
	FL_FAULTS();
	fl_rwlock l = FL_RWLOCK_INIT;
	fl_test_clock_ours();
	fl_test_ahead = FL_S(1); /* after the rest of a lock that was here */
	fl_rwlock_read_lock(&l);
	for (int i = 0; i <= FL__BIAS_PATIENCE && l.word_ == 1; i++)
		FL_OK(read_briefly(&l, FL_NO_WAIT, NULL));
	fl_rwlock_read_unlock(&l);
	assert_int_equal(l.word_, biased);
	assert_false(fl__rwlock_is_read_locked(&l));
	fl_rwlock_read_lock(&l);
	assert_int_equal(l.word_, biased);
	assert_int_equal(fl__bias_slots_of(&l), 1);
	assert_true(fl__rwlock_is_read_locked(&l) && !fl__rwlock_is_write_locked(&l));
	fl_rwlock_assert_read_held(&l);
	FL_RC(fl_rwlock_try_write_lock(&l), -EAGAIN);
	assert_int_equal(l.word_, 1); /* the reader is counted now */
	fl_rwlock_read_unlock(&l);
	fl_rwlock_write_lock(&l);
	fl_rwlock_downgrade(&l);
	fl_rwlock_read_unlock(&l);
	assert_int_equal(l.word_, 0);
}

FL_TEST(rwlock_biased_waits_and_tries)
{
	fl_rwlock l;
	fl_test_caller writer;
	make_biased(&l);
	FL_OK(fl_rwlock_try_read_lock(&l));
	FL_RC(fl_rwlock_write_lock_until(&l, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_rwlock_write_lock_until(&l, FL_FOREVER, fl_test_requested), -ECANCELED);
	fl_test_begin_wait(&writer, write_briefly, &l);
	fl_rwlock_read_unlock(&l);
	FL_OK(fl_test_call_end(&writer));
	assert_int_equal(l.word_, 0);
}

/* A thread finds its slot although it reads another lock of the same hash, which is not biased. */
FL_TEST(rwlock_biased_beside_another_lock)
{
	fl_rwlock locks[64 * 8 + 1] = {FL_RWLOCK_INIT}, *l = &locks[0], *other = NULL;
	for (size_t i = 1; i < sizeof locks / sizeof *locks && !other; i++)
		if (fl__bias_hash(&locks[i]) == fl__bias_hash(l))
			other = &locks[i];
	assert_non_null(other);
	make_biased(l);
	fl_rwlock_read_lock(l);
	FL_OK(read_briefly(other, FL_NO_WAIT, NULL));
	fl_rwlock_read_unlock(l);
	assert_int_equal(fl__bias_slots_of(l), 0);
	assert_int_equal(l->word_, biased);
	FL_OK(write_briefly(l, FL_NO_WAIT, NULL));
}

/* The last waiter's turn: a biased reader does not overtake it either. */
FL_TEST(rwlock_biased_and_closed)
{
	fl_rwlock l;
	make_biased(&l);
	l.word_ |= FL__BIAS_CLOSED;
	FL_RC(fl_rwlock_try_read_lock(&l), -EAGAIN);
	l.word_ = biased;
	FL_OK(write_briefly(&l, FL_NO_WAIT, NULL));
}

/* Any context may unlock; a thread that ends leaves its read lock. */
FL_TEST(rwlock_biased_unlock_by_another_context)
{
	fl_rwlock l;
	(void)make_biased_and_lock(&l);
	fl_test_on_thread(unlock_for_another, &l);
	assert_false(fl__rwlock_is_read_locked(&l));
	fl_rwlock_read_lock(&l);
	assert_true(fl__rwlock_is_read_locked(&l));
	FL_RC(fl_rwlock_try_write_lock(&l), -EAGAIN);
	fl_rwlock_read_unlock(&l);
	FL_OK(write_briefly(&l, FL_NO_WAIT, NULL));
	(void)fl_test_foreign(make_biased_and_lock, &l);
	assert_true(fl__rwlock_is_read_locked(&l));
	FL_RC(fl_rwlock_try_write_lock(&l), -EAGAIN);
	fl_rwlock_read_unlock(&l);
	FL_CHECK(!fl__rwlock_is_busy(&l));
}

/* A slot whose reader another context unlocked does not outlive the lock. */
FL_TEST(rwlock_biased_memory_is_used_again)
{
	fl_rwlock l;
	(void)make_biased_and_lock(&l);
	fl_test_on_thread(unlock_for_another, &l);
	assert_int_equal(fl__bias_slots_of(&l), 1);
	fl_rwlock_destroy(&l);
	assert_int_equal(fl__bias_slots_of(&l), 0);
	make_biased(&l);
	FL_OK(write_briefly(&l, FL_NO_WAIT, NULL));
}

FL_TEST(rwlock_biased_misuse_panics)
{
	fl_rwlock l;
	make_biased(&l);
	FL_PANICS(fl_rwlock_write_unlock(&l));
	FL_PANICS(fl_rwlock_downgrade(&l));
	FL_PANICS(fl_rwlock_assert_read_held(&l));
	FL_PANICS(fl_rwlock_assert_write_held(&l));
	fl_rwlock_read_unlock(&l); /* unnoticed until the bias ends */
	FL_PANICS_OF("fl_rwlock_read_unlock", &l, fl_rwlock_write_lock(&l));
}

/* After the end of a bias the lock rests for about that time. */
static void check_rest(fl_rwlock *l, int64_t least, int64_t most)
{
	FL_OK(write_briefly(l, FL_NO_WAIT, NULL));
	fl_rwlock_read_lock(l);
	fl_test_time += least;
	fl__bias_begin(l);
	assert_int_equal(l->word_, 1);
	fl_test_time += most - least;
	fl__bias_begin(l);
	assert_int_equal(l->word_, 1 + biased);
	fl_rwlock_read_unlock(l);
}

/* Longer, if the bias did not pay. */
FL_TEST(rwlock_rests_after_a_bias)
{
	FL_FAULTS();
	fl_rwlock l;
	const int64_t later = fl_after(FL_S(10)).ns;
	make_biased(&l);
	fl_test_clock_stands();
	fl_test_time = later;
	fl_test_tick = FL_US(1); /* each end of a bias takes a microsecond */
	check_rest(&l, FL_US(7), FL_US(12));
	check_rest(&l, FL_US(500), FL_US(520));
	FL_OK(write_briefly(&l, FL_NO_WAIT, NULL));
}

/* In a child a new lock may stand where a thread of the parent reads a biased one. */
static void lock_anew(void *arg)
{
	fl_rwlock *l = arg;
	make_biased(l);
	assert_int_equal(fl__bias_slots_of(l), 0);
	FL_OK(write_briefly(l, FL_NO_WAIT, NULL));
}

FL_TEST(rwlock_of_a_forked_child_has_no_reader_of_the_parent)
{
	fl_rwlock l;
	(void)make_biased_and_lock(&l);
	assert_int_equal(fl__bias_slots_of(&l), 1);
	FL_IN_CHILD(lock_anew, &l);
	fl_rwlock_read_unlock(&l);
}
