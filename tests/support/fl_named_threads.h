/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_NAMED_THREADS_H
#define FL_NAMED_THREADS_H

/*
 * The number of threads of this process with a name, as the system reports it. A joined thread may
 * still count for a moment.
 */
#include "fl_test.h"

#include <dirent.h>

static inline unsigned fl_test_threads_named(const char *name)
{
	char path[300], found[32];
	unsigned n = 0;
	DIR *tasks = opendir("/proc/self/task");
	FL_CHECK(tasks != NULL);
	for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
		(void)snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", task->d_name);
		FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%31[^\n]", found) == 1)
			n += strcmp(found, name) == 0;
		(void)fclose(file);
	}
	FL_OK(closedir(tasks));
	return n;
}

#endif
