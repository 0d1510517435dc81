/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of groups of fibers, and of waits for the first of several fibers, while another thread
 * joins, or cancels the owner, the group or a fiber.
 */
#include "loops.h"

/*
 * The owner joins two children: one that fails when it is told to, and one that waits. Another
 * thread may cancel the owner. The first event ends both children, and the join returns which event
 * it was.
 */
struct loop_group_fail {
	struct loop_world world;
	fl_event fail, never;
	int joined, waited;
};

static int fail_when_told(void *arg)
{
	struct loop_group_fail *s = arg;
	int rc = fl_event_wait(&s->fail);
	return rc == 0 ? -EIO : rc;
}

static int wait_for_end(void *arg)
{
	struct loop_group_fail *s = arg;
	s->waited = fl_event_wait(&s->never);
	return s->waited;
}

static int own_group(void *arg)
{
	struct loop_group_fail *s = arg;
	FL_SCOPED(fl_group) g = FL_GROUP_INIT(NULL);
	if (fl_group_start(&g, fail_when_told, s) == 0 && fl_group_start(&g, wait_for_end, s) != 0)
		/* it was not started, since the owner was cancelled before */
		s->waited = -ECANCELED;
	s->joined = fl_group_join(&g);
	FL_STRESS_CHECK(fl_group_count(&g) == 0 && (s->joined == 0 || s->joined == FL_ETASK));
	s->joined = fl_group_error(&g);
	return 0;
}

FL_STRESS_SETUP(loop_group_fail)
{
	loop_begin(&s->world, 2);
	s->waited = -ECANCELED; /* this is also the result if no child could be started */
}

LOOP(loop_group_fail, loop_run_watched, own_group)

FL_STRESS_ACTOR(loop_group_fail, canceller)
{
	if (fl_stress_choose(2))
		loop_cancel_fiber(&s->world);
	else
		loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_group_fail, teller)
{
	fl_event_set(&s->fail);
	loop_leave(&s->world);
}

FL_STRESS(loop_group_fail, loop, canceller, teller)
{
	loop_end(&s->world);
	FL_FORBIDDEN(s->waited != -ECANCELED, "a child was left waiting");
	FL_ACCEPTABLE(s->joined == -EIO, "failed");
	FL_ACCEPTABLE(s->joined == -ECANCELED, "cancelled");
	FL_ACCEPTABLE(s->joined == 0, "cancelled before there were children");
}

/*
 * Another thread cancels the group: before its first start, while its children end, during the
 * join, or afterwards. The next join resets the group.
 */
struct loop_group_cancel {
	struct loop_world world;
	fl_group group;
	fl_event never;
	int cargo, seen, started, first, joined, again;
};

static int end_soon(void *arg)
{
	fl_fiber_yield();
	return 0;
}

static int wait_in_group(void *arg)
{
	struct loop_group_cancel *s = arg;
	s->first = fl_event_wait(&s->never);
	s->seen = s->cargo;
	return s->first;
}

static int own_cancelled(void *arg)
{
	struct loop_group_cancel *s = arg;
	const bool cancelled = fl_latch_count(&s->world.others) == 0;
	s->started = fl_group_start(&s->group, wait_in_group, s);
	FL_STRESS_CHECK(!cancelled || s->started == -ECANCELED);
	int rc = fl_group_start(&s->group, end_soon, s);
	FL_STRESS_CHECK(rc == 0 || rc == -ECANCELED);
	s->joined = fl_group_join(&s->group);
	OK(fl_latch_wait(&s->world.others));
	/* If the cancel came after the first join, this join resets the group. */
	OK(fl_group_join(&s->group));
	s->again = fl_group_start(&s->group, end_soon, s);
	return fl_group_join(&s->group);
}

LOOP_ALONE(loop_group_cancel, 1, loop_run, own_cancelled)

FL_STRESS_ACTOR(loop_group_cancel, canceller)
{
	s->cargo = 1;
	fl_group_cancel(&s->group);
	loop_leave(&s->world);
}

FL_STRESS(loop_group_cancel, loop, canceller)
{
	loop_end(&s->world);
	FL_FORBIDDEN(s->joined != 0, "its own cancel is no error");
	FL_FORBIDDEN(s->again != 0, "it was not forgotten");
	FL_ACCEPTABLE(s->started == -ECANCELED, "before the start");
	FL_ACCEPTABLE(s->started == 0 && s->first == -ECANCELED && s->seen == 1, "after it");
}

/*
 * Another thread joins a group of fibers, in memory that it then frees. The end of the last fiber
 * does not touch the group after the join may return. The join sees what the fibers wrote.
 */
struct loop_group_elsewhere {
	struct loop_world world;
	fl_group *group;
	fl_event gone;
	int data[2], joined;
	bool fails;
};

static int write_first(void *arg)
{
	struct loop_group_elsewhere *s = arg;
	fl_fiber_yield();
	s->data[0] = 1;
	return s->fails ? -EIO : 0;
}

static int write_second(void *arg)
{
	struct loop_group_elsewhere *s = arg;
	s->data[1] = 1;
	return 0;
}

static int start_two(void *arg)
{
	struct loop_group_elsewhere *s = arg;
	OK(fl_group_start(s->group, write_second, s));
	OK(fl_group_start(s->group, write_first, s));
	fl_event_set(&s->world.known);
	return fl_event_wait(&s->gone); /* the group began in the scope of this fiber */
}

