/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LOCATION_H
#define STRESS_LOCATION_H

#include "model.h"

/*
 * A thread reads a store that is not the newest at most LAB_PATIENCE times: stores become visible in finite time (C11,
 * 7.17.3), or else a loop that waits could go on for ever.
 */
enum { LAB_HISTORY = 8, LAB_PATIENCE = 4 };

/* A store, and what a load of it makes known. */
struct lab_written {
	lab_value value;
	uint32_t clock; /* of the writer, at the store */
	uint32_t step;  /* in the execution; 0: before it */
	uint8_t thread;
	bool sc;
	uint8_t width;           /* of `by`: so many elements have a value, the others count as 0 */
	struct lab_view message; /* what an acquiring reader learns */
	struct lab_reads {
		uint32_t read_at; /* each thread's clock when it first read this; 0: never */
		uint32_t missed;  /* how often each thread has read this though there was a newer one */
	} by[LAB_THREADS];
};

/* Of a thread, to a location. */
struct lab_accesses {
	uint32_t wrote, read; /* clocks of the last atomic accesses, for races with plain ones */
	uintptr_t wrote_pc, read_pc;
	struct lab_view *released; /* at the last release store: the head of a release sequence */
};

/*
 * What an atomic object has been: its last LAB_HISTORY stores in modification order, which is the order of execution.
 * Memory holds the newest.
 */
struct lab_location {
	uintptr_t address;
	struct lab_location *next; /* in its cell */
	uint8_t size;
	uint8_t width;        /* of `by`: so many elements have a value, the others count as 0 */
	bool plainly_written; /* since the last atomic access: memory has a value that the history lacks */
	uint8_t plain_thread;
	uint32_t plain_clock;
	uint32_t count; /* of stores; the ring has the last ones */
	struct lab_accesses by[LAB_THREADS];
	struct lab_written ring[LAB_HISTORY];
};

/* Makes the elements of all threads that there are valid. */
static inline void lab_written_widen(struct lab_written *store)
{
	for (; store->width < lab.n_threads; store->width++)
		store->by[store->width] = (struct lab_reads){0, 0};
}

static inline unsigned lab_missed(const struct lab_written *store, unsigned thread)
{
	return thread < store->width ? store->by[thread].missed : 0;
}

static inline struct lab_written *lab_newest(struct lab_location *location)
{
	return &location->ring[(location->count - 1) % LAB_HISTORY];
}

/* The location of an atomic access, up to date with memory. */
struct lab_location *lab_location_at(struct lab_cell *cell, uintptr_t address, unsigned size);
/* NULL: none. */
struct lab_location *lab_location_find(uintptr_t address);
/* The history begins anew with what memory holds. */
void lab_location_forget(struct lab_location *location);
struct lab_written *lab_location_push(struct lab_location *location);
/* The running thread has waited in vain for a change of what it saw there: when there is one, it sees it. */
void lab_location_tired(uintptr_t address, uint32_t step);
struct lab_view *lab_view_new(void);

#endif
