/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPSC_H
#define FAIRLEAD_MPSC_H

#include <fairlead/chain_of.h>
#include <fairlead/defs.h>
#include <stdbool.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * An unbounded FIFO of items of one size, copied in and out, for any number of producers and one consumer, that never blocks:
 * an inbox. As fl_mpmc_unbounded, but a get is a load and a copy.
 *
 *     FL_MPSC_OF(struct message, inbox)
 *
 *     FL_SCOPED(inbox) *q = NULL;
 *     rc = inbox_create(&q, NULL);            // check
 *     rc = inbox_try_put(q, message);         // any thread; -ENOMEM, -EPIPE: the message is untouched
 *     rc = inbox_try_get(q, &message);        // the consumer; -EAGAIN: empty; -EPIPE: closed and drained
 *
 * Progress: puts are lock-free, gets wait-free but for putting a segment aside, which is lock-free; no call waits for another
 * thread, wherever that was stopped: a consumer that comes to the place of a put that is stopped in the middle waits for less
 * than a microsecond, goes on, and the put takes another place. The exceptions are those of fl_mpmc_unbounded: the allocator,
 * and a thread whose first call finds no memory. What that says of order, memory order, memory, fibers, signal handlers and
 * fork holds here, too.
 *
 * The consumer is whoever calls get, get_many or free: one at a time. Another thread may take over when the one before has
 * handed it on by means of its own (a lock, a join).
 */
typedef struct fl_mpsc fl_mpsc;

typedef struct fl_mpsc_config {
	size_t segment;                           /* items in a segment; 0: as many as fit into 8 KiB, 16 to 512 */
	void (*drop)(void *item, void *drop_arg); /* called for each item that nobody will get; may be NULL */
	void *drop_arg;
} fl_mpsc_config;

/*
 * Makes a queue of items of `item_size` bytes. `config` may be NULL. Never waits.
 * Returns 0, -EINVAL (item size 0), -EOVERFLOW (a segment above PTRDIFF_MAX), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_mpsc_create(fl_mpsc **q, size_t item_size, const fl_mpsc_config *config);

/* Drops what is left in `q` and frees it; NULL does nothing. No other thread may be inside, or come. Never waits. */
FL_API void fl_mpsc_free(fl_mpsc *q);

/* Puts a copy of `*item`. Returns 0, -EPIPE (closed), -ENOMEM. Never waits. */
FL_API FL_MUST_CHECK int fl_mpsc_try_put(fl_mpsc *q, const void *item);

/*
 * Puts the `n` items of `items` in their order; others may come between. Returns how many went in: less than `n` only when `q`
 * is closed, or there was no memory. Never waits.
 */
FL_API FL_MUST_CHECK size_t fl_mpsc_try_put_many(fl_mpsc *q, const void *items, size_t n);

/* The consumer's. Gets the oldest item. Returns 0, -EAGAIN (empty), -EPIPE (closed and drained). Never waits. */
FL_API FL_MUST_CHECK int fl_mpsc_try_get(fl_mpsc *q, void *item);

/* The consumer's. Gets up to `n` items that follow each other. Returns how many; 0: empty. Never waits. */
FL_API FL_MUST_CHECK size_t fl_mpsc_try_get_many(fl_mpsc *q, void *items, size_t n);

/*
 * Closes `q`: no more in; what is in can be got. Again: nothing. A put that is under way is refused, or its item will be got:
 * once a get has returned -EPIPE nothing was accepted that is not got. Any thread. Never waits.
 */
FL_API void fl_mpsc_close(fl_mpsc *q);

/* Whether `q` is closed. Any thread. Never waits. */
FL_API bool fl_mpsc_is_closed(fl_mpsc *q);

/*
 * About how many items are in `q`, those included that are just being put. A put that has failed is
 * not counted: the length of a closed queue without puts under way is the number of items that can
 * be got. Any thread. Never waits.
 */
FL_API size_t fl_mpsc_length(fl_mpsc *q);

static inline void fl__scoped_fl_mpsc(fl_mpsc **_q)
{
	fl_mpsc_free(*_q);
}

FL_END_DECLS

/*
 * FL_MPSC_OF(struct message, inbox) makes the type inbox and, for each fl_mpsc_... function, an inbox_... that takes and gives
 * struct message. At file scope; C and C++.
 */
#define FL_MPSC_OF(type, name) FL__CHAIN_OF(type, name, fl_mpsc)

#endif
