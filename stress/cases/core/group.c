/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of task groups. A join returns when all tasks have ended, and sees what they wrote. The
 * group is not touched afterwards, even with failures, cancels, and workers that run members.
 */
#include "core/exec/group.h"
#include "pools.h"
#include <fairlead/group.h>

/* Joins a group that has failed, or was cut. Returns its error. */
static int join_failed(fl_group *g)
{
	FL_STRESS_CHECK(fl_group_join(g) == FL_ETASK);
	return fl_group_error(g);
}

/* Makes a group in memory of its own, so that the model sees accesses after the join. */
static fl_group *group_of(fl_executor *e)
{
	fl_group *g = make(sizeof *g);
	*g = (fl_group)FL_GROUP_INIT(e);
	return g;
}

static void end_group(fl_group *g)
{
	fl_group_destroy(g);
	free(g);
}

FL_TASK_STATIC(fail, int, void)
{
	return *arg;
}

static void refuse_one(fl_group *g)
{
	FL_STRESS_CHECK(fl_group_submit_with(g, &fail, &(int){0}, NULL, &(fl_submit_config){.cancel = FL_SHIELDED}) ==
	                -EINVAL);
}

/*
 * After the join, the results of the tasks and what they wrote are visible, and the group may be
 * freed. There are more tasks than the group's first memory holds.
 */
enum { TASKS = 5 };

struct group_join {
	int data[TASKS], got[TASKS];
	bool right;
};

FL_STRESS_ACTOR(group_join, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(1);
	fl_group *g = group_of(e);
	for (int i = 0; i < TASKS; i++) {
		int *at = &s->data[i];
		s->data[i] = i;
		OK(fl_group_submit(g, &add_one, &at, &s->got[i]));
	}
	OK(fl_stress_choose(2) ? fl_group_join(g) : fl_group_join_until(g, FL_FOREVER, FL_SHIELDED));
	s->right = true;
	for (int i = 0; i < TASKS; i++)
		s->right = s->right && s->data[i] == i + 1 && s->got[i] == i + 1;
	end_group(g);
}

FL_STRESS(group_join, user)
{
	FL_ACCEPTABLE(s->right, "done");
}

/*
 * Two contexts submit to one group. A third one may cancel the group or request its token, or its
 * submit is refused. When the join returns, all accepted tasks have ended. A refused submit does
 * not end the group. A group whose token was requested takes no more tasks.
 */
struct group_many {
	fl_executor *e;
	fl_group *g;
	fl_latch submitted;
	unsigned kind;
	int data[2], rc[2], joined;
};

FL_STRESS_SETUP(group_many)
{
	s->e = sequential();
	s->g = group_of(s->e);
	OK(fl_latch_init(&s->submitted, 3));
}

static void submit_one(struct group_many *s, int i)
{
	int *at = &s->data[i];
	s->rc[i] = fl_group_submit(s->g, &add_one, &at, NULL);
	fl_latch_count_down(&s->submitted, 1);
}

FL_STRESS_ACTOR(group_many, one)
{
	submit_one(s, 0);
	OK(fl_latch_wait(&s->submitted));
	if (s->kind == 3)
		FL_STRESS_CHECK(fl_group_submit(s->g, &fail, &(int){0}, NULL) == -ECANCELED);
	s->joined = fl_group_join(s->g);
	FL_STRESS_CHECK(fl_group_count(s->g) == 0 && !fl_group_message(s->g) == (s->joined == 0));
	FL_STRESS_CHECK(fl_group_error(s->g) == (s->joined == 0 ? 0 : -ECANCELED));
	end_group(s->g);
}

FL_STRESS_ACTOR(group_many, two)
{
	submit_one(s, 1);
}

FL_STRESS_ACTOR(group_many, canceller)
{
	s->kind = fl_stress_choose(4);
	if (s->kind == 1)
		refuse_one(s->g);
	else if (s->kind == 2)
		fl_group_cancel(s->g);
	else if (s->kind == 3)
		fl_cancel_token_request(fl_group_token(s->g));
	fl_latch_count_down(&s->submitted, 1);
}

