/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CHECK "++ended == 2". */
#include <assert.h>
#include <stdlib.h>

static int ended;

static void of_main(void)
{
	ended++;
}

static void of_constructor(void)
{
	assert(ended++ == 1);
}

__attribute__((constructor)) static void begin(void)
{
	atexit(of_constructor);
}

__attribute__((destructor)) static void end(void)
{
	assert(++ended == 2); /* the bug: both functions of atexit() have run */
}

int main(void)
{
	return atexit(of_main);
}
