/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>

static inline pthread_t start(void *(*run)(void *))
{
	pthread_t thread;
	pthread_create(&thread, NULL, run, NULL);
	return thread;
}

/* Runs both functions in threads of their own until they have returned. Returns 0. */
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
