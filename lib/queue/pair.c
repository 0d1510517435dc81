/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What holds the items of a bounded FIFO queue with one producer and one consumer: FastForward's ring, whose slots say
 * themselves whether they are full, as in spsc.c; and what it takes to sleep and to close, at no fence a call.
 *
 *   word               holds                                        written by
 *   tail               how many items were put                      the producer
 *   put_next           the same; during a put what tail will be     the producer
 *   head               how many items were got or dropped           the consumer; once DROPPED who drops
 *   get_next           the same; during a get what head will be     the consumer
 *   byte of a slot     1: it has an item, and the put is over       the producer: 0 -> 1
 *                      0: it is free, and the get is over           the consumer: 1 -> 0
 *   put_slot, _waited  the slot of number put_next; a former one    the producer alone
 *   get_slot, _waited  the slot of number get_next; a former one    the consumer alone
 *   flags              each bit by a read-modify-write:
 *     GETTER (1)       a getter sleeps, or wanted to                set by mark_empty(); taken off by the next put
 *     PUTTER (2)       a putter sleeps, or wanted to                set by mark_full(); taken off by the next get
 *     CLOSED (4)       no put is accepted that does not know yet    set by a close, for good
 *     SEALED (8)       CLOSED, and tail has its last value          set by seal(), for good
 *     DROPPED (16)     what is in belongs to whoever set this       set by a discard, for good
 *     FENCED (32)      the system has no membarrier()               set at birth
 *
 * Asking without a fence. A call announces itself in put_next (get_next), then looks at the flags, then acts, counts in tail (head),
 * and its last access is the store to the slot's byte. Who sets a flag makes all threads pass a full fence, agree(), then looks
 * whether a call is announced. Wherever that fence falls in the program of the call: before the announcement, and the call sees the
 * flag; or behind it, and who set the flag sees the announcement. (Dekker's, whose fence is paid by who seldom comes. With FENCED the
 * calls have one, too.)
 *
 * Invariants
 *   1. head <= tail <= head + capacity. A slot whose byte is 1 the consumer alone touches, one whose byte is 0 the producer. From head
 *      on up to tail the bytes are 1, elsewhere 0; but for those of a call that is under way, which counts first, and then
 *      sets them, of several from the last to the first. So what the bytes say has been counted.
 *   2. put_next != tail exactly while a put is at it that has not counted, and so for a get: a refused call takes its
 *      announcement back.
 *   3. Who has set a flag, agreed, and then found no put announced: every later put sees the flag.
 *      So a mark is true when mark_empty() says so: a later put takes it off and owes a wake. So tail is final when SEALED. So
 *      a discard has the items to itself. For gets, likewise.
 *   4. A mark may stay where there is nobody (there was something after all): it costs the next call a visit to the lot. To take it
 *      off again might take it from others. While it is there, "empty" asks whether a put is announced, and is -EBUSY then:
 *      so nobody tries to sleep again and again beside a put that stands still. Else nobody looks at the other side's announcements,
 *      whose line stays where it is.
 *
 * Linearization. Put: where it loads the flags, if it was announced when it was closed; else the store to tail. Get: the store
 * to head. Full, empty: the load of the slot's byte. Those are acquire loads and release stores: so "empty" may come from a consumer
 * whom nothing has told of a put that has returned. Close: where it sets CLOSED. It returns when it is sealed, so who comes after it
 * finds all that was accepted counted. A discard: where it sets DROPPED; gets find the queue drained from then on.
 *
 * Progress: wait-free, but for -EBUSY; a close waits for a put that is at it, a discard for a get as well, and for the bytes of what
 * it drops. Lifetime: the store to the byte is a call's last access.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "queue.h"
#include "slots.h"
#include <errno.h>

static int pair_init(void *state, size_t item_size, const fl_queue_config *config)
{
	struct fl__pair *q = state;
	const int rc = fl__slots_init(&q->slots, item_size, config->capacity);
	if (rc != 0)
		return rc;
	q->capacity = config->capacity;
	q->put_slot = q->get_slot = q->slots.first;
	q->flags = fl__sys.membarrier() == 0 ? 0 : FL__PAIR_FENCED;
	return 0;
}

static void pair_fini(void *state)
{
	fl__slots_fini(&((struct fl__pair *)state)->slots);
}

/* Flags. */

static uint32_t flags_of(struct fl__pair *q)
{
	return fl__load_acquire(&q->flags); /* what came before a close; pairs with pair_close() and seal() */
}

