/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CASES_SHM_QUEUES_H
#define STRESS_CASES_SHM_QUEUES_H

/*
 * Declarations for the scenarios of queues in shared memory. The ring is in the state. `put` and
 * `got` are the results that each actor has when the scenario ends, or when the actor is killed.
 * For item i, counted from 0, put[i] is NOT_BEGUN, BEGUN, or the result of its put. `got` has the
 * items, counted from 1, that gets returned.
 */
#include "../cases.h"
#include "process/shm/shm_queue.h"

enum { ITEMS = 4, NOT_BEGUN = 1, BEGUN = 2 };

struct queue_in_shm {
	_Alignas(FL__SHM_RING_ALIGN) unsigned char memory[sizeof(struct fl__shm_ring) + ITEMS * sizeof(int)];
	fl_shm_queue queue;
	int put[ITEMS];
	int got[2][ITEMS]; /* of two getters; 0 stands for none */
};

static inline void begin_items(struct queue_in_shm *q, uint32_t capacity, uint32_t start)
{
	q->queue = fl__shm_queue_make(q->memory, sizeof(int), capacity, start);
	for (int i = 0; i < ITEMS; i++)
		q->put[i] = NOT_BEGUN;
}

/* Puts the item `i` + 1. */
static inline int put_item(struct queue_in_shm *q, int i, fl_time deadline)
{
	int item = i + 1;
	q->put[i] = BEGUN;
	return q->put[i] = fl_shm_queue_put_until(&q->queue, &item, deadline, FL_SHIELDED);
}

/* Makes get number `n` of `getter`. */
static inline int get_item(struct queue_in_shm *q, int getter, int n, fl_time deadline)
{
	int item = 0;
	int rc = fl_shm_queue_get_until(&q->queue, &item, deadline, FL_SHIELDED);
	if (rc == 0)
		q->got[getter][n] = item;
	return rc;
}

/*
 * Returns, at the end, whether each accepted item was delivered once, or is still there once. At
 * most `lost` items may have been dropped, or lost with killed getters.
 */
static inline bool is_exact(struct queue_in_shm *q, unsigned lost)
{
	unsigned seen[ITEMS + 1] = {0};
	int item;
	for (int i = 0; i < 2 * ITEMS; i++)
		seen[q->got[i / ITEMS][i % ITEMS]]++;
	while (fl_shm_queue_get_until(&q->queue, &item, FL__TRY, FL_SHIELDED) == 0) {
		if (item < 1 || item > ITEMS)
			return false;
		seen[item]++;
	}
	for (int i = 0; i < ITEMS; i++) {
		/* BEGUN says that the actor was killed in the put, so the item may be there. */
		bool may = q->put[i] == 0 || q->put[i] == BEGUN;
		if (seen[i + 1] > (may ? 1 : 0))
			return false;
		if (q->put[i] == 0 && seen[i + 1] == 0 && lost-- == 0)
			return false;
	}
	return true;
}

#endif
