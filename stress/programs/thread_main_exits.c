/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CHECK "assert(0)". pthread_exit() in main lets the others go on. */
#include <assert.h>
#include <pthread.h>

static void *run(void *arg)
{
	assert(0);
	return arg;
}

int main(void)
{
	pthread_t other;
	pthread_create(&other, NULL, run, NULL);
	pthread_exit(NULL);
}
