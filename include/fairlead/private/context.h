/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_PRIVATE_CONTEXT_H
#define FAIRLEAD_PRIVATE_CONTEXT_H

/* Private: the begin of an execution context. */
#include <fairlead/cancel.h>
#include <fairlead/private/inline.h>

FL_BEGIN_DECLS

struct fl__fork_stack; /* fairlead/parallel.h */

/* What an execution context runs. A stolen call is a part of what its forker runs. */
struct fl__inside {
	void *helper;                /* of the innermost task: lib/core/wait/context.h */
	struct fl__calling *calling; /* of the callbacks that it runs: lib/core/future/future.h */
};

/* What inline code needs. */
struct fl__ctx_front {
	struct fl__fork_stack *forks; /* its forks; NULL: no other worker would steal them */
	fl_cancel_token *scope;       /* observed by plain waits; NULL: none */
	struct fl__inside inside;
};

struct fl__ctx;
FL_API extern __thread struct fl__ctx *fl__ctx_current FL__INITIAL_EXEC;

FL_END_DECLS

#endif
