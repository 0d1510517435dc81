/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_SOAK_SOAK_H
#define STRESS_SOAK_SOAK_H

/*
 * The soak: threads, and fibers on event loops, race wakes, timeouts and cancels on the same
 * objects for a given time, with an account of every permit, item and turn. main.c: arguments and
 * report; account.c: the objects and the account; actors.c: the actions; loops.c: the fibers, which
 * are cancelled and replaced.
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
	int64_t tickets; /* guarded */
	int inside;      /* guarded: contexts that hold the lock */
};

struct soak {
	fl_sem sems[SEMS];
	int holders[SEMS]; /* atomic */
	fl_queue *queues[QUEUES];
	fl_event events[EVENTS];
	struct monitor monitors[MONITORS];
	struct shared_token tokens[TOKENS];
	bool stop; /* atomic: all actors are to end */
	uint64_t threads, loops, fibers, time, seed;
};

extern struct soak soak;

/* What one actor has done: private, and added up at its end. */
struct tally {
	uint64_t done, timed_out, cancelled;
	uint64_t put_sum, put_count, got_sum, got_count;
	int64_t tickets; /* given minus taken */
};

struct actor {
	uint64_t draw;
	uint64_t id, items;
	struct tally tally;
};

void things_open(void);
void actor_begin(struct actor *a);
void actor_end(const struct actor *a); /* adds up */
void progress(uint64_t n);             /* operations since the last call */
uint64_t progress_made(void);
struct tally things_close(void); /* when all actors have ended: checks the account */

/* Does one operation. -ECANCELED if the caller's own scope was requested. */
int act(struct actor *a);

void loops_open(void);
void loops_close(void);
int run_loop(void *number); /* a thread's function: an event loop full of fibers */
uint64_t fibers_ended(void);

#endif
