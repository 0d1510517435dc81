/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "outcnt". Apache httpd bug 25520 (buffered logs): two requests append to one
 * buffer without a lock.
 */
#include <pthread.h>
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
	pthread_t one, two;
	pthread_create(&one, NULL, request, (void *)"GET /a;");
	pthread_create(&two, NULL, request, (void *)"GET /b;");
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	pthread_mutex_lock(&lock);
	int wrong = buffer.outcnt != 14;
	pthread_mutex_unlock(&lock);
	return wrong;
}
