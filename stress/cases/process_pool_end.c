/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process executor's workers: they die, are killed, are replaced, are sent home. Each task ends once all the same, what had
 * not begun runs elsewhere, nobody waits for ever, and a join ends.
 */
#include "process_pools.h"
#include <string.h>

/*
 * kill9_worker_task: a worker dies at any step of its first or second order. What it had ended counts; what it ran ends with its
 * death, and is said to; the rest runs on another.
 */
struct crew_kill9_worker_task {
	struct crew crew;
	int error[2];
};

FL_STRESS_SETUP(crew_kill9_worker_task)
{
	s->crew.death = (enum crew_death)(1 + fl_stress_choose(DEATHS - 1));
	s->crew.dies_in = fl_stress_choose(2);
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1});
}

static int submit_wait(struct crew *crew, int task)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(crew_submit(crew, task, &f));
	OK(fl_future_wait(f));
	const int error = fl_future_error(f);
	if (error == -EOWNERDEAD)
		FL_STRESS_CHECK(strcmp(fl_future_message(f), "worker 1 (worker) killed by SIGKILL") == 0);
	else
		crew_get(f, task);
	return error;
}

FL_STRESS_ACTOR(crew_kill9_worker_task, one)
{
	s->error[0] = submit_wait(&s->crew, 1);
}

FL_STRESS_ACTOR(crew_kill9_worker_task, two)
{
	s->error[1] = submit_wait(&s->crew, 2);
}

FL_STRESS(crew_kill9_worker_task, one, two)
{
	crew_end(&s->crew);
	const int dead = (s->error[0] == -EOWNERDEAD) + (s->error[1] == -EOWNERDEAD);
	FL_FORBIDDEN(crew_ran(&s->crew, 1) != 1 || crew_ran(&s->crew, 2) != 1, "ran twice, or not at all");
	FL_ACCEPTABLE(dead == 0 && s->crew.death != DIES_DURING, "both done");
	FL_ACCEPTABLE(dead == 1 && s->crew.death == DIES_DURING, "one died with it");
	FL_FORBIDDEN(1, "another failed than died");
}

/*
 * A worker dies in an element of a chunk: the elements before it have their results, it fails with
 * its own index, the elements after it have not begun.
 */
struct crew_dies_mid_chunk {
	struct crew crew;
};

FL_STRESS_SETUP(crew_dies_mid_chunk)
{
	s->crew.death = DIES_DURING;
	s->crew.dies_at = fl_stress_choose(3);
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1});
}

FL_STRESS_ACTOR(crew_dies_mid_chunk, user)
{
	static const int args[] = {1, 2, 3};
	int results[3] = {0};
	fl_map_error error = {.index = 3};
	const fl_map_config config = {.chunk = 3, .error = &error};
	FL_STRESS_CHECK(crew_map(&s->crew, args, 3, results, &config) == FL_ETASK);
	FL_STRESS_CHECK(error.index == s->crew.dies_at && error.error == -EOWNERDEAD);
	for (unsigned i = 0; i < 3; i++)
		FL_STRESS_CHECK(results[i] == (i < s->crew.dies_at ? args[i] + MORE : 0));
}

FL_STRESS(crew_dies_mid_chunk, user)
{
	crew_end(&s->crew);
	for (int i = 1; i <= 3; i++)
		FL_FORBIDDEN(crew_ran(&s->crew, i) != (i <= (int)s->crew.dies_at + 1), "ran twice, or not at all");
	FL_ACCEPTABLE(1, "one died");
}

/* A task that may be tried again is, once; while it is cancelled. */
struct crew_tried_again {
	struct crew crew;
	int rc;
	fl_future_state state;
};

FL_STRESS_SETUP(crew_tried_again)
{
	s->crew.death = DIES_DURING;
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1});
}

FL_STRESS_ACTOR(crew_tried_again, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(crew_submit_with(&s->crew, &crew_task_again, 1, &f, NULL));
	s->rc = fl_stress_choose(2) ? fl_future_cancel(f) : 1;
	OK(fl_future_wait(f));
	s->state = fl_future_get_state(f);
	if (s->state == FL_DONE)
		crew_get(f, 1);
}

