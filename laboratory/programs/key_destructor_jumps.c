/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. The destructor of a key ends with a jump to a function of the model. */
#include <pthread.h>

static pthread_key_t key;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* NOLINTNEXTLINE(clang-diagnostic-unknown-attributes) */
__attribute__((optimize("O2"), no_sanitize_thread)) static void unlock(void *held)
{
	pthread_mutex_unlock(held);
}

static void *run(void *arg)
{
	pthread_mutex_lock(&mutex);
	pthread_setspecific(key, &mutex);
	return arg;
}

int main(void)
{
	pthread_t thread;
	pthread_key_create(&key, unlock);
	pthread_create(&thread, NULL, run, NULL);
	pthread_join(thread, NULL);
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return 0;
}
