/* SPDX-License-Identifier: BSD-2-Clause */
/* What most of the programs need: threads, assertions and memory. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

static inline pthread_t start(void *(*run)(void *))
{
	pthread_t thread;
	pthread_create(&thread, NULL, run, NULL);
	return thread;
}

/* Runs the function in a new thread, and returns 0 when it has returned. */
static inline int in_a_thread(void *(*run)(void *))
{
	return pthread_join(start(run), NULL);
}

/* Runs each function in a new thread, and returns 0 when both have returned. */
static inline int in_two_threads_with(void *(*first)(void *), void *first_arg, void *(*second)(void *),
                                      void *second_arg)
{
	pthread_t one, two;
	pthread_create(&one, NULL, first, first_arg);
	pthread_create(&two, NULL, second, second_arg);
	pthread_join(one, NULL);
	return pthread_join(two, NULL);
}

static inline int in_two_threads(void *(*first)(void *), void *(*second)(void *))
{
	return in_two_threads_with(first, NULL, second, NULL);
}

/* A function for threads. The search chooses in which order they take the lock. */
static inline void *contend(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return arg;
}
