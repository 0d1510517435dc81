/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pthread_rwlock_t. POSIX leaves open whether a reader overtakes a waiting writer, and glibc allows
 * it. The search explores both: a reader that comes while a writer waits may enqueue behind the
 * writers.
 */
#include "posix.h"
#include "steer.h"

static bool rwlock_is_static(const pthread_rwlock_t *lock)
{
	pthread_rwlock_t copy = *lock;
	copy.__data.__flags = 0; /* the kind */
	return lab_is_zero(&copy, sizeof copy);
}

static struct lab_object *rwlock_of(pthread_rwlock_t *lock, const char *what, uintptr_t pc)
{
	return lab_object_use(lock, LAB_RWLOCK, lock && rwlock_is_static(lock), what, pc);
}

static bool rwlock_can_read(const struct lab_object *o, const struct lab_thread *thread)
{
	(void)thread;
	return o->owner == LAB_NOBODY;
}

static bool rwlock_can_write(const struct lab_object *o, const struct lab_thread *thread)
{
	(void)thread;
	return o->owner == LAB_NOBODY && o->count == 0;
}

bool lab_rwlock_has_writer(const struct lab_object *o)
{
	LAB_EACH_THREAD (t)
		if (t->object == o && t->can == rwlock_can_write)
			return true;
	return false;
}

static bool rwlock_can_read_enqueued(const struct lab_object *o, const struct lab_thread *thread)
{
	return rwlock_can_read(o, thread) && !lab_rwlock_has_writer(o);
}

static int rwlock_take_read(struct lab_object *o, uintptr_t pc)
{
	if (o->reads[lab.self->id] == UINT8_MAX)
		return EAGAIN;
	o->reads[lab.self->id]++;
	o->count++;
	o->taken = lab_here(pc);
	lab_object_acquire(&o->view);
	lab_object_taken(o);
	return 0;
}

static int rwlock_take_write(struct lab_object *o, uintptr_t pc)
{
	lab_object_acquire(&o->readers);
	lab_object_take(o, pc);
	return 0;
}

static int rwlock_wait_read(struct lab_op op, struct lab_object *o, int64_t deadline)
{
	const bool behind = lab.steered && lab_steer_is_behind(o, deadline != INT64_MAX, op.pc);
	if (behind && deadline == INT64_MAX)
		lab_thread_await(op, o, lab_never);
	const int result = behind ? -ETIMEDOUT : lab_object_wait(op, o, rwlock_can_read, deadline);
	if (result == 0 && !lab.steered && lab_rwlock_has_writer(o) && lab_choose(LAB_PICK_INPUT, 2) == 1)
		return lab_object_wait(op, o, rwlock_can_read_enqueued, deadline);
	return result;
}

static int rwlock_wait_write(struct lab_op op, struct lab_object *o, int64_t deadline)
{
	if (o->reads[lab.self->id] > 0)
		lab_misuse(op.pc, "locks %s for writing while it holds it for reading, so it waits for itself",
		           lab_object_name(o));
	if (!lab.steered)
		(void)lab_object_point(LAB_SYNC_ENQUEUE, o, op.pc);
	(void)lab_steer_line(o, 1, op.pc);
	const int result = lab_object_wait(op, o, rwlock_can_write, deadline);
	if (result != 0)
		lab_object_changed(o); /* readers may be enqueued behind it */
	return result;
}

static int rwlock_lock(pthread_rwlock_t *lock, bool write, int64_t deadline, uintptr_t pc)
{
	const bool tries = deadline == LAB_TRY;
	struct lab_object *o = rwlock_of(lock, tries ? "tries to lock" : "locks", pc);
	const struct lab_op op = lab_sync_op((write ? LAB_SYNC_WRLOCK : LAB_SYNC_RDLOCK) + tries, o->address, pc);
	if (deadline == LAB_INVALID)
		return EINVAL;
	if (o->owner == (int)lab.self->id && !tries)
		return EDEADLK;
	int result = tries   ? lab_object_wait(op, o, write ? rwlock_can_write : rwlock_can_read, deadline)
	             : write ? rwlock_wait_write(op, o, deadline)
	                     : rwlock_wait_read(op, o, deadline);
	if (result != 0)
		result = tries ? EBUSY : ETIMEDOUT;
	else
		result = write ? rwlock_take_write(o, pc) : rwlock_take_read(o, pc);
	if (write && !tries)
		(void)lab_steer_line(o, UINT64_MAX, pc);
	lab_sync_event(op, result);
	return result;
}

