/* SPDX-License-Identifier: BSD-2-Clause */
/* What the blocks of docs/from-pthreads.md need around them: the blocks marked "after". */
#define _GNU_SOURCE
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int orders;

struct shift {
	int meals;
	fl_cancel_token stop;
};

struct account {
	fl_shm_mutex lock;
	long before, balance;
};

#include "from_pthreads_after.h"

static void put_order(void)
{
	FL_LOCKED(&lock);
	orders++;
	fl_cond_signal(&changed);
}

int main(void)
{
	fl_thread *t;
	struct shift three = {3, FL_CANCEL_TOKEN_INIT}, one = {1, FL_CANCEL_TOKEN_INIT};
	struct account *a = mmap(NULL, sizeof *a, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int first = 0, second = 0, rc = a == MAP_FAILED ? -ENOMEM : fl_thread_start(&t, cook, &three, NULL);
	if (rc != 0)
		return fl_perror(rc, "start");
	for (int i = 0; i < three.meals; i++)
		put_order();
	rc = fl_thread_join(t, &first);
	if (rc == 0)
		rc = fl_thread_start(&t, cook, &one, NULL);
	if (rc != 0)
		return fl_perror(rc, "join");
	fl_cancel_token_request(&one.stop);
	rc = fl_thread_join(t, &second);
	if (rc != 0)
		return fl_perror(rc, "join");
	printf("%s, %s\n", first == 0 ? "done" : "?", second == -ECANCELED ? "cancelled" : "?");

	put_order();
	rc = cook_meals(1);
	if (rc != 0)
		return fl_perror(rc, "meals");
	a->before = 7;
	if (fork() == 0) {
		rc = lock_account(a);
		a->balance = 8;
		_exit(rc);
	}
	wait(NULL);
	if (lock_account(a) == 0)
		printf("%ld\n", a->balance);
	fl_shm_mutex_unlock(&a->lock);
	return 0;
}
