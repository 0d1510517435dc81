/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_GRAPH_H
#define STRESS_GRAPH_H

#include "model.h"

/*
 * The execution graphs of RC11 of a program, each once: TruSt (Kokologiannakis, Marmanis,
 * Gladstein, Vafeiadis: Truly stateless, optimal dynamic partial order reduction, POPL 2022).
 * graph.c has the graphs alone; steer.c runs the program along them.
 */
enum { LAB_GRAPH_THREADS = 16, LAB_GRAPH_EVENTS = 1024, LAB_GRAPH_NONE = 0xffff };

enum lab_graph_kind {
	LAB_GRAPH_READ,
	LAB_GRAPH_WRITE,
	LAB_GRAPH_UPDATE, /* a read-modify-write that always writes */
	LAB_GRAPH_SWAP,   /* a compare-and-swap: with another value than the expected one, a read */
	LAB_GRAPH_LOCK,   /* a compare-and-swap that waits until it reads the expected value */
	LAB_GRAPH_SIGNAL, /* an update that takes one waiter, by choice, out of a queue */
	LAB_GRAPH_FENCE,
	LAB_GRAPH_CHOICE /* `value` is below `operand` */
};

struct lab_graph_event {
	uint64_t value; /* of the write */
	uint64_t operand, expected;
	lab_update *update;
	uint16_t location; /* LAB_GRAPH_NONE: none */
	uint16_t index;    /* in its thread, from 0 */
	uint16_t rf;       /* of a read: the event that it reads; LAB_GRAPH_NONE: the first value */
	uint16_t mo;       /* of a write: its place in the modification order, from 1 */
	uint8_t kind, thread, order, failure, size;
	bool reads, writes;
	bool weak;    /* of a swap: it may fail although it reads the expected value */
	bool unusual; /* a free extension of the graph would not have this event */
	bool differs; /* of a swap or a lock: it expects any other value than the expected one */
	uint8_t pick; /* of a signal: which waiter, the first one is 0; else for the caller */
};

struct lab_graph_clock {
	uint16_t at[LAB_GRAPH_THREADS]; /* for each thread, how many of its events */
};

/* The search begins, with the empty graph. `faults`: the most failures of weak swaps in a graph. */
void lab_graph_reset(unsigned faults);
/* Takes the next graph, for a run from the beginning. False: there is none. */
bool lab_graph_next(void);
/*
 * How many graphs are left. `explored`, which may be NULL, is the part of all runs that was done, by guess: as if each
 * pushed graph led to as many runs as all that are pushed after it together.
 */
size_t lab_graphs_left(double *explored);
void lab_graph_undo(void); /* the last graph is left again, as if it had not been run */

/* The n newest graphs that are left move away, as bytes whose number is returned; or come back. */
size_t lab_graphs_take(void *to, size_t n);
void lab_graphs_give(const void *from, size_t size);

/* Of the run: the thread's next event in the graph; NULL: the thread is beyond the graph. */
const struct lab_graph_event *lab_graph_planned(unsigned thread);
/* Whether the event that the planned one reads has been done. */
bool lab_graph_may(unsigned thread);
bool lab_graph_is_replayed(void);
/* The thread does its planned event. Returns the event's number. */
unsigned lab_graph_replay(unsigned thread);
/*
 * After the replay: the thread does a new event. All other ways to add the event are kept for later
 * runs. Returns LAB_GRAPH_NONE if the event must wait; the graph is then as before.
 */
unsigned lab_graph_add(const struct lab_graph_event *event);
bool lab_graph_is_full(void);
/* Whether the bound on faults has kept a graph out. */
bool lab_graph_is_bounded(void);
const struct lab_graph_event *lab_graph_event(unsigned event);
/* What happens before the event, and the event. */
const struct lab_graph_clock *lab_graph_past(unsigned event);
unsigned lab_graph_number(unsigned thread, unsigned index);
unsigned lab_graph_count(unsigned thread); /* of the events that it has done */
uint64_t lab_graph_read(unsigned event);   /* the value */
/* Whether the event reads the last write of its location, and does not fail without a reason. */
bool lab_graph_is_newest(unsigned event);
void lab_graph_initial(unsigned location, uint64_t value);
/* The done events, in an order that has po, rf, mo and psc. Returns 0 if there is none. */
unsigned lab_graph_order(uint16_t order[LAB_GRAPH_EVENTS]);
void lab_graph_start(unsigned parent, unsigned child);
void lab_graph_join(unsigned thread, unsigned ended);
/* The event lets the thread go on, and orders no memory. */
void lab_graph_cause(unsigned thread, unsigned event);
/*
 * The waiters of a condition, a value of its hidden word: the thread's number + 1 in four bits
 * each, the first waiter lowest.
 */
static inline unsigned lab_graph_waiters(uint64_t queue)
{
	return queue == 0 ? 0 : (67 - (unsigned)__builtin_clzll(queue)) / 4;
}

#endif
