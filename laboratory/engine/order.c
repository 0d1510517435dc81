/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of dependent steps, in executions of the search without bounds. A step comes before a
 * later step if both are of one thread, if they do not commute, or if the first one enables the
 * second one; and by chains of these. Executions with the same order have the same result. The
 * search runs one execution of each order.
 *
 * A rival of a step is an earlier step of another thread that does not commute with it and does not
 * come before the previous step of its thread. Then another execution has the two in the other
 * order. The steps since the rival that do not come after the rival, and the step itself, lead
 * there. The threads that can do the first of these steps are the initials. One of the initials
 * must be among the threads that the search tries in place of the rival (source sets: Abdulla,
 * Aronsson, Jonsson, Sagonas 2014).
 *
 * Steps are known by their number in the execution, from 1 on. Each step is settled before the next
 * one is chosen: then its result is known, and a compare-and-swap that failed is a load.
 */
#include "choice.h"
#include "object.h"

struct step {
	struct lab_op op;
	uint8_t thread;
	bool by_time;          /* in place of what the thread waits for: commutes with no step */
	uint32_t earlier;      /* the step before of its thread; 0: none */
	uint32_t node;         /* of the choice of its thread */
	struct lab_clock past; /* how many steps of each thread come before; its own: with itself */
};

static struct step *steps;
static uint32_t *rivals; /* of one step */
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

/* Whether step `a` comes before what has this past. */
static bool order_has(const struct lab_clock *past, uint32_t a)
{
	const unsigned thread = steps[a].thread;
	return past->at[thread] >= steps[a].past.at[thread];
}

/*
 * Finds the rivals of the step `s` of `t`, in the order of threads. Of each thread the last one: an
 * older one is a rival again when these two have changed places. But of two steps on one object the
 * older one may make the newer one possible: then their order is fixed, and all count.
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

/* Whether one of the steps comes before this past; `first`: of each thread of `seen`, the first. */
static bool order_has_any(const struct lab_clock *past, lab_set seen, const uint32_t first[LAB_THREADS])
{
	for (; seen; seen &= seen - 1)
		if (past->at[lab_lowest(seen)] >= first[lab_lowest(seen)])
			return true;
	return false;
}

/* The step `s` of `t`, before `end`, in the place of its rival `e`. */
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
		/* A rival that comes before another is found again when the later one is reversed. */
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

/* The announced step of a thread that could not do it: in another order it might have. */
static void order_reverse_missed(const struct lab_thread *t, const struct lab_op *op, uint32_t end)
{
	const struct step s = {.op = *op, .thread = (uint8_t)t->id};
	order_reverse_all(t, &s, order_rivals(t, &s), end);
}

/* The step is done: its order to the earlier steps. */
void lab_order_settle(void)
{
	if (!unsettled)
		return;
	struct step *s = &steps[unsettled];
	struct lab_thread *t = &lab.threads[s->thread];
	/* Where a timeout is a fault of the search, it has tried the thread everywhere. */
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
	lab_order_settle(); /* while there is one thread, nothing is chosen */
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

/* Whether the step looks at most: then a round of a wait loop has no effect by it. */
static bool order_is_look(const struct step *s)
{
	switch (s->op.kind) {
	case LAB_LOAD:
	case LAB_RMW: /* of the value that was there: see lab_thread.changes */
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

/* Whether another thread's step since `since` could tell that the thread took part in `own`. */
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

/* A thread that never got its lock has rivals, too. */
void lab_order_end(void)
{
	lab_order_settle();
	LAB_EACH_THREAD (t) {
		if (t->state != LAB_BLOCKED || !t->object || t->next.order == LAB_SYNC_WAIT)
			continue;
		order_reverse_missed(t, &t->next, newest + 1);
	}
}
