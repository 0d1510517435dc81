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
	struct lab_view message; /* what an acquiring reader learns */
	uint32_t clock;          /* of the writer, at the store */
	uint32_t step;           /* in the execution; 0: before it */
	uint8_t thread;
	bool sc;
	uint32_t read_at[LAB_THREADS]; /* each thread's clock when it first read this; 0: never */
	uint8_t missed[LAB_THREADS];   /* how often each thread has read this though there was a newer one */
};

/*
 * What an atomic object has been: its last LAB_HISTORY stores in modification order, which is the order of execution.
 * Memory holds the newest.
 */
struct lab_location {
	uintptr_t address;
	struct lab_location *next; /* in its cell */
	uint8_t size;
	bool plainly_written; /* since the last atomic access: memory has a value that the history lacks */
	uint8_t plain_thread;
	uint32_t plain_clock;
	uint32_t count; /* of stores; the ring has the last ones */
	uint32_t wrote[LAB_THREADS],
	    read[LAB_THREADS]; /* clocks of the last atomic accesses, for races with plain ones */
	uintptr_t wrote_pc[LAB_THREADS], read_pc[LAB_THREADS];
	struct lab_view
	    *released[LAB_THREADS]; /* at each thread's last release store here: heads of release sequences */
	struct lab_written ring[LAB_HISTORY];
};

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
