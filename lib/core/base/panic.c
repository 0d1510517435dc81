/* SPDX-License-Identifier: BSD-2-Clause */
#include "panic.h"
#include "atomic.h"
#include "sys.h"
#include <stdio.h>
#include <stdlib.h>

static void panic_print(const fl_panic_info *info)
{
	FL__UNCANCELLED(); /* else the thread ends, and the process goes on */
	fprintf(stderr, "fairlead: %s(%p): %s\n", info->function, info->object, info->reason);
}

static fl_panic_handler *panic_handler = panic_print;

fl_panic_handler *fl_set_panic_handler(fl_panic_handler *handler)
{
	/* release: pairs with fl__panic(). acquire: with the call that set the previous handler. */
	return fl__swap_acq_rel(&panic_handler, handler ? handler : panic_print);
}

_Noreturn void fl__panic(const char *function, const void *object, const char *reason)
{
	const fl_panic_info info = {function, object, reason};
	if (fl__trace_signalled)
		fl__trace_signalled();
	fl__load_acquire (&panic_handler)(&info); /* pairs with fl_set_panic_handler() */
	abort();
}
