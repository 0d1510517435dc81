/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/executor.h>
#include <fairlead/loop.h>

/*
 * Stores the executor for calls on other threads in *threads. The first call creates it. Returns 0;
 * -EOWNERDEAD in a forked child; or the error of fl_thread_executor_create(). The loop's end waits
 * for every task.
 */
int fl__loop_threads(fl_loop *l, fl_executor **threads);
