/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long after a death a submitter knew of it, and when another worker had ended a task in its
 * place.
 */
#include "tasks.h"
#include <fairlead/time.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 1 << 18 };

static struct {
	uint64_t n;
	int64_t ns[SAMPLES];
} all[MEASURED];

static int64_t slack_at; /* the last time with less work than workers */

void measure(enum measured what, int64_t ns)
{
	uint64_t n = __atomic_fetch_add(&all[what].n, 1, __ATOMIC_RELAXED);
	if (n < SAMPLES)
		all[what].ns[n] = ns;
}

/* There is less work than workers: a worker that dies now may not be replaced at once. */
void note_slack(void)
{
	__atomic_store_n(&slack_at, time_now(), __ATOMIC_RELAXED);
}

/* The first task that a worker has ended. */
void measure_service(const struct answer *answer)
{
	if (answer->nth != 1 || !current.measured)
		return;
	const struct life *life = life_of(answer->pid);
	if (life->pid != answer->pid || life->replaces == NOBODY)
		return;
	const int64_t died = __atomic_load_n(&board->died[life->replaces % DEATHS], __ATOMIC_SEQ_CST);
	const bool spoiled = __atomic_exchange_n(&board->spoiled, 0, __ATOMIC_SEQ_CST);
	if (!spoiled && died > __atomic_load_n(&slack_at, __ATOMIC_RELAXED))
		measure(SERVED_AFTER, time_now() - died);
}

static int by_size(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

void measure_report(void)
{
	static const struct {
		const char *name;
		int64_t goal;
	} rows[MEASURED] = {[FAILED_AFTER] = {"from a SIGKILL until its task had failed", FL_MS(5)},
	                    [SERVED_AFTER] = {"from a SIGKILL until another worker had ended a task", FL_MS(20)}};
	for (unsigned i = 0; i < MEASURED; i++) {
		const size_t n = all[i].n < SAMPLES ? all[i].n : SAMPLES;
		int64_t *ns = all[i].ns;
		if (n == 0)
			continue;
		qsort(ns, n, sizeof *ns, by_size);
		printf("%-53s %7zu times: p50 %.2f ms, p90 %.2f ms, p99 %.2f ms (goal: %.0f ms), max %.2f ms\n",
		       rows[i].name, n, (double)ns[n / 2] / 1e6, (double)ns[n * 9 / 10] / 1e6,
		       (double)ns[n * 99 / 100] / 1e6, (double)rows[i].goal / 1e6, (double)ns[n - 1] / 1e6);
	}
}
