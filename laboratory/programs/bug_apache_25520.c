/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "outcnt". Apache httpd bug 25520 (buffered logs): two requests append to one
 * buffer without a lock.
 */
#include "two_threads.h"
#include <string.h>

static struct {
	int outcnt;
	char outbuf[32];
} buffer;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void append(const char *text)
{
#ifdef FIXED
	pthread_mutex_lock(&lock);
#endif
	size_t length = strlen(text);
	memcpy(buffer.outbuf + buffer.outcnt, text, length);
	buffer.outcnt += (int)length;
#ifdef FIXED
	pthread_mutex_unlock(&lock);
#endif
}

static void *request(void *arg)
{
	append(arg);
	return NULL;
}

int main(void)
{
	in_two_threads_with(request, (void *)"GET /a;", request, (void *)"GET /b;");
	pthread_mutex_lock(&lock);
	int wrong = buffer.outcnt != 14;
	pthread_mutex_unlock(&lock);
	return wrong;
}
