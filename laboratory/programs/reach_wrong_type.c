/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "read of small->count by". Pointers of wrong types also lead to the block: a
 * pointer to a larger structure, and pointers in a union. They do not name the block.
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
