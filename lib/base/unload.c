/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How an exit is told from a dlclose(): exit() calls the functions of atexit() before all
 * destructors. dlclose() calls those of the shared object after its destructors without a priority,
 * and before those with one.
 */
#include "unload.h"
#include "sys.h"

/*
 * What atexit() calls for the shared object that it is linked into, in the C++ ABI. The atexit() of
 * ThreadSanitizer does not know the shared object, and its function would outlive the code.
 */
extern int __cxa_atexit(void (*function)(void *arg), void *arg, void *object);
extern void *__dso_handle __attribute__((visibility("hidden")));

static bool watched, exits, unloaded;

static void unload_note_exit(void *unused)
{
	(void)unused;
	exits = true;
}

FL__AT_START static void unload_watch_exit(void)
{
	watched = __cxa_atexit(unload_note_exit, NULL, &__dso_handle) == 0;
}

/* Without memory for the function every end counts as an exit, which frees less. */
__attribute__((destructor)) static void unload_note_dlclose(void)
{
	unloaded = watched && !exits;
}

bool fl__is_unloaded(void)
{
	return unloaded;
}
