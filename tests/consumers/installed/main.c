/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that knows the library only by `pkg-config fairlead`: a producer and a consumer beside
 * each other.
 */
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FL_QUEUE_OF(int, numbers)

enum { ITEMS = 40 };

static int produce(void *arg)
{
	numbers *q = (numbers *)arg;
	for (int i = 0; i < ITEMS; i++) {
		int rc = numbers_put(q, i);
		if (rc)
			return rc;
	}
	numbers_close(q);
	return 0;
}

int main(void)
{
	if (strcmp(FL_VERSION, fl_version()) != 0)
		return EXIT_FAILURE;

	FL_SCOPED(numbers) *q = NULL;
	int rc = numbers_create(&q, &(fl_queue_config){.capacity = 4});
	if (rc)
		return fl_perror(rc, "queue");

	fl_thread *producer;
	rc = fl_thread_start(&producer, produce, q, NULL);
	if (rc)
		return fl_perror(rc, "thread");
	int number, got = 0;
	while ((rc = numbers_get(q, &number)) == 0)
		got += number == got;
	int result;
	int joined = fl_thread_join(producer, &result);
	if (rc != -EPIPE || joined || result)
		return fl_perror(rc, "items");
	printf("%d items\n", got);
	return 0;
}
