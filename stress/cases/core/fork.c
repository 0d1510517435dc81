/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scenarios of fork and join. Each fork is run once, by the owner or by a thief, and the joiner
 * sees what the fork did.
 */
#include "forks.h"

/*
 * The owner and a thief race for a fork, and then for another one in the same slot, from the same
 * frame.
 */
struct fork_claim {
	struct crowd crowd;
	int f, g, before;
};

CROWD_OF(fork_claim, 2)

static int claimed(void *arg)
{
	struct fork_claim *s = arg;
	FL_STRESS_CHECK(s->before == s->g + 1);
	s->g++;
	return 0;
}

static void fork_twice(struct fork_claim *s)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	for (int i = 0; i < 2; i++) {
		s->before++;
		OK(fl_parallel_invoke(add_one, &s->f, claimed, s));
		FL_STRESS_CHECK(s->f == i + 1 && s->g == i + 1);
	}
	fl__forks_leave(self);
}

FL_STRESS_ACTOR(fork_claim, owner)
{
	fork_twice(s);
}

FL_STRESS_ACTOR(fork_claim, thief)
{
	steal(&s->crowd, 2);
}

FL_STRESS(fork_claim, owner, thief)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(s->f == 2 && s->g == 2, "each once");
}

/*
 * A stack has a public fork and private ones. The thief takes the public fork, then is about to
 * sleep, and takes what is left. At the same time the owner pops, and its third push makes the
 * second fork public.
 */
struct fork_split {
	struct crowd crowd;
	int f, before[3], g[3];
};

CROWD_OF(fork_split, 2)

static void split_taken(struct fork_split *s, int i)
{
	FL_STRESS_CHECK(s->before[i] == 1);
	s->g[i]++;
}

static int split_first(void *arg)
{
	split_taken(arg, 0);
	return 0;
}

static int split_second(void *arg)
{
	split_taken(arg, 1);
	return 0;
}

static int split_third(void *arg)
{
	split_taken(arg, 2);
	return 0;
}

static int split_deeper(void *arg)
{
	struct fork_split *s = arg;
	s->before[2] = 1;
	return fl_parallel_invoke(add_one, &s->f, split_third, s);
}

static int split_deep(void *arg)
{
	struct fork_split *s = arg;
	s->before[1] = 1;
	return fl_parallel_invoke(split_deeper, s, split_second, s);
}

FL_STRESS_ACTOR(fork_split, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	s->before[0] = 1;
	OK(fl_parallel_invoke(split_deep, s, split_first, s));
	FL_STRESS_CHECK(s->g[0] == 1 && s->g[1] == 1 && s->g[2] == 1);
	fl__forks_leave(self);
}

FL_STRESS_ACTOR(fork_split, thief)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 1);
	(void)fl__forks_run_one(&s->crowd.forks, self);
	(void)fl__forks_run_one(&s->crowd.forks, self);
	(void)fl__forks_prepare_sleep(&s->crowd.forks, self);
	fl__forks_leave(self);
}

FL_STRESS(fork_split, owner, thief)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(s->f == 1 && s->g[0] == 1 && s->g[1] == 1 && s->g[2] == 1, "each once");
}

/*
 * When the public fork was stolen, the next push offers the oldest private fork to thieves that do
 * not sleep.
 */
struct fork_offers_the_next {
	struct crowd crowd;
	atomic_int taken, ended;
};

static int count_taken(void *arg)
{
	atomic_fetch_add(&((struct fork_offers_the_next *)arg)->taken, 1);
	return 0;
}

static int await_second(void *arg)
{
	struct fork_offers_the_next *s = arg;
	while (atomic_load(&s->taken) < 2)
		fl_stress_relax();
	return 0;
}

static int await_first_and_fork(void *arg)
{
	struct fork_offers_the_next *s = arg;
	while (atomic_load(&s->taken) < 1)
		fl_stress_relax();
	return fl_parallel_invoke(await_second, s, count_taken, s);
}

