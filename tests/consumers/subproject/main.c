/* SPDX-License-Identifier: BSD-2-Clause */
/* A program with Fairlead among its subprojects: one task over many numbers, on threads. */
#include <fairlead.h>
#include <stdio.h>

enum { NUMBERS = 100 };

FL_TASK(itself, int, int)
{
	*result = *arg;
	return 0;
}

int main(void)
{
	FL_SCOPED(fl_executor) *pool = NULL;
	int rc = fl_thread_executor_create(&pool, NULL);
	if (rc)
		return fl_perror(rc, "executor");
	int numbers[NUMBERS], results[NUMBERS], sum = 0;
	for (int i = 0; i < NUMBERS; i++)
		numbers[i] = i + 1;
	rc = itself_map(pool, numbers, NUMBERS, results, NULL);
	if (rc)
		return fl_perror(rc, "map");
	for (int i = 0; i < NUMBERS; i++)
		sum += results[i];
	printf("%d\n", sum);
	return 0;
}
