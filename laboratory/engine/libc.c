/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replaces functions of the C library whose effects would outlive an execution, or differ between
 * executions: output and random numbers. Output goes to the report, so an output call is not a
 * step. The output of several threads appears in the order of the execution. These functions are
 * replaced only for programs, because the library in a scenario may use files.
 */
#include "choice.h"
#include "io.h"
#include "unknown.h"
#include <fnmatch.h>
#include <locale.h>
#include <printf.h>
#include <stdarg.h>
#include <unistd.h>

_Noreturn void lab_no_file(const char *name, uintptr_t pc)
{
	lab_unmodelled(pc, "calls %s() for a descriptor or a stream in a way that the model does not have", name);
}

void lab_format(const char *format, va_list from, uintptr_t pc)
{
	int types[32];
	const size_t most = sizeof types / sizeof *types, n = parse_printf_format(format, most, types);
	/* a string may end without a NUL if it has a precision, as in "%.*s" */
	bool partial = n > most || fnmatch("*.*([*0-9])s*", format, FNM_EXTMATCH) == 0;
	va_list args;
	va_copy(args, from);
	lab_reads(format, strlen(format) + 1, pc);
#ifdef __x86_64__
	if (!lab_is_stack((uintptr_t)from))
		lab_writes(from, sizeof args, pc); /* The call advances the caller's list. */
#endif
	for (size_t i = 0; i < n && !partial; i++) {
		partial = types[i] == PA_WSTRING || types[i] & PA_FLAG_PTR;
		if (types[i] == PA_DOUBLE)
			(void)va_arg(args, double); // NOLINT(bugprone-branch-clone): another type
		else if (types[i] == (PA_DOUBLE | PA_FLAG_LONG_DOUBLE))
			(void)va_arg(args, long double);
		else { /* integers and pointers are in the same places */
			const char *text = va_arg(args, const char *);
			if (text && types[i] == PA_STRING)
				lab_reads(text, strlen(text) + 1, pc);
		}
	}
	va_end(args);
	if (partial)
		lab_unknown_is_partial("printf");
}

/*
 * Returns true if the stream comes from fopen(): the C library writes to it. Otherwise the stream is
 * stdout or stderr, for which the caller shows the output. Other streams are not modelled.
 */
static bool libc_writes(const char *name, FILE *to, bool locked, uintptr_t pc)
{
	lab_io_in_stream(to, locked, pc);
	if (lab_io_use_stream(to, pc))
		return true;
	if (to != stdout && to != stderr)
		lab_no_file(name, pc);
	return false;
}

static int libc_print(FILE *to, const char *format, va_list args, uintptr_t pc)
{
	char *text = NULL;
	lab_format(format, args, pc);
	if (libc_writes("vfprintf", to, true, pc))
		return vfprintf(to, format, args);
	if (!lab.recording) /* the output is not shown, so its length is enough */
		return vsnprintf(NULL, 0, format, args);
	const int n = vasprintf(&text, format, args);
	if (n >= 0)
		lab_print(text, (size_t)n);
	free(text);
	return n;
}

static int libc_vfprintf(FILE *to, const char *format, va_list args)
{
	return libc_print(to, format, args, PC);
}

static int libc_vprintf(const char *format, va_list args)
{
	return libc_print(stdout, format, args, PC);
}

static int libc_printf(const char *format, ...)
{
	return LAB_WITH_ARGUMENTS(libc_print(stdout, format, args, PC));
}

static int libc_fprintf(FILE *to, const char *format, ...)
{
	return LAB_WITH_ARGUMENTS(libc_print(to, format, args, PC));
}

static int libc_dprintf(int to, const char *format, ...)
{
	if (to != STDOUT_FILENO && to != STDERR_FILENO)
		lab_no_file("dprintf", PC);
	return LAB_WITH_ARGUMENTS(libc_print(stdout, format, args, PC));
}

static int libc_puts(const char *text)
{
	lab_io_in_stream(stdout, true, PC);
	lab_print(text, strlen(text));
	lab_print("\n", 1);
	return 1;
}

static int libc_fputs(const char *text, FILE *to)
{
	if (libc_writes("fputs", to, true, PC))
		return fputs(text, to);
	lab_print(text, strlen(text));
	return 1;
}

static int libc_put(int c, FILE *to, bool locked, const char *name, uintptr_t pc)
{
	const char text = (char)c;
	if (libc_writes(name, to, locked, pc))
		return fputc(c, to);
	lab_print(&text, 1);
	return (unsigned char)c;
}

