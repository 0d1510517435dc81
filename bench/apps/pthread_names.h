/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This header lets an application that uses pthreads run on Fairlead's locks, conditions and
 * threads. bench/apps/run compiles every file of the application with this header in front
 * (`-include`). The files themselves are not changed.
 *
 *     pthreads                              Fairlead
 *     pthread_mutex_t                       fl_mutex
 *     pthread_cond_t                        fl_cond
 *     a deadline of CLOCK_MONOTONIC         the same, as one number
 *     pthread_t                             fl_thread *
 */
#ifndef PTHREAD_NAMES_H
#define PTHREAD_NAMES_H

#include <errno.h>
#include <fairlead/cond.h>
#include <fairlead/mutex.h>
#include <fairlead/thread.h>
#include <fairlead/time.h>
#include <pthread.h>
#include <stdlib.h>

#define pthread_mutex_t fl_mutex
#define pthread_mutex_init(m, unused) ((void)(unused), fl_mutex_init(m), 0)
#define pthread_mutex_destroy(m) (fl_mutex_destroy(m), 0)
#define pthread_mutex_lock(m) (fl_mutex_lock(m), 0)
#define pthread_mutex_unlock(m) (fl_mutex_unlock(m), 0)

#define pthread_cond_t fl_cond
#define pthread_cond_init(c, unused) ((void)(unused), fl_cond_init(c), 0)
#define pthread_cond_destroy(c) (fl_cond_destroy(c), 0)
/* always 0, because nothing cancels these applications */
#define pthread_cond_wait(c, m) (-fl_cond_wait(c, m))
#define pthread_cond_timedwait(c, m, t) (-fl_cond_wait_until(c, m, FL_S((t)->tv_sec) + (t)->tv_nsec, NULL))
#define pthread_cond_signal(c) (fl_cond_signal(c), 0)
#define pthread_cond_broadcast(c) (fl_cond_broadcast(c), 0)

/* The function of a pthread returns a pointer. The function of an fl_thread returns a number. */
typedef struct app_start {
	void *(*function)(void *arg);
	void *arg;
} app_start;

static inline int app_run(void *start)
{
	app_start s = *(app_start *)start;
	free(start);
	(void)s.function(s.arg); /* these applications never ask for the pointer */
	return 0;
}

typedef fl_thread *app_thread;
#define pthread_t app_thread
#define pthread_create(t, unused, function, arg) ((void)(unused), app_create(t, function, arg))
static inline int app_create(fl_thread **t, void *(*function)(void *arg), void *arg)
{
	app_start *start = (app_start *)malloc(sizeof *start);
	int rc;
	if (!start)
		return EAGAIN;
	start->function = function;
	start->arg = arg;
	rc = fl_thread_start(t, app_run, start, NULL);
	if (rc != 0)
		free(start);
	return -rc;
}
#define pthread_join(t, unused) ((void)(unused), -fl_thread_join(t, NULL))

#endif
