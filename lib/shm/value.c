/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values that change by one store. Behind the struct lie two copies.
 *
 *   field       meaning                                         written by
 *   lock_       a monitor, of those who change the value        lock.c
 *   changes_    how often it has changed; bit 0: which copy it  set(), under the monitor
 *               is
 *   copies      [changes_ & 1] is the value; the other one is   set(), under the monitor
 *               the next one, or half of it
 *
 * Linearization: set(), the store of changes_. Killed before it, the value is the old one, and the next set begins the
 * other copy anew. Killed after it, it is the new one, and the kernel gives the monitor to the next.
 *
 * A get takes no lock, so that it does not wait for who was stopped inside a set, and works on memory that it must not
 * write to. It reads changes_, the copy, and changes_ again. A set writes to that copy only when another has changed
 * changes_ since. So if both reads find the same, the copy was whole: (the fences) who reads a word of a later set then
 * also reads the count that came before that set. (Boehm, Can seqlocks get along with programming language memory
 * models?, 2012.)
 *
 * The words of a copy are read and written by relaxed atomics, since a get may read what a set is writing, and drops
 * it.
 */
#include "../base/atomic.h"
#include "lock.h"
#include "region.h"
#include <errno.h>
#include <fairlead/shm_value.h>
#include <string.h>

_Static_assert(sizeof(((fl_shm_value *)0)->lock_) == sizeof(struct fl__shm_lock), "a lock fits in");

enum { WORD = sizeof(uint64_t) };

static size_t words(size_t size)
{
	return size / WORD + (size % WORD != 0);
}

static uint64_t *copy_of(const fl_shm_value *v, uint32_t changes, size_t size)
{
	return (uint64_t *)(void *)(v + 1) + (changes & 1) * words(size);
}

static void read_words(const uint64_t *from, void *to, size_t size)
{
	for (size_t at = 0; at < size; at += WORD) {
		uint64_t word = fl__load_relaxed(from++); /* relaxed: see above */
		memcpy((char *)to + at, &word, size - at < WORD ? size - at : WORD);
	}
}

static void write_words(uint64_t *to, const void *from, size_t size)
{
	for (size_t at = 0; at < size; at += WORD) {
		uint64_t word = 0;
		memcpy(&word, (const char *)from + at, size - at < WORD ? size - at : WORD);
		fl__store_relaxed(to++, word); /* relaxed: see above */
	}
}

uint32_t fl_shm_value_get(const fl_shm_value *v, void *value, size_t size)
{
	uint32_t changes = fl__load_acquire(&v->changes_); /* pairs with set(): the copy is there */
	for (;;) {
		read_words(copy_of(v, changes, size), value, size);
		fl__fence_acquire();                             /* pairs with the fence of set() */
		uint32_t again = fl__load_relaxed(&v->changes_); /* relaxed: the fence */
		if (again == changes)
			return changes;
		fl__sys.relax();
		changes = fl__load_acquire(&v->changes_); /* as above */
	}
}

static void set(fl_shm_value *v, const void *value, size_t size)
{
	uint32_t next = fl__load_relaxed(&v->changes_) + 1; /* relaxed: guarded by the monitor */
	fl__fence_release(); /* pairs with the fence of fl_shm_value_get(): changes_ before the words */
	write_words(copy_of(v, next, size), value, size);
	fl__store_release(&v->changes_, next); /* pairs with fl_shm_value_get() */
}

static int set_if(fl_shm_value *v, const uint32_t *changes, const void *value, size_t size)
{
	struct fl__shm_lock *lock = (struct fl__shm_lock *)(void *)v->lock_;
	struct fl__shm_held held;
	int rc = fl__shm_enter(lock, &held, fl__sys.now() + FL__SHM_PATIENCE);
	if (rc != 0)
		return rc == -EDEADLK ? -EBADMSG : rc;
	if (changes && *changes != fl__load_relaxed(&v->changes_)) /* relaxed: guarded by the monitor */
		rc = -EAGAIN;
	else
		set(v, value, size);
	fl__shm_leave(lock, &held);
	return rc;
}

int fl_shm_value_set(fl_shm_value *v, const void *value, size_t size)
{
	return set_if(v, NULL, value, size);
}

int fl_shm_value_set_if(fl_shm_value *v, uint32_t changes, const void *value, size_t size)
{
	return set_if(v, &changes, value, size);
}
