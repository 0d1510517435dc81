/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 1,000 forks and joins on the only worker, so that nothing is stolen. callgrind counts their
 * instructions.
 */
#include <fairlead.h>

static int nothing(void *unused)
{
	(void)unused;
	return 0;
}

__attribute__((noinline)) int measured(void);
int measured(void)
{
	for (int i = 0; i < 1000; i++)
		if (fl_parallel_invoke(nothing, NULL, nothing, NULL))
			return 1;
	return 0;
}

FL_TASK(forks, void, void)
{
	return measured();
}

int main(void)
{
	FL_SCOPED(fl_executor) *e = NULL;
	return fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}) || forks_submit(e, NULL) ||
	       fl_executor_wait_idle(e);
}
