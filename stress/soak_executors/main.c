/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The run of the soak of executors, in parts. In each part the activities take turns, each on its
 * own thread, until the part is over. Between the parts nothing runs. At these times the process
 * must not have more threads, descriptors and children than after the first part, and only little
 * more memory.
 */
#include "activities.h"

static const struct activity {
	const char *name;
	void (*turn)(uint64_t *state);
} activities[] = {
    {"maps with a crash", crash_turn},
    {"kills at a deadline", deadline_turn},
    {"resizes under load", resize_turn},
    {"consumers retired by tokens", consumers_turn},
    {"plugins loaded and unloaded", plugin_turn},
};

enum { ACTIVITIES = sizeof activities / sizeof activities[0], PARTS = 10, STUCK_S = 120 };

static uint64_t time_of_run = 60, seed = 1;
static bool stop;                  /* atomic */
static uint64_t turns[ACTIVITIES]; /* atomic */

void check(const char *what, int rc)
{
	if (rc != 0)
		fail("%s: %s", what, fl_error_name(rc));
}

static int run_activity(void *arg)
{
	const size_t i = (uintptr_t)arg;
	uint64_t state = seed * 0x9e3779b97f4a7c15u + i + 1;
	while (!fl__load_relaxed(&stop)) { /* relaxed: the thread is joined */
		activities[i].turn(&state);
		fl__add_relaxed(&turns[i], 1); /* relaxed: a count */
	}
	return 0;
}

/* The resources of the process. */

struct belongings {
	unsigned threads, descriptors, children;
	unsigned long kib; /* of memory */
};

static struct belongings look(void)
{
	const int self = getpid();
	return (struct belongings){proc_entries(self, "task"), proc_entries(self, "fd"), proc_children(self),
	                           proc_status(self, "VmRSS")};
}

static void compare(const struct belongings *first, const struct belongings *now)
{
	if (now->threads > first->threads || now->descriptors > first->descriptors || now->children > first->children)
		fail("after the first part there were %u threads, %u descriptors, %u children; now %u, %u, %u",
		     first->threads, first->descriptors, first->children, now->threads, now->descriptors,
		     now->children);
	if (now->kib > first->kib + first->kib / 5 + 4096)
		fail("after the first part there were %lu KiB of memory, now %lu", first->kib, now->kib);
}

/* One part of the run. */

static void expect_progress(const uint64_t *before)
{
	for (size_t i = 0; i < ACTIVITIES; i++)
		if (fl__load_relaxed(&turns[i]) == before[i]) /* relaxed: a count */
			fail("%s: no turn in %d seconds", activities[i].name, STUCK_S);
}

static void run_part(int64_t time)
{
	fl_thread *threads[ACTIVITIES];
	fl__store_relaxed(&stop, false); /* relaxed, here and below: starts and joins order it */
	for (size_t i = 0; i < ACTIVITIES; i++) {
		const fl_thread_config config = {.name = activities[i].name};
		check("a thread", fl_thread_start(&threads[i], run_activity, (void *)i, &config));
	}
	FL_IGNORE(fl_sleep_until(fl_after(time), NULL)); /* nobody cancels this sleep */
	fl__store_relaxed(&stop, true);
	uint64_t before[ACTIVITIES];
	for (size_t i = 0; i < ACTIVITIES; i++)
		before[i] = fl__load_relaxed(&turns[i]);
	const fl_time limit = fl_after(FL_S(STUCK_S));
	for (size_t i = 0; i < ACTIVITIES; i++)
		if (fl_thread_join_until(threads[i], NULL, limit, NULL) != 0) {
			expect_progress(before);
			fail("%s: the last turn does not end", activities[i].name);
		}
	seed++;
}

static const char usage[] =
    "usage: ./dev stress --soak-executors [--time SECONDS] [--seed N]\n\n"
    "Maps whose elements crash, tasks killed at their deadline, executors resized under load, consumers retired by "
    "tokens,\n"
    "and plugins that are unloaded, all at the same time, with checks of each result; and of what the process has, ten "
    "times.\n"
    "Exit status: 0; 1: a result is wrong, a turn does not end, or threads, descriptors, children or memory grow; 2: "
    "bad usage.\n"
    "  --time   how long; 60\n";

int main(int argc, char **argv)
{
	fl_process_main(argc, argv);
	static const struct argument arguments[] = {
	    {"time", &time_of_run, 1, 1000000}, {"seed", &seed, 1, UINT64_MAX}, {NULL, NULL, 0, 0}};
	read_arguments(argc, argv, usage, arguments);
	struct belongings first = {0, 0, 0, 0}, last = first;
	for (int part = 0; part < PARTS; part++) {
		run_part(FL_S((int64_t)time_of_run) / PARTS);
		last = look();
		if (part == 0)
			first = last;
		compare(&first, &last);
	}
	for (size_t i = 0; i < ACTIVITIES; i++)
		printf("%8lu turns: %s\n", turns[i], activities[i].name);
	printf("threads %u, descriptors %u, children %u; memory %lu KiB after the first part, %lu at the end\n",
	       last.threads, last.descriptors, last.children, first.kib, last.kib);
	return 0;
}
