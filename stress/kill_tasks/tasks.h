/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_TASKS_H
#define STRESS_KILL_TASKS_H

#include "kill/sites.h"
#include "kill/tools.h"
#include <fairlead/process_executor.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The campaign for tasks: workers of a process executor that are killed, and an account of every task. README.md says how it
 * is meant.
 *
 *     bodies.c   the tasks, and the worker that runs them
 *     steps.c    where a worker dies
 *     load.c     who submits, waits and cancels
 *     killer.c   who kills
 *     ledger.c   what became of each task
 *     measure.c  how long after a death others knew, and had a replacement
 *     left.c     what is left behind
 *     hang.c     the watch, and what everybody waits for
 *     main.c     the rounds
 */

/* Kinds of tasks. */
enum kind {
	NOOP,
	WORK,    /* some us */
	PATIENT, /* until it is asked to stop, or some us */
	NESTED,  /* submits some no-ops to its own executor */
	CRASH,   /* dies of itself */
	BLOB_1K,
	BLOB_8K,
	BLOB_64K,
	IN_64K, /* the argument alone is large */
	OUT_64K,
	BLOB_80K, /* from here on in memory of their own */
	IN_300K,
	OUT_300K,
	KINDS
};

enum { BLOB_MOST = 300 << 10, NESTED_MOST = 4 };

/* What a task is asked, and what it answers; large ones have words behind that, which follow from the number. */
struct question {
	uint32_t id, work;
	uint64_t check;
};
struct answer {
	uint64_t check;
	int32_t pid;  /* the worker that ran it, */
	uint32_t nth; /* as its n-th, from 1 */
};

struct kind_of {
	const fl_task_type *type;
	unsigned share;                 /* of all that are submitted singly, in parts of SHARES */
	size_t arg_words, result_words; /* behind question and answer */
};
extern const struct kind_of kinds[KINDS];
enum { SHARES = 4096 };

/* The numbers that follow from a task's. */
static inline uint64_t question_check(uint32_t id)
{
	return (id + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
}
static inline uint64_t answer_check(uint32_t id)
{
	return ~question_check(id) ^ UINT64_C(0x94d049bb133111eb);
}

/* What is known of a worker, by its number modulo LIVES. */
enum { LIVES = 1 << 16, DEATHS = 1 << 16, NOBODY = -1 };
struct life {
	int32_t pid;
	uint32_t failed;  /* tasks that failed with it */
	int64_t died;     /* when it was killed, or is just about to be; 0: it was not */
	int32_t replaces; /* the number of the death after which it came; NOBODY: it came as one more */
};

/* In a region that the workers have, too. */
struct board {
	struct site sites[SITES];
	uint32_t steps_most;        /* how many may die at a step, in all */
	uint32_t by_step, by_crash; /* how many have */
	uint32_t deaths, replaced;  /* of this round: how many have died, and how many of these have a successor */
	uint32_t spoiled;     /* one that had not begun was killed: how long its predecessor lacked one says nothing */
	int64_t died[DEATHS]; /* by the number of the death, modulo that */
	struct life lives[LIVES];
	uint32_t n_tasks;
	uint8_t started[]; /* how often: for each task */
};
extern struct board *board;

struct life *life_of(int32_t pid);

/* Notes that the worker is just about to die: false when that was noted before. */
bool announce_death(struct life *life);

/* bodies.c: the initializer, and its argument. */
struct birth {
	uint64_t board; /* an offset in region 0 */
	uint64_t seed;
};
extern const fl_task_type kill_birth;

/* steps.c */
void arm(uint64_t seed);
void first_task_begins(void);

/* The campaign. */
struct campaign {
	uint64_t kills, tasks;
	unsigned workers;
	int64_t time;
	uint64_t seed;
	bool quiet;
};
extern struct campaign campaign;

/* The round under way. */
enum end { DRAINED, CANCELLED, TERMINATED, CLOSED, ENDS };
struct round {
	fl_executor *e;
	bool stop;     /* no more submits, please */
	bool ending;   /* it is being closed: submits may be refused */
	bool may_end;  /* it is being cancelled: tasks may end without having started, or be killed */
	bool quiet;    /* little load: workers sleep, and leave */
	bool alone;    /* nobody waits for a future: the executor's own thread takes all results */
	bool measured; /* workers leave by death alone: each birth follows one */
};
extern struct round current;

/* load.c */
enum { FEEDERS = 4 };
void load_open(void);   /* so that all its memory is there */
int feed(void *feeder); /* number 0 to FEEDERS - 1 */
const char *feeder_doing(unsigned feeder);

/* killer.c */
void killer_start(void);
void killer_stop(void);
void killer_let(fl_executor *e); /* have its workers; NULL: nobody */
extern uint64_t kills_done, kills_unborn;

/* ledger.c: a task's number, kind, and whether it may be cancelled, in one word. */
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
extern uint64_t settled; /* how many have come to their end */
extern uint64_t in_maps, in_nested;

/* measure.c */
enum measured { FAILED_AFTER, SERVED_AFTER, MEASURED };
void measure(enum measured what, int64_t ns);
void measure_service(const struct answer *answer);
void note_slack(void);
void measure_report(void);

/* left.c */
struct left {
	unsigned fds, fork_server_fds, mappings, fork_server_mappings, threads, children, fork_server_children;
	unsigned long shared, own, fork_server_own; /* KiB */
};
struct left left_now(void);
bool left_report(const struct left *before, const struct left *after);

/* hang.c */
void watch_start(void);
void watch_stop(void);

#endif
