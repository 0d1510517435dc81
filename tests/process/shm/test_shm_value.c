/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_queued.h"
#include "fl_shm.h"

/* Of an odd size: its last word is half used. */
typedef struct triple {
	uint32_t a, b, c;
} triple;

FL_SHM_VALUE_OF(triple, shared_triple)
FL_SHM_VALUE_OF(uint8_t, shared_byte)

typedef struct page {
	uint64_t words[512];
} page;
FL_SHM_VALUE_OF(page, shared_page)

FL_TEST(shm_value_is_zero_to_begin_with)
{
	shared_triple t = {0};
	triple now = shared_triple_get(&t);
	assert_int_equal(now.a | now.b | now.c, 0);
	for (uint32_t i = 1; i < 5; i++) {
		FL_OK(shared_triple_set(&t, (triple){i, 2 * i, 3 * i}));
		now = shared_triple_get(&t);
		assert_true(now.a == i && now.b == 2 * i && now.c == 3 * i);
	}
	shared_byte b = {0};
	FL_OK(shared_byte_set(&b, 200));
	assert_int_equal(shared_byte_get(&b), 200);
	assert_int_equal(sizeof(shared_byte), 64);
}

static int add(triple *value, void *arg)
{
	if (value->a + *(uint32_t *)arg > 10)
		return -ERANGE;
	value->a += *(uint32_t *)arg;
	return 0;
}

FL_TEST(shm_value_update)
{
	shared_triple t = {0};
	uint32_t four = 4;
	FL_OK(shared_triple_update(&t, add, &four));
	FL_OK(shared_triple_update(&t, add, &four));
	/* The function's result; nothing has changed. */
	FL_RC(shared_triple_update(&t, add, &four), -ERANGE);
	assert_int_equal(shared_triple_get(&t).a, 8);
}

static shared_triple *meddled;

/* Another one sets the value while the first call runs. */
static int add_slowly(triple *value, void *arg)
{
	unsigned *calls = arg;
	if (++*calls < 3)
		FL_OK(shared_triple_set(meddled, (triple){*calls * 100, 0, 0}));
	value->a++;
	return 0;
}

FL_TEST(shm_value_update_begins_again)
{
	shared_triple t = {0};
	unsigned calls = 0;
	meddled = &t;
	FL_OK(shared_triple_update(&t, add_slowly, &calls));
	assert_int_equal(calls, 3);
	assert_int_equal(shared_triple_get(&t).a, 201);
}

FL_TEST(shm_value_set_if)
{
	shared_triple t = {0};
	triple now, next = {1, 2, 3};
	uint32_t changes = fl_shm_value_get(&t.value_, &now, sizeof now);
	FL_OK(fl_shm_value_set_if(&t.value_, changes, &next, sizeof next));
	FL_RC(fl_shm_value_set_if(&t.value_, changes, &now, sizeof now), -ESTALE);
	assert_int_equal(fl_shm_value_get(&t.value_, &now, sizeof now), changes + 1);
	assert_int_equal(now.b, 2);
	t.value_.changes_ = UINT32_MAX; /* wraps around */
	FL_OK(fl_shm_value_set(&t.value_, &next, sizeof next));
	FL_OK(fl_shm_value_get(&t.value_, &now, sizeof now));
	assert_int_equal(now.c, 3);
}

/* A process that is stopped inside of a set delays other sets, but no gets. */
FL_TEST(shm_value_of_a_stopped_process)
{
	SHM_FAULTS();
	shared_triple t = {0};
	triple seven = {7, 7, 7}, now;
	uint32_t *word = fl__shm_word((struct fl__shm_lock *)(void *)t.value_.lock_);
	FL_OK(shared_triple_set(&t, seven));
	fl_test_no_patience();
	*word = 1;
	memset(t.copies_[0], 0x55, sizeof t.copies_[0]); /* half a value */
	FL_RC(fl_shm_value_set(&t.value_, &seven, sizeof seven), -ETIMEDOUT);
	FL_RC(fl_shm_value_set_if(&t.value_, 1, &seven, sizeof seven), -ETIMEDOUT);
	assert_int_equal(fl_shm_value_get(&t.value_, &now, sizeof now), 1);
	assert_int_equal(now.c, 7);
	*word = fl__sys.thread_id();
	FL_RC(fl_shm_value_set(&t.value_, &seven, sizeof seven), -EBADMSG);
	FL_RC(fl_shm_value_set_if(&t.value_, 1, &seven, sizeof seven), -EBADMSG);
	*word = 0;
	FL_OK(shared_triple_set(&t, (triple){8, 8, 8}));
	assert_int_equal(shared_triple_get(&t).c, 8);
}

FL_TEST(shm_value_random_bytes)
{
	SHM_FAULTS();
	unsigned random = 3;
	fl_test_no_patience();
	for (int round = 0; round < 1000; round++) {
		shared_page v;
		uint32_t four = 4;
		for (size_t i = 0; i < sizeof v; i++)
			((unsigned char *)&v)[i] = (unsigned char)fl_test_random(&random);
		if (round % 8 != 0)
			memset(v.value_.lock_, 0, sizeof v.value_.lock_);
		page p = shared_page_get(&v);
		p.words[511]++;
		int rc = shared_page_set(&v, p);
		assert_true(rc == 0 || (rc == -ETIMEDOUT && round % 8 == 0));
		if (rc == 0)
			assert_int_equal(shared_page_get(&v).words[511], p.words[511]);
		shared_triple t;
		memcpy(&t, &v, sizeof t);
		rc = shared_triple_update(&t, add, &four);
		assert_true(rc == 0 || rc == -ERANGE || (rc == -ETIMEDOUT && round % 8 == 0));
	}
}

/* A region that is read-only here: gets work. */
FL_TEST(shm_value_get_in_a_sealed_region)
{
	FL_SCOPED(fl_shm) *region = region_of(4096), *reader = NULL;
	shared_triple *t = fl_shm_block_alloc(region, sizeof *t);
	FL_OK(fl_shm_seal(region));
	FL_OK(fl_shm_attach(&reader, fl_shm_fd(region)));
	FL_OK(shared_triple_set(t, (triple){1, 2, 3}));
	assert_int_equal(shared_triple_get(FL_SHM_AT(reader, shared_triple, fl_shm_offset_of(region, t))).c, 3);
}
