/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures in a small program what the start of a process executor takes. fairlead-bench starts
 * `fairlead-bench-start CASE` and asks it over a pipe (remote.h). In the case "result", the time is
 * that from nothing to the first result of each of two workers; in the case "end", it ends when the
 * workers are joined, too. The first pool of a program starts the fork server. In "result_again"
 * and "end_again", the program has had a pool before.
 */
#include "shim.h"

#include <errno.h>
#include <fairlead/executor.h>
#include <fairlead/process_executor.h>
#include <fairlead/shm.h>
#include <fairlead/task.h>
#include <fairlead/time.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORKERS = 2 };

struct meeting {
	uint32_t arrived;
};

/* Each of the two tasks waits for the other task, so that each worker gets one. */
FL_TASK_STATIC(meet, fl_shm_offset, uint64_t)
{
	struct meeting *meeting = FL_SHM_AT(fl_task_region(ctx, 0), struct meeting, *arg);
	if (!meeting)
		return -EINVAL;
	__atomic_add_fetch(&meeting->arrived, 1, __ATOMIC_RELAXED);
	while (__atomic_load_n(&meeting->arrived, __ATOMIC_RELAXED) < WORKERS)
		sched_yield();
	*result = WORKERS;
	return 0;
}

static int64_t start(fl_shm *region, bool to_end)
{
	struct meeting *meeting = fl_shm_block_alloc(region, sizeof *meeting);
	bench_must(meeting != NULL, "fl_shm_block_alloc");
	fl_future *futures[WORKERS];
	fl_time begin = fl_now();
	fl_executor *e = NULL;
	fl_executor_config config = {.workers = WORKERS, .regions = &region, .n_regions = 1};
	BENCH_OK(fl_process_executor_create(&e, &config));
	for (int i = 0; i < WORKERS; i++)
		BENCH_OK(meet_submit(e, fl_shm_offset_of(region, meeting), &futures[i]));
	for (int i = 0; i < WORKERS; i++) {
		uint64_t met = 0;
		bench_must(meet_get(futures[i], &met) == 0 && met == WORKERS, fl_future_message(futures[i]));
	}
	int64_t took = fl_time_diff(fl_now(), begin);
	for (int i = 0; i < WORKERS; i++)
		fl_future_free(futures[i]);
	fl_executor_free(e);
	if (to_end)
		took = fl_time_diff(fl_now(), begin);
	fl_shm_block_free(region, meeting);
	return took;
}

int main(int argc, char **argv)
{
	fl_process_main(argc, argv);
	bench_must(argc == 2, "result|end|result_again|end_again");
	bool to_end = strncmp(argv[1], "end", 3) == 0, again = strstr(argv[1], "_again") != NULL;
	fl_shm *region = NULL;
	BENCH_OK(fl_shm_create(&region, 4096));
	if (again)
		(void)start(region, to_end);
	char line[64];
	(void)puts("ready");
	while (fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
		int64_t took = 0;
		for (unsigned long n = strtoul(line, NULL, 10); n > 0; n--)
			took += start(region, to_end);
		(void)printf("%" PRId64 " 0\n", took);
	}
	fl_shm_free(region);
	return 0;
}
