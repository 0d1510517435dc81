/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend of a bounded FIFO queue with one producer and one consumer: the slots of spsc.c, with
 * waits and a close.
 *
 *   word              holds                                  written by
 *   put.count         how many items were put (tail)         the producer
 *   put.next          put.count; in a put, the next tail     the producer
 *   get.count         how many items were got or dropped     the consumer, or DROPPED's setter
 *                     (head)
 *   get.next          get.count; in a get, the next head     the consumer
 *   byte of a slot    1: it has an item; the put is over     the producer: 0 -> 1
 *                     0: it is free; the get is over         the consumer: 1 -> 0
 *   slot              the slot of item number `count`        only its side
 *   waited            an earlier `count`                     only its side
 *   flags             each bit, by a read-modify-write:
 *     CONSUMER (1)    a mark: a context may be waiting for   set by queue_spsc_mark(), cleared by
 *                     an item                                a put
 *     PRODUCER (2)    a mark: a context may be waiting for   set by queue_spsc_mark(), cleared by
 *                     space                                  a get
 *     CLOSED (4)      a put that sees this is refused        set by a close, for good
 *     SEALED (8)      CLOSED, and tail has its last value    set by queue_spsc_seal(), for good
 *     DROPPED (16)    the items belong to the flag's setter  set by a discard, for good
 *     FENCED (32)     the system has no membarrier()         set by queue_spsc_init()
 *
 * Puts and gets have no fence. A call announces itself in `next`, loads the flags, acts, counts in
 * tail (head), and finally stores the slot's byte. A context that sets a mark, CLOSED or DROPPED
 * then makes all threads execute a full fence (membarrier()), and checks whether a call is
 * announced. If the fence in a call's thread comes before the announcement, the call sees the flag.
 * If the fence comes after the announcement, the context that set the flag sees the announcement.
 * This is Dekker's algorithm. With FENCED, each call executes its own fence.
 *
 * Invariants
 *   1. head <= tail <= head + capacity. Only the consumer touches a slot with byte 1, and only the
 *      producer a slot with byte 0. The bytes from head up to tail are 1, the others 0, except
 *      those of a call in progress. That call first counts and then sets its bytes, from the last
 *      to the first, so the items that the bytes show are counted. A discard takes all items at
 *      once: it sets head to tail, and leaves the bytes of the items unchanged.
 *   2. put.next != tail exactly while a put is in progress that has not counted yet, and get.next
 *      != head exactly while such a get is. A refused call withdraws its announcement. A discard
 *      that takes items does not change get.next, but after that nobody looks for a get in
 *      progress.
 *   3. If a context has set a flag, fenced all threads, and then found no announced put, every
 *      later put sees the flag. The same holds for gets. Therefore CONSUMER, once set, is cleared
 *      by the next put, which owes a wake; tail is final when SEALED is set; and nobody else uses
 *      the items of a discard.
 *   4. A mark may outlive its waiter; then the next call visits the parking lot in vain. While the
 *      mark is set, a get that finds no item returns -EBUSY if a put is announced. Otherwise a
 *      consumer would try to sleep again and again while a put that has stopped is in progress. A
 *      put that finds no space checks for a get in the same way. Without the mark, neither side
 *      looks at the opposite announcements.
 *   5. `flags` and the announcements are accessed relaxed where invariant 3 needs them, because
 *      queue_spsc_fence_all() or the fence of queue_spsc_reload_flags() orders them.
 *
 * Linearization points
 *   put              The load of the flags, if the close came while the put was announced;
 *                    otherwise the store to tail.
 *   get              The store to head.
 *   "full", "empty"  The load of the slot's byte.
 *   close            Where it sets CLOSED. It returns after the queue is sealed.
 *   discard          Where it sets DROPPED. Gets then find the queue drained.
 *
 * Because the loads are acquire and the stores are release, a consumer may find the queue empty
 * although a put has returned, unless that put happened before the get.
 *
 * Progress: the calls are wait-free, except for -EBUSY. A close waits for a put in progress. A
 * discard of a closed queue waits for a get in progress, and for the bytes of the items that it
 * drops.
 *
 * Lifetime: the store to the slot's byte is a call's last access.
 *
 * Costs. The two sides change no word in common, except the bytes of the slots and, while a context
 * waits, the flags. A thread that goes to sleep or closes pays for membarrier(), and an item costs
 * 2 ns more than in the ring without waits. A fence in each call would cost ten.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "queue.h"
