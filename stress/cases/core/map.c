/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of the ordered map. In every run it reports the failed element with the lowest index,
 * and the caller may leave when it returns.
 */
#include "pools.h"

FL_TASK_STATIC(square, int, int)
{
	*result = *arg * *arg;
	return *arg < 0 ? fl_task_fail(ctx, -EDOM, "negative") : 0;
}

/*
 * Both elements fail. The one with the lower index is reported, with its own message, whichever
 * fails first.
 */
struct map_lowest_failure {
	int args[2], results[2], rc;
	fl_map_error error;
};

FL_STRESS_ACTOR(map_lowest_failure, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(2);
	s->args[0] = s->args[1] = -1;
	s->rc = square_map(e, s->args, 2, s->results, &(fl_map_config){.chunk = 1, .error = &s->error});
}

FL_STRESS(map_lowest_failure, user)
{
	bool whole = s->error.error == -EDOM && s->error.message[0] == 'n';
	FL_ACCEPTABLE(s->rc == FL_ETASK && s->error.index == 0 && whole, "the lowest");
}
