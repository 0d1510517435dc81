/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects DATA RACE "value". Annotations for ThreadSanitizer order nothing. */
#include "two_threads.h"

void AnnotateHappensBefore(const char *file, int line, const volatile void *address);
void AnnotateHappensAfter(const char *file, int line, const volatile void *address);

static int value;

static void *set(void *arg)
{
	value = 1;
	AnnotateHappensBefore(__FILE__, __LINE__, &value);
	return arg;
}

static void *get(void *arg)
{
	AnnotateHappensAfter(__FILE__, __LINE__, &value);
	return value ? arg : NULL;
}

int main(void)
{
	return in_two_threads(set, get);
}
