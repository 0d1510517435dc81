/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zstd's locks, conditions and threads (its lib/common/threading.h), by Fairlead. Every file of
 * zstd is compiled with this one in front (-include). It has the include guard of zstd's own
 * header, which then is empty.
 *
 *     zstd                          Fairlead
 *     ZSTD_pthread_mutex_t          fl_mutex
 *     ZSTD_pthread_cond_t           fl_cond
 *     ZSTD_pthread_t                fl_thread
 */
#ifndef THREADING_H_938743
#define THREADING_H_938743

#include <fairlead/cond.h>
#include <fairlead/mutex.h>
#include <fairlead/thread.h>
#include <stdlib.h>

#define ZSTD_pthread_mutex_t fl_mutex
#define ZSTD_pthread_mutex_init(m, unused) ((void)(unused), fl_mutex_init(m), 0)
#define ZSTD_pthread_mutex_destroy(m) fl_mutex_destroy(m)
#define ZSTD_pthread_mutex_lock(m) fl_mutex_lock(m)
#define ZSTD_pthread_mutex_unlock(m) fl_mutex_unlock(m)

#define ZSTD_pthread_cond_t fl_cond
#define ZSTD_pthread_cond_init(c, unused) ((void)(unused), fl_cond_init(c), 0)
#define ZSTD_pthread_cond_destroy(c) fl_cond_destroy(c)
#define ZSTD_pthread_cond_wait(c, m) FL_IGNORE(fl_cond_wait(c, m)) /* zstd looks again, and cancels nothing */
#define ZSTD_pthread_cond_signal(c) fl_cond_signal(c)
#define ZSTD_pthread_cond_broadcast(c) fl_cond_broadcast(c)

/* A function of zstd's threads returns a pointer, one of Fairlead's a number. */
typedef struct zstd_start {
	void *(*function)(void *arg);
	void *arg;
} zstd_start;

static inline int zstd_run(void *start)
{
	zstd_start s = *(zstd_start *)start;
	free(start);
	(void)s.function(s.arg); /* zstd never asks for the pointer */
	return 0;
}

#define ZSTD_pthread_t fl_thread
static inline int ZSTD_pthread_create(fl_thread *t, const void *unused, void *(*function)(void *arg), void *arg)
{
	zstd_start *start = (zstd_start *)malloc(sizeof *start);
	int rc;
	(void)unused;
	if (!start)
		return -1;
	start->function = function;
	start->arg = arg;
	rc = fl_thread_start(t, zstd_run, start, NULL);
	if (rc != 0)
		free(start);
	return rc;
}
#define ZSTD_pthread_join(t) fl_thread_join(&(t), NULL)

#endif
