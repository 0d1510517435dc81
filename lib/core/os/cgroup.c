/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the control groups that the process belongs to, and how many CPUs they allow. */
#include "cgroup.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CGROUP_PATH = 4096 };

static bool cgroup_is_listed(const char *list, const char *controller)
{
	for (size_t n; *list != '\0'; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == strlen(controller) && strncmp(list, controller, n) == 0)
			return true;
	}
	return false;
}

/* Visits `folder`, and then its ancestors, whose paths are at least `root` bytes long. */
static void cgroup_visit_tree(char *folder, size_t root, bool v2, void (*visit)(const char *folder, bool v2, void *arg),
                              void *arg)
{
	for (;;) {
		visit(folder, v2, arg);
		char *slash = strrchr(folder + root, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

void fl__cgroup_read(const char *folder, const char *file, int64_t n[2])
{
	char path[2 * CGROUP_PATH + 64], text[64] = "";
	(void)snprintf(path, sizeof path, "%s/%s", folder, file);
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	const char *line = fgets(text, sizeof text, f);
	(void)fclose(f);
	if (line && strncmp(line, "max", 3) == 0) {
		text[0] = '-';
		text[1] = '1';
		text[2] = ' ';
	}
	(void)sscanf(text, "%" SCNd64 " %" SCNd64, &n[0], &n[1]);
}

FL__COLD void fl__cgroup_visit(const char *proc_cgroup, const char *mounts, const char *controller,
                               void (*visit)(const char *folder, bool v2, void *arg), void *arg)
{
	char line[CGROUP_PATH], folder[2 * CGROUP_PATH];
	FL__UNCANCELLED();
	FILE *f = fopen(proc_cgroup, "re");
	if (!f)
		return;
	/* "0::/group" in version 2, "4:cpu,cpuacct:/group" in version 1 */
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = '\0';
		char *controllers = strchr(line, ':');
		char *group = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!group)
			continue;
		*group++ = '\0';
		controllers++;
		if (strcmp(group, "/") == 0)
			*group = '\0';
		const bool v2 = *controllers == '\0';
		if (!v2 && !cgroup_is_listed(controllers, controller))
			continue;
		const int root = snprintf(folder, sizeof folder, "%s%s%s", mounts, v2 ? "" : "/", controllers);
		if (root < 0 || (size_t)root + strlen(group) >= sizeof folder)
			continue;
		memcpy(folder + root, group, strlen(group) + 1);
		cgroup_visit_tree(folder, (size_t)root, v2, visit, arg);
	}
	(void)fclose(f);
}

/*
 * Lowers `*most`, an unsigned, to the limit of the group at `folder`. In version 2 the limit is in
 * cpu.max ("max 100000" or "QUOTA PERIOD"), in version 1 in cpu.cfs_quota_us (-1 for none) and
 * cpu.cfs_period_us.
 */
static void cpu_visit_group(const char *folder, bool v2, void *most)
{
	int64_t quota[2] = {-1, 0}, period[2] = {0, 0};
	if (v2) {
		fl__cgroup_read(folder, "cpu.max", quota);
		period[0] = quota[1];
	} else {
		fl__cgroup_read(folder, "cpu.cfs_quota_us", quota);
		fl__cgroup_read(folder, "cpu.cfs_period_us", period);
	}
	if (quota[0] <= 0 || period[0] <= 0)
		return;
	const int64_t cpus = quota[0] / period[0] + (quota[0] % period[0] != 0);
	if (cpus < *(unsigned *)most)
		*(unsigned *)most = (unsigned)cpus;
}

FL__COLD unsigned fl__cpu_limit(const char *proc_cgroup, const char *mounts, unsigned most)
{
	fl__cgroup_visit(proc_cgroup, mounts, "cpu", cpu_visit_group, &most);
	return most;
}