#include "spsc.h"

static int queue_spsc_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct fl__queue_spsc *q = state;
	const int rc = fl__slots_init(&q->slots, item_size, config->capacity);
	if (rc != 0)
		return rc;
	q->capacity = config->capacity;
	q->put.slot = q->get.slot = q->slots.first;
	q->flags = fl__sys.membarrier() == 0 ? 0 : FL__QUEUE_SPSC_FENCED;
	return 0;
}

static void queue_spsc_fini(void *state)
{
	fl__slots_fini(&((struct fl__queue_spsc *)state)->slots);
}

static uint32_t queue_spsc_flags(struct fl__queue_spsc *q)
{
	/* acquire: pairs with the release in queue_spsc_close() and queue_spsc_seal() */
	return fl__load_acquire(&q->flags);
}

/*
 * Makes all threads execute a full fence (invariant 3). A call that announces itself later sees the
 * flags that were set before, and the caller sees the announcements that were made before.
 */
static void queue_spsc_fence_all(struct fl__queue_spsc *q)
{
	/*
	 * relaxed: FENCED never changes. seq_cst: pairs with the fence in queue_spsc_reload_flags()
	 */
	if (fl__load_relaxed(&q->flags) & FL__QUEUE_SPSC_FENCED)
		fl__fence_seq_cst();
	else if (fl__sys.membarrier() != 0)
		fl__panic("fl_queue", q, "membarrier() fails: has the program forbidden it since?");
}

static bool queue_spsc_in_progress(struct fl__queue_spsc_side *side)
{
	/* relaxed: invariant 5; without an earlier fence the result is a hint */
	const uint64_t next = fl__load_relaxed(&side->next);
	/*
	 * acquire: pairs with the release of the count in queue_spsc_transfer(),
	 * fl__queue_spsc_put() and fl__queue_spsc_get()
	 */
	return next != fl__load_acquire(&side->count);
}

/* Seals a closed ring if no put is announced. Returns whether the ring is sealed. */
static bool queue_spsc_seal(struct fl__queue_spsc *q)
{
	if (queue_spsc_flags(q) & FL__QUEUE_SPSC_SEALED)
		return true;
	queue_spsc_fence_all(q);
	if (queue_spsc_in_progress(&q->put))
		return false;
	/* release: pairs with the acquire in queue_spsc_flags(), for the last tail */
	(void)fl__or_release(&q->flags, (uint32_t)FL__QUEUE_SPSC_SEALED);
	return true;
}

/* Reloads the flags for a put or a get that has announced itself. */
static uint32_t queue_spsc_reload_flags(struct fl__queue_spsc *q)
{
	/* relaxed: FENCED never changes. seq_cst: pairs with the fence in queue_spsc_fence_all() */
	if (fl__load_relaxed(&q->flags) & FL__QUEUE_SPSC_FENCED)
		fl__fence_seq_cst();
	return queue_spsc_flags(q);
}

/* Returns whether the mark was set. */
static bool queue_spsc_clear_mark(struct fl__queue_spsc *q, uint32_t flags, uint32_t mark)
{
	/* relaxed: the mark publishes nothing, and the parking lot orders the waiters */
	return (flags & mark) && (fl__and_relaxed(&q->flags, ~mark) & mark);
}

