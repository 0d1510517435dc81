/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "read of small->count by". Pointers of wrong types lead to the block, too: to a
 * larger structure, and in a union. They give it no name.
 */
#include "two_threads.h"

struct small {
	int count;
};

struct large {
	int many[16];
};

static union {
	struct large *large;
	struct small *small;
} either;
static struct large *wrong;
static void *untyped;

static void *run(void *arg)
{
	struct small *mine = arg;
	mine->count++;
	return NULL;
}

int main(void)
{
	struct small *small = malloc(sizeof *small);
	small->count = 0;
	wrong = (struct large *)small;
	either.large = (struct large *)small;
	untyped = small;
	return in_two_threads_with(run, small, run, small);
}
