/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects CHECK "assert(length <= other->length)". JDK 1.4 StringBuffer.append(): the length of the
 * other buffer is read under its lock, its characters under the lock again.
 */
#include "two_threads.h"

struct buffer {
	pthread_mutex_t lock;
	int length;
};

static struct buffer text = {PTHREAD_MUTEX_INITIALIZER, 5};

static void *append(void *arg)
{
	struct buffer *other = &text;
	pthread_mutex_lock(&other->lock);
	int length = other->length;
#ifndef FIXED
	pthread_mutex_unlock(&other->lock);
	pthread_mutex_lock(&other->lock);
#endif
	assert(length <= other->length);
	pthread_mutex_unlock(&other->lock);
	return arg;
}

static void *clear(void *arg)
{
	pthread_mutex_lock(&text.lock);
	text.length = 0;
	pthread_mutex_unlock(&text.lock);
	return arg;
}

int main(void)
{
	return in_two_threads(append, clear);
}
