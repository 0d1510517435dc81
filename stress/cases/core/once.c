/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of the once. It succeeds once, and a call that returns 0 sees what the function wrote.
 * After a failure the next caller runs the function.
 */
#include "../cases.h"
#include <fairlead/once.h>

struct work {
	int runs, fails, data;
};

static int run(void *arg)
{
	struct work *w = arg;
	w->runs++; /* plain: two runs at once would race, also a failed run and the next */
	if (w->runs <= w->fails)
		return -EIO;
	w->data = 1;
	return 0;
}

/*
 * The function succeeds once, and every call that returns 0 sees what it wrote. once_init_fails:
 * only the call that ran the function returns its failure. The other calls may wait for it. Then
 * all are woken, one of them runs the function again, and the others wait again.
 */
struct once_init_fails {
	fl_once once;
	struct work work;
	int rc[3];
};

FL_STRESS_SETUP(once_init_fails)
{
	s->work.fails = (int)fl_stress_choose(3);
}

static void once_call(struct once_init_fails *s, int i)
{
	s->rc[i] = fl_once_call(&s->once, run, &s->work);
	if (s->rc[i] == 0)
		FL_STRESS_CHECK(s->work.data == 1);
}

THREE_ACTORS(once_init_fails, once_call)

FL_STRESS(once_init_fails, one, two, three)
{
	const int failed = s->rc[0] + s->rc[1] + s->rc[2];
	FL_FORBIDDEN(s->work.runs != s->work.fails + 1 || !fl_once_is_done(&s->once), "not run again, or too often");
	FL_ACCEPTABLE(failed == -EIO * s->work.fails, "as often as it failed");
}
