/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A handler of the program receives the messages. pthread_cancel() does not act in it, since it may
 * write, which is a cancellation point, while the caller of the library holds locks. A handler that
 * waits for a mutex suspends its fiber: so fl__ctx.logs, which belongs to the context, says that
 * the context is in a handler, and what the scheduler has to restore for the other fibers of the
 * thread.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "context.h"
#include <stdarg.h>
#include <stdio.h>

static void log_print(fl_log_level level, const char *message)
{
	if (level != FL_LOG_INFO)
		fprintf(stderr, "fairlead: %s: %s\n", level == FL_LOG_ERROR ? "error" : "warning", message);
}

static fl_log_handler *log_handler = log_print;

fl_log_handler *fl_set_log_handler(fl_log_handler *handler)
{
	/* release: pairs with fl__log(). acquire: with the call that set the previous handler. */
	return fl__swap_acq_rel(&log_handler, handler ? handler : log_print);
}

void fl__log(fl_log_level level, const char *format, ...)
{
	char line[256];
	struct fl__ctx *ctx = fl__ctx_get();
	va_list args;
	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	struct fl__uncancelled before = fl__uncancelled_begin();
	if (ctx->logs == 0) {
		ctx->logs = (int8_t)(before.state + 1);
		fl__load_acquire (&log_handler)(level, line); /* pairs with fl_set_log_handler() */
		before.state = ctx->logs - 1;
		ctx->logs = 0;
	} else {
		/* about what the handler does, which may hold a lock: not for the handler */
		log_print(level, line);
	}
	fl__uncancelled_end(&before);
}
