/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios in which workers of the process executor die, are killed, are replaced, or end. Each
 * task still ends once, tasks that have not started run elsewhere, no wait hangs, and a join ends.
 */
#include "process_pools.h"

/*
 * kill9_worker_task: a worker dies at any step of its first or second submission. Ended tasks
 * count. The running task fails, and its message tells of the death. The other task runs on another
 * worker.
 */
struct process_pool_kill9_worker_task {
	struct process_pool pool;
	int error[2];
};

FL_STRESS_SETUP(process_pool_kill9_worker_task)
{
	s->pool.death = (enum process_pool_death)(1 + fl_stress_choose(DEATHS - 1));
	s->pool.dies_in = fl_stress_choose(2);
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

static int submit_wait(struct process_pool *pool, int task)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(process_pool_submit(pool, task, &f));
	OK(fl_future_wait(f));
	const int error = fl_future_error(f);
	if (error == -EOWNERDEAD)
		FL_STRESS_CHECK(strcmp(fl_future_message(f), "worker 1 (worker) killed by SIGKILL") == 0);
	else
		process_pool_get(f, task);
	return error;
}

static void submit_own(struct process_pool_kill9_worker_task *s, int i)
{
	s->error[i] = submit_wait(&s->pool, i + 1);
}

TWO_ACTORS(process_pool_kill9_worker_task, submit_own)

FL_STRESS(process_pool_kill9_worker_task, one, two)
{
	process_pool_end(&s->pool);
	const int dead = (s->error[0] == -EOWNERDEAD) + (s->error[1] == -EOWNERDEAD);
	FL_FORBIDDEN(process_pool_ran(&s->pool, 1) != 1 || process_pool_ran(&s->pool, 2) != 1,
	             "ran twice, or not at all");
	FL_ACCEPTABLE(dead == 0 && s->pool.death != DIES_DURING, "both done");
	FL_ACCEPTABLE(dead == 1 && s->pool.death == DIES_DURING, "one died with it");
}

/*
 * A worker dies in an element of a chunk. The elements before it have their results, this element
 * fails with its own index, and the elements after it have not begun.
 */
struct process_pool_dies_mid_chunk {
	struct process_pool pool;
};

FL_STRESS_SETUP(process_pool_dies_mid_chunk)
{
	s->pool.death = DIES_DURING;
	s->pool.dies_at = fl_stress_choose(3);
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

FL_STRESS_ACTOR(process_pool_dies_mid_chunk, user)
{
	static const int args[] = {1, 2, 3};
	int results[3] = {0};
	fl_map_error error = {.index = 3};
	const fl_map_config config = {.chunk = 3, .error = &error};
	FL_STRESS_CHECK(process_pool_map(&s->pool, args, 3, results, &config) == FL_ETASK);
	FL_STRESS_CHECK(error.index == s->pool.dies_at && error.error == -EOWNERDEAD);
	for (unsigned i = 0; i < 3; i++)
		FL_STRESS_CHECK(results[i] == (i < s->pool.dies_at ? args[i] + MORE : 0));
}

FL_STRESS(process_pool_dies_mid_chunk, user)
{
	process_pool_end(&s->pool);
	for (int i = 1; i <= 3; i++)
		FL_FORBIDDEN(process_pool_ran(&s->pool, i) != (i <= (int)s->pool.dies_at + 1),
		             "ran twice, or not at all");
	FL_ACCEPTABLE(1, "one died");
}

/* An idle worker ends while a task comes. */
struct process_pool_idle_timeout {
	struct process_pool pool;
};

FL_STRESS_SETUP(process_pool_idle_timeout)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1, .idle_timeout = FL_US(20)});
}

FL_STRESS_ACTOR(process_pool_idle_timeout, user)
{
	process_pool_submit_get(&s->pool, 1);
	process_pool_submit_get(&s->pool, 2);
}

FL_STRESS(process_pool_idle_timeout, user)
{
	process_pool_end(&s->pool);
	FL_FORBIDDEN(process_pool_ran(&s->pool, 1) != 1 || process_pool_ran(&s->pool, 2) != 1,
	             "ran twice, or not at all");
	FL_ACCEPTABLE(s->pool.n_workers == 1, "it stayed");
	FL_ACCEPTABLE(s->pool.n_workers == 2, "it went");
}

/*
 * A task hangs with another task behind it, and the executor is terminated. The first task ends
 * with its worker, and the second is cancelled.
 */
struct process_pool_terminate {
	struct process_pool pool;
	size_t cancelled;
};

PROCESS_POOL(process_pool_terminate, 1)

FL_STRESS_ACTOR(process_pool_terminate, user)
{
	static const int tasks[] = {HANGS, 1};
	for (int i = 0; i < 2; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		if (process_pool_submit(&s->pool, tasks[i], &f) != 0)
			return;
		OK(fl_future_wait(f));
		FL_STRESS_CHECK(fl_future_error(f) == -ECANCELED);
	}
}

FL_STRESS_ACTOR(process_pool_terminate, manager)
{
	s->cancelled = fl_executor_terminate(s->pool.e);
	OK(fl_executor_join(s->pool.e));
}

FL_STRESS(process_pool_terminate, user, manager)
{
	process_pool_end(&s->pool);
	FL_FORBIDDEN(process_pool_ran(&s->pool, 1) > 0 || process_pool_ran(&s->pool, HANGS) > 1, "begun after the end");
	FL_ACCEPTABLE(s->cancelled == 0 && process_pool_ran(&s->pool, HANGS) == 1, "killed");
	FL_ACCEPTABLE(s->cancelled == 0, "refused, or skipped");
	FL_ACCEPTABLE(s->cancelled == 1 && process_pool_ran(&s->pool, HANGS) == 0, "cancelled");
}

