/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backlog of the thread executor. Each queue has a bounded lock-free ring
 * (lib/core/queue/mpmc.c).
 *
 *   queue       its tasks                           put there by           taken by
 *   injector    tasks of other threads and fibers;  any thread; each uses  workers, up to 16
 *               tasks of workers whose local queue  one injector           at once
 *               is full
 *   local       tasks that its worker has           its worker             its worker; another
 *               submitted, or taken from another                           worker without a task
 *               queue and not begun                                        steals up to half, at
 *                                                                          least one
 *
 * The number of injectors is fixed when the executor is created: one for each four workers, rounded
 * up to a power of two, at most eight.
 *
 * A worker looks at its local queue first, then at the injectors, and in a search also at the local
 * queues of the other workers. Each sixteenth time it first tries to take one task of the next
 * listed queue, so that it visits all of them one after the other. If an injector's ring is empty
 * and its overflow list is not, the worker moves tasks from the list into the ring
 * (fl__pool_pay()). So each task is reached, whatever the other queues have. While at most one
 * worker may be active, tasks go into an injector and are taken one at a time. So they begin in the
 * order of submission, unless the executor was created with more than four workers and has several
 * injectors.
 *
 *   word       holds                                        written by
 *   ring       the oldest tasks of the queue                any thread, by CAS; from the overflow
 *                                                           list under the lock
 *   overflow   the newest tasks of an injector, if its      under the lock
 *              ring was full
 *   slow       OVERFLOWS: `overflow` is not empty           under the lock; producers and workers
 *              STARTUP: a submit must take the lock         read it
 *   listed     a bit for each queue: it may have a task,    set for the injectors, for ever; for a
 *              or no mark                                   local queue by its worker, after a put
 *                                                           that has cleared the mark; cleared
 *                                                           by fl__backlog_take_locked(), which
 *                                                           may set it again (invariant 6)
 *   takes,     how often the worker has looked for a task;  the worker
 *   visited    the queue that it has visited last
 *   spills     0: the worker puts its tasks into its local  the worker: set by fl__local_spill(),
 *              queue. Above 0: into its injector            -1 by each later submit
 *   n_claimed  claimed tasks in all queues; approximate     +1 by a foreign context that claims a
 *                                                           task; -1 by the worker that takes the
 *                                                           task out; fl__backlog_take_claimed()
 *                                                           subtracts the tasks that it takes out
 *
 * Invariants
 *   1. Order of one producer. A producer that has added a task to `overflow` finds OVERFLOWS set
 *      until the list was emptied into the ring, from its head, under the lock. So its next task
 *      comes behind. A worker that has put a task into its injector goes on there until it finds
 *      the injector empty. It looks only each sixteenth time, since takes change the words that it
 *      reads, so that each look may wait for a cache line.
 *   2. While `overflow` is not empty the ring may be empty. So a worker checks both under the lock
 *      before it sleeps. Then the mark of the ring (invariant 4 of mpmc.c) stands for both: the
 *      list grows only under the lock, and a producer that adds to it wakes a worker.
 *   3. The rings are closed under the lock. Afterwards no producer adds a task, and the tasks left
 *      in `overflow` are taken from there. But a worker still moves tasks into its closed local
 *      queue. So a backlog that is closed and empty stays empty only while no worker takes
 *      (fl__pool_hold_takes()), or while all other workers sleep.
 *   4. A task that a worker moves is in its hands for a moment. Then it is in the worker's local
 *      queue, and the put has found the mark of any thread that saw this queue empty since. So the
 *      argument of search.c (rule 2 there) holds for the set of queues as it does for one queue.
 *   5. Only its worker puts tasks into a local queue. So a free slot stays free until that worker
 *      uses it.
 *   6. A local queue that is not listed is empty and marked. So threads that look for tasks visit
 *      only listed queues, and a worker that sleeps costs them nothing. There are two exceptions,
 *      each for a moment:
 *        - A put has cleared the mark, and is about to list the queue. Then it wakes a worker.
 *        - fl__backlog_take_locked() has removed a queue that it saw marked, and a put clears the
 *          mark. The put then reads `listed`, and fl__backlog_take_locked() reads the mark again.
 *          All four accesses are seq_cst, so one of the two lists the queue again. The put may have
 *          woken nobody, since a worker searches: the one that has called
 *          fl__backlog_take_locked(), or another. Each is still counted then, and marks the queues
 *          when it ends its search.
 *      So a thread may treat a queue that it finds not listed as one that it has marked. `made` is
 *      seq_cst, too, so that no mark misses a listed queue. Only fl__backlog_is_over() reads all
 *      queues, since a task that it overlooks would be lost.
 *
 * Nothing can be removed from the middle of a ring. So the block of a task that was cancelled, or
 * that a waiter has run, stays there until it is taken. It is a small one: a large argument or
 * result is not in the block (task_blocks.h). The rings bound the number of such blocks. The
 * overflow lists are searched if at least half of all waiting tasks are claimed, and the claimed
 * tasks are at least twice as many as the slots of the injectors' rings. So a search removes about
 * a quarter of the tasks or more.
 *
 * Why there are several queues. At one ring, the claims of many submitters cost 350 ns each on
 * sixteen CPUs. A worker takes up to 16 tasks at once from a long injector, so that one claim
 * serves several tasks, and leaves at least half of its share to the others. A steal takes one
 * task, or the largest power of two up to half of the tasks. So no task waits behind a running one
 * while a worker is idle. By the model of sixteen CPUs (`./dev stress --traffic`), a task with
 * sixteen submitters then moves 19 cache lines in place of 67, with 5 locked instructions in place
 * of 18. docs/decisions/worker-queues.md has the alternatives.
 */
