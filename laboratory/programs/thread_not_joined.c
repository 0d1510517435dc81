/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "result". The result is read without a join. */
#include "two_threads.h"

static int result;

static void *run(void *arg)
{
	result = 42;
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	pthread_detach(other);
	return result == 43;
}