FL_STRESS(group_many, one, two, canceller)
{
	fl_executor_free(s->e);
	for (int i = 0; i < 2; i++) {
		FL_FORBIDDEN(s->rc[i] != 0 && (s->rc[i] != -ECANCELED || s->data[i] != 0 || s->kind < 2),
		             "refused, and it ran or for nothing");
		FL_FORBIDDEN(s->rc[i] == 0 && s->data[i] == 0 && s->kind < 2, "accepted, and did not run");
		FL_FORBIDDEN(s->rc[i] == 0 && s->data[i] == 0 && s->kind == 3 && s->joined == 0,
		             "did not run, and the join does not say so");
	}
	FL_ACCEPTABLE(s->joined == 0 || (s->joined == FL_ETASK && s->kind == 3), "each once, or not at all");
}

/* The first failure ends a task that waits, even without a join, and is the result of the join. */
struct group_fail {
	fl_event never;
	int joined, waited;
	size_t failed;
};

FL_TASK_STATIC(wait_for_end, struct group_fail *, void)
{
	(*arg)->waited = fl_event_wait(&(*arg)->never);
	return (*arg)->waited;
}

FL_STRESS_ACTOR(group_fail, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(2);
	fl_group *g = group_of(e);
	s->waited = -ECANCELED; /* this is also the result if it does not start */
	OK(fl_group_submit(g, &wait_for_end, &s, NULL));
	OK(fl_group_submit(g, &fail, &(int){-EIO}, NULL));
	if (fl_stress_choose(2) == 1)
		OK(FL_WAIT_ANY(FL_ON_GROUP(g)));
	s->joined = join_failed(g);
	s->failed = fl_group_failed_index(g);
	FL_STRESS_CHECK(fl_group_message(g) != NULL);
	end_group(g);
}

FL_STRESS(group_fail, user)
{
	FL_ACCEPTABLE(s->joined == -EIO && s->waited == -ECANCELED && s->failed == 1, "ended");
}

/*
 * Two tasks fail at once. One failure becomes the first, and remains so. The join returns this
 * failure, and the second task has seen it.
 */
struct group_fail_twice {
	fl_executor *e;
	fl_group *g;
	fl_latch submitted;
	int rc[2], joined;
	size_t seen, failed;
};

FL_STRESS_SETUP(group_fail_twice)
{
	s->e = sequential();
	s->g = group_of(s->e);
	OK(fl_latch_init(&s->submitted, 2));
}

static void fail_one(struct group_fail_twice *s, int i)
{
	s->rc[i] = fl_group_submit(s->g, &fail, &(int){i ? -EIO : -ENOSPC}, NULL);
	FL_STRESS_CHECK(fl_group_message(s->g) != NULL);
	if (i == 1)
		s->seen = fl_group_failed_index(s->g);
	fl_latch_count_down(&s->submitted, 1);
}

FL_STRESS_ACTOR(group_fail_twice, one)
{
	fail_one(s, 0);
	OK(fl_latch_wait(&s->submitted));
	s->joined = join_failed(s->g);
	s->failed = fl_group_failed_index(s->g);
	end_group(s->g);
}

FL_STRESS_ACTOR(group_fail_twice, two)
{
	fail_one(s, 1);
}

FL_STRESS(group_fail_twice, one, two)
{
	fl_executor_free(s->e);
	FL_FORBIDDEN(s->rc[0] != 0 && s->rc[1] != 0, "both refused");
	FL_FORBIDDEN(s->failed > 1 || s->failed != s->seen, "another was the first before");
	FL_ACCEPTABLE(s->joined == -EIO || s->joined == -ENOSPC, "one of them");
}

/*
 * While a worker joins, another worker takes its place and runs a task that is submitted meanwhile.
 * The only other existing worker is held until that task has run.
 */
struct group_grows {
	fl_group *g;
	fl_event ran;
};

FL_TASK_STATIC(submit_more, struct group_grows *, void)
{
	OK(fl_group_submit((*arg)->g, &set_event, &(fl_event *){&(*arg)->ran}, NULL));
	hold_until_set(&(*arg)->ran);
	return 0;
}

