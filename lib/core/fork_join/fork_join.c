/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fork and join. Each worker has a stack of forks, from which other workers steal. The stack is
 * split. Its older forks are public: a thief takes one by a CAS on its slot, and the owner pops one
 * by a swap. Its newer forks are private: a pop needs no read-modify-write while `flags.thieves` is
 * 0, and a push needs none, unless it makes an older fork public ("What is public"). The fast path
 * is inline in fairlead/private/fork.h.
 *
 *   word            contains                           written by
 *   next            the slot of the next fork          the owner
 *   split           the first slot of the private      the owner: up, when it makes a fork public,
 *                   forks                              and past the slot of a private fork that was
 *                                                      stolen; down, when it pops a slot below
 *                                                      `split`, to that slot
 *   a slot          NULL: it was stolen, or is free;   the owner: push; from private to public by
 *                   a private fork, with the mark      CAS; pop: to NULL by a swap, if the fork is
 *                   PRIVATE; a public fork.            public or `flags.thieves` is not 0
 *                   From `next` on: NULL, or an old    a thief: CAS from a fork to NULL
 *                   private fork
 *   top             a hint: the first slot that may    the thief that stole the fork before it;
 *                   contain a fork                     the owner, while it waits for the stolen
 *                                                      fork of that slot, and when that wait ends
 *   flags.thieves   the number of threads that may     the number: fork_take_any(); UNFENCED: set
 *                   take private forks; and the bit    by fl__forks_init(), cleared by the first
 *                   UNFENCED, which is set until a     worker that finds that membarrier() works
 *                   worker has found that
 *                   membarrier() works. While the
 *                   word is not 0, each pop is a swap
 *   flags.sleepers  1: the next push tries to wake a   1: at creation and resize, if there may be
 *                   thread, but may find none          more than one worker; a worker before it
 *                                                      sleeps, unless there can be no other; a
 *                                                      forker before and after it sleeps; a thief,
 *                                                      so that the next push wakes one more;
 *                                                      0: the waking thread
 *
 *   state of a fork   meaning                          set by
 *   RUNNING (1)       `thief`, `outer`, `token` are    the thief
 *                     set
 *   STOP (2)          the forker's own call failed     the forker
 *   DONE (4)          the thief's last access. With    the thief
 *                     RUNNING, the call has ended, or
 *                     did not begin because of STOP,
 *                     and `error` is set; without
 *                     RUNNING, the thief has handed
 *                     the fork back
 *   WAITERS (8)       the forker may sleep in the      fl__word_arm(); cleared by
 *                     wait queue of `state`;           fork_wake_forker()
 *                     meaningless once DONE is set
 *
 * What is public. If the newest public slot is empty, or there is none, a push makes the oldest
 * private fork public. So while a thief takes forks, each push offers the next one, but a worker
 * whose public fork nobody takes pushes and pops private forks. Therefore most steals need no
 * system call. With a membarrier() for each, steals would not scale, because it interrupts all CPUs
 * on which the process runs, and newer kernels make one call at a time.
 *
 * Stealing a public fork. The owner's swap or a thief's CAS takes the fork out of its slot and
 * leaves the slot empty, so a thief needs neither `next` nor a fence. It reads the fork only after
 * its CAS, which acquires the contents of the fork that is in the slot at that time.
 *
 * Stealing a private fork. A thread that has found no public fork would sleep although a worker in
 * a long call may have private forks. So it first counts itself in `thieves`, then makes all
 * threads pass a full fence by membarrier(), and then loads `next`. A pop stores `next`, then loads
 * `thieves`. So either the thief sees the new `next`, or the owner sees the thief. Three rules
 * follow:
 *   1. A fork that the thief sees below `next` after the fence is still pushed, or its pop joins
 *      the race for the slot. A pop without thieves leaves an old value in its slot, but such a
 *      slot is not below any `next` that the thief can see, because a push overwrites the slot
 *      before it moves `next` past it.
 *   2. Only one thread takes a fork out of its slot: by the thief's CAS, by the owner's swap, or by
 *      a load while there are no thieves. The owner also makes a fork public by a CAS.
 *   3. An owner that sees no thieves sees everything they took, because the last access of
 *      fork_take_any() to `thieves` is a release.
 * Without membarrier(), FL__FORK_UNFENCED stays set, so every pop is a swap.
 *
 * Order. Thieves steal the oldest fork first, so all forks below a stolen fork were stolen before.
 * A thief advances `top` before the next fork can be stolen. The owner sets `top` back after all
 * forks above have ended. A wrong `top` only hides forks from thieves until the owner pops them.
 *
 * Waiting for a stolen fork. The forker runs parts of the call that it waits for, and of no other
 * call (leapfrogging, Wagner and Calder 1993). So the nesting of the calls bounds its stack, and no
 * call that it runs can need a lock that it holds. It takes the parts from the thief's stack. But
 * the thief may have begun another call by then, so after its CAS the forker checks its own fork:
 *   - Without DONE, all forks on that stack are parts of the call, by "Order".
 *   - With DONE, the taken fork belongs to another call, because a call ends after its parts, and
 *     the thief sets DONE before it pushes the next call's forks. The forker hands this fork back
 *     by fork_finish() before anything has run it. The slot stays empty, so the fork's owner runs
 *     the call itself, in fl__fork_await(). For "Order" such a fork counts as stolen.
 * If there is nothing to steal, the forker sleeps until the call ends or forks.
 *
 * Waking. A worker sets `sleepers` before it sleeps, passes the fence, and looks for forks. So
 * either the worker sees the fork that a push has stored, or the push sees `sleepers`. (The first
 * push that sees `sleepers` sets `used`, and calls `wake`. Until then, a worker sleeps without this
 * look.) Without membarrier() a push may miss a sleeper, but a later push wakes it. The waking
 * thread clears `sleepers`, so usually only one wake is under way. A worker sets it again when it
 * has stolen a fork or sleeps, and a forker before and after its sleep. A thief that leaves forks
 * behind wakes the next thread itself, because the next push may come only after a long call. If it
 * misses a fork that is pushed at the same time, it takes that fork itself after its call, unless
 * another worker does.
 *
 * Inside. A stolen call is part of the task or callback that forked it. So the thief runs it with
 * the `inside` (context.h) that the forker had at the fork, for fl_executor_current() and the
 * functions that return -EDEADLK. The frames to which it points are older than the fork, so they
 * exist as long as the call runs.
 *
 * The linearization point of a claim is the operation by which a thread takes the fork out of its
 * slot (rule 2). The linearization point of the end, or of the hand-back, is the write that sets
 * FORK_DONE. After it the thief no longer accesses the fork, but only leaves the parking lot and
 * unparks the forker. Pop and steal never wait. A join waits for the thief.
 */
