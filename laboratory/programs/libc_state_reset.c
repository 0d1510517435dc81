/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects a pass. The environment, its time zone, random numbers and the locale begin anew in each
 * execution.
 */
#include "two_threads.h"
#include <locale.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char host[256];

static void *run(void *arg)
{
	unsigned short seed[3] = {0};
	assert(nrand48(seed) == 0);
	if (arg)
		assert(gethostname(host, sizeof host) == 0);
	else
		host[255] = 1;
	return contend(arg);
}

int main(void)
{
	static char own[] = "LABORATORY_OWN=1";
	char words[] = "one two";
	struct tm there;
	const time_t epoch = 0;
	assert(!getenv("LABORATORY_SET") && !getenv("LABORATORY_OWN") && environ[0] && environ[0][0] != '#');
	tzset();
	assert(timezone != -5 * 3600 - 17 * 60 && localtime_r(&epoch, &there)->tm_min != 17);
	assert(!strtok(NULL, " ") && strtok(words, " "));
	assert(lrand48() == 0); /* this and the next are glibc's */
	assert(lrand48() == 2116118);
	assert(strcmp(setlocale(LC_ALL, ""), "C") == 0 && !setlocale(LC_ALL, "en_US.UTF-8"));
	environ[0][0] = '#';
	assert(setenv("LABORATORY_SET", "1", 1) == 0 && putenv(own) == 0 && setenv("TZ", "XXX-5:17", 1) == 0);
	tzset();
	assert(timezone == -5 * 3600 - 17 * 60 && localtime_r(&epoch, &there)->tm_min == 17);
	in_two_threads_with(run, NULL, run, own);
	assert(getenv("LABORATORY_SET") && getenv("LABORATORY_OWN"));
	return clearenv();
}
