/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backend of a bounded FIFO queue with one producer and one consumer: the slots of spsc.c, with
 * waits and a close (docs/design.md, "Queues that wait").
 *
 *   word              holds                                  written by
 *   put.count         how many items were put (tail)         the producer
 *   put.next          the same; during a put, the next tail  the producer
 *   get.count         how many items were got or dropped     the consumer, or DROPPED's setter
 *                     (head)
 *   get.next          the same; during a get, the next head  the consumer
 *   byte of a slot    1: it has an item; the put is over     the producer: 0 -> 1
 *                     0: it is free; the get is over         the consumer: 1 -> 0
 *   slot              the slot of item number `count`        its side alone
 *   waited            an earlier `count`                     its side alone
 *   flags             each bit, by a read-modify-write:
 *     CONSUMER (1)    a mark: a consumer may be waiting      set by a consumer, cleared by a put
 *     PRODUCER (2)    a mark: a producer may be waiting      set by a producer, cleared by a get
 *     CLOSED (4)      a put that sees this is refused        set by a close, for good
 *     SEALED (8)      CLOSED, and tail has its last value    set by queue_spsc_seal(), for good
 *     DROPPED (16)    the items belong to the flag's setter  set by a discard, for good
 *     FENCED (32)     the system has no membarrier()         set by queue_spsc_init()
 *
 * No fence in the calls. A call announces itself in `next`, loads the flags, acts, counts in tail
 * (head), and last stores the slot's byte. A context that sets a flag makes all threads pass a full
 * fence (membarrier()), and then looks whether a call is announced. If a thread's fence comes
 * before its announcement, the call sees the flag; if after, the context that set the flag sees the
 * announcement. (Dekker's algorithm; with FENCED, the calls have a fence, too.)
 *
 * Invariants
 *   1. head <= tail <= head + capacity. Only the consumer touches a slot with byte 1, only the
 *      producer a slot with byte 0. The bytes from head up to tail are 1, the others 0, except
 *      those of a call in progress. That call counts first, then sets its bytes, from the last to
 *      the first. So the items that the bytes show are counted.
 *   2. put.next != tail exactly while a put is in progress that has not counted; likewise for a
 *      get. A refused call takes its announcement back.
 *   3. If a context has set a flag, fenced all threads, and then found no put announced, every
 *      later put sees the flag. So a mark that a consumer has set is cleared by the next put,
 *      which owes a wake; tail is final when SEALED is set; and a discard has the items to itself.
 *      Likewise for gets.
 *   4. A mark may stay without a waiter, and costs the next call a visit to the parking lot. While
 *      the mark is set, "empty" checks whether a put is announced, and is -EBUSY then, so that no
 *      consumer tries to sleep again and again beside a stopped put. "Full" checks for a get.
 *      Without the mark, neither side reads the cache line of the opposite announcements.
 *
 * Linearization. Put: the load of the flags, if the close came while the put was announced; else
 * the store to tail. Get: the store to head. "Full", "empty": the load of the slot's byte. These
 * are acquire loads and release stores. So a consumer may find "empty" although a put has returned,
 * if nothing has told the consumer of that put. Close: where it sets CLOSED; it returns when the
 * queue is sealed. Discard: where it sets DROPPED; gets then find the queue drained.
 *
 * A forked child may lack the thread of a call in progress, which then never ends. A call of that
 * side in the child begins where the counts are, as if that call had not begun. In the few
 * instructions from the store to `slot` to that of the slot's byte, the call keeps the slot, and
 * the counts and bytes disagree. So in a child queue_spsc_can() compares both, as the calls do.
 *
 * Progress: wait-free, except for -EBUSY. A close waits for a put in progress, a discard also for a
 * get, and for the bytes of the items that it drops. Lifetime: the store to the byte is a call's
 * last access.
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
	/* what came before a close; pairs with queue_spsc_close() and queue_spsc_seal() */
	return fl__load_acquire(&q->flags);
}

/* Later announcers see the flags set before. The caller sees earlier announcements. */
static void queue_spsc_fence_all(struct fl__queue_spsc *q)
{
	/* FENCED never changes. The fence pairs with queue_spsc_reload_flags(). */
	if (fl__load_relaxed(&q->flags) & FL__QUEUE_SPSC_FENCED)
		fl__fence_seq_cst();
	else if (fl__sys.membarrier() != 0)
		fl__panic("fl_queue", q, "membarrier() fails: has the program forbidden it since?");
}

static bool queue_spsc_in_progress(struct fl__queue_spsc_side *side)
{
	/* queue_spsc_fence_all() orders it, or the result is a hint */
	const uint64_t next = fl__load_relaxed(&side->next);
	/* pairs with queue_spsc_transfer() */
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
	/* the last tail; pairs with queue_spsc_flags() */
	(void)fl__or_release(&q->flags, (uint32_t)FL__QUEUE_SPSC_SEALED);
	return true;
}

