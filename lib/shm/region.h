/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_REGION_H
#define FL_SHM_REGION_H

#include "arena.h"
#include <fairlead/shm.h>
#include <fairlead/time.h>
#include <stdint.h>

/*
 * A region from its beginning: the head; the arena's map; then, on a page of its own, the data, cut into units. All
 * numbers follow from how many units there are.
 */
enum { FL__SHM_HEAD = 128, FL__SHM_UNIT = 256 };

struct fl__shm_head {
	uint64_t magic;
	uint32_t version;   /* of this layout */
	uint32_t word_size; /* bytes of a pointer */
	int64_t lock_word;  /* fl__shm_word_offset() */
	uint64_t total;     /* bytes of the whole */
	uint64_t units;
	uint64_t root; /* release by who sets it, acquire by who follows it */
	struct fl__arena_head arena;
};
_Static_assert(sizeof(struct fl__shm_head) == 96, "struct fl__shm_head has no gaps");

#define FL__SHM_MAGIC UINT64_C(0x6d68732d6c66) /* "fl-shm" */
#define FL__SHM_VERSION 1u

/* Private to the process: what it believes without asking the region again. */
struct fl_shm {
	struct fl__shm_head *head; /* where it is mapped */
	uint64_t data, total;      /* offsets: of the first unit, and of the end */
	struct fl__arena arena;
	int fd;
	bool writable;
};

/* How long an operation without a deadline waits for a monitor: only a stopped owner keeps one that long, or damage. */
#define FL__SHM_PATIENCE FL_S(10)

/*
 * fl_shm_alloc_raw() and fl_shm_dealloc() for those who tell the reasons. Alloc: 0; -ENOMEM; -EROFS; -EBADMSG: damaged;
 * -ETIMEDOUT: held for FL__SHM_PATIENCE. Dealloc: 0, -EINVAL: no allocated block begins there. It never waits.
 */
FL_MUST_CHECK int fl__shm_try_alloc(fl_shm *r, size_t size, void **block);
FL_MUST_CHECK int fl__shm_try_dealloc(fl_shm *r, void *block);

#endif
