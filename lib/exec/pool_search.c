/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a worker of the thread executor finds a task, sleeps when there is none, and is woken.
 *
 * A worker runs a task, searches for one, or sleeps. `searching` counts those who search; a wake is one for somebody else, who is counted
 * from then on: so one wake is under way at a time, and a burst of small tasks is served by the workers that run anyway, not by a
 * herd.
 *
 *   word          meaning                              changed
 *   searching     workers that search, or were woken   +1 by a worker that has nothing to do, or under the lock for one that is
 *                 or started and have not found yet    woken or started; -1 by a worker when it has found a task (stop_searching),
 *                                                      and under the lock when it goes to sleep or ends
 *   idle          workers that sleep, in `sleepers`    under the lock; -1 by who wakes one, or by one whose time is over
 *   forked        somebody is to look for forks,       under the lock: set for fl_join(), cleared by who goes to look;
 *                 before he sleeps                     who has found a task instead wakes another
 *
 * Invariant: while a task is in the backlog and one more worker may be active (`more`, pool.h), somebody searches, or is about to look
 * whether he has to wake one, or one who sleeps has woken by himself and will look. Each of these keeps it:
 *   - who goes to sleep marks the backlog (fl__backlog_mark()), empty as it is, under the lock; or he goes on searching; or there are
 *     more active than may be, and after him as many as may be;
 *   - who makes `more` true otherwise (an end, a resize, a blocking section) marks the backlog, or wakes one: fl__pool_settle();
 *   - a submit whose put takes such a mark wakes one, unless somebody searches;
 *   - who has found a task, and was the last one to search, looks once more (stop_searching) if there may be one more: he marks the
 *     backlog, empty as it is, or wakes one;
 *   - who was to wake one, and has found that nobody is needed, was counted as searching meanwhile, and ends that in the same way.
 * A submit that wakes nobody, because S searches, has claimed its place at the tail of the ring, then seen that S is counted. When S
 * stops, he is uncounted, and then changes the tail, or sees it changed: since the submit did not see him uncounted, S's mark comes
 * behind its claim in the order of the tail's changes, and can only be set if that task was taken. S skips the mark when he sees `more`
 * false: who made it true before that had set the mark that the submit took, and who makes it true later looks. For this the
 * claim, or the list's `overflowing`, the submit's look at `searching`, the end of S's search, and his look at `more`, are in
 * the one order of seq_cst.
 * Safe mistakes: a wake for a task that another takes first; a mark where nobody sleeps.
 *
 * Who sleeps is woken last in, first out: the others may end in time, and he is nearer to his CPU. When his time is over he takes
 * himself out, under the lock: who wakes does not find him from then on, and he looks at the backlog before he ends. Until he has the
 * lock he is counted as idle, though a wake passes him over: he will look.
 *
 * Who runs an initializer does not search: that may take long. Meanwhile each submit looks whether another worker is to be started, one
 * for each task.
 *
 * Forks (fork.c) are looked for when there is no task, by a worker that is not counted meanwhile: he may run one for long.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/lot.h"
#include "pool.h"
#include <errno.h>

/* Looks at nothing: some microseconds where a turn takes 40 ns. A define, since in the model each is a step. */
#ifndef FL__POOL_TURNS
#define FL__POOL_TURNS 128
#endif

/* Waking. */

/* Under the lock, for somebody who is counted as searching already: one who sleeps, or, if `start`, a new one. */
static bool call(struct fl__pool *p, bool start)
{
	if (fl__line_wake(&p->sleepers, 1) == 1) {
		p->idle--;
		fl__pool_recount(p);
		return true;
	}
	return start && fl__pool_start_worker(p) == 0;
}

/* Under the lock: whether there are tasks that no worker is there for, if none sleeps. */
static bool needs_worker(struct fl__pool *p)
{
	return fl__pool_may_start(p) && fl__backlog_length(&p->backlog) > p->initializing;
}

void fl__pool_wake_locked(struct fl__pool *p)
{
	while (p->more && fl__load_seq_cst(&p->searching) == 0) { /* see the invariant */
		fl__add_relaxed(&p->searching, 1); /* relaxed: who sees it leaves the task to who ends that search */
		const bool needed = needs_worker(p);
		if (call(p, needed))
			return;
		/* Nobody is to be woken: the search that was counted ends. Relaxed: the mark comes behind, whether it can be set or not. */
		if (fl__sub_relaxed(&p->searching, 1) > 1 || needed)
			return;
		if (!fl__pool_may_start(p) || p->initializing > 0 || p->base.closed)
			return;
		if (fl__backlog_mark(&p->backlog))
			return;
	}
}

