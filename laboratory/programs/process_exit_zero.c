/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. exit(0) in a thread ends the program well. */
#include "two_threads.h"

static void *run(void *arg)
{
	exit(0);
	return arg;
}

int main(void)
{
	return in_a_thread(run);
}
