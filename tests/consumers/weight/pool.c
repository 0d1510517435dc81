/* SPDX-License-Identifier: BSD-2-Clause */
/* A program with a queue and a thread executor. */
#include <fairlead.h>
#include <stdlib.h>

FL_QUEUE_OF(int, numbers)

FL_TASK(square, int, int)
{
	(void)ctx;
	*result = *arg * *arg;
	return 0;
}

int main(void)
{
	FL_SCOPED(numbers) *queue = NULL;
	FL_SCOPED(fl_executor) *pool = NULL;
	FL_SCOPED(fl_future) *future = NULL;
	int number = 0;
	if (numbers_create(&queue, NULL) != 0 || fl_thread_executor_create(&pool, NULL) != 0)
		return EXIT_FAILURE;
	if (numbers_put(queue, 7) != 0 || numbers_get(queue, &number) != 0)
		return EXIT_FAILURE;
	if (square_submit(pool, number, &future) != 0 || square_get(future, &number) != 0)
		return EXIT_FAILURE;
	return number == 49 ? EXIT_SUCCESS : EXIT_FAILURE;
}
