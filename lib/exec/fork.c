/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fork and join: the stack of forks that each worker has, and how others take from it. The fast path is inline in
 * fairlead/join.h: a push and a pop at no read-modify-write, while nobody steals.
 *
 *   word             holds                                             written by
 *   next             the slot of the next fork                         the owner
 *   a slot           a fork, NULL when it was taken; beyond `next`     the owner: push; pop, to NULL, while there are thieves
 *                    anything                                          a thief: CAS from a fork to NULL
 *   top              the first slot that may hold a fork: a hint       who took the fork before it; the owner, when the taken
 *                                                                      one at that place has ended
 *   flags.thieves    who steals now; and UNFENCED, which counts as a   start_stealing(), stop_stealing(); UNFENCED is set at
 *                    thief: nobody has found membarrier() to work      birth, and taken off by the first worker
 *   flags.sleepers   a fork is to wake somebody                        1: who goes to sleep, and who has taken a fork, so that
 *                                                                      the next is called; 0: who wakes
 *   state of a fork:
 *     RUNNING (1)    `thief`, `outer`, `token` are set                 the thief
 *     ASKED (2)      the forker's own call has failed                  the forker
 *     DONE (4)       `error` is set; the thief's last access           the thief
 *     WAITERS (8)    the forker sleeps in its line                     fl__word_arm(); taken off by rouse(), and with DONE
 *
 * Stealing without a fence in push and pop. A pop writes `next`, then looks whether there are thieves. A thief counts itself, then
 * makes all threads pass a full fence by membarrier(), then looks at `next`. Wherever that fence falls in a pop: behind the store to
 * `next`, and the thief sees it; or before the look, and the owner sees the thief. So:
 *   1. When a thief has passed the fence, a fork that it sees below `next` is under way, or its pop takes part in the race for the
 *      slot: one CAS of the thief, one swap of the owner. What pops have left in slots while there were no thieves lies
 *      beyond every `next` that the thief can see, and is overwritten before `next` passes it.
 *   2. Whoever takes a fork out of its slot, by that CAS, or that swap, or by a look when there are no thieves, has it to himself. A
 *      thief touches a fork after its CAS only; so that the frame of a former fork stood at the same address does not matter: what
 *      the CAS finds is the fork that lies there now, and it acquires what that holds.
 *   3. Who sees no thieves sees all that they have taken: stop_stealing() releases.
 * Where the system has no membarrier(), UNFENCED stays, and every pop is a swap. While it is set nobody has popped
 * otherwise, so a thief that found it when it counted itself needs no fence.
 *
 * Order. Thieves take the oldest first, so that all forks below one that was taken are taken, too: `top` is written by whoever takes
 * the fork there, before the next can be taken, and set back by the owner, who has seen the ends of all above. A mistake
 * in `top` would hide forks from thieves until they are popped, no more.
 *
 * Waiting for a fork that was taken. The forker takes forks of the thief's stack alone, which come from the call that it waits for
 * (leapfrogging, Wagner and Calder 1993): so its stack stays bounded by what the calls nest anyway, and it runs nothing
 * that it does not wait for, which under a lock would be a deadlock. Then it sleeps, until that call ends or forks.
 *
 * Waking. Who goes to sleep sets `sleepers`, passes the fence, and looks once more; so either it sees a fork, or the fork sees
 * `sleepers`. Without membarrier() a fork may miss a sleeper: it wakes the next time. One wake at a time: the flag is off until
 * who was woken has found something, or sleeps again, or, a forker, goes on.
 *
 * Inside. A call that was taken is a part of the task, or of the callback, in which the forker
 * forked it. So the thief runs the call inside of what the forker was inside of at the fork
 * (fork->inside). Functions that answer -EDEADLK look there. The frames that it names are older
 * than the fork, so they stay, and do not change, until the join. The thief loses nothing by the
 * change: it takes a call only when it has no task, or when it waits for a call of its own and
 * takes a part of that.
 *
 * Linearization: a claim, as in 2; the end, DONE. After DONE the thief touches the fork no more, but for the lot, whose line it has
 * emptied before. Progress: a pop never waits, a theft neither; a join waits for the thief.
 */
#include "fork.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/context.h"
#include "../wait/lot.h"
#include "child.h"
#include <errno.h>
#include <fairlead/time.h>

enum { RUNNING = 1, ASKED = 2, DONE = 4, WAITERS = 8 };
enum { DEPTH = 512, LINE = 64 };
#define UNFENCED 0x80000000u

static const struct fl__word done = {DONE, DONE, WAITERS};

