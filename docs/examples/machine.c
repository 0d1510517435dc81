/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine, its CPUs' times and the memory of this process, as /proc reports them. */
#include "demo.h"
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Finds the line "key : value" in a file of /proc; leaves `value` unchanged if there is none. */
static void proc_value(const char *path, const char *key, char *value, size_t size)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return;
	char *line = NULL;
	size_t room = 0;
	size_t length = strlen(key);
	while (getline(&line, &room, f) > 0) {
		if (strncmp(line, key, length) != 0 || strchr(" \t:", line[length]) == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		const char *from = line + length + strspn(line + length, " \t:");
		(void)snprintf(value, size, "%s", from);
		break;
	}
	free(line);
	(void)fclose(f);
}

static unsigned long proc_kib(const char *path, const char *key)
{
	char value[64] = "0";
	proc_value(path, key, value, sizeof value);
	return strtoul(value, NULL, 10);
}

void machine_read(struct machine *m)
{
	*m = (struct machine){.cpus = fl_cpu_count(), .memory_kib = proc_kib("/proc/meminfo", "MemTotal")};
	struct utsname system;
	if (uname(&system) != 0)
		(void)snprintf(system.release, sizeof system.release, "unknown"), system.machine[0] = '\0';
	(void)snprintf(m->kernel, sizeof m->kernel, "%s", system.release);
	/* Where /proc/cpuinfo names no model: ARM. */
	(void)snprintf(m->model, sizeof m->model, "%s", system.machine);
	proc_value("/proc/cpuinfo", "model name", m->model, sizeof m->model);
}

bool cpu_times_read(struct cpu_times *t)
{
	enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, COLUMNS };
	struct timespec mine;
	char value[256] = "";
	proc_value("/proc/stat", "cpu", value, sizeof value);
	char *next = value;
	*t = (struct cpu_times){0};
	for (int i = 0; i < COLUMNS; i++) {
		const double seconds = (double)strtoull(next, &next, 10) / (double)sysconf(_SC_CLK_TCK);
		t->all += seconds;
		t->busy += i == IDLE || i == IOWAIT ? 0 : seconds;
	}
	if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mine) != 0)
		return false;
	t->mine = (double)mine.tv_sec + (double)mine.tv_nsec / 1e9;
	return t->all > 0;
}

/* The kernel keeps the largest resident size so far, VmHWM; writing 5 here resets it. */
void peak_rss_reset(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "we");
	if (f == NULL)
		return; /* an old kernel: the peak is then that of the whole program */
	(void)fputs("5", f);
	(void)fclose(f);
}

unsigned long peak_rss_kib(void)
{
	return proc_kib("/proc/self/status", "VmHWM");
}