#include "backlog.h"
#include "../base/list.h"
#include "../base/sys.h"

/* The slots of an injector's ring: a burst of some thousand tasks takes no lock. */
#ifndef FL__BACKLOG_RING
#define FL__BACKLOG_RING 16384
#endif

/* A worker takes at most 1 / (SHARES x workers) of an injector's tasks at once, or one task. */
#ifndef FL__BACKLOG_SHARES
#define FL__BACKLOG_SHARES 2
#endif

enum { BACKLOG_RING = FL__BACKLOG_RING, BACKLOG_BATCH = FL__BACKLOG_BATCH };
_Static_assert((BACKLOG_RING & (BACKLOG_RING - 1)) == 0 && (BACKLOG_BATCH & (BACKLOG_BATCH - 1)) == 0,
               "backlog_ring_length() subtracts positions");

/* Makes a queue, which is not listed. Returns 0 or -ENOMEM. */
static int backlog_make_queue(struct fl__backlog *b, struct fl__task_queue *queue, size_t slots)
{
	const uint32_t number = b->made;
	const int rc = number < FL__BACKLOG_QUEUES
	                   ? fl__mpmc_init(&queue->ring, sizeof(struct fl__task_block *), slots, 0)
	                   : -ENOMEM;
	if (rc != 0)
		return rc;
	queue->number = number;
	queue->listed = &b->listed[number / FL__BACKLOG_BITS];
	queue->bit = (uint64_t)1 << number % FL__BACKLOG_BITS;
	b->queues[number] = queue;
	fl__store_seq_cst(&b->made, number + 1); /* seq_cst: invariant 6 */
	return 0;
}

/* Returns the first listed queue after `queue`, or NULL. `queue` itself may be listed or not. */
static struct fl__task_queue *backlog_after(const struct fl__backlog *b, const struct fl__task_queue *queue)
{
	/*
	 * seq_cst, both: invariant 6. As an acquire of `listed` it pairs with
	 * fl__task_queue_list(): the queue is complete.
	 */
	for (uint32_t i = queue->number + 1; i < fl__load_seq_cst(&b->made);
	     i += FL__BACKLOG_BITS - i % FL__BACKLOG_BITS) {
		const uint64_t listed = fl__load_seq_cst(&b->listed[i / FL__BACKLOG_BITS]) >> i % FL__BACKLOG_BITS;
		if (listed != 0)
			return b->queues[i + (uint32_t)__builtin_ctzll(listed)];
	}
	return NULL;
}

/* Visits all listed queues, first the injectors, then the local queues. */
/* NOLINTBEGIN(bugprone-macro-parentheses): a declared name takes no parentheses */
#define BACKLOG_EACH(queue, b)                                                                                         \
	for (struct fl__task_queue *queue = (b)->queues[0]; queue; queue = backlog_after(b, queue))
/* NOLINTEND(bugprone-macro-parentheses) */

int fl__backlog_init(struct fl__backlog *b, unsigned workers)
{
	enum { WORKERS_EACH = 4 };
	unsigned n = 1;
	while (n < FL__BACKLOG_INJECTORS && n * WORKERS_EACH < workers)
		n *= 2;
	b->mask = n - 1;
	b->workers = workers;
	for (; n > 0; n--) {
		struct fl__task_queue *injector = fl__alloc(1, sizeof *injector);
		if (!injector || backlog_make_queue(b, injector, BACKLOG_RING) != 0) {
			fl__free(injector);
			fl__backlog_fini(b);
			return -ENOMEM;
		}
		fl__task_queue_list(injector); /* for ever */
	}
	return 0;
}