void fl__pool_wake_sleepers(struct fl__pool *p, size_t n)
{
	const unsigned woken = (unsigned)fl__line_wake(&p->sleepers, n);
	fl__add_relaxed(&p->searching, woken); /* relaxed: as in fl__pool_wake_locked() */
	p->idle -= woken;
	fl__pool_recount(p);
}

void fl__pool_wake(struct fl__pool *p)
{
	if (fl__load_seq_cst(&p->searching) > 0) /* see the invariant */
		return;
	FL_LOCKED(&p->base.lock);
	fl__pool_wake_locked(p);
}

/* By a worker that has found a task. */
static void stop_searching(struct fl__pool *p)
{
	if (fl__sub_seq_cst(&p->searching, 1) > 1) /* this, and the next two: see the invariant */
		return;
	if (!fl__load_seq_cst(&p->more))
		return;
	if (!fl__load_seq_cst(&p->backlog.overflowing) &&
	    (fl__mpmc_mark_empty(&p->backlog.ring) || fl__mpmc_can_get(&p->backlog.ring) == -EPIPE))
		return;
	fl__pool_wake(p);
}

/* Under the lock: a worker is to look for forks. */
static void wake_for_forks_locked(struct fl__pool *p)
{
	p->forked = true;
	/* Also while somebody searches, who may find a task. Who is in an initializer looks for forks afterwards. */
	const bool start = p->initializing == 0 && fl__pool_may_start(p);
	if (!p->more || !(start || p->idle > 0))
		return;
	fl__add_relaxed(&p->searching, 1); /* relaxed: as in fl__pool_wake_locked() */
	if (!call(p, start))
		fl__sub_relaxed(&p->searching,
		                1); /* the forks run where they are; who sleeps is about to look, or nobody does */
}

void fl__pool_wake_for_forks(void *arg)
{
	struct fl__pool *p = arg;
	FL_LOCKED(&p->base.lock);
	wake_for_forks_locked(p);
}

void fl__pool_settle(struct fl__pool *p)
{
	if (!p->more)
		return;
	if (p->forked)
		wake_for_forks_locked(p);
	if (!fl__backlog_mark(&p->backlog))
		fl__pool_wake_locked(p);
}

/* Workers. */

fl_future fl__pool_taking;

#define INLINE static inline __attribute__((always_inline))

struct taken {
	struct fl__cell *cell; /* NULL: none */
	enum fl__claim claim;
	bool crowded; /* none, because the worker is to step back */
};

/* By a worker that has just said that it is about to take a task: see agree() in pool_workers.c. */
INLINE bool is_to_step_back(const struct fl__pool *p)
{
	fl__in_program_order();
	uint32_t seen = fl__load_relaxed(&p->crowded); /* relaxed: agree() orders it */
	if (__builtin_expect(seen == 0, 1))
		return false;
	if (seen & FL__POOL_FENCED) {
		fl__fence_seq_cst();                  /* pairs with the fence in agree() */
		seen = fl__load_relaxed(&p->crowded); /* relaxed: as above */
	}
	return seen & FL__POOL_CROWDED;
}

/*
 * Takes a task and claims it, if nobody else has. Before, the worker says that it is about to: whoever closes the backlog, empties it and
 * then looks at `running` finds this, or something later, for each task that was taken before. Relaxed, for the claim of the
 * ring's head (or the lock) releases it, and who finds the ring empty has acquired it. He waits for what comes next, under the
 * lock; so it is not needed for that.
 */
INLINE struct taken take(struct fl__worker *w, struct fl__pool *p, struct fl__cell *(*from)(struct fl__backlog *b))
{
	fl_future *f = NULL;
	struct taken taken = {.claim = FL__CLAIM_LOST};
	fl__store_relaxed(&w->running, &fl__pool_taking);
	taken.crowded = is_to_step_back(p);
	taken.cell = taken.crowded ? NULL : from(&p->backlog);
	if (taken.cell) {
		taken.claim = fl__future_claim(&taken.cell->future);
		f = taken.claim == FL__CLAIM_LOST ? NULL : &taken.cell->future;
		if (__builtin_expect(taken.cell->place == FL__PLACE, 0) && f)
			fl__place_give(&p->base, FL__PLACE);
	}
	if (f)
		fl__store_release(&w->running, f); /* it is claimed; pairs with list_running() */
	else
		fl__store_relaxed(&w->running, NULL); /* relaxed: there is nothing to look at */
	return taken;
}

