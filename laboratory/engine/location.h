/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LOCATION_H
#define STRESS_LOCATION_H

#include "model.h"

/*
 * The history of an atomic location: which of its stores are kept, and what is known of each store.
 * memory.c decides which of the stores a load may read, and explains the words of the memory model.
 */

/*
 * Stores become visible in finite time (C11, 7.17.3). Therefore a thread reads the same store at
 * most LAB_PATIENCE times after a newer store has come. Otherwise a waiting loop might never end.
 */
enum { LAB_HISTORY = 8, LAB_PATIENCE = 4 };

/* A store, and what a load that reads it learns. */
struct lab_written {
	lab_value value;
	uint32_t clock; /* the writer's clock at the store */
	uint32_t step;  /* its number in the execution; 0: before the execution */
	uint8_t thread;
	bool sc, rmw;
	uint8_t width;           /* of `by`: so many elements are valid, the others count as 0 */
	struct lab_view message; /* what an acquiring reader learns */
	struct lab_reads {
		/* each thread's clock when it first read this store; 0: it never did */
		uint32_t read_at;
		/* How often each thread has read this store while there was a newer one. */
		uint32_t missed;
		uint32_t before; /* the events from which a path leads to this store */
		/* lab_state() when each thread last read this store as an old one */
		uint64_t state;
	} by[LAB_THREADS];
};

/* What a thread did at a location. */
struct lab_accesses {
	/* The clocks of its last atomic accesses, by which races with plain ones are found. */
	uint32_t wrote, read;
	uintptr_t wrote_pc, read_pc;
	/* the clock of its last store, other than an RMW, that the ring has lost */
	uint32_t dropped;
	uint32_t sc_order, sc_before; /* what its SC accesses pass on to later SC writes */
	/*
	 * The events from which a path leads to the queue of the location's sleepers. In a graph,
	 * this is the clock of the thread's last wait for the futex.
	 */
	uint32_t slept;
	/* what it knew at its last release store: the head of its release sequence */
	struct lab_view *released;
};

/*
 * The history of an atomic object: its last LAB_HISTORY stores in modification order, which is the
 * order of execution. Memory has the newest value.
 */
struct lab_location {
	uintptr_t address;
	struct lab_location *next; /* the next location of its cell */
	uint8_t size;
	uint8_t width; /* of `by`: so many elements are valid, the others count as 0 */
	/*
	 * A plain write has come since the last atomic access, so the history lacks the value in
	 * memory.
	 */
	bool plainly_written;
	uint8_t plain_thread;
	uint32_t plain_clock;
	uint16_t lives; /* how many plain writes there were so far */
	uint32_t count; /* number of stores; the ring has the last ones */
	struct lab_accesses by[LAB_THREADS];
	struct lab_written ring[LAB_HISTORY];
};

/* Makes the elements of all threads that exist valid. */
static inline void lab_written_widen(struct lab_written *store)
{
	for (; store->width < lab.n_threads; store->width++)
		store->by[store->width] = (struct lab_reads){0};
}

static inline unsigned lab_missed(const struct lab_written *store, unsigned thread)
{
	return thread < store->width ? store->by[thread].missed : 0;
}

/* Returns how many stores the location has kept. */
static inline unsigned lab_kept(const struct lab_location *location)
{
	return location->count < LAB_HISTORY ? location->count : LAB_HISTORY;
}

/* Returns the store that is `back` stores older than the newest. */
static inline struct lab_written *lab_written_at(struct lab_location *location, unsigned back)
{
	return &location->ring[(location->count - 1 - back) % LAB_HISTORY];
}

static inline struct lab_written *lab_newest(struct lab_location *location)
{
	return lab_written_at(location, 0);
}

/* Returns whether the bytes are in part those of the location. */
static inline bool lab_overlaps(const struct lab_location *location, uintptr_t address, unsigned size)
{
	return location->address < address + size && address < location->address + location->size;
}

/* Returns the location of an atomic access, after it has taken over what memory has. */
struct lab_location *lab_location_at(struct lab_cell *cell, uintptr_t address, unsigned size);
/* Returns NULL if there is none. */
struct lab_location *lab_location_find(uintptr_t address);
/* Begins the history anew with the value in memory. */
void lab_location_forget(struct lab_location *location);
struct lab_written *lab_location_push(struct lab_location *location);
/*
 * Called when the running thread has waited for a change of the value that was stored at that step.
 * From now on, the thread reads newer stores only.
 */
void lab_location_tired(uintptr_t address, uint32_t step);
struct lab_view *lab_view_new(void);

#endif
