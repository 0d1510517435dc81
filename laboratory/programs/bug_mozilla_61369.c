/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CRASH "null pointer". Mozilla bug 61369: a thread uses the record of itself that
 * its creator stores after the thread was started.
 */
#include "two_threads.h"
#include <stdatomic.h>

struct thread {
	atomic_int state;
};

static _Atomic(struct thread *) current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stored = PTHREAD_COND_INITIALIZER;

static void *run(void *arg)
{
#ifdef FIXED
	pthread_mutex_lock(&lock);
	while (!atomic_load(&current))
		pthread_cond_wait(&stored, &lock);
	pthread_mutex_unlock(&lock);
#endif
	atomic_store(&atomic_load(&current)->state, 1);
	return arg;
}

int main(void)
{
	struct thread *record = calloc(1, sizeof *record);
	pthread_t other = start(run);
	pthread_mutex_lock(&lock);
	atomic_store(&current, record);
	pthread_cond_signal(&stored);
	pthread_mutex_unlock(&lock);
	pthread_join(other, NULL);
	free(record);
	return 0;
}
