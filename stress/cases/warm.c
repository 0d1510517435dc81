/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry of task types makes its set at the first lookup, and keeps it: memory of the module,
 * not of an execution. So this file does a lookup before the first execution. It is the last file
 * in the order of linking, so that all types are listed by then.
 */
#include "cases.h"
#include <fairlead/task_type.h>

__attribute__((constructor)) static void warm(void)
{
	(void)fl_task_conflict();
}
