/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A select is one wait with a node in the wait queue of each case's queue, like that of a put or
 * get (queue.c). The first waking thread to decide the wait ends it (lot.c, invariant 2). A select
 * that is woken with the baton of a queue tries all cases again, and passes the baton on after its
 * call or when it gives up. At a rendezvous the waking thread has made the call.
 *
 * Two selects at rendezvous cannot miss each other forever, each enqueued where the other has just
 * looked. The reason is that all selects enqueue in the order of the queues' addresses, with all
 * cases of one rendezvous in one step, and stop where they see a partner. Proof: suppose that from
 * some time on no call is made and no select gives up, but some selects still stop again and again.
 * Let x be the highest address where that happens. A select that stops at x saw a partner there.
 * This partner no longer stops above x, and because it is enqueued at x, it soon sleeps in all its
 * wait queues. The select that stopped then tries all cases, and meets the partner.
 *
 * Lifetime: a queue may be freed as soon as an item is put into it, so all cases leave their queues
 * (fl__queue_leave()) before any case is tried.
 *
 * The wait is decided only once, so no item is taken twice and no wake is lost: in the other queues
 * the waiter counts as one that gave up. If a queue is closed, its case can be made, and returns
 * -EPIPE.
 */
#include "../base/atomic.h"
#include "../hooks.h"
#include "../wait/lot.h"
#include "queue.h"
#include <fairlead/select.h>
#include <limits.h>

_Static_assert(sizeof(struct fl__offer) <= sizeof((fl_select_case *)0)->offer_, "fl_select_case has room for an offer");

struct selection {
	fl_select_case *cases;
	size_t n;
	/*
	 * `first` begins a list of the cases, ordered by the addresses of their queues. `baton` is
	 * NULL, or the case whose queue's baton this select holds.
	 */
	fl_select_case *first, *baton;
	bool has_rendezvous; /* the queue of some case is a rendezvous */
};

static enum fl__queue_side select_side(const fl_select_case *c)
{
	return c->to ? FL__CONSUMERS : FL__PRODUCERS;
}

static struct fl__offer *select_offer(fl_select_case *c)
{
	return (struct fl__offer *)(void *)c->offer_;
}

static struct fl__node *select_node(fl_select_case *c)
{
	return &select_offer(c)->node;
}

static int select_index(const struct selection *s, const fl_select_case *c)
{
	return (int)(c - s->cases);
}

/*
 * Returns true once in `n` times, at random. Each context has a linear congruential generator
 * (Knuth).
 */
static bool select_one_in(uint32_t n)
{
	struct fl__ctx *ctx = fl__ctx_get();
	if (ctx->chance == 0)
		ctx->chance = (uint32_t)ctx->id * 0x9e3779b9u;
	ctx->chance = ctx->chance * 1664525u + 1013904223u;
	return (uint64_t)ctx->chance * n >> 32 == 0;
}

/*
 * Returns a case whose call would not wait, because it can be made or its queue is closed. Chooses
 * one of several such cases at random, and returns NULL if there is none. Sets `*busy` to whether
 * some case got -EBUSY.
 */
static fl_select_case *select_choose(struct selection *s, bool *busy)
{
	fl_select_case *chosen = NULL;
	uint32_t found = 0;
	*busy = false;
	for (fl_select_case *c = s->cases; c < s->cases + s->n; c++) {
		const int rc = c->queue ? c->queue->backend->can(c->queue->state, select_side(c)) : -EAGAIN;
		if (rc == -EBUSY)
			*busy = true;
		if (rc != -EAGAIN && rc != -EBUSY && (++found == 1 || select_one_in(found)))
			chosen = c;
	}
	return chosen;
}

/*
 * Tries all cases. Returns the index of the case that was made, -EAGAIN if none can be made,
 * -EPIPE or -ENOMEM.
 */
static int select_try_all(struct selection *s)
{
	fl_select_case *c;
	bool busy;
	for (unsigned round = 0; (c = select_choose(s, &busy)) != NULL || busy;) {
		if (!c) {
			fl__queue_pause(round++);
			continue;
		}
		struct fl__queue_call call = {.side = select_side(c), .from = c->from, .to = c->to, .n = 1};
		const int rc = fl__queue_call_now(c->queue, &call);
		if (rc == 0)
			return select_index(s, c);
		c->closed = rc == -EPIPE;
		if (rc != -EAGAIN)
			return rc;
	}
	return -EAGAIN;
}

static bool select_comes_after(const fl_select_case *a, const fl_select_case *b)
{
	return (uintptr_t)a->queue > (uintptr_t)b->queue;
}

/*
 * Of the `n` cases at `c`, returns a list of those with a queue, sorted by the addresses of their
 * queues (merge sort).
 */
static fl_select_case *select_sorted(fl_select_case *c, size_t n)
{
	if (n == 1) {
		c->next_ = NULL;
		return c->queue ? c : NULL;
	}
	fl_select_case *a = select_sorted(c, n / 2), *b = select_sorted(c + n / 2, n - n / 2);
	fl_select_case *first, **last = &first;
	while (a && b) {
		fl_select_case **const lower = select_comes_after(a, b) ? &b : &a;
		*last = *lower;
		last = &(*lower)->next_;
		*lower = *last;
	}
	*last = a ? a : b;
	return first;
}

static void select_sort(struct selection *s)
{
	s->first = select_sorted(s->cases, s->n);
	for (fl_select_case *c = s->first; c; c = c->next_)
		s->has_rendezvous |= c->queue->backend->enqueue != NULL;
}