#include "../base/panic.h"
#include "../base/sys.h"
#include "../exec/executor.h"
#include "../wait/cancel.h"
#include "../wait/context.h"
#include "../wait/lot.h"
#include "fork_stack.h"

enum { FORK_RUNNING = 1, FORK_STOP = 2, FORK_DONE = 4, FORK_WAITERS = 8 };

static const struct fl__word fork_done = {FORK_DONE, FORK_DONE, FORK_WAITERS};

/* Stealing. */

/* Guesses whether there is a public fork. */
static bool fork_seems_stealable(const struct fl__fork_worker *v)
{
	const struct fl__fork *fork =
	    fl__load_relaxed(fl__load_relaxed(&v->top)); /* relaxed: fork_take() looks again */
	return fork && !fl__fork_is_private(fork);
}

/*
 * Takes the oldest fork. Returns NULL if there is none, it is private and may not be, or another
 * thread was faster.
 */
static struct fl__fork *fork_take(struct fl__fork_worker *v, struct fl__fork **top, bool may_be_private)
{
	struct fl__fork *fork = fl__load_relaxed(top); /* relaxed: the CAS below acquires */
	if (!fork || (fl__fork_is_private(fork) && !may_be_private))
		return NULL;
	/*
	 * acquire: pairs with the release in fl__fork_push() and fl__fork_push_public(), for the
	 * fork's contents
	 */
	if (!fl__cas_acquire(top, &fork, NULL))
		return NULL;
	fl__store_relaxed(&v->top, top + 1); /* relaxed: a hint */
	return fl__fork_without_mark(fork);
}

