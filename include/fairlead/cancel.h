/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CANCEL_H
#define FAIRLEAD_CANCEL_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Cancel token: asks waits to give up. Tokens form a tree. A request reaches the token and all its
 * descendants, and stays: from then on each wait that would block under the token returns
 * -ECANCELED. A descendant's deadline is never later than an ancestor's.
 *
 *     fl_cancel_token stop;
 *     fl_cancel_token_init(&stop, NULL, fl_after(FL_S(5)));
 *     rc = fl_queue_get_until(q, &item, FL_FOREVER, &stop);   // -ECANCELED on request or after 5 s
 *     fl_cancel_token_destroy(&stop);
 *
 * A call that can succeed at once does so, also under a requested token. A call that sleeps when
 * its token is requested returns -ECANCELED and consumes nothing: an item, a permit or a wake that
 * comes after the request is left for other contexts, however late the cancelled context runs. A
 * call that was woken before the request may still succeed. Two calls complete nevertheless: a
 * barrier wait that all parties have reached returns as usual, and a condition wait locks its mutex
 * before it returns.
 *
 * Every context (thread or fiber) has a cancel scope: a token, or none. Plain blocking calls
 * observe the scope. Plain locks do not, nor does a condition wait while it locks its mutex. Where
 * a call takes a token, NULL means the scope, and FL_SHIELDED means no token.
 *
 * All-zero is a token without parent and deadline. A token must not move while it is in use.
 */
typedef struct fl_cancel_token {
	uint32_t word_;        /* requested, waiters, callbacks */
	uint32_t lock_;        /* of the tree, used in its root */
	int64_t from_forever_; /* FL_FOREVER - deadline, so that all-zero means none */
	struct fl_cancel_token *root_, *parent_, *child_, *next_, *prev_;
	struct fl_cancel_callback *callbacks_; /* fairlead/cancel_callback.h */
} fl_cancel_token;

/* clang-format off */
#define FL_CANCEL_TOKEN_INIT { 0, 0, 0, 0, 0, 0, 0, 0, 0 }
/* clang-format on */

/* As a token argument: the wait cannot be cancelled. */
FL_API extern fl_cancel_token fl__shielded;
#define FL_SHIELDED (&fl__shielded)

/*
 * Makes `c` a child of `parent`; NULL: of the context's scope; FL_SHIELDED, or NULL without a
 * scope: a root. `c` counts as requested from `deadline` on, or from the parent's deadline if that
 * is earlier. Other threads may use `parent` at the same time. `parent` must outlive `c`. Never
 * waits.
 */
FL_API void fl_cancel_token_init(fl_cancel_token *c, fl_cancel_token *parent, int64_t deadline);

/*
 * Removes `c` from its tree. Requires that no wait is under `c`, and that no other thread uses `c`.
 * Panics if `c` has a child, or a callback that is neither removed nor started by a request. Never
 * waits.
 */
FL_API void fl_cancel_token_destroy(fl_cancel_token *c);

/*
 * Requests `c` and all its descendants, wakes all waits under them, then runs their callbacks
 * (fairlead/cancel_callback.h). A second request does nothing. Never waits, except in callbacks.
 * Memory order: a release, which each call that sees the request acquires.
 */
FL_API void fl_cancel_token_request(fl_cancel_token *c);

/*
 * Returns whether `c` or an ancestor was requested, or its deadline has passed. NULL: the context's
 * scope; false without one, and for FL_SHIELDED. Never waits.
 */
FL_API bool fl_cancel_token_is_requested(const fl_cancel_token *c);

/*
 * Returns the earliest deadline of `c` and its ancestors; FL_FOREVER: none. NULL: the context's
 * scope; FL_FOREVER without one, and for FL_SHIELDED. Never waits.
 */
FL_API int64_t fl_cancel_token_deadline(const fl_cancel_token *c);

/* Returns the calling context's scope; NULL: none. Never waits. */
FL_API fl_cancel_token *fl_cancel_scope_current(void);

/*
 * Makes `c` the calling context's scope; NULL or FL_SHIELDED: none. Returns the scope before, for
 * the caller to restore. Never waits.
 */
FL_API fl_cancel_token *fl_cancel_scope_set(fl_cancel_token *c);

/* FL_CANCEL_SCOPE(&c): makes `c` the calling context's scope until the end of the block. */
#define FL_CANCEL_SCOPE(c)                                                                                             \
	__attribute__((cleanup(fl__cancel_scope_end), unused)) fl_cancel_token *FL__UNIQUE(fl__scope_) =               \
	    fl_cancel_scope_set(c)

static inline void fl__cancel_scope_end(fl_cancel_token **_before)
{
	(void)fl_cancel_scope_set(*_before);
}

static inline void fl__scoped_fl_cancel_token(fl_cancel_token *_c)
{
	fl_cancel_token_destroy(_c);
}

FL_END_DECLS

#endif
