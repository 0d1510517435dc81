/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues in shared memory that was overwritten: an error, or wrong values, and no access outside of
 * the queue. Users that are killed: stress/kill.
 */
#include "fl_shm_child.h"

static uint32_t draw(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

/* Only tries, so that a lock that seems to be taken costs a millisecond. */
static void use_all(fl_shm_queue *v)
{
	unsigned char buffer[64] = {0};
	size_t n;
	int rcs[] = {fl__shm_queue_put_some(v, buffer, 3, &n, FL__TRY, NULL),
	             fl_shm_queue_get_many_until(v, buffer, 4, &n, FL__TRY, NULL),
	             fl_shm_queue_put_frame_until(v, buffer, 5, FL__TRY, NULL),
	             fl_shm_queue_get_frame_until(v, buffer, 64, &n, FL__TRY, NULL),
	             fl_shm_queue_join_until(v, FL__TRY, NULL)};
	FL_EACH (i, rcs)
		assert_true(rcs[i] == 0 || rcs[i] == -EAGAIN || rcs[i] == -ETIMEDOUT || rcs[i] == -EPIPE ||
		            rcs[i] == -EBADMSG || rcs[i] == -EINVAL || rcs[i] == -EMSGSIZE);
	(void)fl__on_shm_queue.ready(v);
	(void)fl__on_shm_queue_space.ready(v);
	assert_true(fl_shm_queue_length(v) <= v->size);
}

static void scribble(unsigned char *memory, size_t from, size_t to, uint64_t *seed)
{
	for (unsigned n = 1 + draw(seed) % 40; n > 0; n--)
		memory[from + draw(seed) % (to - from)] = (unsigned char)draw(seed);
}

FL_TEST(shm_queue_survives_scribbling)
{
	uint64_t seed = 1;
	for (unsigned trial = 0; trial < fl_test_scaled(20000); trial++) {
		size_t item_size = trial % 2 ? 8 : 0, bytes;
		uint32_t size = 1 + draw(&seed) % 40;
		FL_OK(fl__shm_queue_bytes(item_size, size, &bytes));
		/* The sanitizer guards its ends. */
		unsigned char *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
		assert_non_null(memory);
		fl_shm_queue again, v = fl__shm_queue_make(memory, item_size, size, draw(&seed));
		use_all(&v);
		/* The lock's own word in one trial of 64: those take milliseconds. */
		scribble(memory, trial % 64 ? sizeof(struct fl__shm_lock) : 0, bytes, &seed);
		use_all(&v);
		use_all(&v);
		int rc = fl__shm_queue_find(&again, memory, &bytes);
		assert_true(rc == 0 || rc == -EBADMSG || rc == -EPROTONOSUPPORT);
		free(memory);
	}
}

static void damage(struct fl__shm_ring *r)
{
	fl__store_relaxed(&r->in, UINT64_MAX);
}

FL_TEST(shm_queue_says_that_it_is_damaged)
{
	FL_SCOPED(fl_shm) *region = region_of(8192);
	FL_SCOPED(fl_shm_queue) *q = items_in(region, sizeof(int), 4), *frames = frames_in(region, 64);
	int item = 3;
	size_t n = 0;
	damage(ring_in(region, q));
	damage(ring_in(region, frames));
	FL_RC(fl_shm_queue_put(q, &item), -EBADMSG);
	FL_RC(fl_shm_queue_try_put(q, &item), -EBADMSG);
	FL_RC(fl_shm_queue_put_until(q, &item, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_get(q, &item), -EBADMSG);
	FL_RC(fl_shm_queue_try_get(q, &item), -EBADMSG);
	FL_RC(fl_shm_queue_get_until(q, &item, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_put_many_until(q, &item, 1, &n, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_get_many_until(q, &item, 1, &n, FL_FOREVER, NULL), -EBADMSG);
	FL_MANY(-EBADMSG, 0, shm_put_many, q, &item, 1);
	FL_MANY(-EBADMSG, 0, shm_get_many, q, &item, 1);
	FL_RC(fl_shm_queue_put_frame_until(frames, &item, 4, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_get_frame_until(frames, &item, 4, &n, FL_FOREVER, NULL), -EBADMSG);
	FL_RC(fl_shm_queue_close(q), -EBADMSG);
	FL_RC(fl_shm_queue_close_now(q, &n), -EBADMSG);
	FL_RC(fl_shm_queue_task_done(q), -EBADMSG);
	FL_RC(fl_shm_queue_join_until(q, FL_FOREVER, NULL), -EBADMSG);
	assert_int_equal(item, 3);
}