/* Called by a put or get that has announced itself. */
static uint32_t queue_spsc_reload_flags(struct fl__queue_spsc *q)
{
	/* FENCED never changes. The fence pairs with queue_spsc_fence_all(). */
	if (fl__load_relaxed(&q->flags) & FL__QUEUE_SPSC_FENCED)
		fl__fence_seq_cst();
	return queue_spsc_flags(q);
}

/* Returns whether the mark was set. */
static bool queue_spsc_clear_mark(struct fl__queue_spsc *q, uint32_t flags, uint32_t mark)
{
	/* the parking lot orders the waiters */
	return (flags & mark) && (fl__and_relaxed(&q->flags, ~mark) & mark);
}

/* Why there is no space, or no item: -EAGAIN, -EBUSY, -EPIPE; 0: there is an item by now. */
static int queue_spsc_no_space(struct fl__queue_spsc *q)
{
	const uint32_t flags = queue_spsc_flags(q);
	if (flags & FL__QUEUE_SPSC_CLOSED)
		return -EPIPE;
	return (flags & FL__QUEUE_SPSC_PRODUCER) && queue_spsc_in_progress(&q->get) ? -EBUSY : -EAGAIN;
}

static int queue_spsc_no_item(struct fl__queue_spsc *q, uint64_t at)
{
	const uint32_t flags = queue_spsc_flags(q);
	if (flags & FL__QUEUE_SPSC_DROPPED)
		return -EPIPE;
	if (flags & FL__QUEUE_SPSC_CLOSED) {
		if (!queue_spsc_seal(q))
			return -EBUSY;
		/* SEALED was acquired: this tail is the last */
		return fl__load_relaxed(&q->put.count) == at ? -EPIPE : 0;
	}
	return (flags & FL__QUEUE_SPSC_CONSUMER) && queue_spsc_in_progress(&q->put) ? -EBUSY : -EAGAIN;
}

/* These begin with item number `at`. */

/* 0, or why there is no space. */
static int queue_spsc_find_space(struct fl__queue_spsc *q, uint64_t at)
{
	if (!fl__slot_is_full(q->put.slot))
		return 0;
	const int rc = queue_spsc_no_space(q);
	/* a call acts on the byte alone */
	if (rc == -EAGAIN && at - fl__load_relaxed(&q->get.count) != q->capacity)
		return fl__slot_is_full(q->put.slot) ? -EBUSY : 0;
	return rc;
}

/* 0, or why there is no item. */
static int queue_spsc_find_item(struct fl__queue_spsc *q, uint64_t at)
{
	if (fl__slot_is_full(q->get.slot))
		return 0;
	const int rc = queue_spsc_no_item(q, at);
	/* as above */
	if (rc == 0 || (rc == -EAGAIN && fl__load_relaxed(&q->put.count) != at))
		return fl__slot_is_full(q->get.slot) ? 0 : -EBUSY;
	return rc;
}

/*
 * Announces a call for the items from `at` up to `next`: 0. -EPIPE: the flag `end` refuses the
 * call, which takes its announcement back. `mark`: of the waiters for the call.
 */
static int queue_spsc_announce(struct fl__queue_spsc *q, struct fl__queue_spsc_side *side, uint64_t at, uint64_t next,
                               uint32_t end, uint32_t mark, bool *owes_wake)
{
	/* queue_spsc_fence_all() orders the store and the load */
	fl__store_relaxed(&side->next, next);
	fl__in_program_order();
	if (!(fl__load_relaxed(&q->flags) & (end | mark | FL__QUEUE_SPSC_FENCED)))
		return 0;
	const uint32_t flags = queue_spsc_reload_flags(q);
	if (flags & end) {
		fl__store_relaxed(&side->next, at); /* nothing has happened */
		return -EPIPE;
	}
	*owes_wake = queue_spsc_clear_mark(q, flags, mark);
	return 0;
}

/* A get to `to`, or a put of the items at `from`. `gets` is a constant. */
static inline __attribute__((always_inline)) int queue_spsc_transfer(struct fl__queue_spsc *q, const bool gets,
                                                                     const void *from, void *to, size_t n,
                                                                     size_t *count, bool *owes_wake)
{
	struct fl__queue_spsc_side *const side = gets ? &q->get : &q->put;
	const uint64_t at = fl__load_relaxed(&side->count); /* only this side writes it */
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
	/* the tail's load sees the gets before; pairs with queue_spsc_items(), _in_progress() */
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
	const uint64_t at = fl__load_relaxed(&mine->count); /* only this side writes it */
	if (fl__slot_is_full(mine->slot) == gets)
		return;
	if (at - mine->waited > 1)
		fl__pause(TURNS);
	mine->waited = at;
}

