/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SYNC_HELPER_H
#define FL_SYNC_HELPER_H

#include <fairlead/defs.h>
#include <stdbool.h>

/*
 * Helpers: the threads and processes that the library starts for all users of this copy, and not
 * for an object that a user frees. The first call that needs a helper starts it. At the end of this
 * copy (base/unload.h) each helper that nobody uses ends, and its end is waited for: no thread may
 * be left in code that is unloaded. A helper in use goes on; only an exit finds one.
 *
 * A forked child has no helpers.
 */
struct fl__helper {
	const char *name;       /* of its threads, 15 characters; NULL: it has none */
	void (*function)(void); /* of its threads */
	/*
	 * Called at the end of this copy, by any thread, when fl__helper_must_end() is true: wakes
	 * the threads that nobody uses. Returns how many threads are in use, and go on.
	 */
	unsigned (*end)(void);
	struct fl__helper *next; /* these two are helper.c's */
	bool listed;
};

/*
 * Starts a thread, with all signals blocked: 0; -ENOMEM; -EAGAIN: the system has no more threads,
 * or this copy ends.
 */
FL_MUST_CHECK int fl__helper_start(struct fl__helper *helper);

/* Has helper->end() called at the end of this copy; fl__helper_start() does so itself. */
void fl__helper_list(struct fl__helper *helper);

/*
 * Whether this copy ends: a thread that nobody uses ends now, and no call begins to use one. What
 * helper->end() has counted as unused must not come into use again, since its end is waited for.
 */
bool fl__helper_must_end(void);

/*
 * Ends the helpers as the end of this copy does; later calls start new ones. For tests, which
 * replace what helpers read.
 */
void fl__helpers_end(void);

#endif