void fl__backlog_fini(struct fl__backlog *b)
{
	for (unsigned i = 0; i <= b->mask && b->queues[i]; i++) {
		fl__mpmc_fini(&b->queues[i]->ring);
		fl__free(b->queues[i]);
	}
}

int fl__local_init(struct fl__task_queue *local, struct fl__backlog *b)
{
	local->visited = b->queues[0];
	const int rc = backlog_make_queue(b, local, BACKLOG_BATCH);
	if (rc != 0)
		return rc;
	(void)fl__mpmc_mark_empty(&local->ring); /* the first put lists it */
	if (fl_mpmc_is_closed(&b->queues[0]->ring))
		fl_mpmc_close(&local->ring);
	return 0;
}

void fl__task_queue_list(const struct fl__task_queue *queue)
{
	/* seq_cst, both: invariant 6 */
	if (!(fl__load_seq_cst(queue->listed) & queue->bit))
		fl__or_seq_cst(queue->listed, queue->bit);
}

/* Sets or clears a flag of `slow`. Called under the lock. */
static void backlog_set_slow(struct fl__task_queue *injector, uint32_t flag, bool is_set)
{
	const uint32_t slow = (injector->slow & ~flag) | (is_set ? flag : 0);
	/* seq_cst: the producer then checks whether to wake a worker (rule 2 of search.c) */
	fl__store_seq_cst(&injector->slow, slow);
}

void fl__backlog_set_startup(struct fl__backlog *b, bool is_slow)
{
	for (unsigned i = 0; i <= b->mask; i++)
		backlog_set_slow(b->queues[i], FL__QUEUE_STARTUP, is_slow);
}

int fl__backlog_add_locked(struct fl__task_queue *injector, struct fl__task_block *block)
{
	bool marked; /* unused: the caller wakes in any case */
	if (fl_mpmc_is_closed(&injector->ring))
		return -EPIPE;
	if (!injector->overflow.head && fl__task_queue_put(injector, block, &marked))
		return 0;
	fl__task_list_add(&injector->overflow, block);
	backlog_set_slow(injector, FL__QUEUE_OVERFLOWS, true);
	return 0;
}

/*
 * Returns about how many tasks the ring has. It reads the tail, and so takes the cache line from
 * the producers.
 */
static size_t backlog_ring_length(const struct fl__task_queue *queue)
{
	/* relaxed, both: a hint. The division removes the flags. */
	const uint64_t head = fl__load_relaxed(&queue->ring.head) / FL__MPMC_STEP;
	const uint64_t tail = fl__load_relaxed(&queue->ring.tail) / FL__MPMC_STEP;
	return tail > head ? tail - head : 0;
}

/* Returns how many free slots the local queue of the calling worker has. */
static size_t backlog_room(const struct fl__task_queue *own)
{
	/* relaxed: only this worker changes the position */
	const uint64_t at = fl__load_relaxed(&own->ring.tail) & ~(uint64_t)FL__MPMC_FLAGS;
	/* acquire: the last use of the slot; pairs with fl__mpmc_drain() */
	if (fl__load_acquire(fl__mpmc_stamp(fl__mpmc_slot(&own->ring, at))) != at)
		return 0;
	return fl__mpmc_run(&own->ring, at, 0, BACKLOG_BATCH);
}

/*
 * Puts tasks, for which there are free slots, into the calling worker's local queue, open or
 * closed. If the queue had a mark or is closed, the worker then owes a wake: a thread that sleeps,
 * or is about to sleep, may have seen the queue empty.
 */
static void backlog_move_in(struct fl__task_queue *own, struct fl__task_block *const *blocks, size_t n, unsigned *owes)
{
	struct fl_mpmc *q = &own->ring;
	uint64_t tail = fl__load_relaxed(&q->tail); /* relaxed: the CAS checks it; others change its flags alone */
	uint64_t at = tail & ~(uint64_t)FL__MPMC_FLAGS;
	const uint64_t next = fl__mpmc_skip(q, at, n);
	/*
	 * seq_cst: it is the claim of a put, as in fl__mpmc_claim_slots(), and clears the mark, too
	 */
	while (!fl__cas_weak_seq_cst(&q->tail, &tail, next | (tail & FL__MPMC_CLOSED)))
		;
	for (; n > 0; n--, at = fl__mpmc_next(q, at))
		fl__task_queue_fill(fl__mpmc_slot_of(q, at, sizeof *blocks), at, *blocks++);
	if (tail & FL__MPMC_FLAGS) { /* a closed queue gets no mark before a sleep */
		fl__task_queue_list(own);
		*owes |= FL__OWES_WAKE;
	}
}

