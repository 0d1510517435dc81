/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of any size in a queue in shared memory. */
#include "fl_shm_child.h"

enum { HEADER = 4 };

FL_TEST(shm_queue_frames_three_forms)
{
	SHM_FRAMES(region, q, 2 * (HEADER + 4));
	char got[8];
	size_t size = 99;
	FL_RC(fl_shm_queue_get_frame_until(q, got, 8, &size, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_shm_queue_get_frame_until(q, got, 8, &size, fl_after(FL_US(50)), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_queue_get_frame_until(q, got, 8, &size, FL_FOREVER, fl_test_requested), -ECANCELED);
	assert_int_equal(size, 99);
	FL_OK(fl_shm_queue_put_frame(q, "abcd", 4));
	FL_OK(fl_shm_queue_put_frame_until(q, "efg", 3, FL_NO_WAIT, FL_SHIELDED));
	FL_RC(fl_shm_queue_put_frame_until(q, "", 0, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_RC(fl_shm_queue_put_frame_until(q, "", 0, fl_after(FL_US(50)), NULL), -ETIMEDOUT);
	FL_RC(fl_shm_queue_put_frame_until(q, "", 0, FL_FOREVER, fl_test_requested), -ECANCELED);
	FL_CANCELS_IN_SCOPE(fl_shm_queue_put_frame(q, "", 0));
	assert_int_equal(fl_shm_queue_length(q), 2);
	FL_OK(fl_shm_queue_get_frame(q, got, 8, &size));
	assert_int_equal(size, 4);
	assert_memory_equal(got, "abcd", 4);
	FL_OK(fl_shm_queue_put_frame_until(q, "h", 1, FL_NO_WAIT, NULL));
	FL_OK(fl_shm_queue_get_frame_until(q, got, 8, &size, FL_NO_WAIT, FL_SHIELDED));
	assert_int_equal(size, 3);
	FL_OK(fl_shm_queue_get_frame_until(q, got, 1, &size, FL_NO_WAIT, NULL));
	assert_int_equal(size, 1);
	FL_CANCEL_SCOPE(fl_test_requested);
	FL_RC(fl_shm_queue_get_frame(q, got, 8, &size), -ECANCELED);
}

FL_TEST(shm_queue_frames_that_do_not_fit)
{
	SHM_FRAMES(region, q, 100);
	unsigned char in[101], out[101];
	size_t size = 0;
	fl_test_seeded(in, sizeof in, 1);
	FL_RC(fl_shm_queue_put_frame(q, in, 97), -EMSGSIZE);
	FL_RC(fl_shm_queue_put_frame_until(q, in, SIZE_MAX, FL_NO_WAIT, FL_SHIELDED), -EMSGSIZE);
	FL_RC(fl_shm_queue_put_frame_until(q, in, (size_t)UINT32_MAX + 1 - HEADER, FL_NO_WAIT, NULL), -EMSGSIZE);
	FL_OK(fl_shm_queue_put_frame(q, in, 96));
	memset(out, 0xa5, sizeof out);
	FL_RC(fl_shm_queue_get_frame(q, out, 95, &size), -EMSGSIZE);
	assert_int_equal(size, 96);
	size = 0;
	FL_RC(fl_shm_queue_get_frame_until(q, out, 0, &size, FL_NO_WAIT, FL_SHIELDED), -EMSGSIZE);
	assert_int_equal(size, 96);
	FL_RC(fl_shm_queue_get_frame_until(q, out, 1, &size, FL_NO_WAIT, NULL), -EMSGSIZE);
	assert_int_equal(out[0], 0xa5);
	assert_int_equal(fl_shm_queue_length(q), 1);
	FL_OK(fl_shm_queue_get_frame(q, out, 96, &size));
	assert_memory_equal(out, in, 96);
	assert_int_equal(out[96], 0xa5);

	FL_SCOPED(fl_shm_queue) *tiny = frames_in(region, HEADER - 1), *empties = frames_in(region, HEADER);
	FL_RC(fl_shm_queue_put_frame(tiny, in, 0), -EMSGSIZE);
	FL_OK(fl_shm_queue_put_frame(empties, in, 0));
	FL_RC(fl_shm_queue_put_frame_until(empties, in, 0, FL_NO_WAIT, FL_SHIELDED), -ETIMEDOUT);
	FL_OK(fl_shm_queue_get_frame(empties, out, 0, &size));
	assert_int_equal(size, 0);
}

/*
 * Sizes and positions of all kinds against a model: any part may be across the end of the ring, the
 * header too.
 */
FL_TEST(shm_queue_frames_wrap_anywhere)
{
	FL_SCOPED(fl_shm) *region = region_of(1 << 16);
	for (size_t bytes = HEADER + 1; bytes < 70; bytes++) {
		fl_shm_queue *q = frames_in(region, bytes);
		unsigned in = 0, out = 0;
		size_t used = 0, sizes[64] = {0};
		for (unsigned turn = 0; turn < 400; turn++) {
			unsigned char frame[80], expected[80];
			size_t size = turn * 2654435761u % (bytes - HEADER + 1);
			fl_test_seeded(frame, size, in);
			bool fits = used + HEADER + size <= bytes;
			FL_RC(fl_shm_queue_put_frame_until(q, frame, size, FL_NO_WAIT, FL_SHIELDED),
			      fits ? 0 : -ETIMEDOUT);
			if (fits) {
				sizes[in++ % 64] = size;
				used += HEADER + size;
			}
			if (fits && turn % 3 > 0)
				continue;
			FL_OK(fl_shm_queue_get_frame_until(q, frame, sizeof frame, &size, FL_NO_WAIT, FL_SHIELDED));
			assert_int_equal(size, sizes[out % 64]);
			fl_test_seeded(expected, size, out++);
			assert_memory_equal(frame, expected, size);
			used -= HEADER + size;
			assert_int_equal(fl_shm_queue_length(q), in - out);
		}
		assert_true(out > 100);
		fl_shm_queue_destroy(q);
	}
}

FL_TEST(shm_queue_frames_close_and_join)
{
	SHM_FRAMES(region, q, 64);
	char got[8];
	size_t size;
	FL_OK(fl_shm_queue_put_frame(q, "one", 3));
	FL_OK(fl_shm_queue_put_frame(q, "two", 3));
	FL_RC(fl_shm_queue_join_until(q, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_OK(fl_shm_queue_close(q));
	FL_RC(fl_shm_queue_put_frame_until(q, "", 0, FL_NO_WAIT, NULL), -EPIPE);
	FL_OK(fl_shm_queue_get_frame(q, got, 8, &size));
	FL_OK(fl_shm_queue_task_done(q));
	FL_OK(fl_shm_queue_get_frame(q, got, 8, &size));
	FL_RC(fl_shm_queue_get_frame_until(q, got, 8, &size, FL_NO_WAIT, NULL), -EPIPE);
	FL_OK(fl_shm_queue_task_done(q));
	FL_OK(fl_shm_queue_join(q));
}

/* Two processes, more bytes than the ring, frames of many sizes: each comes whole and in order. */
struct stream {
	fl_shm_queue *q;
	unsigned frames;
};

static size_t size_of(unsigned i)
{
	return i * 2654435761u % 200;
}

static int send_frames(void *arg)
{
	const struct stream *s = arg;
	for (unsigned i = 0; i < s->frames; i++) {
		unsigned char frame[200];
		fl_test_seeded(frame, size_of(i), i);
		FL_OK(fl_shm_queue_put_frame(s->q, frame, size_of(i)));
	}
	FL_OK(fl_shm_queue_close(s->q));
	return 0;
}

FL_TEST(shm_queue_frames_between_processes)
{
	SHM_FRAMES(region, q, 333);
	struct stream s = {q, fl_test_scaled(20000)};
	pid_t sender = fl_test_fork(send_frames, &s);
	unsigned char frame[200], expected[200];
	size_t size;
	for (unsigned i = 0; i < s.frames; i++) {
		FL_OK(fl_shm_queue_get_frame(q, frame, sizeof frame, &size));
		assert_int_equal(size, size_of(i));
		fl_test_seeded(expected, size, i);
		assert_memory_equal(frame, expected, size);
	}
	FL_RC(fl_shm_queue_get_frame(q, frame, sizeof frame, &size), -EPIPE);
	fl_test_reap(sender);
}
