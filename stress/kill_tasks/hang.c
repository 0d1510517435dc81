/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watch. If no task has ended for ten seconds, it prints what all threads wait for, and ends
 * the program.
 */
#include "process/pool/process_pool.h"
#include "tasks.h"
#include <time.h>

static pthread_t thread;
static bool over;

static void print_process(int pid)
{
	char line[128];
	static const char *const files[] = {"status", "wchan"};
	for (unsigned i = 0; i < 2; i++) {
		FILE *f = proc_open(pid, files[i]);
		while (f && fgets(line, sizeof line, f))
			if (i == 1 || strncmp(line, "State:", 6) == 0)
				printf("      %s%s", line, i == 1 ? "\n" : "");
		if (f)
			fclose(f);
	}
}

static void print_worker(const struct fl__process_pool_worker *m)
{
	const struct fl__rings *rings = &m->rings;
	printf("    %s, process %d, %s: first %u, next %u, flushed %u; state %u, asleep %u, doorbell %u, quota "
	       "%u%s%s%s%s; "
	       "%s\n",
	       fl_process_name(m->process), fl_process_pid(m->process),
	       fl_process_is_alive(m->process) ? "alive" : "dead", rings->first, rings->next, rings->flushed,
	       rings->completions->state, rings->completions->asleep, rings->submissions->doorbell, m->quota,
	       m->retired ? ", retired" : "", m->exiting ? ", leaving" : "", m->initializing ? ", initializing" : "",
	       m->damaged ? ", damaged" : "", m->kill_reason ? m->kill_reason : "not killed by us");
	for (uint32_t seq = rings->first; seq != rings->next; seq++) {
		const unsigned slot = seq % FL__RINGS_DEPTH;
		printf("      submission %u: posted %u, claim %u, last claim %u, done %u, %s, %s\n", seq,
		       rings->submissions->entry[slot].seq, rings->completions->claim[slot], rings->last_claim[slot],
		       rings->completions->entry[slot].done, rings->revoked[slot] ? "revoked" : "not revoked",
		       m->blocks[slot] ? "a task" : "no task");
	}
	print_process(fl_process_pid(m->process));
}

static void print_pool(struct fl__process_pool *c)
{
	bool locked = false;
	for (int i = 0; i < 1000 && !locked; i++) {
		locked = fl_mutex_try_lock(&c->base.lock) == 0;
		pause_for(FL_MS(1));
	}
	printf("  the executor: its lock is %s; queued %zu, posted %zu, foreign %zu, ended %s, kept %s, completers %u; "
	       "the manager "
	       "%s%s%s, wakes in %.3f s; closed %d, broken %d, terminated %d, failures %u, retry in %.3f s; %u "
	       "workers\n",
	       locked ? "free" : "HELD", c->base.queue.length, c->remote.posted.length, c->base.foreign,
	       c->remote.ended ? "some" : "none", c->remote.kept ? "some" : "none", c->remote.completers,
	       c->sleeping ? "sleeps" : "is awake", c->woken ? ", kicked" : "", c->remote.finished ? ", over" : "",
	       c->wakes_at == FL__NEVER ? 1e9 : (double)(c->wakes_at - time_now()) / 1e9, c->base.closed,
	       c->base.broken, c->terminated, c->failures, c->retry_at ? (double)(c->retry_at - time_now()) / 1e9 : 0,
	       c->base.workers);
	FL__EACH_WORKER (w, c)
		print_worker(w);
}

static void give_up(void)
{
	printf("HANG: no task has ended for ten seconds, after %lu tasks and %lu kills\n", settled, kills_done);
	for (unsigned i = 0; i < FEEDERS; i++)
		printf("  feeder %u: %s\n", i, feeder_doing(i));
	if (current.e)
		print_pool(fl__process_pool_of(current.e));
	fflush(stdout);
	_exit(3);
}

static void *watch(void *arg)
{
	uint64_t seen = 0;
	int64_t at = time_now();
	(void)arg;
	while (!fl__load_acquire(&over)) {
		pause_for(FL_MS(50));
		const uint64_t now = fl__load_relaxed(&settled);
		if (now != seen)
			at = time_now();
		seen = now;
		if (time_now() - at > FL_S(10))
			give_up();
	}
	return NULL;
}

void watch_start(void)
{
	if (pthread_create(&thread, NULL, watch, NULL) != 0)
		fail("no thread for the watch");
}

void watch_stop(void)
{
	fl__store_release(&over, true);
	(void)pthread_join(thread, NULL);
}
