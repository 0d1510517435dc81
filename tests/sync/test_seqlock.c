/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_faults.h"
#include "fl_in_loop.h"
#include "fl_queued.h"
#include "fl_test.h"

FL_TEST(seqlock_all_zero_is_valid)
{
	fl_seqlock l = FL_SEQLOCK_INIT, zero, made;
	memset(&zero, 0, sizeof zero);
	memset(&made, 0xff, sizeof made);
	fl_seqlock_init(&made);
	assert_memory_equal(&l, &zero, sizeof l);
	assert_memory_equal(&made, &zero, sizeof made);
	FL_OK(fl_seqlock_destroy(&l));
}

/* Each size and alignment, and nothing beyond it. */
FL_TEST(seqlock_copies_any_size_and_alignment)
{
	enum { MOST = 67, SPACE = MOST + 32 };
	fl_seqlock l = FL_SEQLOCK_INIT;
	for (size_t at = 0; at < 16; at++)
		for (size_t size = 0; size <= MOST; size++) {
			_Alignas(16) unsigned char shared[SPACE], from[SPACE], to[SPACE], expected[SPACE];
			for (size_t i = 0; i < SPACE; i++)
				from[i] = (unsigned char)(i * 7 + size + 1);
			memset(shared, 0, sizeof shared);
			memset(to, 0, sizeof to);
			memset(expected, 0, sizeof expected);
			memcpy(expected + at, from + 3, size);
			fl_seqlock_write(&l, shared + at, from + 3, size);
			assert_memory_equal(shared, expected, SPACE);
			memset(expected, 0, sizeof expected);
			memcpy(expected + 5, from + 3, size);
			fl_seqlock_read(&l, to + 5, shared + at, size);
			assert_memory_equal(to, expected, SPACE);
		}
}

FL_TEST(seqlock_read_by_hand)
{
	fl_seqlock l = FL_SEQLOCK_INIT;
	int shared = 0, mine = 1;
	uint64_t seen = fl_seqlock_read_begin(&l);
	fl_seqlock_load(&mine, &shared, sizeof mine);
	assert_false(fl_seqlock_read_retry(&l, seen));
	assert_int_equal(mine, 0);
	mine = 5;
	fl_seqlock_write_begin(&l);
	assert_true(fl_seqlock_read_retry(&l, seen));
	fl_seqlock_store(&shared, &mine, sizeof mine);
	fl_seqlock_write_end(&l);
	assert_true(fl_seqlock_read_retry(&l, seen));
	seen = fl_seqlock_read_begin(&l);
	assert_false(fl_seqlock_read_retry(&l, seen));
	assert_int_equal(shared, 5);
}

FL_TEST(seqlock_tries_and_gives_up_while_it_is_written)
{
	fl_seqlock l = FL_SEQLOCK_INIT;
	int shared = 3, mine = 0;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_cancel_token_request(&stop);
	FL_OK(fl_seqlock_try_write_begin(&l));
	FL_RC(fl_seqlock_try_write_begin(&l), -EBUSY);
	FL_RC(fl_seqlock_write_begin_until(&l, 0, NULL), -ETIMEDOUT);
	FL_RC(fl_seqlock_write_begin_until(&l, FL_FOREVER, &stop), -ECANCELED);
	FL_RC(fl_seqlock_try_read(&l, &mine, &shared, sizeof mine), -EBUSY);
	FL_RC(fl_seqlock_read_until(&l, &mine, &shared, sizeof mine, 0, NULL), -ETIMEDOUT);
	int64_t deadline = fl_after(FL_MS(1));
	FL_RC(fl_seqlock_read_until(&l, &mine, &shared, sizeof mine, deadline, NULL), -ETIMEDOUT);
	assert_true(fl_now() >= deadline);
	FL_RC(fl_seqlock_read_until(&l, &mine, &shared, sizeof mine, FL_FOREVER, &stop), -ECANCELED);
	FL_RC(fl_seqlock_destroy(&l), -EBUSY);
	fl_seqlock_write_end(&l);
	FL_OK(fl_seqlock_try_read(&l, &mine, &shared, sizeof mine));
	assert_int_equal(mine, 3);
	mine = 0;
	FL_OK(fl_seqlock_read_until(&l, &mine, &shared, sizeof mine, 0, &stop));
	assert_int_equal(mine, 3);
	FL_OK(fl_seqlock_write_begin_until(&l, 0, &stop));
	fl_seqlock_write_end(&l);
	FL_OK(fl_seqlock_destroy(&l));
}

FL_TEST(seqlock_end_without_begin_panics)
{
	fl_seqlock l = FL_SEQLOCK_INIT;
	FL_PANICS(fl_seqlock_write_end(&l));
	assert_string_equal(fl_test_panic.function, "fl_seqlock_write_end");
	assert_ptr_equal(fl_test_panic.object, &l);
	FL_OK(fl_seqlock_destroy(&l));
}

