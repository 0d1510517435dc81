/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Other threads use variables of blocks of many kinds, before these blocks end. */
#include "two_threads.h"

static void *add(void *arg)
{
	++*(int *)arg;
	return NULL;
}

static void join(const pthread_t *thread)
{
	pthread_join(*thread, NULL);
}

static pthread_t begin(int *n)
{
	pthread_t thread;
	pthread_create(&thread, NULL, add, n);
	return thread;
}

static int nested(int n)
{
	if (n > 0) {
		int x = n;
		/* NOLINTNEXTLINE(clang-analyzer-deadcode.DeadStores): join() reads it */
		__attribute__((cleanup(join))) pthread_t thread = begin(&x);
		if (n == 1)
			return 5;
		nested(n - 1);
	}
	return 0;
}

int main(void)
{
	for (int i = 0; i < 2; i++) {
		int x = 0;
		const pthread_t thread = begin(&x);
		join(&thread);
		assert(x == 1);
	}
	for (int i = 0; i < 2;) {
		const pthread_t thread = begin(&i);
		join(&thread);
	}
	nested(2);
	do {
		int x[3] = {0};
		const pthread_t thread = begin(&x[1]);
		for (int k = 0; k < 2; k++)
			if (k == 1)
				join(&thread);
	} while (0);
	{
		struct {
			int a, b;
		} pair = {1, 2};
		const pthread_t thread = begin(&pair.b);
		{
			int own = 1;
			join(&thread);
			assert(own == 1);
		}
		goto end;
	}
end:
	return 0;
}
