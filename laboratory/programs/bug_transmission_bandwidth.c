/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "bandwidth". Transmission 1.42: the event thread reads session->bandwidth,
 * which the creator stores after it has started the thread.
 */
#include "two_threads.h"

static struct session {
	int *bandwidth;
} session;
static int limit = 100;

static void *events(void *arg)
{
	if (session.bandwidth && *session.bandwidth == 0)
		return NULL;
	return arg;
}

int main(void)
{
#ifdef FIXED
	session.bandwidth = &limit;
#endif
	pthread_t thread = start(events);
#ifndef FIXED
	session.bandwidth = &limit;
#endif
	pthread_join(thread, NULL);
	return 0;
}