FL_STRESS(crew_tried_again, user)
{
	crew_end(&s->crew);
	const int ran = crew_ran(&s->crew, 1);
	FL_ACCEPTABLE((s->rc == 1 || s->rc == -EALREADY) && s->state == FL_DONE && ran == 2, "done, at the second try");
	FL_ACCEPTABLE(s->rc == 0 && s->state == FL_CANCELLED && ran <= 1, "cancelled before a try");
	FL_ACCEPTABLE(s->rc == -EBUSY && s->state == FL_DONE && ran == 2, "asked in a try");
	FL_ACCEPTABLE(s->rc == -EBUSY && s->state == FL_CANCELLED && ran <= 1, "asked in a try, and not tried again");
	FL_FORBIDDEN(1, "another end");
}

/* Each worker for one task: it goes home, and another comes. */
struct crew_max_tasks {
	struct crew crew;
};

FL_STRESS_SETUP(crew_max_tasks)
{
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1, .max_tasks = 1});
}

FL_STRESS_ACTOR(crew_max_tasks, one)
{
	crew_submit_get(&s->crew, 1);
}

FL_STRESS_ACTOR(crew_max_tasks, two)
{
	crew_submit_get(&s->crew, 2);
}

FL_STRESS(crew_max_tasks, one, two)
{
	crew_end(&s->crew);
	FL_FORBIDDEN(crew_ran(&s->crew, 1) != 1 || crew_ran(&s->crew, 2) != 1, "ran twice, or not at all");
	FL_ACCEPTABLE(s->crew.n_workers == 2, "a worker each");
	FL_FORBIDDEN(1, "one had both");
}

/* A worker that has nothing to do goes home while more comes. */
struct crew_idle_timeout {
	struct crew crew;
};

FL_STRESS_SETUP(crew_idle_timeout)
{
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1, .idle_timeout = FL_US(20)});
}

FL_STRESS_ACTOR(crew_idle_timeout, user)
{
	crew_submit_get(&s->crew, 1);
	crew_submit_get(&s->crew, 2);
}

FL_STRESS(crew_idle_timeout, user)
{
	crew_end(&s->crew);
	FL_FORBIDDEN(crew_ran(&s->crew, 1) != 1 || crew_ran(&s->crew, 2) != 1, "ran twice, or not at all");
	FL_ACCEPTABLE(s->crew.n_workers == 1, "it stayed");
	FL_ACCEPTABLE(s->crew.n_workers == 2, "it went");
	FL_FORBIDDEN(1, "more came than were needed");
}

/* There are to be fewer workers, while some have tasks; or more again. */
struct crew_resize {
	struct crew crew;
};

FL_STRESS_SETUP(crew_resize)
{
	crew_begin(&s->crew, &(fl_executor_config){.workers = 2});
}

FL_STRESS_ACTOR(crew_resize, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(crew_submit(&s->crew, 1, &f));
	crew_submit_get(&s->crew, 2);
	crew_get(f, 1);
}

FL_STRESS_ACTOR(crew_resize, manager)
{
	OK(fl_executor_resize(s->crew.e, 1));
	if (fl_stress_choose(2))
		OK(fl_executor_resize(s->crew.e, 2));
	FL_STRESS_CHECK(fl_executor_workers(s->crew.e) > 0);
}

FL_STRESS(crew_resize, user, manager)
{
	crew_end(&s->crew);
	FL_ACCEPTABLE(crew_ran(&s->crew, 1) == 1 && crew_ran(&s->crew, 2) == 1, "both, once");
	FL_FORBIDDEN(1, "twice, or not at all");
}

/* A task hangs, another is behind it, and all is terminated: the first ends with its worker, the second is cancelled. */
struct crew_terminate {
	struct crew crew;
	size_t cancelled;
};

FL_STRESS_SETUP(crew_terminate)
{
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1});
}

FL_STRESS_ACTOR(crew_terminate, user)
{
	static const int tasks[] = {HANGS, 1};
	for (int i = 0; i < 2; i++) {
		FL_SCOPED(fl_future) *f = NULL;
		if (crew_submit(&s->crew, tasks[i], &f) != 0)
			return;
		OK(fl_future_wait(f));
		FL_STRESS_CHECK(fl_future_error(f) == -ECANCELED);
	}
}

FL_STRESS_ACTOR(crew_terminate, manager)
{
	s->cancelled = fl_executor_terminate(s->crew.e);
	OK(fl_executor_join(s->crew.e));
}

FL_STRESS(crew_terminate, user, manager)
{
	crew_end(&s->crew);
	FL_FORBIDDEN(crew_ran(&s->crew, 1) > 0 || crew_ran(&s->crew, HANGS) > 1, "begun after the end");
	FL_ACCEPTABLE(s->cancelled == 0 && crew_ran(&s->crew, HANGS) == 1, "killed");
	FL_ACCEPTABLE(s->cancelled == 0, "refused, or skipped");
	FL_ACCEPTABLE(s->cancelled == 1 && crew_ran(&s->crew, HANGS) == 0, "cancelled");
	FL_FORBIDDEN(1, "cancelled and run");
}

