/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_THREAD_POOL_BACKLOG_H
#define FL_THREAD_POOL_BACKLOG_H

#include "../base/atomic.h"
#include "../exec/executor.h"
#include "../queue/mpmc.h"

/*
 * The thread executor's backlog holds the tasks that wait. It consists of several queues: injector
 * queues, and one local queue for each worker. backlog.c has the table of their words.
 *
 * "Under the lock" means the executor's lock. The caller of any other function may hold it or not.
 */
struct fl__task_queue {
	unsigned number; /* its place in `queues` */
	uint64_t bit, *listed;
	/* the next two are for an injector; a local queue has 0 and an empty list */
	uint32_t slow; /* FL__QUEUE_OVERFLOWS, FL__QUEUE_STARTUP */
	struct fl__task_list overflow;
	struct fl_mpmc ring; /* of pointers to task blocks */
	/* the rest is for a local queue; only its worker uses it */
	unsigned takes, spills;
	struct fl__task_queue *visited;
};

enum { FL__QUEUE_OVERFLOWS = 1, FL__QUEUE_STARTUP = 2 };

/*
 * FL__BACKLOG_QUEUES has two local queues for each worker, since a thread that leaves may still
 * have a queue when another one starts. A word of `listed` has FL__BACKLOG_BITS bits, one a queue.
 */
enum {
	FL__BACKLOG_INJECTORS = 8,
	FL__BACKLOG_QUEUES = FL__BACKLOG_INJECTORS + 2 * FL_WORKERS_MAX,
	FL__BACKLOG_BITS = 64
};

struct fl__backlog {
	unsigned mask;                                     /* the number of injectors, a power of two, less one */
	uint32_t workers;                                  /* how many may be active */
	uint32_t made;                                     /* queues; none is removed */
	struct fl__task_queue *queues[FL__BACKLOG_QUEUES]; /* the injectors, then the local queues */
	/* keeps the words above, which each submit or take reads, off the next ones */
	unsigned char apart[FL__MPMC_APART];
	/* a thread that looks for tasks visits only queues whose bit is set here */
	FL__WORD64 uint64_t listed[FL__BACKLOG_QUEUES / FL__BACKLOG_BITS + 1];
	uint32_t n_claimed; /* tasks in the queues that another context has claimed; approximate */
};

/* How many tasks a worker takes at once. The model checker uses a smaller number. */
#ifndef FL__BACKLOG_BATCH
#define FL__BACKLOG_BATCH 16
#endif

/* Where a slot of a ring has the pointer to the task, as fl__mpmc_init() lays it out. */
enum { FL__BACKLOG_OFFSET = sizeof(uint64_t) };

/* Returns 0 or -ENOMEM. */
int fl__backlog_init(struct fl__backlog *b, unsigned workers);

/* Frees the injectors. The local queues belong to their workers. */
void fl__backlog_fini(struct fl__backlog *b);

/*
 * Called under the lock. Makes the local queue of a new worker. It must stay in memory as long as
 * the backlog is used. pool_destroy() frees its ring. Returns 0 or -ENOMEM.
 */
int fl__local_init(struct fl__task_queue *local, struct fl__backlog *b);

/*
 * Lists the queue. A worker lists its local queue after a put into it that has cleared the mark,
 * before the worker wakes another worker.
 */
void fl__task_queue_list(const struct fl__task_queue *queue);

/* Returns the injector of the producer with this number: a context's id, or a worker's number. */
static inline struct fl__task_queue *fl__backlog_injector(const struct fl__backlog *b, uint64_t producer)
{
	return b->queues[producer & b->mask];
}

/* Publishes a task in the slot of position `at`, which the caller has claimed. */
static inline void fl__task_queue_fill(unsigned char *slot, uint64_t at, struct fl__task_block *block)
{
	/* relaxed: the release store to the stamp publishes it */
	fl__store_relaxed((struct fl__task_block **)(void *)(slot + FL__BACKLOG_OFFSET), block);
	/* release: pairs with the acquires in fl__mpmc_claim_slots() and fl__mpmc_run() */
	fl__store_release(fl__mpmc_stamp(slot), at + FL__MPMC_ITEM);
}

