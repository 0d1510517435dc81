/* SPDX-License-Identifier: BSD-2-Clause */
/* What the C blocks of docs/from-python.md need around them. */
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>
#include <string.h>

static void print_all(const int *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		printf("%s%d", i > 0 ? " " : "", numbers[i]);
	puts("");
}

typedef struct numbers numbers;

struct sum {
	numbers *q;
	int total;
};

struct page {
	const char *name;
	int length;
};

struct chunk {
	int from, to;
};

struct verdict {
	int n;
	bool prime;
};

static bool is_prime(int n)
{
	return n == 2 || n == 3 || n == 5 || n == 7;
}

#include "from_python_after.h"

static int use_queue(void)
{
	FL_SCOPED(numbers) *q = NULL;
	fl_thread *t;
	int rc = numbers_create(&q, &(fl_queue_config){.capacity = 2}), joined;
	struct sum s = {q, 0};
	if (rc != 0 || (rc = fl_thread_start(&t, add_up, &s, NULL)) != 0)
		return rc;
	for (int n = 10; rc == 0 && n <= 30; n += 10)
		rc = numbers_put(q, n);
	numbers_close(q);
	joined = fl_thread_join(t, NULL);
	printf("%d\n", s.total);
	return rc != 0 ? rc : joined;
}

int main(int argc, char **argv)
{
	fl_main(argc, argv);
	FL_SCOPED(fl_executor) *threads = NULL, *processes = NULL;
	const int even[] = {2, 4, 6}, mixed[] = {2, 3, 6};
	struct page pages[] = {{"sheet", 0}, {"buntline", 0}, {NULL, 0}};
	int rc = fl_thread_executor_create(&threads, NULL);
	if (rc == 0)
		rc = fl_process_executor_create(&processes, NULL);
	fl_executor *both[] = {threads, processes};
	for (int i = 0; rc == 0 && i < 2; i++) {
		rc = halves(both[i], even, 3);
		if (rc == 0 && halves(both[i], mixed, 3) != FL_ETASK)
			rc = -EPROTO;
	}
	if (rc == 0)
		rc = primes(threads, (const struct chunk[]){{1, 4}, {4, 9}}, 2);
	if (rc == 0)
		rc = use_queue();
	if (rc == 0)
		rc = fl_loop_run(fetch_all, pages);
	if (rc != 0)
		return fl_perror(rc, "python_after");
	printf("%d %d\n", pages[0].length, pages[1].length);
	return 0;
}
