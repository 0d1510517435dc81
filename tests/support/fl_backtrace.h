/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BACKTRACE_H
#define FL_BACKTRACE_H

/* backtrace(), which glibc has and musl has not. */
#ifdef __GLIBC__
#include <execinfo.h>
#else
#include <unwind.h>

struct fl_backtrace {
	void **frames;
	int most, n;
};

static inline _Unwind_Reason_Code fl_backtrace_frame(struct _Unwind_Context *context, void *arg)
{
	struct fl_backtrace *b = arg;
	if (b->n == b->most)
		return _URC_END_OF_STACK;
	if (!_Unwind_GetIP(context)) /* behind the last frame */
		return _URC_END_OF_STACK;
	b->frames[b->n++] = (void *)_Unwind_GetIP(context);
	return _URC_NO_REASON;
}

static inline int backtrace(void **frames, int most)
{
	struct fl_backtrace b = {frames, most, 0};
	(void)_Unwind_Backtrace(fl_backtrace_frame, &b);
	return b.n;
}
#endif

#endif
