/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_HAZARD_H
#define FL_QUEUE_HAZARD_H

#include <fairlead/defs.h>

/*
 * Hazard pointers (hazard_ck.c): no thread frees an object that a hazard pointer protects.
 *
 * A hazard pointer protects an object until it protects another. So a further operation on the same
 * object costs a load and a comparison, and no fence. The price: an idle thread protects two
 * objects.
 */
enum fl__hazard { FL__HAZARD_HEAD, FL__HAZARD_TAIL, FL__HAZARDS };

/* Only the owning thread writes these. */
struct fl__hazards {
	void *pointers[FL__HAZARDS];
};

/* The calling thread's record; without one, a record that protects nothing. Never NULL. */
extern _Thread_local struct fl__hazards *fl__hazards_mine FL__INITIAL_EXEC;

/*
 * Protects `object` instead of the object before, with a full fence. If the caller then finds
 * `object` still reachable, no thread frees it. False: no record yet, and no memory for one.
 */
bool fl__hazard_protect(enum fl__hazard place, void *object);

/*
 * For a call that must not fail: gives the thread the shared record, under a lock, until
 * fl__hazards_return(). False: the thread has its own; nothing is done. `borrowed`: the result.
 */
bool fl__hazards_borrow(void);
void fl__hazards_return(const bool *borrowed);

/* Declares `borrowed`, a result of fl__hazards_borrow(). The end of the block returns the record. */
#define FL__MAY_BORROW(borrowed) __attribute__((cleanup(fl__hazards_return), unused)) bool borrowed = false

/* Calls `found` for each protected object. Others, if retired before, may be freed. */
void fl__hazards_each(void (*found)(void *arg, const void *object), void *arg);

/* The thread's next use takes a record again. */
void fl__hazards_end(void);

/* In hazard_ck.c. */
struct fl__hazards *fl__hazards_register(void); /* NULL: out of memory */
struct fl__hazards *fl__hazards_shared(void);   /* the caller holds a lock */
void fl__hazards_unregister(struct fl__hazards *hazards);
void fl__hazards_clear(struct fl__hazards *hazards); /* protects nothing from now on */
void fl__hazards_set(struct fl__hazards *hazards, enum fl__hazard place, void *object);
void fl__hazards_visit(void (*found)(void *arg, const void *object), void *arg);
/* Called in a forked child, which has one thread. */
void fl__hazards_forget_others(const struct fl__hazards *mine);
/* No thread will use a record again. */
void fl__hazards_free(void);

#endif
