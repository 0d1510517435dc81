/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/defs.h>

/*
 * Helpers: the threads and processes that the library starts for all users of this copy
 * (docs/design.md, "Copies of the library"). The end of this copy (base/unload.h) ends the unused
 * helpers, and waits for them. Only a process exit finds a helper in use, which goes on. A forked
 * child has no helpers.
 */
struct fl__helper {
	const char *name;       /* of its threads, 15 characters; NULL: it has none */
	void (*function)(void); /* of its threads */
	bool calls_user;        /* calls functions of the user */
	/*
	 * At the end of this copy, by any thread, with fl__helper_must_end() true. Wakes unused
	 * threads. Returns how many are in use.
	 */
	unsigned (*end)(void);
	struct fl__helper *next; /* belongs to helper.c, as does `listed` */
	bool listed;
};

/*
 * The thread blocks all signals but those of faults; if it calls the user's functions, what the
 * caller blocks. There fl__helper_arg() returns `arg`. Returns
 *   0        started
 *   -ENOMEM  no memory
 *   -EAGAIN  the system has no more threads, or this copy ends
 */
FL_MUST_CHECK int fl__helper_start_with(struct fl__helper *helper, void *arg);
void *fl__helper_arg(void);

FL_MUST_CHECK static inline int fl__helper_start(struct fl__helper *helper)
{
	return fl__helper_start_with(helper, NULL);
}

/* Registers helper->end(), as fl__helper_start() does. */
void fl__helper_list(struct fl__helper *helper);

/*
 * Whether this copy ends. Then an unused thread ends, and none comes into use: the end waits for
 * those that helper->end() counted as unused.
 */
bool fl__helper_must_end(void);

/* Ends the helpers as the end of this copy does, for tests. Later calls start new helpers. */
void fl__helpers_end(void);
