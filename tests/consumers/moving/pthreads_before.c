/* SPDX-License-Identifier: BSD-2-Clause */
/* What the blocks of docs/from-pthreads.md need around them: the blocks marked "before". */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int orders;

struct account {
	pthread_mutex_t lock;
	long before, balance;
};

#include "from_pthreads_before.h"

static void put_order(void)
{
	pthread_mutex_lock(&lock);
	orders++;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
}

int main(void)
{
	pthread_t t;
	pthread_mutexattr_t attributes;
	void *first, *second;
	int meals = 3, one = 1;
	struct account *a = mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a == MAP_FAILED)
		return 1;
	pthread_create(&t, NULL, cook, &meals);
	for (int i = 0; i < meals; i++)
		put_order();
	pthread_join(t, &first);
	pthread_create(&t, NULL, cook, &one);
	pthread_cancel(t);
	pthread_join(t, &second);
	printf("%s, %s\n", first == NULL ? "done" : "?", second == PTHREAD_CANCELED ? "cancelled" : "?");

	put_order();
	if (cook_meals(1) != 0)
		return 1;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&a->lock, &attributes);
	a->before = 7;
	if (fork() == 0) {
		int rc = lock_account(a);
		a->balance = 8;
		_exit(rc);
	}
	wait(NULL);
	if (lock_account(a) == 0)
		printf("%ld\n", a->balance);
	return pthread_mutex_unlock(&a->lock);
}