/* Returns why a put finds no space: -EAGAIN, -EBUSY or -EPIPE. */
static int queue_spsc_no_space(struct fl__queue_spsc *q)
{
	const uint32_t flags = queue_spsc_flags(q);
	if (flags & FL__QUEUE_SPSC_CLOSED)
		return -EPIPE;
	return (flags & FL__QUEUE_SPSC_PRODUCER) && queue_spsc_in_progress(&q->get) ? -EBUSY : -EAGAIN;
}

/* Returns why a get finds no item (-EAGAIN, -EBUSY or -EPIPE), or 0 if there is one by now. */
static int queue_spsc_no_item(struct fl__queue_spsc *q, uint64_t at)
{
	const uint32_t flags = queue_spsc_flags(q);
	if (flags & FL__QUEUE_SPSC_DROPPED)
		return -EPIPE;
	if (flags & FL__QUEUE_SPSC_CLOSED) {
		if (!queue_spsc_seal(q))
			return -EBUSY;
		/* relaxed: queue_spsc_seal() has acquired SEALED, so this is the last tail */
		return fl__load_relaxed(&q->put.count) == at ? -EPIPE : 0;
	}
	return (flags & FL__QUEUE_SPSC_CONSUMER) && queue_spsc_in_progress(&q->put) ? -EBUSY : -EAGAIN;
}

/* Returns 0 if a put can put item number `at`, or why there is no space. */
static int queue_spsc_find_space(struct fl__queue_spsc *q, uint64_t at)
{
	if (!fl__slot_is_full(q->put.slot))
		return 0;
	const int rc = queue_spsc_no_space(q);
	/* relaxed: only the byte, loaded again, says that there is space */
	if (rc == -EAGAIN && at - fl__load_relaxed(&q->get.count) != q->capacity)
		return fl__slot_is_full(q->put.slot) ? -EBUSY : 0;
	return rc;
}

/* Returns 0 if a get can get item number `at`, or why there is no item. */
static int queue_spsc_find_item(struct fl__queue_spsc *q, uint64_t at)
{
	if (fl__slot_is_full(q->get.slot))
		return 0;
	const int rc = queue_spsc_no_item(q, at);
	/* relaxed: only the byte, loaded again, says that there is an item */
	if (rc == 0 || (rc == -EAGAIN && fl__load_relaxed(&q->put.count) != at))
		return fl__slot_is_full(q->get.slot) ? 0 : -EBUSY;
	return rc;
}

/*
 * Announces a call for the items from `at` up to `next`, and returns 0. If the flag `end` refuses
 * the call, withdraws the announcement and returns -EPIPE. If a context waits for this call (`mark`
 * is set), clears the mark and sets `*owes_wake`.
 */
static int queue_spsc_announce(struct fl__queue_spsc *q, struct fl__queue_spsc_side *side, uint64_t at, uint64_t next,
                               uint32_t end, uint32_t mark, bool *owes_wake)
{
	/* relaxed, all: invariant 5 */
	fl__store_relaxed(&side->next, next);
	fl__in_program_order();
	if (!(fl__load_relaxed(&q->flags) & (end | mark | FL__QUEUE_SPSC_FENCED)))
		return 0;
	const uint32_t flags = queue_spsc_reload_flags(q);
	if (flags & end) {
		fl__store_relaxed(&side->next, at);
		return -EPIPE;
	}
	*owes_wake = queue_spsc_clear_mark(q, flags, mark);
	return 0;
}

