/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. A thread works on a variable of a caller that waits. */
#include "two_threads.h"

struct sum {
	pthread_mutex_t lock;
	int value;
};

static void *add(void *arg)
{
	struct sum *sum = arg;
	pthread_mutex_lock(&sum->lock);
	sum->value++;
	pthread_mutex_unlock(&sum->lock);
	return arg;
}

static int add_twice(void)
{
	struct sum sum = {PTHREAD_MUTEX_INITIALIZER, 0};
	in_two_threads_with(add, &sum, add, &sum);
	return sum.value;
}

int main(void)
{
	assert(add_twice() == 2);
	return 0;
}