/* What was set before is seen by all who announce themselves from now on; all earlier announcements are seen after it. */
static void agree(struct fl__pair *q)
{
	if (fl__load_relaxed(&q->flags) & FL__PAIR_FENCED) /* relaxed: never changes */
		fl__fence_seq_cst();                       /* pairs with the fence in look_again() */
	else if (fl__sys.membarrier() != 0)
		fl__panic("fl_queue", q, "membarrier() works no more: has it been forbidden since?");
}

static bool is_putting(struct fl__pair *q)
{
	/* relaxed, both: after agree(), or a guess; who reads an item acquires the slot's byte */
	const uint64_t next = fl__load_relaxed(&q->put_next);
	return next != fl__load_relaxed(&q->tail);
}

static bool is_getting(struct fl__pair *q)
{
	const uint64_t next = fl__load_relaxed(&q->get_next); /* as above */
	return next != fl__load_acquire(&q->head);            /* pairs with count_get() */
}

/* Of a closed ring: whether tail has its last value. */
static bool seal(struct fl__pair *q)
{
	if (flags_of(q) & FL__PAIR_SEALED)
		return true;
	agree(q);
	if (is_putting(q))
		return false;
	(void)fl__or_release(&q->flags, (uint32_t)FL__PAIR_SEALED); /* release: that tail; pairs with flags_of() */
	return true;
}

/* The flags as a call finds them that has announced itself, and on a processor that nobody else's fence reaches. */
static uint32_t look_again(struct fl__pair *q)
{
	if (fl__load_relaxed(&q->flags) & FL__PAIR_FENCED) /* relaxed: never changes */
		fl__fence_seq_cst();                       /* pairs with the fence in agree() */
	return flags_of(q);
}

/* Takes a mark off if it is there; whether it was. */
static bool take_mark(struct fl__pair *q, uint32_t flags, uint32_t mark)
{
	return (flags & mark) && (fl__and_relaxed(&q->flags, ~mark) & mark); /* relaxed: the lot orders who sleeps */
}

/* What a put, or a get, that has announced itself does about a flag: 0, or -EPIPE, and it is taken back. */
static int put_asked(struct fl__pair *q, uint64_t at, bool *owes_wake)
{
	const uint32_t flags = look_again(q);
	if (flags & FL__PAIR_CLOSED) {
		fl__store_relaxed(&q->put_next, at); /* relaxed: nothing has happened */
		return -EPIPE;
	}
	*owes_wake = take_mark(q, flags, FL__PAIR_GETTER);
	return 0;
}

static int get_asked(struct fl__pair *q, uint64_t at, bool *owes_wake)
{
	const uint32_t flags = look_again(q);
	if (flags & FL__PAIR_DROPPED) {
		fl__store_relaxed(&q->get_next, at); /* relaxed: nothing has happened */
		return -EPIPE;
	}
	*owes_wake = take_mark(q, flags, FL__PAIR_PUTTER);
	return 0;
}

/* Why there is no space, or no item: -EAGAIN, -EBUSY, -EPIPE; 0: there is an item by now. */
static int no_space(struct fl__pair *q)
{
	const uint32_t flags = flags_of(q);
	if (flags & FL__PAIR_CLOSED)
		return -EPIPE;
	return (flags & FL__PAIR_PUTTER) && is_getting(q) ? -EBUSY : -EAGAIN;
}

static int no_item(struct fl__pair *q, uint64_t at)
{
	const uint32_t flags = flags_of(q);
	if (flags & FL__PAIR_DROPPED)
		return -EPIPE;
	if (flags & FL__PAIR_CLOSED) {
		if (!seal(q))
			return -EBUSY;
		return fl__load_relaxed(&q->tail) == at ? -EPIPE
		                                        : 0; /* relaxed: SEALED was acquired, so it is the last */
	}
	return (flags & FL__PAIR_GETTER) && is_putting(q) ? -EBUSY : -EAGAIN;
}

/* Putting and getting, from number `at` on. */

/* There is space: 0, or why not. */
static int find_space(struct fl__pair *q, uint64_t at)
{
	if (!fl__slot_is_full(q->put_slot))
		return 0;
	const int rc = no_space(q);
	/* relaxed: nobody acts on it but by the byte */
	if (rc == -EAGAIN && at - fl__load_relaxed(&q->head) != q->capacity)
		return fl__slot_is_full(q->put_slot) ? -EBUSY : 0;
	return rc;
}

/* There is an item: 0, or why not. */
static int find_item(struct fl__pair *q, uint64_t at)
{
	if (fl__slot_is_full(q->get_slot))
		return 0;
	const int rc = no_item(q, at);
	/* relaxed: as above */
	if (rc == 0 || (rc == -EAGAIN && fl__load_relaxed(&q->tail) != at))
		return fl__slot_is_full(q->get_slot) ? 0 : -EBUSY;
	return rc;
}

