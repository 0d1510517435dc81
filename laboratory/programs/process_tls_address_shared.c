/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "thread-local". A thread is given the address of another one's thread-local. */
#include <pthread.h>

static _Thread_local int mine;

static void *run(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

int main(void)
{
	pthread_t other;
	pthread_create(&other, NULL, run, &mine);
	mine = 2;
	pthread_join(other, NULL);
	return 0;
}
