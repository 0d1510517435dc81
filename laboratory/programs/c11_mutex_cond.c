/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. The program uses mutex, condition, once and results of <threads.h>. Two of its
 * threads start threads.
 */
#include <assert.h>
#include <threads.h>

static mtx_t lock;
static cnd_t changed;
static once_flag once = ONCE_FLAG_INIT;
static int made, ready;

static void make(void)
{
	made++;
}

static int add(void *number)
{
	return ++*(int *)number;
}

static int run(void *arg)
{
	thrd_t own;
	int number = 5, result;
	(void)arg;
	thrd_create(&own, add, &number);
	assert(thrd_join(own, &result) == thrd_success && result == 6);
	call_once(&once, make);
	assert(made == 1);
	mtx_lock(&lock);
	ready = 1;
	cnd_signal(&changed);
	mtx_unlock(&lock);
	return 7;
}

int main(void)
{
	thrd_t other, own;
	int result = 0, number = 1;
	mtx_init(&lock, mtx_plain);
	cnd_init(&changed);
	thrd_create(&other, run, NULL);
	thrd_create(&own, add, &number);
	call_once(&once, make);
	assert(made == 1);
	mtx_lock(&lock);
	while (!ready)
		cnd_wait(&changed, &lock);
	mtx_unlock(&lock);
	assert(thrd_join(own, NULL) == thrd_success && number == 2);
	assert(thrd_join(other, &result) == thrd_success && result == 7);
	cnd_destroy(&changed);
	mtx_destroy(&lock);
	return 0;
}
