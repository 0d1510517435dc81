/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects LEAK "heap_leak_copies.c:21". Copies of strings are blocks of the model. */
#include "two_threads.h"
#include <malloc.h>
#include <stdio.h>
#include <string.h>

static char *lost;

int main(void)
{
	char *text, *two = strndup("twofold", 3);
	const volatile size_t many = (size_t)-1, n = 4;
	int *numbers = reallocarray(NULL, 3, sizeof *numbers);
	assert(strcmp(two, "two") == 0 && asprintf(&text, "%s%d", two, 3) == 4 && strcmp(text, "two3") == 0);
	assert(malloc_usable_size(numbers) >= 12 && !reallocarray(numbers, many, n));
	numbers[2] = 1;
	free(two);
	free(text);
	free(numbers);
	lost = strndup("lost", 2);
	lost = NULL;
	return 0;
}
