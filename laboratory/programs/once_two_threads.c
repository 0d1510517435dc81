/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The function of a once runs once, and before both go on. */
#include "two_threads.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int made;

static void make(void)
{
	made++;
}

static void *run(void *arg)
{
	pthread_once(&once, make);
	assert(made == 1);
	return arg;
}

int main(void)
{
	return in_two_threads(run, run);
}
