/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. In each execution getopt() begins anew, not where the tool's own options, or an
 * execution that ended within "-cd", left it.
 */
#include "two_threads.h"
#include <string.h>
#include <unistd.h>

int main(void)
{
	static char a[] = "-a", b[] = "-bvalue", cd[] = "-cd", rest[] = "rest";
	char *args[] = {rest, rest, a, b, cd, NULL};
	assert(optind == 1 && opterr == 1 && !optarg);
	opterr = 0;
	assert(getopt(5, args, "ab:cd") == 'a');
	assert(getopt(5, args, "ab:cd") == 'b' && optarg && strcmp(optarg, "value") == 0);
	assert(getopt(5, args, "ab:cd") == 'c');
	return in_two_threads(contend, contend);
}
