/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_STEER_H
#define STRESS_STEER_H

#include "location.h"

/*
 * Runs the program along an execution graph (graph.h) and extends it. Called while `lab.steered`.
 * What a graph does not have ends the search by graphs with a reason; the other searches go on.
 */

/* Before the first run. */
void lab_steer_reset(unsigned faults);
/* The reason why the search ended; NULL: none. */
const char *lab_steer_refusal(void);
_Noreturn void lab_steer_refuse(const char *why);

/* The thread that runs next; ends the run if there is none. */
struct lab_thread *lab_steer_next(void);
/* The running thread announces the step. */
void lab_steer_announce(const struct lab_op *op);
void lab_steer_start(const struct lab_thread *child);
void lab_steer_join(const struct lab_thread *ended);
/* The execution does not count: what the thread assumes is false. */
void lab_steer_block(void);
void lab_steer_exit(void); /* waits until no other thread can go on */
unsigned lab_steer_choose(unsigned n);

lab_value lab_steer_load(struct lab_location *location, const struct lab_op *op);
void lab_steer_store(struct lab_location *location, const struct lab_op *op, lab_value value);
lab_value lab_steer_rmw(struct lab_location *location, const struct lab_op *op, lab_update *update, lab_value operand);
bool lab_steer_cas(struct lab_location *location, const struct lab_op *op, int failure, lab_value *expected,
                   lab_value desired, bool weak);
void lab_steer_fence(int order);

/*
 * The old engine runs the failing graph: the choices of that run are its schedule. Returns false if
 * no order contains po, rf, mo and psc. Then lab_execute() with LAB_GUIDE asks for each choice.
 */
bool lab_steer_guide(void);
unsigned lab_steer_guide_thread(lab_set set, unsigned usual);
unsigned lab_steer_guide_choice(enum lab_choice_kind kind, unsigned n);
void lab_steer_guide_step(void); /* the running thread does the step that it announced */

void lab_steer_lock(uintptr_t object);
bool lab_steer_trylock(uintptr_t object);
void lab_steer_unlock(uintptr_t object);

#endif
