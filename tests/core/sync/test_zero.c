/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory of zeros is a valid object of these types, in its first state. */
#include "fl_test.h"

#define ZERO(type, fixed_as, init)                                                                                     \
	do {                                                                                                           \
		static type fixed = fixed_as, zero, made; /* NOLINT(bugprone-macro-parentheses) */                     \
		memset(&made, 0xff, sizeof made);                                                                      \
		init(&made);                                                                                           \
		assert_memory_equal(&fixed, &zero, sizeof zero);                                                       \
		assert_memory_equal(&made, &zero, sizeof zero);                                                        \
		type##_destroy(&fixed);                                                                                \
	} while (0)

FL_TEST(zero_is_valid)
{
	ZERO(fl_mutex, FL_MUTEX_INIT, fl_mutex_init);
	ZERO(fl_rmutex, FL_RMUTEX_INIT, fl_rmutex_init);
	ZERO(fl_rwlock, FL_RWLOCK_INIT, fl_rwlock_init);
	ZERO(fl_cond, FL_COND_INIT, fl_cond_init);
	ZERO(fl_event, FL_EVENT_INIT, fl_event_init);
	ZERO(fl_shm_mutex, FL_SHM_MUTEX_INIT, fl_shm_mutex_init);
	ZERO(fl_shm_cond, FL_SHM_COND_INIT, fl_shm_cond_init);
	fl_shm_event zero, made;
	memset(&zero, 0, sizeof zero);
	memset(&made, 0xff, sizeof made);
	fl_shm_event_init(&made);
	assert_memory_equal(&made, &zero, sizeof made);
	assert_false(fl_shm_event_is_set(&zero));
}
