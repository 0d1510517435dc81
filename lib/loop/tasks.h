/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_TASKS_H
#define FL_LOOP_TASKS_H

#include "loop.h"
#include <fairlead/tasks.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Pieces of a task group (fl_tasks), also for fl_gather(), whose group lives as long as the call.
 */

/*
 * As fl_tasks_start(). `parent` is for fl_cancel_token_init() of the group's token, if this call begins
 * the group. `ended`: see struct fl_fiber.
 */
int fl__tasks_start(fl_tasks *g, fl_cancel_token *parent, const fl_call *call,
                    int (*ended)(struct fl_fiber *f, int rc));

/*
 * Called by `ended` for a child's error. Tells what the error means to the group, which keeps the
 * first failure.
 */
enum fl__tasks_news { FL__CUT_SHORT, FL__FIRST_FAILURE, FL__LATER_FAILURE };
enum fl__tasks_news fl__tasks_note(fl_tasks *g, const struct fl_fiber *f, int rc);

/* Waits until no child is left. Returns 0, -ETIMEDOUT, -ECANCELED. */
int fl__tasks_wait(fl_tasks *g, int64_t deadline, fl_cancel_token *cancel);

/*
 * After fl__tasks_wait(): frees what the group has, and returns the result of the group.
 * `interrupted`: the error that cut the wait short; 0: none. `cancel`: the token of that wait.
 */
int fl__tasks_finish(fl_tasks *g, int interrupted, const fl_cancel_token *cancel);

/* Called after the end of a child was published. */
void fl__tasks_left(fl_tasks *g);

#endif
