/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "on the stack of a thread that has ended". */
#include "two_threads.h"
#include <stdatomic.h>

static _Atomic(int *) shared;

static void *lend(void *arg)
{
	int mine = 0;
	shared = &mine;
	return arg; /* NOLINT(clang-analyzer-core.StackAddressEscape) */
}

static void *use(void *arg)
{
	int *lent = shared;
	if (lent)
		*lent = 42;
	return arg;
}

int main(void)
{
	return in_two_threads(lend, use);
}
