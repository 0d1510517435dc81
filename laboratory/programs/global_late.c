/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. When many executions have left these globals alone, the C library and the system
 * write to them.
 */
#include "two_threads.h"
#include <stdatomic.h>
#include <string.h>
#include <sys/utsname.h>

static struct {
	char text[4096];
	struct utsname name;
	char after[4096];
} late;
static atomic_int turns;

static void *run(void *arg)
{
	int others = 0;
	for (int i = 1; i < 8; i += 2)
		others += turns++ == i;
	if (arg && others == 4) {
		stpcpy(late.text, "late");
		assert(uname(&late.name) == 0);
	}
	return arg;
}

int main(void)
{
	assert(!late.text[0] && !late.name.sysname[0]);
	return in_two_threads_with(run, &late, run, NULL);
}
