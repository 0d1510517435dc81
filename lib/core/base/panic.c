/* SPDX-License-Identifier: BSD-2-Clause */
#include "panic.h"
#include "../hooks.h"
#include "atomic.h"
#include "sys.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void panic_print(const fl_panic_info *info)
{
	FL__UNCANCELLED(); /* else the thread ends, and the process goes on */
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
	/* release: pairs with fl__panic(). acquire: with the call that set the previous handler. */
	return fl__swap_acq_rel(&panic_handler, handler ? handler : panic_print);
}

_Noreturn void fl__panic(const char *function, const void *object, const char *reason)
{
	const fl_panic_info info = {function, object, reason};
	fl__hook_exit(true);
	fl__load_acquire (&panic_handler)(&info); /* pairs with fl_panic_set_handler() */
	abort();
}

fl_log_handler *fl_log_set_handler(fl_log_handler *handler)
{
	/* release: pairs with fl__log(). acquire: with the call that set the previous handler. */
	return fl__swap_acq_rel(&panic_log_handler, handler ? handler : panic_print_log);
}

void fl__log(fl_log_level level, const char *format, ...)
{
	char line[256];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	/* a handler that writes is a cancellation point; the caller may hold locks, and keeps errno */
	FL__UNCANCELLED();
	FL__BLOCKS_THREAD();
	const bool nested = fl__panic_logs;
	fl__panic_logs = true;
	/* pairs with fl_log_set_handler() */
	(nested ? panic_print_log : fl__load_acquire(&panic_log_handler))(level, line);
	fl__panic_logs = nested;
}