static bool select_may_be_ready(const void *what)
{
	const struct selection *s = what;
	for (fl_select_case *c = s->first; c; c = c->next_) {
		const int rc = c->queue->backend->can(c->queue->state, select_side(c));
		if (rc != -EAGAIN && rc != -EBUSY)
			return true;
	}
	return false;
}

/* Returns the next case that is enqueued in the same step as `c`, or NULL. */
static fl_select_case *select_same_step(const fl_select_case *c)
{
	return c->queue->backend->enqueue && c->next_ && c->next_->queue == c->queue ? c->next_ : NULL;
}

/*
 * Enqueues the cases in the order of the list. Returns NULL if all are enqueued. Otherwise returns
 * the first case that is not enqueued: it, or a case of the same step, can perhaps be made by now,
 * or its queue is closed.
 */
static fl_select_case *select_enqueue(struct selection *s, struct fl__wait *wait)
{
	for (fl_select_case *c = s->first; c; c = c->next_) {
		fl_select_case *with = select_same_step(c);
		*select_offer(c) = (struct fl__offer){.node = FL__NODE(wait),
		                                      .from = c->from,
		                                      .to = c->to,
		                                      .same_step = with ? select_offer(with) : NULL};
	}
	for (fl_select_case *c = s->first, *last; c; c = last->next_) {
		if (!fl__queue_enqueue(c->queue, select_side(c), select_node(c), c == s->baton))
			return c;
		if (c == s->baton)
			s->baton = NULL;
		for (last = c; select_same_step(last);)
			last = select_same_step(last);
	}
	return NULL;
}

static void select_pass_baton(struct selection *s)
{
	if (s->baton)
		fl__queue_pass_baton(s->baton->queue, select_side(s->baton));
	s->baton = NULL;
}

static fl_select_case *select_woken_case(const struct selection *s, const struct fl__wait *wait)
{
	fl_select_case *c = s->cases;
	/* relaxed: the wait is over, and the park has acquired the decision */
	while (fl__load_relaxed(&wait->decision) != (uintptr_t)select_node(c))
		c++;
	return c;
}

/*
 * Spins and sleeps once. Returns 0, -ETIMEDOUT or -ECANCELED. After 0, a partner has made the case
 * `*met` or, if `*met` is NULL, the caller tries all cases again.
 */
static int select_sleep(struct selection *s, fl_select_case **met, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__wait wait;
	/* The analyzer of clang-tidy 14 does not see that select_sort() has set `s->first`. */
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
	fl__wait_begin(&wait, FL__DEBUG_SELECT, s->first->queue);
	if (!s->has_rendezvous && fl__wait_spin(&wait, select_may_be_ready, s, deadline, cancel))
		return fl_cancel_token_is_requested(cancel) ? -ECANCELED : 0;
	fl_select_case *ready = select_enqueue(s, &wait);
	const int rc = ready ? fl__wait_sleep(&wait, FL_NO_WAIT, FL_SHIELDED) : fl__wait_sleep(&wait, deadline, cancel);
	for (fl_select_case *c = s->first; c != ready; c = c->next_)
		fl__lot_leave(select_node(c));
	if (rc != 0 && ready)
		return fl_cancel_token_is_requested(cancel) ? -ECANCELED : 0;
	if (rc != 0)
		return rc;
	fl_select_case *c = select_woken_case(s, &wait);
	if (select_node(c)->value == FL__HANDED_OFF) {
		*met = c;
	} else if (select_node(c)->value == FL__BATON) {
		select_pass_baton(s);
		s->baton = c;
	}
	return 0;
}

/* Waits until a case can be made, and makes it. The cases are sorted. */
static int select_wait(struct selection *s, fl_time deadline, fl_cancel_token *cancel)
{
	int rc, waited;
	do {
		fl_select_case *met = NULL;
		for (fl_select_case *c = s->first; c; c = c->next_)
			fl__queue_enter(c->queue);
		waited = select_sleep(s, &met, deadline, cancel);
		/*
		 * For `met`, the partner has already removed this context from the queue's
		 * `inside`.
		 */
		for (fl_select_case *c = s->first; c; c = c->next_)
			if (c != met)
				fl__queue_leave(c->queue);
		rc = met ? select_index(s, met) : waited == -ECANCELED ? -EAGAIN : select_try_all(s);
	} while (rc == -EAGAIN && waited == 0);
	select_pass_baton(s);
	return rc == -EAGAIN ? waited : rc;
}

static bool select_is_valid(const fl_select_case *c)
{
	return (c->to != NULL) != (c->from != NULL) && c->size == c->queue->item_size;
}

int fl_select_until(fl_select_case *cases, size_t n, fl_time deadline, fl_cancel_token *cancel)
{
	struct selection s = {.cases = cases, .n = n};
	bool any = false;
	if (n > INT_MAX)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		cases[i].closed = false;
		if (cases[i].queue && !select_is_valid(&cases[i]))
			return -EINVAL;
		any |= cases[i].queue != NULL;
	}
	if (!any)
		return -EINVAL;
	int rc = select_try_all(&s);
	if (rc != -EAGAIN)
		return rc;
	select_sort(&s);
	struct fl__hook_op op;
	fl__hook_wait_begin(&op, s.first->queue, FL__DEBUG_SELECT);
	rc = select_wait(&s, deadline, cancel);
	fl__hook_wait_end(&op);
	return rc;
}
