/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small program with one mutex. meson.build builds it with the library and, if WITHOUT_FAIRLEAD
 * is defined, without it. process_life.c measures what it costs to start each of them.
 */
#ifdef WITHOUT_FAIRLEAD
#include <pthread.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
#define lock pthread_mutex_lock
#define unlock pthread_mutex_unlock
#else
#include <fairlead.h>

static fl_mutex mutex = FL_MUTEX_INIT;
#define lock fl_mutex_lock
#define unlock fl_mutex_unlock
#endif

int main(void)
{
	lock(&mutex);
	unlock(&mutex);
	return 0;
}
