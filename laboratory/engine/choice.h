/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CHOICE_H
#define STRESS_CHOICE_H

#include "model.h"

/*
 * The choices determine an execution. Each choice has a usual value. A schedule is the list of the
 * unusual choices. Each is named by its thread and the thread's step count, so the others keep
 * their meaning when one is removed. In text, joined by commas:
 * - b5=c: before its step 5, b lets c run
 * - c7r1: reads one store back
 * - c9f1: a fault
 * - b4w1: wakes another waiter
 * - b2i3: input 3
 * - b3o1: one operation only
 * - b6k1: killed at its sixth kill point
 * - a3p2: call 3 of the program has operation 2 (lin.c)
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

/* The choices of the execution that ends. */
extern struct lab_schedule lab_taken;

/*
 * The choices of fl_stress_ops() in the last execution; the pick of each is the fewest operations.
 */
enum { LAB_OPS = 32 };
extern struct lab_token lab_ops[LAB_OPS];
extern unsigned lab_n_ops;

/* Called before each execution. */
void lab_choices_begin(enum lab_strategy strategy);

/* DFS: advances to the next execution; false: there is none. */
bool lab_dfs_next(void);
void lab_dfs_reset(void);
void lab_dfs_use(unsigned which); /* one of two searches, each with its own state */

void lab_seed(uint64_t seed, uint64_t execution);
unsigned lab_draw(unsigned n); /* returns a number below n, from the seed */

/* The next executions follow `schedule`, as far as it fits. */
void lab_follow(const struct lab_schedule *schedule);

/* Whether the two steps have the same effect in either order. */
bool lab_commute(const struct lab_op *a, const struct lab_op *b);
/*
 * In the place of that choice of a thread, 0: there was none, one of the `initials` must run, best
 * `thread`.
 */
void lab_dfs_try(uint32_t node, lab_set initials, unsigned thread);
bool lab_dfs_is_new(void);   /* the execution has left the path of earlier ones */
uint32_t lab_dfs_node(void); /* of the choice of the thread that runs now; 0: none */

/* order.c: the order of dependent steps, in executions with lab.ordered */
void lab_order_begin(void);
void lab_order_step(void);   /* a step of the running thread begins */
void lab_order_settle(void); /* the step is done */
void lab_order_end(void);
/*
 * Whether the running thread has done nothing since that step of its own but look, and no other
 * thread noticed its locks or would have woken it.
 */
bool lab_order_is_idle(uint32_t since);

/* state.c: waits that a fault ends early, in executions with lab.ordered */
/*
 * Whether the running thread waits again after a wait that ended early and a round without effect.
 */
bool lab_await_again(void);
void lab_await_early(void); /* this wait ends early */

/* "NAME/TOKENS/HASH"; the text must have room for LAB_REPLAY_TEXT. */
enum { LAB_REPLAY_TEXT = 16 * LAB_TOKENS };
void lab_schedule_print(const struct lab_schedule *schedule, uint64_t hash, char *text);
/* The name of a thread in a schedule: a to z, then Aa to Dx. */
const char *lab_thread_letters(unsigned thread, char text[3]);
/* Returns false if it is not a replay string. `hash` may be NULL. */
bool lab_schedule_parse(const char *text, struct lab_schedule *schedule, uint64_t *hash);

#endif
