/* SPDX-License-Identifier: BSD-2-Clause */
#include "report.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	(void)fputs("soak: FAILED: ", stderr);
	(void)vfprintf(stderr, format, arguments);
	(void)fputc('\n', stderr);
	va_end(arguments);
	_Exit(1);
}

uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
	char *end;
	const unsigned long long n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || n < least || n > most) {
		(void)fprintf(stderr, "soak: --%s takes a number from %llu to %llu, not '%s'\n", option,
		              (unsigned long long)least, (unsigned long long)most, text);
		exit(2);
	}
	return n;
}
