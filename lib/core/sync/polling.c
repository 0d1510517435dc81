/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch for polling. A wait of the program (for a lock, an item, a task ...) polls for a short
 * time before it sleeps, unless polling is off. Each place that polls like this first asks
 * fl__may_poll().
 *
 * Three kinds of loops do not count as such polls, so they do not ask: the retry of a
 * compare-and-swap; a loop that waits for a few instructions of another thread (fl__lock(),
 * fl__back_off()); and a loop that checks each millisecond because the system has nothing to sleep
 * on.
 *
 * All accesses to the word are relaxed, because it publishes nothing else.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../hooks.h"
#include <fairlead/thread.h>
#include <stdlib.h>
#include <string.h>

static uint32_t polling_off;

bool fl__may_poll(void)
{
	return !fl__load_relaxed(&polling_off);
}

void fl_poll_enable(bool polls)
{
	fl__store_relaxed(&polling_off, !polls);
}

FL__COLD FL__AT_START static void polling_start(void)
{
	/* The result is NULL in a program that has more rights than its user. */
	const char *text = secure_getenv("FL_POLL");
	if (text && strcmp(text, "none") == 0)
		fl_poll_enable(false);
	else if (text)
		FL__LOG_ONCE(FL_LOG_WARNING, "FL_POLL: \"%.40s\" is not \"none\"", text);
}
