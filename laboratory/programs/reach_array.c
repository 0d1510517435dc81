/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "read of table.slots[2].count by". A block may be an array. */
#include "two_threads.h"

struct slot {
	long key;
	int count;
};

static struct {
	int n;
	struct slot *slots;
} table;

static void *run(void *arg)
{
	table.slots[2].count++;
	return arg;
}

int main(void)
{
	table.n = 4;
	table.slots = malloc(4 * sizeof *table.slots);
	table.slots[2].count = 0;
	return in_two_threads(run, run);
}
