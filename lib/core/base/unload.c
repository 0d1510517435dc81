/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exit() calls the atexit() functions before all destructors. dlclose() calls the shared object's
 * atexit() functions after its destructors without a priority, and before those with one.
 */
#include "unload.h"
#include "atomic.h"
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
	fl__store_relaxed(&unload_is_exit, true); /* a single flag */
}

FL__AT_START static void unload_watch_exit(void)
{
	unload_watched = __cxa_atexit(unload_note_exit, NULL, &__dso_handle) == 0;
}

bool fl__forks_pass;
/* Held from the first handler of a fork to its last one, unless `fl__forks_pass`, which it guards. */
static pthread_mutex_t unload_fork_lock = PTHREAD_MUTEX_INITIALIZER;

static void unload_before_fork(void)
{
	(void)pthread_mutex_lock(&unload_fork_lock);
	if (fl__forks_pass)
		(void)pthread_mutex_unlock(&unload_fork_lock);
}

static void unload_after_fork(void)
{
	if (!fl__forks_pass)
		(void)pthread_mutex_unlock(&unload_fork_lock);
}

/* After all other constructors of the library: so at a fork its handlers come first and last. */
__attribute__((constructor(202))) static void unload_watch_forks(void)
{
	(void)pthread_atfork(unload_before_fork, unload_after_fork, unload_after_fork);
}

/*
 * If the registration failed, or the system unloads no code, every end counts as an exit, which
 * frees less.
 *
 * After this destructor the C library removes the handlers of forks. It would also remove those of
 * a fork that is going on, and the locks that they hold would stay held. So this waits for the end
 * of the fork.
 */
__attribute__((destructor)) static void unload_note_dlclose(void)
{
	unload_is_dlclose = FL__UNLOADS && unload_watched && !unload_is_exit;
	if (!unload_is_dlclose)
		unload_note_exit(NULL);
	(void)pthread_mutex_lock(&unload_fork_lock);
	fl__forks_pass = true;
	(void)pthread_mutex_unlock(&unload_fork_lock);
}

bool fl__is_unloaded(void)
{
	return unload_is_dlclose;
}

bool fl__is_exiting(void)
{
	/* relaxed: what a later destructor has done is seen under that object's lock, and so is the flag */
	return fl__load_relaxed(&unload_is_exit);
}
