/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queues in shared memory that are closed, joined, made and opened, by processes that may be killed
 * anywhere.
 */
#include "shm_queues.h"

/*
 * close_misses_waiter: a waiter for an item, or for space, learns of the close; two close, so one
 * is enough.
 */
struct shm_queue_close_misses_waiter {
	struct queue_in_shm q;
	int rc;
};

FL_STRESS_SETUP(shm_queue_close_misses_waiter)
{
	begin_items(&s->q, 1, 0);
}

FL_STRESS_ACTOR(shm_queue_close_misses_waiter, getter)
{
	s->rc = get_item(&s->q, 0, 0, FL_FOREVER);
}

static void close_it(struct queue_in_shm *q, bool drop)
{
	size_t dropped;
	int rc;
	while ((rc = fl__shm_ring_close(&q->view, drop, &dropped)) == -EBUSY)
		fl_stress_relax();
	OK(rc);
}

FL_STRESS_ACTOR(shm_queue_close_misses_waiter, left)
{
	close_it(&s->q, false);
}

FL_STRESS_ACTOR(shm_queue_close_misses_waiter, right)
{
	close_it(&s->q, true);
}

FL_STRESS_PROCESSES(shm_queue_close_misses_waiter, getter, left, right)
{
	FL_FORBIDDEN(!fl_stress_killed("getter") && s->rc != -EPIPE, "not told");
	FL_ACCEPTABLE(1, "told");
}

/* A put and a close: an accepted item is delivered, or dropped and counted as dropped. */
struct shm_queue_put_vs_close {
	struct queue_in_shm q;
	size_t dropped;
	int close_rc;
};

FL_STRESS_SETUP(shm_queue_put_vs_close)
{
	begin_items(&s->q, 1, 7);
	OK(put_item(&s->q, 0, FL__TRY));
}

FL_STRESS_ACTOR(shm_queue_put_vs_close, putter)
{
	(void)put_item(&s->q, 1, soon());
}

FL_STRESS_ACTOR(shm_queue_put_vs_close, closer)
{
	s->close_rc = fl__shm_ring_close(&s->q.view, true, &s->dropped);
}

FL_STRESS_ACTOR(shm_queue_put_vs_close, getter)
{
	(void)get_item(&s->q, 0, 0, FL__TRY);
}

FL_STRESS_PROCESSES(shm_queue_put_vs_close, putter, closer, getter)
{
	/* A killed close may have dropped the item that had space, without a report. */
	unsigned lost = (unsigned)s->dropped + fl_stress_killed("closer") + fl_stress_killed("getter");
	FL_FORBIDDEN(!is_exact(&s->q, lost), "lost, or delivered twice");
	FL_FORBIDDEN(s->dropped > 1, "dropped more than there was");
	FL_FORBIDDEN(s->close_rc != 0 && s->close_rc != -EBUSY, "not closed");
	FL_ACCEPTABLE(s->q.put[1] == -EPIPE, "the close came first");
	FL_ACCEPTABLE(1, "each once");
}

/* A put that waits for space, closed by either of two. */
struct shm_queue_close_ends_a_put {
	struct queue_in_shm q;
};

FL_STRESS_SETUP(shm_queue_close_ends_a_put)
{
	begin_items(&s->q, 1, 0);
	OK(put_item(&s->q, 0, FL__TRY));
}

FL_STRESS_ACTOR(shm_queue_close_ends_a_put, putter)
{
	(void)put_item(&s->q, 1, FL_FOREVER);
}

FL_STRESS_ACTOR(shm_queue_close_ends_a_put, left)
{
	close_it(&s->q, false);
}

FL_STRESS_ACTOR(shm_queue_close_ends_a_put, right)
{
	close_it(&s->q, false);
}

FL_STRESS_PROCESSES(shm_queue_close_ends_a_put, putter, left, right)
{
	FL_FORBIDDEN(!fl_stress_killed("putter") && s->q.put[1] != -EPIPE, "not told");
	FL_ACCEPTABLE(is_exact(&s->q, 0), "told");
	FL_FORBIDDEN(1, "lost, or delivered twice");
}

/*
 * Two report the one item done: one of them is right, and the join returns; what was written before
 * is visible after it.
 */
struct shm_queue_join {
	struct queue_in_shm q;
	int rc[2], data[2];
};

FL_STRESS_SETUP(shm_queue_join)
{
	begin_items(&s->q, 2, UINT32_MAX);
	OK(put_item(&s->q, 0, FL__TRY));
	OK(get_item(&s->q, 0, 0, FL__TRY));
	s->rc[0] = s->rc[1] = 1;
}

static int say_done(struct queue_in_shm *q)
{
	int rc;
	while ((rc = fl__shm_ring_task_done(&q->view)) == -EBUSY)
		fl_stress_relax();
	return rc;
}

FL_STRESS_ACTOR(shm_queue_join, left)
{
	s->data[0] = 1;
	s->rc[0] = say_done(&s->q);
}

FL_STRESS_ACTOR(shm_queue_join, right)
{
	s->data[1] = 1;
	s->rc[1] = say_done(&s->q);
}

FL_STRESS_ACTOR(shm_queue_join, joiner)
{
	OK(fl__shm_ring_join(&s->q.view, FL_FOREVER, FL_SHIELDED));
}

FL_STRESS_PROCESSES(shm_queue_join, left, right, joiner)
{
	FL_FORBIDDEN(s->rc[0] == 0 && s->rc[1] == 0, "done twice");
	FL_FORBIDDEN(s->rc[0] == -EINVAL && s->rc[1] == -EINVAL, "done by none");
	FL_ACCEPTABLE(fl__shm_ring_join(&s->q.view, FL__TRY, FL_SHIELDED) == 0, "done once");
	FL_FORBIDDEN(1, "not done");
}

