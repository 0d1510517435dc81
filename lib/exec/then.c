/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chains: a future that stands for a task which is yet to be submitted.
 *
 *   phase       the next future              left by
 *   WAITING     is pending; `first` has not  the callback of `first` for BEGUN, a cancel for CANCELLED
 *               ended, or its callback is
 *               still to come
 *   BEGUN       ends as `second` does, once  nobody
 *               that is submitted; or at
 *               once, with an error
 *   CANCELLED   is ended by its canceller    nobody
 *
 * Invariants
 *   1. Who has made the step out of WAITING, under `lock`, claims the next future, or has the callback of `second` do so. So no
 *      claim is ever lost here.
 *   2. Three references to the block: that of who ends the next future (the producer's), that of the callback of `first`, which
 *      is there until `second` is stored, and the consumer's.
 *   3. `first`, and `second` once it is set, are held until the block goes: the argument refers to the one, the result stands in
 *      the other. So whoever holds the next future may follow them.
 *   4. `begun` is set when the callback of `first` has done its part: `second` is there, or the next future has ended.
 *
 * A worker that waits for the next future may be the only one that can run what that depends on. So it looks for the stage at
 * which the chain is now (stage_of()), helps with that, and waits until it has moved on; others just wait for the end.
 */
#include "../base/sys.h"
#include "../wait/lock.h"
#include "map.h"
#include <errno.h>
#include <fairlead/event.h>
#include <fairlead/then.h>
#include <fairlead/wait_any.h>
#include <stdio.h>
#include <string.h>

enum phase { WAITING, BEGUN, CANCELLED };

struct chain {
	fl_future next;
	fl_task_type type; /* of `next`: the caller's, whose argument is not ours to drop */
	struct fl__chunk_type room;
	const fl_task_type *sent; /* there, without hooks */
	struct fl__cells *cells;  /* of the executor that it is sent to; kept */
	fl_future *first, *second;
	fl_event begun;
	uint32_t lock; /* an fl__lock: guards the rest, and the store of `second` */
	enum phase phase;
	bool asked; /* to stop, before there was a `second` */
};

static const struct fl__future_home home;

static struct chain *chain_of(fl_future *f)
{
	return (struct chain *)(void *)f; /* its first member */
}

/* Under the lock for a moment: NULL until it is submitted. */
static fl_future *second_of(struct chain *c)
{
	fl__lock(&c->lock);
	fl_future *second = c->second;
	(void)fl__unlock(&c->lock);
	return second;
}

/* The step out of WAITING: false when another has made one. */
static bool leave(struct chain *c, enum phase phase)
{
	fl__lock(&c->lock);
	const bool ours = c->phase == WAITING;
	if (ours)
		c->phase = phase;
	(void)fl__unlock(&c->lock);
	return ours;
}

/* The end. */

static char *copy_message(const char *text)
{
	if (!*text)
		return NULL;
	char *message = fl__message_new();
	if (!fl__message_lost(message))
		(void)snprintf(message, FL_MESSAGE_MAX, "%s", text);
	return message;
}

static void end(struct chain *c, bool cancelled, int error, char *message)
{
	if (cancelled)
		(void)fl__future_claim_cancel(&c->next); /* true: invariant 1 */
	else
		(void)fl__future_claim_ended(&c->next); /* as above */
	fl__future_finish(&c->next, error, message);
	fl_future_free(&c->next); /* the producer's reference */
}

static void end_like(struct chain *c, fl_future *f)
{
	end(c, fl_future_get_state(f) == FL_CANCELLED, fl_future_error(f), copy_message(fl_future_message(f)));
}

static void on_second_end(fl_future *second, void *arg)
{
	struct chain *c = arg;
	fl__chunk_let_go(second);
	c->next.result = second->result;
	end_like(c, second);
}

static void refuse(struct chain *c, int error)
{
	char text[FL_MESSAGE_MAX];
	(void)snprintf(text, sizeof text, "the next task was refused: %s: %s", fl_error_name(error),
	               fl_error_text(error));
	end(c, false, error, copy_message(text));
}

static void submit(struct chain *c)
{
	const fl_submit_config config = {.on_end = on_second_end, .on_end_arg = c};
	fl_future *second = NULL;
	fl_executor *e = fl__cells_hold(c->cells);
	int rc = e ? fl__submit_beyond(e, c->sent, c->first->result, 1, &second, &config) : -EPIPE;
	if (e)
		fl__cells_unhold(c->cells);
	if (rc != 0) {
		refuse(c, rc);
		return;
	}
	fl__lock(&c->lock);
	c->second = second;
	const bool asked = c->asked;
	(void)fl__unlock(&c->lock);
	if (asked)
		rc = fl_future_cancel(second);
	(void)rc; /* whatever it answers: it was asked */
}

static void on_first_end(fl_future *first, void *arg)
{
	struct chain *c = arg;
	if (leave(c, BEGUN)) {
		if (fl_future_error(first) == 0)
			submit(c);
		else
			end_like(c, first);
	}
	fl_event_set(&c->begun);
	fl_future_free(&c->next); /* the callback's reference */
}

/* The home of the next future. */

static bool on_claim_cancel(fl_future *f)
{
	struct chain *c = chain_of(f);
	if (leave(c, CANCELLED))
		return fl__future_claim_cancel(f); /* true: invariant 1 */
	fl_future *second = second_of(c);
	if (second)
		(void)fl__future_cancel_pending(second); /* its callback ends the next future */
	return false;
}

static void on_ended(fl_future *f)
{
	fl_future_free(f); /* the producer's reference */
}

static void on_asked(fl_future *f)
{
	struct chain *c = chain_of(f);
	fl__lock(&c->lock);
	fl_future *second = c->second;
	c->asked = true;
	(void)fl__unlock(&c->lock);
	int rc = second ? fl_future_cancel(second) : 0;
	(void)rc; /* whatever it answers: it was asked */
}

static bool on_has_started(const fl_future *f)
{
	fl_future *second = second_of(chain_of((fl_future *)f));
	const fl_future_state state = second ? fl_future_get_state(second) : FL_PENDING;
	return state == FL_RUNNING || state == FL_DONE;
}

static void on_release(fl_future *f)
{
	bool more = true;
	while (more) { /* no recursion: rows of chains are long */
		struct chain *c = chain_of(f);
		f = c->first;
		more = fl__future_drop(f);
		fl_future_free(c->second);
		fl__cells_unkeep(c->cells);
		fl__free(c);
		if (more && f->home != &home) {
			f->home->release(f);
			more = false;
		}
	}
}

/* What a chain that has not ended waits for. */
struct stage {
	fl_future
	    *future; /* that it depends on, and that may be helped with; NULL: somebody is about to move the chain on */
	fl_on on;    /* ready when the stage is over */
};

static struct stage until_end(fl_future *f, bool may_help)
{
	return (struct stage){.future = may_help ? f : NULL, .on = FL_ON_FUTURE(f)};
}

static struct stage stage_of(struct chain *c)
{
	for (;;) {
		const bool begun = fl_event_is_set(&c->begun); /* first: then `second` is there, if there will be one */
		fl_future *second = second_of(c);
		if (second && fl_future_try_wait(second) != 0)
			return until_end(second, true);
		if (second || begun)
			return until_end(&c->next, false);
		if (fl_future_try_wait(c->first) == 0)
			return (struct stage){.on = FL_ON_EVENT(&c->begun)};
		if (c->first->home != &home)
			return until_end(c->first, true);
		c = chain_of(c->first);
	}
}

/* Runs what the chain depends on, as far as this context may. */
static void on_help(fl_future *f, int64_t deadline, const fl_cancel *cancel)
{
	struct stage stage;
	do {
		stage = stage_of(chain_of(f));
		if (!stage.future)
			return;
		fl__future_help(stage.future, deadline, cancel);
	} while (fl_future_try_wait(stage.future) == 0);
}

static void on_attend(fl_future *f, int64_t deadline, const fl_cancel *cancel)
{
	while (fl__ctx_get()->help && fl_future_try_wait(f) != 0) {
		struct stage stage = stage_of(chain_of(f));
		fl_on on[2] = {FL_ON_FUTURE(f), stage.on};
		if (stage.future)
			fl__future_help(stage.future, deadline, cancel);
		if (fl_wait_any_until(on, 2, deadline, (fl_cancel *)cancel) < 0)
			return; /* and so does the wait that follows */
	}
}

static const struct fl__future_home home = {
    .claim_cancel = on_claim_cancel,
    .ended = on_ended,
    .asked = on_asked,
    .has_started = on_has_started,
    .help = on_help,
    .attend = on_attend,
    .release = on_release,
};

int fl_future_then(fl_future *f, fl_executor *e, const fl_task_type *type, fl_future **next)
{
	fl__executor_check(e, "fl_future_then");
	if (type->arg_size != f->type->result_size)
		return -EINVAL;
	struct chain *c = fl__alloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->type = *type;
	c->type.drop_arg = NULL;
	c->sent = fl__chunk_type(&c->room, e, type, 1);
	c->cells = e->cells;
	fl__cells_keep(c->cells);
	c->first = fl_future_ref(f);
	fl__future_init(&c->next, &home, &c->type, next ? 3 : 2, FL_SHIELDED, FL_FOREVER);
	int rc = fl_future_on_end(f, on_first_end, c);
	if (rc != 0)
		fl__future_discard(&c->next);
	else if (next)
		*next = &c->next;
	return rc;
}