bool fl__pool_has_task(const void *pool)
{
	return fl__backlog_any(&((struct fl__pool *)pool)->backlog);
}

/* Looks for a while without the lock. */
static void spin(struct fl__pool *p)
{
	struct fl__ctx *ctx = fl__ctx_get();
	if (ctx->ops == &fl__thread_parker)
		(void)fl__spin(ctx, fl__pool_has_task, p, FL_FOREVER); /* whatever it says: look under the lock */
}

/*
 * Under the lock, which it gives up meanwhile: sleeps, as one that is counted as idle. True: it was woken, and counted as searching. False:
 * its time was over, and it is counted as active alone.
 */
static bool sleep_as_idle(struct fl__pool *p)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	wait.patient = true; /* it has looked for a while */
	struct fl__node node = FL__NODE(&wait);
	fl__line_add_first(&p->sleepers, &node);
	const int64_t bedtime = fl__pool_bedtime(p);
	fl_mutex_unlock(&p->base.lock);
	const bool woken = fl__wait_sleep(&wait, bedtime, FL_SHIELDED) == 0;
	fl_mutex_lock(&p->base.lock);
	if (woken)
		return true;
	fl__line_remove(&p->sleepers, &node);
	p->idle--;
	fl__pool_recount(p);
	return false;
}

/* Under the lock. */
static bool is_crowded(const struct fl__pool *p)
{
	return p->crowded & FL__POOL_CROWDED;
}

/* Under the lock, which it gives up meanwhile. Counted as searching before and after. True: its time was over. */
static bool sleep_until_woken(struct fl__pool *p)
{
	const bool too_many = is_crowded(p); /* then others are there, whatever is in the backlog */
	p->idle++;
	fl__pool_recount(p);
	fl__sub_relaxed(&p->searching, 1); /* relaxed: as in fl__pool_wake_locked() */
	if (too_many || fl__backlog_mark(&p->backlog) || fl__backlog_is_over(&p->backlog)) {
		if (sleep_as_idle(p))
			return false;
		fl__add_relaxed(&p->searching, 1);
		return true;
	}
	fl__add_relaxed(&p->searching, 1);
	p->idle--;
	fl__pool_recount(p);
	(void)fl__sys.give_way(fl__sys.now()); /* a put that was accepted is not yet to be seen */
	return false;
}

/* Runs what a task of another worker has forked. True: there may be more. */
static bool help_forks(struct fl__worker *w)
{
	struct fl__pool *p = w->pool;
	if (!fl__load_relaxed(&p->forks.used)) /* relaxed: as in fl__forks_run_one() */
		return fl__forks_doze(&p->forks, w->forks);
	stop_searching(p);
	const bool more = fl__forks_run_one(&p->forks, w->forks);
	fl__add_relaxed(&p->searching, 1); /* relaxed: as in fl__pool_wake_locked() */
	return more || fl__forks_doze(&p->forks, w->forks);
}

/*
 * Under the lock: whether nothing more comes, by a worker, or when one has ended: then `active` is 0. What still runs may fork; so the
 * workers stay until the last of them has nothing to do: all others are asleep, and are woken.
 */
static bool is_over(struct fl__pool *p, unsigned active)
{
	if (!p->over && fl__backlog_is_over(&p->backlog) && p->idle + active == p->alive) {
		p->over = true;
		fl__pool_wake_sleepers(p, FL__ALL);
	}
	return p->over;
}

/* Under the lock: the calling worker, which is not counted as searching, will end. */
static void end(struct fl__pool *p)
{
	p->alive--;
	fl__pool_recount(p);
	if (!is_over(p, 0))
		fl__pool_settle(p);
}

enum found { TASK, FORKS, THE_END };

/* Under the lock, which it gives up meanwhile. */
static enum found search_locked(struct fl__worker *w, struct taken *taken)
{
	struct fl__pool *p = w->pool;
	for (bool slept = false;; slept = sleep_until_woken(p)) {
		if (is_crowded(p)) { /* this is one too many: what there is to do is not its */
			if (is_over(p, 1) || fl__pool_is_to_end(p, slept))
				return THE_END;
			continue;
		}
		*taken = take(w, p, fl__backlog_take_locked);
		if (taken->cell)
			return TASK;
		if (is_over(p, 1))
			return THE_END;
		if (p->forked)
			return FORKS;
		if (fl__pool_is_to_end(p, slept))
			return THE_END;
	}
}