/* A task runs for too long, or its worker says that more than all of it has succeeded: it is killed for it, and what is behind it runs elsewhere. */
struct crew_killed {
	struct crew crew;
	bool lies;
};

FL_STRESS_SETUP(crew_killed)
{
	s->lies = fl_stress_choose(2);
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1, .task_timeout = s->lies ? 0 : FL_US(20)});
}

FL_STRESS_ACTOR(crew_killed, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	OK(crew_submit(&s->crew, s->lies ? LIES : HANGS, &f));
	if (s->lies)
		crew_submit_get(&s->crew, 1);
	OK(fl_future_wait(f));
	FL_STRESS_CHECK(fl_future_error(f) == -EOWNERDEAD);
}

FL_STRESS(crew_killed, user)
{
	crew_end(&s->crew);
	FL_FORBIDDEN(crew_ran(&s->crew, 1) != s->lies, "the other ran twice, or not at all");
	FL_ACCEPTABLE(s->crew.n_workers == 1u + s->lies, "one was killed");
	FL_FORBIDDEN(1, "another was killed");
}

/* A task runs on after its deadline: its worker is killed, and the task is not tried again. */
struct crew_late {
	struct crew crew;
};

FL_STRESS_SETUP(crew_late)
{
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1});
}

FL_STRESS_ACTOR(crew_late, user)
{
	FL_SCOPED(fl_future) *f = NULL;
	crew_submit_get(&s->crew, 1);
	const fl_submit_config config = {.deadline = fl_after(FL_MS(1))};
	OK(crew_submit_with(&s->crew, &crew_task_again, HANGS, &f, &config));
	OK(fl_future_wait(f));
	FL_STRESS_CHECK(fl_future_error(f) == -ETIMEDOUT || fl_future_get_state(f) == FL_CANCELLED);
	FL_STRESS_CHECK((fl_future_get_state(f) == FL_CANCELLED) == (crew_ran(&s->crew, HANGS) == 0));
}

FL_STRESS(crew_late, user)
{
	crew_end(&s->crew);
	FL_ACCEPTABLE(crew_ran(&s->crew, HANGS) == 1, "killed");
	FL_ACCEPTABLE(crew_ran(&s->crew, HANGS) == 0, "too late to begin");
	FL_FORBIDDEN(1, "begun again");
}

/* The first workers cannot be started, or not be made ready: a few are put up with. */
struct crew_starts_late {
	struct crew crew;
};

FL_STRESS_SETUP(crew_starts_late)
{
	if (fl_stress_choose(2))
		s->crew.start_fails = 1;
	else
		s->crew.death = fl_stress_choose(2) ? DIES_BEFORE : DIES_UNREADY;
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1, .initialize = &crew_prepare});
}

FL_STRESS_ACTOR(crew_starts_late, user)
{
	crew_submit_get(&s->crew, 1);
}

FL_STRESS(crew_starts_late, user)
{
	crew_end(&s->crew);
	FL_ACCEPTABLE(crew_ran(&s->crew, 1) == 1, "ran");
	FL_FORBIDDEN(1, "twice, or not at all");
}

/* An initializer fails: what is queued, posted or submitted from then on ends with that. */
struct crew_unprepared {
	struct crew crew;
};

FL_STRESS_SETUP(crew_unprepared)
{
	s->crew.init_error = -EIO;
	crew_begin(&s->crew, &(fl_executor_config){.workers = 1, .initialize = &crew_prepare});
}

static void submit_in_vain(struct crew *crew)
{
	FL_SCOPED(fl_future) *f = NULL;
	int rc = crew_submit(crew, 1, &f);
	FL_STRESS_CHECK(rc == 0 || rc == -ENOTRECOVERABLE);
	if (rc != 0)
		return;
	OK(fl_future_wait(f));
	FL_STRESS_CHECK(fl_future_error(f) == -ENOTRECOVERABLE);
}

FL_STRESS_ACTOR(crew_unprepared, one)
{
	submit_in_vain(&s->crew);
}

FL_STRESS_ACTOR(crew_unprepared, two)
{
	submit_in_vain(&s->crew);
}

FL_STRESS(crew_unprepared, one, two)
{
	crew_end(&s->crew);
	FL_ACCEPTABLE(crew_ran(&s->crew, 1) == 0, "none ran");
	FL_FORBIDDEN(1, "ran unprepared");
}
