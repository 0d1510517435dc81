/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `anew_lock` is held during each fork, from the first handler to the last, and by threads that
 * keep forks away (FL__UNCOPIED). It also guards `anew_passes`, which is set when the library's
 * unload, or the program's exit, begins. From then on a fork does not wait for the lock.
 */
#include "anew.h"
#include "sanitizer.h"
#include <pthread.h>

/*
 * ThreadSanitizer takes what the child writes for a race with a thread of the parent that has ended
 * and that nobody has joined. So it looks away while the child makes the state anew.
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
		(void)pthread_mutex_unlock(&anew_lock); /* the fork has held it */
	ANEW_LOOK_AWAY();
	fl__fork_count++;
	for (const struct fl__anew *part = anew_first; part; part = part->next)
		part->in_child();
	ANEW_LOOK_AGAIN();
}

/* Without memory for the registration of the handler, no forked child can use the library. */
void fl__anew_register(struct fl__anew *part)
{
	if (!anew_first)
		(void)pthread_atfork(anew_before, anew_in_parent, anew_in_child);
	*anew_last = part;
	anew_last = &part->next;
}

/*
 * After this destructor the C library removes the handler of a copy that is unloaded. It would also
 * remove the handler of a fork that is going on, and the lock would stay held. So this destructor
 * waits for the end of a fork.
 */
__attribute__((destructor)) static void anew_end(void)
{
	(void)pthread_mutex_lock(&anew_lock);
	anew_passes = true;
	(void)pthread_mutex_unlock(&anew_lock);
}
