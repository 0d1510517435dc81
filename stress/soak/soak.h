/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_SOAK_SOAK_H
#define STRESS_SOAK_SOAK_H

/*
 * In the soak, threads and fibers (on event loops) use the same objects for a given time, so that
 * wakes, timeouts and cancels race with each other. The soak accounts for every permit, item and
 * ticket. main.c has the arguments and the report, account.c the objects and the account, actors.c
 * the actions, and loops.c the fibers, which are cancelled and replaced.
 */
#include "../kill/tools.h"
#include <fairlead.h>

enum { SEMS = 4, PERMITS = 2, QUEUES = 4, CAPACITY = 2, EVENTS = 2, MONITORS = 2, TOKENS = 16 };

/* A token that any actor may request while it is in use. */
struct shared_token {
	fl_mutex lock;
	fl_cancel_token token;
	bool used;
};

struct monitor {
	fl_mutex lock;
	fl_cond changed;
	int64_t tickets; /* guarded by the lock */
	/* How many contexts hold the lock; guarded by it. */
	int inside;
};

struct soak {
	fl_sem sems[SEMS];
	int holders[SEMS]; /* atomic */
	fl_queue *queues[QUEUES];
	fl_event events[EVENTS];
	struct monitor monitors[MONITORS];
	struct shared_token tokens[TOKENS];
	bool stop; /* atomic; all actors are to end */
	uint64_t threads, loops, fibers, time, seed;
};

extern struct soak soak;

/* What one actor has done. Only the actor writes it, and adds it to the account when it ends. */
struct tally {
	uint64_t done, timed_out, cancelled;
	uint64_t put_sum, put_count, got_sum, got_count;
	int64_t tickets; /* how many tickets it gave, minus how many it took */
};

struct actor {
	uint64_t draw;
	uint64_t id, items;
	struct tally tally;
};

void things_open(void);
void actor_begin(struct actor *a);
void actor_end(const struct actor *a); /* adds up what the actor has done */
void progress(uint64_t n);             /* the number of operations since the last call */
uint64_t progress_made(void);
struct tally things_close(void); /* checks the account when all actors have ended */

/* Does one operation. Returns -ECANCELED if the caller's own scope was requested. */
int act(struct actor *a);

void loops_open(void);
void loops_close(void);
int run_loop(void *number); /* a thread's function: an event loop full of fibers */
uint64_t fibers_ended(void);

#endif
