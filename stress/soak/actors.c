/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The actions of a thread or a fiber: operations on shared objects, mostly with a deadline that is
 * near or a token that is about to be requested. The account records the result of each operation,
 * so a wrong result shows in the sums.
 */
#include "soak.h"

/*
 * How an operation may end early. Three operations in four have a deadline; one in three has a
 * token, if the token that it draws is free. The operations without a token observe only the scope.
 */
struct terms {
	fl_time deadline;
	fl_cancel_token *cancel;
	struct shared_token *token; /* the token that was drawn for it, or NULL */
};

static struct shared_token *take_token(struct actor *a)
{
	struct shared_token *t = &soak.tokens[draw(&a->draw) % TOKENS];
	FL_LOCKED(&t->lock);
	if (t->used)
		return NULL;
	t->used = true;
	fl_cancel_token_init(&t->token, NULL, FL_FOREVER);
	return t;
}

static void give_token(struct shared_token *t)
{
	FL_LOCKED(&t->lock);
	fl_cancel_token_destroy(&t->token);
	t->used = false;
}

static void request_token(struct actor *a)
{
	struct shared_token *t = &soak.tokens[draw(&a->draw) % TOKENS];
	FL_LOCKED(&t->lock);
	if (t->used)
		fl_cancel_token_request(&t->token);
}

static struct terms draw_terms(struct actor *a)
{
	struct terms t = {FL_FOREVER, NULL, NULL};
	const uint64_t r = draw(&a->draw);
	if (r % 4 != 0)
		t.deadline = fl_after((int64_t)(r >> 8 & 0x7fff)); /* up to 33 us */
	if (r % 3 == 0 && (t.token = take_token(a)) != NULL)
		t.cancel = &t.token->token;
	return t;
}

/*
 * Counts the result of an operation, and returns whether it was done. -EPIPE says that the soak is
 * over.
 */
static bool account(struct actor *a, struct terms *t, int rc)
{
	if (t->token)
		give_token(t->token);
	a->tally.done += rc == 0;
	a->tally.timed_out += rc == -ETIMEDOUT;
	a->tally.cancelled += rc == -ECANCELED;
	if (rc != 0 && rc != -ETIMEDOUT && rc != -ECANCELED && rc != -EPIPE)
		fail("an operation answered %s", fl_error_name(rc));
	return rc == 0;
}

static void use_sem(struct actor *a)
{
	const unsigned i = (unsigned)(draw(&a->draw) % SEMS);
	struct terms t = draw_terms(a);
	if (!account(a, &t, fl_sem_acquire_until(&soak.sems[i], t.deadline, t.cancel)))
		return;
	if (fl__add_relaxed(&soak.holders[i], 1) >= PERMITS)
		fail("more than %d hold a semaphore of %d", PERMITS, PERMITS);
	if (draw(&a->draw) % 2)
		fl_fiber_yield();
	fl__add_relaxed(&soak.holders[i], -1); /* relaxed, both: the semaphore orders them */
	fl_sem_release(&soak.sems[i]);
}

static void put(struct actor *a)
{
	const uint64_t item = a->id << 32 | ++a->items;
	struct terms t = draw_terms(a);
	fl_queue *q = soak.queues[draw(&a->draw) % QUEUES];
	if (!account(a, &t, fl_queue_put_until(q, &item, t.deadline, t.cancel)))
		return;
	a->tally.put_sum += item;
	a->tally.put_count++;
}

static void get(struct actor *a)
{
	uint64_t item;
	struct terms t = draw_terms(a);
	fl_queue *q = soak.queues[draw(&a->draw) % QUEUES];
	if (!account(a, &t, fl_queue_get_until(q, &item, t.deadline, t.cancel)))
		return;
	a->tally.got_sum += item;
	a->tally.got_count++;
}

static void wait_event(struct actor *a)
{
	fl_event *e = &soak.events[draw(&a->draw) % EVENTS];
	struct terms t = draw_terms(a);
	if (t.deadline.ns == 0)
		t.deadline = fl_after(FL_MS(1)); /* a set may never come */
	(void)account(a, &t, fl_event_wait_until(e, t.deadline, t.cancel));
}

static void flip_event(struct actor *a)
{
	fl_event *e = &soak.events[draw(&a->draw) % EVENTS];
	fl_event_set(e);
	if (!fl__load_relaxed(&soak.stop)) /* relaxed: a hint */
		fl_event_reset(e);
}

static void in_monitor(struct monitor *m)
{
	if (m->inside++ != 0)
		fail("two are in a monitor");
	m->inside--;
}

static void give_ticket(struct actor *a)
{
	struct monitor *m = &soak.monitors[draw(&a->draw) % MONITORS];
	FL_LOCKED(&m->lock);
	in_monitor(m);
	m->tickets++;
	a->tally.tickets++;
	fl_cond_signal(&m->changed);
}

static void take_ticket(struct actor *a)
{
	struct monitor *m = &soak.monitors[draw(&a->draw) % MONITORS];
	struct terms t = draw_terms(a);
	int rc = 0;
	if (t.deadline.ns == 0)
		t.deadline = fl_after(FL_MS(1)); /* a ticket may never come */
	fl_mutex_lock(&m->lock);
	while (m->tickets == 0 && rc == 0)
		rc = fl_cond_wait_until(&m->changed, &m->lock, t.deadline, t.cancel);
	in_monitor(m);
	if (m->tickets > 0) {
		m->tickets--;
		a->tally.tickets--;
	}
	fl_mutex_unlock(&m->lock);
	(void)account(a, &t, rc);
}

static void wait_any(struct actor *a)
{
	fl_on on[] = {FL_ON_EVENT(&soak.events[0]), FL_ON_QUEUE(soak.queues[draw(&a->draw) % QUEUES]),
	              FL_ON_SEM(&soak.sems[draw(&a->draw) % SEMS])};
	struct terms t = draw_terms(a);
	int which = fl_wait_any_until(on, sizeof on / sizeof on[0], t.deadline, t.cancel);
	(void)account(a, &t, which > 0 ? 0 : which);
}

int act(struct actor *a)
{
	static void (*const acts[])(struct actor *) = {use_sem,  use_sem,       put,          put,         get,
	                                               get,      wait_event,    flip_event,   give_ticket, take_ticket,
	                                               wait_any, request_token, request_token};
	acts[draw(&a->draw) % (sizeof acts / sizeof acts[0])](a);
	return fl_cancel_token_is_requested(NULL) ? -ECANCELED : 0;
}
