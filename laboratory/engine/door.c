/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The door of a module that has a copy of the library. This file is linked into each such module,
 * and is never instrumented.
 */
#include "door.h"
#include "../../lib/core/sync/local.h"
#include "../../lib/core/wait/lot.h"

static void door_enter(void *memory, const char *name)
{
	fl__ctx_init_thread(memory, name);
	fl__ctx_current = memory;
}

static void door_leave(void)
{
	fl__locals_end(fl__ctx_current);
	fl__ctx_current = NULL;
}

static void (*door_report)(const char *function, const void *object, const char *reason);

static void door_on_panic(const fl_panic_info *info)
{
	door_report(info->function, info->object, info->reason);
}

static void door_panics(void (*report)(const char *function, const void *object, const char *reason))
{
	door_report = report;
	(void)fl_panic_set_handler(door_on_panic);
}

static const struct lab_door door = {
    .size = sizeof door,
    .sys = &fl__sys,
    .context_size = sizeof(struct fl__thread_data),
    .enter = door_enter,
    .leave = door_leave,
    .waiters = fl__lot_visit,
    .panics = door_panics,
};

__attribute__((constructor)) static void door_open(void)
{
	lab_attach(&door);
}
