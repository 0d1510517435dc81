/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups of fibers and lists of ends, while another thread joins, or cancels the owner, the group
 * or a fiber.
 */
#include "loops.h"
#include <fairlead/future.h>
#include <fairlead/group.h>
#include <stdio.h>

/*
 * The owner joins a child that fails when it is told to, and one that waits; another thread may
 * cancel the owner. The first event ends both children, and the join returns which it was.
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
		s->waited = -ECANCELED; /* not started: the owner was cancelled before */
	s->joined = fl_group_join(&g);
	FL_STRESS_CHECK(fl_group_count(&g) == 0);
	return 0;
}

FL_STRESS_SETUP(loop_group_fail)
{
	loop_begin(&s->world, 2);
	s->waited = -ECANCELED; /* also if no child could be started */
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
 * join, or afterwards. The next join resets it.
 */
struct loop_group_cancel {
	struct loop_world world;
	fl_group group;
	fl_event never;
	int cargo, seen, started, first, joined, again;
};

static int end_soon(void *arg)
{
	(void)arg;
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
	const bool cancelled = fl_latch_try_wait(&s->world.others) == 0;
	s->started = fl_group_start(&s->group, wait_in_group, s);
	FL_STRESS_CHECK(!cancelled || s->started == -ECANCELED);
	int rc = fl_group_start(&s->group, end_soon, s);
	FL_STRESS_CHECK(rc == 0 || rc == -ECANCELED);
	s->joined = fl_group_join(&s->group);
	OK(fl_latch_wait(&s->world.others));
	OK(fl_group_join(&s->group)); /* of the cancel, if it came so late */
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
 * Another thread joins a group of fibers, in memory that it then frees: the end of the last fiber
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
	FL_STRESS_CHECK(s->data[0] == 1 && s->data[1] == 1);
	free(s->group);
	fl_event_set(&s->gone);
}

FL_STRESS(loop_group_elsewhere, loop, joiner)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->joined == (s->fails ? -EIO : 0), "joined");
}

/* Two fibers: the first ends when it is told, the second when it is cancelled. */
struct ends {
	fl_fiber *each[2];
	fl_event told, never;
};

static int end_when_told(void *arg)
{
	struct ends *e = arg;
	return fl_event_wait(&e->told);
}

static int end_when_cancelled(void *arg)
{
	struct ends *e = arg;
	return fl_event_wait(&e->never);
}

static int watch_ends(struct loop_world *w, struct ends *e, fl_fiber_function *waiter, void *arg)
{
	OK(fl_fiber_start(&e->each[0], end_when_told, e, NULL));
	OK(fl_fiber_start(&e->each[1], end_when_cancelled, e, NULL));
	OK(loop_watch(w, waiter, arg));
	OK(fl_fiber_join(e->each[0], NULL));
	return fl_fiber_join(e->each[1], NULL);
}

/*
 * A fiber waits for the ends of two others. One thread causes the first end, another cancels the
 * waiter. A cancelled wait loses no end: it is handed out later, once.
 */
struct loop_completed {
	struct loop_world world;
	struct ends ends;
	int rc, later;
	size_t index;
};

static int take_ends(void *arg)
{
	struct loop_completed *s = arg;
	FL_SCOPED(fl_as_completed) *done = NULL;
	s->index = 2;
	OK(fl_fibers_as_completed_create(&done, s->ends.each, 2));
	if (fl_stress_choose(2))
		fl_fiber_yield(); /* an end may come while no fiber waits */
	s->rc = fl_as_completed_next_until(done, &s->index, soon(), NULL);
	if (s->rc != 0) {
		fl_fiber_yield(); /* the same */
		s->later = fl_as_completed_next_until(done, &s->index, FL_FOREVER, FL_SHIELDED);
	}
	fl_fiber_cancel(s->ends.each[1]);
	size_t last;
	OK(fl_as_completed_next_until(done, &last, FL_FOREVER, FL_SHIELDED));
	FL_STRESS_CHECK(last == 1 && fl_as_completed_try_next(done, &last) == -ENODATA);
	return 0;
}

static int watch_taker(void *arg)
{
	struct loop_completed *s = arg;
	return watch_ends(&s->world, &s->ends, take_ends, s);
}

LOOP_ALONE(loop_completed, 2, loop_run, watch_taker)

FL_STRESS_ACTOR(loop_completed, teller)
{
	fl_event_set(&s->ends.told);
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_completed, canceller)
{
	loop_cancel_fiber(&s->world);
}

FL_STRESS(loop_completed, loop, teller, canceller)
{
	loop_end(&s->world);
	FL_FORBIDDEN(s->later != 0 || s->index != 0, "an end was lost");
	FL_ACCEPTABLE(s->rc == 0, "in time");
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
	FL_ACCEPTABLE(s->rc == -ETIMEDOUT, "late");
}

/*
 * A wait for the first of two ends, one by itself and one by a cancel from another thread; that
 * thread may also cancel the waiter.
 */
struct loop_fibers_wait {
	struct loop_world world;
	struct ends ends;
	int rc;
	fl_wait_mode what;
};

static int wait_for_ends(void *arg)
{
	struct loop_fibers_wait *s = arg;
	s->rc = fl_fibers_wait(s->ends.each, 2, s->what);
	return 0;
}

static int watch_both(void *arg)
{
	struct loop_fibers_wait *s = arg;
	return watch_ends(&s->world, &s->ends, wait_for_ends, s);
}

FL_STRESS_SETUP(loop_fibers_wait)
{
	loop_begin(&s->world, 2);
	s->what = fl_stress_choose(2) ? FL_FIRST_ENDED : FL_ALL_ENDED;
}

LOOP(loop_fibers_wait, loop_run, watch_both)

FL_STRESS_ACTOR(loop_fibers_wait, teller)
{
	fl_event_set(&s->ends.told);
	loop_leave(&s->world);
}

FL_STRESS_ACTOR(loop_fibers_wait, canceller)
{
	OK(fl_event_wait(&s->world.known));
	fl_fiber_cancel(s->ends.each[1]);
	if (fl_stress_choose(2))
		fl_fiber_cancel(s->world.fiber);
	loop_leave(&s->world);
}

FL_STRESS(loop_fibers_wait, loop, teller, canceller)
{
	loop_end(&s->world);
	FL_ACCEPTABLE(s->rc == -ECANCELED, "cancelled");
	FL_ACCEPTABLE(s->rc == 1 && s->what == FL_FIRST_ENDED, "one has ended");
	FL_ACCEPTABLE(s->rc == 2, "both have");
}

/*
 * The error hook is replaced while fibers fail without a join: the hook's call, and the context
 * that replaces it, see what was written before it was set. The hook belongs to the process, so it
 * finds the state by the fiber's name, and its data are never freed.
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
	(void)arg;
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