static struct fl__fork *fork_steal(struct fl__fork_worker *v)
{
	return fork_take(v, fl__load_relaxed(&v->top), false); /* relaxed: a hint */
}

/*
 * Called by a thread that is about to sleep. First makes all threads pass a full fence, which
 * orders what the caller has stored before the call; without membarrier() there is no fence. Then
 * takes a public or private fork from the worker `only`, or from any other worker if `only` is
 * NULL. Takes none if `only` is `self`. Returns NULL if it has taken none.
 */
static struct fl__fork *fork_take_any(struct fl__fork_worker *self, struct fl__fork_worker *only)
{
	struct fl__forks *forks = self->forks;
	struct fl__fork *fork = NULL;
	/* relaxed: the fence orders it; with FL__FORK_UNFENCED each pop is a swap instead */
	if (!(fl__add_relaxed(&forks->flags.thieves, 1) & FL__FORK_UNFENCED) && fl__sys.membarrier() != 0)
		fl__panic("fl_parallel_invoke", forks, "membarrier() works no more: has it been forbidden since?");
	struct fl__fork_worker *v = only ? only : fl__fork_after(self);
	for (; v != self && !fork; v = only ? self : fl__fork_after(v)) {
		/* acquire: the slots below; pairs with fl__fork_push(), fl__fork_push_public() */
		struct fl__fork **next = fl__load_acquire(&v->front.next);
		struct fl__fork **top = fl__load_relaxed(&v->top); /* relaxed: a hint */
		if (top < next)
			fork = fork_take(v, top, true);
	}
	fl__sub_release(&forks->flags.thieves, 1); /* release: the emptied slot; pairs with fl__fork_pop() */
	return fork;
}

/* Ends a stolen fork. Without FORK_RUNNING the thief hands the fork back. */
static void fork_finish(struct fl__fork *fork)
{
	uint32_t seen = fl__load_relaxed(&fork->state); /* relaxed: a stale value makes the CAS below fail */
	while (!(seen & FORK_WAITERS))
		/*
		 * release: pairs with the acquire in fork_is_done(), for `error` and what the call
		 * wrote. This is the last access.
		 */
		if (fl__cas_weak_release(&fork->state, &seen, seen | FORK_DONE))
			return;
	FL__LOT(lot, &fork->state);
	fl__lot_take(&lot, FL__ALL, 0);
	/*
	 * release: pairs with the acquire in fork_is_done(). A store suffices, because the forker
	 * is the only other writer. After it has set WAITERS, it writes only under the queue lock,
	 * which this thread holds.
	 */
	fl__store_release(&fork->state, seen | FORK_DONE);
}

/*
 * Makes the next push wake a thread, because others probably sleep and more forks may come. Every
 * push reads the word, so it is written only if it changes. relaxed: a hint.
 */
static void fork_let_wake(struct fl__forks *forks)
{
	if (!fl__load_relaxed(&forks->flags.sleepers))
		fl__store_relaxed(&forks->flags.sleepers, 1);
}

