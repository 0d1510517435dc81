/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(written == 2)". MySQL bug 791: while the log is rotated it is closed for a
 * moment, and a query in that moment is not logged.
 */
#include "two_threads.h"
#include <stdbool.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool open = true;
static int written;

static void log_query(void)
{
	pthread_mutex_lock(&lock);
	if (open)
		written++;
	pthread_mutex_unlock(&lock);
}

static void *query(void *arg)
{
	log_query();
	log_query();
	return arg;
}

static void *rotate(void *arg)
{
	pthread_mutex_lock(&lock);
	open = false;
#ifndef FIXED
	pthread_mutex_unlock(&lock);
	pthread_mutex_lock(&lock);
#endif
	open = true;
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	in_two_threads(query, rotate);
	assert(written == 2);
	return 0;
}
