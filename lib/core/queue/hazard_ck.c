/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hazard pointers on top of Concurrency Kit's ck_hp. This file uses ck_hp's list of records and its
 * store with a fence.
 *
 * Protocol. A reader stores the object's address in a hazard pointer, executes a full fence, and
 * then checks that the object is still reachable. A thread that retires an object makes it
 * unreachable, executes a full fence, and then reads all hazard pointers. So either the reader sees
 * that the object is unreachable, or the retiring thread sees the reader's store. The store also
 * releases the uses of the object that the hazard pointer protected before. The retiring thread
 * acquires them, so it frees that object after all its uses.
 *
 * ck_hp_reclaim() and its callers are not used. In 0.7.1, which distributions have, ck_hp_reclaim()
 * writes beyond its cache at 512 hazards and ignores further hazards (fixed in 0.7.2: ck 51594ea).
 * Besides, the objects that a thread has retired would be lost with its record. Therefore the
 * retiring thread reads the records itself. On aarch64 ck_hp does not order the end of a
 * protection, because ck_hp_clear() stores without any order and ck_hp_unregister() orders only
 * stores. Therefore fl__hazards_set() has a release fence.
 *
 * Threads use a record one after another. It is not freed before the library is unloaded, because
 * other threads may be reading it.
 *
 * TSan does not see ck's assembly, so the functions here that acquire a record, walk the records,
 * or write a hazard pointer are not instrumented (FL__NO_TSAN). Instead, fl__tsan_release() and
 * fl__tsan_acquire() tell TSan about the release, by the record's address.
 */
#include "../base/atomic.h"
#include "../base/list.h"
#include "../base/sys.h"
#include "hazard.h"
#include <ck_hp.h>
#include <string.h>

struct hazard_record {
	ck_hp_record_t ck;
	struct fl__hazards ours;
};

static ck_hp_t hazard_domain = {.subscribers = CK_STACK_INITIALIZER, .degree = FL__HAZARDS};
static struct hazard_record hazard_shared;

static struct hazard_record *hazard_record_of(const struct fl__hazards *hazards)
{
	return FL__CONTAINER_OF(hazards, struct hazard_record, ours);
}

static struct hazard_record *hazard_record_at(ck_stack_entry_t *entry)
{
	return FL__CONTAINER_OF(entry, struct hazard_record, ck.global_entry);
}

FL__NO_TSAN struct fl__hazards *fl__hazards_register(void)
{
	ck_hp_record_t *used = ck_hp_recycle(&hazard_domain);
	if (used) {
		/*
		 * acquire: pairs with the release fence in fl__hazards_set(), which
		 * fl__hazards_unregister() calls
		 */
		fl__fence_acquire();
		fl__tsan_acquire(used);
		return &((struct hazard_record *)(void *)used)->ours;
	}
	/*
	 * Not from the heap, because leak checkers look for a pointer to the beginning of each
	 * block of the heap, and ck has none.
	 */
	struct hazard_record *record = fl__sys.map(sizeof *record);
	if (!record)
		return NULL;
	ck_hp_register(&hazard_domain, &record->ck, record->ours.pointers);
	return &record->ours;
}

struct fl__hazards *fl__hazards_shared(void)
{
	if (!hazard_shared.ck.global)
		ck_hp_register(&hazard_domain, &hazard_shared.ck, hazard_shared.ours.pointers);
	return &hazard_shared.ours;
}

FL__NO_TSAN void fl__hazards_set(struct fl__hazards *hazards, enum fl__hazard place, void *object)
{
	struct hazard_record *record = hazard_record_of(hazards);
	fl__tsan_release(record);
	/*
	 * release: pairs with the acquire fence in fl__hazards_each(), for the uses of the object
	 * that was protected before
	 */
	fl__fence_release();
	ck_hp_set_fence(&record->ck, place, object);
}

void fl__hazards_unregister(struct fl__hazards *hazards)
{
	fl__hazards_clear(hazards);
	/* The store of ck_hp_unregister() comes after the release fence of fl__hazards_set(). */
	ck_hp_unregister(&hazard_record_of(hazards)->ck);
}

FL__NO_TSAN size_t fl__hazards_visit(void (*found)(void *arg, const void *object), void *arg)
{
	size_t read = 0;
	ck_stack_entry_t *entry = ck_pr_load_ptr(&hazard_domain.subscribers.head);
	/* acquire: pairs with ck_hp_register(), for this record and the following ones */
	fl__fence_acquire();
	for (; entry; entry = entry->next) {
		struct hazard_record *record = hazard_record_at(entry);
		for (unsigned i = 0; i < FL__HAZARDS; i++, read++) {
			const void *object = ck_pr_load_ptr(&record->ours.pointers[i]);
			if (object)
				found(arg, object);
		}
		fl__tsan_acquire(record);
	}
	return read;
}

FL__NO_TSAN void fl__hazards_forget_others(const struct fl__hazards *mine)
{
	for (ck_stack_entry_t *entry = ck_pr_load_ptr(&hazard_domain.subscribers.head); entry; entry = entry->next) {
		struct hazard_record *record = hazard_record_at(entry);
		if (&record->ours == mine || ck_pr_load_int(&record->ck.state) != CK_HP_USED)
			continue;
		if (record == &hazard_shared)
			/* It stays registered as used, so that no thread acquires it. */
			fl__hazards_clear(&record->ours);
		else
			fl__hazards_unregister(&record->ours);
	}
}

FL__NO_TSAN void fl__hazards_free(void)
{
	ck_stack_entry_t *entry = ck_pr_load_ptr(&hazard_domain.subscribers.head);
	hazard_domain = (ck_hp_t){.subscribers = CK_STACK_INITIALIZER, .degree = FL__HAZARDS};
	for (ck_stack_entry_t *next; entry; entry = next) {
		next = entry->next;
		if (entry != &hazard_shared.ck.global_entry)
			fl__sys.unmap(hazard_record_at(entry), sizeof(struct hazard_record));
	}
	memset(&hazard_shared, 0, sizeof hazard_shared);
}
