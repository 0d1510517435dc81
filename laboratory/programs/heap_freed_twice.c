/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "freed twice". Two threads free one block. */
#include "two_threads.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *shared;

static void *run(void *arg)
{
	pthread_mutex_lock(&lock);
	free(shared);
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	shared = malloc(8);
	return in_two_threads(run, run);
}
