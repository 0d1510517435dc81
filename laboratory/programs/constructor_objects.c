/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Objects that a constructor initialises are ready in each execution. */
#include "two_threads.h"
#include <errno.h>
#include <semaphore.h>
#include <threads.h>

static pthread_barrier_t barrier;
static pthread_cond_t cond;
static pthread_mutex_t robust;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_spinlock_t spin;
static sem_t permits;
static mtx_t plain;
static int calls;

static void count_call(void)
{
	calls++;
}

__attribute__((constructor)) static void make_objects(void)
{
	pthread_condattr_t of_cond;
	pthread_mutexattr_t of_mutex;
	pthread_condattr_init(&of_cond);
	pthread_condattr_setclock(&of_cond, CLOCK_MONOTONIC);
	pthread_cond_init(&cond, &of_cond);
	pthread_mutexattr_init(&of_mutex);
	pthread_mutexattr_setrobust(&of_mutex, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &of_mutex);
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
	sem_init(&permits, 0, 1);
	mtx_init(&plain, mtx_plain);
	pthread_once(&once, count_call);
}

static void *run(void *arg)
{
	sem_wait(&permits);
	pthread_mutex_lock(&robust); /* the owner ends while it holds the mutex */
	pthread_barrier_wait(&barrier);
	return arg;
}

int main(void)
{
	struct timespec until = {1, 0};
	pthread_t other = start(run);
	pthread_barrier_wait(&barrier);
	pthread_join(other, NULL);
	assert(pthread_mutex_lock(&robust) == EOWNERDEAD);
	assert(pthread_mutex_consistent(&robust) == 0);
	/* The monotonic clock of the model begins at 1000 s. */
	assert(pthread_cond_timedwait(&cond, &robust, &until) == ETIMEDOUT);
	pthread_mutex_unlock(&robust);
	assert(pthread_mutex_lock(&robust) == 0);
	pthread_mutex_unlock(&robust);
	assert(sem_trywait(&permits) == -1);
	pthread_spin_lock(&spin);
	assert(pthread_spin_trylock(&spin) == EBUSY);
	pthread_spin_unlock(&spin);
	pthread_spin_destroy(&spin);
	mtx_lock(&plain);
	mtx_unlock(&plain);
	pthread_once(&once, count_call);
	assert(calls == 1);
	return 0;
}
