/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chain is a future for a task that is yet to be submitted. fl_future_then() makes it. When the
 * future `first` has ended without an error, the chain submits the task, whose future is `second`.
 * The future that the caller gets, the next future, is the chain's `next`.
 *
 *   phase       the next future                          left by
 *   WAITING     is pending; `first` has not ended, or    the callback of `first`, to BEGUN; a
 *               its callback is still to come            cancel, to CANCELLED
 *   BEGUN       ends as `second` does, once that is      never
 *               submitted; or at once, with an error
 *   CANCELLED   is ended by its canceller                never
 *
 * Invariants
 *   1. The context that makes the step out of WAITING, under `lock`, claims the next future, or
 *      leaves that to the callback of `second` (or to the submit: invariant 5). So only one context
 *      ever claims the next future, and its claim succeeds.
 *   2. The next future, whose memory is the struct then_chain, has up to three references: the
 *      producer's, for the context that ends the next future; that of the callback of `first`,
 *      until this callback returns; and the consumer's, if fl_future_then() was to store the next
 *      future.
 *   3. `first`, and `second` once it is set, are referenced until the struct then_chain is freed:
 *      the argument refers to `first`, the result is in `second`. So a context with a reference to
 *      the next future may follow both.
 *   4. `begun` is set when the callback of `first` has done its part: `second` is set, or the next
 *      future has ended, or its canceller ends it.
 *   5. The callback of `second` ends the next future, unless it runs before `second` is stored, as
 *      `lock` tells. Then the submit ends the next future. So if a submit runs the task within its
 *      call, the next future ends after that call has returned, and not within it.
 *
 * Long rows of chains: fl__future_end_after() ends the next future, and the submit of one stage
 * returns before the next is submitted. So no stack grows with the length.
 *
 * A worker that waits for the next future finds the chain's current stage (then_stage_of()), helps
 * with that, and waits until the chain has moved on. The row of a chain is the chains that it
 * depends on. A chain whose row is not empty knows the chain that it follows, and has a `jump` to
 * that chain or to one nearer to the begin of the row, chosen as in a skew-binary list (Myers,
 * 1983). So a search takes O(log n) steps in a row of n.
 *
 * The argument of a chain stays the first future's, so that no hook has to choose an owner. The
 * executor may be gone when the first future ends. So the chain keeps the executor's pool of task
 * blocks, and holds the executor, if it exists, while it submits.
 */
#include "../base/sys.h"
#include "../wait/lock.h"
#include "map.h"
#include <fairlead/event.h>
#include <fairlead/future.h>
#include <fairlead/wait_any.h>

enum then_phase { THEN_WAITING, THEN_BEGUN, THEN_CANCELLED };

struct then_chain {
	fl_future next;
	fl_task_type type; /* of `next`: the caller's, without drop_arg */
	struct fl__chunk_type type_copy;
	const fl_task_type *sent;       /* the submitted task's: without hooks */
	struct fl__task_blocks *blocks; /* of the executor that gets the task */
	fl_future *first, *second;
	/* The row of chains that this one depends on, by way of `first`: constant. */
	struct then_chain *jump; /* one of the row, or this chain if the row is empty */
	size_t depth;            /* the row's length */
	uint32_t fork_count;     /* at the creation */
	fl_event begun;
	struct fl__callback on_first;
	struct fl__ending ending; /* of `next` */
	uint32_t lock;            /* guards the rest, and the store of `second` */
	enum then_phase phase;
	bool requested;  /* a stop was requested; read when `second` is stored */
	bool ended_here; /* `second` ended before it was stored */
};

static const struct fl__future_ops then_ops;

static bool then_is_chain(const fl_future *f)
{
	return f->ops == &then_ops;
}

static struct then_chain *then_chain_of(fl_future *f)
{
	return (struct then_chain *)(void *)f; /* its first member */
}

static fl_future *then_second_of(struct then_chain *c)
{
	FL__LOCKED(&c->lock);
	return c->second;
}

/* Makes the step out of WAITING. Returns false if another context has made it. */
static bool then_leave_waiting(struct then_chain *c, enum then_phase phase)
{
	FL__LOCKED(&c->lock);
	const bool ours = c->phase == THEN_WAITING;
	if (ours)
		c->phase = phase;
	return ours;
}

/*
 * Ends the next future. `by` is NULL, or the future whose end ends this chain. If that one was
 * cancelled, the next future is cancelled, too. If its task was cancelled while it ran, the next
 * future is requested to stop, so that it does not count as failed, either.
 */
