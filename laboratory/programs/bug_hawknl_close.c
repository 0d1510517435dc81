/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DEADLOCK "wants the mutex". HawkNL 1.6b3: nlClose() takes the lock of the socket and then
 * that of the list, nlShutdown() the reverse.
 */
#include "two_threads.h"

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
	return in_two_threads(nl_close, nl_shutdown);
}
