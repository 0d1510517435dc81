/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Before variables with a large alignment the loader leaves a hole. */
#include "two_threads.h"

static int before = 1, counter;
static _Alignas(1 << 21) int page[1024];

static void *run(void *arg)
{
	assert(before++ == 1 && page[0]++ == 0 && counter++ == 0);
	return arg;
}

int main(void)
{
	return in_a_thread(run);
}
