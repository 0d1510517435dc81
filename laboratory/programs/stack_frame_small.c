/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "in the frame of a function that has returned". */
#include <pthread.h>

static void *set(void *arg)
{
	*(int *)arg = 2;
	return NULL;
}

static pthread_t start(void)
{
	pthread_t thread;
	int value = 1; /* the bug: the thread may use it after this function */
	pthread_create(&thread, NULL, set, &value);
	return thread;
}

int main(void)
{
	pthread_join(start(), NULL);
	return 0;
}
