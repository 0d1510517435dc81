/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_ORDER_H
#define FL_ORDER_H

/*
 * Letters, in the order in which the fibers and callbacks of one thread note them:
 *
 *     note_nothing();
 *     ... note('a') ... note('b') ...
 *     NOTED("ab");
 */
#include "fl_test.h"

static char order[64];

static inline void note(char letter)
{
	const size_t n = strlen(order);
	FL_CHECK(n + 1 < sizeof order);
	order[n] = letter;
	order[n + 1] = '\0';
}

static inline void note_nothing(void)
{
	order[0] = '\0';
}

/* For any thread: checks that these letters were noted, and no others. */
#define NOTED(letters) fl_test_noted(letters, __FILE__, __LINE__)

static inline void fl_test_noted(const char *letters, const char *file, int line)
{
	if (strcmp(order, letters) == 0)
		return;
	fprintf(stderr, "noted '%s', not '%s'\n", order, letters);
	fl_test_abort("the order", file, line);
}

/* A fiber, and a callback, that notes a letter. */
static inline int note_it(void *letter)
{
	note(*(const char *)letter);
	return 0;
}

static inline void call_note(void *letter)
{
	note(*(const char *)letter);
}

#endif
