/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ordered map: every element once, the lowest failure in every run, and the caller may leave
 * when it returns.
 */
#include "../cases.h"
#include <fairlead/task.h>

static fl_executor *workers(unsigned n)
{
	fl_executor *e = NULL;
	OK(fl_thread_executor_create(&e, &(fl_executor_config){.workers = n}));
	return e;
}

FL_TASK_STATIC(square, int, int)
{
	*result = *arg * *arg;
	return *arg < 0 ? fl_task_fail(ctx, -EDOM, "negative") : 0;
}

/* Two runners share two elements: each runs once, and its result is visible. */
struct map_two {
	int args[2], results[2], rc;
};

FL_STRESS_ACTOR(map_two, user)
{
	FL_SCOPED(fl_executor) *e = workers(2);
	s->args[0] = 2;
	s->args[1] = 3;
	s->rc = square_map(e, s->args, 2, s->results, &(fl_map_config){.chunk = 1});
}

FL_STRESS(map_two, user)
{
	FL_ACCEPTABLE(s->rc == 0 && s->results[0] == 4 && s->results[1] == 9, "both");
	FL_FORBIDDEN(1, "wrong results");
}

/* Both fail: the first by index is reported, in any order of time, with its own message. */
struct map_lowest_failure {
	int args[2], results[2], rc;
	fl_map_error error;
};

FL_STRESS_ACTOR(map_lowest_failure, user)
{
	FL_SCOPED(fl_executor) *e = workers(2);
	s->args[0] = s->args[1] = -1;
	s->rc = square_map(e, s->args, 2, s->results, &(fl_map_config){.chunk = 1, .error = &s->error});
}

FL_STRESS(map_lowest_failure, user)
{
	bool whole = s->error.error == -EDOM && s->error.message[0] == 'n';
	FL_ACCEPTABLE(s->rc == FL_ETASK && s->error.index == 0 && whole, "the lowest");
	FL_FORBIDDEN(1, "another");
}

/*
 * A request against a map: all done, or -ECANCELED; after its return no context uses the caller's
 * arrays.
 */
struct map_cancel {
	fl_executor *e;
	fl_cancel_token stop;
	int *args, rc;
};

FL_STRESS_SETUP(map_cancel)
{
	s->e = workers(1);
	s->args = make(2 * sizeof *s->args);
}

FL_STRESS_ACTOR(map_cancel, user)
{
	int results[1];
	s->rc = square_map(s->e, s->args, 1, results, &(fl_map_config){.cancel = &s->stop});
	free(s->args);
}

FL_STRESS_ACTOR(map_cancel, canceller)
{
	fl_cancel_token_request(&s->stop);
}

FL_STRESS(map_cancel, user, canceller)
{
	fl_executor_free(s->e);
	fl_cancel_token_destroy(&s->stop);
	FL_ACCEPTABLE(s->rc == 0, "all done");
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
	FL_FORBIDDEN(1, "another error");
}
