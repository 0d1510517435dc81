/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions of the C library with effects that would outlive an execution, or differ between
 * executions: output, random numbers. Output goes to the report, so a call is no step. Output of
 * several threads appears in the order of the execution.
 */
#include "posix.h"
#include "program.h"
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

/* These functions are replaced for programs alone: a scenario's library may use files. */
#define IN_PROGRAM() (OURS() && lab.program)
#define FORWARD_OTHERS(name, arguments) FORWARD_UNLESS(IN_PROGRAM(), name, REAL(name), arguments)

#define IS_OUTPUT(to) ((to) == stdout || (to) == stderr)

static _Noreturn void libc_no_file(const char *name, uintptr_t pc)
{
	lab.signature = pc;
	lab_fail(LAB_UNMODELLED,
	         "%s calls %s() for a file (%s): the model has standard output and standard error alone",
	         lab.self->name, name, lab_site_name(pc));
}

#define FOR_OUTPUT(name, to)                                                                                           \
	do {                                                                                                           \
		if (!IS_OUTPUT(to))                                                                                    \
			libc_no_file(#name, PC);                                                                       \
	} while (0)

static int libc_print(const char *format, va_list args)
{
	char *text = NULL;
	if (!lab.recording) { /* the output is not shown: its length is enough */
		const int n = vsnprintf(NULL, 0, format, args);
		return n;
	}
	const int n = vasprintf(&text, format, args);
	if (n >= 0)
		lab_print(text, (size_t)n);
	free(text);
	return n;
}

EXPORTED int vfprintf(FILE *restrict to, const char *restrict format, va_list args)
{
	FORWARD_OTHERS(vfprintf, (to, format, args));
	FOR_OUTPUT(vfprintf, to);
	return libc_print(format, args);
}

EXPORTED int vprintf(const char *restrict format, va_list args)
{
	FORWARD_OTHERS(vprintf, (format, args));
	return libc_print(format, args);
}

EXPORTED int printf(const char *restrict format, ...)
{
	va_list args;
	va_start(args, format);
	const int n = IN_PROGRAM() ? libc_print(format, args) : vfprintf(stdout, format, args);
	va_end(args);
	return n;
}

EXPORTED int fprintf(FILE *restrict to, const char *restrict format, ...)
{
	if (IN_PROGRAM())
		FOR_OUTPUT(fprintf, to);
	va_list args;
	va_start(args, format);
	const int n = IN_PROGRAM() ? libc_print(format, args) : vfprintf(to, format, args);
	va_end(args);
	return n;
}

EXPORTED int dprintf(int to, const char *restrict format, ...)
{
	va_list args;
	va_start(args, format);
	int n;
	if (IN_PROGRAM()) {
		if (to != STDOUT_FILENO && to != STDERR_FILENO)
			libc_no_file("dprintf", PC);
		n = libc_print(format, args);
	} else {
		n = vdprintf(to, format, args);
	}
	va_end(args);
	return n;
}

EXPORTED int puts(const char *text)
{
	FORWARD_OTHERS(puts, (text));
	lab_print(text, strlen(text));
	lab_print("\n", 1);
	return 1;
}

EXPORTED int fputs(const char *restrict text, FILE *restrict to)
{
	FORWARD_OTHERS(fputs, (text, to));
	FOR_OUTPUT(fputs, to);
	lab_print(text, strlen(text));
	return 1;
}

static int libc_put(int c)
{
	const char text = (char)c;
	lab_print(&text, 1);
	return (unsigned char)c;
}

EXPORTED int putchar(int c)
{
	FORWARD_OTHERS(putchar, (c));
	return libc_put(c);
}

EXPORTED int fputc(int c, FILE *to)
{
	FORWARD_OTHERS(fputc, (c, to));
	FOR_OUTPUT(fputc, to);
	return libc_put(c);
}

EXPORTED int putc(int c, FILE *to)
{
	FORWARD_OTHERS(putc, (c, to));
	FOR_OUTPUT(putc, to);
	return libc_put(c);
}

EXPORTED size_t fwrite(const void *restrict from, size_t size, size_t n, FILE *restrict to)
{
	FORWARD_OTHERS(fwrite, (from, size, n, to));
	FOR_OUTPUT(fwrite, to);
	if (size * n > 0)
		lab_plain((uintptr_t)from, size * n, false, PC);
	lab_print(from, size * n);
	return n;
}

EXPORTED ssize_t write(int to, const void *from, size_t size)
{
	FORWARD_OTHERS(write, (to, from, size));
	if (to != STDOUT_FILENO && to != STDERR_FILENO)
		libc_no_file("write", PC);
	if (size > 0)
		lab_plain((uintptr_t)from, size, false, PC);
	lab_print(from, size);
	return (ssize_t)size;
}

EXPORTED void perror(const char *text)
{
	FORWARD_OTHERS(perror, (text));
	const char *error = strerror(errno); // NOLINT(concurrency-mt-unsafe)
	if (text && *text) {
		lab_print(text, strlen(text));
		lab_print(": ", 2);
	}
	lab_print(error, strlen(error));
	lab_print("\n", 1);
}

EXPORTED int fflush(FILE *to)
{
	FORWARD_OTHERS(fflush, (to));
	if (to)
		FOR_OUTPUT(fflush, to);
	return 0;
}

EXPORTED int setvbuf(FILE *restrict to, char *restrict buffer, int mode, size_t size)
{
	FORWARD_OTHERS(setvbuf, (to, buffer, mode, size));
	FOR_OUTPUT(setvbuf, to);
	return 0;
}

EXPORTED void setbuf(FILE *restrict to, char *restrict buffer)
{
	if (IN_PROGRAM()) {
		FOR_OUTPUT(setbuf, to);
		return;
	}
	(void)setvbuf(to, buffer, buffer ? _IOFBF : _IONBF, BUFSIZ);
}

/* --- random numbers: the same in each execution --- */

static uint64_t random_state;

void lab_libc_reset(void)
{
	random_state = 1;
}

static uint64_t libc_draw(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u); /* splitmix64 */
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

EXPORTED int rand(void)
{
	FORWARD_OTHERS(rand, ());
	return (int)(libc_draw(&random_state) >> 33);
}

EXPORTED void srand(unsigned seed)
{
	FORWARD_OTHERS(srand, (seed));
	random_state = seed;
}

EXPORTED long random(void)
{
	FORWARD_OTHERS(random, ());
	return (long)(libc_draw(&random_state) >> 33);
}

EXPORTED void srandom(unsigned seed)
{
	FORWARD_OTHERS(srandom, (seed));
	random_state = seed;
}

EXPORTED int rand_r(unsigned *state)
{
	FORWARD_OTHERS(rand_r, (state));
	lab_plain((uintptr_t)state, sizeof *state, true, PC);
	uint64_t wide = *state;
	const int value = (int)(libc_draw(&wide) >> 33);
	*state = (unsigned)value;
	return value;
}

/* --- identities --- */

EXPORTED pid_t gettid(void)
{
	FORWARD_OTHERS(gettid, ());
	return (pid_t)lab.self->id + 1000;
}

EXPORTED pid_t getpid(void)
{
	FORWARD_OTHERS(getpid, ());
	return 1000;
}
