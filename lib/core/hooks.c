/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words of debugging that primitives read: apart, so that these do not link the code of
 * debugging.
 *
 *   word               off      on               meaning
 *   fl__debug          0        FL_DEBUG_ bits   what is recorded
 *   fl__debug_free     0        FL__DEBUG_NEVER  what the fast path of a lock expects
 *   fl__debug_readers  MOST     0                the most readers of fl_rwlock's fast path
 *   fl__trace          0        1                whether events are recorded: trace.h
 */
#include "hooks.h"
#include "base/panic.h"
#include "base/sys.h"
#include <stdlib.h>

uint32_t fl__debug, fl__trace;
int32_t fl__trace_rank = -1;
uint32_t fl__debug_free = 0, fl__debug_readers = FL__RWLOCK_MOST;

FL__AT_START static void debug_words_warn(void)
{
	if (!fl__debug_is_linked() && (secure_getenv("FL_DEBUG") || secure_getenv("FL_TRACE")))
		FL__LOG_ONCE(FL_LOG_WARNING,
		             "FL_DEBUG and FL_TRACE have no effect: link the program with -Wl,-u,fl_debug_enable");
}
