/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. The environment, its time zone, random numbers and the locale begin anew in each
 * execution.
 */
#include "two_threads.h"
#include <assert.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *run(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	return arg;
}

int main(void)
{
	static char own[] = "LABORATORY_OWN=1";
	struct tm there;
	const time_t epoch = 0;
	assert(!getenv("LABORATORY_SET") && !getenv("LABORATORY_OWN") && environ[0] && environ[0][0] != '#');
	tzset();
	assert(timezone != -5 * 3600 - 17 * 60 && localtime_r(&epoch, &there)->tm_min != 17);
	assert(lrand48() == 0); /* this and the next are glibc's */
	assert(lrand48() == 2116118);
	assert(strcmp(setlocale(LC_ALL, ""), "C") == 0 && !setlocale(LC_ALL, "en_US.UTF-8"));
	environ[0][0] = '#';
	assert(setenv("LABORATORY_SET", "1", 1) == 0 && putenv(own) == 0 && setenv("TZ", "XXX-5:17", 1) == 0);
	tzset();
	assert(timezone == -5 * 3600 - 17 * 60 && localtime_r(&epoch, &there)->tm_min == 17);
	in_two_threads(run, run);
	assert(getenv("LABORATORY_SET") && getenv("LABORATORY_OWN"));
	return clearenv();
}