FL_TASK_STATIC(join_growing, struct group_grows *, void)
{
	(*arg)->g = group_of(fl_executor_current());
	OK(fl_group_submit((*arg)->g, &submit_more, arg, NULL));
	OK(fl_group_join((*arg)->g));
	end_group((*arg)->g);
	return 0;
}

FL_STRESS_ACTOR(group_grows, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(2);
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	OK(fl_group_submit(&g, &join_growing, &s, NULL));
	OK(fl_group_join(&g));
}

FL_STRESS(group_grows, user)
{
	FL_ACCEPTABLE(fl_event_is_set(&s->ran), "ran");
}

/* Pending members of a group that was cancelled do not run. The worker is held until the cancel. */
struct group_stopped {
	fl_executor *e;
	fl_group *g;
	fl_event held, open, known;
	fl_future *f;
	int data;
};

FL_TASK_STATIC(hold, struct group_stopped *, void)
{
	fl_event_set(&(*arg)->held);
	hold_until_set(&(*arg)->open);
	return 0;
}

FL_STRESS_SETUP(group_stopped)
{
	s->e = pool_of(1);
	s->g = group_of(s->e);
}

FL_STRESS_ACTOR(group_stopped, owner)
{
	int *at = &s->data;
	OK(hold_submit(s->e, s, &s->f));
	OK(fl_event_wait(&s->held));
	for (int i = 0; i < 2; i++) {
		OK(fl_group_submit(s->g, &add_one, &at, NULL));
		refuse_one(s->g);
	}
	fl_event_set(&s->known);
	OK(fl_group_join(s->g));
	FL_STRESS_CHECK(!fl_group_message(s->g));
	OK(fl_future_wait(s->f));
}

FL_STRESS_ACTOR(group_stopped, canceller)
{
	OK(fl_event_wait(&s->known));
	fl_group_cancel(s->g);
	fl_event_set(&s->open);
}

FL_STRESS(group_stopped, owner, canceller)
{
	fl_future_free(s->f);
	end_group(s->g);
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->data == 0, "cancelled");
}

/*
 * A member submits another member, and ends: the join waits for both. A cancel ends a pending
 * member while the worker takes it. The worker does not touch the group afterwards.
 */
struct group_chain {
	struct fl__thread_pool *p;
	fl_group *g;
	int data;
};

FL_TASK_STATIC(submit_another, struct group_chain *, void)
{
	FL_IGNORE(fl_group_submit((*arg)->g, &add_one, &(int *){&(*arg)->data}, NULL));
	return 0;
}

FL_STRESS_SETUP(group_chain)
{
	s->p = pool_of_actors(1, 1);
	s->g = group_of(&s->p->base);
}

FL_STRESS_ACTOR(group_chain, owner)
{
	const unsigned kind = fl_stress_choose(3);
	OK(fl_group_submit(s->g, &submit_another, &s, NULL));
	if (kind == 0)
		fl_group_cancel(s->g);
	OK(kind == 1 ? FL_WAIT_ANY(FL_ON_GROUP(s->g)) : fl_group_join(s->g));
	FL_STRESS_CHECK(kind == 0 || s->data == 1);
	end_group(s->g);
	fl_executor_close(&s->p->base);
}

SERVES(group_chain, worker, 0)

FL_STRESS(group_chain, owner, worker)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "joined");
}

static void join_at_last(fl_group *g)
{
	const bool waits = fl_stress_choose(2);
	const int rc = waits ? fl_group_join_until(g, soon(), NULL) : fl_group_try_join(g);
	FL_STRESS_CHECK(rc == 0 || rc == (waits ? -ETIMEDOUT : -EAGAIN));
	if (rc != 0)
		OK(fl_group_join(g));
}

/*
 * A join gives up, or joins the group, while its last members end. An observer that knows of both
 * members sees what they wrote when it counts no member, or when its wait has ended, even if the
 * group was joined before and is used again.
 */
struct group_again {
	fl_executor *e;
	fl_group *g;
	fl_latch known;
	fl_event seen;
	int data[3];
};

