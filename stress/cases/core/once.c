/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Once: it succeeds once, a call that returns 0 sees what it wrote, and after a failure the next
 * caller runs it.
 */
#include "../cases.h"
#include <fairlead/once.h>

struct work {
	int runs, fails, data;
};

static int run(void *arg)
{
	struct work *w = arg;
	w->runs++; /* plain: two at once would race, also a failed one with the next */
	if (w->runs <= w->fails)
		return -EIO;
	w->data = 1;
	return 0;
}

/* It runs once; every call that returns 0 sees what it wrote. */
struct once_runs_once {
	fl_once once;
	struct work work;
};

FL_STRESS_ACTOR(once_runs_once, caller)
{
	OK(fl_once_call(&s->once, run, &s->work));
	FL_STRESS_CHECK(s->work.data == 1);
}

FL_STRESS(once_runs_once, caller, caller)
{
	FL_ACCEPTABLE(s->work.runs == 1 && fl_once_is_done(&s->once), "ran once");
}

/* once_init_fails: the first failure is its caller's alone; one of the waiters runs it again. */
struct once_init_fails {
	fl_once once;
	struct work work;
	int rc[3];
};

FL_STRESS_SETUP(once_init_fails)
{
	s->work.fails = 1;
}

static void call_failing(struct once_init_fails *s, int i)
{
	s->rc[i] = fl_once_call(&s->once, run, &s->work);
}

TWO_ACTORS(once_init_fails, call_failing)

FL_STRESS(once_init_fails, one, two)
{
	int failed = (s->rc[0] == -EIO) + (s->rc[1] == -EIO);
	FL_FORBIDDEN(s->work.runs != 2 || !fl_once_is_done(&s->once), "not run again");
	FL_ACCEPTABLE(failed == 1 && s->rc[0] + s->rc[1] == -EIO, "one failed");
}

/*
 * The same with three, of which two wait when it fails: both are woken, one runs it, the other
 * waits again.
 */
struct once_fails_with_two_waiting {
	fl_once once;
	struct work work;
	int rc[3];
};

FL_STRESS_SETUP(once_fails_with_two_waiting)
{
	s->work.fails = 1;
}

static void call_again(struct once_fails_with_two_waiting *s, int i)
{
	s->rc[i] = fl_once_call(&s->once, run, &s->work);
}

THREE_ACTORS(once_fails_with_two_waiting, call_again)

FL_STRESS(once_fails_with_two_waiting, one, two, three)
{
	FL_ACCEPTABLE(s->work.runs == 2 && s->rc[0] + s->rc[1] + s->rc[2] == -EIO, "one failed");
}