/*
 * The executor is terminated while the manager thread is awake, since one task has ended and the
 * next one hangs. The manager thread kills the worker before it sleeps. The time of the wait is
 * longer than the manager thread polls after work.
 */
struct process_pool_terminate_awake {
	struct process_pool pool;
	fl_event never;
	size_t cancelled;
};

FL_STRESS_SETUP(process_pool_terminate_awake)
{
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
	OK(process_pool_submit(&s->pool, 1, NULL));
	OK(process_pool_submit(&s->pool, HANGS, NULL));
}

FL_STRESS_ACTOR(process_pool_terminate_awake, user)
{
	FL_STRESS_CHECK(fl_event_wait_until(&s->never, fl_after(FL_US(50)), NULL) == -ETIMEDOUT);
	s->cancelled = fl_executor_terminate(s->pool.e);
	OK(fl_executor_join(s->pool.e));
}

FL_STRESS(process_pool_terminate_awake, user)
{
	process_pool_end(&s->pool);
	const int hung = process_pool_ran(&s->pool, HANGS);
	FL_FORBIDDEN(hung > 1 || process_pool_ran(&s->pool, 1) > 1, "begun twice");
	FL_ACCEPTABLE(s->cancelled == 0 && hung == 1, "killed");
	FL_ACCEPTABLE(s->cancelled == 0, "killed before it began");
	FL_ACCEPTABLE(s->cancelled == 1 && hung == 0, "the second was cancelled");
	FL_ACCEPTABLE(s->cancelled == 2 && hung == 0, "both were cancelled");
}

/*
 * A task runs for too long, or its worker reports too many ended elements. The worker is killed,
 * and the tasks behind that task run elsewhere.
 */
struct process_pool_killed {
	struct process_pool pool;
	bool lies;
};

FL_STRESS_SETUP(process_pool_killed)
{
	s->lies = fl_stress_choose(2);
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1, .task_timeout = s->lies ? 0 : FL_US(20)});
}

FL_STRESS_ACTOR(process_pool_killed, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(process_pool_submit(&s->pool, s->lies ? LIES : HANGS, &f));
	if (s->lies)
		process_pool_submit_get(&s->pool, 1);
	OK(fl_future_wait(f));
	FL_STRESS_CHECK(fl_future_error(f) == -EOWNERDEAD);
}

FL_STRESS(process_pool_killed, user)
{
	process_pool_end(&s->pool);
	FL_FORBIDDEN(process_pool_ran(&s->pool, 1) != s->lies, "the other ran twice, or not at all");
	FL_ACCEPTABLE(s->pool.n_workers == 1u + s->lies, "one was killed");
}

/* A task runs on after its deadline. Its worker is killed, and the task is not run again. */
struct process_pool_late {
	struct process_pool pool;
};

PROCESS_POOL(process_pool_late, 1)

FL_STRESS_ACTOR(process_pool_late, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	process_pool_submit_get(&s->pool, 1);
	const fl_submit_config config = {.deadline = fl_after(FL_MS(1))};
	OK(process_pool_submit_with(&s->pool, &process_pool_task_again, HANGS, &f, &config));
	OK(fl_future_wait(f));
	FL_STRESS_CHECK(fl_future_error(f) == -ETIMEDOUT || fl_future_state(f) == FL_CANCELLED);
	FL_STRESS_CHECK((fl_future_state(f) == FL_CANCELLED) == (process_pool_ran(&s->pool, HANGS) == 0));
}

FL_STRESS(process_pool_late, user)
{
	process_pool_end(&s->pool);
	FL_ACCEPTABLE(process_pool_ran(&s->pool, HANGS) == 1, "killed");
	FL_ACCEPTABLE(process_pool_ran(&s->pool, HANGS) == 0, "too late to begin");
}

/*
 * No worker can be started for a while. A task either runs or fails with that error, and later
 * tasks run.
 */
struct process_pool_shortage {
	struct process_pool pool;
};

FL_STRESS_SETUP(process_pool_shortage)
{
	enum { TRIES = 10 }; /* the value of PROCESS_POOL_START_TRIES */
	s->pool.start_fails = TRIES;
	process_pool_begin(&s->pool, &(fl_executor_config){.workers = 1});
}

static void submit_in_shortage(struct process_pool *pool, int task)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(process_pool_submit(pool, task, &f));
	OK(fl_future_wait(f));
	FL_STRESS_CHECK(fl_future_error(f) == -EAGAIN || fl_future_error(f) == 0);
	FL_STRESS_CHECK(process_pool_ran(pool, task) == (fl_future_error(f) == 0));
}

FL_STRESS_ACTOR(process_pool_shortage, one)
{
	submit_in_shortage(&s->pool, 1);
	process_pool_submit_get(&s->pool, 3);
}

FL_STRESS_ACTOR(process_pool_shortage, two)
{
	submit_in_shortage(&s->pool, 2);
}

FL_STRESS(process_pool_shortage, one, two)
{
	process_pool_end(&s->pool);
	FL_FORBIDDEN(process_pool_ran(&s->pool, 3) != 1, "the pool did not recover");
	FL_ACCEPTABLE(process_pool_ran(&s->pool, 1) + process_pool_ran(&s->pool, 2) <= 1, "one or both failed");
	FL_ACCEPTABLE(1, "both ran: the start after the failed ones came before the manager ended the tasks");
}