FL_TASK_STATIC(enter_and_write, struct group_again *, void)
{
	fl_latch_count_down(&(*arg)->known, 1);
	(*arg)->data[1] = 1;
	return 0;
}

FL_STRESS_SETUP(group_again)
{
	s->e = sequential();
	s->g = group_of(s->e);
	OK(fl_latch_init(&s->known, 2));
}

FL_STRESS_ACTOR(group_again, owner)
{
	(void)fl__group_enter(s->g, NULL);
	fl_latch_count_down(&s->known, 1);
	OK(fl_latch_wait(&s->known));
	s->data[0] = 1;
	fl__group_leave(s->g);
	join_at_last(s->g);
	FL_STRESS_CHECK(fl_group_count(s->g) == 0);
	OK(fl_group_submit(s->g, &add_one, &(int *){&s->data[2]}, NULL));
	OK(fl_group_join(s->g));
	OK(fl_event_wait(&s->seen));
	end_group(s->g);
}

FL_STRESS_ACTOR(group_again, member)
{
	OK(fl_group_submit(s->g, &enter_and_write, &s, NULL));
}

FL_STRESS_ACTOR(group_again, observer)
{
	OK(fl_latch_wait(&s->known));
	size_t left = 0;
	if (fl_stress_choose(2)) {
		OK(FL_WAIT_ANY(FL_ON_GROUP(s->g)));
		FL_STRESS_CHECK(fl_group_count(s->g) <= 1); /* the member of the next round */
	} else {
		left = fl_group_count(s->g);
	}
	FL_STRESS_CHECK(left <= 2 && (left > 0 || (s->data[0] == 1 && s->data[1] == 1)));
	fl_event_set(&s->seen);
}

FL_STRESS(group_again, owner, member, observer)
{
	fl_executor_free(s->e);
	FL_ACCEPTABLE(s->data[2] == 1, "done");
}

/* A result that was handed over belongs to the caller. An unwanted result is dropped once. */
static void drop_box(void *box)
{
	--**(int **)box;
}

FL_TASK_STATIC(fill_box, int *, int *, .drop_result = drop_box)
{
	++**arg;
	*result = *arg;
	return 0;
}

struct group_results {
	int boxes[2], *got;
};

FL_STRESS_ACTOR(group_results, user)
{
	fl_executor *e = pool_of(1);
	{
		FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
		OK(fl_group_submit(&g, &fill_box, &(int *){&s->boxes[0]}, &s->got));
		OK(fl_group_submit(&g, &fill_box, &(int *){&s->boxes[1]}, NULL));
		OK(fl_group_join(&g));
		FL_STRESS_CHECK(s->got == &s->boxes[0] && *s->got == 1);
	}
	fl_executor_free(e); /* this has freed the last reference */
}

FL_STRESS(group_results, user)
{
	FL_ACCEPTABLE(s->boxes[0] == 1 && s->boxes[1] == 0, "one kept, one dropped");
}

/*
 * A group that was cancelled, or that has failed, accepts no tasks until it is joined. Afterwards
 * it does again.
 */
struct group_rounds {
	int data;
};

FL_STRESS_ACTOR(group_rounds, user)
{
	fl_executor *e = sequential();
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(e);
	int *at = &s->data;
	fl_group_cancel(&g);
	FL_STRESS_CHECK(fl_group_submit(&g, &add_one, &at, NULL) == -ECANCELED);
	OK(fl_group_join(&g));
	OK(fl_group_submit(&g, &add_one, &at, NULL));
	OK(fl_group_submit(&g, &fail, &(int){-EIO}, NULL));
	FL_STRESS_CHECK(fl_group_submit(&g, &add_one, &at, NULL) == -ECANCELED && fl_group_failed_index(&g) == 1);
	FL_STRESS_CHECK(join_failed(&g) == -EIO);
	OK(fl_group_join(&g));
	fl_executor_free(e);
}

FL_STRESS(group_rounds, user)
{
	FL_ACCEPTABLE(s->data == 1, "one round");
}

/*
 * When the join returns, a callback has run, and the group may be freed. A task that its own
 * deadline ends, before or during its run, has failed.
 */
struct group_conditions {
	fl_event never;
	int data, calls, joined;
};