/*
 * Returns whether the ring has more than `n` tasks. To find out, it reads the head and one stamp,
 * and not the tail, whose cache line each put needs. So the answer is a hint.
 */
static bool backlog_has_more(const struct fl__task_queue *queue, size_t n)
{
	if (n >= queue->ring.capacity)
		return false;
	/* relaxed, both: a hint. The head has no flags, since no producer waits for a free slot. */
	const uint64_t at = fl__mpmc_skip(&queue->ring, fl__load_relaxed(&queue->ring.head), n);
	return fl__mpmc_later(fl__load_relaxed(fl__mpmc_stamp(fl__mpmc_slot_of(&queue->ring, at, sizeof(void *)))), at);
}

/*
 * Returns the largest power of two, at most a batch, such that the ring seems to have at least
 * `each` times as many tasks. If there is none, returns 1.
 */
static size_t backlog_share(const struct fl__task_queue *queue, size_t each)
{
	size_t share = 1;
	while (share < BACKLOG_BATCH && backlog_has_more(queue, 2 * share * each - 1))
		share *= 2;
	return share;
}

/*
 * Takes up to `most` tasks of a queue: the first one, which it returns, and as many others as the
 * local queue `own` has free slots for. It moves the others into `own`.
 */
static struct fl__task_block *backlog_take_batch(struct fl__task_queue *from, struct fl__task_queue *own, size_t most,
                                                 unsigned *owes)
{
	struct fl__task_block *blocks[BACKLOG_BATCH];
	blocks[0] = NULL; /* the others count only if they were taken */
	size_t n = 0;
	bool ignored; /* whether a put waits */
	most = most > 1 ? FL__MIN(most, 1 + backlog_room(own)) : 1;
	if (most == 1)
		blocks[0] = fl__task_queue_take(from);
	else
		(void)fl__mpmc_get_many(&from->ring, blocks, sizeof *blocks, FL__MIN(most, BACKLOG_BATCH), &n,
		                        &ignored); /* else `n` is 0 */
	if (n > 1)
		backlog_move_in(own, blocks + 1, n - 1, owes);
	/* relaxed: a hint; a worker looks under the lock before it sleeps */
	if (!blocks[0] && (fl__load_relaxed(&from->slow) & FL__QUEUE_OVERFLOWS))
		*owes |= FL__OWES_REFILL;
	return blocks[0];
}

struct fl__task_block *fl__backlog_take_other(struct fl__backlog *b, struct fl__task_queue *own, bool steals,
                                              unsigned *owes)
{
	struct fl__task_block *block = NULL;
	if (own->takes % BACKLOG_BATCH == 0) {
		struct fl__task_queue *const next = backlog_after(b, own->visited);
		own->visited = next ? next : b->queues[0];
		block = backlog_take_batch(own->visited, own, 1, owes);
		if (!block)
			block = fl__task_queue_take(own);
	}
	/* relaxed: a worker that reads an old number takes a larger or a smaller batch */
	const size_t workers = fl__load_relaxed(&b->workers);
	for (unsigned i = 0; i <= b->mask && !block; i++) {
		struct fl__task_queue *injector = fl__backlog_injector(b, own->takes + i);
		block = backlog_take_batch(
		    injector, own, workers > 1 ? backlog_share(injector, FL__BACKLOG_SHARES * workers) : 1, owes);
	}
	/* a thief begins behind its own queue, so that not all thieves begin with the same queue */
	const struct fl__task_queue *const after[] = {own, b->queues[b->mask]};
	for (int i = 0; steals && i < 2; i++)
		for (struct fl__task_queue *queue = backlog_after(b, after[i]); queue && !block;
		     queue = backlog_after(b, queue))
			block = backlog_take_batch(queue, own, backlog_share(queue, 2), owes);
	return block;
}

static void backlog_refill(struct fl__task_queue *injector)
{
	bool marked; /* unused: the producers of the list's tasks have woken workers */
	struct fl__task_block *block;
	while ((block = injector->overflow.head) != NULL) {
		fl__task_list_remove(&injector->overflow, block);
		if (!fl__task_queue_put(injector, block, &marked)) {
			fl__task_list_add_first(&injector->overflow, block);
			return;
		}
	}
	backlog_set_slow(injector, FL__QUEUE_OVERFLOWS, false);
}

void fl__backlog_refill(struct fl__backlog *b)
{
	for (unsigned i = 0; i <= b->mask; i++)
		backlog_refill(b->queues[i]);
}

