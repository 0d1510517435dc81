/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of queues in shared memory that are closed, joined, made and opened, by processes that
 * may be killed anywhere.
 */
#include "shm_queues.h"

static void close_it(struct queue_in_shm *q, bool drop)
{
	int rc;
	while ((rc = drop ? fl_shm_queue_close_now(&q->queue, NULL) : fl_shm_queue_close(&q->queue)) == -ETIMEDOUT)
		fl_stress_relax();
	OK(rc);
}

/* A put waits for space, and either of two processes closes the queue. */
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

FL_STRESS_ACTOR(shm_queue_close_ends_a_put, closer)
{
	close_it(&s->q, false);
}

FL_STRESS_PROCESSES(shm_queue_close_ends_a_put, putter, closer, closer)
{
	FL_FORBIDDEN(!fl_stress_killed("putter") && s->q.put[1] != -EPIPE, "not told");
	FL_ACCEPTABLE(is_exact(&s->q, 0), "told");
}

/* Two processes report the one item done. One of them is right, and the join returns. */
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

static void say_done(struct shm_queue_join *s, int i)
{
	s->data[i] = 1;
	while ((s->rc[i] = fl_shm_queue_task_done(&s->q.queue)) == -ETIMEDOUT)
		fl_stress_relax();
}

TWO_ACTORS(shm_queue_join, say_done)

FL_STRESS_ACTOR(shm_queue_join, joiner)
{
	OK(fl_shm_queue_join_until(&s->q.queue, FL_FOREVER, FL_SHIELDED));
}

FL_STRESS_PROCESSES(shm_queue_join, one, two, joiner)
{
	FL_FORBIDDEN(s->rc[0] == 0 && s->rc[1] == 0, "done twice");
	FL_FORBIDDEN(s->rc[0] == -EINVAL && s->rc[1] == -EINVAL, "done by none");
	FL_ACCEPTABLE(fl_shm_queue_join_until(&s->q.queue, FL__TRY, FL_SHIELDED) == 0, "done once");
}

/*
 * torn_header: another context opens the queue during its creation, or after its maker was killed.
 * It finds all of the queue, or nothing.
 */
struct shm_queue_torn_header {
	_Alignas(FL__SHM_RING_ALIGN) unsigned char memory[sizeof(struct fl__shm_ring) + 2 * sizeof(int)];
	int rc;
};

FL_STRESS_ACTOR(shm_queue_torn_header, maker)
{
	fl_shm_queue v = fl__shm_queue_make(s->memory, sizeof(int), 2, UINT32_MAX);
	OK(fl_shm_queue_put_until(&v, &(int){1}, FL_FOREVER, FL_SHIELDED));
}

FL_STRESS_ACTOR(shm_queue_torn_header, opener)
{
	fl_shm_queue v;
	size_t bytes;
	s->rc = fl__shm_queue_find(&v, s->memory, &bytes);
	if (s->rc != 0)
		return;
	FL_STRESS_CHECK(v.size == 2 && v.item_size == sizeof(int));
	OK(fl_shm_queue_put_until(&v, &(int){2}, FL_FOREVER, FL_SHIELDED));
}

FL_STRESS_PROCESSES(shm_queue_torn_header, maker, opener)
{
	fl_shm_queue v;
	size_t bytes;
	FL_FORBIDDEN(s->rc != 0 && s->rc != -EBADMSG, "half a queue");
	FL_ACCEPTABLE(s->rc == 0 && fl__shm_queue_find(&v, s->memory, &bytes) == 0, "found");
	FL_ACCEPTABLE(1, "not there yet");
}