static int fork_privately(void *arg)
{
	return fl_parallel_invoke(await_first_and_fork, arg, count_taken, arg);
}

CROWD_OF(fork_offers_the_next, 2)

FL_STRESS_ACTOR(fork_offers_the_next, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	OK(fl_parallel_invoke(fork_privately, s, count_taken, s));
	fl__forks_leave(self);
	SET(&s->ended, 1);
}

FL_STRESS_ACTOR(fork_offers_the_next, thief)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 1);
	while (!LOOK(&s->ended))
		if (!fl__forks_run_one(&s->crowd.forks, self))
			fl_stress_relax();
	fl__forks_leave(self);
}

FL_STRESS(fork_offers_the_next, owner, thief)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(LOOK(&s->taken) == 3, "two were offered; the owner may run the last");
}

/* The owner and a thief race for a fork on a system that has no membarrier(). */
struct fork_unfenced {
	struct fork_claim claim;
};

static int no_membarrier(void)
{
	return -ENOSYS;
}

FL_STRESS_SETUP(fork_unfenced)
{
	fl__sys.membarrier = no_membarrier;
	crowd_init(&s->claim.crowd, 2, true);
}

FL_STRESS_ACTOR(fork_unfenced, owner)
{
	fork_twice(&s->claim);
}

FL_STRESS_ACTOR(fork_unfenced, thief)
{
	steal(&s->claim.crowd, 1);
}

FL_STRESS(fork_unfenced, owner, thief)
{
	crowd_fini(&s->claim.crowd);
	FL_ACCEPTABLE(s->claim.f == 2 && s->claim.g == 2, "each once");
}

/*
 * A forker steals only parts of the call that it waits for. Here it waits while it holds a lock,
 * and the thief of its call goes on to another call, each half of which wants the lock. A forker
 * that ran such a half would wait for itself.
 */
struct fork_foreign {
	struct crowd crowd;
	fl_mutex lock;
	int parts, f, g;
};

/* A part of the awaited call, which the waiting forker may steal. */
static int count_part(void *arg)
{
	struct fork_foreign *s = arg;
	return fl_parallel_invoke(add_one, &s->f, add_one, &s->parts);
}

static int want_lock(void *arg)
{
	struct fork_foreign *s = arg;
	fl_mutex_lock(&s->lock);
	s->g++;
	fl_mutex_unlock(&s->lock);
	return 0;
}

CROWD_OF(fork_foreign, 2)

FL_STRESS_ACTOR(fork_foreign, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	int other = 0;
	fl_mutex_lock(&s->lock);
	OK(fl_parallel_invoke(add_one, &other, count_part, s));
	FL_STRESS_CHECK(other == 1 && s->parts == 1);
	fl_mutex_unlock(&s->lock);
	fl__forks_leave(self);
}

FL_STRESS_ACTOR(fork_foreign, thief)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 1);
	(void)fl__forks_run_one(&s->crowd.forks, self);
	OK(fl_parallel_invoke(want_lock, s, want_lock, s));
	fl__forks_leave(self);
}

FL_STRESS(fork_foreign, owner, thief)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(s->parts == 1 && s->g == 2, "each half once, on the thread of its own call");
}

/* The first call fails. Then the second call does not run; or it is asked to stop, and ends. */
struct fork_error {
	struct crowd crowd;
	fl_event never;
	int began, rc;
};

static int fail(void *arg)
{
	return -EIO;
}

static int wait_for_ever(void *arg)
{
	struct fork_error *s = arg;
	s->began = 1;
	FL_STRESS_CHECK(fl_event_wait(&s->never) == -ECANCELED);
	return 0;
}

CROWD_OF(fork_error, 2)

FL_STRESS_ACTOR(fork_error, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	s->rc = fl_parallel_invoke(fail, NULL, wait_for_ever, s);
	fl__forks_leave(self);
}

FL_STRESS_ACTOR(fork_error, thief)
{
	steal(&s->crowd, 1);
}