struct stack {
	struct fl__fork_stack front;
	struct fl__forks *forks;
	struct fl__fork *running; /* the innermost that it has taken; its own */
	struct stack *older;      /* looks begin there, and go on with the newest; NULL: it is the first */
	unsigned place;           /* whose it is */
	size_t taken;             /* how many it has; its own, read for statistics */
	char apart[LINE];         /* thieves write to what follows */
	struct fl__fork **top;
	struct fl__fork *slots[DEPTH];
};

static struct stack *stack_of(struct fl__fork_stack *s)
{
	return (struct stack *)(void *)s; /* front is its first member */
}

/* The fence of all threads; where there is none, a fence of this one. */
static void agree(struct fl__forks *forks)
{
	if (fl__load_relaxed(&forks->flags.thieves) &
	    UNFENCED) /* relaxed: a membarrier too much, or none for who needs none */
		return;
	if (fl__sys.membarrier() != 0)
		fl__panic("fl_join", forks, "membarrier() works no more: has it been forbidden since?");
}

/* Life. */

void fl__forks_init(struct fl__forks *forks, unsigned n, void (*wake)(void *pool), void *pool)
{
	*forks = (struct fl__forks){.n = n, .wake = wake, .pool = pool, .fork_count = fl__fork_count};
	forks->flags.thieves = UNFENCED;
	forks->flags.sleepers = n > 1; /* those who are not started yet */
}

void fl__forks_resize(struct fl__forks *forks, unsigned n)
{
	fl__store_relaxed(&forks->n, n); /* relaxed: a hint */
	if (n > 1)
		fl__store_relaxed(&forks->flags.sleepers, 1); /* relaxed: as in run() */
}

void fl__forks_fini(struct fl__forks *forks)
{
	for (struct stack *older, *s = stack_of(forks->newest); s; s = older) {
		older = s->older;
		fl__free(s);
	}
}

static struct stack *newest(const struct fl__forks *forks)
{
	return stack_of(fl__load_acquire(&forks->newest)); /* what it holds, and all older ones; pairs with add() */
}

static void add(struct fl__forks *forks, struct stack *s)
{
	struct fl__fork_stack *seen;
	do {
		s->older = newest(forks);
		seen = s->older ? &s->older->front : NULL;
	} while (!fl__cas_weak_release(&forks->newest, &seen, &s->front)); /* what it holds; pairs with newest() */
}

static struct stack *make(struct fl__forks *forks, unsigned i)
{
	struct stack *s = fl__alloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->forks = forks;
	s->place = i;
	s->front.next = s->top = s->slots;
	s->front.limit = s->slots + DEPTH;
	s->front.flags = &forks->flags;
	add(forks, s);
	return s;
}

struct fl__fork_stack *fl__forks_enter(struct fl__forks *forks, unsigned i)
{
	struct stack *s = newest(forks);
	while (s && s->place != i)
		s = s->older;
	if (!s)
		s = make(forks, i);
	if (!s)
		return NULL;
	/* relaxed, both: twice does no harm; who has counted itself before has seen UNFENCED */
	if ((fl__load_relaxed(&forks->flags.thieves) & UNFENCED) && fl__sys.membarrier() == 0)
		fl__and_relaxed(&forks->flags.thieves, ~UNFENCED);
	fl__ctx_get()->front.forks = &s->front;
	return &s->front;
}

void fl__forks_leave(struct fl__fork_stack *self)
{
	if (self)
		fl__ctx_get()->front.forks = NULL;
}

/* Taking. */

static void start_stealing(struct fl__forks *forks)
{
	/* relaxed: the fence orders it, or UNFENCED makes it needless, that was there when it was counted */
	if (!(fl__add_relaxed(&forks->flags.thieves, 1) & UNFENCED))
		agree(forks);
}

static void stop_stealing(struct fl__forks *forks)
{
	/* release: the slot that was emptied; pairs with the load in fl__fork_pop() */
	fl__sub_release(&forks->flags.thieves, 1);
}

/* Whether there seems to be a fork to take. */
static bool has_fork(const struct stack *v)
{
	/* relaxed, all: a guess */
	struct fl__fork **next = fl__load_relaxed(&v->front.next), **top = fl__load_relaxed(&v->top);
	return top < next && fl__load_relaxed(top) != NULL;
}

/* By a thief. The fork is now its own. */
static struct fl__fork *steal(struct stack *v)
{
	struct fl__fork **next = fl__load_acquire(&v->front.next); /* the slots below; pairs with fl__fork_push() */
	struct fl__fork **top = fl__load_relaxed(&v->top);         /* relaxed: a hint */
	if (top >= next)
		return NULL;
	struct fl__fork *fork = fl__load_relaxed(top); /* relaxed: nothing of it is read until the CAS */
	/* acquire: what it holds; pairs with the store to the slot in fl__fork_push() */
	if (!fork || !fl__cas_acquire(top, &fork, NULL))
		return NULL;
	fl__store_relaxed(&v->top, top + 1); /* relaxed: a hint */
	return fork;
}

