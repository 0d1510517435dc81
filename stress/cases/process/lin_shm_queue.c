/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A check in mode lin: the queue in shared memory against the sequential one. Each call is one
 * commit, even a call for several items.
 */
#include "../cases.h"
#include "process/shm/shm_queue.h"
#include <fairlead/stress_lin.h>

enum { PLACES = 2 };

struct lin_shm_queue {
	_Alignas(FL__SHM_RING_ALIGN) unsigned char memory[sizeof(struct fl__shm_ring) + PLACES * sizeof(int)];
	fl_shm_queue queue;
};

FL_STRESS_SETUP(lin_shm_queue)
{
	s->queue = fl__shm_queue_make(s->memory, sizeof(int), PLACES, UINT32_MAX - 1);
}

/* Another process in the monitor has blocked a try. The specification calls that -EBUSY. */
static int result_of(int rc)
{
	return rc == -ETIMEDOUT ? -EBUSY : rc;
}

FL_LIN_OP(lin_shm_queue, put, FL_LIN_PUT, .weight = 3)
{
	return result_of(fl_shm_queue_put_until(&s->queue, &(int){(int)arg}, FL__TRY, FL_SHIELDED));
}

FL_LIN_OP(lin_shm_queue, get, FL_LIN_GET, .weight = 3)
{
	int item, rc = fl_shm_queue_get_until(&s->queue, &item, FL__TRY, FL_SHIELDED);
	return rc ? result_of(rc) : item;
}

FL_LIN_OP(lin_shm_queue, close, FL_LIN_CLOSE, .most = 1)
{
	int rc;
	/* The ten seconds are of the model's time. */
	while ((rc = fl_shm_queue_close(&s->queue)) == -ETIMEDOUT)
		;
	return rc;
}

FL_LIN_OP(lin_shm_queue, put_many, FL_LIN_PUT_MANY, .keys = 3)
{
	int items[3];
	size_t count = 0;
	for (unsigned i = 0; i < 3; i++)
		items[i] = (int)fl_lin_item(arg, i);
	const size_t n = (size_t)FL_LIN_KEY(arg) + 1;
	const int rc = fl__shm_queue_put_some(&s->queue, items, n, &count, FL__TRY, FL_SHIELDED);
	return rc == -ETIMEDOUT ? -EBUSY : rc == 0 ? (int64_t)count : 0;
}

FL_LIN_OP(lin_shm_queue, get_many, FL_LIN_GET_MANY, .keys = 3)
{
	int items[3];
	int64_t got[3];
	size_t count = 0;
	const size_t n = (size_t)FL_LIN_KEY(arg) + 1;
	if (fl_shm_queue_get_many_until(&s->queue, items, n, &count, FL__TRY, FL_SHIELDED) == -ETIMEDOUT)
		return -EBUSY;
	for (unsigned i = 0; i < count; i++)
		got[i] = items[i];
	return fl_lin_items((unsigned)count, got);
}

FL_LIN(lin_shm_queue, &fl_lin_fifo, .limit = PLACES)
{
}
