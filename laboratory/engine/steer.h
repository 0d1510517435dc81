/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_STEER_H
#define STRESS_STEER_H

#include "graph.h"
#include "location.h"

struct lab_object;

/*
 * Runs the program along an execution graph (graph.h), and extends the graph. These functions are
 * called while `lab.steered`. If the program does something that a graph cannot express, the search
 * by graphs ends with a reason, and the other searches go on.
 */

/* Called before the first run. */
void lab_steer_reset(unsigned faults);
/* Called before each run. Takes the next graph. Returns false if there is none. */
bool lab_steer_begin(void);
/* Whether the search begins anew because it has learnt that some wait is not an await. */
bool lab_steer_again(void);
/*
 * Returns how much the search has learnt in its runs on which later runs depend: locations, parents
 * of threads, and waits that are not awaits. The number grows with each thing that is learnt.
 */
unsigned lab_steer_learnt(void);
/* Returns the reason why the search ended; NULL: it has not ended. */
const char *lab_steer_refusal(void);
_Noreturn void lab_steer_refuse(const char *why);

/* Returns the thread that runs next. Ends the run if there is none. */
struct lab_thread *lab_steer_next(void);
/* The running thread announces the step. */
void lab_steer_announce(const struct lab_op *op);
void lab_steer_start(const struct lab_thread *child);
void lab_steer_join(const struct lab_thread *ended);
/* What the running thread assumes is false, so the execution does not count. */
void lab_steer_block(void);
void lab_steer_exit(void);                          /* waits until no other thread can go on */
unsigned lab_steer_choose(unsigned n, uint8_t how); /* 0: a choice of the program */
/* The running thread uses the stack of the thread `owner`. */
void lab_steer_lent(unsigned owner, uintptr_t address);
/* The running thread's frames below the address end. */
void lab_steer_return(uintptr_t end);

/*
 * The running thread does an atomic access. The caller has set the fields of the event that its
 * kind needs. `*value` gets the value that the access reads. Returns whether it writes.
 */
bool lab_steer_atomic(struct lab_location *location, const struct lab_op *op, struct lab_graph_event event,
                      lab_value *value);
void lab_steer_fence(int order);

/*
 * Prepares a run of the usual engine along the graph that failed; the choices of this run are the
 * schedule. Returns false if no order contains po, rf, mo and psc. Afterwards, lab_execute() with
 * LAB_GUIDE asks the functions below for each choice.
 */
bool lab_steer_guide(void);
unsigned lab_steer_guide_thread(lab_set set, unsigned usual);
unsigned lab_steer_guide_choice(enum lab_choice_kind kind, unsigned n);
void lab_steer_guide_step(void); /* the running thread does the step that it announced */

/*
 * The running thread does a step on the state of an object, such as a lock or a semaphore. Does
 * nothing if the run is not along a graph.
 */
void lab_steer_step(const struct lab_object *object, unsigned step);
/*
 * The running thread does a step that tries. Returns whether it was possible, or the permits of a
 * semaphore.
 */
unsigned lab_steer_try(const struct lab_object *object, unsigned step);

/*
 * The running thread waits for a futex, or wakes waiters of one. The results are those of the system
 * call.
 */
int lab_steer_futex_wait(uintptr_t word, uint32_t expected, int64_t deadline, uintptr_t pc);
int lab_steer_futex_wake(uintptr_t word, int n, uintptr_t pc);

/*
 * lab_steer_line() adds to the number of writers that wait for a readers-writer lock, or have just
 * got it, and returns how many there were. lab_steer_is_behind() returns whether a reader enqueues
 * behind these writers; the reader then waits forever, or until its deadline.
 */
uint64_t lab_steer_line(const struct lab_object *object, uint64_t add, uintptr_t pc);
bool lab_steer_is_behind(const struct lab_object *object, bool timed, uintptr_t pc);

/* The running thread comes to the barrier. */
void lab_steer_arrive(struct lab_object *barrier);
/*
 * All threads have come. The lowest thread leaves first, and then lets the others leave. Returns
 * whether the running thread is the serial one.
 */
bool lab_steer_leave(const struct lab_object *barrier);

/*
 * The running thread asks to wait. An ordinary wait begins at once. An await begins when the thread
 * has come round its loop: then lab_steer_access() calls lab_cond_begin().
 */
void lab_steer_wait(struct lab_object *cond, struct lab_object *mutex, uintptr_t pc);
/*
 * Called before a failure of the running thread. If the thread still has a wait ahead, it cannot
 * reach the failure, and the search begins anew.
 */
void lab_steer_fail(void);
/*
 * Called before each access of the running thread. `written` is how many bytes of plain memory it
 * writes.
 */
void lab_steer_access(uintptr_t pc, uintptr_t address, size_t written);
/* The running thread becomes a waiter, and unlocks the mutex. */
void lab_steer_enqueue(const struct lab_object *cond, const struct lab_object *mutex, uintptr_t pc);
bool lab_steer_is_woken(void); /* called before the thread sleeps */
/*
 * Wakes waiters of the condition. Waiters that sleep then compete for the mutex. Returns how many
 * waiters there were.
 */
unsigned lab_steer_wake(struct lab_object *cond, bool all);

#endif
