/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A value of any size in shared memory, which changes by one store. Its two copies follow the
 * struct.
 *
 *   field      meaning                                      written by
 *   lock_      the monitor of the threads that change       shm_lock.c
 *              the value
 *   changes_   how often the value has changed; bit 0:      a set, under the monitor
 *              which copy is the value
 *   copies     [changes_ & 1] is the value; the other       a set, under the monitor
 *              copy is the next value, or part of it
 *
 * The linearization point of a set is its store of changes_. A set that is killed before this store
 * leaves the old value; the next set writes the other copy anew.
 *
 * A get takes no lock, so it does not wait for a stopped process, and it works on read-only memory.
 * It reads changes_, then the copy, and then changes_ again. A set writes to that copy only after
 * another set has changed changes_. So if both reads are equal, the copy was whole, because by the
 * fences, a get that reads a word of a later set also reads the count before that set. (Boehm, Can
 * seqlocks get along with programming language memory models?, 2012.) The words are accessed by
 * relaxed atomics, because a get may read a word while a set writes it.
 */
#include "core/base/atomic.h"
#include "shm_lock.h"
#include "shm_region.h"
#include <errno.h>
#include <fairlead/shm_value.h>
#include <string.h>

_Static_assert(sizeof(((fl_shm_value *)0)->lock_) == sizeof(struct fl__shm_lock), "a lock fits in");

enum { SHM_VALUE_WORD = sizeof(uint64_t) };

static size_t shm_value_words(size_t size)
{
	return size / SHM_VALUE_WORD + (size % SHM_VALUE_WORD != 0);
}

static uint64_t *shm_value_copy(const fl_shm_value *v, uint32_t changes, size_t size)
{
	return (uint64_t *)(void *)(v + 1) + (changes & 1) * shm_value_words(size);
}

static void shm_value_read(const uint64_t *from, void *to, size_t size)
{
	for (size_t at = 0; at < size; at += SHM_VALUE_WORD) {
		uint64_t word = fl__load_relaxed(from++);
		memcpy((char *)to + at, &word, FL__MIN(size - at, (size_t)SHM_VALUE_WORD));
	}
}

static void shm_value_write(uint64_t *to, const void *from, size_t size)
{
	for (size_t at = 0; at < size; at += SHM_VALUE_WORD) {
		uint64_t word = 0;
		memcpy(&word, (const char *)from + at, FL__MIN(size - at, (size_t)SHM_VALUE_WORD));
		fl__store_relaxed(to++, word);
	}
}

uint32_t fl_shm_value_get(const fl_shm_value *v, void *value, size_t size)
{
	/* acquire: pairs with the release in shm_value_store(), which publishes the copy */
	uint32_t changes = fl__load_acquire(&v->changes_);
	for (;;) {
		shm_value_read(shm_value_copy(v, changes, size), value, size);
		/* acquire: pairs with the release fence in shm_value_store() */
		fl__fence_acquire();
		/* relaxed: the fence orders it after the loads of the copy */
		uint32_t again = fl__load_relaxed(&v->changes_);
		if (again == changes)
			return changes;
		fl__sys.relax();
		/* acquire: pairs with the release in shm_value_store(), which publishes the copy */
		changes = fl__load_acquire(&v->changes_);
	}
}

static void shm_value_store(fl_shm_value *v, const void *value, size_t size)
{
	/* relaxed: the monitor guards changes_ against other sets */
	uint32_t next = fl__load_relaxed(&v->changes_) + 1;
	/*
	 * release: pairs with the acquire fence in fl_shm_value_get(); orders the words after
	 * changes_
	 */
	fl__fence_release();
	shm_value_write(shm_value_copy(v, next, size), value, size);
	/* release: pairs with the acquires in fl_shm_value_get() */
	fl__store_release(&v->changes_, next);
}

static int shm_value_change(fl_shm_value *v, const uint32_t *changes, const void *value, size_t size)
{
	struct fl__shm_lock *lock = fl__shm_lock_at(v->lock_);
	struct fl__shm_held held;
	int rc = fl__shm_enter(lock, &held, fl_after(FL__SHM_MONITOR_TIMEOUT));
	if (rc != 0)
		return rc;
	/* relaxed: the monitor guards changes_ against other sets */
	if (changes && *changes != fl__load_relaxed(&v->changes_))
		rc = -ESTALE;
	else
		shm_value_store(v, value, size);
	fl__shm_leave(lock, &held);
	return rc;
}

int fl_shm_value_set(fl_shm_value *v, const void *value, size_t size)
{
	return shm_value_change(v, NULL, value, size);
}

int fl_shm_value_set_if(fl_shm_value *v, uint32_t changes, const void *value, size_t size)
{
	return shm_value_change(v, &changes, value, size);
}