FL_STRESS_SETUP(loop_group_elsewhere)
{
	loop_begin(&s->world, 0);
	s->group = make(sizeof *s->group);
	*s->group = (fl_group)FL_GROUP_INIT(NULL);
	s->fails = fl_stress_choose(2);
}

LOOP(loop_group_elsewhere, loop_run, start_two)

FL_STRESS_ACTOR(loop_group_elsewhere, joiner)
{
	OK(fl_event_wait(&s->world.known));
	if (fl_stress_choose(2))
		OK(FL_WAIT_ANY(FL_ON_GROUP(s->group)));
	s->joined = fl_group_join(s->group);
	FL_STRESS_CHECK(s->data[0] == 1 && s->data[1] == 1 && fl_group_error(s->group) == (s->fails ? -EIO : 0));
	free(s->group);
	fl_event_set(&s->gone);
}

FL_STRESS(loop_group_elsewhere, loop, joiner)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->joined == (s->fails ? FL_ETASK : 0), "joined");
}

/*
 * A fiber waits for the first of two fibers. The first one ends when a thread tells it to, and the
 * second one when another thread cancels it. That thread may also cancel the waiter.
 */
struct loop_first_ended {
	struct loop_world world;
	fl_fiber *each[2];
	fl_event told, never;
	int rc;
};

static int end_when_told(void *arg)
{
	struct loop_first_ended *s = arg;
	return fl_event_wait(&s->told);
}

static int end_when_cancelled(void *arg)
{
	struct loop_first_ended *s = arg;
	return fl_event_wait(&s->never);
}

static int wait_for_either(void *arg)
{
	struct loop_first_ended *s = arg;
	s->rc = FL_WAIT_ANY(FL_ON_FIBER(s->each[0]), FL_ON_FIBER(s->each[1]));
	FL_STRESS_CHECK(s->rc < 0 || !fl_fiber_is_alive(s->each[s->rc]));
	return 0;
}

static int watch_both(void *arg)
{
	struct loop_first_ended *s = arg;
	OK(fl_fiber_start(&s->each[0], end_when_told, s, NULL));
	OK(fl_fiber_start(&s->each[1], end_when_cancelled, s, NULL));
	OK(loop_watch(&s->world, wait_for_either, s));
	OK(fl_fiber_join(s->each[0], NULL));
	return fl_fiber_join(s->each[1], NULL);
}

LOOP_ALONE(loop_first_ended, 2, loop_run, watch_both)

FL_STRESS_ACTOR(loop_first_ended, teller)
{
	fl_event_set(&s->told);
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_first_ended, canceller)
{
	OK(fl_event_wait(&s->world.known));
	fl_fiber_cancel(s->each[1]);
	if (fl_stress_choose(2))
		fl_fiber_cancel(s->world.fiber);
	loop_leave(&s->world);
}

FL_STRESS(loop_first_ended, loop, teller, canceller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
	FL_ACCEPTABLE(s->rc == 0, "the first has ended");
	FL_ACCEPTABLE(s->rc == 1, "the second has ended");
}

/*
 * The error hook is replaced while fibers fail without a join. The hook's call, and the context
 * that replaces the hook, see what was written before the hook was set. The hook belongs to the
 * process, so it finds the state by the name of the fiber, and its data are never freed.
 */
struct loop_error_handler {
	struct loop_world world;
	atomic_int calls;
};

static int hook_data[2];

static void count_call(const char *name, int error)
{
	struct loop_error_handler *s = NULL;
	FL_STRESS_CHECK(sscanf(name, "%p", (void **)&s) == 1 && error == -EIO);
	COUNT(&s->calls);
}

static void first_handler(const char *name, int error)
{
	FL_STRESS_CHECK(hook_data[0] == 1);
	count_call(name, error);
}

static void second_handler(const char *name, int error)
{
	FL_STRESS_CHECK(hook_data[1] == 1);
	count_call(name, error);
}

static int fail_unasked(void *arg)
{
	return -EIO;
}

static int start_unasked(void *arg)
{
	fl_fiber *f;
	char name[32];
	snprintf(name, sizeof name, "%p", arg);
	OK(fl_fiber_start(&f, fail_unasked, NULL, &(fl_fiber_config){.name = name}));
	fl_fiber_detach(f);
	return 0;
}

LOOP_ALONE(loop_error_handler, 0, loop_run, start_unasked)

FL_STRESS_ACTOR(loop_error_handler, setter)
{
	hook_data[0] = 1;
	(void)fl_fiber_set_error_handler(first_handler);
}

FL_STRESS_ACTOR(loop_error_handler, replacer)
{
	hook_data[1] = 1;
	if (fl_fiber_set_error_handler(second_handler) == first_handler)
		FL_STRESS_CHECK(hook_data[0] == 1);
}

FL_STRESS(loop_error_handler, loop, setter, replacer)
{
	loop_end(&s->world);
	(void)fl_fiber_set_error_handler(NULL);
	FL_ACCEPTABLE(LOOK(&s->calls) == 1, "called");
	FL_ACCEPTABLE(LOOK(&s->calls) == 0, "too late");
}
