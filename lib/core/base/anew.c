/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Implements anew.h. `anew_lock` is held during each fork, from the first handler to the last, and
 * by threads that must not be copied by a fork (FL__UNCOPIED). It also guards `anew_passes`, which
 * is set when the library is unloaded or the program begins to exit. From then on a fork does not
 * wait for the lock.
 */
#include "anew.h"
#include "sanitizer.h"
#include <pthread.h>

/*
 * A thread of the parent may have ended without being joined. ThreadSanitizer would report what the
 * child writes as a race with it, so it is told to ignore accesses while the child makes the state
 * anew.
 */
#ifdef FL__TSAN
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define ANEW_LOOK_AWAY() (AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__))
#define ANEW_LOOK_AGAIN() (AnnotateIgnoreWritesEnd(__FILE__, __LINE__), AnnotateIgnoreReadsEnd(__FILE__, __LINE__))
#else
#define ANEW_LOOK_AWAY() ((void)0)
#define ANEW_LOOK_AGAIN() ((void)0)
#endif

uint32_t fl__fork_count;

static struct fl__anew *anew_first, **anew_last = &anew_first;
static pthread_mutex_t anew_lock = PTHREAD_MUTEX_INITIALIZER;
static bool anew_passes;

bool fl__uncopied_begin(void)
{
	return pthread_mutex_lock(&anew_lock) == 0;
}

void fl__uncopied_end(const bool *held)
{
	if (*held)
		(void)pthread_mutex_unlock(&anew_lock);
}

static void anew_before(void)
{
	(void)pthread_mutex_lock(&anew_lock);
	if (anew_passes)
		(void)pthread_mutex_unlock(&anew_lock);
}

static void anew_in_parent(void)
{
	if (!anew_passes)
		(void)pthread_mutex_unlock(&anew_lock);
}

static void anew_in_child(void)
{
	if (anew_passes)
		(void)pthread_mutex_init(&anew_lock, NULL); /* another thread may have held it */
	else
		(void)pthread_mutex_unlock(&anew_lock); /* the fork held it */
	ANEW_LOOK_AWAY();
	fl__fork_count++;
	for (const struct fl__anew *part = anew_first; part; part = part->next)
		part->in_child();
	ANEW_LOOK_AGAIN();
}

/* If there is no memory to register the handler, forked children cannot use the library. */
void fl__anew_register(struct fl__anew *part)
{
	if (!anew_first)
		(void)pthread_atfork(anew_before, anew_in_parent, anew_in_child);
	*anew_last = part;
	anew_last = &part->next;
}

/*
 * After this destructor, the C library removes the fork handler of a copy that is unloaded. If a
 * fork were under way then, its last handler would be gone and the lock would stay held. So this
 * destructor waits until the fork has ended.
 */
__attribute__((destructor)) static void anew_end(void)
{
	(void)pthread_mutex_lock(&anew_lock);
	anew_passes = true;
	(void)pthread_mutex_unlock(&anew_lock);
}