static int libc_putchar(int c)
{
	return libc_put(c, stdout, true, "putchar", PC);
}

static int libc_putchar_unlocked(int c)
{
	return libc_put(c, stdout, false, "putchar_unlocked", PC);
}

static int libc_putc(int c, FILE *to)
{
	return libc_put(c, to, true, "putc", PC);
}

static int libc_putc_unlocked(int c, FILE *to)
{
	return libc_put(c, to, false, "putc_unlocked", PC);
}

static int libc_fputc(int c, FILE *to)
{
	return libc_put(c, to, true, "fputc", PC);
}

static size_t libc_fwrite(const void *from, size_t size, size_t n, FILE *to)
{
	lab_reads(from, size * n, PC);
	if (libc_writes("fwrite", to, true, PC))
		return fwrite(from, size, n, to);
	lab_print(from, size * n);
	return n;
}

static void libc_perror(const char *text)
{
	const char *error = strerror(errno); // NOLINT(concurrency-mt-unsafe)
	if (text && *text) {
		lab_print(text, strlen(text));
		lab_print(": ", 2);
	}
	(void)libc_puts(error);
}

/* Prints a line as warn() does, or without the error, as warnx() does. */
static int libc_complain(bool error, const char *format, va_list args, uintptr_t pc)
{
	const char *why = error ? strerror(errno) : ""; // NOLINT(concurrency-mt-unsafe)
	if (format) {
		const int n = libc_print(stdout, format, args, pc);
		lab_print(": ", error && n >= 0 ? 2 : 0);
	}
	return libc_puts(why);
}

static void libc_warn(const char *format, ...)
{
	(void)LAB_WITH_ARGUMENTS(libc_complain(true, format, args, PC));
}

static void libc_warnx(const char *format, ...)
{
	(void)LAB_WITH_ARGUMENTS(libc_complain(false, format, args, PC));
}

static _Noreturn void libc_err(int status, const char *format, ...)
{
	(void)LAB_WITH_ARGUMENTS(libc_complain(true, format, args, PC));
	lab_program_exit(status, PC);
}

static _Noreturn void libc_errx(int status, const char *format, ...)
{
	(void)LAB_WITH_ARGUMENTS(libc_complain(false, format, args, PC));
	lab_program_exit(status, PC);
}

static int libc_fflush(FILE *to)
{
	if (!to)
		lab_io_flush(PC);
	else if (libc_writes("fflush", to, true, PC))
		return fflush(to);
	return 0;
}

/* A stream does not use a buffer of the program, so it does not access the buffer's memory. */
static int libc_setvbuf(FILE *to, const char *buffer, int mode, size_t size)
{
	(void)size;
	if (buffer && mode != _IONBF)
		lab_unknown_is_partial("setvbuf");
	(void)libc_writes("setvbuf", to, true, PC);
	return 0;
}

static void libc_setbuf(FILE *to, const char *buffer)
{
	if (buffer)
		lab_unknown_is_partial("setbuf");
	(void)libc_writes("setbuf", to, true, PC);
}

static void libc_linebuf(FILE *to)
{
	(void)libc_writes("setlinebuf", to, true, PC);
}

/* The model has descriptors only for the standard streams. */
static int libc_fileno(FILE *of)
{
	if (of != stdin && of != stdout && of != stderr)
		lab_no_file("fileno", PC);
	return fileno(of);
}

static void *libc_memchr(const void *from, int c, size_t size)
{
	void *found = memchr(from, c, size);
	lab_reads(from, found ? (size_t)((char *)found - (const char *)from) + 1 : size, PC);
	return found;
}

/*
 * --- functions that call back ---
 *
 * The comparison may be a function of the C library, such as strcmp(). The model sees what such a
 * function does only if lab_call_back() calls it.
 */

struct comparison {
	void (*function)(void);
	void *arg;
};

static int libc_compare(const void *a, const void *b, void *by)
{
	const struct comparison *c = by;
	return (int)lab_call_back(c->function, (uintptr_t)a, (uintptr_t)b, (uintptr_t)c->arg);
}

/* The elements may also move after the last comparison, in which other threads may have run. */
static void libc_sort(void *base, size_t n, size_t size, struct comparison by, uintptr_t pc)
{
	lab_writes(base, n * size, pc);
	qsort_r(base, n, size, libc_compare, &by);
	lab_writes(base, n * size, pc);
}

