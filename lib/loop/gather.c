/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fl_gather(): a group that lives as long as the call. Each child knows its place among the
 * results. fl_shield() is the opposite: a fiber that may outlive the call.
 */
#include "tasks.h"
#include <errno.h>

struct gather {
	fl_tasks group; /* first member: a child finds the rest by its group */
	const fl_call *calls;
	int *results;
	bool all; /* an error cancels no child */
};

static int run(void *arg)
{
	const fl_call *call = arg;
	return call->function(call->arg);
}

/* The error handler gets an error that is neither the first nor in the results. */
static int on_ended(struct fl_fiber *f, int rc)
{
	const struct gather *t = (struct gather *)(void *)f->group;
	if (t->results)
		t->results[(const fl_call *)f->arg - t->calls] = rc;
	if (rc == 0)
		return 0;
	enum fl__tasks_news news = fl__tasks_note(f->group, f, rc);
	if (news == FL__FIRST_FAILURE && !t->all)
		fl_cancel_token_request(&f->group->token_);
	if (news == FL__LATER_FAILURE && !t->results)
		fl__fiber_report(fl_fiber_name(f), rc);
	return rc;
}

static int start_all(struct gather *t, size_t n, fl_cancel_token *cancel)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const fl_call call = {run, (void *)(uintptr_t)&t->calls[i], t->calls[i].name};
		rc = fl__tasks_start(&t->group, cancel, &call, on_ended);
	}
	if (rc != 0 && rc != -ECANCELED)
		t->group.error_ = rc; /* the first failure: no child has run yet */
	return rc;
}

static int gather(struct gather *t, size_t n, int64_t deadline, fl_cancel_token *cancel)
{
	if (n == 0)
		return 0;
	if (!fl_fiber_current())
		return fl__loop_needed("fl_gather", FL__A_FIBER);
	for (size_t i = 0; t->results && i < n; i++)
		t->results[i] = -ECANCELED;
	int rc = start_all(t, n, cancel);
	if (!t->group.bound_)
		return rc;
	if (rc == 0)
		rc = fl__tasks_wait(&t->group, deadline, cancel);
	if (rc != 0) {
		fl_cancel_token_request(&t->group.token_);
		(void)fl__tasks_wait(&t->group, FL_FOREVER, FL_SHIELDED);
	}
	return fl__tasks_finish(&t->group, rc, cancel);
}

int fl_gather_until(const fl_call *calls, size_t n, int *results, int64_t deadline, fl_cancel_token *cancel)
{
	struct gather t = {FL_TASKS_INIT, calls, results, false};
	return gather(&t, n, deadline, cancel);
}

int fl_gather_all_until(const fl_call *calls, size_t n, int *results, int64_t deadline, fl_cancel_token *cancel)
{
	struct gather t = {FL_TASKS_INIT, calls, results, true};
	return gather(&t, n, deadline, cancel);
}

int fl_shield_until(fl_fiber_function *function, void *arg, int *result, int64_t deadline, fl_cancel_token *cancel)
{
	fl_fiber *f;
	if (!fl_fiber_current())
		return fl__loop_needed("fl_shield", FL__A_FIBER);
	int rc = fl_fiber_start(&f, function, arg, NULL);
	if (rc != 0)
		return rc;
	rc = fl_fiber_join_until(f, result, deadline, cancel);
	if (rc != 0)
		fl_fiber_detach(f);
	return rc;
}
