/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_GRAPH_H
#define STRESS_GRAPH_H

#include "model.h"

/*
 * Lists the execution graphs of a program under RC11, each of them once. The algorithm is TruSt
 * (Kokologiannakis, Marmanis, Gladstein, Vafeiadis: Truly stateless, optimal dynamic partial order
 * reduction, POPL 2022). graph.c works on the graphs only; steer.c runs the program along them.
 */
enum { LAB_GRAPH_THREADS = 16, LAB_GRAPH_EVENTS = 1024, LAB_GRAPH_NONE = 0xffff };

enum lab_graph_kind {
	LAB_GRAPH_READ = 1,
	LAB_GRAPH_WRITE,
	/* This kind is a read-modify-write that always writes. */
	LAB_GRAPH_UPDATE,
	/* A compare-and-swap is only a read if it reads another value than the expected one. */
	LAB_GRAPH_SWAP,
	/* A lock is a compare-and-swap that waits until it reads the expected value. */
	LAB_GRAPH_LOCK,
	/*
	 * The four kinds from here on are steps on the queue of a condition or a futex, or steps of
	 * a wait. They synchronize nothing, not even through fences.
	 *
	 * A signal is an update that takes some waiters out of a queue; which ones is a choice.
	 */
	LAB_GRAPH_SIGNAL,
	/* A comparison reads the newest value: see are_newest() in graph.c. */
	LAB_GRAPH_COMPARE,
	/*
	 * This kind is an update that adds a waiter. It may be one step with a comparison by the
	 * same thread. Then a choice comes between the two.
	 */
	LAB_GRAPH_ENQUEUE,
	/* This kind reads the event `rf`, which has woken the thread. */
	LAB_GRAPH_WOKEN,
	LAB_GRAPH_FENCE,
	/* The `value` of a choice is below its `operand`. */
	LAB_GRAPH_CHOICE
};

struct lab_graph_event {
	uint64_t value; /* A write stores this value. */
	uint64_t operand, expected;
	lab_update *update;
	uint16_t location; /* LAB_GRAPH_NONE if the event has no location. */
	uint16_t index;    /* The number of the event within its thread, from 0 on. */
	/* The event that a read reads. LAB_GRAPH_NONE means that it reads the initial value. */
	uint16_t rf;
	uint16_t mo; /* The place of a write in the modification order. The first place is 1. */
	uint8_t kind, thread, order, failure, size;
	bool reads, writes;
	bool weak;    /* The compare-and-swap may fail although it reads the expected value. */
	bool unusual; /* No free extension of the graph would have this event. */
	/* The compare-and-swap, or the lock, expects any value other than `expected`. */
	bool differs;
	/*
	 * The event is a reader's step on a readers-writer lock. It has a place in the order of all
	 * steps on the lock, but one reader learns nothing from another.
	 */
	bool shares;
	/*
	 * No fence of the program makes this event synchronize: it is a step on the hidden word of
	 * an object, or the kernel's read of a futex.
	 */
	bool hidden;
	/*
	 * A signal takes the waiters whose bits are set; the lowest bit stands for the first
	 * waiter. In a new signal, as many of the lowest bits are set as it may take waiters. For
	 * other events, the caller may use this field.
	 */
	uint16_t pick;
};

struct lab_graph_clock {
	uint16_t at[LAB_GRAPH_THREADS]; /* How many events of each thread belong to the clock. */
};

/*
 * Begins a search with the empty graph. `faults` is how many weak compare-and-swaps of one graph
 * may fail spuriously.
 */
void lab_graph_reset(unsigned faults);
/* Takes the next graph for a run from the beginning. Returns false if there is none. */
bool lab_graph_next(void);
/*
 * Returns how many graphs are left. If `explored` is not NULL, `*explored` gets an estimate of
 * which part of all runs is done. The estimate assumes that each pushed graph leads to as many runs
 * as all graphs that are pushed after it together.
 */
size_t lab_graphs_left(double *explored);
/* Puts the last graph back, as if it had not been run. */
void lab_graph_undo(void);

/*
 * lab_graphs_take() removes the n newest of the remaining graphs, copies them to `to`, and returns
 * their size in bytes. lab_graphs_give() puts such bytes back.
 */
size_t lab_graphs_take(void *to, size_t n);
void lab_graphs_give(const void *from, size_t size);

/*
 * Returns the next event that the graph has for the thread, in the current run. Returns NULL if the
 * thread has done all of its events.
 */
const struct lab_graph_event *lab_graph_planned(unsigned thread);
/* Whether the event that is read by the thread's planned event has been done. */
bool lab_graph_may(unsigned thread);
bool lab_graph_is_replayed(void);
/* The thread does its planned event. Returns the number of the event. */
unsigned lab_graph_replay(unsigned thread);
/*
 * The thread does a new event, after the whole graph has been replayed. All other ways to add this
 * event are kept for later runs. Returns LAB_GRAPH_NONE if the event must wait; the graph is then
 * as it was.
 */
unsigned lab_graph_add(const struct lab_graph_event *event);
bool lab_graph_is_full(void);
/* Whether the bound on faults has kept a graph out of the search. */
bool lab_graph_is_bounded(void);
const struct lab_graph_event *lab_graph_event(unsigned event);
/* Returns the events that happen before the event, and the event itself. */
const struct lab_graph_clock *lab_graph_past(unsigned event);
unsigned lab_graph_number(unsigned thread, unsigned index);
unsigned lab_graph_count(unsigned thread); /* Returns how many events the thread has done. */
uint64_t lab_graph_read(unsigned event);   /* Returns the value that the event reads. */
/*
 * Whether the event reads the last write of its location, and has not failed spuriously. Updates
 * that write the value that they read do not count as later writes.
 */
bool lab_graph_is_newest(unsigned event);
/*
 * Whether the event is a load, or a compare-and-swap that failed, and no free extension would have
 * added it as it is: either the location had a newer value at that time, or the compare-and-swap
 * failed spuriously. Updates that write the value that they read do not count as newer values.
 */
bool lab_graph_is_outdated(unsigned event);
void lab_graph_initial(unsigned location, uint64_t value);
/*
 * Writes the events that are done, in an order that contains po, rf, mo and psc, and returns their
 * number. Returns 0 if there is no such order.
 */
unsigned lab_graph_order(uint16_t order[LAB_GRAPH_EVENTS]);
void lab_graph_start(unsigned parent, unsigned child);
void lab_graph_join(unsigned thread, unsigned ended);
/* The event lets the thread go on, but orders no memory for it. */
void lab_graph_cause(unsigned thread, unsigned event);
/*
 * Returns how many waiters a condition has. In the value of its hidden word, each waiter takes four
 * bits: the number of the thread + 1. The lowest bits are those of the first waiter.
 */
static inline unsigned lab_graph_waiters(uint64_t queue)
{
	return queue == 0 ? 0 : (67 - (unsigned)__builtin_clzll(queue)) / 4;
}

#endif
