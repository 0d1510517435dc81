/* SPDX-License-Identifier: BSD-2-Clause */
/* The pending tasks of the thread executor. backlog.h describes the queues and their invariants. */
#include "backlog.h"
#include "../base/sys.h"

int fl__backlog_init(struct fl__backlog *b, unsigned workers)
{
	enum { WORKERS_EACH = 4 };
	unsigned n = 1;
	while (n < FL__INJECTORS && n * WORKERS_EACH < workers)
		n *= 2;
	b->mask = n - 1;
	b->injectors = fl__alloc(n, sizeof *b->injectors);
	return b->injectors ? 0 : -ENOMEM;
}

void fl__backlog_fini(struct fl__backlog *b)
{
	fl__free(b->injectors);
}

/*
 * Reads the links of the first `n` tasks. So the submitters do not wait while the caller, with the
 * lock held, misses these cache lines. The list may change meanwhile, but a block stays a block.
 */
__attribute__((no_sanitize("thread"))) static void injector_fetch(const struct fl__injector *q, size_t n)
{
	const struct fl__task_block *block = fl__load_relaxed(&q->tasks.head); /* relaxed, both: hints */
	for (; n > 0 && block; n--) {
		fl__task_block_fetch(block);
		block = fl__load_relaxed(&block->next);
	}
}

struct fl__task_block *fl__injector_take(struct fl__injector *q, struct fl__local *own, size_t most, bool *moved)
{
	struct fl__task_block *blocks[FL__BACKLOG_BATCH];
	size_t n = 0;
	if (fl__load_relaxed(&q->length) == 0) /* relaxed: a hint; a worker looks under the lock before it sleeps */
		return NULL;
	injector_fetch(q, most);
	FL__LOCKED(&q->lock);
	while (n < most && q->tasks.head) {
		blocks[n] = q->tasks.head;
		fl__injector_remove(q, blocks[n++]);
	}
	if (n == 0)
		return NULL;
	if (n > 1) {
		/* under the lock: a task that moves is always in one of the two queues */
		fl__local_put_many(own, blocks + 1, n - 1);
		*moved = true;
	}
	return blocks[0];
}

bool fl__backlog_remove(struct fl__backlog *b, struct fl__task_block *block)
{
	struct fl__injector *q = &b->injectors[block->injector];
	FL__LOCKED(&q->lock);
	if (!block->queued)
		return false;
	fl__injector_remove(q, block);
	return true;
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
		/* acq_rel: a task's contents; the reads of the slots, which pairs with the acquire of a put */
		if (fl__cas_acq_rel(&q->word, &word, word + ((uint64_t)n << FL__LOCAL_FIRST) - n))
			return n;
	}
}

struct fl__task_block *fl__local_take_newest(struct fl__local *q)
{
	uint64_t word = fl__load_relaxed(&q->word); /* relaxed: the caller has put the task */
	while (fl__local_length(word) > 0) {
		struct fl__task_block *block = *fl__local_slot(q, word, fl__local_length(word) - 1);
		/* acquire: the thieves' reads of the slot, before it is written again */
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
		if (b->injectors[i].tasks.head)
			return false;
	}
	return true;
}

struct fl__task_block *fl__backlog_take_any(struct fl__backlog *b)
{
	for (unsigned i = 0; i <= b->mask; i++) {
		struct fl__injector *q = &b->injectors[i];
		FL__LOCKED(&q->lock);
		struct fl__task_block *block = q->tasks.head;
		if (block) {
			fl__injector_remove(q, block);
			return block;
		}
	}
	return NULL;
}
