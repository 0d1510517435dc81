/* SPDX-License-Identifier: BSD-2-Clause */
/* Queues in shared memory, in one process. What all queues promise: test_queues.c. */
#include "fl_faults.h"
#include "fl_shm.h"
#include "fl_shm_child.h"

FL_TEST(shm_queue_create_refuses_a_bad_config)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	char somewhere;
	fl_shm_queue *const untouched = (fl_shm_queue *)(void *)&somewhere, *q = untouched;
	const fl_shm_queue_config bad[] = {{0},
	                                   {.capacity = 3},
	                                   {.item_size = 8, .frame_bytes = 100},
	                                   {.capacity = 3, .frame_bytes = 100},
	                                   {8, 3, 100}};
	FL_EACH (i, bad)
		FL_RC(fl_shm_queue_create(&q, region, &bad[i]), -EINVAL);
	FL_RC(fl_shm_queue_create(&q, region, NULL), -EINVAL);
	const fl_shm_queue_config large[] = {{.item_size = 1, .capacity = (size_t)INT32_MAX + 1},
	                                     {.item_size = 1, .capacity = SIZE_MAX},
	                                     {.item_size = SIZE_MAX, .capacity = 1},
	                                     {.item_size = PTRDIFF_MAX / 1000},
	                                     {.frame_bytes = (size_t)INT32_MAX + 1}};
	FL_EACH (i, large)
		FL_RC(fl_shm_queue_create(&q, region, &large[i]), -EOVERFLOW);
	assert_ptr_equal(q, untouched);
}

FL_TEST(shm_queue_create_says_when_there_is_no_memory)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	FL_SCOPED(fl_shm_queue) *q = NULL;
	FL_RC(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.item_size = 4096}), -ENOMEM);
	FL_RC(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.frame_bytes = INT32_MAX / 2}), -ENOMEM);
	fl_shm_queue *there = items_in(region, 8, 4);
	fl_shm_offset offset = fl_shm_queue_offset(there);
	FL_FAULTS_UNBRIDGED();
	fl__sys.alloc = fl_test_no_memory;
	FL_RC(fl_shm_queue_create(&q, region, &(fl_shm_queue_config){.item_size = 8}), -ENOMEM);
	FL_RC(fl_shm_queue_attach(&q, region, offset), -ENOMEM);
	fl_test_faults_end();
	assert_null(q);
	fl_shm_queue_free(there);
	fl_shm_queue_free(NULL);
	fl_shm_queue_destroy(NULL);
}

/* As shm_array_create_refuses: all of this was -ENOMEM. */
FL_TEST(shm_queue_create_says_what_is_wrong_with_the_region)
{
	SHM_FAULTS();
	FL_SCOPED(fl_shm) *region = region_of(4096);
	FL_SCOPED(fl_shm_queue) *q = NULL;
	const fl_shm_queue_config config = {.item_size = 8, .capacity = 4};
	uint32_t *const word = fl__shm_word(&region->head->arena.lock);
	*word = 1;
	fl_test_no_patience();
	FL_RC(fl_shm_queue_create(&q, region, &config), -ETIMEDOUT);
	*word = 0;
	const uint32_t units = region->arena.map[0];
	region->arena.map[0] = 0;
	FL_RC(fl_shm_queue_create(&q, region, &config), -EBADMSG);
	region->arena.map[0] = units;
	FL_OK(fl_shm_queue_create(&q, region, &config));
}

FL_TEST(shm_queue_needs_a_writable_region)
{
	FL_SCOPED(fl_shm) *region = region_of(4096), *look = NULL;
	FL_SCOPED(fl_shm_queue) *there = items_in(region, 8, 4), *q = NULL;
	FL_OK(fl_shm_seal(region));
	FL_OK(fl_shm_attach(&look, fl_shm_fd(region)));
	FL_RC(fl_shm_queue_create(&q, look, &(fl_shm_queue_config){.item_size = 8}), -EROFS);
	FL_RC(fl_shm_queue_attach(&q, look, fl_shm_queue_offset(there)), -EROFS);
}

FL_TEST(shm_queue_destroy_gives_the_memory_back)
{
	FL_SCOPED(fl_shm) *region = region_of(8192);
	fl_shm_offset first = 0;
	for (int i = 0; i < 20; i++) {
		/* There is no space for a second one. */
		fl_shm_queue *q = items_in(region, 1000, 7);
		fl_shm_offset offset = fl_shm_queue_offset(q);
		first = first ? first : offset;
		assert_true(offset == first);
		FL_OK(fl_shm_queue_put(q, (unsigned char[1000]){1}));
		fl_shm_queue_destroy(q);
		FL_RC(fl_shm_queue_attach(&q, region, offset), -EBADMSG);
	}
	fl_shm_queue *one = items_in(region, 8, 8), *other = NULL;
	FL_OK(fl_shm_queue_attach(&other, region, fl_shm_queue_offset(one)));
	fl_shm_queue_destroy(one);
	fl_shm_queue_destroy(other); /* as fl_shm_block_free(): left alone, and logged */
}

