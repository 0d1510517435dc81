/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PRIVATE_CONTEXT_H
#define FAIRLEAD_PRIVATE_CONTEXT_H

/*
 * This header is private. It has the beginning of an execution context, which inline functions
 * use.
 */
#include <fairlead/cancel.h>
#include <fairlead/private/inline.h>

FL_BEGIN_DECLS

struct fl__fork_stack; /* fairlead/parallel.h */

/* What an execution context runs. A stolen call is a part of what its forker runs. */
struct fl__inside {
	void *helper;                /* the innermost task: lib/core/wait/context.h */
	struct fl__calling *calling; /* the callbacks that it runs: lib/core/future/future.h */
};

/* The members of a context that inline functions need. */
struct fl__ctx_front {
	struct fl__fork_stack *forks; /* the context's forks, or NULL if no worker would steal them */
	fl_cancel_token *scope;       /* the token that plain waits observe, or NULL */
	struct fl__inside inside;
};

struct fl__ctx;
FL_API extern __thread struct fl__ctx *fl__ctx_current FL__INITIAL_EXEC;

FL_END_DECLS

#endif
