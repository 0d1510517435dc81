/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Forks n branches: forks two halves, each of which forks its branches in the same way. So a thief
 * takes half of the remaining branches, and n branches cost n - 1 forks.
 */
#include "../base/atomic.h"

#include <fairlead/parallel.h>

#include <errno.h>

struct branches {
	int (*run)(void *state);
	char *states;
	size_t n, size;
};

static int branches_run(void *arg)
{
	const struct branches *b = arg;
	const size_t right = b->n / 2;
	struct branches first = {b->run, b->states, b->n - right, b->size};
	struct branches second = {b->run, b->states + first.n * b->size, right, b->size};
	return fl_parallel_invoke(first.n == 1 ? b->run : branches_run, first.n == 1 ? (void *)b->states : &first,
	                          second.n == 1 ? b->run : branches_run,
	                          second.n == 1 ? (void *)second.states : &second);
}

int fl_parallel_invoke_all(int (*f)(void *state), void *states, size_t n, size_t size)
{
	struct branches all = {f, states, n, size};
	if (size == 0 || n > SIZE_MAX / size)
		return -EINVAL;
	if (n < 2)
		return n == 0 ? 0 : f(states);
	return branches_run(&all);
}
