/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DEADLOCK "main waits for the channel 4 to 3 (pipe) for ever". The other end of the pipe
 * stays open.
 */
#include <unistd.h>

int main(void)
{
	int ends[2];
	char byte;
	return pipe(ends) || read(ends[0], &byte, 1) != 0;
}
