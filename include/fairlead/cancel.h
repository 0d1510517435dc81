/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_CANCEL_H
#define FAIRLEAD_CANCEL_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stdint.h>

FL_BEGIN_DECLS

/*
 * Cancel token: asks waits, present and future, to give up. Tokens form a tree: a request reaches every descendant, and
 * no descendant outlives its ancestors' deadlines. A request is level-triggered: it stays, and every wait that would
 * block under it returns -ECANCELED until the token is destroyed.
 *
 * A call that can succeed at once does so, also under a requested token. A call that sleeps when its token is requested
 * returns -ECANCELED and takes nothing: what is put, released, signalled or set after the request stays for others, however
 * late the cancelled thread or fiber runs. A call that was woken before the request may still succeed. Two calls that others
 * count on finish what they began: a barrier that all have reached lets the cancelled caller pass, and a
 * condition wait has its mutex again.
 *
 *     fl_cancel_token stop;
 *     fl_cancel_token_init(&stop, NULL, fl_after(FL_S(5)));
 *     rc = fl_queue_get_until(q, &item, FL_FOREVER, &stop);      // -ECANCELED on request or after 5 s
 *     fl_cancel_token_destroy(&stop);
 *
 * Every context (thread, worker, task) has a current *scope*, a token or none. Plain blocking calls observe the scope;
 * plain locking does not, nor does taking a mutex again after a condition wait. Where a call takes a token, NULL means
 * the scope and FL_SHIELDED means none.
 *
 * All-zero is valid: a token without parent and without deadline. A token must not move while it is in use.
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

/* In place of a token: this wait cannot be cancelled. */
FL_API extern fl_cancel_token fl__shielded;
#define FL_SHIELDED (&fl__shielded)

/*
 * Makes `c` a child of `parent` (NULL: of the context's scope; FL_SHIELDED, or no scope: a root) that counts as requested
 * from `deadline` on. The parent must outlive it. Never waits. Thread-safe with respect to the parent.
 */
FL_API void fl_cancel_token_init(fl_cancel_token *c, fl_cancel_token *parent, int64_t deadline);

/*
 * Takes `c` out of its tree. Requires: no child, no callback that was not removed or asked to run, and no wait under it. Panics
 * when it has a child or such a callback. Never waits.
 */
FL_API void fl_cancel_token_destroy(fl_cancel_token *c);

/*
 * Requests `c` and all its descendants, wakes every wait under them, and then runs their callbacks
 * (fairlead/cancel_callback.h). A second request does nothing. Never waits, apart from what callbacks do.
 * Memory order: what was written before the request is visible to whoever sees it.
 */
FL_API void fl_cancel_token_request(fl_cancel_token *c);

/* Whether `c` or an ancestor was requested, or a deadline of theirs has passed. NULL and FL_SHIELDED as above. */
FL_API bool fl_cancel_token_is_requested(const fl_cancel_token *c);

/* The earliest deadline of `c` and its ancestors; FL_FOREVER when there is none. NULL and FL_SHIELDED as above. */
FL_API int64_t fl_cancel_token_deadline(const fl_cancel_token *c);

/* The scope of the calling context; NULL when it has none. */
FL_API fl_cancel_token *fl_cancel_scope_current(void);

/* Makes `c` (NULL or FL_SHIELDED: none) the scope of the calling context. Returns the scope before, to be set again. */
FL_API fl_cancel_token *fl_cancel_scope_set(fl_cancel_token *c);

/* FL_CANCEL_SCOPE(&c): `c` is the scope of the calling context until the end of the block. */
#define FL_CANCEL_SCOPE(c)                                                                                             \
	__attribute__((cleanup(fl__cancel_scope_end), unused)) fl_cancel_token *FL__JOIN(fl__scope_, __LINE__) =       \
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
