/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_THREADS_H
#define FL_LOOP_THREADS_H

#include <fairlead/executor.h>
#include <fairlead/loop.h>

/*
 * The loop's own threads, by its thread: made when they are asked for first. 0, or the error of fl_thread_executor_create();
 * -EOWNERDEAD in a forked child. Theirs to wait for: who submits to them does not let the loop end before its task has.
 */
int fl__loop_threads(fl_loop *l, fl_executor **threads);

/* Joins and frees them. In a forked child it waits for nothing. */
void fl__loop_end_threads(fl_loop *l);

#endif
