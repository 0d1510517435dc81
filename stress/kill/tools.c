/* SPDX-License-Identifier: BSD-2-Clause */
/* Implements tools.h: random numbers, the clock, what /proc says of a process, and options. */
#include "tools.h"
#include <ctype.h>
#include <dirent.h>
#include <getopt.h>
#include <stdarg.h>
#include <time.h>

uint64_t draw(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15u; /* splitmix64 */
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

int64_t time_now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return FL_S(t.tv_sec) + t.tv_nsec;
}

void pause_for(int64_t ns)
{
	(void)nanosleep(&(struct timespec){ns / FL_S(1), ns % FL_S(1)}, NULL);
}

void fail(const char *what, ...)
{
	va_list list;
	va_start(list, what);
	fputs("FAILED: ", stderr);
	vfprintf(stderr, what, list);
	fputc('\n', stderr);
	va_end(list);
	_exit(1);
}

FILE *proc_open(int pid, const char *file)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	return fopen(path, "r");
}

unsigned proc_entries(int pid, const char *what)
{
	char path[64];
	unsigned n = 0;
	snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
	DIR *d = opendir(path);
	for (const struct dirent *entry; d && (entry = readdir(d)) != NULL;)
		n += entry->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

unsigned long proc_status(int pid, const char *name)
{
	char line[512];
	unsigned long value = 0;
	FILE *f = proc_open(pid, "status");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtoul(line + strlen(name) + 1, NULL, 10);
	if (f)
		fclose(f);
	return value;
}

unsigned proc_children(int parent)
{
	unsigned n = 0;
	DIR *d = opendir("/proc");
	const struct dirent *entry;
	while (d && (entry = readdir(d)))
		if (isdigit((unsigned char)entry->d_name[0]))
			n += proc_status(atoi(entry->d_name), "PPid") == (unsigned long)parent;
	if (d)
		closedir(d);
	return n;
}

static uint64_t number(const struct argument *a, const char *text)
{
	char *end;
	const unsigned long long n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || n < a->least || n > a->most) {
		fprintf(stderr, "--%s takes a number from %lu to %lu, not '%s'\n", a->name, a->least, a->most, text);
		exit(2);
	}
	return n;
}

void read_arguments(int argc, char **argv, const char *usage, const struct argument *known)
{
	enum { MOST = 16, HELP = MOST };
	struct option options[MOST + 2] = {{"help", no_argument, NULL, HELP}};
	for (int i = 0; known[i].name; i++)
		options[i + 1] = (struct option){known[i].name, known[i].most > 0, NULL, i};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == '?')
			exit(2);
		if (c == HELP) {
			fputs(usage, stdout);
			exit(0);
		}
		*known[c].to = known[c].most > 0 ? number(&known[c], optarg) : 1;
	}
	if (optind < argc) {
		fputs(usage, stderr);
		exit(2);
	}
}
