/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LOCATION_H
#define STRESS_LOCATION_H

#include "model.h"

/*
 * A thread reads a store that is not the newest at most LAB_PATIENCE times: stores become visible
 * in finite time (C11, 7.17.3). Otherwise a loop that waits might never end.
 */
enum { LAB_HISTORY = 8, LAB_PATIENCE = 4 };

/* A store, and the knowledge that a load of it transfers. */
struct lab_written {
	lab_value value;
	uint32_t clock; /* of the writer, at the store */
	uint32_t step;  /* in the execution; 0: before it */
	uint8_t thread;
	bool sc, rmw;
	uint8_t width;           /* of `by`: so many elements are valid, the rest counts as 0 */
	struct lab_view message; /* the knowledge for an acquiring reader */
	struct lab_reads {
		uint32_t read_at; /* each thread's clock when it first read this; 0: never */
		/* How often each thread has read this store while there was a newer one. */
		uint32_t missed;
		uint32_t before; /* events from which a path leads to this store */
		uint64_t state;  /* lab_state() when each thread last read this as an old one */
	} by[LAB_THREADS];
};

/* Of a thread, to a location. */
struct lab_accesses {
	/* Clocks of the last atomic accesses, to find races with plain ones. */
	uint32_t wrote, read;
	uintptr_t wrote_pc, read_pc;
	uint32_t dropped;             /* clock of its last store, no RMW, that the ring has lost */
	uint32_t sc_order, sc_before; /* what the SC accesses export to later SC writes */
	uint32_t slept;               /* events from which a path leads to the queue of its sleepers */
	struct lab_view *released;    /* at the last release store: the head of its sequence */
};

/*
 * The history of an atomic object: its last LAB_HISTORY stores in modification order, which is the
 * order of execution. Memory has the newest value.
 */
struct lab_location {
	uintptr_t address;
	struct lab_location *next; /* in its cell */
	uint8_t size;
	uint8_t width; /* of `by`: so many elements are valid, the rest counts as 0 */
	/* Since the last atomic access: the history lacks the value in memory. */
	bool plainly_written;
	uint8_t plain_thread;
	uint32_t plain_clock;
	uint16_t lives; /* plain writes so far */
	uint32_t count; /* number of stores; the ring has the last ones */
	struct lab_accesses by[LAB_THREADS];
	struct lab_written ring[LAB_HISTORY];
};

/* Makes the elements of all existing threads valid. */
static inline void lab_written_widen(struct lab_written *store)
{
	for (; store->width < lab.n_threads; store->width++)
		store->by[store->width] = (struct lab_reads){0};
}

static inline unsigned lab_missed(const struct lab_written *store, unsigned thread)
{
	return thread < store->width ? store->by[thread].missed : 0;
}

static inline struct lab_written *lab_newest(struct lab_location *location)
{
	return &location->ring[(location->count - 1) % LAB_HISTORY];
}

/* The location of an atomic access, updated from memory. */
struct lab_location *lab_location_at(struct lab_cell *cell, uintptr_t address, unsigned size);
/* NULL: none. */
struct lab_location *lab_location_find(uintptr_t address);
/* Begins the history anew with the value in memory. */
void lab_location_forget(struct lab_location *location);
struct lab_written *lab_location_push(struct lab_location *location);
/* The running thread has waited for a change of this value: from now on it reads the newest one. */
void lab_location_tired(uintptr_t address, uint32_t step);
struct lab_view *lab_view_new(void);

#endif
