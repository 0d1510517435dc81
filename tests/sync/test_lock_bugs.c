/* SPDX-License-Identifier: BSD-2-Clause */
/* Locks under the worst of schedulers: docs/bugs.md. */
#include "fl_queued.h"
#include "fl_test.h"

#include <pthread.h>
#include <sched.h>

/*
 * priority_inversion: on one CPU, a thread of middle priority computes without end, while the most
 * urgent one waits for a mutex of the least urgent, which therefore cannot run. There is no
 * inheritance; but a deadline holds, and when the middle one pauses, all continue.
 */
typedef struct inverted {
	fl_mutex mutex;
	fl_event held, middle_is_there, high_waits;
	uint32_t stop, done;
	int core, rc, timed;
} inverted;

/* Sets SCHED_FIFO on that one CPU; returns 0, or the error. */
static int become_fifo(const inverted *s, int priority)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(s->core, &one);
	int rc = pthread_setaffinity_np(pthread_self(), sizeof one, &one);
	return rc ? rc : pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){priority});
}

static int low_runs(void *arg)
{
	inverted *s = arg;
	fl_mutex_lock(&s->mutex);
	s->rc = become_fifo(s, 1);
	fl_event_set(&s->held);
	FL_CHECK(s->rc != 0 || fl_event_wait(&s->high_waits) == 0); /* runnable then, and not run */
	fl_mutex_unlock(&s->mutex);
	return 0;
}

static int middle_runs(void *arg)
{
	inverted *s = arg;
	FL_CHECK(fl_event_wait(&s->held) == 0);
	if (s->rc != 0)
		return 0;
	FL_CHECK(become_fifo(s, 2) == 0);
	fl_event_set(&s->middle_is_there);
	FL_CHECK(fl_event_wait(&s->high_waits) == 0);
	while (!fl__load_acquire(&s->stop))
		fl__sys.relax();
	return 0;
}

static int high_runs(void *arg)
{
	inverted *s = arg;
	FL_CHECK(fl_event_wait(&s->held) == 0);
	if (s->rc != 0)
		return 0;
	FL_CHECK(fl_event_wait(&s->middle_is_there) == 0);
	FL_CHECK(become_fifo(s, 3) == 0);
	fl_event_set(&s->high_waits); /* no other thread runs before it waits */
	s->timed = fl_mutex_lock_until(&s->mutex, fl_after(FL_MS(2)), NULL);
	if (s->timed == 0) /* a failure, and no reason to hang */
		fl_mutex_unlock(&s->mutex);
	fl__store_release(&s->stop, 1);
	fl_mutex_lock(&s->mutex);
	fl__store_release(&s->done, 1);
	fl_mutex_unlock(&s->mutex);
	return 0;
}

FL_TEST(priority_inversion)
{
	inverted s = {.core = sched_getcpu()};
	fl_thread threads[3];
	fl_test_go(&threads[0], low_runs, &s);
	fl_test_go(&threads[1], middle_runs, &s);
	fl_test_go(&threads[2], high_runs, &s);
	for (int i = 0; i < 3; i++)
		fl_test_end(&threads[i]);
	if (s.rc == EPERM) {
		print_message("SCHED_FIFO is not permitted here\n");
		skip();
	}
	assert_int_equal(s.rc, 0);
	FL_RC(s.timed, -ETIMEDOUT);
	assert_int_equal(s.done, 1);
	FL_OK(fl_mutex_destroy(&s.mutex));
}

/*
 * oversubscribe_64x: 64 threads for each usable CPU, on one mutex, one condition and one semaphore:
 * all get through, whichever threads run, and nothing is lost.
 */
typedef struct crowd {
	fl_mutex mutex;
	fl_cond changed;
	fl_sem room;
	unsigned size, here, rounds, count;
	uint32_t inside;
} crowd;

enum { ROOM = 3 };

static int visit(void *arg)
{
	crowd *c = arg;
	for (unsigned i = 0; i < c->rounds; i++) {
		FL_CHECK(fl_sem_acquire(&c->room) == 0);
		FL_CHECK(fl__add_relaxed(&c->inside, 1) < ROOM); /* relaxed: a count */
		fl_mutex_lock(&c->mutex);
		c->count++;
		fl_mutex_unlock(&c->mutex);
		fl__add_relaxed(&c->inside, -1u);
		fl_sem_release(&c->room);
	}
	FL_LOCKED(&c->mutex);
	if (++c->here == c->size)
		fl_cond_broadcast(&c->changed);
	while (c->here < c->size)
		FL_CHECK(fl_cond_wait(&c->changed, &c->mutex) == 0);
	return 0;
}

FL_TEST(oversubscribe_64x)
{
	enum { MOST = 256 };
	static fl_thread threads[MOST];
	unsigned wanted = 64 * (unsigned)fl_cpu_count();
	crowd c = {.size = wanted < MOST ? wanted : MOST, .rounds = fl_test_scaled(30)};
	FL_OK(fl_sem_init(&c.room, ROOM));
	for (unsigned i = 0; i < c.size; i++)
		fl_test_go(&threads[i], visit, &c);
	for (unsigned i = 0; i < c.size; i++)
		fl_test_end(&threads[i]);
	assert_int_equal(c.count, c.size * c.rounds);
	assert_int_equal(fl_sem_value(&c.room), ROOM);
	FL_OK(fl_cond_destroy(&c.changed));
	FL_OK(fl_mutex_destroy(&c.mutex));
	FL_OK(fl_sem_destroy(&c.room));
}
