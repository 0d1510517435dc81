/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/defs.h>

/*
 * Helpers are the threads and processes that the library starts for all users of this copy of it
 * (section 7 of docs/design.md). When the copy ends (base/unload.h), it ends the helpers that are
 * not in use, and waits for them. At a dlclose() no helper is in use. At an exit of the process a
 * helper may be in use, and then it goes on.
 *
 * A thread of the timers or of the bridges ends earlier if it has had no work for a while, and the
 * next helper thread that ends joins it. When the copy ends, it joins the threads, because a
 * detached thread might still run code that is unmapped. An exit does the same as a dlclose(),
 * because a host may unload its plugins at its exit, with two exceptions (base/unload.c). Only a
 * dlclose() frees the memory that the library keeps for threads of the host. And only a dlclose()
 * waits for the tasks of detached executors: the host has no handle to join such an executor, whose
 * threads run code that is about to go, but an exit must not wait for tasks that may never end.
 * docs/in-your-process.md lists all threads and processes of the library.
 */
struct fl__helper {
	const char *name;       /* the name of its threads, at most 15 characters, or NULL */
	void (*function)(void); /* what its threads run */
	bool calls_user;        /* whether its threads call functions of the user */
	/*
	 * Called when this copy ends, by the thread that ends it, after fl__helper_must_end() has
	 * become true. Wakes the threads that are not in use, and returns how many are in use.
	 */
	unsigned (*end)(void);
	struct fl__helper *next; /* used by helper.c, like `listed` */
	bool listed;
};

/*
 * Starts a thread of the helper, in which fl__helper_arg() returns `arg`. If the thread calls
 * functions of the user, it blocks the signals that the caller blocks, otherwise all signals. In
 * both cases it does not block the signals of faults. Returns
 *
 *   0        the thread is started
 *   -ENOMEM  there is no memory
 *   -EAGAIN  the system has no more threads, or this copy ends
 */
FL_MUST_CHECK int fl__helper_start_with(struct fl__helper *helper, void *arg);
void *fl__helper_arg(void);

FL_MUST_CHECK static inline int fl__helper_start(struct fl__helper *helper)
{
	return fl__helper_start_with(helper, NULL);
}

/* Registers helper->end(), as fl__helper_start() also does. */
void fl__helper_list(struct fl__helper *helper);

/*
 * Returns whether this copy ends. If so, a thread that is not in use must end and must not come
 * into use, because the end of the copy waits for the threads that helper->end() did not count.
 */
bool fl__helper_must_end(void);

/*
 * Ends the helpers as the end of this copy does. This is for tests: later calls start new helpers.
 */
void fl__helpers_end(void);
