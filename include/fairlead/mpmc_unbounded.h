/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_MPMC_UNBOUNDED_H
#define FAIRLEAD_MPMC_UNBOUNDED_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * An unbounded FIFO of items of one size, copied in and out, for any number of producers and consumers, that never blocks. For
 * who polls it, or brings a way of waiting of his own; fl_queue is the one that waits.
 *
 *     FL_MPMC_UNBOUNDED_OF(struct job, job_list)
 *
 *     FL_SCOPED(job_list) *q = NULL;
 *     rc = job_list_create(&q, NULL);         // check
 *     rc = job_list_try_put(q, job);          // -ENOMEM, -EPIPE: the job is untouched
 *     rc = job_list_try_get(q, &job);         // -EAGAIN: empty; -EPIPE: closed and drained
 *
 * Progress: lock-free; no call waits for another thread, wherever that was stopped. (Two exceptions: the allocator's own, when
 * a segment is full, which a steady flow does not come to; and a thread whose very first call finds no memory for 4 KiB of its
 * own: its gets, its looks and its close take turns with those of others in that state.) A producer that is stopped in the middle
 * of a put holds up nobody: a consumer that comes to its place waits for less than a microsecond, goes on, and the put takes
 * another place.
 *
 * Order: linearizable; items of one producer come out in its order. Memory order: a get sees what was written before the put
 * of its item. On any error the item, or what it was to be copied to, is untouched.
 *
 * Memory: segments of some 8 KiB, one at least and one to spare. What is drained is given back at once, but for segments that
 * a thread may still be looking at: two at most for each thread that has used such a queue and has neither used another nor
 * ended since, however long it is stopped (hazard pointers; with epochs it would be without bound).
 *
 * Any thread, any fiber; not from signal handlers. A forked child may go on with its copy: an item that another thread was just
 * taking out is lost there, one that was just being put is not in it.
 */
typedef struct fl_mpmc_unbounded fl_mpmc_unbounded;

typedef struct fl_mpmc_unbounded_config {
	size_t segment;                           /* items in a segment; 0: as many as fit into 8 KiB, 16 to 512 */
	void (*drop)(void *item, void *drop_arg); /* called for each item that nobody will get; may be NULL */
	void *drop_arg;
	/*
	 * Promises that at most one thread at a time calls get, get_many or free. Another thread may
	 * take over when the thread before has handed the queue on by means of its own (a lock, a
	 * join). Then a get is a load and a copy, and is wait-free, apart from a change of segments,
	 * which is lock-free. To break the promise is undefined.
	 */
	bool one_consumer;
} fl_mpmc_unbounded_config;

/*
 * Makes a queue of items of `item_size` bytes. `config` may be NULL. Never waits.
 * Returns 0, -EINVAL (item size 0), -EOVERFLOW (a segment above PTRDIFF_MAX), -ENOMEM.
 */
FL_API FL_MUST_CHECK int fl_mpmc_unbounded_create(fl_mpmc_unbounded **q, size_t item_size,
                                                  const fl_mpmc_unbounded_config *config);

/* Drops what is left in `q` and frees it; NULL does nothing. No other thread may be inside, or come. Never waits. */
FL_API void fl_mpmc_unbounded_free(fl_mpmc_unbounded *q);

/* Puts a copy of `*item`. Returns 0, -EPIPE (closed), -ENOMEM. Never waits. */
FL_API FL_MUST_CHECK int fl_mpmc_unbounded_try_put(fl_mpmc_unbounded *q, const void *item);

/*
 * Puts the `n` items of `items` in their order; others may come between. Returns how many went in: less than `n` only when `q`
 * is closed, or there was no memory. Never waits.
 */
FL_API FL_MUST_CHECK size_t fl_mpmc_unbounded_try_put_many(fl_mpmc_unbounded *q, const void *items, size_t n);

/* Gets the oldest item. Returns 0, -EAGAIN (empty), -EPIPE (closed and drained). Never waits. */
FL_API FL_MUST_CHECK int fl_mpmc_unbounded_try_get(fl_mpmc_unbounded *q, void *item);