/* Says that the items up to `next` are on their way in, then looks whether that may be: 0, -EPIPE. */
static int begin_put(struct fl__pair *q, uint64_t at, uint64_t next, bool *owes_wake)
{
	fl__store_relaxed(&q->put_next, next); /* relaxed, as the load: agree() orders them */
	fl__in_program_order();
	if (fl__load_relaxed(&q->flags) & FL__PAIR_ASKS_PUT)
		return put_asked(q, at, owes_wake);
	return 0;
}

static int begin_get(struct fl__pair *q, uint64_t at, uint64_t next, bool *owes_wake)
{
	fl__store_relaxed(&q->get_next, next); /* relaxed, as the load: agree() orders them */
	fl__in_program_order();
	if (fl__load_relaxed(&q->flags) & FL__PAIR_ASKS_GET)
		return get_asked(q, at, owes_wake);
	return 0;
}

static void count_put(struct fl__pair *q, uint64_t next)
{
	fl__store_release(&q->tail,
	                  next); /* who counts these counts the gets that made the space; pairs with items_in() */
}

static void count_get(struct fl__pair *q, uint64_t next)
{
	fl__store_release(&q->head, next); /* the items have been read; pairs with is_getting(), items_in() */
}

static int pair_put(void *state, const void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct fl__pair *q = state;
	const uint64_t at = fl__load_relaxed(&q->put_next); /* relaxed: its own */
	unsigned char *const slot = q->put_slot;
	int rc = find_space(q, at);
	if (rc != 0)
		return rc;
	n = fl__slots_run(&q->slots, slot, n < q->capacity ? n : q->capacity, false);
	rc = begin_put(q, at, at + n, owes_wake);
	if (rc != 0)
		return rc;
	unsigned char *const next = fl__slots_copy_in(&q->slots, slot, items, n);
	q->put_slot = next;
	*count = n;
	count_put(q, at + n);
	fl__slots_mark_others(&q->slots, slot, next, true);
	fl__slot_fill(slot);
	return 0;
}

static int pair_get(void *state, void *items, size_t n, size_t *count, bool *owes_wake)
{
	struct fl__pair *q = state;
	const uint64_t at = fl__load_relaxed(&q->get_next); /* relaxed: its own */
	unsigned char *const slot = q->get_slot;
	int rc = find_item(q, at);
	if (rc != 0)
		return rc;
	n = fl__slots_run(&q->slots, slot, n < q->capacity ? n : q->capacity, true);
	rc = begin_get(q, at, at + n, owes_wake);
	if (rc != 0)
		return rc;
	unsigned char *const next = fl__slots_copy_out(&q->slots, slot, items, n);
	q->get_slot = next;
	*count = n;
	count_get(q, at + n);
	fl__slots_mark_others(&q->slots, slot, next, false);
	fl__slot_clear(slot);
	return 0;
}

/*
 * Who is faster comes to where the other is, and then both want the same line for each item: ten times as long. So it lets the other
 * go ahead by some lines, if there were several items since it last did: who waits for an answer to each is not kept.
 */
void fl__pair_back_off(struct fl__pair *q, enum fl__queue_side side)
{
	enum { TURNS = 64 };
	uint64_t *const waited = side == FL__GETTERS ? &q->get_waited : &q->put_waited;
	/* relaxed: its own */
	const uint64_t at = fl__load_relaxed(side == FL__GETTERS ? &q->get_next : &q->put_next);
	if (fl__slot_is_full(side == FL__GETTERS ? q->get_slot : q->put_slot) == (side == FL__GETTERS))
		return;
	if (at - *waited > 1)
		fl__pause(TURNS);
	*waited = at;
}

/* Sleeping. From any thread, as what follows: so nothing here touches what one side has alone. */

/* How many are in, at a moment of the call. */
static uint64_t items_in(struct fl__pair *q)
{
	uint64_t head = fl__load_acquire(&q->head); /* pairs with count_get(): the tail is not older */
	for (;;) {
		const uint64_t tail = fl__load_acquire(&q->tail);  /* pairs with count_put() */
		const uint64_t again = fl__load_acquire(&q->head); /* as above */
		if (again == head)
			return tail - head;
		head = again;
	}
}

/* Where item number `n` is, if it is in. */
static unsigned char *slot_of(struct fl__pair *q, uint64_t n)
{
	return fl__slots_at(&q->slots, (size_t)(n % q->capacity));
}

