/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_CHOICE_H
#define STRESS_CHOICE_H

#include "model.h"

/*
 * An execution is what its choices make it. Each choice has a usual value; a schedule is the list of those that are not
 * usual, each named by the thread that makes it and the count of its steps: so one can be taken out and the others still
 * mean what they did. In text, joined by commas: b5=c (before its step 5, b lets c go on), c7r1 (reads one store back), c9f1
 * (a fault), b4w1 (wakes another waiter), b2i3 (input 3), b3o1 (one operation only), b6k1 (killed where it could be for the
 * sixth time), a3p2 (the third place of the program has call 2: lin.c).
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

/* What the execution that ends made of its choices. */
extern struct lab_schedule lab_taken;

/* The choices of fl_stress_ops() in the last execution, each with the fewest operations as its pick. */
enum { LAB_OPS = 32 };
extern struct lab_token lab_ops[LAB_OPS];
extern unsigned lab_n_ops;

/* Before each execution. */
void lab_choices_begin(enum lab_strategy strategy);

/* DFS: on to the next; false: that was all. */
bool lab_dfs_next(void);
void lab_dfs_reset(void);

void lab_seed(uint64_t seed, uint64_t execution);
unsigned lab_draw(unsigned n); /* a number below n, from that seed */

/* The next executions follow `schedule`, as far as it fits. */
void lab_follow(const struct lab_schedule *schedule);

/* "NAME/TOKENS/HASH"; the text must have room for LAB_REPLAY_TEXT. */
enum { LAB_REPLAY_TEXT = 16 * LAB_TOKENS };
void lab_schedule_print(const struct lab_schedule *schedule, uint64_t hash, char *text);
/* What a thread is called in a schedule: a to z, then Aa to Dx. */
const char *lab_thread_letters(unsigned thread, char text[3]);
/* False: not a replay string. `hash` may be NULL. */
bool lab_schedule_parse(const char *text, struct lab_schedule *schedule, uint64_t *hash);

#endif