/* A join sees what was written before the last task_done, and a close_now ends it. */
struct shm_queue_join_data {
	struct queue_in_shm q;
	int data, rc[2];
};

FL_STRESS_SETUP(shm_queue_join_data)
{
	begin_items(&s->q, 2, 0);
	OK(put_item(&s->q, 0, FL__TRY));
}

FL_STRESS_ACTOR(shm_queue_join_data, worker)
{
	if (get_item(&s->q, 0, 0, FL__TRY) != 0)
		return;
	s->data = 1;
	s->rc[0] = fl__shm_ring_task_done(&s->q.view);
}

FL_STRESS_ACTOR(shm_queue_join_data, joiner)
{
	if (fl__shm_ring_join(&s->q.view, soon(), FL_SHIELDED) == 0 && fl__shm_ring_length(&s->q.view) == 0 &&
	    !fl__shm_ring_is_closed(&s->q.view))
		FL_STRESS_CHECK(s->data == 1);
}

FL_STRESS_ACTOR(shm_queue_join_data, dropper)
{
	size_t dropped;
	s->rc[1] = fl__shm_ring_close(&s->q.view, true, &dropped);
}

FL_STRESS_PROCESSES(shm_queue_join_data, worker, joiner, dropper)
{
	FL_FORBIDDEN(s->rc[0] != 0 && s->rc[0] != -EBUSY, "done, and not counted");
	FL_FORBIDDEN(s->rc[1] != 0 && s->rc[1] != -EBUSY, "not closed");
	FL_ACCEPTABLE(1, "either was first");
}

/*
 * torn_header: another context opens the queue during its creation, and after its maker was killed:
 * it finds all of it, or nothing.
 */
struct shm_queue_torn_header {
	_Alignas(FL__SHM_RING_ALIGN) unsigned char memory[sizeof(struct fl__shm_ring) + 2 * sizeof(int)];
	int rc;
};

FL_STRESS_ACTOR(shm_queue_torn_header, maker)
{
	struct fl__shm_view v;
	size_t one;
	fl__shm_ring_make(&v, s->memory, sizeof(int), 2, UINT32_MAX);
	OK(fl__shm_ring_put(&v, &(int){1}, 1, &one, FL_FOREVER, FL_SHIELDED));
}

FL_STRESS_ACTOR(shm_queue_torn_header, opener)
{
	struct fl__shm_view v;
	size_t one;
	s->rc = fl__shm_ring_check(&v, s->memory);
	if (s->rc != 0)
		return;
	FL_STRESS_CHECK(v.size == 2 && v.item_size == sizeof(int));
	OK(fl__shm_ring_put(&v, &(int){2}, 1, &one, FL_FOREVER, FL_SHIELDED));
}

FL_STRESS_PROCESSES(shm_queue_torn_header, maker, opener)
{
	struct fl__shm_view v;
	FL_FORBIDDEN(s->rc != 0 && s->rc != -EBADMSG, "half a queue");
	FL_ACCEPTABLE(s->rc == 0 && fl__shm_ring_check(&v, s->memory) == 0, "found");
	FL_ACCEPTABLE(1, "not there yet");
}

/* Frames across the end of the ring: complete, in order, once. */
struct shm_queue_frames {
	_Alignas(FL__SHM_RING_ALIGN) unsigned char memory[sizeof(struct fl__shm_ring) + 9];
	struct fl__shm_view view;
	int put[2];
	char got[2][4];
	size_t sizes[2];
};

FL_STRESS_SETUP(shm_queue_frames)
{
	fl__shm_ring_make(&s->view, s->memory, 0, 9, 7);
	s->put[0] = s->put[1] = 1;
}

FL_STRESS_ACTOR(shm_queue_frames, putter)
{
	s->put[0] = fl__shm_ring_put_frame(&s->view, "abc", 3, FL_FOREVER, FL_SHIELDED);
	s->put[1] = fl__shm_ring_put_frame(&s->view, "de", 2, soon(), FL_SHIELDED);
}

FL_STRESS_ACTOR(shm_queue_frames, getter)
{
	for (int i = 0; i < 2; i++)
		if (fl__shm_ring_get_frame(&s->view, s->got[i], 4, &s->sizes[i], soon(), FL_SHIELDED) != 0)
			return;
}

static bool is_frame(const char *got, size_t size, const char *expected)
{
	return size == strlen(expected) && memcmp(got, expected, size) == 0;
}

FL_STRESS_PROCESSES(shm_queue_frames, putter, getter)
{
	char left[4];
	size_t size;
	bool killed = fl_stress_killed("getter");
	int n = s->sizes[0] == 0 ? 0 : s->sizes[1] == 0 ? 1 : 2;
	FL_FORBIDDEN(n > 0 && !is_frame(s->got[0], s->sizes[0], "abc"), "a torn frame");
	FL_FORBIDDEN(n > 1 && !is_frame(s->got[1], s->sizes[1], "de"), "a torn frame");
	for (; fl__shm_ring_get_frame(&s->view, left, 4, &size, FL__TRY, FL_SHIELDED) == 0; n++) {
		n += killed && n == 0 && size == 2; /* the first one was its last */
		FL_FORBIDDEN(n > 1 || !is_frame(left, size, n == 0 ? "abc" : "de"), "a torn frame");
	}
	int accepted = (s->put[0] == 0) + (s->put[1] == 0);
	FL_FORBIDDEN(n + killed < accepted, "lost");
	FL_ACCEPTABLE(1, "each once");
}
