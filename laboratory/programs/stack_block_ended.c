/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "in a block that has ended". */
#include "two_threads.h"

static void *run(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static pthread_t begin(void)
{
	pthread_t thread;
	{
		int mine = 0;
		pthread_create(&thread, NULL, run, &mine);
	}
	pthread_join(thread, NULL); /* the bug: too late for `mine` */
	return thread;
}

int main(void)
{
	(void)begin();
	return 0;
}
