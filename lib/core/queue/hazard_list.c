/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hazard pointers without Concurrency Kit. This file replaces hazard_ck.c where Concurrency Kit is
 * not installed, and in the amalgamated library (two files). The head of hazard_ck.c describes the
 * protocol.
 *
 * The records are a list that only grows, until the library is unloaded. A record is added once,
 * and then threads use it one after another.
 *
 *   word         written by
 *   hazard_all   each thread that adds a record
 *   next         the same thread, before it adds the record
 *   used         1: the thread that takes the record; 0: the thread that gives it back
 *   pointers     the thread that uses the record
 *
 * A forked child writes `used` and `pointers` in the records of the parent's other threads.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "hazard.h"
#include <string.h>

struct hazard_record {
	struct fl__hazards ours;
	struct hazard_record *next;
	uint32_t used;
};

static struct hazard_record *hazard_all;
static struct hazard_record hazard_shared;

static struct hazard_record *hazard_record_of(const struct fl__hazards *hazards)
{
	return FL__CONTAINER_OF(hazards, struct hazard_record, ours);
}

static struct fl__hazards *hazard_add(struct hazard_record *record)
{
	record->used = 1;
	record->next = fl__load_relaxed(&hazard_all);
	/*
	 * release: pairs with the acquire at the beginning of each walk, for this record and, by
	 * the release sequence, for the following ones
	 */
	while (!fl__cas_weak_release(&hazard_all, &record->next, record))
		;
	return &record->ours;
}

struct fl__hazards *fl__hazards_register(void)
{
	/* acquire: pairs with the release in hazard_add() */
	FL__EACH (struct hazard_record, record, fl__load_acquire(&hazard_all))
		/*
		 * relaxed load: it only avoids swaps that fail. acquire swap: pairs with the
		 * release fence in fl__hazards_set(), for what the record's last user has stored
		 */
		if (fl__load_relaxed(&record->used) == 0 && fl__swap_acquire(&record->used, 1) == 0)
			return &record->ours;
	/*
	 * Not from the heap, because a leak checker would report it: it is not freed before the
	 * library is unloaded.
	 */
	struct hazard_record *record = fl__sys.map(sizeof *record);
	return record ? hazard_add(record) : NULL;
}

struct fl__hazards *fl__hazards_shared(void)
{
	return hazard_shared.used ? &hazard_shared.ours : hazard_add(&hazard_shared);
}

void fl__hazards_set(struct fl__hazards *hazards, enum fl__hazard place, void *object)
{
	/*
	 * release: pairs with the acquire fence in fl__hazards_each(), for the uses of the object
	 * that was protected before
	 */
	fl__fence_release();
	fl__store_relaxed(&hazards->pointers[place], object); /* relaxed: it is between two fences */
	fl__fence_seq_cst(); /* seq_cst: pairs with the first fence in fl__hazards_each() */
}

void fl__hazards_unregister(struct fl__hazards *hazards)
{
	fl__hazards_clear(hazards);
	/* relaxed: the earlier fence in fl__hazards_set() releases */
	fl__store_relaxed(&hazard_record_of(hazards)->used, 0);
}

size_t fl__hazards_visit(void (*found)(void *arg, const void *object), void *arg)
{
	size_t read = 0;
	/* acquire: pairs with the release in hazard_add() */
	FL__EACH (struct hazard_record, record, fl__load_acquire(&hazard_all))
		for (unsigned i = 0; i < FL__HAZARDS; i++, read++) {
			/* relaxed: it is between the two fences of fl__hazards_each() */
			const void *object = fl__load_relaxed(&record->ours.pointers[i]);
			if (object)
				found(arg, object);
		}
	return read;
}

void fl__hazards_forget_others(const struct fl__hazards *mine)
{
	FL__EACH (struct hazard_record, record, hazard_all) {
		if (&record->ours == mine || !record->used)
			continue;
		if (record == &hazard_shared)
			/* It stays marked as used, so that no thread acquires it. */
			fl__hazards_clear(&record->ours);
		else
			fl__hazards_unregister(&record->ours);
	}
}

void fl__hazards_free(void)
{
	FL__EACH_SAFE (struct hazard_record, record, hazard_all)
		if (record != &hazard_shared)
			fl__sys.unmap(record, sizeof *record);
	hazard_all = NULL;
	memset(&hazard_shared, 0, sizeof hazard_shared);
}
