/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each macro that makes code, in a program that has macros of its own: C and C++. consumers.py
 * writes macros_of_the_program.h. No name of this unit begins otherwise than with my_.
 */
#ifdef MACROS_FIRST
#include "macros_of_the_program.h"
#endif
#include "all_headers.h" /* each installed one: of consumers.py */
#ifndef MACROS_FIRST
#include "macros_of_the_program.h"
#endif

struct my_pair {
	int my_first, my_second;
};

FL_QUEUE_OF(struct my_pair, my_queue)
FL_MPMC_OF(struct my_pair, my_mpmc)
FL_SPSC_OF(struct my_pair, my_spsc)
FL_SHM_QUEUE_OF(struct my_pair, my_shm_queue)
FL_SHM_VALUE_OF(struct my_pair, my_shm_value)
FL_SHM_ARRAY_OF(struct my_pair, my_shm_array)
FL_PROMISE_OF(struct my_pair, my_promise)
FL_PROCESS_HOOK;

FL_TASK(my_task, struct my_pair, int)
{
	*result = arg->my_first;
	return fl_task_is_cancelled(ctx) ? -1 : 0;
}
FL_TASK_STATIC(my_static_task, int, void)
{
	return 0;
}
FL_TASK_DECLARE(my_declared_task, void, int)
FL_TASK_DEFINE(my_declared_task, void, int)
{
	return 0;
}
FL_TASK(my_bytes_task, fl_bytes, fl_bytes)
{
	*result = *arg;
	return 0;
}

static fl_mutex my_mutex = FL_MUTEX_INIT;
static fl_cond my_cond = FL_COND_INIT;
static fl_rmutex my_rmutex = FL_RMUTEX_INIT;
static fl_rwlock my_rwlock = FL_RWLOCK_INIT;
static fl_sem my_sem = FL_SEM_INIT(1), my_bounded_sem = FL_SEM_BOUNDED_INIT(1);
static fl_event my_event = FL_EVENT_INIT;
static fl_latch my_latch = FL_LATCH_INIT(1);
static fl_barrier my_barrier = FL_BARRIER_INIT(1);
static fl_local my_local = FL_LOCAL_INIT(NULL);
static fl_shm_mutex my_shm_mutex;
static fl_shm_event my_shm_event;
static fl_shm_sem my_shm_sem;

int my_waits(my_queue *my_q, fl_future *my_future, fl_pipe *my_pipe, fl_shm_queue *my_shm_q, fl_process *my_process);
int my_waits(my_queue *my_q, fl_future *my_future, fl_pipe *my_pipe, fl_shm_queue *my_shm_q, fl_process *my_process)
{
	struct my_pair my_item = {0, 0};
	FL_SCOPED(fl_executor) *my_executor = NULL;
	FL_SCOPED(my_mpmc) *my_scoped = NULL;
	FL_SCOPED(fl_group) my_group = FL_GROUP_INIT(my_executor);
	fl_group my_other_group = FL_GROUP_INIT_UNTIL(my_executor, FL_FOREVER);
	FL_IGNORE(fl_group_join(&my_other_group));
	FL_IGNORE(FL_SELECT(FL_GET(my_queue_untyped(my_q), &my_item), FL_PUT(my_queue_untyped(my_q), &my_item)));
	FL_IGNORE(FL_SELECT_UNTIL(FL_NO_WAIT, NULL, FL_GET(my_queue_untyped(my_q), &my_item)));
	FL_IGNORE(FL_WAIT_ANY(FL_ON_EVENT(&my_event), FL_ON_SEM(&my_sem), FL_ON_LATCH(&my_latch), FL_ON_PIPE(my_pipe)));
	FL_IGNORE(FL_WAIT_ANY(FL_ON_FUTURE(my_future), FL_ON_PROCESS(my_process), FL_ON_PIPE_SPACE(my_pipe)));
	FL_IGNORE(FL_WAIT_ANY_UNTIL(fl_after(FL_MS(1) + FL_S(1) + FL_US(1)), NULL, FL_ON_GROUP(&my_group),
	                            FL_ON_SHM_EVENT(&my_shm_event), FL_ON_SHM_SEM(&my_shm_sem),
	                            FL_ON_SHM_QUEUE(my_shm_q), FL_ON_SHM_QUEUE_SPACE(my_shm_q),
	                            FL_ON_QUEUE(my_queue_untyped(my_q)), FL_ON_QUEUE_SPACE(my_queue_untyped(my_q))));
	return my_queue_put(my_q, my_item);
}

void my_locks(void);
void my_locks(void)
{
	FL_LOCKED(&my_mutex);
	FL_RMUTEX_LOCKED(&my_rmutex);
	FL_READ_LOCKED(&my_rwlock);
	FL_WRITE_LOCKED(&my_rwlock);
	FL_SHM_LOCKED(my_rc, &my_shm_mutex);
	FL_CANCEL_SCOPE(FL_SHIELDED);
	FL_BLOCKING();
	(void)my_rc, (void)my_cond, (void)my_bounded_sem, (void)my_barrier, (void)my_local;
}

size_t my_bytes(const fl_bytes *my_b);
size_t my_bytes(const fl_bytes *my_b)
{
	size_t my_n = 0;
	FL_BYTES_EACH (const int, my_item, *my_b)
		my_n += (size_t)*my_item;
	return my_n + FL_BYTES_COUNT(int, *my_b);
}
