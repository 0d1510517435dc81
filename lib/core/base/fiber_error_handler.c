/* SPDX-License-Identifier: BSD-2-Clause */
/* The handler for errors of fibers that no join returns. */
#include "atomic.h"
#include "error.h"
#include "panic.h"
#include <fairlead/error.h>

static fl_fiber_error_handler *fiber_error_handler;

static void fiber_log_error(const char *name, int error)
{
	char number[64];
	fl__log(FL_LOG_ERROR, "fiber %s failed, and no join returned its error: %s", name,
	        fl__error_describe(error, number));
}

fl_fiber_error_handler *fl_fiber_set_error_handler(fl_fiber_error_handler *handler)
{
	/*
	 * release: pairs with the acquire in fl__fiber_report_error(). acquire: pairs with the call
	 * that set the previous handler.
	 */
	fl_fiber_error_handler *before = fl__swap_acq_rel(&fiber_error_handler, handler);
	return before ? before : fiber_log_error;
}

void fl__fiber_report_error(const char *name, int error)
{
	/* acquire: pairs with the release in fl_fiber_set_error_handler() */
	fl_fiber_error_handler *handler = fl__load_acquire(&fiber_error_handler);
	(handler ? handler : fiber_log_error)(name, error);
}
