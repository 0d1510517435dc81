/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_EMBEDDED_TASK_H
#define FL_EXEC_EMBEDDED_TASK_H

#include "task_blocks.h"

/*
 * Tasks in the user's memory (fl_embedded_task): task blocks of FL__TASK_BLOCK_USERS. embedded_task.c has their states.
 */

/* Called when nothing refers to the task block. The memory is then the user's. */
void fl__embedded_release(struct fl__task_block *block);

#endif
