/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Distinguishes an exit of the process from a dlclose(). exit() calls the functions of atexit()
 * before all destructors. But dlclose() calls those of the shared object after its destructors
 * without a priority, and before its destructors with one.
 */
#include "unload.h"
#include "atomic.h"
#include "sys.h"

/*
 * The function of the C++ ABI that atexit() calls. It is called directly, because ThreadSanitizer's
 * atexit() does not know the shared object, and would call the function after the unload.
 */
extern int __cxa_atexit(void (*function)(void *arg), void *arg, void *object);
extern void *__dso_handle __attribute__((visibility("hidden")));

static bool unload_watched, unload_is_exit, unload_is_dlclose;

static void unload_note_exit(void *unused)
{
	(void)unused;
	fl__store_relaxed(&unload_is_exit, true); /* relaxed: fl__is_exiting() says why */
}

FL__AT_START static void unload_watch_exit(void)
{
	unload_watched = __cxa_atexit(unload_note_exit, NULL, &__dso_handle) == 0;
}

/*
 * Finds out whether this is a dlclose(). If the registration failed, or the system never unloads
 * code, every end counts as an exit, where less is freed.
 */
__attribute__((destructor)) static void unload_note_dlclose(void)
{
	unload_is_dlclose = FL__UNLOADS && unload_watched && !unload_is_exit;
	if (!unload_is_dlclose)
		unload_note_exit(NULL);
}

bool fl__is_unloaded(void)
{
	return unload_is_dlclose;
}

bool fl__is_exiting(void)
{
	/*
	 * relaxed: the caller has seen, under an object's lock, what a destructor did to the
	 * object. The flag was set before that destructor, so the caller sees the flag as well.
	 */
	return fl__load_relaxed(&unload_is_exit);
}
