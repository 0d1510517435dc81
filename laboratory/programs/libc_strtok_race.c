/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "write of the state of strtok()". Two threads use strtok(), each with its own
 * text.
 */
#include "two_threads.h"
#include <string.h>

static void *run(void *arg)
{
	char text[] = "a b";
	(void)strtok(text, " ");
	return arg;
}

int main(void)
{
	return in_two_threads(run, run);
}
