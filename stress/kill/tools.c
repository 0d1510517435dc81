/* SPDX-License-Identifier: BSD-2-Clause */
#include "tools.h"
#include <fairlead/time.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

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

void fail(const char *what, ...)
{
	va_list list;
	va_start(list, what);
	(void)vfprintf(stderr, what, list);
	(void)fputc('\n', stderr);
	va_end(list);
	_exit(9);
}
