/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects EXIT STATUS "status 9". exit() in a thread has its line. */
#include "two_threads.h"

static void *run(void *arg)
{
	exit(9);
	return arg;
}

int main(void)
{
	return in_a_thread(run);
}