/* Makes a get to `to`, or a put of the items at `from`. `gets` is a compile-time constant. */
static inline __attribute__((always_inline)) int queue_spsc_transfer(struct fl__queue_spsc *q, const bool gets,
                                                                     const void *from, void *to, size_t n,
                                                                     size_t *count, bool *owes_wake)
{
	struct fl__queue_spsc_side *const side = gets ? &q->get : &q->put;
	const uint64_t at = fl__load_relaxed(&side->count); /* relaxed: only this side writes it */
	unsigned char *const slot = side->slot;
	int rc = gets ? queue_spsc_find_item(q, at) : queue_spsc_find_space(q, at);
	if (rc != 0)
		return rc;
	n = fl__slots_run(&q->slots, slot, FL__MIN(n, q->capacity), gets);
	rc = gets ? queue_spsc_announce(q, side, at, at + n, FL__QUEUE_SPSC_DROPPED, FL__QUEUE_SPSC_PRODUCER, owes_wake)
	          : queue_spsc_announce(q, side, at, at + n, FL__QUEUE_SPSC_CLOSED, FL__QUEUE_SPSC_CONSUMER, owes_wake);
	if (rc != 0)
		return rc;
	unsigned char *const next = fl__slots_copy(&q->slots, slot, from, to, n);
	side->slot = next;
	*count = n;
	/*
	 * release: pairs with the acquire in queue_spsc_items() and queue_spsc_in_progress(). A
	 * thread that sees a tail also sees the gets that made its space, and one that sees a head
	 * also sees the puts of its items.
	 */
	fl__store_release(&side->count, at + n);
	fl__slots_mark_others(&q->slots, slot, next, !gets);
	if (gets)
		fl__slot_clear(slot);
	else
		fl__slot_fill(slot);
	return 0;
}

static int queue_spsc_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	return queue_spsc_transfer(state, false, items, NULL, n, count, owes_wake);
}

static int queue_spsc_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	return queue_spsc_transfer(state, true, NULL, items, n, count, owes_wake);
}

void fl__queue_spsc_back_off(struct fl__queue_spsc *q, enum fl__queue_side side)
{
	enum { TURNS = 64 };
	const bool gets = side == FL__CONSUMERS;
	struct fl__queue_spsc_side *const mine = gets ? &q->get : &q->put;
	const uint64_t at = fl__load_relaxed(&mine->count); /* relaxed: only this side writes it */
	if (fl__slot_is_full(mine->slot) == gets)
		return;
	if (at - mine->waited > 1)
		fl__pause(TURNS);
	mine->waited = at;
}

/*
 * The functions for waiting. Any thread may call them. Only the discard writes words that belong to
 * one side.
 */

/* Returns how many items were in the queue at one moment of the call. */
static uint64_t queue_spsc_items(struct fl__queue_spsc *q)
{
	/*
	 * acquire, all: pairs with the release of the count in queue_spsc_transfer(),
	 * fl__queue_spsc_put() and fl__queue_spsc_get(). So each load is not older than the
	 * previous one.
	 */
	uint64_t head = fl__load_acquire(&q->get.count);
	for (;;) {
		const uint64_t tail = fl__load_acquire(&q->put.count);
		const uint64_t again = fl__load_acquire(&q->get.count);
		if (again == head)
			return tail - head;
		head = again;
	}
}

/* Returns the slot of item number `n`, if the item is in the queue. */
static unsigned char *queue_spsc_slot(struct fl__queue_spsc *q, uint64_t n)
{
	return fl__slots_at(&q->slots, (size_t)(n % q->capacity));
}

/* Returns whether gets (puts) must wait according to the counts. */
static bool queue_spsc_waits(struct fl__queue_spsc *q, bool gets)
{
	return queue_spsc_items(q) == (gets ? 0 : q->capacity) && !(queue_spsc_flags(q) & FL__QUEUE_SPSC_CLOSED);
}

/* Looks at the slot instead of the opposite side's count, whose cache line that side writes. */
static int queue_spsc_can(void *state, enum fl__queue_side side)
{
	struct fl__queue_spsc *q = state;
	const bool gets = side == FL__CONSUMERS;
	const uint32_t end = gets ? FL__QUEUE_SPSC_DROPPED : FL__QUEUE_SPSC_CLOSED;
	if (queue_spsc_flags(q) & end)
		return -EPIPE;
	/* relaxed: a caller that acts on the result loads the count again */
	const uint64_t at = fl__load_relaxed(gets ? &q->get.count : &q->put.count);
	if (fl__slot_is_full(queue_spsc_slot(q, at)) == gets)
		return 0;
	return gets ? queue_spsc_no_item(q, at) : queue_spsc_no_space(q);
}