/* Two maps of one region, at two addresses: as two processes have. */
FL_TEST(shm_queue_opens_where_it_lies)
{
	FL_SCOPED(fl_shm) *region = region_of(8192), *again = NULL;
	FL_SCOPED(fl_shm_queue) *q = items_in(region, sizeof(int), 3), *same = NULL;
	FL_OK(fl_shm_attach(&again, fl_shm_fd(region)));
	FL_OK(fl_shm_queue_attach(&same, again, fl_shm_queue_offset(q)));
	assert_true(fl_shm_queue_offset(same) == fl_shm_queue_offset(q));
	assert_int_equal(fl_shm_queue_capacity(same), 3);
	assert_int_equal(fl_shm_queue_item_size(same), sizeof(int));
	SHM_PUTS(q, 7);
	assert_int_equal(fl_shm_queue_length(same), 1);
	int got;
	FL_OK(fl_shm_queue_get(same, &got));
	assert_int_equal(got, 7);
	FL_OK(fl_shm_queue_close(same));
	FL_RC(fl_shm_queue_put(q, &got), -EPIPE);
}

/* Open checks its arguments and the memory. */
FL_TEST(shm_queue_open_refuses_what_is_no_queue)
{
	FL_SCOPED(fl_shm) *region = region_of(8192);
	FL_SCOPED(fl_shm_queue) *there = items_in(region, 8, 16), *q = NULL;
	fl_shm_offset offset = fl_shm_queue_offset(there);
	struct fl__shm_ring *r = ring_in(region, there);
	const fl_shm_offset nowhere[] = {0,       8,          offset + 8,      offset + 64,
	                                 1 << 20, UINT64_MAX, UINT64_MAX - 63, offset + 1};
	FL_EACH (i, nowhere)
		FL_RC(fl_shm_queue_attach(&q, region, nowhere[i]), -EBADMSG);
	r->version++;
	FL_RC(fl_shm_queue_attach(&q, region, offset), -EPROTONOSUPPORT);
	r->version--;
	const uint32_t sizes[] = {0, 1u << 31, UINT32_MAX, 100000};
	FL_EACH (i, sizes) {
		r->size = sizes[i];
		FL_RC(fl_shm_queue_attach(&q, region, offset), -EBADMSG);
	}
	r->size = 16;
	const uint64_t item_sizes[] = {UINT64_MAX, (uint64_t)1 << 60, INT64_MAX, 8192};
	FL_EACH (i, item_sizes) {
		r->item_size = item_sizes[i];
		FL_RC(fl_shm_queue_attach(&q, region, offset), -EBADMSG);
	}
	r->item_size = 8;
	r->magic ^= 1;
	FL_RC(fl_shm_queue_attach(&q, region, offset), -EBADMSG);
	r->magic ^= 1;
	FL_OK(fl_shm_queue_attach(&q, region, offset));
}

FL_TEST(shm_queue_capacity_by_default)
{
	FL_SCOPED(fl_shm) *region = region_of(1 << 20);
	FL_SCOPED(fl_shm_queue) *by_default = items_in(region, 1, 0), *frames = frames_in(region, 77);
	assert_int_equal(fl_shm_queue_capacity(by_default), 1024);
	assert_int_equal(fl_shm_queue_capacity(frames), 77);
	assert_int_equal(fl_shm_queue_item_size(frames), 0);
}

/* index_wrap_2_32: the counts of done items, too. */
FL_TEST(shm_queue_index_wrap_2_32_of_dones)
{
	size_t bytes;
	FL_OK(fl__shm_queue_bytes(8, 3, &bytes));
	void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
	fl_shm_queue v = fl__shm_queue_make(memory, 8, 3, UINT32_MAX - 2);
	for (int i = 0; i < 10; i++) {
		uint64_t item = (uint64_t)i;
		FL_OK(fl_shm_queue_join_until(&v, FL__TRY, NULL));
		FL_OK(fl_shm_queue_put_until(&v, &item, FL_NO_WAIT, NULL));
		FL_RC(fl_shm_queue_join_until(&v, FL__TRY, NULL), -EAGAIN);
		FL_RC(fl_shm_queue_task_done(&v), -EINVAL);
		FL_OK(fl_shm_queue_get_until(&v, &item, FL_NO_WAIT, NULL));
		FL_OK(fl_shm_queue_task_done(&v));
	}
	free(memory);
}

