/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/executor.h>
#include <fairlead/loop.h>

/* What a loop runs on other threads. */
enum fl__loop_work { FL__LOOP_CALLS, FL__LOOP_LOOKUPS, FL__LOOP_WORKS };

/*
 * Stores the loop's executor for this kind of work in *threads. The first call creates it. Returns
 * 0, or the error of fl_thread_executor_create().
 */
int fl__loop_threads(fl_loop *l, enum fl__loop_work work, fl_executor **threads);

/*
 * Frees the executors. If it can, it leaves lookups that still run to the library; otherwise it
 * waits for them.
 */
void fl__loop_free_threads(fl_loop *l);
