/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_HAZARD_H
#define FL_QUEUE_HAZARD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Hazard pointers: what a thread keeps is not freed by others, however long it keeps it. On Concurrency Kit's ck_hp
 * (hazard_ck.c, which says what of it is used, and why not the rest).
 *
 * A thread goes on keeping what it kept last until it keeps another thing in that place: so an operation on the object of the
 * operation before costs a load and a comparison, and no fence. That is sound because only addresses are compared: whoever
 * reads, from where objects are reached, the address that it has been keeping all the time has an object that cannot have been
 * retired unseen. The price: a thread that goes away for long, or does other things, keeps two objects from being freed. It
 * lets go of them when it ends.
 */
enum fl__hazard { FL__HAZARD_HEAD, FL__HAZARD_TAIL, FL__HAZARDS };

/* What one thread keeps. Only that thread writes it; others look at it before they free something. */
struct fl__hazards {
	void *kept[FL__HAZARDS];
};

/* The calling thread's; never NULL, but one that keeps nothing while the thread has none of its own. */
extern _Thread_local struct fl__hazards *fl__hazards_mine __attribute__((tls_model("initial-exec")));

/*
 * Keeps `object` in that place instead of what it had, with a full fence: nobody frees it from now on if it can still be reached
 * after that, which the caller looks at again. False: out of memory, on a thread's first call.
 */
bool fl__hazard_keep(enum fl__hazard place, void *object);

/*
 * For a call that must not fail where the one above found no memory: the thread has one that all share, under a lock, until
 * fl__hazards_return(). With one of its own it does nothing, and returns false: do not return it.
 */
bool fl__hazards_borrow(void);
void fl__hazards_return(void);

/*
 * Calls `found` for all that any thread keeps. What was retired before (unreachable to all who look after that), and is not
 * among it, may be freed.
 */
void fl__hazards_each(void (*found)(void *arg, const void *kept), void *arg);

/* Lets go of what the calling thread keeps, and of its place; for its end. It may come back. */
void fl__hazards_end(void);

/* hazard_ck.c: all that uses Concurrency Kit. */
struct fl__hazards *fl__hazards_take(void); /* NULL: out of memory */
struct fl__hazards *fl__hazards_lent(void); /* always the same one; under a lock of the caller's */
void fl__hazards_give(struct fl__hazards *hazards);
void fl__hazards_set(struct fl__hazards *hazards, enum fl__hazard place, void *object);
void fl__hazards_visit(void (*found)(void *arg, const void *kept), void *arg);
void fl__hazards_forget_others(const struct fl__hazards *mine); /* in a forked child, which has one thread */
void fl__hazards_free(void);                                    /* all of them: no thread will use one again */

#endif
