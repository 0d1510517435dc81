/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_MEMBERS_H
#define FL_MEMBERS_H

/*
 * Functions for the members of groups, and handlers that count. A case runs twice: first its
 * members are fibers, then tasks of an executor on the same loop. Only one source file of a program
 * may include this header, because everything here is static.
 *
 *     FL_MEMBERS_TEST(group_that_fails) // with a group `g`, which is unused
 *     {
 *             begin(g, returns, RC(-EIO));
 *             begin(g, until_cancelled, &ends);
 *             ...
 *     }
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

/* Waits until it is cancelled, counts itself, and says so. */
CHILD_FN int until_cancelled(void *ends)
{
	fl_event never = FL_EVENT_INIT;
	int rc = fl_event_wait(&never);
	FL_CHECK(rc == -ECANCELED);
	++*(int *)ends;
	return rc;
}

/* Sets a local whose destructor yields. */
static int destroyed;

CHILD_FN void destroys_slowly(void *value)
{
	for (int i = 0; i < 5; i++)
		fl_fiber_yield();
	destroyed++;
}

CHILD_FN int sets_a_local(void *unused)
{
	static fl_local slow = FL_LOCAL_INIT(destroys_slowly);
	return fl_local_set(&slow, &slow);
}

/* A member that drops its argument, and may end only when the gate is open. */
typedef struct child {
	fl_event *start;   /* it waits for this under its scope; NULL: until cancelled */
	fl_event *cleanup; /* then it waits for this, whatever its scope; NULL: it does not */
	int rc;            /* what it returns if it was cancelled; 0: the result of the wait */
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
		FL_OK(fl_event_wait_until(c->cleanup, FL_FOREVER, FL_SHIELDED));
	c->ended++;
	return rc != 0 && c->rc != 0 ? c->rc : rc;
}

/* The executor of the members; NULL: they are fibers. */
static fl_executor *of_members;

CHILD_FN bool are_fibers(void)
{
	return !of_members;
}

typedef struct member_call {
	fl_fiber_function *function;
	void *arg;
} member_call;

FL_TASK_STATIC(member, member_call, void)
{
	return arg->function(arg->arg);
}

CHILD_FN int start(fl_group *g, fl_fiber_function *function, void *arg)
{
	if (are_fibers())
		return fl_group_start(g, function, arg);
	return fl_group_submit(g, &member, &(member_call){function, arg}, NULL);
}

CHILD_FN void begin(fl_group *g, fl_fiber_function *function, void *arg)
{
	FL_OK(start(g, function, arg));
}

/* Until the first task has ended, the executor is not ready to start tasks at once. */
CHILD_FN void make_ready(fl_executor *e)
{
	fl_group g = FL_GROUP_INIT(e);
	FL_OK(fl_group_submit(&g, &member, &(member_call){returns, NULL}, NULL));
	FL_OK(fl_group_join(&g));
}

typedef void member_case(fl_group *g);

CHILD_FN int with_fibers(void *body)
{
	fl_group g = FL_GROUP_INIT(of_members);
	(*(member_case *const *)body)(&g);
	return 0;
}

CHILD_FN int with_tasks(void *body)
{
	FL_OK(fl_loop_executor_create_on(&of_members, fl_loop_current(), NULL));
	make_ready(of_members);
	(void)with_fibers(body);
	fl_executor_free(of_members);
	of_members = NULL;
	return 0;
}

#define FL_MEMBERS_TEST(name)                                                                                          \
	static member_case name##_body;                                                                                \
	FL_TEST(name##_of_fibers)                                                                                      \
	{                                                                                                              \
		fl_test_in_loop(with_fibers, &(member_case *){name##_body});                                           \
	}                                                                                                              \
	FL_TEST(name##_of_tasks)                                                                                       \
	{                                                                                                              \
		fl_test_in_loop(with_tasks, &(member_case *){name##_body});                                            \
	}                                                                                                              \
	static void name##_body(fl_group *g)

/* The errors that were passed to handlers because no join returned them. */
static struct {
	int count, error;
	char text[FL_MESSAGE_MAX];
} told;

CHILD_FN void on_error(const char *name, int error)
{
	told.count++;
	told.error = error;
	FL_TEXT(told.text, "%s", name);
}

/* "a task of a group failed ...: EIO: ..." */
FL_TEST_LOG_HANDLER(on_log)
{
	FL_CHECK(level <= FL_LOG_WARNING && strstr(message, "a task of a group failed") != NULL);
	told.count++;
	FL_TEXT(told.text, "%s", message);
}

/* Whether the last reported error was `error`. */
CHILD_FN bool told_of(int error)
{
	return are_fibers() ? told.error == error : strstr(told.text, fl_error_name(error)) != NULL;
}

CHILD_FN void unhook(fl_fiber_error_handler **before)
{
	(void)fl_fiber_set_error_handler(*before);
	(void)fl_log_set_handler(NULL);
}

/* Counts errors, from 0, until the end of the block. */
#define TOLD()                                                                                                         \
	__attribute__((cleanup(unhook), unused)) fl_fiber_error_handler *FL__UNIQUE(told_) =                           \
	    (memset(&told, 0, sizeof told), (void)fl_log_set_handler(on_log), fl_fiber_set_error_handler(on_error))

#endif
