/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_HAZARD_H
#define FL_QUEUE_HAZARD_H

#include <fairlead/defs.h>

/*
 * Hazard pointers. A retired object is not freed while a hazard pointer protects it. Freeing a
 * queue ignores hazard pointers, because by then nobody uses the queue. The head of hazard_ck.c
 * describes the protocol.
 *
 * A hazard pointer protects an object until it protects another one. So a further operation on the
 * same object costs only a load and a comparison, without a fence. But an idle thread goes on
 * protecting up to two objects.
 */
enum fl__hazard { FL__HAZARD_HEAD, FL__HAZARD_TAIL, FL__HAZARDS };

/*
 * The hazard pointers of a thread. Only this thread writes them, except that a forked child clears
 * those of the parent's other threads (hazard.c).
 */
struct fl__hazards {
	void *pointers[FL__HAZARDS];
};

/*
 * The calling thread's record. It is never NULL. Until the thread has a record, it points to one
 * that protects nothing.
 */
extern _Thread_local struct fl__hazards *fl__hazards_mine FL__INITIAL_EXEC;

/*
 * Makes the hazard pointer `place` protect `object` instead of its previous object, and executes a
 * full fence. If the caller then finds that `object` is still reachable, no thread frees it.
 * Returns false if the thread has no record yet and cannot get one, because there is no memory or
 * the process has no key for the records.
 */
bool fl__hazard_protect(enum fl__hazard place, void *object);

/*
 * For a call that must not fail. If the thread has no record and cannot get one, locks the shared
 * record, lends it to the thread until fl__hazards_return(), and returns true. Otherwise returns
 * false. The caller passes the result to fl__hazards_return() as `borrowed`.
 */
bool fl__hazards_borrow(void);
void fl__hazards_return(const bool *borrowed);

/*
 * Declares `borrowed` for a result of fl__hazards_borrow(), and returns the record at the end of
 * the block.
 */
#define FL__MAY_BORROW(borrowed) __attribute__((cleanup(fl__hazards_return), unused)) bool borrowed = false

/*
 * Calls `found` for each protected object, and returns how many hazard pointers it has read. Any
 * other object that was retired before the call may be freed after the call.
 */
size_t fl__hazards_each(void (*found)(void *arg, const void *object), void *arg);

/*
 * Called only by tests and scenarios. Releases the record of the calling thread, whose next use
 * acquires a record again.
 */
void fl__hazards_end(void);

/* The following functions are in hazard_ck.c, or in hazard_list.c, which replaces it. */

struct fl__hazards *fl__hazards_register(void); /* returns NULL if there is no memory */
struct fl__hazards *fl__hazards_shared(void);   /* the caller holds hazard_shared_lock */
void fl__hazards_unregister(struct fl__hazards *hazards);
void fl__hazards_clear(struct fl__hazards *hazards); /* protects nothing from now on */
void fl__hazards_set(struct fl__hazards *hazards, enum fl__hazard place, void *object);
size_t fl__hazards_visit(void (*found)(void *arg, const void *object), void *arg);
/* Called in a forked child, which has one thread. */
void fl__hazards_forget_others(const struct fl__hazards *mine);
/* Called when no thread will use a record again. */
void fl__hazards_free(void);

#endif
