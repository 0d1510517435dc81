/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/executor.h>

/*
 * Makes the executor that a task in another process finds as its current executor. It runs nested
 * tasks at once, on the calling thread, and knows where that thread's stack ends. It lasts as long
 * as the process. Returns 0 or an error.
 */
int fl__nested_make(fl_executor **made, const fl_executor_config *config);

/* Called after each task, because a task that closes this executor closes it only for itself. */
void fl__nested_reopen(fl_executor *e);
