/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_THREAD_POOL_BACKLOG_H
#define FL_THREAD_POOL_BACKLOG_H

#include "../base/atomic.h"
#include "../exec/executor.h"
#include "../wait/lock.h"

/*
 * The pending tasks of a thread executor are in two kinds of queues. An *injector* is a ring under
 * a lock, for tasks of other threads and fibers. A *local queue* belongs to a worker. It contains
 * tasks that this worker has submitted, or has taken from an injector but not begun.
 *
 *   queue      tasks come from                     tasks go to
 *   injector   any context, which always uses      a worker, up to BATCH at a time, in their order
 *              the same injector
 *   local      its worker                          its worker, the oldest first or, in the join
 *                                                  of a group, the newest first; another worker
 *                                                  without a task (a *thief*), which takes up to
 *                                                  half of the tasks, the oldest first
 *
 * When an injector is full, the submit that notices it doubles the ring. It allocates without the
 * lock. If a task in an injector is claimed, it is removed at once. If a task in a local queue is
 * claimed, its block stays there until a worker takes it, finds the task claimed, and frees the
 * block (LEFT, future.c).
 *
 * The number of injectors is fixed: one for four workers, rounded up to a power of two, but at most
 * eight, so that only few submitters compete for a lock.
 */
struct fl__injector {
	uint32_t lock;   /* guards the rest */
	uint32_t length; /* how many tasks it has; also read without the lock, as a hint */
	/*
	 * A task that is added to an empty injector becomes `front`, which is in this cache line.
	 * Any other task, whose `place` is i, is in slots[i & mask], with head <= i < tail. Where a
	 * task was removed, the slot is NULL. Each task's `injector` is the number of this
	 * injector.
	 */
	struct fl__task_block *front;
	struct fl__task_block **slots;
	size_t mask; /* the number of slots, which is a power of two, minus one */
	size_t head, tail;
	unsigned char apart[FL__LINE];
};

enum { FL__INJECTORS = 8 };

/*
 * How many tasks a worker takes at once, and how many tasks fit its local queue. The model in the
 * laboratory uses smaller numbers.
 */
#ifndef FL__BACKLOG_BATCH
#define FL__BACKLOG_BATCH 16
#define FL__LOCAL_SLOTS 1024
#define FL__INJECTOR_SLOTS 64 /* of a new ring */
#endif
_Static_assert(FL__LOCAL_SLOTS >= 2 * FL__BACKLOG_BATCH, "a worker whose local queue is empty has space for a batch");
_Static_assert((FL__LOCAL_SLOTS & (FL__LOCAL_SLOTS - 1)) == 0, "the numbers wrap around at a multiple of SLOTS");

/*
 * A local queue. One word says which slots have tasks:
 *
 *   bits of `word`       meaning                   putting n        taking the n    taking the
 *                                                  tasks            oldest tasks    newest task
 *   LENGTH, the lowest   the number of tasks       + n              - n             - 1
 *   16 bits
 *   FIRST, the rest      the number of the oldest                   + n             + SLOTS
 *                        task
 *
 * The task with number n is in slot n % SLOTS. Therefore taking the newest task also changes FIRST,
 * but not the slot that FIRST stands for. A put is an addition, and a take is a CAS.
 *
 * Invariants
 *   1. Only the owner writes slots, and only slots without a task. As long as FIRST is unchanged,
 *      nothing was taken. Therefore, if a thief reads slots and its CAS then succeeds, it has read
 *      tasks that were still in the queue. FIRST gets an old value again only after 2^38 takes.
 *      (With 16 bits, a thief that is preempted for a few milliseconds between its load and its CAS
 *      might take tasks that others have taken.)
 *   2. The linearization point of each operation is its change of `word`.
 *   3. A put is seq_cst, and so is the load of `word` by a worker that looks for a task before it
 *      sleeps: thread_pool.h, "No task is overlooked".
 */
enum { FL__LOCAL_FIRST = 16 /* the lowest bit of FIRST */ };
struct fl__local {
	FL__WORD64 uint64_t word;
	struct fl__task_block *slots[FL__LOCAL_SLOTS];
};

struct fl__backlog {
	unsigned mask; /* the number of injectors, which is a power of two, minus one */
	struct fl__injector *injectors;
};

/* Returns 0 or -ENOMEM. */
int fl__backlog_init(struct fl__backlog *b, unsigned workers);
void fl__backlog_fini(struct fl__backlog *b);

