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
 * Select: makes one of several puts and gets, the first that can be made.
 *
 *     switch (FL_SELECT_UNTIL(fl_after(FL_S(1)), NULL, FL_GET(jobs, &job), FL_PUT(results, &r))) {
 *     case 0: ...                    got a job
 *     case 1: ...                    the result is put
 *     case -EPIPE: ...               one of them is closed
 *     case -ETIMEDOUT: ...
 *     }
 *
 * If several cases can be made at once, one is chosen at random. The queues may be of all kinds,
 * and the same queue more than once. At a rendezvous, the cases of one select never meet each
 * other. Of a typed queue the size of the item is checked, not its type.
 */
typedef struct fl_select_case {
	fl_queue *queue;              /* NULL: this case is left out */
	void *to;                     /* a get: where the item goes; else NULL */
	const void *from;             /* a put: the item; else NULL */
	size_t size;                  /* of the item, in bytes */
	bool closed;                  /* set by fl_select_until(): whether its -EPIPE is of this case */
	struct fl_select_case *next_; /* this and the next: used by fl_select_until() */
	uintptr_t offer_[14];
} fl_select_case;

/* clang-format off */
#define FL_GET(q, item) { (fl_queue *)(void *)(q), (item), NULL, sizeof *(item), false, NULL, { 0 } }
#define FL_PUT(q, item) { (fl_queue *)(void *)(q), NULL, (item), sizeof *(item), false, NULL, { 0 } }
/* clang-format on */

/*
 * Makes one of the `n` puts and gets of `cases`. Blocks the calling context until one can be made.
 * The cases are tried one after the other, not all at one moment.
 *
 * A case of a closed queue is as likely to be chosen as one that succeeds; `queue` NULL leaves a
 * case out. Returns -ETIMEDOUT, -ECANCELED, or:
 *   0 or more     the index of the case that was made
 *   -EPIPE        the queue of a case is closed; `closed` of that case is set
 *   -EOWNERDEAD   in a forked child: a call that the parent had in progress holds up a case
 *                 (fairlead/queue.h)
 *   -ENOMEM       of a put, if its queue may return that
 *   -EINVAL       no case, or all are left out; more than INT_MAX; a case with both `to` and
 *                 `from`, or neither; a size that is not the queue's
 *
 * With a negative result, nothing was put or got. Memory order: that of the put or get.
 *
 * The cases and all their queues must exist until the call returns. Exception: a queue may be freed
 * once the item that the call has put there is got, unless the queue is a rendezvous, or in `cases`
 * more than once.
 *
 * A wait takes time quadratic in `n`.
 */
FL_API FL_MUST_CHECK int fl_select_until(fl_select_case *cases, size_t n, fl_time deadline, fl_cancel_token *cancel);

FL_END_DECLS

/*
 * Calls fl_select_until() with a list of FL_GET and FL_PUT. Only an array of fl_select_case tells
 * the caller which queue is closed.
 */
#ifdef __cplusplus
template <size_t _n>
static inline FL_MUST_CHECK int fl__select_list(fl_select_case (&&_cases)[_n], fl_time _deadline,
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
