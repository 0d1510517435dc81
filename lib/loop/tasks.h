/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_TASKS_H
#define FL_LOOP_TASKS_H

#include "loop.h"
#include <fairlead/tasks.h>
#include <stdbool.h>
#include <stdint.h>

/* tasks: the pieces of a group, for fl_gather(), whose groups live as long as a call. */

/*
 * As fl_tasks_start(). `parent`: of the group's token, if this is what begins it, as for fl_cancel_init(). `ended`: of struct fl_fiber.
 */
int fl__tasks_start(fl_tasks *g, fl_cancel *parent, const fl_call *call, int (*ended)(struct fl_fiber *f, int rc));

/* By that, of an error: what it means to the group. The first failure is kept. */
enum fl__tasks_news { FL__CUT_SHORT, FL__FIRST_FAILURE, FL__LATER_FAILURE };
enum fl__tasks_news fl__tasks_note(fl_tasks *g, const struct fl_fiber *f, int rc);

/* Waits until no child is left: 0, -ETIMEDOUT, -ECANCELED. */
int fl__tasks_wait(fl_tasks *g, int64_t deadline, fl_cancel *cancel);

/*
 * After that: gives back what the group has, and returns what came of it. `interrupted`: why the wait was not left to end by itself;
 * 0: it was. `cancel`: whose request cut it short, if one did.
 */
int fl__tasks_finish(fl_tasks *g, int interrupted, const fl_cancel *cancel);

/* The end of a child was published. */
void fl__tasks_left(fl_tasks *g);

#endif
