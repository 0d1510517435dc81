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
 * next helper thread that ends joins it. At the end of the copy the threads are joined, since a
 * detached thread might still run code that is unmapped. An exit does the same as a
 * dlclose(), because a host may unload its plugins at its exit. The two differ in two things
 * (base/unload.c): only a dlclose() frees the memory that the library keeps for threads of the
 * host, and waits for the tasks of detached executors. A detached executor has no handle that the
 * host could join, and its threads run code that is about to go; but an exit must not wait for
 * tasks that may never end. docs/in-your-process.md lists all threads and processes of the library.
 */
struct fl__helper {
	const char *name;       /* the name of its threads, 15 characters; NULL if it has none */
	void (*function)(void); /* what its threads run */
	bool calls_user;        /* its threads call functions of the user */
	/*
	 * Called when this copy ends, on the thread that ends it. fl__helper_must_end() is true by
	 * then. The function wakes the threads that are not in use, and returns how many are in
	 * use.
	 */
	unsigned (*end)(void);
	struct fl__helper *next; /* belongs to helper.c, as does `listed` */
	bool listed;
};

/*
 * Starts a thread of the helper, in which fl__helper_arg() returns `arg`. A thread that calls
 * functions of the user blocks the signals that the caller blocks. Any other thread blocks all
 * signals. Neither blocks the signals of faults. Returns
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

/* Registers helper->end(). fl__helper_start() does that, too. */
void fl__helper_list(struct fl__helper *helper);

/*
 * Returns whether this copy ends. Then a thread that is not in use ends, and no such thread comes
 * into use, since the end of the copy waits for the threads that helper->end() did not count.
 */
bool fl__helper_must_end(void);

/*
 * Ends the helpers in the way in which the end of this copy does. It is for tests: later calls
 * start new helpers.
 */
void fl__helpers_end(void);