EXPORTED int pthread_rwlock_init(pthread_rwlock_t *lock, const pthread_rwlockattr_t *attributes)
{
	const struct lab_made made = {(uintptr_t)lock, LAB_RWLOCK};
	FORWARD_INIT(pthread_rwlock_init, (lock, attributes), made);
	lab_object_init(made, PC);
	lab_fill(lock, sizeof *lock);
	return 0;
}

EXPORTED int pthread_rwlock_destroy(pthread_rwlock_t *lock)
{
	FORWARD(pthread_rwlock_destroy, (lock));
	lab_object_destroy(rwlock_of(lock, "destroys", PC), PC);
	return 0;
}

EXPORTED int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	FORWARD(pthread_rwlock_rdlock, (lock));
	return rwlock_lock(lock, false, INT64_MAX, PC);
}

EXPORTED int pthread_rwlock_timedrdlock(pthread_rwlock_t *lock, const struct timespec *until)
{
	FORWARD(pthread_rwlock_timedrdlock, (lock, until));
	return rwlock_lock(lock, false, lab_deadline(until, CLOCK_REALTIME), PC);
}

EXPORTED int pthread_rwlock_clockrdlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *until)
{
	FORWARD(pthread_rwlock_clockrdlock, (lock, clock, until));
	return rwlock_lock(lock, false, lab_deadline(until, clock), PC);
}

EXPORTED int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	FORWARD(pthread_rwlock_wrlock, (lock));
	return rwlock_lock(lock, true, INT64_MAX, PC);
}

EXPORTED int pthread_rwlock_timedwrlock(pthread_rwlock_t *lock, const struct timespec *until)
{
	FORWARD(pthread_rwlock_timedwrlock, (lock, until));
	return rwlock_lock(lock, true, lab_deadline(until, CLOCK_REALTIME), PC);
}

EXPORTED int pthread_rwlock_clockwrlock(pthread_rwlock_t *lock, clockid_t clock, const struct timespec *until)
{
	FORWARD(pthread_rwlock_clockwrlock, (lock, clock, until));
	return rwlock_lock(lock, true, lab_deadline(until, clock), PC);
}

EXPORTED int pthread_rwlock_tryrdlock(pthread_rwlock_t *lock)
{
	FORWARD(pthread_rwlock_tryrdlock, (lock));
	return rwlock_lock(lock, false, LAB_TRY, PC);
}

EXPORTED int pthread_rwlock_trywrlock(pthread_rwlock_t *lock)
{
	FORWARD(pthread_rwlock_trywrlock, (lock));
	return rwlock_lock(lock, true, LAB_TRY, PC);
}

EXPORTED int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
	FORWARD(pthread_rwlock_unlock, (lock));
	struct lab_object *o = rwlock_of(lock, "unlocks", PC);
	const unsigned self = lab.self->id;
	const struct lab_op op = lab_object_point(LAB_SYNC_UNLOCK, o, PC);
	if (o->owner == (int)self) {
		lab_steer_step(o, LAB_SYNC_UNLOCK);
		o->owner = LAB_NOBODY;
		lab_view_copy(&o->view, &lab.self->view);
		lab_view_clear(&o->readers);
	} else if (o->reads[self] > 0) {
		lab_steer_step(o, LAB_SYNC_RDUNLOCK);
		o->reads[self]--;
		o->count--;
		lab_object_release(&o->readers);
	} else {
		lab_misuse(PC, "unlocks %s, which it does not hold", lab_object_name(o));
	}
	lab_object_changed(o);
	lab_sync_event(op, 0);
	return 0;
}
