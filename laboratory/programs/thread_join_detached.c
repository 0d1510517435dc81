/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects MISUSE "which is detached". A detached thread is joined. */
#include "two_threads.h"

static void *run(void *arg)
{
	return arg;
}

int main(void)
{
	pthread_t other = start(run);
	pthread_detach(other);
	pthread_join(other, NULL);
	return 0;
}
