/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_STEER_RUN_H
#define STRESS_STEER_RUN_H

#include "model.h"
#include "steer.h"

/*
 * What the files of a run along a graph share: steer.c, steer_object.c (steps on objects) and
 * steer_guide.c (a failure, by the usual engine).
 */

/*
 * The `pick` of an unlock by a wait. With HALF, the thread has become a waiter before the unlock.
 * With EARLY it does not become a waiter, because the wait ends at once. The choice of whether a
 * wait ends at once has the `pick` EARLY, too.
 */
enum { LAB_WAIT_HALF = 1, LAB_WAIT_EARLY };

/* For lab_steer_is_ordinary(): the graphs contain the writers that wait for a readers-writer lock. */
enum { LAB_STEER_LINES = LAB_GRAPH_THREADS };

/*
 * What is known of a thread in this run. A section begins with the thread's last lock of a mutex.
 * When a run begins, all fields but `last` are 0.
 */
struct lab_course {
	bool waits, assumes; /* Why the thread has stopped: its loop waits, or it assumes what is false. */
	unsigned from;       /* The number of the event that began the last turn of its loop. */
	const struct lab_object *mutex;
	uint32_t done; /* How many effects the thread had had before the section. */
	bool begun;    /* `firsts` has the first access of the section. */
	/*
	 * The thread has asked to wait on `cond`, and will wait when it is in the same state again.
	 */
	struct lab_object *cond, *with;
	uintptr_t pc;
	bool wrote; /* The section has written plain memory, perhaps on its own stack. */
	/*
	 * The number of the thread's last event that is not a fence. It is LAB_GRAPH_NONE if there
	 * is no such event, or if the thread has since accessed plain memory other than its own
	 * stack.
	 */
	unsigned last;
	uint32_t effects; /* How many effects the thread had had when it did that event. */
	bool enqueues;    /* The thread is between the two events of one step, a wait for a futex. */
	unsigned reads;   /* How many readers-writer locks the thread holds for reading. */
	/* `awaits`: the wait is an await. `early`: an ordinary wait ends spuriously. */
	bool awaits, early;
	enum { LAB_WAIT_SLEEPS, LAB_WAIT_WOKEN, LAB_WAIT_REPEATED } woken;
	unsigned n_turns; /* How many turns were noted; a ring keeps the last ones. */
};

struct lab_course *lab_course_of(const struct lab_thread *t);

/*
 * Returns whether waits by this call, or with this mutex, or of the thread with this number, are
 * ordinary.
 */
bool lab_steer_is_ordinary(uintptr_t what);
/* From now on they are. If this may change what the search has done, the search begins anew. */
void lab_steer_make_ordinary(uintptr_t what);
/* From now on, the graphs contain the writers that wait for a readers-writer lock. */
void lab_steer_make_lines(void);

/* Returns how much of what the running thread has done so far outlives a turn of a loop. */
uint32_t lab_steer_effects(void);
/* The running thread stops for good: what it assumes is false, or its loop waits. */
void lab_steer_stop(bool assumes);

/* The running thread does the event. Returns the number of the event. */
unsigned lab_steer_event(struct lab_graph_event *e);
/* Returns the place at an address. Its value is `value` if this execution has not used it yet. */
uint16_t lab_steer_place(uintptr_t address, unsigned size, uint64_t value);
/*
 * Returns the place of the location. If memory differs from the location's value, code without
 * instrumentation wrote it.
 */
uint16_t lab_steer_place_of(struct lab_location *location, const struct lab_op *op);

/* Returns the kind of the event of a step on an object, or 0 if the graphs do not have the step. */
unsigned lab_steer_kind(unsigned step);
/* Makes the event of a thread's step on an object. */
struct lab_graph_event lab_steer_object_event(unsigned thread, const struct lab_object *o, unsigned step);

#endif