FL_STRESS(fork_error, owner, thief)
{
	crowd_fini(&s->crowd);
	FL_FORBIDDEN(s->rc != -EIO, "another error");
	FL_ACCEPTABLE(!s->began, "not run");
	FL_INTERESTING(s->began, "run, and told");
}

/*
 * A request of the forker's scope reaches the thief, and the error of the stolen call reaches the
 * forker.
 */
struct fork_scope {
	struct crowd crowd;
	fl_cancel_token scope;
	fl_event never;
	int rc;
};

static int wait_under_scope(void *arg)
{
	struct fork_scope *s = arg;
	return fl_event_wait(&s->never);
}

static int request_scope(void *arg)
{
	fl_cancel_token_request(&((struct fork_scope *)arg)->scope);
	return 0;
}

FL_STRESS_SETUP(fork_scope)
{
	crowd_init(&s->crowd, 2, true);
	fl_cancel_token_init(&s->scope, FL_SHIELDED, FL_FOREVER);
}

FL_STRESS_ACTOR(fork_scope, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	{
		FL_CANCEL_SCOPE(&s->scope);
		s->rc = fl_parallel_invoke(request_scope, s, wait_under_scope, s);
	}
	fl__forks_leave(self);
}

FL_STRESS_ACTOR(fork_scope, thief)
{
	steal(&s->crowd, 1);
	FL_STRESS_CHECK(fl_cancel_scope_current() == NULL);
}

FL_STRESS(fork_scope, owner, thief)
{
	crowd_fini(&s->crowd);
	fl_cancel_token_destroy(&s->scope);
	FL_ACCEPTABLE(s->rc == -ECANCELED, "told");
}

/*
 * While a thief runs a fork, it is inside of the task in which the forker was at the fork, and may
 * read which task this is. Afterwards the thief is inside of its previous task again.
 */
struct fork_inside {
	struct crowd crowd;
	int outer, inner; /* the forker's task, at the fork and in its own call */
	int seen;
};

static int go_deeper(void *arg)
{
	struct fork_inside *s = arg;
	struct fl__inside *inside = &fl__ctx_get()->front.inside;
	FL_STRESS_CHECK(inside->helper == &s->outer);
	inside->helper = &s->inner;
	s->inner = 1;
	inside->helper = &s->outer;
	return 0;
}

static int look_where(void *arg)
{
	struct fork_inside *s = arg;
	FL_STRESS_CHECK(fl__ctx_get()->front.inside.helper == &s->outer);
	s->seen = s->outer;
	return 0;
}

CROWD_OF(fork_inside, 2)

FL_STRESS_ACTOR(fork_inside, owner)
{
	struct fl__fork_stack *self = crowd_enter(&s->crowd, 0);
	struct fl__inside *inside = &fl__ctx_get()->front.inside;
	s->outer = 1;
	inside->helper = &s->outer;
	OK(fl_parallel_invoke(go_deeper, s, look_where, s));
	inside->helper = NULL;
	fl__forks_leave(self);
}

FL_STRESS_ACTOR(fork_inside, thief)
{
	steal(&s->crowd, 1);
	FL_STRESS_CHECK(!fl__ctx_get()->front.inside.helper);
}

FL_STRESS(fork_inside, owner, thief)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(s->seen == 1, "seen");
}

/* A context reads the numbers of the workers' steals while a worker is added. */
struct fork_count_steals {
	struct crowd crowd;
	size_t stolen;
};

FL_STRESS_SETUP(fork_count_steals)
{
	crowd_init(&s->crowd, 2, false);
}

FL_STRESS_ACTOR(fork_count_steals, worker)
{
	fl__forks_leave(crowd_enter(&s->crowd, 0));
}

FL_STRESS_ACTOR(fork_count_steals, reader)
{
	s->stolen = fl__forks_stolen(&s->crowd.forks);
}

FL_STRESS(fork_count_steals, worker, reader)
{
	crowd_fini(&s->crowd);
	FL_ACCEPTABLE(s->stolen == 0, "nobody steals");
}
