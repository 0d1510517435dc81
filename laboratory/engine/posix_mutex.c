/* SPDX-License-Identifier: BSD-2-Clause */
/* pthread_mutex_t of each type, and pthread_spinlock_t. */
#include "posix.h"
#include "steer.h"

bool lab_mutex_can(const struct lab_object *o, const struct lab_thread *thread)
{
	(void)thread;
	return o->owner == LAB_NOBODY;
}

/* A static initialiser leaves all bytes except the type zero. */
static bool mutex_is_static(const pthread_mutex_t *mutex)
{
	pthread_mutex_t copy = *mutex;
	if (copy.__data.__kind < 0 || copy.__data.__kind > 3)
		return false;
	copy.__data.__kind = 0;
	return lab_is_zero(&copy, sizeof copy);
}

/* Converts the C library's number for the type. */
static uint8_t mutex_type(int type)
{
	return type == PTHREAD_MUTEX_RECURSIVE    ? LAB_MUTEX_RECURSIVE
	       : type == PTHREAD_MUTEX_ERRORCHECK ? LAB_MUTEX_ERRORCHECK
	                                          : LAB_MUTEX_NORMAL;
}

struct lab_object *lab_mutex_of(const pthread_mutex_t *mutex, const char *what, uintptr_t pc)
{
	struct lab_object *o = lab_object_find((uintptr_t)mutex);
	const bool fresh = mutex && !(o && o->live) && mutex_is_static(mutex);
	o = lab_object_use(mutex, LAB_MUTEX, fresh, what, pc);
	if (fresh)
		o->type = mutex_type(mutex->__data.__kind);
	return o;
}

int lab_mutex_taken(struct lab_object *o, uintptr_t pc)
{
	if (o->lost)
		return ENOTRECOVERABLE;
	o->count = 1;
	lab_object_take(o, pc);
	return o->owner_died ? EOWNERDEAD : 0;
}

void lab_mutex_release(struct lab_object *o)
{
	if (o->owner_died)
		o->lost = true; /* no owner made it consistent */
	o->owner = LAB_NOBODY;
	o->count = 0;
	lab_view_copy(&o->view, &lab.self->view);
	lab_object_changed(o);
}

/* If the caller already holds the mutex, returns the result for the mutex's type; otherwise -1. */
static int mutex_relock(struct lab_object *o, bool tries, uintptr_t pc)
{
	if (o->owner != (int)lab.self->id)
		return -1;
	if (o->type == LAB_MUTEX_RECURSIVE) {
		o->count++;
		lab.self->effects++;
		return 0;
	}
	if (tries)
		return EBUSY;
	if (o->type == LAB_MUTEX_ERRORCHECK)
		return EDEADLK;
	lab_misuse(pc, "locks %s again, which it has held since %s", lab_object_name(o), lab_site_name(o->taken.pc));
}

int lab_mutex_lock(struct lab_object *o, int64_t deadline, uintptr_t pc)
{
	const bool tries = deadline == LAB_TRY;
	int result = mutex_relock(o, tries, pc);
	if (result >= 0)
		return result;
	const struct lab_op op = lab_sync_op(deadline <= lab.now ? LAB_SYNC_TRYLOCK : LAB_SYNC_LOCK, o->address, pc);
	result = lab_object_wait(op, o, lab_mutex_can, deadline);
	result = result == 0 ? lab_mutex_taken(o, pc) : deadline == LAB_INVALID ? EINVAL : tries ? EBUSY : ETIMEDOUT;
	lab_sync_event(op, result);
	return result;
}

int lab_mutex_unlock(struct lab_object *o, uintptr_t pc)
{
	const bool defined = o->type != LAB_MUTEX_NORMAL || o->robust;
	if (o->owner == (int)lab.self->id && o->count > 1) {
		o->count--;
		lab.self->effects++;
		return 0;
	}
	const struct lab_op op = lab_object_point(LAB_SYNC_UNLOCK, o, pc);
	if (o->owner != (int)lab.self->id && defined) {
		lab_sync_event(op, EPERM);
		return EPERM;
	}
	if (o->owner == LAB_NOBODY)
		lab_misuse(pc, "unlocks %s, which no thread holds", lab_object_name(o));
	if (o->owner != (int)lab.self->id)
		lab_misuse(pc, "unlocks %s", lab_object_held(o));
	lab_steer_step(o, LAB_SYNC_UNLOCK);
	lab_mutex_release(o);
	lab_sync_event(op, 0);
	return 0;
}