static void then_end(struct then_chain *c, const fl_future *by, int error, char *message)
{
	if (by && fl__future_is_cancelled(by))
		(void)fl__future_claim_cancel_as(&c->next, by); /* true: invariant 1 */
	else
		(void)fl__future_claim_ended(&c->next); /* true: invariant 1 */
	if (by && !fl__future_is_cancelled(by) && fl__future_was_cancelled(by))
		fl__future_request_stop(&c->next);
	fl__future_end_after(&c->next, error, message, &c->ending);
}

static void then_end_like(struct then_chain *c, fl_future *f)
{
	const char *text = fl_future_message(f);
	char *message = *text ? fl__message_format("%s", text) : NULL;
	then_end(c, f, fl_future_error(f), message);
}

static void then_end_like_second(struct then_chain *c, fl_future *second)
{
	c->next.result = second->result;
	if (fl__future_keeps_result(second))
		fl__future_keep_result(&c->next);
	then_end_like(c, second);
}

/*
 * Ends the next future, or leaves that to the submit, which has not stored `second` yet (invariant
 * 5).
 */
static void then_on_second_end(fl_future *second, void *arg)
{
	struct then_chain *c = arg;
	fl__chunk_detach_type(second);
	fl__lock(&c->lock);
	const bool is_stored = c->second != NULL;
	c->ended_here = !is_stored;
	fl__unlock(&c->lock);
	if (is_stored)
		then_end_like_second(c, second);
}

static void then_refuse(struct then_chain *c, int error)
{
	then_end(c, NULL, error,
	         fl__message_format("the next task was refused: %s: %s", fl_error_name(error), fl_error_text(error)));
}

static void then_submit(struct then_chain *c)
{
	const fl_submit_config config = {.on_end = then_on_second_end, .on_end_arg = c};
	fl_future *second = NULL;
	fl_executor *e = fl__task_blocks_hold(c->blocks);
	const int rc = e ? fl__submit_waiting(e, c->sent, c->first->result, 1, &second, &config, 0, NULL) : -EPIPE;
	if (e)
		fl__task_blocks_unhold(c->blocks);
	if (rc != 0) {
		then_refuse(c, rc);
		return;
	}
	fl__lock(&c->lock);
	c->second = second;
	const bool requested = c->requested, ended = c->ended_here;
	fl__unlock(&c->lock);
	if (ended)
		then_end_like_second(c, second);
	else if (requested)
		FL_IGNORE(fl_future_cancel(second)); /* the task was requested to stop */
}

static void then_on_first_end(fl_future *first, void *arg)
{
	struct then_chain *c = arg;
	if (then_leave_waiting(c, THEN_BEGUN)) {
		if (fl_future_error(first) == 0)
			then_submit(c);
		else
			then_end_like(c, first);
	}
	fl_event_set(&c->begun);
	fl_future_free(&c->next); /* the callback's reference */
}

static bool then_on_claim_cancel(fl_future *f)
{
	struct then_chain *c = then_chain_of(f);
	if (then_leave_waiting(c, THEN_CANCELLED))
		return fl__future_claim_cancel(f); /* true: invariant 1 */
	fl_future *second = then_second_of(c);
	if (second)
		FL_IGNORE(fl_future_cancel_pending(second)); /* its callback ends the next future */
	return false;
}

static void then_on_requested(fl_future *f)
{
	struct then_chain *c = then_chain_of(f);
	fl__lock(&c->lock);
	fl_future *second = c->second;
	c->requested = true;
	fl__unlock(&c->lock);
	if (second)
		FL_IGNORE(fl_future_cancel(second)); /* the task was requested to stop */
}

static bool then_on_has_started(const fl_future *f)
{
	fl_future *second = then_second_of(then_chain_of((fl_future *)f));
	const fl_future_state state = second ? fl_future_get_state(second) : FL_PENDING;
	return state == FL_RUNNING || state == FL_DONE;
}

static void then_on_release(fl_future *f)
{
	bool more = true;
	while (more) { /* no recursion: rows of chains are long */
		struct then_chain *c = then_chain_of(f);
		f = c->first;
		more = fl__future_drop(f);
		fl_future_free(c->second);
		struct fl__task_blocks *blocks = c->blocks;
		fl__free(c);
		fl__task_blocks_unref(blocks);
		if (more && !then_is_chain(f)) {
			f->ops->release(f);
			more = false;
		}
	}
}

/* What a pending chain waits for. */
struct then_stage {
	/* the future to help with, or NULL if a thread is about to move the chain on */
	fl_future *future;
	fl_on on; /* ready when the stage is over */
};

static struct then_stage then_until_end(fl_future *f, bool may_help)
{
	return (struct then_stage){.future = may_help ? f : NULL, .on = FL_ON_FUTURE(f)};
}

/*
 * `c` has not ended. Returns the farthest chain that has not ended, of `c` and the chains that `c`
 * depends on.
 */
