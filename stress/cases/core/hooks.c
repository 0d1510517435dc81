/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of hooks. A call through a hook sees what was prepared before the hook was set. A
 * context that replaces a hook sees what was prepared for the previous one. Hooks belong to the
 * process, so the prepared data are global.
 */
#include "../cases.h"
#include "core/base/panic.h"
#include <setjmp.h>

static int prepared[4];

static void must_be_prepared(int i)
{
	FL_STRESS_CHECK(prepared[i] == 1);
}

struct log_handler {
	char nothing;
};

static void log_one(fl_log_level level, const char *message)
{
	must_be_prepared(0);
}

static void log_two(fl_log_level level, const char *message)
{
	must_be_prepared(1);
}

static void set_log(int mine, fl_log_handler *handler, fl_log_handler *other)
{
	prepared[mine] = 1;
	if (fl_log_set_handler(handler) == other)
		must_be_prepared(1 - mine);
}

FL_STRESS_ACTOR(log_handler, one)
{
	set_log(0, log_one, log_two);
}

FL_STRESS_ACTOR(log_handler, two)
{
	set_log(1, log_two, log_one);
}

FL_STRESS_ACTOR(log_handler, logger)
{
	fl__log(FL_LOG_INFO, "a line that the default handler leaves out");
}

FL_STRESS(log_handler, one, two, logger)
{
	(void)fl_log_set_handler(NULL);
	FL_ACCEPTABLE(1, "each saw what was prepared");
}

/* Panic handlers are replaced while panics happen. The handlers leave by longjmp(). */
struct panic_handler {
	char nothing;
};

static _Thread_local jmp_buf *way_out;

static void panic_zero(const fl_panic_info *info)
{
	longjmp(*way_out, 1);
}

static void panic_one(const fl_panic_info *info)
{
	must_be_prepared(2);
	longjmp(*way_out, 1);
}

static void panic_two(const fl_panic_info *info)
{
	must_be_prepared(3);
	longjmp(*way_out, 1);
}

static void set_panic(int mine, fl_panic_handler *handler, fl_panic_handler *other)
{
	prepared[2 + mine] = 1;
	if (fl_panic_set_handler(handler) == other)
		must_be_prepared(3 - mine);
}

/* The default handler would end the process. */
FL_STRESS_SETUP(panic_handler)
{
	(void)fl_panic_set_handler(panic_zero);
}

FL_STRESS_ACTOR(panic_handler, one)
{
	set_panic(0, panic_one, panic_two);
}

FL_STRESS_ACTOR(panic_handler, two)
{
	set_panic(1, panic_two, panic_one);
}

FL_STRESS_ACTOR(panic_handler, caller)
{
	jmp_buf here;
	way_out = &here;
	if (setjmp(here) == 0)
		fl__panic("scenario", s, "called on purpose");
	way_out = NULL;
}

FL_STRESS(panic_handler, one, two, caller)
{
	FL_ACCEPTABLE(1, "each saw what was prepared");
}