/* Returns the injector of a producer. `producer` is a context's id, or a worker's number. */
static inline struct fl__injector *fl__backlog_injector(const struct fl__backlog *b, uint64_t producer)
{
	return &b->injectors[producer & b->mask];
}

/*
 * Called with the injector's lock held, when head and tail are as far apart as the slots allow.
 * Moves the tasks together. Returns false if few slots are free then.
 */
bool fl__injector_close_up(struct fl__injector *q);

/*
 * Called without the lock, after fl__injector_add() has failed when there were `slots` slots.
 * Returns 0 if the caller may try again, or -ENOMEM.
 */
int fl__injector_grow(struct fl__injector *q, size_t slots);

/* Called with the injector's lock held. Returns false if the injector must grow first. */
static inline bool fl__injector_add(const struct fl__backlog *b, struct fl__injector *q, struct fl__task_block *block)
{
	if (fl__unlikely(q->tail - q->head > q->mask) && !fl__injector_close_up(q))
		return false;
	block->injector = (uint8_t)(q - b->injectors);
	block->place = q->tail;
	if (q->length == 0)
		q->front = block;
	else
		q->slots[q->tail++ & q->mask] = block;
	fl__store_relaxed(&q->length, q->length + 1); /* relaxed: others take it as a hint */
	return true;
}

/* Called with the lock held of the injector that contains the task. */
void fl__injector_remove(struct fl__injector *q, const struct fl__task_block *block);

/*
 * Takes the oldest task, or returns NULL. Moves up to `most` - 1 further tasks into `own`, the
 * calling worker's local queue, which is empty unless `most` is 1. Sets `*moved` to true if it has
 * moved any.
 */
struct fl__task_block *fl__injector_take(struct fl__injector *q, struct fl__local *own, size_t most, bool *moved);

/* Removes a task that the caller has claimed. Returns false if it is not in an injector. */
bool fl__backlog_remove(struct fl__backlog *b, struct fl__task_block *block);

static inline size_t fl__local_length(uint64_t word)
{
	return word & ((1u << FL__LOCAL_FIRST) - 1);
}

/* Returns the slot of the task that has `n` older tasks before it. */
static inline struct fl__task_block **fl__local_slot(struct fl__local *q, uint64_t word, size_t n)
{
	return &q->slots[((word >> FL__LOCAL_FIRST) + n) % FL__LOCAL_SLOTS];
}

/* Called by the owner. Returns false if the queue is full. */
static inline bool fl__local_put(struct fl__local *q, struct fl__task_block *block)
{
	const uint64_t word = fl__load_acquire(&q->word); /* acquire: a thief has read the slot */
	const size_t length = fl__local_length(word);
	if (fl__unlikely(length == FL__LOCAL_SLOTS))
		return false;
	fl__store_relaxed(fl__local_slot(q, word, length), block); /* relaxed: the addition publishes it */
	/* seq_cst: invariant 3. As a release it pairs with the acquires of all takes. */
	fl__add_seq_cst(&q->word, 1);
	return true;
}

/* Called by the owner. Takes the newest task, or returns NULL. */
struct fl__task_block *fl__local_take_newest(struct fl__local *q);

/*
 * Called by any worker. Takes up to `most` tasks, the oldest first. If `half`, takes at most half
 * of the tasks, rounded up. Returns how many it has taken. The rest of `blocks` is undefined.
 */
size_t fl__local_take(struct fl__local *q, struct fl__task_block **blocks, size_t most, bool half);

/* Called by the owner, whose queue must have space for `n` more tasks. Puts these tasks. */
void fl__local_put_many(struct fl__local *q, struct fl__task_block *const *blocks, size_t n);

static inline bool fl__local_is_empty(const struct fl__local *q)
{
	return fl__local_length(fl__load_seq_cst(&q->word)) == 0; /* seq_cst: invariant 3 */
}

/* Returns whether an injector has a task. A task that is added at the same time may be missed. */
static inline bool fl__backlog_seems_empty(const struct fl__backlog *b)
{
	for (unsigned i = 0; i <= b->mask; i++)
		if (fl__load_relaxed(&b->injectors[i].length) > 0) /* relaxed: a hint */
			return false;
	return true;
}

/*
 * Returns whether no injector has a task. It locks each injector. Therefore, if another context
 * adds a task, either the caller or this context sees what the other did before.
 */
bool fl__backlog_is_empty(struct fl__backlog *b);

/* Takes the oldest task of the first injector that is not empty, or returns NULL. */
struct fl__task_block *fl__backlog_take_any(struct fl__backlog *b);

#endif
