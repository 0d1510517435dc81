/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pthread_cond_t. A wait has two steps: the first unlocks the mutex and sleeps, and the second
 * locks the mutex again.
 */
#include "posix.h"
#include "steer.h"

static struct lab_object *cond_of(const pthread_cond_t *at, const char *what, uintptr_t pc)
{
	return lab_object_use(at, LAB_COND, at && lab_is_zero(at, sizeof *at), what, pc);
}

static bool cond_has_waiter(const struct lab_thread *t, uintptr_t cond)
{
	return t->object == (const struct lab_object *)cond && t->state == LAB_BLOCKED;
}

/* Sleeps until a signal. The next step of the thread locks the mutex again. */
static int cond_sleep(struct lab_object *o, struct lab_object *mutex, int64_t deadline, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	const struct lab_op relock = lab_sync_op(LAB_SYNC_RELOCK, mutex->address, pc);
	const bool expired = deadline <= lab.now;
	int result = expired ? ETIMEDOUT : 0;
	bool woken = false;
	const bool spurious = !expired && !lab.steered && lab_fault(LAB_FAULT_SPURIOUS);
	if (!expired && !spurious && !(lab.steered && lab_steer_is_woken())) {
		self->expires = deadline != INT64_MAX;
		self->deadline = deadline;
		self->result = 0;
		lab_thread_await(lab_sync_op(LAB_SYNC_WAIT, o->address, pc), o, lab_never);
		lab_object_seen(o);
		woken = self->result == 0;
		result = woken ? 0 : ETIMEDOUT;
	}
	if (woken)
		lab_steer_step(mutex, LAB_SYNC_RELOCK);
	else
		(void)lab_object_wait(relock, mutex, lab_mutex_can, INT64_MAX);
	result = lab_mutex_taken(mutex, pc) ?: result;
	lab_sync_event(relock, result)->fault = spurious;
	return result;
}

int lab_cond_wait(struct lab_object *o, struct lab_object *mutex, int64_t deadline, uintptr_t pc)
{
	if (mutex->owner != (int)lab.self->id) {
		if (mutex->type == LAB_MUTEX_ERRORCHECK || mutex->robust)
			return EPERM;
		lab_misuse(pc, "waits for %s with %s, which it does not hold", lab_object_name(o),
		           lab_object_name(mutex));
	}
	if (deadline == LAB_INVALID)
		return EINVAL;
	if (!lab.steered)
		return lab_cond_begin(o, mutex, deadline, pc);
	if (deadline != INT64_MAX)
		lab_steer_refuse("a wait for a condition with a deadline");
	lab_steer_wait(o, mutex, pc);
	return 0;
}

int lab_cond_begin(struct lab_object *o, struct lab_object *mutex, int64_t deadline, uintptr_t pc)
{
	const struct lab_op op = lab_object_point(LAB_SYNC_WAIT, o, pc);
	if (o->mutex && o->mutex != mutex->address && lab_object_waiters(o) > 0)
		lab_misuse(pc, "waits for %s with %s, while another thread waits for it with %s", lab_object_name(o),
		           lab_object_name(mutex), lab_object_name_at(o->mutex, LAB_MUTEX));
	if (mutex->count > 1)
		lab_misuse(pc, "waits for %s with %s, which it has locked %u times", lab_object_name(o),
		           lab_object_name(mutex), mutex->count);
	o->mutex = mutex->address;
	if (lab.steered)
		lab_steer_enqueue(o, mutex, pc);
	lab_mutex_release(mutex);
	lab_object_changed(o);
	lab_sync_event(op, 0);
	return cond_sleep(o, mutex, deadline, pc);
}

void lab_cond_woken(struct lab_object *o, struct lab_thread *waiter)
{
	waiter->expires = false;
	lab_order_follow(waiter, lab.self);
	lab_object_queue(waiter, lab_sync_op(LAB_SYNC_RELOCK, o->mutex, waiter->next.pc), lab_object_find(o->mutex),
	                 lab_mutex_can);
}

static unsigned cond_wake(struct lab_object *o, bool all)
{
	struct lab_thread *line[LAB_THREADS];
	const unsigned waiting = lab_line_up(line, cond_has_waiter, (uintptr_t)o);
	const unsigned pick = !all && waiting > 1 ? lab_choose(LAB_PICK_WAITER, waiting) : 0;
	for (unsigned i = 0; i < waiting; i++)
		if (all || i == pick)
			lab_cond_woken(o, line[i]);
	return waiting;
}

/* A signal wakes any waiter; the usual choice is the one that has waited longest. */
void lab_cond_wake(struct lab_object *o, bool all, uintptr_t pc)
{
	const struct lab_op op = lab_object_point(all ? LAB_SYNC_BROADCAST : LAB_SYNC_SIGNAL, o, pc);
	const unsigned waiting = lab.steered ? lab_steer_wake(o, all) : cond_wake(o, all);
	if (waiting == 0)
		o->wasted = lab_here(pc);
	if (waiting > 0)
		lab_object_changed(o);
	lab_sync_event(op, 0)->value = all || waiting == 0 ? waiting : 1;
}

EXPORTED int pthread_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes)
{
	clockid_t clock = CLOCK_REALTIME;
	if (attributes)
		(void)pthread_condattr_getclock(attributes, &clock);
	const struct lab_made made = {(uintptr_t)cond, LAB_COND, (uint8_t)clock};
	FORWARD_INIT_BY(pthread_cond_init, REAL_COND(pthread_cond_init), (cond, attributes), made);
	lab_object_init(made, PC);
	lab_fill(cond, sizeof *cond);
	return 0;
}

EXPORTED int pthread_cond_destroy(pthread_cond_t *cond)
{
	FORWARD_COND(pthread_cond_destroy, (cond));
	lab_object_destroy(cond_of(cond, "destroys", PC), PC);
	return 0;
}

EXPORTED int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	FORWARD_COND(pthread_cond_wait, (cond, mutex));
	return lab_cond_wait(cond_of(cond, "waits for", PC), lab_mutex_of(mutex, "waits with", PC), INT64_MAX, PC);
}

EXPORTED int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	FORWARD_COND(pthread_cond_timedwait, (cond, mutex, until));
	struct lab_object *o = cond_of(cond, "waits for", PC);
	return lab_cond_wait(o, lab_mutex_of(mutex, "waits with", PC), lab_deadline(until, o->type), PC);
}

EXPORTED int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                    const struct timespec *until)
{
	FORWARD(pthread_cond_clockwait, (cond, mutex, clock, until));
	return lab_cond_wait(cond_of(cond, "waits for", PC), lab_mutex_of(mutex, "waits with", PC),
	                     lab_deadline(until, clock), PC);
}

EXPORTED int pthread_cond_signal(pthread_cond_t *cond)
{
	FORWARD_COND(pthread_cond_signal, (cond));
	lab_cond_wake(cond_of(cond, "signals", PC), false, PC);
	return 0;
}

EXPORTED int pthread_cond_broadcast(pthread_cond_t *cond)
{
	FORWARD_COND(pthread_cond_broadcast, (cond));
	lab_cond_wake(cond_of(cond, "broadcasts", PC), true, PC);
	return 0;
}
