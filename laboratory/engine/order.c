/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of dependent steps, in executions of the search without bounds (choice.c). A step comes
 * before a later step in three cases: both are of one thread; they do not commute; or the first
 * step makes the second step possible. A step also comes before another step if a chain of such
 * pairs leads from the one to the other. Executions with the same order have the same result, so
 * the search runs one execution of each order.
 *
 * How the search finds the other orders. A *rival* of a step s is an earlier step of another thread
 * that does not commute with s, and that does not come before the previous step of the thread of s.
 * An earlier step is also not a rival if it comes before the step that started or woke the thread
 * of s, or before the end of a thread that the thread of s has joined (lab_order_follow()). If s
 * has a rival, there is another execution in which the two have the opposite order. In that
 * execution, the steps that were made after the rival, but do not come after it in the order, are
 * made first, then s, and then the rival. The *initials* are the threads that can make the first of
 * these steps. At the choice at which the rival's thread was chosen, the search must also try one
 * of the initials. This is the method of source sets (Abdulla, Aronsson, Jonsson, Sagonas 2014).
 *
 * A step is known by its number in the execution, from 1 on. Each step is *settled*, which means
 * that its place in the order is found, before the next step is chosen. By then the result of the
 * step is known. For example, a compare-and-swap that failed has become a load.
 */
#include "choice.h"
#include "object.h"

struct step {
	struct lab_op op;
	uint8_t thread;
	/* made although what the thread waited for had not come; commutes with no step */
	bool by_time;
	uint32_t earlier; /* the previous step of its thread; 0: none */
	uint32_t node;    /* the choice of its thread */
	/*
	 * how many steps of each thread come before it; for its own thread, the step itself counts,
	 * too
	 */
	struct lab_clock past;
};

static struct step *steps;
static uint32_t *rivals; /* the rivals of one step */
static uint32_t room, newest, unsettled;

static bool is_sync(const struct step *s)
{
	return s->op.kind == LAB_SYNC;
}

static bool order_commute(const struct step *a, const struct step *b)
{
	return !a->by_time && !b->by_time && lab_commute(&a->op, &b->op);
}

static void order_join(struct lab_clock *to, const struct lab_clock *from)
{
	for (unsigned i = 0; i < lab.n_threads; i++)
		if (to->at[i] < from->at[i])
			to->at[i] = from->at[i];
}

/* Returns whether the step `a` comes before the step that has this past. */
static bool order_has(const struct lab_clock *past, uint32_t a)
{
	const unsigned thread = steps[a].thread;
	return past->at[thread] >= steps[a].past.at[thread];
}

/*
 * Finds the rivals of the step `s` of `t`, in the order of threads. For each thread, the last rival
 * is enough, because an older rival is found again when `s` and the last rival have changed places.
 * However, if both `s` and a rival are steps on an object, `s` may be possible only after that
 * rival. Then the order of these two is fixed, so the next older rival of that thread counts, too.
 */
static unsigned order_rivals(const struct lab_thread *t, const struct step *s)
{
	unsigned n = 0;
	LAB_EACH_THREAD (u) {
		for (uint32_t i = u->latest; u != t && i && !order_has(&t->before, i); i = steps[i].earlier) {
			if (order_commute(&steps[i], s))
				continue;
			rivals[n++] = i;
			if (!is_sync(s) || !is_sync(&steps[i]))
				break;
		}
	}
	return n;
}

/*
 * Returns whether one of several steps comes before the step that has this past. There is one such
 * step for each thread in `seen`; `first` contains its number within the thread.
 */
static bool order_has_any(const struct lab_clock *past, lab_set seen, const uint32_t first[LAB_THREADS])
{
	for (; seen; seen &= seen - 1)
		if (past->at[lab_lowest(seen)] >= first[lab_lowest(seen)])
			return true;
	return false;
}

/*
 * Plans an execution in which the step of `t`, whose `n` rivals are in `rivals`, comes before its
 * rival `e`. The steps with numbers from e + 1 to end - 1 were made in between.
 */
static void order_reverse(const struct lab_thread *t, uint32_t e, unsigned n, uint32_t end)
{
	uint32_t first[LAB_THREADS];
	lab_set seen = 0, initials = 0;
	for (uint32_t i = e + 1; i < end; i++) {
		const unsigned thread = steps[i].thread;
		if (lab_in(seen, thread) || order_has(&steps[i].past, e))
			continue;
		if (!order_has_any(&steps[i].past, seen, first))
			initials |= lab_bit(thread);
		seen |= lab_bit(thread);
		first[thread] = steps[i].past.at[thread];
	}
	bool leads = !order_has_any(&t->before, seen, first);
	for (unsigned k = 0; k < n && leads; k++)
		leads = order_has(&steps[rivals[k]].past, e) || !order_has_any(&steps[rivals[k]].past, seen, first);
	if (leads)
		initials |= lab_bit(t->id);
	lab_dfs_try(steps[e].node, initials, t->id);
}

static void order_reverse_all(const struct lab_thread *t, const struct step *s, unsigned n, uint32_t end)
{
	for (unsigned i = 0; i < n; i++) {
		const struct step *e = &steps[rivals[i]];
		/*
		 * A rival that comes before another rival is found again when the later one is
		 * reversed.
		 */
		bool hidden = e->node == 0;
		for (unsigned k = 0; k < n && !hidden; k++)
			hidden = k != i && !(is_sync(s) && is_sync(&steps[rivals[k]])) &&
			         order_has(&steps[rivals[k]].past, rivals[i]);
		if (!hidden)
			order_reverse(t, rivals[i], n, end);
	}
}

