/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_REGISTRY_H
#define FL_EXEC_REGISTRY_H

#include <fairlead/task_type.h>

/* Whether an executor may be made: 0, -EEXIST when two different types have one name, -ENOMEM. */
int fl__registry_check(void);

/*
 * Calls `visit` for one type of each name, in no order. The registry is locked meanwhile: `visit` must neither wait nor look a
 * name up. 0, or -ENOMEM, with nothing visited.
 */
int fl__registry_visit(void (*visit)(const fl_task_type *type, void *arg), void *arg);

#endif
