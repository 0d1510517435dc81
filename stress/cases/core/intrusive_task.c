/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks in the user's memory: after a join no context touches the task, so it may be freed, or
 * submitted again.
 */
#include "pools.h"
#include <fairlead/intrusive_task.h>

FL_TASK_STATIC(intrusive_add, int, int)
{
	*result = *arg + 1;
	return 0;
}

/* One piece of memory, with the data of the task: the model sees uses after the free. */
struct own {
	fl_intrusive_task task;
	int in, out, ends;
};

static struct own *new_own(fl_executor *e, const fl_submit_config *config)
{
	struct own *own = make(sizeof *own);
	own->in = 1;
	OK(fl_intrusive_task_submit(e, &own->task, &intrusive_add, &own->in, &own->out, config));
	return own;
}

/*
 * After a join: `out` has the result of a run, or its initial value. Returns true if the task
 * ran.
 */
static bool free_own(struct own *own)
{
	const bool ran = own->out == 2;
	FL_STRESS_CHECK(ran || own->out == 0);
	free(own);
	return ran;
}

/* An executor: its only workers are the scenario's actors. */

static int add(fl_executor *e, struct fl__task_block *block)
{
	FL_LOCKED(&e->lock);
	fl__task_list_add(&e->queue, block);
	return 0;
}

static const struct fl__executor_ops ops = {.kind = "case", .capabilities = FL_CAP_BY_REFERENCE, .submit = add};

static fl_executor *new_executor(void)
{
	fl_executor *e = make(sizeof *e);
	OK(fl__executor_init(e, &ops, 1, &(fl_executor_config){0}, false));
	return e;
}

static void free_executor(fl_executor *e)
{
	fl__executor_fini(e);
	free(e);
}

/* Runs the first task, as a worker does; or nothing. */
static void work(fl_executor *e)
{
	struct fl__task_block *block;
	enum fl__claim claim = FL__CLAIM_LOST;
	{
		FL_LOCKED(&e->lock);
		block = e->queue.head;
		if (block) {
			fl__task_list_remove(&e->queue, block);
			claim = fl__future_claim(&block->future);
		}
	}
	if (claim == FL__CLAIM_LOST)
		return;
	fl_future *f = &block->future;
	fl__future_finish(f, f->type->run(NULL, f->arg, f->result), NULL);
	fl_future_free(f);
}

/*
 * A join without a wait. A try that fails leaves the future, and is followed by a wait, which may
 * fail, too. The task may have ended before.
 */
struct intrusive_try_join {
	fl_executor *e;
	struct own *own;
	fl_future *f;
	int rc, until_rc;
};

FL_STRESS_SETUP(intrusive_try_join)
{
	s->e = new_executor();
	s->own = new_own(s->e, NULL);
	s->f = fl_future_ref(fl_intrusive_task_future(&s->own->task));
	if (fl_stress_choose(2))
		work(s->e);
}

FL_STRESS_ACTOR(intrusive_try_join, worker)
{
	work(s->e);
	s->own->ends = 1; /* plain: it has a reference */
	fl_future_free(s->f);
}

FL_STRESS_ACTOR(intrusive_try_join, user)
{
	s->rc = fl_intrusive_task_try_join(&s->own->task);
	if (s->rc == -EBUSY)
		s->until_rc = fl_intrusive_task_join_until(&s->own->task, soon(), FL_SHIELDED);
	if (s->until_rc == -ETIMEDOUT && fl_intrusive_task_try_join(&s->own->task) != 0)
		OK(fl_intrusive_task_join(&s->own->task));
	FL_STRESS_CHECK(s->own->ends == 1);
	FL_STRESS_CHECK(free_own(s->own));
}

FL_STRESS(intrusive_try_join, worker, user)
{
	free_executor(s->e);
	FL_ACCEPTABLE(s->rc == 0, "joined at once");
	FL_ACCEPTABLE(s->rc == -EBUSY && s->until_rc == 0, "waited for");
	FL_INTERESTING(s->rc == -EBUSY && s->until_rc == -ETIMEDOUT, "the second wait");
}

/* Submitted again in the same memory: what the first run wrote is ordered before the second. */
struct intrusive_again {
	fl_executor *e;
	fl_intrusive_task task;
	int value, next;
};

FL_STRESS_SETUP(intrusive_again)
{
	s->e = new_executor();
	OK(fl_intrusive_task_submit(s->e, &s->task, &intrusive_add, &s->value, &s->next, NULL));
}