static void libc_qsort(void *base, size_t n, size_t size, void (*compare)(void))
{
	libc_sort(base, n, size, (struct comparison){compare, NULL}, PC);
}

static void libc_qsort_r(void *base, size_t n, size_t size, void (*compare)(void), void *arg)
{
	libc_sort(base, n, size, (struct comparison){compare, arg}, PC);
}

static const void *libc_bsearch(const void *key, const void *base, size_t n, size_t size, void (*compare)(void))
{
	for (size_t from = 0; from < n;) {
		const size_t middle = (from + n) / 2;
		const void *at = (const char *)base + middle * size;
		const int order = (int)lab_call_back(compare, (uintptr_t)key, (uintptr_t)at, 0);
		if (order == 0)
			return at;
		from = order > 0 ? middle + 1 : from;
		n = order < 0 ? middle : n;
	}
	return NULL;
}

/*
 * --- random numbers ---
 *
 * Each thread has its own random numbers, which are the same in each execution. So it makes no
 * difference which of two threads calls first.
 */

bool lab_drawn_early;

static uint64_t libc_draw(uint64_t *state)
{
	lab_met(LAB_MET_INPUT);
	return lab_splitmix(state);
}

uint64_t lab_random(void)
{
	return libc_draw(&lab.self->random);
}

static int libc_rand(void)
{
	return (int)(lab_random() >> 33);
}

static long libc_random(void)
{
	return libc_rand();
}

static void libc_srand(unsigned seed)
{
	lab.self->random = seed;
}

static int libc_rand_r(unsigned *state)
{
	lab_writes(state, sizeof *state, PC);
	uint64_t wide = *state;
	const int value = (int)(libc_draw(&wide) >> 33);
	*state = (unsigned)value;
	return value;
}

/* When the program is linked, this replaces the function that reads std::random_device. */
DECLARED_AS("__wrap__ZNSt13random_device9_M_getvalEv", unsigned, lab_random_device, void *device)
{
	(void)device;
	if (OURS())
		return (unsigned)lab_random();
	static uint64_t state;
	lab_drawn_early = true;
	return (unsigned)lab_splitmix(&state);
}

/*
 * --- locales ---
 *
 * There is one locale, "C". So when a thread chooses a locale, this only changes what its next
 * choice returns.
 */

static locale_t libc_newlocale(int mask, const char *name, locale_t base)
{
	(void)base;
	lab_reads(name, strlen(name) + 1, PC);
	if (*name && strcmp(name, "C") != 0 && strcmp(name, "POSIX") != 0)
		lab_unmodelled(PC, "makes the locale \"%s\", which the model does not have", name);
	return newlocale(mask, "C", NULL);
}

static locale_t libc_duplocale(locale_t locale)
{
	(void)locale;
	return newlocale(LC_ALL_MASK, "C", NULL);
}

static void libc_freelocale(locale_t locale)
{
	(void)locale;
}

static locale_t libc_uselocale(locale_t locale)
{
	const locale_t before = lab.self->locale ?: LC_GLOBAL_LOCALE;
	lab.self->locale = locale ?: before;
	return before;
}

static pid_t libc_gettid(void)
{
	return (pid_t)lab.self->id + LAB_PID;
}

static pid_t libc_getpid(void)
{
	return LAB_PID;
}

#define CALL(name) LAB_CALL(#name, libc_##name)
#define CALLS(name) CALL(name), LAB_CALL("__" #name, libc_##name)
LAB_CALLS = {
    CALL(vfprintf),
    CALL(vprintf),
    CALL(printf),
    CALL(fprintf),
    CALL(dprintf),
    CALL(puts),
    CALL(fputs),
    CALL(putchar),
    CALL(putchar_unlocked),
    CALL(fputc),
    CALL(putc),
    CALL(putc_unlocked),
    CALL(fwrite),
    CALL(perror),
    CALL(warn),
    CALL(warnx),
    CALL(err),
    CALL(errx),
    CALL(fflush),
    CALL(setvbuf),
    CALL(setbuf),
    LAB_CALL("setlinebuf", libc_linebuf),
    CALL(qsort),
    CALL(qsort_r),
    CALL(bsearch),
    CALL(rand),
    CALL(random),
    CALL(srand),
    LAB_CALL("srandom", libc_srand),
    CALL(rand_r),
    CALL(fileno),
    CALL(memchr),
    CALLS(newlocale),
    CALLS(duplocale),
    CALLS(freelocale),
    CALLS(uselocale),
    CALL(gettid),
    CALL(getpid),
};
