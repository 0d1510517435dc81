/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A turn with tasks on processes that ignore their deadline. Their worker is killed, and another
 * worker runs the next tasks.
 */
#include "activities.h"

FL_TASK_STATIC(never_end, void, void)
{
	volatile bool ends = false;
	while (!ends)
		;
	return 0;
}

FL_TASK_STATIC(add_one, int, int)
{
	*result = *arg + 1;
	return 0;
}

void deadline_turn(uint64_t *state)
{
	FL_SCOPED(fl_executor) *e = NULL;
	const fl_executor_config config = {.workers = 1 + (unsigned)(draw(state) % 2), .grace_period = FL_MS(5)};
	check("a process executor", fl_process_executor_create(&e, &config));
	for (int i = 0; i < 3; i++) {
		FL_SCOPED(fl_future) *late = NULL, *next = NULL;
		int sum = 0;
		const fl_submit_config terms = {.deadline = fl_after(FL_MS(1 + (int64_t)(draw(state) % 20)))};
		check("a submit", never_end_submit_with(e, &late, &terms));
		check("a submit", add_one_submit(e, i, &next));
		check("a task behind one that is killed", add_one_get(next, &sum));
		check("a wait", fl_future_wait(late));
		if (fl_future_error(late) != -ETIMEDOUT)
			fail("a task was killed at its deadline, and ended with %s: %s",
			     fl_error_name(fl_future_error(late)), fl_future_message(late));
		if (sum != i + 1)
			fail("%d + 1 is %d", i, sum);
	}
}
