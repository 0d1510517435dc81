/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The killer is a thread that picks a random worker and kills it, whatever the worker is doing. The
 * average number of tasks for each kill is fixed, but the number of tasks between two kills, and
 * the moments of the kills, are random.
 *
 * When the thread kills, another process may already have the worker's pid. Therefore it opens a
 * descriptor of the process with that pid, and kills through the descriptor, and only if the
 * process is a child of the fork server. A process that gets the pid later is not the process of
 * the descriptor.
 */
#include "process/start/fork_server.h"
#include "tasks.h"
#include <pthread.h>

enum { PIDS = 64 };

uint64_t kills_done, kills_unborn;

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards `executor` */
static fl_executor *executor;
static bool over;

/* Kills the process of `pidfd`. Returns false if it was gone. */
static bool strike(int pid, int pidfd)
{
	struct life *life = life_of(pid);
	const bool born = life->pid == pid && announce_death(life);
	if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) != 0)
		return false;
	if (!born) { /* it has not begun yet, or is already dying */
		life->pid = pid;
		__atomic_store_n(&life->died, 1, __ATOMIC_SEQ_CST);
		kills_unborn++;
	}
	kills_done++;
	return true;
}

static bool kill_one(uint64_t *seed)
{
	int pids[PIDS];
	bool done = false;
	pthread_mutex_lock(&lock);
	size_t n = executor ? fl_process_executor_pids(executor, pids, PIDS) : 0;
	if (n > 0) {
		const int pid = pids[draw(seed) % (n < PIDS ? n : PIDS)];
		const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (pidfd >= 0 && (int)proc_status(pid, "PPid") == fl__fork_server_pid())
			done = strike(pid, pidfd);
		if (pidfd >= 0)
			(void)close(pidfd);
	}
	pthread_mutex_unlock(&lock);
	return done;
}

/* Sleeps for a part of the time until that many tasks have ended. */
static void await_tasks(uint64_t until)
{
	static uint64_t before;
	static int64_t at;
	const uint64_t now_settled = fl__load_relaxed(&settled);
	const int64_t now = time_now();
	const double each = now_settled > before ? (double)(now - at) / (double)(now_settled - before) : 1e6;
	before = now_settled;
	at = now;
	const double ns = (double)(until - now_settled) * each / 2;
	pause_for(ns < 2e4 ? FL_US(20) : ns > 2e6 ? FL_MS(2) : (int64_t)ns);
}

static void *run(void *arg)
{
	uint64_t seed = campaign.seed ^ 0x5bd1e995, next = 0;
	const uint64_t each = campaign.tasks / campaign.kills + 1;
	(void)arg;
	while (!fl__load_acquire(&over) && kills_done < campaign.kills) {
		if (fl__load_relaxed(&settled) < next) {
			await_tasks(next);
			continue;
		}
		pause_for((int64_t)(draw(&seed) % FL_US(100)));
		if (kill_one(&seed))
			next += 1 + draw(&seed) % (2 * each);
		else
			pause_for(FL_US(200));
	}
	return NULL;
}

void killer_start(void)
{
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		fail("no thread for the killer");
}

void killer_stop(void)
{
	fl__store_release(&over, true);
	(void)pthread_join(thread, NULL);
}

void killer_let(fl_executor *e)
{
	pthread_mutex_lock(&lock);
	executor = e;
	pthread_mutex_unlock(&lock);
}
