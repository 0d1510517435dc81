/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DEADLOCK "wants the mutex". HawkNL 1.6b3: nlClose() takes the lock of the socket and then
 * that of the list, nlShutdown() the reverse.
 */
#include <pthread.h>

static pthread_mutex_t list = PTHREAD_MUTEX_INITIALIZER, socket_lock = PTHREAD_MUTEX_INITIALIZER;
static int open_sockets = 1;

static void *nl_close(void *arg)
{
#ifdef FIXED
	pthread_mutex_lock(&list);
	pthread_mutex_lock(&socket_lock);
#else
	pthread_mutex_lock(&socket_lock);
	pthread_mutex_lock(&list);
#endif
	open_sockets = 0;
	pthread_mutex_unlock(&socket_lock);
	pthread_mutex_unlock(&list);
	return arg;
}

static void *nl_shutdown(void *arg)
{
	pthread_mutex_lock(&list);
	if (open_sockets) {
		pthread_mutex_lock(&socket_lock);
		open_sockets = 0;
		pthread_mutex_unlock(&socket_lock);
	}
	pthread_mutex_unlock(&list);
	return arg;
}

int main(void)
{
	pthread_t one, two;
	pthread_create(&one, NULL, nl_close, NULL);
	pthread_create(&two, NULL, nl_shutdown, NULL);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	return 0;
}
