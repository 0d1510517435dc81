/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rounds of 1,000 submits, while the only worker is in a task, so that no submit wakes or starts a
 * thread. In the last round all memory was used before: callgrind counts its instructions.
 */
#include <fairlead.h>
#include <unistd.h>

static int started[2], over[2];

/* Blocks outside of the library: a worker that sleeps in a wait of its own gets a stand-in. */
FL_TASK(hold, void, void)
{
	char byte = 0;
	return write(started[1], &byte, 1) == 1 && read(over[0], &byte, 1) == 1 ? 0 : -EIO;
}

FL_TASK(nothing, int, void)
{
	return 0;
}

__attribute__((noinline)) static int submits(fl_executor *e)
{
	for (int i = 0; i < 1000; i++)
		if (nothing_submit(e, i, NULL))
			return 1;
	return 0;
}

__attribute__((noinline)) int measured(fl_executor *e);
int measured(fl_executor *e)
{
	return submits(e);
}

int main(void)
{
	FL_SCOPED(fl_executor) *e = NULL;
	char byte = 0;
	if (pipe(started) || pipe(over) || fl_thread_executor_create(&e, &(fl_executor_config){.workers = 1}))
		return 1;
	for (int round = 0; round < 3; round++) {
		if (hold_submit(e, NULL) || read(started[0], &byte, 1) != 1 || (round < 2 ? submits(e) : measured(e)) ||
		    write(over[1], &byte, 1) != 1 || fl_executor_wait_idle(e))
			return 1;
	}
	return 0;
}
