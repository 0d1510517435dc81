/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_QUEUE_HAZARD_H
#define FL_QUEUE_HAZARD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Hazard pointers: no other thread frees an object that a thread keeps, however long the thread
 * keeps it. They are built on Concurrency Kit's ck_hp (hazard_ck.c says what of it is used, and why
 * not the rest).
 *
 * A thread keeps an object in a place until it keeps another object there. So an operation on the
 * same object as the operation before costs a load and a comparison, and no fence. That is sound
 * because only addresses are compared. If a thread finds, where objects are reached, the address
 * that it has kept all the time, that object cannot have been retired unseen. The price: a thread
 * that goes away for long, or does other things, keeps two objects from being freed until it ends.
 */
enum fl__hazard { FL__HAZARD_HEAD, FL__HAZARD_TAIL, FL__HAZARDS };

/*
 * What one thread keeps. Only that thread writes it; a thread that wants to free objects reads it.
 */
struct fl__hazards {
	void *pointers[FL__HAZARDS];
};

/*
 * The calling thread's record. Never NULL: a thread without its own has a record that keeps
 * nothing.
 */
extern _Thread_local struct fl__hazards *fl__hazards_mine __attribute__((tls_model("initial-exec")));

/*
 * Keeps `object` in `place` instead of the object before, with a full fence. If `object` can still
 * be reached after the fence, which the caller checks, no thread frees it. Returns false if the
 * thread's first call finds no memory.
 */
bool fl__hazard_protect(enum fl__hazard place, void *object);

/*
 * For a call that must not fail where fl__hazard_protect() found no memory. Gives the thread the
 * record that all threads share, under a lock, until fl__hazards_return(). Returns false, and does
 * nothing, if the thread has its own record: then nothing is to be returned.
 */
bool fl__hazards_borrow(void);
void fl__hazards_return(void);

/*
 * Calls `found` for each object that any thread keeps. An object that was retired before (made
 * unreachable for later looks), and is not among these, may be freed.
 */
void fl__hazards_each(void (*found)(void *arg, const void *kept), void *arg);

/*
 * Gives up the calling thread's record and what it keeps, at the thread's end. The thread may come
 * back.
 */
void fl__hazards_end(void);

/* hazard_ck.c: all that uses Concurrency Kit. */
struct fl__hazards *fl__hazards_register(void); /* NULL: out of memory */
struct fl__hazards *fl__hazards_shared(void);   /* the shared record; the caller holds a lock */
void fl__hazards_unregister(struct fl__hazards *hazards);
void fl__hazards_set(struct fl__hazards *hazards, enum fl__hazard place, void *object);
void fl__hazards_visit(void (*found)(void *arg, const void *kept), void *arg);
/* For a forked child, which has one thread. */
void fl__hazards_forget_others(const struct fl__hazards *mine);
/* Frees all records: no thread will use one again. */
void fl__hazards_free(void);

#endif