static void count_end(fl_future *f, void *calls)
{
	++*(int *)calls; /* plain: the join orders it */
}

FL_TASK_STATIC(wait_for_deadline, fl_event *, void)
{
	return fl_event_wait(*arg);
}

FL_STRESS_ACTOR(group_conditions, user)
{
	FL_SCOPED(fl_executor) *e = pool_of(1);
	fl_group *g = group_of(e);
	const fl_submit_config counted = {.on_end = count_end, .on_end_arg = &s->calls};
	fl_submit_config brief = counted;
	brief.deadline = soon();
	OK(fl_group_submit_with(g, &add_one, &(int *){&s->data}, NULL, &counted));
	OK(fl_group_join(g));
	FL_STRESS_CHECK(s->calls == 1 && s->data == 1);
	OK(fl_group_submit_with(g, &wait_for_deadline, &(fl_event *){&s->never}, NULL, &brief));
	s->joined = join_failed(g);
	FL_STRESS_CHECK(s->calls == 2);
	end_group(g);
}

FL_STRESS(group_conditions, user)
{
	FL_ACCEPTABLE(s->joined == -ETIMEDOUT, "it was too slow");
}

/*
 * A worker runs, in its join, the members that it has submitted, while another worker steals them.
 * Each runs once, and a task that is no member does not run in the join.
 */
enum { NEWEST = 3 };

struct group_newest {
	struct fl__thread_pool *p;
	const struct fl__ctx *joiner;
	bool joins;
	int data[NEWEST + 1];
};

FL_TASK_STATIC(run_no_member, struct group_newest *, void)
{
	FL_STRESS_CHECK((*arg)->joiner != fl__ctx_get() || !(*arg)->joins);
	(*arg)->data[NEWEST]++;
	return 0;
}

FL_TASK_STATIC(join_newest, struct group_newest *, void)
{
	struct group_newest *s = *arg;
	fl_group *g = group_of(&s->p->base);
	s->joiner = fl__ctx_get();
	for (int i = 0; i < NEWEST; i++)
		OK(fl_group_submit(g, &add_one, &(int *){&s->data[i]}, NULL));
	if (fl_stress_choose(2))
		OK(run_no_member_submit(&s->p->base, s, NULL));
	else
		s->data[NEWEST]++;
	s->joins = true;
	OK(fl_group_join(g));
	s->joins = false;
	for (int i = 0; i < NEWEST; i++)
		FL_STRESS_CHECK(s->data[i] == 1);
	end_group(g);
	fl_executor_close(&s->p->base);
	return 0;
}

FL_STRESS_SETUP(group_newest)
{
	s->p = pool_of_actors(2, 2);
	OK(join_newest_submit(&s->p->base, s, NULL));
}

SERVES(group_newest, one, 0)
SERVES(group_newest, two, 1)

FL_STRESS(group_newest, one, two)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(s->data[NEWEST] == 1, "once each");
}

/*
 * A join looks at a task that is no member, while a worker that looks for a task goes to sleep. The
 * member, which another worker has stolen, waits for that task.
 */
struct group_newest_hidden {
	struct fl__thread_pool *p;
	fl_event second;
};

FL_TASK_STATIC(join_hidden, struct group_newest_hidden *, void)
{
	struct group_newest_hidden *s = *arg;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(&s->p->base);
	OK(fl_group_submit(&g, &await_event, &(fl_event *){&s->second}, NULL));
	OK(set_event_submit(&s->p->base, &s->second, NULL));
	OK(fl_group_join(&g));
	fl_executor_close(&s->p->base);
	return 0;
}

FL_STRESS_SETUP(group_newest_hidden)
{
	s->p = pool_of_actors(3, 3);
	OK(join_hidden_submit(&s->p->base, s, NULL));
}

SERVES(group_newest_hidden, one, 0)
SERVES(group_newest_hidden, two, 1)
SERVES(group_newest_hidden, three, 2)

FL_STRESS(group_newest_hidden, one, two, three)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "joined");
}

