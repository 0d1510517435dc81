/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls inline functions of fork and join and of the rings, which are compiled into the program. */
#include <fairlead.h>
#include <stdio.h>

FL_QUEUE_OF(int, numbers)
FL_SPSC_OF(int, samples)

static int add_3(void *sum)
{
	*(int *)sum += 3;
	return 0;
}

static int add_4(void *sum)
{
	*(int *)sum += 4;
	return 0;
}

int main(void)
{
	FL_SCOPED(numbers) *q = NULL;
	FL_SCOPED(samples) *ring = NULL;
	int sum = 0;
	if (fl_parallel_invoke(add_3, &sum, add_4, &sum) != 0)
		return 1;
	if (numbers_create(&q, NULL) != 0 || numbers_put(q, sum) != 0 || numbers_get(q, &sum) != 0)
		return 1;
	if (samples_create(&ring, 1) != 0 || samples_try_put(ring, sum) != 0 || samples_try_get(ring, &sum) != 0)
		return 1;
	printf("%d\n", sum);
	return 0;
}