void lab_order_begin(void)
{
	newest = unsettled = 0;
}

/*
 * Plans executions for the announced step of a thread that could not do this step here, but might
 * do it in another order of the steps.
 */
static void order_reverse_missed(const struct lab_thread *t, const struct lab_op *op, uint32_t end)
{
	const struct step s = {.op = *op, .thread = (uint8_t)t->id};
	order_reverse_all(t, &s, order_rivals(t, &s), end);
}

/*
 * Called when the result of the last step is known. Finds the place of the step in the order of the
 * earlier steps, and plans executions in which it comes before its rivals.
 */
void lab_order_settle(void)
{
	if (!unsettled)
		return;
	struct step *s = &steps[unsettled];
	struct lab_thread *t = &lab.threads[s->thread];
	/* If timeouts are faults of the search, the search has tried the thread everywhere. */
	if (s->by_time && !(lab_config.fault_mask & LAB_FAULT_TIMEOUT) && lab_dfs_is_new())
		order_reverse_missed(t, &s->op, unsettled);
	const unsigned n = order_rivals(t, s);
	if (lab_dfs_is_new())
		order_reverse_all(t, s, n, unsettled);
	for (unsigned i = 0; i < n; i++)
		order_join(&t->before, &steps[rivals[i]].past);
	if (t->enabler)
		order_join(&t->before, &steps[t->enabler].past);
	t->enabler = 0;
	t->before.at[t->id]++;
	s->past = t->before;
	unsettled = 0;
	LAB_EACH_OF (asleep, lab.sleep)
		if (!lab_commute(&asleep->next, &s->op))
			lab.sleep &= ~lab_bit(asleep->id);
}

void lab_order_step(void)
{
	struct lab_thread *self = lab.self;
	/*
	 * needed while there is only one thread: then no choice is made that would settle the step
	 */
	lab_order_settle();
	if (lab.steps >= room) {
		room = room ? 2 * room : 1024;
		steps = lab_needed(realloc(steps, room * sizeof *steps));
		rivals = lab_needed(realloc(rivals, room * sizeof *rivals));
	}
	struct step *s = &steps[lab.steps];
	s->op = self->next;
	s->thread = (uint8_t)self->id;
	s->by_time = self->by_time;
	s->earlier = self->latest;
	s->node = lab_dfs_node();
	self->latest = newest = unsettled = lab.steps;
}

void lab_order_became(const struct lab_op *op)
{
	if (unsettled)
		steps[unsettled].op = *op;
}

void lab_order_follow(struct lab_thread *thread, const struct lab_thread *leader)
{
	lab_order_settle();
	if (lab.ordered)
		order_join(&thread->before, &leader->before);
}

void lab_order_after(uint32_t step)
{
	lab_order_settle();
	if (lab.ordered && step)
		order_join(&lab.self->before, &steps[step].past);
}

bool lab_order_known(uint32_t step)
{
	return step == 0 || order_has(&lab.self->before, step);
}

/*
 * Returns whether the step only looks. If all steps of a turn of a waiting loop only look, the turn
 * has no effect.
 */
static bool order_is_look(const struct step *s)
{
	switch (s->op.kind) {
	case LAB_LOAD:
	case LAB_RMW: /* a change of the value counts in lab_thread.changes */
	case LAB_CAS_FAILED:
	case LAB_FENCE:
	case LAB_FUTEX_WAIT:
		return !s->by_time;
	case LAB_RELAX:
		return true;
	case LAB_SYNC:
		return !s->by_time && (s->op.order == LAB_SYNC_LOCK || s->op.order == LAB_SYNC_UNLOCK ||
		                       s->op.order == LAB_SYNC_WAIT || s->op.order == LAB_SYNC_RELOCK);
	default:
		return false;
	}
}

/*
 * Returns whether a step of another thread after the step `since` could have noticed the step
 * `own`.
 */
static bool order_is_noticed(const struct step *own, uint32_t since)
{
	for (uint32_t i = since + 1; i < newest; i++) {
		const struct step *s = &steps[i];
		if (s->thread != own->thread && s->op.address == own->op.address &&
		    (s->op.kind == LAB_FUTEX_WAKE || (s->op.kind == LAB_SYNC && !order_is_look(s))))
			return true;
		if (s->thread != own->thread && s->op.kind == LAB_FUTEX_MANY)
			return true;
	}
	return false;
}

bool lab_order_is_idle(uint32_t since)
{
	for (uint32_t i = lab.self->latest; i > since; i = steps[i].earlier)
		if (!order_is_look(&steps[i]) || order_is_noticed(&steps[i], since))
			return false;
	return true;
}

/*
 * Ends the order of an execution. If a thread still waits for an object at the end, for example for
 * a lock, its announced step has rivals, too.
 */
void lab_order_end(void)
{
	lab_order_settle();
	LAB_EACH_THREAD (t) {
		if (t->state != LAB_BLOCKED || !t->object || t->next.order == LAB_SYNC_WAIT)
			continue;
		order_reverse_missed(t, &t->next, newest + 1);
	}
}
