/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_KILL_H
#define STRESS_KILL_H

#include "process/shm/shm_queue.h"
#include "sites.h"
#include "steps.h"
#include "tools.h"
#include <sys/types.h>

/*
 * The campaign that really kills processes while they and two surviving processes use one queue in
 * shared memory. It accounts for every item. README.md describes it.
 *
 *   abi.c      the functions that -fsanitize=thread calls: the steps
 *   steps.c    where a victim dies
 *   sites.c    the number of deaths at each step
 *   lives.c    what the victims and the survivors do
 *   ledger.c   the account of the items
 *   report.c   the report
 *   main.c     the driver: one thread, which forks, kills, reaps and keeps the ledger
 *   tools.c    functions for the campaigns and the soaks; ../kill_tasks also uses abi.c and sites.c
 */

enum { SLOTS = 8, PUTS = 16, GETS = 32, BULK = 3, FRAME_ROOM = 64 };

struct item {
	uint32_t life, number; /* `life` is the number of the victim's life, or SURVIVOR */
	uint64_t check;
};
#define SURVIVOR UINT32_MAX

/* How a victim dies: it kills itself before a step, or the driver kills it at some time. */
enum kind { AT_STEP, AT_SITE, BY_DRIVER };

/* The state of a victim, which outlives it. */
struct slot {
	pid_t pid; /* 0 if the slot is free */
	uint32_t life;
	enum kind kind;
	uint32_t steps;  /* for AT_STEP and AT_SITE: it dies before this step at the latest */
	uintptr_t site;  /* for AT_SITE: the site before which it dies */
	int64_t kill_at; /* for BY_DRIVER */
	uint32_t begun;  /* how many puts have begun */
	/* How many items it has put and got, counted after the store that commits. */
	uint32_t put, got;
	_Alignas(16) unsigned char log[GETS * FRAME_ROOM]; /* its gets write here */
};

/* The record of each life. */
struct life {
	/*
	 * Bounds on how many of its puts have committed. The two differ only if the driver killed
	 * the victim.
	 */
	uint8_t least, most;
	uint16_t unused;
	uint32_t seen; /* two bits for each put: the lower one is 1 when the item was delivered */
};

/* All processes share it. */
struct board {
	uint32_t stop, phase;
	uint64_t puts, gets; /* by the survivors */
	uint64_t duplicates, unordered, wrong;
	struct site sites[SITES];
	struct slot slots[SLOTS];
};

struct campaign {
	uint64_t kills, time; /* the time is in seconds */
	uint64_t seed, capacity, victims, frames, quiet;
};

extern struct campaign campaign;
extern struct board *board;
extern struct fl_shm_queue *queue;
extern struct fl__shm_ring *ring; /* the ring of `queue` */

void *share(size_t size);

/* steps.c */
void steps_open(void);
void arm(struct slot *slot);

/* lives.c */
void live_and_die(struct slot *slot, uint64_t seed) __attribute__((noreturn));
int survive_putting(void);
int survive_getting(void);

/* ledger.c */
void ledger_open(uint64_t lives);
void deliver(const struct item *item);
struct item item_of(uint32_t life, uint32_t number);
size_t frame_of(const struct item *item, unsigned char frame[FRAME_ROOM]);
bool item_in(const unsigned char *frame, size_t size, struct item *item);
void bury(const struct slot *slot);
struct balance {
	uint64_t items, lost, duplicates, wrong, unsure;
	bool counts_agree;
};
struct balance ledger_close(void);

/* report.c */
/* Returns false if the run was long enough, and some step had too few kills. */
bool report(const struct balance *b, uint64_t by_step, uint64_t by_driver, int64_t took);
void dump_queue(void);
bool check_idle(void);

#endif