FL_STRESS_ACTOR(intrusive_again, worker)
{
	work(s->e);
}

FL_STRESS_ACTOR(intrusive_again, user)
{
	OK(fl_intrusive_task_join(&s->task));
	FL_STRESS_CHECK(s->next == 1);
	s->value = 5;
	OK(fl_intrusive_task_submit(s->e, &s->task, &intrusive_add, &s->value, &s->next, NULL));
	work(s->e);
	OK(fl_intrusive_task_try_join(&s->task));
}

FL_STRESS(intrusive_again, worker, user)
{
	free_executor(s->e);
	FL_ACCEPTABLE(s->next == 6, "both ran");
}

/* The thread executor. */

/*
 * A cancel of the task and a cancel of the executor: the task has one owner, and is removed once.
 */
struct intrusive_cancel_vs_executor {
	fl_executor *e;
	bool accepted, ran;
	int rc;
};

FL_STRESS_SETUP(intrusive_cancel_vs_executor)
{
	s->e = pool_of(1);
}

FL_STRESS_ACTOR(intrusive_cancel_vs_executor, user)
{
	struct own *own = make(sizeof *own);
	own->in = 1;
	s->rc = fl_intrusive_task_submit(s->e, &own->task, &intrusive_add, &own->in, &own->out, NULL);
	s->accepted = s->rc == 0;
	if (s->accepted)
		s->rc = fl_future_cancel(fl_intrusive_task_future(&own->task));
	OK(fl_intrusive_task_join(&own->task));
	s->ran = free_own(own);
}

FL_STRESS_ACTOR(intrusive_cancel_vs_executor, closer)
{
	(void)fl_executor_cancel(s->e);
}

FL_STRESS(intrusive_cancel_vs_executor, user, closer)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(!s->accepted && s->rc == -EPIPE, "refused");
	FL_ACCEPTABLE(s->rc == 0 && !s->ran, "cancelled");
	FL_ACCEPTABLE(s->rc == -EINPROGRESS, "just being cancelled, or run");
	FL_ACCEPTABLE(s->rc == -EALREADY && s->ran, "ran");
}

/*
 * The only worker waits for its own intrusive task: it runs the task, and removes it from the
 * backlog, from behind another.
 */
struct intrusive_helped {
	int got;
};

FL_TASK_STATIC(intrusive_nest, void, int)
{
	fl_executor *e = fl_executor_current();
	struct own *behind = new_own(e, NULL), *own = new_own(e, NULL);
	OK(fl_intrusive_task_join(&own->task));
	*result = own->out;
	FL_STRESS_CHECK(free_own(own));
	OK(fl_intrusive_task_join(&behind->task));
	FL_STRESS_CHECK(free_own(behind));
	return 0;
}

FL_STRESS_ACTOR(intrusive_helped, user)
{
	fl_executor *e = pool_without_stand_ins(1);
	fl_intrusive_task *task = make(sizeof *task);
	OK(intrusive_nest_intrusive_submit(e, task, &s->got));
	OK(fl_intrusive_task_join(task));
	free(task);
	fl_executor_free(e);
}

FL_STRESS(intrusive_helped, user)
{
	FL_ACCEPTABLE(s->got == 2, "helped");
}

/*
 * A worker has taken a task that waits for a second one, and looks whether another worker must be
 * woken, while the second one is moved: the sleeping worker is woken for it.
 */
struct intrusive_moved {
	struct fl__thread_pool *p;
	fl_event open;
};

FL_STRESS_SETUP(intrusive_moved)
{
	s->p = pool_of_actors(2, 2);
	OK(await_event_submit(&s->p->base, &s->open, NULL));
}

SERVES(intrusive_moved, one, 0)
SERVES(intrusive_moved, two, 1)

FL_STRESS_ACTOR(intrusive_moved, user)
{
	fl_executor *e = &s->p->base;
	fl_intrusive_task goes = FL_INTRUSIVE_TASK_INIT;
	fl_event *event = &s->open;
	while (!worker_sleeps(s->p))
		fl_stress_relax();
	OK(set_event_submit(e, event, NULL));
	OK(set_event_intrusive_submit(e, &goes, &event));
	FL_IGNORE(fl_future_cancel_pending(fl_intrusive_task_future(&goes)));
	OK(fl_event_wait(event));
	OK(fl_intrusive_task_join(&goes));
	fl_executor_close(e);
}

FL_STRESS(intrusive_moved, one, two, user)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "all have ended");
}
