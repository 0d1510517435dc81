/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SELECT_H
#define FAIRLEAD_SELECT_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/queue.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Select: makes one of several puts and gets, the first that can be made; the others leave nothing behind.
 *
 *     switch (FL_SELECT_UNTIL(fl_after(FL_S(1)), NULL, FL_GET(jobs, &job), FL_PUT(results, &result))) {
 *     case 0: ...                    got a job
 *     case 1: ...                    the result is put
 *     case -EPIPE: ...               one of them is closed
 *     case -ETIMEDOUT: ...
 *     }
 *
 * Of several that can be made at once one is chosen at random, each as likely as any other. Queues of all kinds, typed or
 * not, also the same queue more than once; a rendezvous never meets another case of its own select. Of a typed queue's item the size
 * is checked, not the type.
 */
typedef struct fl_select_case {
	fl_queue *queue;              /* NULL: this case is left out */
	void *to;                     /* a get: where the item goes; else NULL */
	const void *from;             /* a put: the item; else NULL */
	size_t size;                  /* of the item, in bytes */
	bool closed;                  /* set by fl_select_until, of each case: whether it is the one of its -EPIPE */
	struct fl_select_case *next_; /* from here on: its own */
	uintptr_t offer_[14];
} fl_select_case;

/* clang-format off */
#define FL_GET(q, item) { (fl_queue *)(void *)(q), (item), NULL, sizeof *(item), false, NULL, { 0 } }
#define FL_PUT(q, item) { (fl_queue *)(void *)(q), NULL, (item), sizeof *(item), false, NULL, { 0 } }
/* clang-format on */

/*
 * Makes one of the `n` puts and gets of `cases`. Blocks the calling context until one can be made; a deadline in the past, such
 * as 0, asks for those that can be made now: they are looked at one after the other, not all at one moment. Closing counts: a
 * get of a queue that is closed and drained, or a put to one that is closed, is as likely to be chosen as one that succeeds,
 * so a loop leaves it out from then on. Results:
 *
 *     0 or more     the index of the case that was made
 *     -EPIPE        of a case whose queue is closed, whose `closed` is now set; set its `queue` to NULL to go on with the others
 *     -ETIMEDOUT, -ECANCELED
 *     -ENOMEM       of a put, if that queue's may return it
 *     -EINVAL       no case, or all are left out; more than INT_MAX; one with both of `to` and `from`, or neither; a size that is not
 *                   the queue's
 *
 * When it is not an index, nothing was put, nor got. Memory order: of the put or get. The cases and all their queues must be there
 * until it returns: who meets it, or closes a queue of it, does not know that it has, and joins its thread or fiber before the queues
 * are freed. (One to which it has put an item that is got may go, unless it is a rendezvous, or there more than once.)
 * Setting it up takes time quadratic in `n` when it has to wait: it is meant for some dozens.
 */
FL_API FL_MUST_CHECK int fl_select_until(fl_select_case *cases, size_t n, int64_t deadline, fl_cancel_token *cancel);

FL_END_DECLS

/*
 * The same over a list of FL_GET and FL_PUT. It does not tell which queue is closed: a caller that
 * goes on after that needs an array of fl_select_case.
 */
#ifdef __cplusplus
template <size_t _n>
static inline FL_MUST_CHECK int fl__select_list(fl_select_case (&&_cases)[_n], int64_t _deadline,
                                                fl_cancel_token *_cancel)
{
	return fl_select_until(_cases, _n, _deadline, _cancel);
}
#define FL_SELECT_UNTIL(deadline, cancel, ...) fl__select_list({__VA_ARGS__}, deadline, cancel)
#else
#define FL_SELECT_UNTIL(deadline, cancel, ...)                                                                         \
	fl_select_until((fl_select_case[]){__VA_ARGS__},                                                               \
	                sizeof((fl_select_case[]){__VA_ARGS__}) / sizeof(fl_select_case), deadline, cancel)
#endif
#define FL_SELECT(...) FL_SELECT_UNTIL(FL_FOREVER, NULL, __VA_ARGS__)

#endif
