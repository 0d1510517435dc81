/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CRASH "calls abort()". abort() has its line. */
#include <stdlib.h>

int main(void)
{
	abort();
}
