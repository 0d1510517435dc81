/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of the queue in shared memory, whose user is killed at each step of each call.
 * Survivors get correct results, and continue.
 */
#include "shm_queues.h"

enum { PUT, GET, PUT_MANY, GET_MANY, CLOSE, CALLS };

/*
 * kill9_each_step: the victim makes one call, and the other process gets and puts. Accepted items
 * are delivered once.
 */
struct shm_queue_kill9_each_step {
	struct queue_in_shm q;
	unsigned call;
};

FL_STRESS_SETUP(shm_queue_kill9_each_step)
{
	s->call = fl_stress_choose(CALLS);
	begin_items(&s->q, 3, UINT32_MAX - 1);
	OK(put_item(&s->q, 0, FL_FOREVER));
}

static void put_two(struct queue_in_shm *q)
{
	size_t count;
	q->put[1] = q->put[2] = BEGUN;
	q->put[1] = q->put[2] =
	    fl__shm_queue_put_some(&q->queue, (const int[]){2, 3}, 2, &count, FL_FOREVER, FL_SHIELDED);
}

static void get_two(struct queue_in_shm *q)
{
	size_t count;
	int items[2];
	if (fl_shm_queue_get_many_until(&q->queue, items, 2, &count, soon(), FL_SHIELDED) == 0)
		memcpy(q->got[0], items, count * sizeof *items);
}

FL_STRESS_ACTOR(shm_queue_kill9_each_step, victim)
{
	int rc;
	switch (s->call) {
	case PUT:
		OK(put_item(&s->q, 1, FL_FOREVER));
		break;
	case GET:
		(void)get_item(&s->q, 0, 0, soon());
		break;
	case PUT_MANY:
		put_two(&s->q);
		break;
	case GET_MANY:
		get_two(&s->q);
		break;
	default:
		rc = fl_shm_queue_close(&s->q.queue);
		/* ten seconds of the model's time have passed */
		FL_STRESS_CHECK(rc == 0 || rc == -ETIMEDOUT);
	}
}

FL_STRESS_ACTOR(shm_queue_kill9_each_step, lives)
{
	const bool may_be_gone = s->call == GET || s->call == GET_MANY;
	const int got = get_item(&s->q, 1, 0, may_be_gone ? soon() : FL_FOREVER);
	FL_STRESS_CHECK(got == 0 || (got == -ETIMEDOUT && may_be_gone));
	const int put = put_item(&s->q, 3, FL_FOREVER);
	FL_STRESS_CHECK(put == 0 || (put == -EPIPE && s->call == CLOSE));
}

FL_STRESS_PROCESSES(shm_queue_kill9_each_step, victim, lives)
{
	const bool killed = fl_stress_killed("victim"), gone = fl_stress_killed("lives");
	FL_FORBIDDEN(!is_exact(&s->q, (unsigned)killed * (s->call == GET_MANY ? 2 : s->call == GET) + gone),
	             "lost, or delivered twice");
	FL_ACCEPTABLE(killed || gone, "each once; one was killed");
	FL_ACCEPTABLE(1, "each once");
}
