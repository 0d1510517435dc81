/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two printing threads: for many readers the first program with threads. Each thread prints its
 * name and the time, five times, at its own pace; the program ends after both.
 */
#include "demo.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#define TIMES 5

struct pace {
	const char *name;
	int64_t delay;
};

static int print_time(void *arg)
{
	const struct pace *pace = arg;
	for (int i = 0; i < TIMES; i++) {
		int rc = fl_sleep(pace->delay);
		if (rc != 0)
			return rc;
		struct timeval now;
		struct tm local;
		if (gettimeofday(&now, NULL) != 0 || localtime_r(&now.tv_sec, &local) == NULL)
			return -EINVAL;
		if (printf("%s: %02d:%02d:%02d.%03d\n", pace->name, local.tm_hour, local.tm_min, local.tm_sec,
		           (int)(now.tv_usec / 1000)) < 0)
			return -EIO;
	}
	return 0;
}

int two_threads(const struct options *o)
{
	(void)o;
	struct pace paces[] = {{"Thread-1", FL_MS(200)}, {"Thread-2", FL_MS(400)}};
	fl_thread *threads[2] = {0};
	int status = EXIT_SUCCESS;
	for (int i = 0; i < 2; i++) {
		int rc =
		    fl_thread_start(&threads[i], print_time, &paces[i], &(fl_thread_config){.name = paces[i].name});
		if (rc != 0) {
			complain("cannot start %s: %s", paces[i].name, fl_error_text(rc));
			status = EXIT_FAILURE;
		}
	}
	/* The join returns the result of print_time(). */
	for (int i = 0; i < 2; i++) {
		int result = 0;
		if (threads[i] == NULL)
			continue; /* it did not start */
		int rc = fl_thread_join(threads[i], &result);
		if (rc == 0 && result == 0)
			continue;
		complain("%s failed: %s", paces[i].name, fl_error_text(rc != 0 ? rc : result));
		status = EXIT_FAILURE;
	}
	return status;
}
