/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "read of job->count by". The global points to a link in the block. The block
 * has twice the size of a link, but is not an array of links.
 */
#include "two_threads.h"

struct link {
	struct link *next;
};

struct job {
	struct link link;
	long count;
};

static struct link *first;

static void *run(void *arg)
{
	((struct job *)first)->count++;
	return arg;
}

int main(void)
{
	struct job *job = malloc(sizeof *job);
	job->count = 0;
	job->link.next = NULL;
	first = &job->link;
	return in_two_threads(run, run);
}
