/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The map contains a word for each unit of memory. The word of a run's first unit contains the
 * run's length, and whether the run is in use. The words of its other units are never read. So a
 * walk goes from run to run by their lengths, and each change of the map is one store.
 *
 *   word     meaning                       written by
 *   map[i]   n: a free run of n units      a free, CAS, when the word was USED | n; the monitor's
 *                                          owner, when the word was free (a join with the runs
 *                                          behind it) or unread (the remainder of a split); the
 *                                          init, which makes one run
 *            USED | n: a run in use        an alloc, when the word was free; only a free changes it
 *   next     where the next search begins  the monitor's owner; always the first unit of a run
 *
 * Invariants
 *   1. The runs of a walk from unit 0 cover all units, and do not overlap.
 *   2. A word with USED is the word of a run's first unit, because runs in use are never joined,
 *      and a run that is joined with the run before it is free. So a free rejects a bad block
 *      without a walk.
 *   3. The monitor guards `next` and the words of free runs, so accesses to them are relaxed.
 *      However, shm_arena_run() loads with acquire, because the word may have become free without
 *      the monitor.
 *   4. The linearization point of an alloc is the store of USED. The linearization point of a free
 *      is its CAS.
 *
 * Kills. A kill leaves nothing to repair.
 *   - An alloc stores, in this order: `next` moves back to the run's first unit, if it points to a
 *     run that will be joined; *the runs are joined, one by one*; the remainder's word is written,
 *     inside a free run; *USED*; `next` moves on. The stores between stars are commits. After USED
 *     the units belong to the dead process, and only a process that knows of them can free them.
 *   - A free is one CAS, without the monitor, so it works while the monitor's owner is stopped.
 *
 * Because any process may have overwritten the map, a length is read once, and must end inside the
 * map. Each step of a walk moves on, so the walk ends.
 */
#include "shm_arena.h"
#include "core/base/atomic.h"
#include <errno.h>

void fl__shm_arena_init(const struct fl__shm_arena *a)
{
	fl__store_relaxed(&a->map[0], a->units); /* relaxed: no other process has the memory yet */
}

static uint32_t shm_arena_run(const struct fl__shm_arena *a, uint32_t i)
{
	/* acquire: pairs with the release in fl__shm_arena_free() */
	uint32_t word = fl__load_acquire(&a->map[i]);
	uint32_t n = word & ~FL__SHM_ARENA_USED;
	return n > 0 && n <= a->units - i ? word : 0;
}

/*
 * Joins the free run of `n` units at `i` with the free runs behind it, until it has `enough` units
 * or no free run follows. Returns its length, or 0 if the map is damaged. `next` moves to `i`
 * before the run at `next` is joined.
 */
static uint32_t shm_arena_join(const struct fl__shm_arena *a, uint32_t i, uint32_t n, uint32_t enough)
{
	while (n < enough && i + n < a->units) {
		uint32_t word = shm_arena_run(a, i + n);
		if (word == 0)
			return 0;
		if (word & FL__SHM_ARENA_USED)
			break;
		if (fl__load_relaxed(&a->head->next) == i + n)
			fl__store_relaxed(&a->head->next, i);
		fl__in_program_order();
		fl__store_relaxed(&a->map[i], n + word);
		n += word;
	}
	return n;
}

/* Finds a free run of `n` units that begins in [from, to). */
static int shm_arena_find(const struct fl__shm_arena *a, uint32_t from, uint32_t to, uint32_t n, uint32_t *first,
                          uint32_t *length)
{
	uint32_t word;
	for (uint32_t i = from; i < to; i += word & ~FL__SHM_ARENA_USED) {
		word = shm_arena_run(a, i);
		if (word != 0 && !(word & FL__SHM_ARENA_USED))
			word = shm_arena_join(a, i, word, n);
		if (word == 0)
			return -EBADMSG;
		if (!(word & FL__SHM_ARENA_USED) && word >= n) {
			*first = i;
			*length = word;
			return 0;
		}
	}
	return -ENOMEM;
}

static void shm_arena_split(const struct fl__shm_arena *a, uint32_t i, uint32_t length, uint32_t n)
{
	uint32_t end = i + n;
	if (length > n)
		fl__store_relaxed(&a->map[end], length - n);
	fl__in_program_order();
	fl__store_relaxed(&a->map[i], n | FL__SHM_ARENA_USED);
	fl__in_program_order();
	fl__store_relaxed(&a->head->next, end < a->units ? end : 0);
}

static int shm_arena_alloc(const struct fl__shm_arena *a, uint32_t n, uint32_t *first)
{
	uint32_t next = fl__load_relaxed(&a->head->next);
	uint32_t length = 0;
	if (next >= a->units)
		next = 0; /* the head is damaged; unit 0 is always the first unit of a run */
	int rc = shm_arena_find(a, next, a->units, n, first, &length);
	if (rc == -ENOMEM && next > 0)
		rc = shm_arena_find(a, 0, next, n, first, &length);
	if (rc == 0)
		shm_arena_split(a, *first, length, n);
	return rc;
}

int fl__shm_arena_alloc(const struct fl__shm_arena *a, uint32_t n, fl_time deadline, uint32_t *first)
{
	struct fl__shm_held held;
	int rc = fl__shm_enter(&a->head->lock, &held, deadline);
	if (rc != 0)
		return rc;
	rc = shm_arena_alloc(a, n, first);
	fl__shm_leave(&a->head->lock, &held);
	return rc;
}

int fl__shm_arena_free(const struct fl__shm_arena *a, uint32_t first)
{
	if (first >= a->units)
		return -EINVAL;
	/* relaxed: the caller owns the run, so no other thread changes the word */
	uint32_t word = fl__load_relaxed(&a->map[first]);
	do {
		if (!(word & FL__SHM_ARENA_USED))
			return -EINVAL;
		/*
		 * release: pairs with the acquire in shm_arena_run(), after the caller's use of
		 * the units
		 */
	} while (!fl__cas_weak_release(&a->map[first], &word, word & ~FL__SHM_ARENA_USED));
	return 0;
}