static void fork_run(struct fl__fork_worker *self, struct fl__fork *fork)
{
	fork_let_wake(self->forks);
	if (fl__fork_is_left(self))
		fl__fork_wake(&self->front);
	fl__store_relaxed(&self->stolen, self->stolen + 1); /* relaxed: for statistics */
	fl__hook_note(FL__TRACE_STEAL, fork, 0);
	fork->thief = &self->front;
	fork->outer = self->running;
	self->running = fork;
	fl__cancel_init(&fork->token, fork->scope ? fork->scope : FL_SHIELDED, FL_FOREVER);
	fork->error = -ECANCELED;
	/*
	 * release: pairs with the acquire in fork_request_stop() and fork_thief_of(), for `thief`
	 * and `token`
	 */
	const uint32_t seen = fl__or_release(&fork->state, FORK_RUNNING);
	if (!(seen & FORK_STOP)) {
		struct fl__ctx_front *front = &fl__ctx_get()->front;
		const struct fl__ctx_front own = *front;
		front->scope = &fork->token;
		front->inside = fork->inside;
		fork->error = fork->run(fork->arg);
		front->scope = own.scope;
		front->inside = own.inside;
	}
	self->running = fork->outer;
	fork_finish(fork);
}

/* Searching. */

static struct fl__fork_worker *fork_find(const struct fl__fork_worker *self)
{
	for (struct fl__fork_worker *v = fl__fork_after(self); v != self; v = fl__fork_after(v))
		if (fork_seems_stealable(v))
			return v;
	return NULL;
}

static bool fork_is_found(const void *self)
{
	const struct fl__fork_worker *s = self;
	const struct fl__forks *forks = s->forks;
	return fork_find(s) != NULL || (forks->has_task && forks->has_task(forks->pool));
}

bool fl__forks_run_one(struct fl__forks *forks, struct fl__fork_stack *front)
{
	struct fl__fork_worker *self = fl__fork_worker_of(front);
	/* relaxed: the waking thread has set `used` */
	if (!fl__load_relaxed(&forks->used))
		return false;
	struct fl__fork_worker *v = fork_find(self);
	if (!v && fl__spin(fl__ctx_get(), fork_is_found, self, FL_FOREVER))
		v = fork_find(self);
	struct fl__fork *fork = v ? fork_steal(v) : NULL;
	if (fork)
		fork_run(self, fork);
	return v != NULL;
}

bool fl__forks_prepare_sleep(struct fl__forks *forks, struct fl__fork_stack *front)
{
	struct fl__fork_worker *self = fl__fork_worker_of(front);
	if (fl__load_relaxed(&forks->n) == 1) /* relaxed: a hint */
		return false;
	fl__store_relaxed(&forks->flags.sleepers, 1); /* relaxed: the fence of fork_take_any() orders it */
	/* the first fork calls `wake` */
	if (!fl__load_relaxed(&forks->used))
		return false;
	struct fl__fork *fork = fork_take_any(self, NULL);
	if (fork)
		fork_run(self, fork);
	return fork != NULL;
}

/* Waking. */

static void fork_wake_forker(struct fl__fork *fork)
{
	FL__LOT(lot, &fork->state);
	fl__lot_take(&lot, FL__ALL, 0);
	/* relaxed: the queue lock orders it */
	fl__and_relaxed(&fork->state, ~(uint32_t)FORK_WAITERS);
}

void fl__fork_wake(struct fl__fork_stack *front)
{
	struct fl__fork_worker *s = fl__fork_worker_of(front);
	struct fl__forks *forks = s->forks;
	/* relaxed: a hint that another thread sleeps */
	if (!fl__swap_relaxed(&forks->flags.sleepers, 0))
		return;
	fl__store_relaxed(&forks->used, 1); /* relaxed: the first time, `wake` publishes it */
	/* first a forker that waits for a call of this worker, because it can steal nothing else */
	for (struct fl__fork *fork = s->running; fork; fork = fork->outer)
		if (fl__load_relaxed(&fork->state) & FORK_WAITERS) { /* relaxed: a hint */
			fork_wake_forker(fork);
			return;
		}
	forks->wake(forks->pool);
}

