/* SPDX-License-Identifier: BSD-2-Clause */
/* Global variables of common names, before all headers: C and C++. */
#include "names.h"

#define GLOBAL(name) extern int name;
NAMES(GLOBAL)
BODY_NAMES(GLOBAL)

#include "all_headers.h" /* each installed one: of consumers.py */

struct pair_of_ints {
	int first, second;
};

FL_QUEUE_OF(struct pair_of_ints, queue_1)
FL_MPMC_OF(struct pair_of_ints, queue_2)
FL_SPSC_OF(struct pair_of_ints, queue_4)
FL_SHM_QUEUE_OF(struct pair_of_ints, queue_5)
FL_SHM_VALUE_OF(struct pair_of_ints, value_6)
FL_SHM_ARRAY_OF(struct pair_of_ints, array_7)
FL_PROMISE_OF(struct pair_of_ints, promise_8)

void lock_all(fl_mutex *lock_1, fl_rmutex *lock_2, fl_rwlock *lock_4, fl_shm_mutex *lock_6);
void lock_all(fl_mutex *lock_1, fl_rmutex *lock_2, fl_rwlock *lock_4, fl_shm_mutex *lock_6)
{
	FL_LOCKED(lock_1);
	FL_RMUTEX_LOCKED(lock_2);
	FL_READ_LOCKED(lock_4);
	FL_SHM_LOCKED(rc_6, lock_6);
	FL_CANCEL_SCOPE(FL_SHIELDED);
	FL_BLOCKING();
	FL_SCOPED(fl_executor) *pool_1 = NULL;
	(void)rc_6, (void)pool_1;
}