static struct then_chain *then_earliest_pending(struct then_chain *c)
{
	while (then_is_chain(c->first) && !fl__future_has_ended(c->first)) {
		/*
		 * A chain ends after the chains that it depends on, unless a cancel ends it before
		 * them. Then the chains that follow it are about to end, too. Until they have, the
		 * result may be a chain that nobody needs any more. That does no harm: a caller at
		 * most helps with a task that is not needed, and looks again when `c` ends.
		 */
		c = !fl__future_has_ended(&c->jump->next) ? c->jump : then_chain_of(c->first);
	}
	return c;
}

/*
 * The row waits for the future of its earliest pending chain: the submitted task, or `first`. Once
 * that future has ended, the row waits for a thread of the process that made the chain.
 */
static bool then_on_is_of_parent(const fl_future *f)
{
	struct then_chain *c = then_earliest_pending(then_chain_of((fl_future *)f));
	fl_future *second = then_second_of(c), *at = second ? second : c->first;
	return fl__future_has_ended(at) ? fl__is_forked(c->fork_count) : fl__future_is_of_parent(at);
}

/* Returns the stage of the earliest pending chain: one that `f` depends on, or its own. */
static struct then_stage then_stage_of(fl_future *f)
{
	struct then_chain *c = then_earliest_pending(then_chain_of(f));
	/* read before `second`: if `begun` is set, a `second` that is NULL stays NULL */
	const bool begun = fl_event_is_set(&c->begun);
	fl_future *second = then_second_of(c);
	if (second && !fl__future_has_ended(second))
		return then_until_end(second, true);
	if (second || begun)
		return then_until_end(&c->next, false);
	if (fl__future_has_ended(c->first))
		return (struct then_stage){.on = FL_ON_EVENT(&c->begun)};
	return then_until_end(c->first, true);
}

/* Helps as far as this context may. */
static void then_on_help(fl_future *f, fl_time deadline, const fl_cancel_token *cancel)
{
	struct then_stage stage;
	do {
		stage = then_stage_of(f);
		if (!stage.future)
			return;
		fl__future_help(stage.future, deadline, cancel);
	} while (fl__future_has_ended(stage.future));
}

static void then_on_advance(fl_future *f, const fl_event *or_event, fl_time deadline, const fl_cancel_token *cancel)
{
	(void)or_event; /* only a lazy map passes an event, and its futures are no chains */
	while (fl__ctx_get()->help && !fl__future_has_ended(f)) {
		/*
		 * The wait ends also when the stage ends that this context has helped with, since
		 * the next stage may need its help.
		 */
		struct then_stage stage = then_stage_of(f);
		fl_on on[2] = {FL_ON_FUTURE(f), stage.on};
		if (stage.future) {
			fl__future_help(stage.future, deadline, cancel);
			if (fl__future_has_ended(stage.future))
				continue;
		}
		if (fl_wait_any_until(on, 2, deadline, (fl_cancel_token *)cancel) < 0)
			return; /* the wait that follows returns the same */
	}
}

static const struct fl__future_ops then_ops = {
    .claim_cancel = then_on_claim_cancel,
    .requested = then_on_requested,
    .has_started = then_on_has_started,
    .is_of_parent = then_on_is_of_parent,
    .help = then_on_help,
    .advance = then_on_advance,
    .release = then_on_release,
};

static void then_link(struct then_chain *c)
{
	c->jump = c;
	if (!then_is_chain(c->first))
		return;
	struct then_chain *before = then_chain_of(c->first), *jump = before->jump;
	const bool as_far = before->depth - jump->depth == jump->depth - jump->jump->depth;
	c->depth = before->depth + 1;
	c->jump = as_far ? jump->jump : before;
}

int fl_future_then(fl_future *f, fl_executor *e, const fl_task_type *type, fl_future **next)
{
	fl__executor_check(e, "fl_future_then");
	if (type->arg_size != f->type->result_size ||
	    fl__bytes_declares(type->drop_arg) != fl__bytes_declares(f->type->drop_result))
		return -EINVAL;
	struct then_chain *c = fl__alloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->type = *type;
	c->type.drop_arg = NULL;
	c->sent = fl__chunk_type(&c->type_copy, e, type, 1);
	c->blocks = e->blocks;
	fl__task_blocks_ref(c->blocks);
	c->first = fl_future_ref(f);
	c->fork_count = fl__fork_count;
	then_link(c);
	fl__future_init(&c->next, &then_ops, &c->type, next ? 3 : 2, FL_SHIELDED, FL_FOREVER);
	fl__future_attach(f, &c->on_first, then_on_first_end, c);
	/*
	 * The call above may run the task. The task must not find the next future in `*next`: it
	 * could add callbacks to it, or wait for it. So the store comes afterwards.
	 */
	if (next)
		*next = &c->next;
	return 0;
}
