/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replaces string functions of the C library. As with the memory functions in interpose.c, the
 * model first learns what they read and write. unknown.c lists what other functions touch.
 */
#include "interpose.h"
#include <limits.h>
#include <stdarg.h>

#undef strchr /* a macro from glibc 2.43 on, which keeps the const of its argument */

#define FIND(name) lab_real.name = REAL(name);
struct lab_real lab_real;

static void find_real(void)
{
	LAB_EACH_REAL(FIND)
}

/*
 * This function runs before the constructors of all libraries, so each of them finds the functions
 * ready.
 */
__attribute__((section(".preinit_array"), used)) static void (*find_real_first)(void) = find_real;

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

EXPORTED int memcmp(const void *a, const void *b, size_t size)
{
	if (OURS()) {
		lab_reads(a, size, PC);
		lab_reads(b, size, PC);
	}
	return lab_real.memcmp(a, b, size);
}

EXPORTED size_t strlen(const char *s)
{
	size_t length = lab_real.strlen(s);
	if (OURS())
		lab_reads(s, length + 1, PC);
	return length;
}

EXPORTED size_t strnlen(const char *s, size_t most)
{
	size_t length = lab_real.strnlen(s, most);
	if (OURS())
		lab_reads(s, least(length + 1, most), PC);
	return length;
}

EXPORTED char *strcpy(char *restrict to, const char *restrict from)
{
	if (OURS()) {
		size_t size = lab_real.strlen(from) + 1;
		lab_reads(from, size, PC);
		lab_writes(to, size, PC);
	}
	return lab_real.strcpy(to, from);
}

EXPORTED char *strncpy(char *restrict to, const char *restrict from, size_t size)
{
	if (OURS()) {
		lab_reads(from, least(lab_real.strnlen(from, size) + 1, size), PC);
		lab_writes(to, size, PC);
	}
	return lab_real.strncpy(to, from, size);
}

EXPORTED char *strcat(char *restrict to, const char *restrict from)
{
	if (OURS()) {
		size_t before = lab_real.strlen(to), size = lab_real.strlen(from) + 1;
		lab_reads(from, size, PC);
		lab_reads(to, before + 1, PC);
		lab_writes(to + before, size, PC);
	}
	return lab_real.strcat(to, from);
}

EXPORTED int strcmp(const char *a, const char *b)
{
	if (OURS()) {
		size_t size = least(lab_real.strlen(a), lab_real.strlen(b)) + 1;
		lab_reads(a, size, PC);
		lab_reads(b, size, PC);
	}
	return lab_real.strcmp(a, b);
}

EXPORTED int strncmp(const char *a, const char *b, size_t most)
{
	if (OURS()) {
		size_t size = least(least(lab_real.strnlen(a, most), lab_real.strnlen(b, most)) + 1, most);
		lab_reads(a, size, PC);
		lab_reads(b, size, PC);
	}
	return lab_real.strncmp(a, b, most);
}

EXPORTED char *strchr(const char *s, int c)
{
	char *found = lab_real.strchr(s, c);
	if (OURS())
		lab_reads(s, found ? (size_t)(found - s) + 1 : lab_real.strlen(s) + 1, PC);
	return found;
}

static char *copy(const char *s, size_t length, bool ours, uintptr_t pc)
{
	char *made = lab_allocate(0, length + 1, ours, pc);
	if (!made)
		return NULL;
	if (ours) {
		lab_reads(s, length, pc);
		lab_writes(made, length + 1, pc);
	}
	memcpy(made, s, length);
	made[length] = '\0';
	return made;
}

EXPORTED char *strdup(const char *s)
{
	return copy(s, lab_real.strlen(s), OURS(), PC);
}

EXPORTED char *strndup(const char *s, size_t most)
{
	return copy(s, lab_real.strnlen(s, most), OURS(), PC);
}

/* --- printf() --- */

/* Prints into a buffer, as vsnprintf() does. */
static int print(char *to, size_t size, const char *format, va_list args, bool ours, uintptr_t pc)
{
	if (ours)
		lab_format(format, args, pc);
	int n = lab_real.vsnprintf(to, size, format, args);
	if (ours && n >= 0)
		lab_writes(to, least((size_t)n + 1, size), pc);
	return n;
}

EXPORTED int vsnprintf(char *restrict to, size_t size, const char *restrict format, va_list args)
{
	return print(to, size, format, args, OURS(), PC);
}

EXPORTED int snprintf(char *restrict to, size_t size, const char *restrict format, ...)
{
	return LAB_WITH_ARGUMENTS(print(to, size, format, args, OURS(), PC));
}

EXPORTED int vsprintf(char *restrict to, const char *restrict format, va_list args)
{
	return print(to, INT_MAX, format, args, OURS(), PC);
}

EXPORTED int sprintf(char *restrict to, const char *restrict format, ...)
{
	return LAB_WITH_ARGUMENTS(print(to, INT_MAX, format, args, OURS(), PC));
}

static int print_copy(char **to, const char *format, va_list args, bool ours, uintptr_t pc)
{
	char *text;
	if (ours)
		lab_format(format, args, pc);
	int n = lab_real.vasprintf(&text, format, args);
	if (n < 0)
		return n;
	if (ours)
		lab_writes(to, sizeof *to, pc);
	*to = copy(text, (size_t)n, ours, pc);
	free(text);
	return *to ? n : -1;
}

EXPORTED int vasprintf(char **restrict to, const char *restrict format, va_list args)
{
	return print_copy(to, format, args, OURS(), PC);
}

EXPORTED int asprintf(char **restrict to, const char *restrict format, ...)
{
	return LAB_WITH_ARGUMENTS(print_copy(to, format, args, OURS(), PC));
}