/* Claims one slot, by fl__mpmc_claim_slots(). Tries again while other claims are faster. */
static inline __attribute__((always_inline)) bool fl__task_queue_claim(struct fl__task_queue *queue, uint64_t *word,
                                                                       uint64_t ahead, struct fl__mpmc_claim *claim)
{
	int rc;
	do
		rc = fl__mpmc_claim_slots(&queue->ring, word, ahead, sizeof(struct fl__task_block *), 1, false, claim);
	while (fl__unlikely(rc == -EAGAIN));
	return rc == 0;
}

/*
 * Puts a task into the ring of an injector whose `slow` the caller has read as 0, or into the
 * calling worker's local queue. Returns false if the ring is full or closed. Otherwise `*marked`
 * says whether this put has cleared a mark of fl__backlog_mark() or fl__backlog_watch(); then the
 * caller must wake a worker.
 *
 * It does what fl__mpmc_put() does, but it does not pause if the ring is full, and it stores the
 * pointer by an atomic store, since fl__task_queue_fetch_ahead() reads it.
 */
static inline bool fl__task_queue_put(struct fl__task_queue *queue, struct fl__task_block *block, bool *marked)
{
	struct fl__mpmc_claim claim;
	if (fl__unlikely(!fl__task_queue_claim(queue, &queue->ring.tail, 0, &claim)))
		return false;
	*marked = claim.owes_wake;
	fl__task_queue_fill(claim.slot, claim.at, block);
	return true;
}

/*
 * Returns whether the queue has no task, and no put into it is in progress. Sees the caller's own
 * puts.
 */
bool fl__task_queue_is_empty(const struct fl__task_queue *queue);

/*
 * Returns whether the calling worker puts its next task into its local queue. If not, it uses
 * `injector`.
 */
static inline bool fl__local_is_open(struct fl__task_queue *local, struct fl__task_queue *injector)
{
	return fl__likely(local->spills == 0) || (--local->spills == 0 && fl__task_queue_is_empty(injector));
}

/*
 * Called by a worker that puts a task into its injector, since its local queue was full or not
 * open, or because local queues are not in use (while the pool starts, or with one worker).
 */
static inline void fl__local_spill(struct fl__task_queue *local)
{
	if (local->spills == 0)
		local->spills = FL__BACKLOG_BATCH;
}

/*
 * Called after a take. Prefetches the task after the next one, since another worker may have begun
 * with the next one. The address is used for the prefetch alone: the block may be freed by now.
 */
static inline void fl__task_queue_fetch_ahead(const struct fl__task_queue *queue)
{
	/* relaxed, all three: a stale value makes the prefetch useless. The head has no flags. */
	const uint64_t at = fl__mpmc_next(&queue->ring, fl__load_relaxed(&queue->ring.head));
	unsigned char *slot = fl__mpmc_slot_of(&queue->ring, at, sizeof(void *));
	if (fl__load_relaxed(fl__mpmc_stamp(slot)) == at + FL__MPMC_ITEM)
		fl__task_block_fetch(fl__load_relaxed((struct fl__task_block **)(void *)(slot + FL__BACKLOG_OFFSET)));
}

/*
 * Called under the lock. Adds a task to the injector's ring or, if the ring is full or the overflow
 * list is not empty, to that list. Returns 0, or -EPIPE if the ring is closed.
 */
int fl__backlog_add_locked(struct fl__task_queue *injector, struct fl__task_block *block);

/* Called under the lock. While `is_slow`, all producers take the lock, also the pool's workers. */
void fl__backlog_set_startup(struct fl__backlog *b, bool is_slow);