FL_TEST(shm_queue_three_forms)
{
	SHM_ITEMS(region, q, sizeof(int), 1);
	int got = 5;
	FL_RC(fl_shm_queue_try_get(q, &got), -EAGAIN);
	FL_RC(fl_shm_queue_get_until(q, &got, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_queue_get_until(q, &got, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_queue_get_until(q, &got, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(got, 5);
	/* An operation that can succeed at once succeeds. */
	FL_OK(fl_shm_queue_put_until(q, &(int){1}, FL_FOREVER, fl_test_requested));
	FL_RC(fl_shm_queue_try_put(q, &(int){2}), -EAGAIN);
	FL_RC(fl_shm_queue_put_until(q, &(int){2}, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_RC(fl_shm_queue_put_until(q, &(int){2}, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_queue_put_until(q, &(int){2}, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCEL_SCOPE(fl_test_requested);
	FL_RC(fl_shm_queue_put(q, &(int){2}), -ECANCELED);
	FL_OK(fl_shm_queue_get(q, &got));
	assert_int_equal(got, 1);
	FL_RC(fl_shm_queue_get(q, &got), -ECANCELED);
	FL_OK(fl_shm_queue_try_put(q, &(int){3}));
	FL_OK(fl_shm_queue_close(q));
	FL_RC(fl_shm_queue_put(q, &got), -EPIPE);
	FL_RC(fl_shm_queue_put_until(q, &got, FL_FOREVER, NULL), -EPIPE);
	FL_OK(fl_shm_queue_get(q, &got));
	assert_int_equal(got, 3);
	FL_RC(fl_shm_queue_get(q, &got), -EPIPE);
	FL_RC(fl_shm_queue_get_until(q, &got, FL_FOREVER, NULL), -EPIPE);
}

FL_TEST(shm_queue_operations_of_the_other_form)
{
	FL_SCOPED(fl_shm) *region = region_of(8192);
	FL_SCOPED(fl_shm_queue) *items = items_in(region, 8, 4), *frames = frames_in(region, 64);
	char buffer[8] = {0};
	size_t n = 9;
	FL_RC(fl_shm_queue_put(frames, buffer), -EINVAL);
	FL_RC(fl_shm_queue_try_put(frames, buffer), -EINVAL);
	FL_RC(fl_shm_queue_put_until(frames, buffer, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_shm_queue_get(frames, buffer), -EINVAL);
	FL_RC(fl_shm_queue_try_get(frames, buffer), -EINVAL);
	FL_RC(fl_shm_queue_get_until(frames, buffer, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_shm_queue_put_many_until(frames, buffer, 1, &n, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_shm_queue_get_many_until(frames, buffer, 1, &n, FL_FOREVER, NULL), -EINVAL);
	FL_MANY(-EINVAL, 0, shm_put_many, frames, buffer, 1);
	FL_MANY(-EINVAL, 0, shm_get_many, frames, buffer, 1);
	FL_MANY(-EINVAL, 0, shm_try_put_many, frames, buffer, 1);
	FL_MANY(-EINVAL, 0, shm_try_get_many, frames, buffer, 1);
	FL_RC(fl_shm_queue_put_frame_until(items, buffer, 8, FL_FOREVER, NULL), -EINVAL);
	FL_RC(fl_shm_queue_get_frame_until(items, buffer, 8, &n, FL_FOREVER, NULL), -EINVAL);
}

/* A frame without bytes may be NULL: no copy of the library gets a null pointer. */
FL_TEST(shm_queue_frames_without_bytes)
{
	FL_SCOPED(fl_shm) *region = region_of(8192);
	FL_SCOPED(fl_shm_queue) *frames = frames_in(region, 64);
	char buffer[8];
	for (int i = 0; i < 40; i++) { /* more than once around the ring */
		size_t n = 9;
		FL_OK(fl_shm_queue_put_frame(frames, NULL, 0));
		FL_OK(fl_shm_queue_put_frame_until(frames, "ab", 2, FL_NO_WAIT, FL_SHIELDED));
		FL_OK(fl_shm_queue_get_frame(frames, NULL, 0, &n));
		assert_int_equal(n, 0);
		FL_OK(fl_shm_queue_get_frame(frames, buffer, sizeof buffer, &n));
		assert_int_equal(n, 2);
	}
}

FL_TEST(shm_queue_many)
{
	enum { CAPACITY = 5 };
	SHM_ITEMS(region, q, sizeof(int), CAPACITY);
	const int items[8] = {0, 1, 2, 3, 4, 5, 6, 7};
	int got[8];
	size_t n = 77;
	for (int round = 0; round < 12; round++) { /* at each slot of the ring */
		FL_MANY(-ETIMEDOUT, CAPACITY, shm_try_put_many, q, items, 8);
		FL_MANY(-ETIMEDOUT, 0, shm_try_put_many, q, items, 8);
		FL_RC(fl_shm_queue_put_many_until(q, items, 1, &n, FL_NO_WAIT, NULL), -ETIMEDOUT);
		assert_int_equal(n, 0);
		FL_MANY(0, 2, shm_try_get_many, q, got, 2);
		FL_RC(fl_shm_queue_put_many_until(q, items + 5, 3, &n, FL_NO_WAIT, NULL), -ETIMEDOUT);
		assert_int_equal(n, 2);
		FL_OK(fl_shm_queue_get_many_until(q, got + 2, 4, &n, FL_NO_WAIT, NULL));
		assert_int_equal(n, 4);
		FL_MANY(0, 1, shm_get_many, q, got + 6, 8);
		for (int i = 0; i < 7; i++)
			assert_int_equal(got[i], i);
		FL_MANY(0, 1, shm_put_many, q, items, 1);
		FL_OK(fl_shm_queue_get(q, got));
	}
	FL_OK(fl_shm_queue_get_many_until(q, got, 0, &n, FL_NO_WAIT, NULL));
	assert_int_equal(n, 0);
	FL_MANY(0, 0, shm_get_many, q, got, 0);
	FL_MANY(-ETIMEDOUT, 0, shm_try_get_many, q, got, 1);
	FL_RC(fl_shm_queue_get_many_until(q, got, 1, &n, fl_after(FL_US(10)), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_queue_get_many_until(q, got, 1, &n, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_RC(fl_shm_queue_put_many_until(q, items, 8, &n, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(n, CAPACITY);
	FL_OK(fl_shm_queue_close(q));
	FL_RC(fl_shm_queue_put_many_until(q, items, 1, &n, FL_NO_WAIT, NULL), -EPIPE);
	FL_MANY(-EPIPE, 0, shm_put_many, q, items, 1);
	FL_MANY(-EPIPE, 0, shm_try_put_many, q, items, 1);
	FL_MANY(0, CAPACITY, shm_get_many, q, got, 8);
	FL_RC(fl_shm_queue_get_many_until(q, got, 1, &n, FL_NO_WAIT, NULL), -EPIPE);
}

struct job {
	int number;
	char name[12];
};
FL_SHM_QUEUE_OF(struct job, job_pipe)

FL_TEST(shm_queue_of_a_type)
{
	FL_SCOPED(fl_shm) *region = region_of(1 << 16);
	FL_SCOPED(job_pipe) *q = NULL, *other = NULL;
	struct job job = {3, "three"}, got[3] = {{0, ""}};
	FL_OK(job_pipe_create(&q, region, &(fl_shm_queue_config){.capacity = 2}));
	FL_OK(job_pipe_attach(&other, region, job_pipe_offset(q)));
	FL_OK(job_pipe_put(q, job));
	FL_OK(job_pipe_try_put(q, job));
	FL_RC(job_pipe_put_until(q, job, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_int_equal(job_pipe_length(other), 2);
	FL_OK(job_pipe_get(other, got));
	FL_OK(job_pipe_task_done(other));
	FL_RC(job_pipe_join_until(q, FL_NO_WAIT, NULL), -ETIMEDOUT);
	assert_string_equal(got->name, "three");
	size_t n = 0;
	FL_OK(job_pipe_get_many_until(other, got, 3, &n, FL_NO_WAIT, NULL));
	assert_int_equal(n, 1);
	FL_OK(job_pipe_task_done(other));
	FL_OK(job_pipe_join(q));
	FL_OK(job_pipe_close_now(q, NULL));
	FL_RC(job_pipe_try_put(other, job), -EPIPE);
	FL_SCOPED(fl_shm_queue) *ints = items_in(region, sizeof(int), 2), *frames = frames_in(region, 100);
	job_pipe *none = NULL;
	FL_RC(job_pipe_attach(&none, region, fl_shm_queue_offset(ints)), -EBADMSG);
	FL_RC(job_pipe_attach(&none, region, fl_shm_queue_offset(frames)), -EBADMSG);
	FL_RC(job_pipe_create(&none, region, &(fl_shm_queue_config){.frame_bytes = 8}), -EINVAL);
	FL_OK(job_pipe_create(&none, region, NULL));
	assert_int_equal(job_pipe_capacity(none), 1024);
	assert_ptr_equal(job_pipe_untyped(none), (fl_shm_queue *)none);
	job_pipe_destroy(none);
}