static struct fl__task_block *backlog_take_overflow(struct fl__task_queue *queue)
{
	struct fl__task_block *block = queue->overflow.head;
	const int rc = block ? fl__mpmc_can_get(&queue->ring) : 0;
	/* the list is empty; or the ring has an older item, and the caller tries again */
	if (rc == 0 || rc == -EBUSY)
		return NULL;
	fl__task_list_remove(&queue->overflow, block);
	backlog_refill(queue);
	return block;
}

/*
 * Returns whether the queue has a mark and no task. It checks both, since fl__backlog_watch() also
 * marks queues that have tasks.
 */
static bool backlog_is_marked(const struct fl__task_queue *queue)
{
	/* seq_cst: rule 2 of search.c. A put after this load finds the mark. */
	return (fl__load_seq_cst(&queue->ring.tail) & FL__MPMC_WAIT) && backlog_ring_length(queue) == 0;
}

struct fl__task_block *fl__backlog_take_locked(struct fl__backlog *b)
{
	BACKLOG_EACH (queue, b) {
		struct fl__task_block *block = fl__task_queue_take(queue);
		if (block || (block = backlog_take_overflow(queue)) != NULL)
			return block;
		if (queue->number <= b->mask || !backlog_is_marked(queue))
			continue;
		/* seq_cst: invariant 6. The bit is set: this call alone clears it. */
		fl__sub_seq_cst(queue->listed, queue->bit);
		if (!backlog_is_marked(queue))
			fl__task_queue_list(queue);
	}
	return NULL;
}

struct fl__task_block *fl__backlog_take_claimed(struct fl__backlog *b)
{
	const int64_t n = (int32_t)fl__load_relaxed(&b->n_claimed); /* relaxed: a search only saves memory */
	if (n / 2 / BACKLOG_RING <= b->mask || n < (int64_t)fl__backlog_length(b) / 2)
		return NULL;
	struct fl__task_list claimed = {NULL, NULL, 0};
	for (unsigned i = 0; i <= b->mask; i++) {
		struct fl__task_queue *injector = b->queues[i];
		FL__EACH_SAFE (struct fl__task_block, block, injector->overflow.head) {
			if (fl__future_is_claimed(&block->future)) {
				fl__task_list_remove(&injector->overflow, block);
				fl__task_list_add(&claimed, block);
			}
		}
		backlog_set_slow(injector, FL__QUEUE_OVERFLOWS, injector->overflow.head != NULL);
	}
	/* relaxed: only a hint; claimed tasks in the rings stay counted */
	fl__sub_relaxed(&b->n_claimed, (uint32_t)claimed.length);
	return claimed.head;
}

bool fl__task_queue_is_empty(const struct fl__task_queue *queue)
{
	/* relaxed: the caller sees its own stores */
	return !(fl__load_relaxed(&queue->slow) & FL__QUEUE_OVERFLOWS) && backlog_ring_length(queue) == 0;
}

bool fl__backlog_any(const struct fl__backlog *b)
{
	BACKLOG_EACH (queue, b)
		/* relaxed: a hint; a worker looks under the lock before it sleeps */
		if ((fl__load_relaxed(&queue->slow) & FL__QUEUE_OVERFLOWS) || backlog_has_more(queue, 0))
			return true;
	return false;
}

bool fl__backlog_mark(struct fl__backlog *b)
{
	BACKLOG_EACH (queue, b)
		/* seq_cst: rule 2 of search.c. A queue with a mark is only read. */
		if ((fl__load_seq_cst(&queue->slow) & FL__QUEUE_OVERFLOWS) ||
		    !(backlog_is_marked(queue) || fl__mpmc_mark_empty(&queue->ring) ||
		      fl__mpmc_can_get(&queue->ring) == -EPIPE))
			return false;
	return true;
}

void fl__backlog_watch(struct fl__backlog *b)
{
	BACKLOG_EACH (queue, b)
		/* seq_cst: the count that follows sees each put that has not found the mark */
		fl__or_seq_cst(&queue->ring.tail, FL__MPMC_WAIT);
}

size_t fl__backlog_length(const struct fl__backlog *b)
{
	size_t length = 0;
	BACKLOG_EACH (queue, b)
		length += backlog_ring_length(queue) + queue->overflow.length;
	return length;
}

void fl__backlog_close(struct fl__backlog *b)
{
	for (uint32_t i = 0; i < b->made; i++)
		fl_mpmc_close(&b->queues[i]->ring);
}

bool fl__backlog_is_over(const struct fl__backlog *b)
{
	for (uint32_t i = 0; i < b->made; i++)
		if (b->queues[i]->overflow.head || fl__mpmc_can_get(&b->queues[i]->ring) != -EPIPE)
			return false;
	return true;
}
