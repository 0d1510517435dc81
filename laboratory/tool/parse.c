/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads numbers, times, lists and patterns of the command line. */
#include "tool.h"
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>

bool complain(const char *format, ...)
{
	va_list args;
	fflush(stdout);
	va_start(args, format);
	fputs("fairlead-stress: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return false;
}

static void *needed(void *memory)
{
	if (!memory) {
		complain("out of memory");
		exit(STATUS_FAILED);
	}
	return memory;
}

void *zeroed(size_t n, size_t size)
{
	return needed(calloc(n + 1, size));
}

void *grown(void *array, size_t n, size_t size)
{
	return needed(realloc(array, (n + 1) * size));
}

bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *n)
{
	char *end = NULL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	/* strtoull() would accept " -1", too. */
	bool digits = text[0] >= '0' && text[0] <= '9' && *end == '\0';
	*n = value;
	return digits && errno == 0 && value >= least && value <= most;
}

bool parse_time(const char *text, int64_t *ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"", 1e9}, {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
	char *end = (char *)text;
	if (strspn(text, "0123456789.") == 0)
		/* strtod() would accept signs, blanks, "inf" and hexadecimal numbers */
		return false;
	double value = text[1] == 'x' ? -1 : strtod(text, &end);
	LAB_EACH (i, units) {
		if (strcmp(end, units[i].name) == 0 && value * units[i].ns >= 1 && value * units[i].ns < 1e17) {
			*ns = (int64_t)(value * units[i].ns);
			return true;
		}
	}
	return false;
}

bool matches(const char *word, const char *glob)
{
	return fnmatch(glob, word, FNM_EXTMATCH) == 0;
}

bool fits(const struct options *o, const char *name)
{
	for (char **pattern = o->patterns; *pattern; pattern++) {
		if (strstr(name, *pattern) || matches(name, *pattern))
			return true;
	}
	return !*o->patterns;
}
