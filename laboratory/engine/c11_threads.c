/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions of <threads.h>. The objects are those of pthreads, except that a mtx_t and a cnd_t
 * have no static initialisers.
 */
#include "posix.h"
#include <limits.h>
#include <threads.h>

static int c11_code(int error)
{
	switch (error) {
	case 0:
		return thrd_success;
	case EBUSY:
		return thrd_busy;
	case ETIMEDOUT:
		return thrd_timedout;
	case ENOMEM:
		return thrd_nomem;
	default:
		return thrd_error;
	}
}

/* --- threads --- */

EXPORTED int thrd_create(thrd_t *thread, thrd_start_t start, void *arg)
{
	lab_posix_refuse(PC);
	FORWARD(thrd_create, (thread, start, arg));
	lab_posix_create(thread, (void (*)(void))start, arg, false, PC);
	return thrd_success;
}

EXPORTED int thrd_join(thrd_t thread, int *result)
{
	FORWARD(thrd_join, (thread, result));
	void *value = NULL;
	const int error = lab_posix_join(thread, &value, INT64_MAX, PC);
	if (error == 0 && result)
		LAB_STORE(result, PC, (int)(intptr_t)value);
	return c11_code(error);
}

EXPORTED int thrd_detach(thrd_t thread)
{
	FORWARD(thrd_detach, (thread));
	return c11_code(lab_posix_detach(thread, PC));
}

EXPORTED thrd_t thrd_current(void)
{
	FORWARD(thrd_current, ());
	return lab_posix_self();
}

EXPORTED int thrd_equal(thrd_t one, thrd_t other)
{
	return one == other;
}

EXPORTED _Noreturn void thrd_exit(int result)
{
	if (OURS())
		lab_posix_end((void *)(intptr_t)result, PC);
	pthread_exit((void *)(intptr_t)result);
}

EXPORTED void thrd_yield(void)
{
	FORWARD(thrd_yield, ());
	lab_relax(PC);
}

EXPORTED int thrd_sleep(const struct timespec *t, struct timespec *rest)
{
	FORWARD(thrd_sleep, (t, rest));
	return lab_sleep_after(lab.now, t, PC) ? -2 : 0;
}

/* --- mutexes --- */

EXPORTED int mtx_init(mtx_t *mutex, int type)
{
	const struct lab_made made = {(uintptr_t)mutex, LAB_MUTEX,
	                              type & mtx_recursive ? LAB_MUTEX_RECURSIVE : LAB_MUTEX_NORMAL};
	FORWARD_INIT(mtx_init, (mutex, type), made);
	lab_object_init(made, PC);
	return thrd_success;
}

EXPORTED void mtx_destroy(mtx_t *mutex)
{
	FORWARD(mtx_destroy, (mutex));
	lab_object_destroy(lab_object_use(mutex, LAB_MUTEX, false, "destroys", PC), PC);
}

EXPORTED int mtx_lock(mtx_t *mutex)
{
	FORWARD(mtx_lock, (mutex));
	return c11_code(lab_mutex_lock(lab_object_use(mutex, LAB_MUTEX, false, "locks", PC), INT64_MAX, PC));
}

EXPORTED int mtx_trylock(mtx_t *mutex)
{
	FORWARD(mtx_trylock, (mutex));
	return c11_code(lab_mutex_lock(lab_object_use(mutex, LAB_MUTEX, false, "tries to lock", PC), LAB_TRY, PC));
}

EXPORTED int mtx_timedlock(mtx_t *restrict mutex, const struct timespec *restrict until)
{
	FORWARD(mtx_timedlock, (mutex, until));
	struct lab_object *o = lab_object_use(mutex, LAB_MUTEX, false, "locks", PC);
	return c11_code(lab_mutex_lock(o, lab_deadline(until, CLOCK_REALTIME), PC));
}

EXPORTED int mtx_unlock(mtx_t *mutex)
{
	FORWARD(mtx_unlock, (mutex));
	return c11_code(lab_mutex_unlock(lab_object_use(mutex, LAB_MUTEX, false, "unlocks", PC), PC));
}

/* --- conditions --- */

EXPORTED int cnd_init(cnd_t *cond)
{
	const struct lab_made made = {(uintptr_t)cond, LAB_COND};
	FORWARD_INIT(cnd_init, (cond), made);
	lab_object_init(made, PC);
	return thrd_success;
}

EXPORTED void cnd_destroy(cnd_t *cond)
{
	FORWARD(cnd_destroy, (cond));
	lab_object_destroy(lab_object_use(cond, LAB_COND, false, "destroys", PC), PC);
}

EXPORTED int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
	FORWARD(cnd_wait, (cond, mutex));
	struct lab_object *o = lab_object_use(cond, LAB_COND, false, "waits for", PC);
	return c11_code(lab_cond_wait(o, lab_object_use(mutex, LAB_MUTEX, false, "waits with", PC), INT64_MAX, PC));
}

EXPORTED int cnd_timedwait(cnd_t *restrict cond, mtx_t *restrict mutex, const struct timespec *restrict until)
{
	FORWARD(cnd_timedwait, (cond, mutex, until));
	struct lab_object *o = lab_object_use(cond, LAB_COND, false, "waits for", PC);
	struct lab_object *m = lab_object_use(mutex, LAB_MUTEX, false, "waits with", PC);
	return c11_code(lab_cond_wait(o, m, lab_deadline(until, CLOCK_REALTIME), PC));
}

EXPORTED int cnd_signal(cnd_t *cond)
{
	FORWARD(cnd_signal, (cond));
	lab_cond_wake(lab_object_use(cond, LAB_COND, false, "signals", PC), false, PC);
	return thrd_success;
}

EXPORTED int cnd_broadcast(cnd_t *cond)
{
	FORWARD(cnd_broadcast, (cond));
	lab_cond_wake(lab_object_use(cond, LAB_COND, false, "broadcasts", PC), true, PC);
	return thrd_success;
}

/* --- once and keys --- */

EXPORTED void call_once(once_flag *flag, void (*call)(void))
{
	if (!OURS()) {
		REAL(call_once)(flag, call);
		if (lab_is_constructor(PC))
			lab_object_early((struct lab_made){(uintptr_t)flag, LAB_ONCE, .round = 1});
		return;
	}
	lab_once(flag, call, PC);
}

EXPORTED int tss_create(tss_t *key, tss_dtor_t destroy)
{
	if (!OURS()) {
		const int result = REAL(tss_create)(key, destroy);
		if (result == thrd_success)
			lab_key_made(*key, destroy, PC);
		return result;
	}
	return c11_code(lab_key_create(key, destroy, PC));
}

EXPORTED void tss_delete(tss_t key)
{
	FORWARD(tss_delete, (key));
	(void)lab_key_delete(key, PC);
}

EXPORTED void *tss_get(tss_t key)
{
	FORWARD(tss_get, (key));
	return lab_key_get(key, PC);
}

EXPORTED int tss_set(tss_t key, void *value)
{
	FORWARD(tss_set, (key, value));
	return c11_code(lab_key_set(key, value, PC));
}
