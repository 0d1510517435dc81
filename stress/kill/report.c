/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report of the campaign: the balance, the deaths at each step, and whether waiting processes
 * idle.
 */
#include "kill.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

/* Each step must have ENOUGH kills, in a run of at least LONG_RUN kills. */
enum { ENOUGH = 100, LONG_RUN = 1000000 };

/* Returns whether each step has had its share of kills. A run that is too short always passes. */
static bool is_enough(size_t below, uint64_t kills)
{
	if (below == 0)
		return true;
	if (kills < LONG_RUN) {
		printf(
		    "So many kills are too few for %d at each step: nothing is known of those above that have fewer; "
		    "a run of %d must have them.\n",
		    ENOUGH, LONG_RUN);
		return true;
	}
	printf("TOO FEW: %zu steps have fewer than %d kills each, after %lu kills: the campaign has not tried them\n",
	       below, ENOUGH, kills);
	return false;
}

bool report(const struct balance *b, uint64_t by_step, uint64_t by_driver, int64_t took)
{
	uint64_t kills = by_step + by_driver;
	bool enough = is_enough(print_sites(board->sites, ENOUGH, !campaign.quiet), kills);
	printf("%lu kills (%lu before a step, %lu at any time) in %.1f s; %lu items, %lu lost, %lu delivered twice, "
	       "%lu wrong; %lu got by a kill that was not seen; counts %s\n",
	       kills, by_step, by_driver, (double)took / 1e9, b->items, b->lost, b->duplicates, b->wrong, b->unsure,
	       b->counts_agree ? "agree" : "DIFFER");
	return enough;
}

static void dump_line(const char *name, const struct fl__shm_wait_queue *line)
{
	printf("  %-6s head %08x, changes %u, waiting %u\n", name, line->head.words_[0], line->changes, line->waiting);
}

void dump_queue(void)
{
	printf("the queue: lock %08x, sleepers %u, in %016lx, out %016lx, dones %u, closed %u\n", ring->lock.words_[0],
	       ring->lock.words_[FL__SHM_SLEEPERS], ring->in, ring->out, ring->dones, ring->closed);
	dump_line("items", &ring->items);
	dump_line("space", &ring->space);
	dump_line("done", &ring->done);
}

/*
 * Checks that waiting processes are idle: for a second, the kernel must neither run, nor switch to,
 * two processes that wait on an empty queue.
 */

struct ran {
	unsigned long switches, on_cpu;
};

static struct ran ran(pid_t pid)
{
	struct ran r = {proc_status(pid, "voluntary_ctxt_switches") + proc_status(pid, "nonvoluntary_ctxt_switches"),
	                0};
	FILE *f = proc_open(pid, "schedstat");
	if (f && fscanf(f, "%lu", &r.on_cpu) != 1)
		r.on_cpu = 0;
	if (f)
		fclose(f);
	return r;
}

static bool sleeps(pid_t pid)
{
	char state = '?';
	FILE *f = proc_open(pid, "stat");
	if (f && fscanf(f, "%*d %*s %c", &state) != 1)
		state = '?';
	if (f)
		fclose(f);
	return state == 'S';
}

bool check_idle(void)
{
	pid_t pids[2];
	bool idle = false;
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(survive_getting());
	}
	for (int i = 0; i < 2; i++)
		while (!sleeps(pids[i]) || !ring->items.waiting)
			pause_for(FL_MS(1));
	/* On a slow machine the processes may still be about to sleep, so it tries again. */
	for (int look = 0; look < 10 && !idle; look++) {
		struct ran before[2] = {ran(pids[0]), ran(pids[1])};
		pause_for(FL_S(1));
		idle = true;
		for (int i = 0; i < 2; i++) {
			struct ran after = ran(pids[i]);
			idle = idle && after.switches == before[i].switches && after.on_cpu == before[i].on_cpu;
			printf("idle for a second: process %d ran %lu ns and switched %lu times\n", i + 1,
			       after.on_cpu - before[i].on_cpu, after.switches - before[i].switches);
		}
	}
	if (fl_shm_queue_close(queue) != 0)
		idle = false;
	for (int i = 0; i < 2; i++)
		(void)waitpid(pids[i], NULL, 0);
	return idle;
}
