/* SPDX-License-Identifier: BSD-2-Clause */
/* sem_t without a name, and pthread_barrier_t. */
#include "posix.h"
#include "steer.h"
#include <limits.h>
#include <semaphore.h>

static bool sem_can_take(const struct lab_object *o, const struct lab_thread *thread)
{
	(void)thread;
	return o->count > 0;
}

/* Puts the step into the trace, with the permits that are left. */
static void sem_event(struct lab_op op, const struct lab_object *o, int result)
{
	lab_sync_event(op, result)->value = o->count;
}

static int sem_down(sem_t *sem, int64_t deadline, uintptr_t pc)
{
	const enum lab_sync what = deadline == LAB_TRY ? LAB_SYNC_TRYDOWN : LAB_SYNC_DOWN;
	struct lab_object *o = lab_object_use(sem, LAB_SEM, false, lab_sync_verb(what), pc);
	if (deadline == LAB_INVALID)
		return lab_error(EINVAL);
	const struct lab_op op = lab_sync_op(what, (uintptr_t)sem, pc);
	const int result = -lab_object_wait(op, o, sem_can_take, deadline);
	if (result == 0) {
		o->count--;
		lab_object_acquire(&o->view);
		lab_object_taken(o);
	}
	sem_event(op, o, result);
	return lab_error(result);
}

EXPORTED int sem_init(sem_t *sem, int shared, unsigned value)
{
	const struct lab_made made = {(uintptr_t)sem, LAB_SEM, .count = value};
	FORWARD_INIT(sem_init, (sem, shared, value), made);
	if (value > (unsigned)SEM_VALUE_MAX)
		return lab_error(EINVAL);
	lab_object_init(made, PC);
	return 0;
}

EXPORTED int sem_destroy(sem_t *sem)
{
	FORWARD(sem_destroy, (sem));
	lab_object_destroy(lab_object_use(sem, LAB_SEM, false, "destroys", PC), PC);
	return 0;
}

EXPORTED int sem_wait(sem_t *sem)
{
	FORWARD(sem_wait, (sem));
	return sem_down(sem, INT64_MAX, PC);
}

EXPORTED int sem_timedwait(sem_t *restrict sem, const struct timespec *restrict until)
{
	FORWARD(sem_timedwait, (sem, until));
	return sem_down(sem, lab_deadline(until, CLOCK_REALTIME), PC);
}

EXPORTED int sem_clockwait(sem_t *restrict sem, clockid_t clock, const struct timespec *restrict until)
{
	FORWARD(sem_clockwait, (sem, clock, until));
	return sem_down(sem, lab_deadline(until, clock), PC);
}

EXPORTED int sem_trywait(sem_t *sem)
{
	FORWARD(sem_trywait, (sem));
	return sem_down(sem, LAB_TRY, PC);
}

EXPORTED int sem_post(sem_t *sem)
{
	FORWARD(sem_post, (sem));
	struct lab_object *o = lab_object_use(sem, LAB_SEM, false, "posts", PC);
	const struct lab_op op = lab_object_point(LAB_SYNC_UP, o, PC);
	const int result = o->count == (unsigned)SEM_VALUE_MAX ? EOVERFLOW : 0;
	lab_steer_step(o, LAB_SYNC_UP);
	if (result == 0) {
		o->count++;
		lab_object_release(&o->view);
		lab_object_changed(o);
	}
	sem_event(op, o, result);
	return lab_error(result);
}

EXPORTED int sem_getvalue(sem_t *restrict sem, int *restrict value)
{
	FORWARD(sem_getvalue, (sem, value));
	struct lab_object *o = lab_object_use(sem, LAB_SEM, false, "reads the value of", PC);
	const struct lab_op op = lab_sync_op(LAB_SYNC_VALUE, (uintptr_t)sem, PC);
	const unsigned seen = lab_object_try(op, o, sem_can_take);
	LAB_STORE(value, PC, (int)(lab.steered ? seen : o->count));
	sem_event(op, o, 0);
	return 0;
}

/* --- barriers --- */

/* Returns the lowest thread among the running one and those that have come to the barrier. */
static struct lab_thread *sem_barrier_first(const struct lab_object *o)
{
	struct lab_thread *t = lab.threads;
	while (t != lab.self && t->object != o)
		t++;
	return t;
}

/*
 * The last thread of a round makes the others ready. Along a graph, the lowest thread does so,
 * because the choice of the serial thread is an event of the lowest thread.
 */
static bool sem_barrier_can_leave(const struct lab_object *o, const struct lab_thread *thread)
{
	return o->count == o->limit && thread == sem_barrier_first(o);
}

/*
 * The round is over, and the waiting threads may leave. They do not look at the barrier again,
 * because a thread that has left may destroy it.
 */
static void sem_barrier_open(struct lab_object *o)
{
	o->count = 0;
	LAB_EACH_THREAD (t) {
		if (t->object != o)
			continue;
		t->object = NULL;
		lab_view_join(&t->view, &o->view);
		lab_thread_can(t, true);
	}
	lab_object_acquire(&o->view);
	lab_view_clear(&o->view);
}

EXPORTED int pthread_barrier_init(pthread_barrier_t *restrict barrier, const pthread_barrierattr_t *restrict attributes,
                                  unsigned count)
{
	const struct lab_made made = {(uintptr_t)barrier, LAB_BARRIER, .limit = count};
	FORWARD_INIT(pthread_barrier_init, (barrier, attributes, count), made);
	if (count == 0)
		return EINVAL;
	lab_object_init(made, PC);
	return 0;
}

EXPORTED int pthread_barrier_destroy(pthread_barrier_t *barrier)
{
	FORWARD(pthread_barrier_destroy, (barrier));
	lab_object_destroy(lab_object_use(barrier, LAB_BARRIER, false, "destroys", PC), PC);
	return 0;
}

/*
 * The last thread to arrive gets PTHREAD_BARRIER_SERIAL_THREAD; along a graph, any thread may get
 * it, by choice.
 */
EXPORTED int pthread_barrier_wait(pthread_barrier_t *barrier)
{
	FORWARD(pthread_barrier_wait, (barrier));
	struct lab_object *o = lab_object_use(barrier, LAB_BARRIER, false, "arrives at", PC);
	const struct lab_op op = lab_object_point(LAB_SYNC_ARRIVE, o, PC);
	if (lab.steered)
		lab_steer_arrive(o);
	lab_object_release(&o->view);
	bool last = ++o->count == o->limit;
	struct lab_event *event = lab_sync_event(op, 0);
	event->value = o->count;
	event->other = o->limit;
	if (last && lab.steered)
		lab_thread_can(sem_barrier_first(o), true);
	if (!last || lab.steered)
		lab_thread_await(lab_sync_op(LAB_SYNC_LEAVE, (uintptr_t)barrier, PC), o, sem_barrier_can_leave);
	if (lab.steered)
		last = lab_steer_leave(o);
	if (o->count == o->limit)
		sem_barrier_open(o);
	lab_object_left(o, PC);
	return last ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
}
