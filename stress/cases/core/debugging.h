/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_DEBUGGING_H
#define STRESS_DEBUGGING_H

/*
 * The reports of debugging, for scenarios. Each setup switches debugging on. Natively it stays on.
 */
#include "../cases.h"

/* The reports of one state, made by the contexts that run its actors. */
struct said {
	atomic_int potential, actual;
	/* Unless NULL, this token is requested when a deadlock is reported. */
	fl_cancel_token *ends;
};

/* The reports of the state of the actor that this thread runs. */
static _Thread_local struct said *said;

static inline void hear(fl_log_level level, const char *message)
{
	static const char potential[] = "potential deadlock", actual[] = "deadlock";
	if (strncmp(message, potential, sizeof potential - 1) == 0) {
		COUNT(&said->potential);
	} else if (strncmp(message, actual, sizeof actual - 1) == 0) {
		COUNT(&said->actual);
		if (said->ends)
			fl_cancel_token_request(said->ends);
	}
}

static inline void listen(unsigned modes)
{
	(void)fl_log_set_handler(hear);
	OK(fl_debug_enable(modes));
}

static inline void lock_both(fl_mutex *first, fl_mutex *second)
{
	fl_mutex_lock(first);
	fl_mutex_lock(second);
	fl_mutex_unlock(second);
	fl_mutex_unlock(first);
}

#endif
