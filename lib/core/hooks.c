/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The words that the points (hooks.h) read. They are not in inspect, so that a program that reads
 * them does not link a client. fl__trace_rank is something else: the number of this rank in the
 * recorder's files, or -1 if the process is not a rank.
 *
 *   word               off      on               meaning
 *   fl__hooks          0        FL__HOOKS_ bits  the clients that are on
 *   fl__hook_free      0 FL__HOOK_NEVER the value that the fast path of a lock expects
 *   fl__hook_readers   1        0                a read lock is fast if the lock's word was less
 *                                                than this value
 *   fl__hook_last      LAST     FL__HOOK_NEVER   the last free of a future is fast if the future's
 *                                                word has these references and ENDED
 *   fl__hook_chain     CHAIN 0 how many task blocks a free list keeps
 */
#include "hooks.h"
#include "base/panic.h"
#include "base/sanitizer.h"
#include "base/sys.h"
#include <stdlib.h>

uint32_t fl__hooks = 0, fl__hook_free = 0, fl__hook_readers = 1;
uint32_t fl__hook_last = FL__HOOK_LAST, fl__hook_chain = FL__HOOK_CHAIN;
int32_t fl__trace_rank = -1;

void fl__hook_check(bool checks)
{
	checks = checks || fl__tool_watches();
	/* relaxed: a thread that sees an old value checks less */
	fl__store_relaxed(&fl__hook_last, checks ? FL__HOOK_NEVER : FL__HOOK_LAST);
	fl__store_relaxed(&fl__hook_chain, checks ? 0 : FL__HOOK_CHAIN);
}

FL__AT_START static void hooks_start(void)
{
	fl__hook_check(fl__load_relaxed(&fl__hooks) & FL__HOOKS_DEBUG); /* relaxed: only one thread */
	if (!FL__IS_LINKED(fl__hook_locking_on) && (secure_getenv("FL_DEBUG") || secure_getenv("FL_TRACE")))
		FL__LOG_ONCE(FL_LOG_WARNING,
		             "FL_DEBUG and FL_TRACE have no effect: link the program with -Wl,-u,fl_debug_enable");
}