/* By the slots, as put and get, and not by the counts: those lines are where the other side wants to write. */
static int pair_can_get(void *state)
{
	struct fl__pair *q = state;
	if (flags_of(q) & FL__PAIR_DROPPED)
		return -EPIPE;
	const uint64_t head = fl__load_relaxed(&q->head); /* relaxed: whoever acts on what this says loads it anew */
	return fl__slot_is_full(slot_of(q, head)) ? 0 : no_item(q, head);
}

static int pair_can_put(void *state)
{
	struct fl__pair *q = state;
	if (flags_of(q) & FL__PAIR_CLOSED)
		return -EPIPE;
	const uint64_t tail = fl__load_relaxed(&q->tail); /* relaxed: as above */
	return fl__slot_is_full(slot_of(q, tail)) ? no_space(q) : 0;
}

static bool pair_mark_empty(void *state)
{
	struct fl__pair *q = state;
	if (items_in(q) != 0 || (flags_of(q) & FL__PAIR_CLOSED))
		return false;
	fl__or_relaxed(&q->flags, (uint32_t)FL__PAIR_GETTER); /* relaxed: agree() orders it */
	agree(q);
	return !is_putting(q) && items_in(q) == 0 && !(flags_of(q) & FL__PAIR_CLOSED);
}

static bool pair_mark_full(void *state)
{
	struct fl__pair *q = state;
	if (items_in(q) != q->capacity || (flags_of(q) & FL__PAIR_CLOSED))
		return false;
	fl__or_relaxed(&q->flags, (uint32_t)FL__PAIR_PUTTER); /* relaxed: agree() orders it */
	agree(q);
	return !is_getting(q) && items_in(q) == q->capacity && !(flags_of(q) & FL__PAIR_CLOSED);
}

/* The end. */

static void pair_close(void *state)
{
	struct fl__pair *q = state;
	(void)fl__or_release(&q->flags, (uint32_t)FL__PAIR_CLOSED); /* what was done before; pairs with flags_of() */
	for (unsigned round = 0; !seal(q); round++)
		fl__queue_pause(round);
}

static bool pair_is_closed(void *state)
{
	return (flags_of(state) & FL__PAIR_CLOSED) != 0;
}

/* The first who comes has all that is in; gets are refused from then on. */
static int pair_discard(fl_queue *of, size_t *count, bool *owes_wake)
{
	struct fl__pair *q = fl__queue_as_pair(of);
	(void)owes_wake; /* to nobody: no put waits in a closed queue */
	const uint32_t before = fl__or_relaxed(&q->flags, (uint32_t)FL__PAIR_DROPPED); /* relaxed: agree() orders it */
	if ((before & FL__PAIR_DROPPED) || items_in(q) == 0)
		return -EPIPE;
	if (before & FL__PAIR_CLOSED) { /* else nobody uses it */
		agree(q);
		for (unsigned round = 0; is_getting(q); round++)
			fl__queue_pause(round);
	}
	unsigned char *slot = q->get_slot;
	/* relaxed, both: is_getting() has acquired the head, and items_in() the tail, its last */
	uint64_t at = fl__load_relaxed(&q->head);
	const uint64_t end = fl__load_relaxed(&q->tail);
	fl__store_relaxed(&q->head, end); /* relaxed: no put comes that would need the slots */
	for (*count = (size_t)(end - at); at != end; at++) {
		for (unsigned round = 0; !fl__slot_is_full(slot); round++)
			fl__queue_pause(round); /* the queue may be freed once all is dropped */
		if (of->drop)
			of->drop(fl__slot_item(q->slots.shape, slot), of->drop_arg);
		slot = fl__slot_after(&q->slots, q->slots.shape, slot);
		(void)fl__queue_done(of); /* false: it was said to be done before it was got */
	}
	return 0;
}

/* Looking. */

static size_t pair_length(void *state)
{
	return (size_t)items_in(state);
}

static size_t pair_capacity(const void *state)
{
	return ((const struct fl__pair *)state)->capacity; /* never changes */
}

static uint64_t pair_puts(void *state)
{
	/* relaxed: a count; who compares it has acquired what is done, and so the puts of that (join.c) */
	return fl__load_relaxed(&((struct fl__pair *)state)->tail);
}

const struct fl__queue_type fl__queue_pair = {
    .size = sizeof(struct fl__pair),
    .init = pair_init,
    .fini = pair_fini,
    .put = pair_put,
    .get = pair_get,
    .discard = pair_discard,
    .can = {pair_can_get, pair_can_put},
    .mark = {pair_mark_empty, pair_mark_full},
    .close = pair_close,
    .is_closed = pair_is_closed,
    .length = pair_length,
    .capacity = pair_capacity,
    .puts = pair_puts,
};
