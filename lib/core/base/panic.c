/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Panics and log messages: calls the handlers that the program has set, or writes to standard
 * error.
 */
#include "panic.h"
#include "../hooks.h"
#include "atomic.h"
#include "sys.h"
#include <fairlead/private/number.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void panic_print(const fl_panic_info *info)
{
	FL__UNCANCELLED(); /* otherwise only a cancelled thread would end, not the process */
	fprintf(stderr, "fairlead: %s(%p): %s\n", info->function, info->object, info->reason);
}

static void panic_print_log(fl_log_level level, const char *message)
{
	if (level != FL_LOG_INFO)
		fprintf(stderr, "fairlead: %s: %s\n", level == FL_LOG_ERROR ? "error" : "warning", message);
}

static fl_panic_handler *panic_handler = panic_print;
static fl_log_handler *panic_log_handler = panic_print_log;

fl_panic_handler *fl_panic_set_handler(fl_panic_handler *handler)
{
	/*
	 * release: pairs with the acquire in fl__panic(). acquire: pairs with the call that set the
	 * previous handler.
	 */
	return fl__swap_acq_rel(&panic_handler, handler ? handler : panic_print);
}

_Noreturn void fl__panic(const char *function, const void *object, const char *reason)
{
	const fl_panic_info info = {function, object, reason};
	fl__hook_exit(true);
	/* acquire: pairs with the release in fl_panic_set_handler() */
	fl__load_acquire (&panic_handler)(&info);
	abort();
}

FL__COLD void fl__number_panic(const char *macro)
{
	fl__panic(macro, NULL, "the number is out of range");
}

fl_log_handler *fl_log_set_handler(fl_log_handler *handler)
{
	/*
	 * release: pairs with the acquire in fl__log(). acquire: pairs with the call that set the
	 * previous handler.
	 */
	return fl__swap_acq_rel(&panic_log_handler, handler ? handler : panic_print_log);
}

void fl__log(fl_log_level level, const char *format, ...)
{
	char line[256];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	/*
	 * A handler that writes is a cancellation point and changes errno. It must not suspend a
	 * fiber, because the caller may hold locks.
	 */
	FL__UNCANCELLED();
	FL__BLOCKS_THREAD();
	const bool nested = fl__panic_logs;
	fl__panic_logs = true;
	/* acquire: pairs with the release in fl_log_set_handler() */
	(nested ? panic_print_log : fl__load_acquire(&panic_log_handler))(level, line);
	fl__panic_logs = nested;
}