/* Gets up to `n` items that follow each other. Returns how many; 0: empty. Never waits. */
FL_API FL_MUST_CHECK size_t fl_mpmc_unbounded_try_get_many(fl_mpmc_unbounded *q, void *items, size_t n);

/*
 * Closes `q`: no more in; what is in can be got. Again: nothing. A put that is under way is refused, or its item will be got:
 * once a get has returned -EPIPE nothing was accepted that is not got. Never waits.
 */
FL_API void fl_mpmc_unbounded_close(fl_mpmc_unbounded *q);

/* Whether `q` is closed. Never waits. */
FL_API bool fl_mpmc_unbounded_is_closed(fl_mpmc_unbounded *q);

/*
 * About how many items are in `q`, those included that are just being put. A put that has failed is
 * not counted: the length of a closed queue without puts under way is the number of items that can
 * be got. Never waits.
 */
FL_API size_t fl_mpmc_unbounded_length(fl_mpmc_unbounded *q);

static inline void fl__scoped_fl_mpmc_unbounded(fl_mpmc_unbounded **_q)
{
	fl_mpmc_unbounded_free(*_q);
}

FL_END_DECLS

/*
 * FL_MPMC_UNBOUNDED_OF(struct job, job_list) makes the type job_list and, for each fl_mpmc_unbounded_... function, a
 * job_list_... that takes and gives struct job. At file scope; C and C++.
 */
#define FL_MPMC_UNBOUNDED_OF(type, name)                                                                               \
	typedef struct name name;                                                                                      \
	FL__MPMC_UNBOUNDED_FN FL_MUST_CHECK int name##_create(name **_q, const fl_mpmc_unbounded_config *_config)      \
	{                                                                                                              \
		fl_mpmc_unbounded *_made = NULL;                                                                       \
		int _rc = fl_mpmc_unbounded_create(&_made, sizeof(type), _config);                                     \
		if (_rc == 0)                                                                                          \
			*_q = (name *)_made;                                                                           \
		return _rc;                                                                                            \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN fl_mpmc_unbounded *name##_untyped(name *_q)                                              \
	{                                                                                                              \
		return (fl_mpmc_unbounded *)_q;                                                                        \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN void name##_free(name *_q)                                                               \
	{                                                                                                              \
		fl_mpmc_unbounded_free((fl_mpmc_unbounded *)_q);                                                       \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN void fl__scoped_##name(name **_q)                                                        \
	{                                                                                                              \
		fl_mpmc_unbounded_free((fl_mpmc_unbounded *)*_q);                                                      \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN FL_MUST_CHECK int name##_try_put(name *_q, type _item)                                   \
	{                                                                                                              \
		return fl_mpmc_unbounded_try_put((fl_mpmc_unbounded *)_q, &_item);                                     \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN FL_MUST_CHECK size_t name##_try_put_many(name *_q, type const *_items, size_t _n)        \
	{                                                                                                              \
		return fl_mpmc_unbounded_try_put_many((fl_mpmc_unbounded *)_q, _items, _n);                            \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN FL_MUST_CHECK int name##_try_get(name *_q, type *_item)                                  \
	{                                                                                                              \
		return fl_mpmc_unbounded_try_get((fl_mpmc_unbounded *)_q, _item);                                      \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN FL_MUST_CHECK size_t name##_try_get_many(name *_q, type *_items, size_t _n)              \
	{                                                                                                              \
		return fl_mpmc_unbounded_try_get_many((fl_mpmc_unbounded *)_q, _items, _n);                            \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN void name##_close(name *_q)                                                              \
	{                                                                                                              \
		fl_mpmc_unbounded_close((fl_mpmc_unbounded *)_q);                                                      \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN bool name##_is_closed(name *_q)                                                          \
	{                                                                                                              \
		return fl_mpmc_unbounded_is_closed((fl_mpmc_unbounded *)_q);                                           \
	}                                                                                                              \
	FL__MPMC_UNBOUNDED_FN size_t name##_length(name *_q)                                                           \
	{                                                                                                              \
		return fl_mpmc_unbounded_length((fl_mpmc_unbounded *)_q);                                              \
	}

#define FL__MPMC_UNBOUNDED_FN __attribute__((unused)) static inline

#endif