EXPORTED int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
	int type = PTHREAD_MUTEX_DEFAULT, robust = PTHREAD_MUTEX_STALLED;
	if (attributes) {
		(void)pthread_mutexattr_gettype(attributes, &type);
		(void)pthread_mutexattr_getrobust(attributes, &robust);
	}
	const struct lab_made made = {(uintptr_t)mutex, LAB_MUTEX, mutex_type(type), robust == PTHREAD_MUTEX_ROBUST};
	FORWARD_INIT(pthread_mutex_init, (mutex, attributes), made);
	lab_object_init(made, PC);
	lab_fill(mutex, sizeof *mutex);
	return 0;
}

EXPORTED int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
	FORWARD(pthread_mutex_destroy, (mutex));
	lab_object_destroy(lab_mutex_of(mutex, "destroys", PC), PC);
	return 0;
}

EXPORTED int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	FORWARD(pthread_mutex_lock, (mutex));
	return lab_mutex_lock(lab_mutex_of(mutex, "locks", PC), INT64_MAX, PC);
}

EXPORTED int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	FORWARD(pthread_mutex_trylock, (mutex));
	return lab_mutex_lock(lab_mutex_of(mutex, "tries to lock", PC), LAB_TRY, PC);
}

EXPORTED int pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until)
{
	FORWARD(pthread_mutex_timedlock, (mutex, until));
	struct lab_object *o = lab_mutex_of(mutex, "locks", PC);
	return lab_mutex_lock(o, lab_deadline(until, CLOCK_REALTIME), PC);
}

EXPORTED int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
	FORWARD(pthread_mutex_clocklock, (mutex, clock, until));
	return lab_mutex_lock(lab_mutex_of(mutex, "locks", PC), lab_deadline(until, clock), PC);
}

EXPORTED int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	FORWARD(pthread_mutex_unlock, (mutex));
	return lab_mutex_unlock(lab_mutex_of(mutex, "unlocks", PC), PC);
}

EXPORTED int pthread_mutex_consistent(pthread_mutex_t *mutex)
{
	FORWARD(pthread_mutex_consistent, (mutex));
	struct lab_object *o = lab_mutex_of(mutex, "makes consistent", PC);
	if (o->owner != (int)lab.self->id || !o->owner_died)
		return EINVAL;
	o->owner_died = false;
	return 0;
}

/* --- spin locks --- */

static struct lab_object *mutex_spin_of(pthread_spinlock_t *lock, const char *what, uintptr_t pc)
{
	return lab_object_use((const void *)lock, LAB_SPINLOCK, false, what, pc);
}

EXPORTED int pthread_spin_init(pthread_spinlock_t *lock, int shared)
{
	const struct lab_made made = {(uintptr_t)lock, LAB_SPINLOCK};
	FORWARD_INIT(pthread_spin_init, (lock, shared), made);
	lab_object_init(made, PC);
	return 0;
}

EXPORTED int pthread_spin_destroy(pthread_spinlock_t *lock)
{
	FORWARD(pthread_spin_destroy, (lock));
	lab_object_destroy(mutex_spin_of(lock, "destroys", PC), PC);
	return 0;
}

EXPORTED int pthread_spin_lock(pthread_spinlock_t *lock)
{
	FORWARD(pthread_spin_lock, (lock));
	return lab_mutex_lock(mutex_spin_of(lock, "locks", PC), INT64_MAX, PC);
}

EXPORTED int pthread_spin_trylock(pthread_spinlock_t *lock)
{
	FORWARD(pthread_spin_trylock, (lock));
	return lab_mutex_lock(mutex_spin_of(lock, "tries to lock", PC), LAB_TRY, PC);
}

EXPORTED int pthread_spin_unlock(pthread_spinlock_t *lock)
{
	FORWARD(pthread_spin_unlock, (lock));
	return lab_mutex_unlock(mutex_spin_of(lock, "unlocks", PC), PC);
}
