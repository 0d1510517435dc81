/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SELECT_H
#define FAIRLEAD_SELECT_H

#include <fairlead/cancel.h>
#include <fairlead/defs.h>
#include <fairlead/queue.h>
#include <fairlead/time.h>

FL_BEGIN_DECLS

/*
 * A select makes one of several puts and gets of queues, the first that can be made.
 *
 *     switch (FL_SELECT_UNTIL(fl_after(FL_S(1)), NULL, FL_GET(jobs, &job), FL_PUT(results, &r))) {
 *     case 0: ...                    // got a job
 *     case 1: ...                    // the result is put
 *     case -EPIPE: ...               // one of them is closed
 *     case -ETIMEDOUT: ...
 *     }
 *
 * If several cases can be made, one is chosen at random. The queues may be of all kinds, and one
 * may occur several times. At a rendezvous, the cases of one select never meet. For a typed queue,
 * only the size of the item is checked, not its type.
 */
typedef struct fl_select_case {
	fl_queue *queue;  /* NULL leaves this case out */
	void *to;         /* of a get: where the item goes; of a put: NULL */
	const void *from; /* of a put: the item; of a get: NULL */
	size_t size;      /* of the item, in bytes */
	bool closed;      /* set by fl_select_until(): this case caused -EPIPE */
	struct fl_select_case *next_;
	uintptr_t offer_[14];
} fl_select_case;

/* clang-format off */
#define FL_GET(q, item) { FL__CAST_POINTER(fl_queue *, q), (item), NULL, sizeof *(item), false, NULL, { 0 } }
#define FL_PUT(q, item) { FL__CAST_POINTER(fl_queue *, q), NULL, (item), sizeof *(item), false, NULL, { 0 } }
/* clang-format on */

/*
 * Makes one of the `n` puts and gets of the array `cases`. Blocks the calling context until one can
 * be made. A case of a closed queue is as likely to be chosen as one that succeeds. Returns
 * -ETIMEDOUT, -ECANCELED, or:
 *   0 or more  the index of the case that was made
 *   -EPIPE     the queue of a case is closed; `closed` of that case is true
 *   -ENOMEM    out of memory for a put into a queue that is unbounded or overwrites
 *   -EINVAL    no case is left, or there are more than INT_MAX; or a case has both `to` and `from`,
 *              or neither, or another size than the queue's items
 *
 * The cases and all their queues must exist until the call returns.
 */
FL_API FL_MUST_CHECK int fl_select_until(fl_select_case *cases, size_t n, fl_time deadline, fl_cancel_token *cancel);

FL_END_DECLS

/*
 * FL_SELECT() and FL_SELECT_UNTIL() call fl_select_until() with a list of FL_GET() and FL_PUT(). To
 * learn which queue is closed after -EPIPE, call fl_select_until() itself.
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
