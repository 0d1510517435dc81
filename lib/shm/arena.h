/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_ARENA_H
#define FL_SHM_ARENA_H

#include "lock.h"
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Which units of some memory are in use: a map with a word for each. arena.c has the protocol. The memory itself is not
 * looked at, and the map may lie anywhere: in a region, or in the state of a scenario.
 */
struct fl__arena_head { /* shared, all-zero to begin with */
	struct fl__shm_lock lock;
	uint32_t next, unused;
};

/* Private to each process: what it believes without asking again. */
struct fl__arena {
	struct fl__arena_head *head;
	uint32_t *map;  /* shared, all-zero to begin with */
	uint32_t units; /* 1 to FL__ARENA_MAX */
};

#define FL__ARENA_USED 0x80000000u
#define FL__ARENA_MAX 0x7fffffffu

/* Makes all units one free run. Before the memory is shared. */
void fl__arena_init(const struct fl__arena *a);

/*
 * Takes `n` units (at least 1) that follow each other; *first is the first of them. Returns 0; -ENOMEM: no free run is
 * that long; -EBADMSG: the map is damaged; or, as fl__shm_enter(), -ETIMEDOUT, -EDEADLK.
 */
FL_MUST_CHECK int fl__arena_take(const struct fl__arena *a, uint32_t n, int64_t deadline, uint32_t *first);

/* Gives back what a take gave. Returns 0, or -EINVAL: no taken run begins at `first`. Never waits. */
FL_MUST_CHECK int fl__arena_give(const struct fl__arena *a, uint32_t first);

/* What the map holds. */
struct fl__arena_count {
	uint32_t used, free;    /* units; together all, unless the map is damaged */
	uint32_t blocks, holes; /* runs in use; free ones */
	uint32_t largest;       /* the longest free run */
};

/* Counts. Returns 0, -EBADMSG, or as fl__shm_enter(). */
FL_MUST_CHECK int fl__arena_count(const struct fl__arena *a, int64_t deadline, struct fl__arena_count *count);

#endif
