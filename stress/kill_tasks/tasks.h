/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_TASKS_H
#define STRESS_KILL_TASKS_H

#include "kill/sites.h"
#include "kill/tools.h"
#include <fairlead/bytes.h>
#include <fairlead/process_executor.h>
#include <fairlead/task.h>

/*
 * The campaign that really kills workers of a process executor, and accounts for every task.
 * README.md describes it.
 *
 *   bodies.c   the tasks, and the worker that runs them
 *   steps.c    where a worker dies
 *   load.c     submits, waits and cancels
 *   killer.c   kills
 *   ledger.c   the account of the tasks
 *   left.c     the resources that are left behind
 *   hang.c     the watch, and the waits of all threads
 *   main.c     the rounds
 */

/* The kinds of tasks. */
enum kind {
	NOOP,
	WORK,    /* takes some microseconds */
	PATIENT, /* runs until it is asked to stop, or for some microseconds */
	NESTED,  /* submits some no-ops to its own executor */
	CRASH,   /* ends its own process */
	BLOB_1K,
	BLOB_8K,
	BLOB_64K,
	IN_64K, /* only the argument is large */
	OUT_64K,
	BLOB_80K, /* this kind and the following ones are in separate memory */
	IN_300K,
	OUT_300K,
	BYTES, /* argument and result have bytes, of any length */
	KINDS
};

enum { BLOB_MOST = 300 << 10, NESTED_MOST = 4 };

/*
 * The argument and the result of a task. Large arguments and results have further words behind
 * them, which are computed from the number of the task.
 */
struct question {
	uint32_t id, work;
	uint64_t check;
};
struct answer {
	uint64_t check;
};
struct parcel {
	fl_bytes bytes; /* has parcel_byte() at each multiple of STRIDE */
	struct question q;
};
enum { STRIDE = 4096, BYTES_MOST = 64 << 20 };
static inline unsigned char parcel_byte(size_t at)
{
	return (unsigned char)(at / STRIDE * 37);
}

struct kind_of {
	const fl_task_type *type;
	/* of the tasks that are submitted singly, in units of SHARES */
	unsigned share;
	size_t arg_words, result_words; /* behind the argument and the result */
};
extern const struct kind_of kinds[KINDS];
enum { SHARES = 4096 };

/* The numbers that are computed from the number of a task. */
static inline uint64_t question_check(uint32_t id)
{
	return (id + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
}
static inline uint64_t answer_check(uint32_t id)
{
	return ~question_check(id) ^ UINT64_C(0x94d049bb133111eb);
}

/* The bytes that are computed from the number of a task. Few are large. */
static inline size_t bytes_size(uint32_t id)
{
	const uint64_t x = answer_check(id) * UINT64_C(0xbf58476d1ce4e5b9) >> 16;
	return x % 2048 == 0 ? BYTES_MOST : 1 + (x >> 16) % ((uint64_t)1 << x % 21);
}
static inline unsigned char bytes_mark(uint32_t id)
{
	return (unsigned char)(answer_check(id) >> 24 | 1);
}

/* The record of a worker, found by its pid modulo LIVES. */
enum { LIVES = 1 << 16 };
struct life {
	int32_t pid;
	uint32_t failed; /* how many tasks failed with it */
	uint32_t died;   /* 1 if it was killed, or is about to be */
};

/* In a region that the workers share. */
struct board {
	struct site sites[SITES];
	uint32_t steps_most;        /* how many workers may die at a step */
	uint32_t by_step, by_crash; /* how many have died at a step, and by a task */
	struct life lives[LIVES];
	uint32_t n_tasks;
	uint8_t started[]; /* how often each task has started */
};
extern struct board *board;

struct life *life_of(int32_t pid);

/* Notes that the worker is about to die. Returns false if that was noted before. */
bool announce_death(struct life *life);

/* The argument of the initializer, which is in bodies.c. */
struct birth {
	uint64_t board; /* an offset in region 0 */
	uint64_t seed;
};
FL_TASK_DECLARE(kill_birth, struct birth, void)

/* steps.c */
void arm(uint64_t seed);
void first_task_begins(void);

/* What the arguments of the program say. */
struct campaign {
	uint64_t kills, tasks, workers, time; /* the time is in seconds */
	uint64_t seed, quiet;
};
extern struct campaign campaign;

/* The current round. */
enum end { DRAINED, CANCELLED, TERMINATED, CLOSED, ENDS };
struct round {
	fl_executor *e;
	bool stop;   /* nothing more is submitted */
	bool ending; /* the executor is being closed, so submits may be refused */
	/* The executor is being cancelled, so tasks may end without a start, or be killed. */
	bool may_end;
	bool quiet; /* the load is little, so workers sleep and end */
	bool alone; /* no thread waits for a future, so the manager thread takes all results */
};
extern struct round current;

/* load.c */
enum { FEEDERS = 4 };
void load_open(void);   /* maps all of its memory */
int feed(void *feeder); /* a feeder, with a number from 0 to FEEDERS - 1 */
const char *feeder_doing(unsigned feeder);

/* killer.c */
void killer_start(void);
void killer_stop(void);
void killer_let(fl_executor *e); /* the workers of `e` may be killed; NULL stops the kills */
extern uint64_t kills_done, kills_unborn;

/* ledger.c. A ticket is one word: a task's number, its kind, and whether it may be cancelled. */
void ledger_open(void);
uint32_t take_ids(uint32_t n);
uint32_t ids_taken(void);
uint64_t ticket(uint32_t id, enum kind kind, unsigned nested, bool may_cancel);
void settle(uint64_t ticket, fl_future *f);
void settle_element(uint32_t id, const struct answer *answer, bool must);
void settle_death(const char *message);
void unsubmit(uint64_t ticket);
void wrong(const char *what, ...) __attribute__((format(printf, 1, 2)));
void ledger_check_round(uint32_t from, uint32_t to);
bool ledger_report(void);
extern uint64_t settled; /* how many tasks have ended */
extern uint64_t in_maps, in_nested;

/* left.c */
enum { RESOURCES = 10 };
struct left {
	unsigned long amounts[RESOURCES];
};
struct left left_now(void);
bool left_report(const struct left *before, const struct left *after);

/* hang.c */
void watch_start(void);
void watch_stop(void);

#endif