static struct fl__fork *steal_from(struct stack *v)
{
	if (!has_fork(v))
		return NULL;
	start_stealing(v->forks);
	struct fl__fork *fork = steal(v);
	stop_stealing(v->forks);
	return fork;
}

static void finish(struct fl__fork *fork)
{
	uint32_t seen = fl__load_relaxed(&fork->state); /* relaxed: the CAS decides */
	while (!(seen & WAITERS))
		/* release: error, and all that it did; pairs with is_done(). The last access. */
		if (fl__cas_weak_release(&fork->state, &seen, seen | DONE))
			return;
	struct fl__lot lot;
	fl__lot_open(&lot, &fork->state);
	fl__lot_take(&lot, FL__ALL, 0);
	fl__store_release(&fork->state, RUNNING | DONE); /* as above; the forker alone writes to it, and sleeps */
	fl__lot_close(&lot);
}

/* Runs a fork that was taken. */
static void run(struct stack *self, struct fl__fork *fork)
{
	fl__store_relaxed(&self->forks->flags.sleepers, 1); /* relaxed: a hint; there may be more */
	fl__store_relaxed(&self->taken, self->taken + 1);   /* relaxed: for statistics */
	fork->thief = &self->front;
	fork->outer = self->running;
	self->running = fork;
	fl_cancel_init(&fork->token, fork->scope ? fork->scope : FL_SHIELDED, FL_FOREVER);
	fork->error = -ECANCELED;
	/* release: thief, token; pairs with ask() and is_worth() */
	if (!(fl__or_release(&fork->state, RUNNING) & ASKED)) {
		struct fl__ctx_front *front = &fl__ctx_get()->front;
		const struct fl__ctx_front own = *front;
		const uint32_t mark = fl__child_mark();
		front->scope = &fork->token;
		front->inside = fork->inside;
		fork->error = fork->run(fork->arg);
		fl__child_ends(mark, "fl_join");
		front->scope = own.scope;
		front->inside = own.inside;
	}
	self->running = fork->outer;
	finish(fork);
}

/* Searching. */

/* Another's stack that seems to have a fork. */
static struct stack *find(struct fl__forks *forks, const struct stack *self)
{
	for (struct stack *v = self->older; v; v = v->older)
		if (has_fork(v))
			return v;
	for (struct stack *v = newest(forks); v != self; v = v->older)
		if (has_fork(v))
			return v;
	return NULL;
}

static bool found(const void *self)
{
	const struct stack *s = self;
	const struct fl__forks *forks = s->forks;
	return find(s->forks, s) != NULL || (forks->has_task && forks->has_task(forks->pool));
}

/* Looks for a while; not more than half of all do. */
static bool search(struct fl__forks *forks, struct stack *self)
{
	bool seen = false;
	if (fl__add_relaxed(&forks->searching, 1) <
	    (fl__load_relaxed(&forks->n) + 1) / 2) /* relaxed: a bound on waste */
		seen = fl__spin(fl__ctx_get(), found, self, FL_FOREVER);
	fl__add_relaxed(&forks->searching, UINT32_MAX); /* relaxed: as above */
	return seen;
}

bool fl__forks_run_one(struct fl__forks *forks, struct fl__fork_stack *front)
{
	struct stack *self = stack_of(front);
	if (!self || !fl__load_relaxed(&forks->used)) /* relaxed: who has woken this one has set it before */
		return false;
	struct stack *v = find(forks, self);
	if (!v && search(forks, self))
		v = find(forks, self);
	struct fl__fork *fork = v ? steal_from(v) : NULL;
	if (fork)
		run(self, fork);
	return v != NULL;
}

bool fl__forks_doze(struct fl__forks *forks, struct fl__fork_stack *front)
{
	struct stack *self = stack_of(front);
	if (!self || fl__load_relaxed(&forks->n) == 1) /* relaxed: a hint */
		return false;
	fl__store_relaxed(&forks->flags.sleepers, 1); /* relaxed: the fence orders it */
	if (!fl__load_relaxed(&forks->used)) /* relaxed: the first to fork calls `wake`, which finds this one awake */
		return false;
	agree(forks); /* pairs with the order of a push: the fork, then the look at `sleepers` */
	return find(forks, self) != NULL;
}

