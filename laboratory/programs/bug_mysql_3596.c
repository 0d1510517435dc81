/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CRASH "null pointer". MySQL bug 3596: a status text is looked at and then read, and
 * another thread clears it in between.
 */
#include "two_threads.h"
#include <stdatomic.h>

static const char idle[] = "idle";
static _Atomic(const char *) proc_info = idle;
static atomic_int shown;

static void *show(void *arg)
{
#ifdef FIXED
	const char *text = atomic_load(&proc_info);
	if (text)
		atomic_store(&shown, text[0]);
#else
	if (atomic_load(&proc_info))
		atomic_store(&shown, atomic_load(&proc_info)[0]);
#endif
	return arg;
}

static void *end(void *arg)
{
	atomic_store(&proc_info, NULL);
	return arg;
}

int main(void)
{
	return in_two_threads(show, end);
}
