/* SPDX-License-Identifier: BSD-2-Clause */
/* The pending tasks of the thread executor. backlog.h describes the queues and their invariants. */
#include "backlog.h"
#include "../base/sys.h"

FL__COLD int fl__backlog_init(struct fl__backlog *b, unsigned workers)
{
	enum { WORKERS_EACH = 4 };
	unsigned n = 1;
	while (n < FL__INJECTORS && n * WORKERS_EACH < workers)
		n *= 2;
	b->mask = n - 1;
	b->injectors = fl__alloc(n, sizeof *b->injectors);
	if (!b->injectors)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		struct fl__injector *q = &b->injectors[i];
		q->mask = FL__INJECTOR_SLOTS - 1;
		q->slots = fl__alloc(FL__INJECTOR_SLOTS, sizeof *q->slots);
		if (!q->slots) {
			fl__backlog_fini(b);
			return -ENOMEM;
		}
	}
	return 0;
}

FL__COLD void fl__backlog_fini(struct fl__backlog *b)
{
	for (unsigned i = 0; i <= b->mask; i++)
		fl__free(b->injectors[i].slots);
	fl__free(b->injectors);
}

/*
 * A program that submits and cancels without end needs no more slots, because the tasks close up.
 * The ring also grows if few slots are free then: the next adds would close up again and again.
 */
FL__COLD bool fl__injector_close_up(struct fl__injector *q)
{
	size_t to = q->head;
	for (size_t from = q->head; from != q->tail; from++) {
		struct fl__task_block *block = q->slots[from & q->mask];
		if (block && from != to) {
			block->place = to;
			q->slots[to & q->mask] = block;
		}
		to += block != NULL;
	}
	q->tail = to;
	return q->length <= (q->mask + 1) / 2;
}

/* The user's allocator may wait, so it is called without the lock. */
FL__COLD int fl__injector_grow(struct fl__injector *q, size_t slots)
{
	struct fl__task_block **more = fl__alloc(2 * slots, sizeof *more), **unused = more;
	fl__lock(&q->lock);
	if (more && q->mask + 1 == slots) { /* no other context was faster */
		for (size_t i = q->head; i != q->tail; i++)
			more[i & (2 * slots - 1)] = q->slots[i & q->mask];
		unused = q->slots;
		q->slots = more;
		q->mask = 2 * slots - 1;
	}
	const bool has_room = q->tail - q->head <= q->mask;
	fl__unlock(&q->lock);
	fl__free(unused);
	return has_room || more ? 0 : -ENOMEM;
}

/* Called with the lock held. Takes the oldest task, or returns NULL. */
static struct fl__task_block *injector_take_oldest(struct fl__injector *q)
{
	struct fl__task_block *block = q->front;
	q->front = NULL;
	while (!block && q->head != q->tail)
		block = q->slots[q->head++ & q->mask];
	if (block)
		fl__store_relaxed(&q->length, q->length - 1); /* relaxed: others take it as a hint */
	return block;
}

void fl__injector_remove(struct fl__injector *q, const struct fl__task_block *block)
{
	if (q->front == block)
		q->front = NULL;
	else
		q->slots[block->place & q->mask] = NULL;
	fl__store_relaxed(&q->length, q->length - 1); /* relaxed: others take it as a hint */
	while (q->tail != q->head && !q->slots[(q->tail - 1) & q->mask])
		q->tail--; /* a join that removes the newest task repeatedly finds the next one at once */
}

/*
 * Holds the lock only while it reads the slots. The blocks, which other contexts have written, are
 * fetched into the cache afterwards, all at once.
 */
struct fl__task_block *fl__injector_take(struct fl__injector *q, struct fl__local *own, size_t most, bool *moved)
{
	struct fl__task_block *blocks[FL__BACKLOG_BATCH];
	size_t n = 0;
	if (fl__load_relaxed(&q->length) == 0) /* relaxed: a hint; a worker looks under the lock before it sleeps */
		return NULL;
	fl__lock(&q->lock);
	while (n < most && (blocks[n] = injector_take_oldest(q)) != NULL)
		n++;
	if (n > 1)
		/* under the lock: a task that moves is always in one of the two queues */
		fl__local_put_many(own, blocks + 1, n - 1);
	fl__unlock(&q->lock);
	for (size_t i = 0; i < n; i++)
		fl__task_block_fetch(blocks[i]);
	if (n > 1)
		*moved = true;
	return n > 0 ? blocks[0] : NULL;
}

bool fl__backlog_remove(struct fl__backlog *b, struct fl__task_block *block)
{
	struct fl__injector *q = &b->injectors[block->injector];
	FL__LOCKED(&q->lock);
	const size_t place = block->place; /* any number if the block is in no injector */
	const bool is_in =
	    q->front == block || (place - q->head < q->tail - q->head && q->slots[place & q->mask] == block);
	if (is_in)
		fl__injector_remove(q, block);
	return is_in;
}

size_t fl__local_take(struct fl__local *q, struct fl__task_block **blocks, size_t most, bool half)
{
	for (;;) {
		uint64_t word = fl__load_acquire(&q->word); /* acquire: pairs with the puts, for the slots */
		const size_t length = fl__local_length(word), n = FL__MIN(most, half ? (length + 1) / 2 : length);
		if (n == 0)
			return 0;
		for (size_t i = 0; i < n; i++)
			blocks[i] = fl__load_relaxed(fl__local_slot(q, word, i)); /* relaxed: invariant 1 */
		/* acquire: the tasks; release: the reads of the slots, for a put's acquire */
		if (fl__cas_acq_rel(&q->word, &word, word + ((uint64_t)n << FL__LOCAL_FIRST) - n))
			return n;
	}
}

struct fl__task_block *fl__local_take_newest(struct fl__local *q)
{
	uint64_t word = fl__load_relaxed(&q->word); /* relaxed: the caller has put the task */
	while (fl__local_length(word) > 0) {
		struct fl__task_block *block = *fl__local_slot(q, word, fl__local_length(word) - 1);
		/* acquire: thieves' reads of the slot happen before it is written again */
		if (fl__cas_weak_acquire(&q->word, &word, word + ((uint64_t)FL__LOCAL_SLOTS << FL__LOCAL_FIRST) - 1))
			return block;
	}
	return NULL;
}

void fl__local_put_many(struct fl__local *q, struct fl__task_block *const *blocks, size_t n)
{
	const uint64_t word = fl__load_acquire(&q->word); /* acquire: the thieves' reads of the slots */
	for (size_t i = 0; i < n; i++)
		/* relaxed: the addition publishes it */
		fl__store_relaxed(fl__local_slot(q, word, fl__local_length(word) + i), blocks[i]);
	/* seq_cst: invariant 3. As a release it pairs with the acquires of all takes. */
	fl__add_seq_cst(&q->word, n);
}

bool fl__backlog_is_empty(struct fl__backlog *b)
{
	for (unsigned i = 0; i <= b->mask; i++) {
		FL__LOCKED(&b->injectors[i].lock);
		if (b->injectors[i].length > 0)
			return false;
	}
	return true;
}

FL__COLD struct fl__task_block *fl__backlog_take_any(struct fl__backlog *b)
{
	struct fl__task_block *block = NULL;
	for (unsigned i = 0; i <= b->mask && !block; i++) {
		FL__LOCKED(&b->injectors[i].lock);
		block = injector_take_oldest(&b->injectors[i]);
	}
	return block;
}
