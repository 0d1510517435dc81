/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An idle process: a pool that has run its tasks, a thread in a wait with a deadline an hour ahead,
 * and a timer.
 */
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>

enum { TASKS = 1000 };

FL_TASK(work, int, int)
{
	*result = *arg;
	return 0;
}

static int wait_long(void *event)
{
	return fl_event_wait_until(event, fl_after(FL_S(3600)), NULL);
}

static void never_due(void *unused)
{
	(void)unused;
}

int main(void)
{
	FL_SCOPED(fl_executor) *pool = NULL;
	int rc = fl_thread_executor_create(&pool, &(fl_executor_config){.workers = 4});
	if (rc)
		return fl_perror(rc, "executor");
	int numbers[TASKS] = {0}, results[TASKS];
	rc = work_map(pool, numbers, TASKS, results, &(fl_map_config){.chunk = 1});
	if (rc)
		return fl_perror(rc, "map");
	fl_event end = FL_EVENT_INIT;
	fl_thread *waiter;
	rc = fl_thread_start(&waiter, wait_long, &end, NULL);
	if (rc)
		return fl_perror(rc, "thread");
	FL_SCOPED(fl_timer) timer = FL_TIMER_INIT;
	rc = fl_timer_start_every(&timer, fl_after(FL_S(3600)), FL_S(1), never_due, NULL);
	if (rc)
		return fl_perror(rc, "timer");

	puts("idle");
	fflush(stdout);
	(void)getchar();

	fl_event_set(&end);
	int result;
	rc = fl_thread_join(waiter, &result);
	return rc || result ? fl_perror(rc ? rc : result, "waiter") : 0;
}
