/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hazard pointers without Concurrency Kit, for builds where it is not installed, and for the library
 * as two files. The interface is that of hazard_ck.c, which has the protocol.
 *
 * The records are a list that only grows until an unload. A record is pushed to it once, and then
 * used by one thread after another.
 *
 *   word         written by                        order
 *   hazard_all   each thread that adds a record    its release publishes the record
 *   next         the same, before that             never changes in the list
 *   used         1: the thread that takes the      acquire: what the last user stored is here before
 *                record; 0: the thread that gives  release: no hazard pointer is set any more
 *                it back
 *   pointers     the record's thread               release: the uses of the object before; then a full
 *                                                  fence, as the protocol asks for
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
	while (!fl__cas_weak_release(&hazard_all, &record->next, record))
		;
	return &record->ours;
}

struct fl__hazards *fl__hazards_register(void)
{
	FL__EACH (struct hazard_record, record, fl__load_acquire(&hazard_all))
		if (fl__load_relaxed(&record->used) == 0 && fl__swap_acquire(&record->used, 1) == 0)
			return &record->ours;
	/* Not from the heap: a leak checker would report it, since no thread frees it. */
	struct hazard_record *record = fl__sys.map(sizeof *record);
	return record ? hazard_add(record) : NULL;
}

struct fl__hazards *fl__hazards_shared(void)
{
	return hazard_shared.used ? &hazard_shared.ours : hazard_add(&hazard_shared);
}

void fl__hazards_set(struct fl__hazards *hazards, enum fl__hazard place, void *object)
{
	fl__store_release(&hazards->pointers[place], object);
	fl__fence_seq_cst(); /* pairs with fl__hazards_each() */
}

void fl__hazards_clear(struct fl__hazards *hazards)
{
	for (unsigned i = 0; i < FL__HAZARDS; i++)
		fl__hazards_set(hazards, i, NULL);
}

void fl__hazards_unregister(struct fl__hazards *hazards)
{
	fl__hazards_clear(hazards);
	fl__store_release(&hazard_record_of(hazards)->used, 0);
}

void fl__hazards_visit(void (*found)(void *arg, const void *object), void *arg)
{
	FL__EACH (struct hazard_record, record, fl__load_acquire(&hazard_all))
		for (unsigned i = 0; i < FL__HAZARDS; i++) {
			const void *object = fl__load_acquire(&record->ours.pointers[i]);
			if (object)
				found(arg, object);
		}
}

void fl__hazards_forget_others(const struct fl__hazards *mine)
{
	FL__EACH (struct hazard_record, record, hazard_all) {
		if (&record->ours == mine || !record->used)
			continue;
		if (record == &hazard_shared)
			fl__hazards_clear(&record->ours); /* stays in use: no thread takes it */
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
