/* SPDX-License-Identifier: BSD-2-Clause */
/* Each scope macro twice on one line. In C and in C++. */
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			printf("%d: %s\n", __LINE__, #condition);                                                      \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

/* One line: that of the use of this macro. */
#define BOTH(scope, objects)                                                                                           \
	scope(&(objects)[0]);                                                                                          \
	scope(&(objects)[1])

/* Both locks are locked until the end of the block. */
#define CHECK_LOCKS(scope, is_locked, locks)                                                                           \
	do {                                                                                                           \
		{                                                                                                      \
			BOTH(scope, locks);                                                                            \
			CHECK(is_locked(&(locks)[0]) && is_locked(&(locks)[1]));                                       \
		}                                                                                                      \
		CHECK(!is_locked(&(locks)[0]) && !is_locked(&(locks)[1]));                                             \
	} while (0)

static fl_mutex mutexes[2];
static fl_rmutex rmutexes[2];
static fl_rwlock read_locks[2], write_locks[2];
static fl_shm_mutex shm_mutexes[2];
static fl_cancel_token tokens[2];

static bool is_read(fl_rwlock *l)
{
	if (fl_rwlock_try_write_lock(l) != 0)
		return true;
	fl_rwlock_write_unlock(l);
	return false;
}

static bool is_written(fl_rwlock *l)
{
	if (fl_rwlock_try_read_lock(l) != 0)
		return true;
	fl_rwlock_read_unlock(l);
	return false;
}

#define SHM_LOCKED(m)                                                                                                  \
	FL_SHM_LOCKED(first, &(m)[0]);                                                                                 \
	FL_SHM_LOCKED(second, &(m)[1])
#define BLOCKING()                                                                                                     \
	FL_BLOCKING();                                                                                                 \
	FL_BLOCKING()

int main(void)
{
	CHECK_LOCKS(FL_LOCKED, fl_mutex_is_locked, mutexes);
	CHECK_LOCKS(FL_RMUTEX_LOCKED, fl_rmutex_depth, rmutexes);
	CHECK_LOCKS(FL_READ_LOCKED, is_read, read_locks);
	CHECK_LOCKS(FL_WRITE_LOCKED, is_written, write_locks);
	{
		SHM_LOCKED(shm_mutexes);
		CHECK(first == 0 && fl_shm_mutex_depth(&shm_mutexes[0]));
		CHECK(second == 0 && fl_shm_mutex_depth(&shm_mutexes[1]));
	}
	CHECK(!fl_shm_mutex_is_locked(&shm_mutexes[0]) && !fl_shm_mutex_is_locked(&shm_mutexes[1]));
	{
		BOTH(FL_CANCEL_SCOPE, tokens);
		CHECK(fl_cancel_scope_current() == &tokens[1]);
	}
	CHECK(fl_cancel_scope_current() == NULL);
	{
		BLOCKING(); /* on no worker: does nothing */
	}
	puts("ok");
}
