/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "of *head+16 by". The pointer has the type of the first part of the block. The
 * rest of the block is named after it, too.
 */
#include "two_threads.h"

struct link {
	struct link *next, *previous;
};

struct job {
	struct link link;
	int count;
};

static struct link *head;

static void *run(void *arg)
{
	((struct job *)head)->count++;
	return arg;
}

int main(void)
{
	head = &((struct job *)calloc(1, sizeof(struct job)))->link;
	in_two_threads(run, run);
	free(head);
	return 0;
}
