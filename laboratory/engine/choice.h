/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CHOICE_H
#define STRESS_CHOICE_H

#include "model.h"

/*
 * An execution is determined by its choices: which thread makes the next step, which store a load
 * reads, whether a call fails, and so on. Each choice has a usual value, and a schedule is the list
 * of the choices that have another value. Each element of a schedule is a token. A token names its
 * choice by a thread, and by how many steps and choices that thread has made before. So when one
 * token is removed, the others still name the same choices. In text, the tokens are joined by
 * commas:
 *
 *   b5=c   before its step 5, thread b lets thread c run
 *   c7r1   c reads the store that is one older than the newest
 *   c9f1   a fault in c: 1 is an ordinary one, 2 means that the wait never ends
 *   b4w1   b wakes another waiter than the first
 *   b2i3   b gets the input 3
 *   b3o1   b does one operation only (fl_stress_ops())
 *   b6k1   b's process is killed at b's sixth kill point
 *   a3p2   call 3 of the program has the operation 2 (lin.c)
 */
struct lab_token {
	uint8_t kind, thread, pick;
	uint32_t ops;
};

enum { LAB_TOKENS = 8192 };

struct lab_schedule {
	unsigned n;
	bool overflow;
	struct lab_token tokens[LAB_TOKENS];
};

/* The unusual choices that the current execution has taken so far. */
extern struct lab_schedule lab_taken;

/*
 * The choices of fl_stress_ops() in the last execution. Each pick is the smallest number of
 * operations that the choice allows.
 */
enum { LAB_OPS = 32 };
extern struct lab_token lab_ops[LAB_OPS];
extern unsigned lab_n_ops;

/* Prepares the choices of an execution, before it begins. */
void lab_choices_begin(enum lab_strategy strategy);

/* Goes on to the next execution of DFS. Returns false if there is none. */
bool lab_dfs_next(void);
void lab_dfs_reset(void);
void lab_dfs_use(unsigned which); /* which of two searches goes on; each has its own state */

void lab_seed(uint64_t seed, uint64_t execution);
unsigned lab_draw(unsigned n); /* returns a number below n, from the seed */

/* Makes the next executions follow `schedule`, as far as it fits. */
void lab_follow(const struct lab_schedule *schedule);

/* Returns whether the two steps have the same effect in either order. */
bool lab_commute(const struct lab_op *a, const struct lab_op *b);
/*
 * Makes a later execution try one of the `initials`, preferably `thread`, at the choice of a thread
 * with that number, unless one of them is tried there anyway.
 */
void lab_dfs_try(uint32_t node, lab_set initials, unsigned thread);
/* Returns whether the execution has left the path of the executions before it. */
bool lab_dfs_is_new(void);
/*
 * Returns the number of the choice that let the running thread run, and forgets the number. Returns
 * 0 if there was no choice since the last call.
 */
uint32_t lab_dfs_node(void);

/* --- order.c: the order of dependent steps, in executions with lab.ordered --- */
void lab_order_begin(void);
void lab_order_step(void);   /* is called when a step of the running thread begins */
void lab_order_settle(void); /* is called when the step is done */
void lab_order_end(void);
/*
 * Returns whether the steps of the running thread after its step `since` had no effect: they were
 * only reads, other steps that only look, and locks and unlocks that no other thread could notice,
 * and no other thread would have woken the running thread meanwhile.
 */
bool lab_order_is_idle(uint32_t since);

/* --- state.c: waits that a fault ends early, in executions with lab.ordered --- */
/*
 * Returns whether the running thread waits again after a wait that ended early, and its loop has
 * made a turn without effect since then.
 */
bool lab_await_again(void);
void lab_await_early(void); /* notes that the present wait ends early */

/*
 * Writes the replay string "NAME/TOKENS/HASH". `text` must have space for LAB_REPLAY_TEXT
 * characters.
 */
enum { LAB_REPLAY_TEXT = 16 * LAB_TOKENS };
void lab_schedule_print(const struct lab_schedule *schedule, uint64_t hash, char *text);
/* Returns the name of a thread in a schedule: a to z, then Aa to Dx. */
const char *lab_thread_letters(unsigned thread, char text[3]);
/* Parses a replay string. Returns false if `text` is not one. */
bool lab_schedule_parse(const char *text, struct lab_schedule *schedule, uint64_t *hash);

#endif
