/* SPDX-License-Identifier: BSD-2-Clause */
#include "alone.h"

#include <inttypes.h>
#include <time.h>

static int64_t cpu_time(void)
{
	struct timespec used;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (int64_t)used.tv_sec * 1000000000 + used.tv_nsec;
}

bench_remote *bench_alone_open(const bench_row *row, int threads)
{
	char number[16];
	(void)snprintf(number, sizeof number, "%d", threads);
	const char *const command[] = {"/proc/self/exe", "--serve", row->name, row->implementation, number, NULL};
	return bench_remote_open(command);
}

int64_t bench_alone_run(bench_remote *r, bench_thread *t, int64_t span)
{
	char line[160];
	int64_t cpu;
	if (fprintf(r->to, "%" PRIu64 " %" PRId64 " %d\n", t->total, span, t->laps != NULL) < 0 || fflush(r->to) != 0 ||
	    !fgets(line, sizeof line, r->from))
		bench_fail("the process of this row has ended");
	if (sscanf(line, "%" SCNd64 " %" SCNu64 " %" SCNd64 " %" SCNd64 " %" SCNd64, &t->took, &t->done, &t->p50,
	           &t->p99, &cpu) != 5 ||
	    t->took <= 0)
		bench_fail("the process of this row answered %s", line);
	return cpu;
}

int bench_alone_serve(const bench_row *row, int threads)
{
	char line[64];
	void *state = row->setup(&(bench_setting){.threads = threads, .arg = row->arg});
	(void)puts("ready");
	while (fflush(stdout) == 0 && fgets(line, sizeof line, stdin)) {
		bench_laps laps = {0};
		bench_thread t = {.state = state, .threads = 1};
		int64_t span;
		int told;
		if (sscanf(line, "%" SCNu64 " %" SCNd64 " %d", &t.total, &span, &told) != 3)
			bench_fail("bad question: %s", line);
		t.laps = told ? &laps : NULL;
		int64_t cpu = cpu_time(), start = bench_now();
		t.until = start + span;
		bench_run(row, &t);
		int64_t took = bench_now() - start;
		cpu = cpu_time() - cpu;
		(void)printf("%" PRId64 " %" PRIu64 " %" PRId64 " %" PRId64 " %" PRId64 "\n",
		             t.took > 0 ? t.took : took, t.done, t.p50, t.p99, cpu);
	}
	row->teardown(state, 0);
	return 0;
}
