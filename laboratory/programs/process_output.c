/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects CHECK "assert(0)". What a failing execution printed is shown. */
#include <assert.h>
#include <stdio.h>

int main(void)
{
	printf("the answer is %d\n", 42);
	fprintf(stderr, "and %s\n", "more");
	puts("end");
	assert(0);
	return 0;
}
