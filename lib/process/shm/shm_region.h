/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "shm_arena.h"
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <stdint.h>

/*
 * A region: the head; the arena's map; and, from a page boundary on, the data, in units. All sizes
 * follow from the number of units.
 */
enum { FL__SHM_HEAD = 128, FL__SHM_UNIT = 256 };

struct fl__shm_head {
	uint64_t magic;
	uint32_t version;   /* of this layout */
	uint32_t word_size; /* bytes of a pointer */
	int64_t lock_word;  /* fl__shm_word_offset() */
	uint64_t total;     /* bytes of the region */
	uint64_t units;
	uint64_t root; /* stored with release, loaded with acquire */
	struct fl__shm_arena_head arena;
	uint64_t pid_namespace; /* the maker's, from fl__shm_sys.pid_namespace() */
};
_Static_assert(sizeof(struct fl__shm_head) == 104, "struct fl__shm_head has no gaps");

#define FL__SHM_MAGIC UINT64_C(0x6d68732d6c66) /* "fl-shm" */
#define FL__SHM_VERSION 1u

/* Private to the process, and not read from the region again. */
struct fl_shm {
	struct fl__shm_head *head;
	uint64_t data, total; /* offsets: of the first unit, and of the end */
	struct fl__shm_arena arena;
	int fd;
	bool writable;
};

/*
 * Makes a memfd of `size` bytes, which never shrinks or grows. Its memory is real: no access raises
 * SIGBUS. `*fd` is the descriptor, or negative. Returns 0; -ENOMEM; or another error of the system.
 */
int fl__shm_make(uint64_t size, int *fd);

/* Gives the file real memory from `at` to `end`. Returns as fl__shm_make(). */
int fl__shm_fill(int fd, uint64_t at, uint64_t end);

/* How long an operation without a deadline waits for a monitor. */
#define FL__SHM_MONITOR_TIMEOUT FL_S(10)

/*
 * fl_shm_alloc_raw() with error codes. Returns
 *   0
 *   -ENOMEM
 *   -EROFS
 *   -EBADMSG    the region is damaged
 *   -ETIMEDOUT  the monitor was held for FL__SHM_MONITOR_TIMEOUT
 */
FL_MUST_CHECK int fl__shm_try_alloc(fl_shm *r, size_t size, void **block);
