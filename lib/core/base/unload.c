/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exit() calls the atexit() functions before all destructors. dlclose() calls the shared object's
 * atexit() functions after its destructors without a priority, and before those with one.
 */
#include "unload.h"
#include "sys.h"

/*
 * The C++ ABI's function behind atexit(). The atexit() of ThreadSanitizer does not know the shared
 * object, and would call the function after the unload.
 */
extern int __cxa_atexit(void (*function)(void *arg), void *arg, void *object);
extern void *__dso_handle __attribute__((visibility("hidden")));

static bool unload_watched, unload_is_exit, unload_is_dlclose;

static void unload_note_exit(void *unused)
{
	(void)unused;
	unload_is_exit = true;
}

FL__AT_START static void unload_watch_exit(void)
{
	unload_watched = __cxa_atexit(unload_note_exit, NULL, &__dso_handle) == 0;
}

/* If the registration failed, every end counts as an exit, which frees less. */
__attribute__((destructor)) static void unload_note_dlclose(void)
{
	unload_is_dlclose = unload_watched && !unload_is_exit;
}

bool fl__is_unloaded(void)
{
	return unload_is_dlclose;
}
