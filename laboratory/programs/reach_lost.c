/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects USE AFTER FREE "of block 2 of reach_lost.c:19, byte 4 by". Nothing names the block. */
#include "two_threads.h"

struct pair {
	int a, b;
};

static struct {
	struct pair *pair;
} held;

int main(void)
{
	struct pair *last = NULL;
	for (int i = 0; i < 2; i++) {
		if (last)
			free(last);
		held.pair = malloc(sizeof *last);
		last = held.pair;
	}
	held.pair = NULL;
	free(last);
	return last->b; /* NOLINT(clang-analyzer-unix.Malloc) */
}