size_t fl__forks_taken(const struct fl__forks *forks)
{
	size_t taken = 0;
	for (const struct stack *s = newest(forks); s; s = s->older)
		taken += fl__load_relaxed(&s->taken); /* relaxed: a number by itself */
	return taken;
}

bool fl__fork_is_wanted(void)
{
	const struct fl__fork_stack *front = fl__ctx_get()->front.forks;
	if (!front || front->next == front->limit)
		return false;
	const struct stack *self = (const struct stack *)(const void *)front;
	return fl__load_relaxed(&self->forks->n) > 1 && !has_fork(self); /* relaxed: a hint */
}

/* Waking: out of the way of a fork. */

/* Under the lot: has the forker look at what its call has forked. */
static void rouse(struct fl__fork *fork)
{
	struct fl__lot lot;
	fl__lot_open(&lot, &fork->state);
	fl__lot_take(&lot, FL__ALL, 0);
	fl__and_relaxed(&fork->state, ~(uint32_t)WAITERS); /* relaxed: the lot orders it */
	fl__lot_close(&lot);
}

void fl__fork_wake(struct fl__fork_stack *front)
{
	struct stack *s = stack_of(front);
	struct fl__forks *forks = s->forks;
	if (fl__is_forked(forks->fork_count) || !fl__swap_relaxed(&forks->flags.sleepers, 0)) /* relaxed: a hint */
		return;
	fl__store_relaxed(&forks->used, 1); /* relaxed: `wake` hands it over */
	/* Those who wait for a call that this is part of can take nothing else. */
	for (struct fl__fork *fork = s->running; fork; fork = fork->outer)
		if (fl__load_relaxed(&fork->state) & WAITERS) { /* relaxed: a hint */
			rouse(fork);
			return;
		}
	forks->wake(forks->pool);
}

/* Waiting. */

static bool is_done(const struct fl__fork *fork)
{
	return fl__load_acquire(&fork->state) & DONE; /* pairs with finish() */
}

/* The stack of the thief; NULL when it is not known yet. */
static struct stack *thief_of(const struct fl__fork *fork)
{
	return fl__load_acquire(&fork->state) & RUNNING ? stack_of(fork->thief) : NULL; /* pairs with run() */
}

static bool is_worth(const void *what)
{
	const struct fl__fork *fork = what;
	const uint32_t seen = fl__load_acquire(&fork->state); /* `thief`; pairs with run() */
	return (seen & DONE) || ((seen & RUNNING) && has_fork(stack_of(fork->thief)));
}

/* Sleeps until the fork is done, or has forked itself; or not, or for nothing. */
static void doze(struct fl__forks *forks, struct fl__fork *fork)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	if (fl__wait_look(&wait, is_worth, fork, FL_FOREVER, FL_SHIELDED))
		return;
	struct fl__node node = FL__NODE(&wait);
	if (!fl__word_arm(&fork->state, &done, &node))
		return;
	fl__store_relaxed(&forks->flags.sleepers, 1); /* relaxed: the fence orders it */
	agree(forks); /* pairs with the order of a push: the fork, then the look at `sleepers` */
	const int rc = fl__wait_sleep(&wait, is_worth(fork) ? 0 : FL_FOREVER, FL_SHIELDED);
	if (rc != 0)
		fl__lot_leave(&node);
	/* relaxed: a hint: who has roused this one has taken the flag off, and others may sleep when it finds no fork */
	fl__store_relaxed(&forks->flags.sleepers, 1);
}

static void ask(struct fl__fork *fork)
{
	/* acquire: the token; pairs with run(). The thief that comes later sees ASKED, and runs nothing. */
	if (fl__or_acquire(&fork->state, ASKED) & RUNNING)
		fl_cancel_request(&fork->token);
}

/* The slot of a fork that was taken, by a thief that writes to `top` no more, is the next one that thieves look at. */
static void take_back(struct stack *self)
{
	fl__store_relaxed(&self->top, self->front.next); /* relaxed: a hint; the next push releases it */
}

int fl__fork_await(struct fl__fork_stack *front, struct fl__fork *fork, int error)
{
	struct stack *self = stack_of(front);
	if (fl__is_forked(self->forks->fork_count))
		return error != 0 ? error : -EOWNERDEAD;
	if (error != 0)
		ask(fork);
	while (!is_done(fork)) {
		struct stack *thief = thief_of(fork);
		if (thief)
			take_back(self);
		struct fl__fork *part = thief ? steal_from(thief) : NULL;
		if (part)
			run(self, part);
		else
			doze(self->forks, fork);
	}
	take_back(self);
	fl_cancel_destroy(&fork->token);
	return error != 0 ? error : fork->error;
}