/* Waiting. */

static bool fork_is_done(const struct fl__fork *fork)
{
	return fl__load_acquire(&fork->state) & FORK_DONE; /* acquire: pairs with fork_finish() */
}

/* Returns NULL while the thief is unknown. */
static struct fl__fork_worker *fork_thief_of(const struct fl__fork *fork)
{
	/* acquire: pairs with fork_run() */
	return fl__load_acquire(&fork->state) & FORK_RUNNING ? fl__fork_worker_of(fork->thief) : NULL;
}

static bool fork_may_go_on(const void *what)
{
	const struct fl__fork *fork = what;
	const struct fl__fork_worker *thief = fork_thief_of(fork);
	return fork_is_done(fork) || (thief && fork_seems_stealable(thief));
}

/*
 * Sleeps until the call ends or forks, but may return early. Returns a fork that it has taken from
 * the thief, or NULL.
 */
static struct fl__fork *fork_sleep(struct fl__fork_worker *self, struct fl__fork *fork)
{
	struct fl__wait wait;
	fl__wait_begin(&wait, FL__DEBUG_FORK, fork);
	if (fl__wait_spin(&wait, fork_may_go_on, fork, FL_FOREVER, FL_SHIELDED))
		return NULL;
	struct fl__node node = FL__NODE(&wait);
	if (!fl__word_arm(&fork->state, &fork_done, &node))
		return NULL;
	fl__store_relaxed(&self->forks->flags.sleepers, 1); /* relaxed: the fence of fork_take_any() orders it */
	struct fl__fork_worker *thief = fork_thief_of(fork);
	struct fl__fork *part = fork_take_any(self, thief ? thief : self);
	const bool sleeps = !part && !fork_may_go_on(fork);
	if (sleeps)
		fl__run_depend(wait.ctx, true);
	const int rc = fl__wait_sleep(&wait, sleeps ? FL_FOREVER : FL_NO_WAIT, FL_SHIELDED);
	if (sleeps)
		fl__run_depend(wait.ctx, false);
	if (rc != 0)
		fl__lot_leave(&node);
	fork_let_wake(self->forks); /* the waking thread has cleared `sleepers` */
	return part;
}

static void fork_request_stop(struct fl__fork *fork)
{
	/*
	 * acquire: pairs with the release in fork_run(), for the token. A thief that sets RUNNING
	 * later sees FORK_STOP.
	 */
	if (fl__or_acquire(&fork->state, FORK_STOP) & FORK_RUNNING)
		fl_cancel_token_request(&fork->token);
}

/* Makes thieves start at the slot of the stolen fork. No thief writes `top` meanwhile. */
static void fork_reset_top(struct fl__fork_worker *self)
{
	/* relaxed: a hint; the next push publishes it */
	fl__store_relaxed(&self->top, self->front.next);
}

int fl__fork_await(struct fl__fork_stack *front, struct fl__fork *fork, int error)
{
	struct fl__fork_worker *self = fl__fork_worker_of(front);
	if (error != 0)
		fork_request_stop(fork);
	while (!fork_is_done(fork)) {
		struct fl__fork_worker *thief = fork_thief_of(fork);
		if (thief)
			fork_reset_top(self);
		struct fl__fork *part = thief ? fork_steal(thief) : NULL;
		if (!part)
			part = fork_sleep(self, fork);
		if (part && fork_is_done(fork))
			fork_finish(part); /* a part of another call: hands it back */
		else if (part)
			fork_run(self, part);
	}
	fork_reset_top(self);
	/* relaxed: fork_is_done() has acquired, and the thief's last access is over */
	if (!(fl__load_relaxed(&fork->state) & FORK_RUNNING))
		return error != 0 ? error : fork->run(fork->arg);
	fl_cancel_token_destroy(&fork->token);
	return error != 0 ? error : fork->error;
}
