/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes stacks with the unwinder of exceptions, which allocates no memory after its first use, and
 * takes no lock that a signal handler could have interrupted.
 */
#include "backtrace.h"
#include <unwind.h>

struct backtrace_taking {
	struct fl__backtrace *stack;
	int skip, n;
};

static _Unwind_Reason_Code backtrace_take_frame(struct _Unwind_Context *context, void *arg)
{
	struct backtrace_taking *t = arg;
	const uintptr_t at = (uintptr_t)_Unwind_GetIP(context);
	if (t->skip > 0) {
		t->skip--;
		return _URC_NO_REASON;
	}
	if (at == 0)
		return _URC_END_OF_STACK;
	t->stack->at[t->n++] = at;
	return t->n < FL__BACKTRACE_FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

FL__NOINLINE void fl__backtrace_take(struct fl__backtrace *stack, int skip)
{
	struct backtrace_taking t = {stack, skip + 1, 0};
	(void)_Unwind_Backtrace(backtrace_take_frame, &t);
	if (t.n < FL__BACKTRACE_FRAMES)
		stack->at[t.n] = 0;
}
