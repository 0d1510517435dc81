/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/task_type.h>

/*
 * Stores the type of that name in `*type`. Returns:
 *
 *   0
 *   -ENOENT   no type has the name
 *   -EEXIST   different types have it
 */
int fl__registry_find(const char *name, const fl_task_type **type);

/*
 * Returns the task type of that name, or NULL if no type or several different types have the name.
 */
const fl_task_type *fl__task_find(const char *name);

/* Returns a name that several different types have, or NULL if there is none. */
const char *fl__task_conflict(void);

/* Changes with each type registered or unregistered: earlier look-ups are then out of date. */
uint64_t fl__registry_changes(void);

/*
 * Calls `visit` for each type, in the order of names; ambiguous names are left out. The registry is
 * locked meanwhile: `visit` must neither wait nor look up a name.
 */
void fl__registry_visit(void (*visit)(const fl_task_type *type, void *arg), void *arg);