/*
 * Takes the oldest task of the ring. Returns NULL if the ring has none, or if the put of the oldest
 * one has not ended. The overflow list may have tasks all the same.
 */
static inline struct fl__task_block *fl__task_queue_take(struct fl__task_queue *queue)
{
	struct fl__task_block *block;
	struct fl__mpmc_claim claim;
	if (!fl__task_queue_claim(queue, &queue->ring.head, FL__MPMC_ITEM, &claim))
		return NULL;
	fl__mpmc_drain(&queue->ring, claim.slot, claim.at, &block, sizeof block);
	fl__task_queue_fetch_ahead(queue);
	return block;
}

/*
 * What a worker must do after a take, in fl__pool_pay(), once it has published what it does next.
 * With OWES_WAKE it has moved tasks into its local queue, which another thread may have seen empty
 * before it went to sleep. With OWES_REFILL an injector's ring is empty, and its overflow list is
 * not.
 */
enum { FL__OWES_WAKE = 1, FL__OWES_REFILL = 2 };

/*
 * The second half of fl__backlog_take(): takes a task from an injector or, if `steals`, from the
 * local queue of another worker. Each sixteenth time it first tries the next listed queue, of
 * whatever kind, and then `own`. May move further tasks into `own`.
 */
struct fl__task_block *fl__backlog_take_other(struct fl__backlog *b, struct fl__task_queue *own, bool steals,
                                              unsigned *owes);

/*
 * Takes the next task for the worker with the local queue `own`. Returns NULL if it has found none.
 * Adds to `*owes` what the worker owes.
 */
static inline struct fl__task_block *fl__backlog_take(struct fl__backlog *b, struct fl__task_queue *own, bool steals,
                                                      unsigned *owes)
{
	struct fl__task_block *block = NULL;
	if (fl__likely(++own->takes % FL__BACKLOG_BATCH != 0))
		block = fl__task_queue_take(own);
	return block ? block : fl__backlog_take_other(b, own, steals, owes);
}

/* Called under the lock. Moves tasks of the injectors' overflow lists into their rings. */
void fl__backlog_refill(struct fl__backlog *b);

/*
 * Called under the lock. Takes a task from any queue. Returns NULL if there is none, or if a put
 * into a ring has not ended: then the caller tries again. The call clears the bits of marked local
 * queues in `listed`. So it requires that the caller is counted as searching, or takes all tasks.
 */
struct fl__task_block *fl__backlog_take_locked(struct fl__backlog *b);

/*
 * Called under the lock. Takes the claimed tasks out of the overflow lists, if they may be many,
 * and returns them linked by `next`.
 */
struct fl__task_block *fl__backlog_take_claimed(struct fl__backlog *b);

/*
 * Returns whether any queue has a task. The answer is a hint: it misses tasks behind a put that has
 * not ended.
 */
bool fl__backlog_any(const struct fl__backlog *b);

/*
 * Marks the empty queues. Returns false, with some queues marked, if one has a task. The next put
 * into a marked queue clears the mark. That put comes after this call in the single order of
 * seq_cst, but not always in happens-before. A queue that is closed and empty needs no mark.
 */
bool fl__backlog_mark(struct fl__backlog *b);

/*
 * Called under the lock. Marks all listed queues, also those with tasks. The next put clears the
 * mark.
 */
void fl__backlog_watch(struct fl__backlog *b);

/*
 * Returns about how many tasks wait, including claimed tasks. It reads without the lock, which
 * ThreadSanitizer must not see.
 */
__attribute__((no_sanitize("thread"))) size_t fl__backlog_length(const struct fl__backlog *b);

/* Called under the lock. Refuses all later tasks. */
void fl__backlog_close(struct fl__backlog *b);

/*
 * Called under the lock. Returns whether the backlog is closed and empty. A worker that moves tasks
 * from queue to queue may still have some in its hands.
 */
bool fl__backlog_is_over(const struct fl__backlog *b);

#endif