/* Waiting. Any thread may call these. Only the discard touches one side's words. */

/* The items that are in at one moment of the call. */
static uint64_t queue_spsc_items(struct fl__queue_spsc *q)
{
	/* the tail is not older; pairs with queue_spsc_transfer() */
	uint64_t head = fl__load_acquire(&q->get.count);
	for (;;) {
		/* as above */
		const uint64_t tail = fl__load_acquire(&q->put.count);
		/* as above */
		const uint64_t again = fl__load_acquire(&q->get.count);
		if (again == head)
			return tail - head;
		head = again;
	}
}

/* The slot of item number `n`, if the item is in. */
static unsigned char *queue_spsc_slot(struct fl__queue_spsc *q, uint64_t n)
{
	return fl__slots_at(&q->slots, (size_t)(n % q->capacity));
}

/* Whether gets (puts) have to wait, by the counts. */
static bool queue_spsc_waits(struct fl__queue_spsc *q, bool gets)
{
	return queue_spsc_items(q) == (gets ? 0 : q->capacity) && !(queue_spsc_flags(q) & FL__QUEUE_SPSC_CLOSED);
}

/* Looks at the slot, not at the opposite side's count, whose cache line that side writes. */
static int queue_spsc_can(void *state, enum fl__queue_side side)
{
	struct fl__queue_spsc *q = state;
	const bool gets = side == FL__CONSUMERS;
	const uint32_t end = gets ? FL__QUEUE_SPSC_DROPPED : FL__QUEUE_SPSC_CLOSED;
	if (queue_spsc_flags(q) & end)
		return -EPIPE;
	/* a caller that acts on the result loads it anew */
	const uint64_t at = fl__load_relaxed(gets ? &q->get.count : &q->put.count);
	if (fl__slot_is_full(queue_spsc_slot(q, at)) == gets)
		return 0;
	const int rc = gets ? queue_spsc_no_item(q, at) : queue_spsc_no_space(q);
	return rc == -EAGAIN && fl__is_forked(fl__queue_of_state(q)->forks) && !queue_spsc_waits(q, gets) ? -EBUSY : rc;
}

/* A consumer waits while there is no item, a producer while the queue is full. */
static bool queue_spsc_mark(void *state, enum fl__queue_side side)
{
	struct fl__queue_spsc *q = state;
	const bool gets = side == FL__CONSUMERS;
	if (!queue_spsc_waits(q, gets))
		return false;
	/* queue_spsc_fence_all() orders it */
	fl__or_relaxed(&q->flags, gets ? (uint32_t)FL__QUEUE_SPSC_CONSUMER : (uint32_t)FL__QUEUE_SPSC_PRODUCER);
	queue_spsc_fence_all(q);
	return !queue_spsc_in_progress(gets ? &q->put : &q->get) && queue_spsc_waits(q, gets);
}

static void queue_spsc_close(void *state)
{
	struct fl__queue_spsc *q = state;
	/* what was done before; pairs with queue_spsc_flags() */
	(void)fl__or_release(&q->flags, (uint32_t)FL__QUEUE_SPSC_CLOSED);
	for (unsigned round = 0; !queue_spsc_seal(q) && fl__queue_pause(fl__queue_of_state(q), round) == 0; round++)
		;
}

/* The first discard takes all items. Gets are refused from then on. */
FL__COLD static int queue_spsc_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct fl__queue_spsc *q = fl__queue_as_spsc(of);
	(void)owes_wake; /* no put waits in a closed queue */
	/* queue_spsc_fence_all() orders it */
	const uint32_t before = fl__or_relaxed(&q->flags, (uint32_t)FL__QUEUE_SPSC_DROPPED);
	if ((before & FL__QUEUE_SPSC_DROPPED) || queue_spsc_items(q) == 0)
		return -EPIPE;
	if (before & FL__QUEUE_SPSC_CLOSED) { /* else the queue is no longer used */
		queue_spsc_fence_all(q);
		for (unsigned round = 0; queue_spsc_in_progress(&q->get); round++)
			if (fl__queue_pause(of, round) != 0)
				return -EOWNERDEAD;
	}
	unsigned char *slot = q->get.slot;
	/* queue_spsc_in_progress() has acquired the head, queue_spsc_items() the last tail */
	uint64_t at = fl__load_relaxed(&q->get.count);
	const uint64_t end = fl__load_relaxed(&q->put.count);
	fl__store_relaxed(&q->get.count, end); /* no later put needs the slots */
	for (*count = 0; at != end; at++, ++*count) {
		/* Waits for the put's last access: the queue may be freed after the discard. */
		for (unsigned round = 0; !fl__slot_is_full(slot); round++)
			if (fl__queue_pause(of, round) != 0)
				return 0; /* the put's thread was the parent's */
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
	/* a count; a caller that compares it has acquired what is done, and so the puts */
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
