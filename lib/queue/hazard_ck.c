/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hazard pointers on Concurrency Kit's ck_hp: its records in their list, and its store with a fence.
 *
 * Why hazard pointers and not ck's epochs: a reader that is stopped inside an epoch lets garbage grow without end; here it
 * keeps two objects.
 *
 * Protocol. A reader stores the object's address in a place of its record, a full fence, then looks again whether the object
 * is still reached from where it found it. Who retires an object makes it unreachable, a full fence, then looks at all
 * places. One of the two fences comes first: either the reader sees that the object is gone, or it is seen. The store
 * before which a reader has used another object in the same place releases; a look that no longer finds that object
 * acquires, so that its free comes after the use.
 *
 * Not used of ck_hp: ck_hp_reclaim() and what calls it. In 0.7.1, which distributions have, it writes behind its cache when
 * there are 512 hazards, and takes no notice of those beyond (mended in 0.7.2: ck 51594ea); the objects that a thread has
 * retired are lost with its record; and it has no fence of its own on either side. So who retires looks at the records here
 * itself. ck_hp_clear() stores without any order. ck_hp_unregister() orders stores alone, on aarch64: the release before it
 * is ours.
 *
 * A record lives as long as the library: others may be looking at it. One that a thread has given
 * back is taken again. When the library is unloaded all are freed, but at the exit of a process
 * they stay, since other threads go on.
 *
 * In TSan's build this file is not instrumented: a record, as an address, stands for both sides of the release.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "hazard.h"
#include <ck_hp.h>
#include <stdint.h>

struct record {
	ck_hp_record_t ck;
	struct fl__hazards ours;
	void *memory; /* where the record is; NULL: not on the heap */
};

static ck_hp_t domain = {.subscribers = CK_STACK_INITIALIZER, .degree = FL__HAZARDS};
static struct record lent;

static struct record *record_of(const struct fl__hazards *hazards)
{
	return (struct record *)(void *)((char *)hazards - offsetof(struct record, ours));
}

static struct record *record_at(ck_stack_entry_t *entry)
{
	return (struct record *)(void *)((char *)entry - offsetof(ck_hp_record_t, global_entry));
}

struct fl__hazards *fl__hazards_take(void)
{
	ck_hp_record_t *used = ck_hp_recycle(&domain);
	if (used) {
		fl__fence_acquire(); /* pairs with the fence in fl__hazards_give(): its fields are ours now */
		return &((struct record *)(void *)used)->ours;
	}
	uintptr_t memory = (uintptr_t)fl__alloc(1, sizeof(struct record) + _Alignof(struct record) - 1);
	if (!memory)
		return NULL;
	struct record *record = (struct record *)((memory + _Alignof(struct record) - 1) & -_Alignof(struct record));
	record->memory = (void *)memory;
	ck_hp_register(&domain, &record->ck, record->ours.kept);
	return &record->ours;
}

struct fl__hazards *fl__hazards_lent(void)
{
	if (!lent.ck.global)
		ck_hp_register(&domain, &lent.ck, lent.ours.kept);
	return &lent.ours;
}

void fl__hazards_set(struct fl__hazards *hazards, enum fl__hazard place, void *object)
{
	struct record *record = record_of(hazards);
	fl__tsan_release(record);
	fl__fence_release(); /* the use of what was kept there; pairs with the acquire in fl__hazards_each() */
	ck_hp_set_fence(&record->ck, place, object);
}

void fl__hazards_give(struct fl__hazards *hazards)
{
	for (unsigned i = 0; i < FL__HAZARDS; i++)
		fl__hazards_set(hazards, i, NULL);
	ck_hp_unregister(&record_of(hazards)->ck); /* behind the fence of the set */
}

void fl__hazards_visit(void (*found)(void *arg, const void *kept), void *arg)
{
	ck_stack_entry_t *entry = ck_pr_load_ptr(&domain.subscribers.head);
	fl__fence_acquire(); /* pairs with the fences of ck_hp_register(), of this record and of those behind it */
	for (; entry; entry = entry->next) {
		struct record *record = record_at(entry);
		for (unsigned i = 0; i < FL__HAZARDS; i++) {
			const void *kept = ck_pr_load_ptr(&record->ours.kept[i]);
			if (kept)
				found(arg, kept);
		}
		fl__tsan_acquire(record);
	}
}

void fl__hazards_forget_others(const struct fl__hazards *mine)
{
	for (ck_stack_entry_t *entry = ck_pr_load_ptr(&domain.subscribers.head); entry; entry = entry->next) {
		struct record *record = record_at(entry);
		if (&record->ours != mine && ck_pr_load_int(&record->ck.state) == CK_HP_USED)
			fl__hazards_give(&record->ours);
	}
}

void fl__hazards_free(void)
{
	ck_stack_entry_t *entry = ck_pr_load_ptr(&domain.subscribers.head);
	domain = (ck_hp_t){.subscribers = CK_STACK_INITIALIZER, .degree = FL__HAZARDS};
	lent = (struct record){.memory = NULL};
	for (ck_stack_entry_t *next; entry; entry = next) {
		next = entry->next;
		fl__free(record_at(entry)->memory);
	}
}
