/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUGGING_H
#define FL_DEBUGGING_H

/*
 * Debugging that is on until the end of the block, and its reports:
 *
 *     FL_DEBUGGING(FL_DEBUG_LOCKORDER);
 *     ...
 *     HEARD("potential deadlock", 1);
 */
#include "fl_child.h"

static char fl_test_said[1 << 18];
static uint32_t fl_test_said_bytes;
static pthread_mutex_t fl_test_said_lock = PTHREAD_MUTEX_INITIALIZER;

FL_TEST_LOG_HANDLER(fl_test_hear)
{
	FL_OK(pthread_mutex_lock(&fl_test_said_lock));
	const uint32_t at = fl_test_said_bytes;
	const int n = snprintf(fl_test_said + at, sizeof fl_test_said - at, "%s\n", message);
	FL_CHECK(n >= 0 && (size_t)n < sizeof fl_test_said - at);
	fl__store_release(&fl_test_said_bytes, at + (uint32_t)n); /* pairs with heard() */
	FL_OK(pthread_mutex_unlock(&fl_test_said_lock));
}

/* Returns how often that text was reported. Any thread may call it. */
static inline int heard(const char *what)
{
	int n = 0;
	FL_OK(pthread_mutex_lock(&fl_test_said_lock));
	for (const char *at = fl_test_said; (at = strstr(at, what)) != NULL; at++)
		n++;
	FL_OK(pthread_mutex_unlock(&fl_test_said_lock));
	return n;
}

/* Checks that the text was reported that often. */
#define HEARD(what, times) assert_int_equal(heard(what), times)

static inline unsigned fl_test_debugging(unsigned modes)
{
	fl_test_said_bytes = 0;
	fl_test_said[0] = '\0';
	(void)fl_log_set_handler(fl_test_hear);
	FL_OK(fl_debug_enable(0)); /* a case that failed may have left it on */
	FL_OK(fl_debug_enable(modes));
	return modes;
}

static inline void fl_test_debugging_end(const unsigned *modes)
{
	FL_OK(fl_debug_enable(0));
	(void)fl_log_set_handler(NULL);
}

#define FL_DEBUGGING(modes)                                                                                            \
	__attribute__((cleanup(fl_test_debugging_end), unused)) const unsigned fl_test_modes = fl_test_debugging(modes)

/* What was printed last: a dump or a contention profile. */
static char printed[1 << 17];

static inline void fl_test_print(void (*print)(int fd))
{
	const int scratch = fl_test_scratch();
	print(scratch);
	fl_test_take(scratch, printed, sizeof printed);
}

static inline void profile(void)
{
	fl_test_print(fl_debug_contention);
}

/* Prints the dump, and returns whether it contains that text, which is formatted. */
__attribute__((format(printf, 1, 2), unused)) static bool dump_has(const char *format, ...)
{
	char text[256];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fl_test_print(fl_debug_dump);
	return strstr(printed, text) != NULL;
}

/*
 * Gets the numbers of the profile's line with `what`: locks and waits. Returns false if there is no
 * such line.
 */
static inline bool figures(const char *what, unsigned long long *calls, unsigned long long *waits)
{
	const char *at = strstr(printed, what);
	if (!at)
		return false;
	while (at > printed && at[-1] != '\n')
		at--;
	return sscanf(at, "%llu %llu", calls, waits) == 2;
}

/*
 * Such a function is in every stack: it is neither inlined, nor left before the function that it
 * calls returns.
 */
#define FL_FRAME(name, ...) static __attribute__((noinline)) void name(__VA_ARGS__)
#define FL_STAYS() __asm__ volatile("" ::"i"(__LINE__) : "memory") /* different from all others */

__attribute__((unused)) FL_FRAME(lock_here, fl_mutex *m)
{
	fl_mutex_lock(m);
	FL_STAYS();
}

#endif
