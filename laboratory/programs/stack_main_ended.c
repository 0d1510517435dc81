/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects USE AFTER FREE "in the frame of a function that has returned". A thread goes on when
 * main() has returned, until the process ends.
 */
#include "two_threads.h"

static void *run(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

int main(void)
{
	int mine = 0;
	pthread_t thread;
	pthread_create(&thread, NULL, run, &mine);
	pthread_detach(thread); /* the bug: nobody waits for the thread */
	return 0;
}
