/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "after the end of that thread". */
#include "two_threads.h"
#include <stdatomic.h>

static _Thread_local int mine;
static _Atomic(int *) shared;

static void *lend(void *arg)
{
	mine = 7;
	shared = &mine;
	return arg;
}

int main(void)
{
	in_a_thread(lend);
	return *shared != 7;
}