/* Of a worker that is counted as searching: a task, or none: it has ended. It is no longer counted. */
static struct taken search(struct fl__worker *w)
{
	struct fl__pool *p = w->pool;
	struct taken taken;
	bool called = false; /* to look for forks, and has not yet */
	do {
		spin(p);
		taken = take(w, p, fl__backlog_take);
		if (taken.cell)
			break;
		/* relaxed: a look; what is in the list comes before forks, and is taken under the lock */
		if (!taken.crowded && !fl__load_relaxed(&p->backlog.overflowing)) {
			called = false;
			if (help_forks(w))
				continue;
		}
		FL_LOCKED(&p->base.lock);
		switch (search_locked(w, &taken)) {
		case TASK:
			called = called || p->forked;
			break;
		case FORKS:
			p->forked = false;
			called = true;
			break;
		case THE_END:
			/* relaxed: the mark that end() sets, or finds that it cannot, comes behind */
			fl__sub_relaxed(&p->searching, 1);
			end(p);
			return (struct taken){.claim = FL__CLAIM_LOST};
		}
	} while (!taken.cell);
	stop_searching(p);
	if (called)
		fl__pool_wake_for_forks(p);
	return taken;
}

/*
 * Of a worker that has just found no task: who keeps up with a submitter meets it at the same lines for each task, which then takes
 * several times as long. So it lets it go ahead by some tasks, if there were several since it last did: who waits for an answer to
 * each is not kept.
 */
static bool falls_behind(struct fl__worker *w)
{
	enum { TURNS = FL__POOL_TURNS, SEVERAL = 2 };
	const bool has_kept_up = w->begun - w->found_none > SEVERAL;
	w->found_none = w->begun;
	if (has_kept_up)
		fl__pause(TURNS);
	return has_kept_up;
}

INLINE struct taken next(struct fl__worker *w, struct fl__pool *p)
{
	struct taken taken;
	do
		taken = take(w, p, fl__backlog_take);
	while (!taken.cell && !taken.crowded && falls_behind(w)); /* once: then it has begun none since */
	if (taken.cell)
		return taken;
	fl__add_relaxed(&p->searching, 1); /* relaxed: as in fl__pool_wake_locked() */
	return search(w);
}

/* Somebody else has claimed it. */
static void let_go(struct fl__pool *p, struct fl__cell *cell)
{
	fl__sub_relaxed(&p->backlog.dead, 1); /* relaxed: about */
	fl__cell_abandon(cell);
}

/* What a search has returned. */
INLINE void run(struct fl__worker *w, struct fl__pool *p, struct taken taken)
{
	struct fl__cell *cell = taken.cell;
	if (__builtin_expect(taken.claim != FL__CLAIM_RUN, 0)) {
		if (taken.claim == FL__CLAIM_LOST) {
			let_go(p, cell);
			return;
		}
		fl__store_relaxed(&w->skipped, w->skipped + 1); /* relaxed: for statistics */
	}
	char *message;
	fl__store_relaxed(&w->begun, w->begun + 1); /* relaxed: as above */
	w->run.claim = taken.claim;
	w->run.future = &cell->future;
	const int error = fl__run_function(&w->run, &message);
	/* relaxed, both: whoever finds this cell in the backlog, in its next life, has acquired it, and looks here after that */
	if (__builtin_expect(cell->size < FL__CELL_SIZES, 1)) {
		fl__store_relaxed(&w->running, NULL);
	} else {
		FL_LOCKED(&p->base.lock); /* its memory will be no future's: who looks at it has the lock */
		fl__store_relaxed(&w->running, NULL);
	}
	/* Before the end is public: a submit that follows a wait for this task finds this worker free. */
	if (__builtin_expect(cell->place == FL__WORKER, 0))
		fl__place_give(&p->base, FL__WORKER);
	fl__future_end(&cell->future, error, message);
}

void fl__pool_serve(struct fl__worker *w)
{
	struct fl__pool *p = w->pool;
	for (struct taken taken = search(w); taken.cell; taken = next(w, p))
		run(w, p, taken);
}
