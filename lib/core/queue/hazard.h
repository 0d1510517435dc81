/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_HAZARD_H
#define FL_QUEUE_HAZARD_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Hazard pointers: no thread frees an object that a thread's hazard pointer protects. They are
 * built on Concurrency Kit's ck_hp; hazard_ck.c says what of ck_hp is used.
 *
 * A hazard pointer protects an object until it protects another. So an operation on the same object
 * as the operation before costs a load and a comparison, and no fence. That is sound because a
 * protected object is not freed: its address, found again where objects are reached, is the same
 * object. The price: a thread that does other things for long protects two objects until it ends.
 */
enum fl__hazard { FL__HAZARD_HEAD, FL__HAZARD_TAIL, FL__HAZARDS };

/*
 * One thread's hazard pointers. Only that thread writes them; a thread that frees objects reads
 * them.
 */
struct fl__hazards {
	void *pointers[FL__HAZARDS];
};

/*
 * The calling thread's record. Never NULL: a thread without its own record has one that protects
 * nothing.
 */
extern _Thread_local struct fl__hazards *fl__hazards_mine FL__INITIAL_EXEC;

/*
 * Protects `object` by the hazard pointer `place`, instead of the object before, with a full fence.
 * If `object` can still be reached after the fence, which the caller checks, no thread frees it.
 * Returns false if the thread has no record yet, and there is no memory for one.
 */
bool fl__hazard_protect(enum fl__hazard place, void *object);

/*
 * For a call that must not fail where fl__hazard_protect() found no memory. Gives the thread the
 * record that all threads share, under a lock, until fl__hazards_return(). Returns false, and does
 * nothing, if the thread has its own record. `borrowed` is the result.
 */
bool fl__hazards_borrow(void);
void fl__hazards_return(bool borrowed);

/*
 * Calls `found` for each protected object. An object that was retired before (made unreachable),
 * and is not among these, may be freed.
 */
void fl__hazards_each(void (*found)(void *arg, const void *object), void *arg);

/* Gives up the calling thread's record. The thread's next use takes a record again. */
void fl__hazards_end(void);

/* Of hazard_ck.c, which has all uses of ck_hp. */
struct fl__hazards *fl__hazards_register(void); /* NULL: out of memory */
struct fl__hazards *fl__hazards_shared(void);   /* the shared record; the caller holds a lock */
void fl__hazards_unregister(struct fl__hazards *hazards);
void fl__hazards_clear(struct fl__hazards *hazards); /* protects nothing from now on */
void fl__hazards_set(struct fl__hazards *hazards, enum fl__hazard place, void *object);
void fl__hazards_visit(void (*found)(void *arg, const void *object), void *arg);
/* For a forked child, which has one thread. */
void fl__hazards_forget_others(const struct fl__hazards *mine);
/* Frees all records: no thread will use one again. */
void fl__hazards_free(void);

#endif
