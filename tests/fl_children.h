/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_CHILDREN_H
#define FL_CHILDREN_H

/*
 * Functions for the fibers of groups, and an error handler that counts. For one source file each: everything here is static.
 *
 *     FL_CHECK(fl_tasks_start(&g, returns, RC(-EIO)) == 0);
 *     FL_CHECK(fl_tasks_start(&g, until_cancelled, &ends) == 0);
 */
#include "fl_in_loop.h"

#define CHILD_FN __attribute__((unused)) static

/* An error as an argument. */
#define RC(error) ((void *)(intptr_t)(error))

CHILD_FN int returns(void *rc)
{
	return (int)(intptr_t)rc;
}

CHILD_FN int waits_for(void *event)
{
	return fl_event_wait(event);
}

/* Lets the others run first, some turns. */
CHILD_FN int sets_later(void *event)
{
	fl_test_settle();
	fl_event_set(event);
	return 0;
}

/* Waits until it is cancelled, counts itself, and says so. */
CHILD_FN int until_cancelled(void *ends)
{
	fl_event never = FL_EVENT_INIT;
	int rc = fl_event_wait(&never);
	FL_CHECK(rc == -ECANCELED);
	++*(int *)ends;
	return rc;
}

/* A child that takes what it is told to, and may end only when the gate is open. */
typedef struct child {
	fl_event *start;   /* waits for it, under its scope; NULL: until it is cancelled */
	fl_event *cleanup; /* then waits for it, whatever its scope; NULL: it does not */
	int rc;            /* what it returns if it was cancelled; 0: what the wait said */
	int began, ended;
	bool cancelled;
} child;

CHILD_FN int runs(void *arg)
{
	fl_event never = FL_EVENT_INIT;
	child *c = arg;
	c->began++;
	int rc = fl_event_wait(c->start ? c->start : &never);
	c->cancelled = rc == -ECANCELED;
	if (c->cleanup)
		FL_CHECK(fl_event_wait_until(c->cleanup, FL_FOREVER, FL_SHIELDED) == 0);
	c->ended++;
	return rc != 0 && c->rc != 0 ? c->rc : rc;
}

/* What the error handler was told. */
static struct {
	int count, error;
	char name[32];
} told;

CHILD_FN void on_error(const char *name, int error)
{
	told.count++;
	told.error = error;
	(void)snprintf(told.name, sizeof told.name, "%s", name);
}

CHILD_FN void unhook(fl_fiber_error_handler **before)
{
	(void)fl_fiber_set_error_handler(*before);
}

/* Until the end of the block errors are counted, from 0. */
#define TOLD()                                                                                                         \
	__attribute__((cleanup(unhook), unused)) fl_fiber_error_handler *FL__JOIN(told_, __LINE__) =                   \
	    (memset(&told, 0, sizeof told), fl_fiber_set_error_handler(on_error))

#endif
