/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program under AddressSanitizer that ends while fibers wait. Memory is not leaked if its only
 * pointer is on the stack of a waiting fiber, on that of the fiber that ends the program, or an
 * argument of a fiber that has not begun.
 */
#include <fairlead.h>
#include <stdlib.h>
#include <string.h>

static int holds(void *arg)
{
	char *volatile held = malloc(100);
	if (held)
		strcpy(held, "only on a stack");
	const int rc = fl_sleep(FL_S(100));
	free(held);
	free(arg);
	return rc;
}

static int run(void *unused)
{
	enum { FIBERS = 40 }; /* more than the first slab of stacks has */
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(NULL);
	char *volatile held = malloc(60);
	for (int i = 0; i < FIBERS; i++)
		if (fl_group_start(&g, holds, malloc(10)) != 0)
			return 1;
	if (held && fl_sleep(FL_MS(1)) == 0 && fl_group_start(&g, holds, malloc(10)) == 0)
		exit(0); /* LeakSanitizer searches now */
	free(held);
	(void)unused;
	return 1;
}

int main(void)
{
	return fl_loop_run(run, NULL);
}
