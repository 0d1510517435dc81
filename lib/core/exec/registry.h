/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/task_type.h>

/*
 * Finds the type named `name`, and stores it in `*type`. Returns:
 *
 *   0
 *   -ENOENT   no type has the name
 *   -EEXIST   different types have it
 */
int fl__registry_find(const char *name, const fl_task_type **type);

/*
 * Returns a number that changes whenever a type is registered or unregistered. Earlier look-ups are
 * then out of date.
 */
uint64_t fl__registry_changes(void);

/*
 * Calls `visit` for each type, in the order of names, but not for types whose name is ambiguous.
 * The registry is locked meanwhile, so `visit` must neither wait nor look up a name.
 */
void fl__registry_visit(void (*visit)(const fl_task_type *type, void *arg), void *arg);
