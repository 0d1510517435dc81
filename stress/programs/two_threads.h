/* SPDX-License-Identifier: BSD-2-Clause */
#include <pthread.h>

/* Runs both functions in threads of their own until they have returned. */
static inline void in_two_threads(void *(*first)(void *), void *first_arg, void *(*second)(void *), void *second_arg)
{
	pthread_t one, two;
	pthread_create(&one, NULL, first, first_arg);
	pthread_create(&two, NULL, second, second_arg);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
}