/* Both ends of a value, far apart. */
typedef struct value {
	uint64_t first;
	unsigned char between[50];
	uint64_t last;
} __attribute__((packed)) value;

typedef struct board {
	fl_seqlock lock;
	uint32_t done;
	unsigned rounds;
	char odd;
	value shared; /* not aligned */
} board;

static int read_value(void *arg, int64_t deadline, fl_cancel_token *cancel)
{
	board *b = arg;
	value v;
	int rc = fl_seqlock_read_until(&b->lock, &v, &b->shared, sizeof v, deadline, cancel);
	FL_CHECK(rc != 0 || v.first == v.last);
	return rc;
}

FL_TEST(seqlock_readers_sleep_while_it_is_written)
{
	enum { N = 3 };
	board b = {.lock = FL_SEQLOCK_INIT};
	fl_test_caller callers[N], late;
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT;
	fl_seqlock_write_begin(&b.lock);
	for (int i = 0; i < N; i++)
		fl_test_call_queued(&callers[i], read_value, &b, &b.lock.sequence_, FL_FOREVER, NULL);
	fl_test_call_queued(&late, read_value, &b, &b.lock.sequence_, FL_FOREVER, &stop);
	fl_cancel_token_request(&stop);
	FL_RC(fl_test_call_end(&late), -ECANCELED);
	fl_seqlock_write_end(&b.lock);
	for (int i = 0; i < N; i++)
		FL_OK(fl_test_call_end(&callers[i]));
	FL_OK(fl_seqlock_destroy(&b.lock));
}

FL_TEST(seqlock_destroy_of_a_waited_one)
{
	board b = {.lock = FL_SEQLOCK_INIT};
	fl_test_caller reader;
	fl_seqlock_write_begin(&b.lock);
	fl_test_call_queued(&reader, read_value, &b, &b.lock.sequence_, FL_FOREVER, NULL);
	FL_RC(fl_seqlock_destroy(&b.lock), -EBUSY);
	fl_seqlock_write_end(&b.lock);
	FL_OK(fl_test_call_end(&reader));
	FL_OK(fl_seqlock_destroy(&b.lock));
}

static int write_values(void *arg)
{
	board *b = arg;
	for (unsigned i = 0; i < b->rounds; i++) {
		value v;
		fl_seqlock_write_begin(&b->lock);
		fl_seqlock_load(&v, &b->shared, sizeof v);
		v.first++, v.last++;
		fl_seqlock_store(&b->shared, &v, sizeof v);
		fl_seqlock_write_end(&b->lock);
	}
	fl__add_release(&b->done, 1);
	return 0;
}

static int read_values(void *arg)
{
	board *b = arg;
	value v = {.first = 0}, before;
	while (fl__load_acquire(&b->done) < 2) {
		before = v;
		fl_seqlock_read(&b->lock, &v, &b->shared, sizeof v);
		FL_CHECK(v.first == v.last && v.first >= before.first);
	}
	return 0;
}

FL_TEST(seqlock_torn)
{
	board b = {.lock = FL_SEQLOCK_INIT, .rounds = fl_test_scaled(50000)};
	fl_thread writers[2], readers[2];
	for (int i = 0; i < 2; i++) {
		fl_test_go(&readers[i], read_values, &b);
		fl_test_go(&writers[i], write_values, &b);
	}
	for (int i = 0; i < 2; i++) {
		fl_test_end(&writers[i]);
		fl_test_end(&readers[i]);
	}
	value v;
	FL_OK(fl_seqlock_try_read(&b.lock, &v, &b.shared, sizeof v));
	assert_int_equal(v.first, 2 * b.rounds);
}

/*
 * The writer is a fiber of the same thread that waits inside of the write, which is wrong in a
 * program: the reader does not keep it from continuing.
 */
static int write_slowly(void *arg)
{
	board *b = arg;
	fl_seqlock_write_begin(&b->lock);
	fl_test_look();
	fl_seqlock_write_end(&b->lock);
	return 0;
}

static int read_in_fiber(void *arg)
{
	return read_value(arg, FL_FOREVER, NULL);
}

static int in_fibers(void *arg)
{
	board *b = arg;
	fl_fiber *writer = fl_test_start(write_slowly, b);
	fl_fiber_yield();
	FL_CHECK(fl_seqlock_try_write_begin(&b->lock) == -EBUSY);
	fl_fiber *reader = fl_test_start(read_in_fiber, b);
	FL_CHECK(fl_test_join(reader) == 0 && fl_test_join(writer) == 0);
	return 0;
}

FL_TEST(seqlock_among_fibers_of_one_thread_ends)
{
	board b = {.lock = FL_SEQLOCK_INIT};
	fl_test_in_loop(in_fibers, &b);
	FL_OK(fl_seqlock_destroy(&b.lock));
}
