/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_shm.h"

typedef struct account {
	int64_t balance;
	char name[24];
} account;

FL_SHM_ARRAY_OF(account, accounts)
FL_SHM_ARRAY_OF(uint8_t, byte_array)

FL_TEST(shm_array_is_shared)
{
	FL_SCOPED(fl_shm) *region = region_of(64 * 1024), *other = NULL;
	FL_OK(fl_shm_attach(&other, fl_shm_fd(region)));
	accounts a, b;
	FL_OK(accounts_create(&a, region, 100));
	FL_OK(accounts_attach(&b, other, accounts_offset(&a)));
	assert_int_equal(accounts_length(&b), 100);
	assert_int_equal(fl_shm_array_length(&a.array_), 100);
	assert_int_equal(fl_shm_array_offset(&a.array_), accounts_offset(&b));
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(accounts_at(&a, i)->balance, 0);
		accounts_at(&a, i)->balance = (int64_t)i;
	}
	for (size_t i = 0; i < 100; i++)
		assert_int_equal(accounts_at(&b, i)->balance, i);
	assert_ptr_equal(fl_shm_array_at(&a.array_, 1, sizeof(account)), accounts_at(&a, 1));
	FL_OK(fl_shm_mutex_lock(accounts_mutex(&a)));
	assert_true(fl_shm_mutex_is_locked(accounts_mutex(&b)));
	fl_shm_mutex_unlock(fl_shm_array_mutex(&a.array_));
	accounts_destroy(&a);
	FL_OK(accounts_create(&b, region, 100)); /* zeroed again */
	assert_int_equal(accounts_at(&b, 99)->balance, 0);
}

FL_TEST(shm_array_index_out_of_bounds)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	byte_array a;
	FL_OK(byte_array_create(&a, region, 10));
	*byte_array_at(&a, 9) = 1;
	FL_PANICS((void)byte_array_at(&a, 10));
	FL_PANICS((void)byte_array_at(&a, SIZE_MAX));
	assert_string_equal(fl_test_panic.function, "fl_shm_array_at");
	byte_array_destroy(&a);
	SHM_FAULTS();
	byte_array_destroy(&a); /* as fl_shm_block_free(): left alone, and logged */
	fl_shm_array_destroy(&a.array_);
	assert_int_equal(fl_test_logs, 2);
}

FL_TEST(shm_array_create_refuses)
{
	SHM_FAULTS();
	FL_SCOPED(fl_shm) *region = region_of(4096), *reader = NULL;
	fl_shm_array a;
	FL_RC(fl_shm_array_create(&a, region, 0, 1), -EINVAL);
	FL_RC(fl_shm_array_create(&a, region, 1, 0), -EINVAL);
	FL_RC(fl_shm_array_create(&a, region, 1, 4096), -ENOMEM);
	FL_RC(fl_shm_array_create(&a, region, SIZE_MAX / 2, 3), -ENOMEM);
	FL_RC(fl_shm_array_create(&a, region, 1, SIZE_MAX - 64), -ENOMEM);
	uint32_t *word = fl__shm_word(&region->head->arena.lock);
	*word = 1;
	fl_test_no_patience();
	FL_RC(fl_shm_array_create(&a, region, 1, 1), -ETIMEDOUT);
	*word = 0;
	uint32_t units = region->arena.map[0];
	region->arena.map[0] = 0;
	FL_RC(fl_shm_array_create(&a, region, 1, 1), -EBADMSG);
	region->arena.map[0] = units;
	FL_OK(fl_shm_array_create(&a, region, 1, 1));
	FL_OK(fl_shm_seal(region));
	FL_OK(fl_shm_attach(&reader, fl_shm_fd(region)));
	FL_RC(fl_shm_array_create(&a, reader, 1, 1), -EROFS);
}

FL_TEST(shm_array_open_refuses)
{
	FL_SCOPED(fl_shm) *region = region_of(64 * 1024);
	fl_shm_array a, b;
	FL_OK(fl_shm_array_create(&a, region, 8, 100));
	fl_shm_offset at = fl_shm_array_offset(&a);
	uint64_t *head = fl_shm_at(region, at, 24);
	FL_OK(fl_shm_array_attach(&b, region, at, 8));
	FL_RC(fl_shm_array_attach(&b, region, at, 4), -EBADMSG);
	FL_RC(fl_shm_array_attach(&b, region, at, 0), -EBADMSG);
	FL_RC(fl_shm_array_attach(&b, region, 0, 8), -EBADMSG);
	FL_RC(fl_shm_array_attach(&b, region, at + 8, 8), -EBADMSG);
	FL_RC(fl_shm_array_attach(&b, region, at + 256, 8), -EBADMSG);
	FL_RC(fl_shm_array_attach(&b, region, UINT64_MAX - 255, 8), -EBADMSG);
	static const uint64_t lengths[] = {0, 8192, 8192 - 15, UINT64_MAX, UINT64_MAX / 8, UINT64_MAX / 8 - 15};
	FL_EACH (i, lengths) {
		head[2] = lengths[i];
		FL_RC(fl_shm_array_attach(&b, region, at, 8), -EBADMSG);
	}
	assert_int_equal(fl_shm_array_length(&a), 100); /* an earlier opener keeps its own length */
	head[2] = 100;
	head[0]++;
	FL_RC(fl_shm_array_attach(&b, region, at, 8), -EBADMSG);
}

FL_TEST(shm_array_random_bytes)
{
	SHM_FAULTS();
	unsigned random = 5;
	fl_test_no_patience();
	for (int round = 0; round < 1000; round++) {
		FL_SCOPED(fl_shm) *region = region_of(16 * 1024);
		accounts a, b;
		FL_OK(accounts_create(&a, region, 50));
		fl_test_scribble(region, &random, round % 2 ? 1 : 64);
		for (size_t i = 0; i < 50; i++)
			accounts_at(&a, i)->balance++;
		if (accounts_attach(&b, region, accounts_offset(&a)) == 0)
			accounts_at(&b, accounts_length(&b) - 1)->balance++;
		int rc = fl_shm_mutex_try_lock(accounts_mutex(&a));
		if (rc == 0 || rc == -EOWNERDEAD)
			fl_shm_mutex_unlock(accounts_mutex(&a));
	}
}

static void move_and_die(void *arg)
{
	const accounts *a = arg;
	FL_OK(fl_shm_mutex_lock(accounts_mutex(a)));
	accounts_at(a, 0)->balance -= 10;
	(void)raise(SIGKILL);
}

/*
 * Killed between the two halves of a change: the next owner gets the report, repairs, and the array
 * is intact again.
 */
FL_TEST(shm_array_owner_dies_half_way)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	accounts a;
	FL_OK(accounts_create(&a, region, 2));
	accounts_at(&a, 0)->balance = 100;
	assert_true(WIFSIGNALED(fl_test_child(move_and_die, &a, NULL, 0)));
	FL_RC(fl_shm_mutex_lock(accounts_mutex(&a)), -EOWNERDEAD);
	accounts_at(&a, 1)->balance = 100 - accounts_at(&a, 0)->balance;
	fl_shm_mutex_recover(accounts_mutex(&a));
	fl_shm_mutex_unlock(accounts_mutex(&a));
	FL_SHM_LOCKED(rc, accounts_mutex(&a));
	FL_OK(rc);
	assert_int_equal(accounts_at(&a, 0)->balance + accounts_at(&a, 1)->balance, 100);
}