/* An actor that cancels the executor. */
#define CANCELS(test)                                                                                                  \
	FL_STRESS_ACTOR(test, canceller)                                                                               \
	{                                                                                                              \
		(void)fl_executor_cancel(&s->p->base);                                                                 \
	}

/*
 * When the executor is cancelled, this reaches a member that runs in the join of its group, or
 * finds the member pending, or reaches the task after its join. Otherwise the member or the task
 * would wait forever.
 */
struct group_newest_cancel {
	struct fl__thread_pool *p;
	fl_event never;
	bool member_waits;
};

FL_TASK_STATIC(wait_in_join, struct group_newest_cancel *, void)
{
	return (*arg)->member_waits ? fl_event_wait(&(*arg)->never) : 0;
}

FL_TASK_STATIC(join_waiting, struct group_newest_cancel *, void)
{
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(fl_executor_current());
	FL_IGNORE(fl_group_submit(&g, &wait_in_join, arg, NULL));
	FL_IGNORE(fl_group_join(&g));
	return fl_event_wait(&(*arg)->never);
}

FL_STRESS_SETUP(group_newest_cancel)
{
	s->p = pool_of_actors(2, 1);
	s->member_waits = fl_stress_choose(2);
	OK(join_waiting_submit(&s->p->base, s, NULL));
}

SERVES(group_newest_cancel, worker, 0)

CANCELS(group_newest_cancel)

FL_STRESS(group_newest_cancel, worker, canceller)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "cancelled");
}

/*
 * A worker has taken a task but not claimed it while the executor is cancelled. Another task, which
 * waits for this task under a shield, then runs it. The cancel must reach the task that was taken.
 */
struct cancel_helped {
	struct fl__thread_pool *p;
	fl_event never;
};

FL_TASK_STATIC(wait_for_never, fl_event *, void)
{
	return fl_event_wait(*arg);
}

FL_TASK_STATIC(help_never, struct cancel_helped *, void)
{
	fl_future *f;
	if (wait_for_never_submit(&(*arg)->p->base, &(*arg)->never, &f) != 0)
		return 0;
	FL_IGNORE(fl_future_wait_until(f, FL_FOREVER, FL_SHIELDED));
	fl_future_free(f);
	return 0;
}

FL_STRESS_SETUP(cancel_helped)
{
	s->p = pool_of_actors(2, 2);
	OK(help_never_submit(&s->p->base, s, NULL));
}

SERVES(cancel_helped, one, 0)
SERVES(cancel_helped, two, 1)

CANCELS(cancel_helped)

FL_STRESS(cancel_helped, one, two, canceller)
{
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "cancelled");
}

/* The join of a group hides a task from the cancel. Then the stolen member runs that task. */
struct cancel_hidden {
	struct fl__thread_pool *p;
	fl_event never;
	fl_future *x;
	fl_event known;
};

FL_TASK_STATIC(help_hidden, struct cancel_hidden *, void)
{
	OK(fl_event_wait_until(&(*arg)->known, FL_FOREVER, FL_SHIELDED));
	if ((*arg)->x)
		FL_IGNORE(fl_future_wait_until((*arg)->x, FL_FOREVER, FL_SHIELDED));
	return 0;
}

FL_TASK_STATIC(join_and_hide, struct cancel_hidden *, void)
{
	struct cancel_hidden *s = *arg;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(&s->p->base);
	FL_IGNORE(fl_group_submit(&g, &help_hidden, arg, NULL));
	if (wait_for_never_submit(&s->p->base, &s->never, &s->x) != 0)
		s->x = NULL;
	fl_event_set(&s->known);
	FL_IGNORE(fl_group_join(&g));
	return 0;
}

FL_STRESS_SETUP(cancel_hidden)
{
	s->p = pool_of_actors(2, 2);
	OK(join_and_hide_submit(&s->p->base, s, NULL));
}

SERVES(cancel_hidden, one, 0)
SERVES(cancel_hidden, two, 1)

CANCELS(cancel_hidden)

FL_STRESS(cancel_hidden, one, two, canceller)
{
	fl_future_free(s->x);
	fl_executor_free(&s->p->base);
	FL_ACCEPTABLE(1, "cancelled");
}