/*
 * Sets the mark of `side` if that side must wait: consumers while there is no item, and producers
 * while the queue is full.
 */
static bool queue_spsc_mark(void *state, enum fl__queue_side side)
{
	struct fl__queue_spsc *q = state;
	const bool gets = side == FL__CONSUMERS;
	if (!queue_spsc_waits(q, gets))
		return false;
	/* relaxed: invariant 5 */
	fl__or_relaxed(&q->flags, gets ? (uint32_t)FL__QUEUE_SPSC_CONSUMER : (uint32_t)FL__QUEUE_SPSC_PRODUCER);
	queue_spsc_fence_all(q);
	return !queue_spsc_in_progress(gets ? &q->put : &q->get) && queue_spsc_waits(q, gets);
}

static void queue_spsc_close(void *state)
{
	struct fl__queue_spsc *q = state;
	/* release: pairs with the acquire in queue_spsc_flags(), for what was done before */
	(void)fl__or_release(&q->flags, (uint32_t)FL__QUEUE_SPSC_CLOSED);
	for (unsigned round = 0; !queue_spsc_seal(q); round++)
		fl__queue_pause(round);
}

/* Drops the items. The first discard takes all of them, and from then on gets are refused. */
FL__COLD static int queue_spsc_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct fl__queue_spsc *q = fl__queue_as_spsc(of);
	(void)owes_wake; /* it owes none, because no put waits in a closed queue */
	/* relaxed: invariant 5 */
	const uint32_t before = fl__or_relaxed(&q->flags, (uint32_t)FL__QUEUE_SPSC_DROPPED);
	if ((before & FL__QUEUE_SPSC_DROPPED) || queue_spsc_items(q) == 0)
		return -EPIPE;
	if (before & FL__QUEUE_SPSC_CLOSED) { /* otherwise the queue is no longer used */
		queue_spsc_fence_all(q);
		for (unsigned round = 0; queue_spsc_in_progress(&q->get); round++)
			fl__queue_pause(round);
	}
	unsigned char *slot = q->get.slot;
	/*
	 * relaxed, all: queue_spsc_in_progress() has acquired the head and queue_spsc_items() the
	 * last tail, and no later put needs the slots
	 */
	uint64_t at = fl__load_relaxed(&q->get.count);
	const uint64_t end = fl__load_relaxed(&q->put.count);
	fl__store_relaxed(&q->get.count, end);
	for (*count = 0; at != end; at++, ++*count) {
		/*
		 * Waits for the put's last access, because the queue may be freed after the
		 * discard.
		 */
		for (unsigned round = 0; !fl__slot_is_full(slot); round++)
			fl__queue_pause(round);
		fl__queue_drop(of, fl__slot_item(q->slots.shape, slot));
		slot = fl__slot_after(&q->slots, q->slots.shape, slot);
	}
	return 0;
}

static size_t queue_spsc_length(void *state)
{
	return (size_t)queue_spsc_items(state);
}

static uint64_t queue_spsc_puts(void *state)
{
	/* relaxed: a caller that compares the count has acquired `done`, and with it the puts */
	return fl__load_relaxed(&((struct fl__queue_spsc *)state)->put.count);
}

const struct fl__queue_backend fl__backend_spsc = {
    .size = sizeof(struct fl__queue_spsc),
    .init = queue_spsc_init,
    .fini = queue_spsc_fini,
    .put = queue_spsc_put,
    .get = queue_spsc_get,
    .discard = queue_spsc_discard,
    .can = queue_spsc_can,
    .mark = queue_spsc_mark,
    .close = queue_spsc_close,
    .length = queue_spsc_length,
    .puts = queue_spsc_puts,
};
