/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "shm_arena.h"
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <stdint.h>

/*
 * A region consists of the head, the arena's map, and the data, in units. The data begin at a page
 * boundary. All sizes follow from the number of units.
 */
enum { FL__SHM_HEAD = 128, FL__SHM_UNIT = 256 };

struct fl__shm_head {
	FL__WORD64 uint64_t magic;
	uint32_t version;             /* the version of this layout */
	uint32_t word_size;           /* the size of a pointer, in bytes */
	FL__WORD64 int64_t lock_word; /* the result of fl__shm_word_offset() */
	FL__WORD64 uint64_t total;    /* the size of the region, in bytes */
	FL__WORD64 uint64_t units;
	FL__WORD64 uint64_t root; /* stored with release, loaded with acquire */
	struct fl__shm_arena_head arena;
	FL__WORD64 uint64_t pid_namespace; /* the maker's, from fl__shm_sys.pid_namespace() */
};
_Static_assert(sizeof(struct fl__shm_head) == 104, "struct fl__shm_head has no gaps");

#define FL__SHM_MAGIC UINT64_C(0x6d68732d6c66) /* "fl-shm" */
#define FL__SHM_VERSION 1u

/* A process's private handle. Its numbers are not read from the region again. */
struct fl_shm {
	struct fl__shm_head *head;
	uint64_t data, total; /* the offsets of the first unit, and of the end */
	struct fl__shm_arena arena;
	int fd;
	bool writable;
};

/*
 * Makes a memfd of `size` bytes, which never shrinks or grows. Its memory is allocated, so no
 * access raises SIGBUS. Stores the descriptor, or a negative number, in *fd. Returns 0, -ENOMEM, or
 * another error of the system.
 */
int fl__shm_make(uint64_t size, int *fd);

/*
 * Allocates the file's memory from `at` to `end`. Returns 0, -ENOMEM, or another error of the
 * system.
 */
int fl__shm_fill(int fd, uint64_t at, uint64_t end);

/*
 * An allocation, a change of a value, and a close or task_done of a queue wait this long for a
 * monitor.
 */
#define FL__SHM_MONITOR_TIMEOUT FL_S(10)

/*
 * Does the work of fl_shm_block_alloc_raw(), and returns
 *   0           the block is allocated
 *   -ENOMEM     the region has no free run of units that is long enough
 *   -EROFS      the region is read-only here
 *   -EBADMSG    the region is damaged
 *   -ETIMEDOUT  the monitor was held for FL__SHM_MONITOR_TIMEOUT
 */
FL_MUST_CHECK int fl__shm_try_alloc(fl_shm *r, size_t size, void **block);
