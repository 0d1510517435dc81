/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_REGISTRY_H
#define FL_EXEC_REGISTRY_H

#include <fairlead/task_type.h>

/*
 * Stores the type of that name in `*type`. Returns:
 *
 *   0
 *   -ENOENT   no type has the name
 *   -EEXIST   different types have it
 *   -ENOMEM   no memory to look
 */
int fl__registry_find(const char *name, const fl_task_type **type);

/*
 * A number that changes when a type is registered, or taken out: what was found before has to be
 * looked up anew. Any thread.
 */
uint64_t fl__registry_changes(void);

/*
 * Calls `visit` for each type that its name stands for, in no order: not for different types of one
 * name. The registry is locked meanwhile: `visit` must neither wait nor look a name up. 0, or
 * -ENOMEM, with nothing visited.
 */
int fl__registry_visit(void (*visit)(const fl_task_type *type, void *arg), void *arg);

#endif
