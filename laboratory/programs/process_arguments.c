/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. main may change its arguments. */
#include <assert.h>
#include <string.h>

int main(int argc, char **argv)
{
	assert(argc == 1 && strcmp(argv[0], "process_arguments") == 0 && !argv[1]);
	argv[0][0] = 'x';
	return 0;
}
