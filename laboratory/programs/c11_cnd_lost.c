/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects LOST WAKEUP "came before the wait". A signal of <threads.h> comes too early. */
#include <threads.h>

static mtx_t lock;
static cnd_t changed;

static int run(void *arg)
{
	(void)arg;
	cnd_signal(&changed);
	return 0;
}

int main(void)
{
	thrd_t other;
	mtx_init(&lock, mtx_plain);
	cnd_init(&changed);
	thrd_create(&other, run, NULL);
	mtx_lock(&lock);
	cnd_wait(&changed, &lock);
	mtx_unlock(&lock);
	thrd_join(other, NULL);
	return 0;
}
