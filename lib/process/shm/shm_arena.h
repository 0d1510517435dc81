/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "shm_lock.h"
#include <fairlead/defs.h>
#include <stdint.h>

/*
 * An arena allocates runs of units of some memory. It does not access that memory itself, and its
 * map may be anywhere.
 */
struct fl__shm_arena_head { /* in shared memory, all-zero to begin with */
	struct fl__shm_lock lock;
	uint32_t next, unused;
};

/* Private to each process, and not read from shared memory again. */
struct fl__shm_arena {
	struct fl__shm_arena_head *head;
	uint32_t *map;  /* in shared memory, all-zero to begin with */
	uint32_t units; /* 1 to 0x7fffffff */
};

#define FL__SHM_ARENA_USED 0x80000000u

void fl__shm_arena_init(const struct fl__shm_arena *a);

/*
 * Allocates a run of `n` units (at least 1), and sets *first to its first unit. Returns
 *   0           the run is allocated
 *   -ENOMEM     no free run is that long
 *   -EBADMSG    the map or the lock is damaged
 *   -ETIMEDOUT  the deadline has passed, and the monitor was still held a millisecond later
 */
FL_MUST_CHECK int fl__shm_arena_alloc(const struct fl__shm_arena *a, uint32_t n, fl_time deadline, uint32_t *first);

/* Frees a run, and never waits. Returns 0, or -EINVAL if no run in use begins at `first`. */
FL_MUST_CHECK int fl__shm_arena_free(const struct fl__shm_arena *a, uint32_t first);
