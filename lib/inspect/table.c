/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of debugging (table.h): its memory, its lock, the records of contexts, and the held
 * locks.
 */
#include "table.h"
#include "core/base/list.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include <string.h>

enum { TABLE_CHUNK_SLOTS = 32 };

struct table_chunk {
	struct table_chunk *next;
	union fl__table_slot slots[TABLE_CHUNK_SLOTS];
};

/* The table's lock guards all of these. */
static struct table_chunk *table_chunks;
static union fl__table_slot *table_free_slots;
static size_t table_n_free;
static struct fl__holder *table_holders[FL__DEBUG_BUCKETS];
static struct fl__held *table_helds[FL__DEBUG_BUCKETS];
struct fl__debug_run fl__debug_runs[FL__DEBUG_BUCKETS];
uint64_t fl__table_steps;
bool fl__table_was_used;

size_t fl__debug_bucket(uintptr_t key)
{
	return ((uint64_t)key * 0x9e3779b97f4a7c15u) >> (64 - FL__DEBUG_BUCKETS_LOG2);
}

void *fl__table_take_slot(void)
{
	union fl__table_slot *slot = table_free_slots;
	table_free_slots = slot->next_free;
	table_n_free--;
	memset(slot, 0, sizeof *slot);
	return slot;
}

void fl__table_give_slot(void *memory)
{
	union fl__table_slot *slot = memory;
	slot->next_free = table_free_slots;
	table_free_slots = slot;
	table_n_free++;
}

static void table_add_chunk(struct table_chunk *chunk)
{
	chunk->next = table_chunks;
	table_chunks = chunk;
	for (size_t i = 0; i < TABLE_CHUNK_SLOTS; i++)
		fl__table_give_slot(&chunk->slots[i]);
}

/*
 * Locks the table with at least `slots` free slots. Returns false, with the table unlocked, if
 * there is no memory.
 */
static bool table_lock_with_slots(size_t slots)
{
	fl__debug_relock();
	while (table_n_free < slots) {
		fl__debug_unlock();
		struct table_chunk *chunk = fl__sys.map(sizeof *chunk);
		if (!chunk)
			return false;
		fl__debug_relock();
		table_add_chunk(chunk);
	}
	return true;
}

bool fl__debug_enter(size_t slots)
{
	struct fl__ctx *ctx = fl__ctx_get();
	if (ctx->debugging)
		return false;
	ctx->debugging = true;
	if (!table_lock_with_slots(slots)) {
		if (fl__debug_switch(0) != 0)
			fl__log(FL_LOG_WARNING, "debugging is switched off: out of memory");
		ctx->debugging = false;
		return false;
	}
	if (fl__hooks_on(FL__HOOKS_DEBUG))
		return true;
	fl__debug_leave();
	return false;
}

void fl__debug_done(void)
{
	fl__ctx_get()->debugging = false;
}

void fl__debug_leave(void)
{
	fl__debug_unlock();
	fl__debug_done();
}

struct fl__holder *fl__holder_find(uint64_t id)
{
	struct fl__holder *h = table_holders[fl__debug_bucket((uintptr_t)id)];
	while (h && h->id != id)
		h = h->next;
	return h;
}

struct fl__holder *fl__holder_mine(void)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	struct fl__holder *h = fl__holder_find(ctx->id);
	if (h)
		return h;
	h = fl__table_take_slot();
	h->id = ctx->id;
	(void)strncpy(h->name, ctx->name, sizeof h->name - 1);
	FL__LIST_ADD(&table_holders[fl__debug_bucket((uintptr_t)ctx->id)], h);
	return h;
}

void fl__holder_settle(struct fl__holder *h)
{
	if (h->held || h->lock || h->joins || h->asleep)
		return;
	FL__LIST_REMOVE(h);
	fl__table_give_slot(h);
}

struct fl__holder *fl__holder_nth(size_t i, size_t n)
{
	struct fl__holder *h = table_holders[i];
	while (h && n-- > 0)
		h = h->next;
	return h;
}

static struct fl__held **table_held_bucket(const void *lock)
{
	return &table_helds[fl__debug_bucket((uintptr_t)lock)];
}

bool fl__held_is_known(const void *lock)
{
	/*
	 * relaxed: the unlocking thread made the record itself, or sees it by the order that the
	 * lock makes
	 */
	return fl__load_relaxed(table_held_bucket(lock)) != NULL;
}

struct fl__held *fl__held_next(const void *lock, const struct fl__held *last)
{
	struct fl__held *held = last ? last->next : *table_held_bucket(lock);
	fl__table_steps++;
	while (held && held->lock != lock) {
		held = held->next;
		fl__table_steps++;
	}
	return held;
}

struct fl__held *fl__held_add(struct fl__holder *h, const struct fl__hook_op *op)
{
	struct fl__held **bucket = table_held_bucket(op->lock);
	struct fl__held *held = fl__table_take_slot();
	held->lock = op->lock;
	held->kind = op->kind;
	held->how = op->how;
	held->stack = op->stack;
	held->holder = h;
	FL__LIST_ADD_BY(next_of_mine, link_of_mine, &h->held, held);
	h->n_held++;
	held->next = *bucket;
	held->link = bucket;
	if (held->next)
		held->next->link = &held->next;
	/* relaxed: the table's lock guards it; only fl__held_is_known() reads it without */
	fl__store_relaxed(bucket, held);
	return held;
}

void fl__held_remove(struct fl__held *held)
{
	fl__store_relaxed(held->link, held->next); /* relaxed: as in fl__held_add() */
	if (held->next)
		held->next->link = held->link;
	FL__LIST_REMOVE_BY(next_of_mine, link_of_mine, held);
	held->holder->n_held--;
	fl__table_give_slot(held);
}

static void table_clear(void)
{
	fl__waits_forget();
	table_chunks = NULL;
	table_free_slots = NULL;
	table_n_free = 0;
	memset(table_holders, 0, sizeof table_holders);
	for (size_t i = 0; i < FL__DEBUG_BUCKETS; i++)
		fl__store_relaxed(&table_helds[i], NULL);
	fl__order_forget();
	fl__contention_forget();
}

void *fl__table_forget(void)
{
	struct table_chunk *all = table_chunks;
	table_clear();
	return all;
}

void fl__table_make_anew(void)
{
	if (!fl__table_was_used)
		return; /* the table is many pages, and the fork of a program without debugging touches none */
	memset(table_holders, 0, sizeof table_holders);
	table_clear();
	fl__handles_forget();
}

void fl__table_unmap(void *chunks)
{
	FL__EACH_SAFE (struct table_chunk, chunk, chunks)
		fl__sys.unmap(chunk, sizeof *chunk);
}
