/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fl_future_then(): chains of futures. A chain consists of a future `first`, a task that is
 * submitted when `first` has ended without an error, and the *next future*, which the caller gets. A
 * callback of `first` submits the task, whose future is `second`. A callback of `second` ends the
 * next future in the way in which `second` has ended. If there is no task, because `first` has
 * failed or the submit was refused, the callback of `first` ends the next future.
 *
 * Invariants
 *   1. One context sets `left`: either a context that cancels the next future, and ends it, or the
 *      callback of `first`. After the callback has set `left`, no other context claims the next
 *      future. A context that cancels removes the callback from the list of `first`, so that a
 *      cancelled chain does not keep its memory until `first` ends. If `first` has already ended,
 *      the callback is still called.
 *   2. The next future, whose memory is the struct then_chain, has up to three references: the
 *      producer's, for the context that ends the next future; the callback's, until the callback of
 *      `first` returns or is removed; and the consumer's, if the caller of fl_future_then() wanted
 *      the next future.
 *   3. The struct then_chain holds references to `first` and, once it is set, to `second`, until it
 *      is freed. The argument belongs to `first`, and the result is in `second`. Therefore a context
 *      with a reference to the next future may follow both pointers.
 *   4. The next future ends when both the task has ended and the submit has returned. `parts` counts
 *      these two, and the later one ends the next future. Therefore, if a submit runs the task
 *      within its call, the next future does not end within that call. Together with
 *      fl__future_end_after() this keeps the stack from growing with the number of chains in a row.
 *
 * The argument of a chain still belongs to the first future, so that no hook has to choose an owner.
 * The executor may be freed when the first future ends. Therefore the chain keeps a reference to
 * the executor's pool of task blocks, which also keeps the executor's struct. The chain counts its
 * submit as a foreign task, for which a join waits.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/lock.h"
#include "map.h"
#include <fairlead/future.h>

struct then_chain {
	fl_future next;
	fl_task_type type; /* of `next`: a copy of the caller's type without drop_arg */
	struct fl__chunk_type type_copy;
	const fl_task_type *sent;  /* type of the submitted task: without hooks */
	fl_executor *executor;     /* that gets the task */
	fl_future *first, *second; /* `second` is stored under `lock` */
	struct fl__callback on_first;
	struct fl__ending ending; /* of `next` */
	uint32_t left, parts, lock;
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

/* Sets `left`. Returns whether the caller was the first, and so decides about the task (invariant 1). */
static bool then_decides(struct then_chain *c)
{
	return fl__swap_relaxed(&c->left, 1) == 0; /* relaxed: the futures publish what follows */
}

/*
 * Ends the next future. `by` is NULL, or the future whose end ends this chain. If `by` was
 * cancelled, the next future is also cancelled. If the task of `by` was cancelled while it ran, the
 * token of the next future is cancelled, so that the next future does not count as failed, either.
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

/* Called when the task has ended, and when the submit has returned. */
static void then_part_ended(struct then_chain *c)
{
	/* acq_rel: pairs with itself, for `second` and for the end of the task */
	if (fl__sub_acq_rel(&c->parts, 1) > 1)
		return;
	c->next.result = c->second->result;
	if (fl__future_keeps_result(c->second))
		fl__future_keep_result(&c->next);
	then_end_like(c, c->second);
}

static void then_on_second_end(fl_future *second, void *arg)
{
	fl__chunk_detach_type(second);
	then_part_ended(arg);
}

static void then_submit(struct then_chain *c)
{
	const fl_submit_config config = {.on_end = then_on_second_end, .on_end_arg = c};
	fl_future *second = NULL;
	const int rc = fl__submit_kept(c->executor, c->sent, c->first->result, &second, &config);
	if (rc != 0) {
		then_end(c, NULL, rc,
		         fl__message_format("the next task was refused: %s: %s", fl_error_name(rc), fl_error_text(rc)));
		return;
	}
	fl__lock(&c->lock);
	c->second = second;
	fl__unlock(&c->lock);
	/* `lock` orders this and then_on_requested(): one of them sees what the other has done */
	if (fl_cancel_token_is_requested(&c->next.token))
		FL_IGNORE(fl_future_cancel(second)); /* the task was requested to stop */
	then_part_ended(c);
}

static void then_on_first_end(fl_future *first, void *arg)
{
	struct then_chain *c = arg;
	if (then_decides(c)) {
		if (fl_future_error(first) == 0)
			then_submit(c);
		else
			then_end_like(c, first);
	}
	fl_future_free(&c->next); /* the callback's reference */
}

static bool then_on_claim_cancel(fl_future *f)
{
	struct then_chain *c = then_chain_of(f);
	if (then_decides(c)) {
		if (fl__future_detach(c->first, &c->on_first))
			fl_future_free(f);         /* the callback's reference; the caller has one, too */
		return fl__future_claim_cancel(f); /* true: invariant 1 */
	}
	fl_future *second = then_second_of(c);
	if (second)
		FL_IGNORE(fl_future_cancel_pending(second)); /* its callback ends the next future */
	return false;
}

static void then_on_requested(fl_future *f)
{
	fl_future *second = then_second_of(then_chain_of(f));
	if (second)
		FL_IGNORE(fl_future_cancel(second)); /* the task was requested to stop */
}

static bool then_on_has_started(const fl_future *f)
{
	fl_future *second = then_second_of(then_chain_of((fl_future *)f));
	const fl_task_state state = second ? fl_future_state(second) : FL_PENDING;
	return state == FL_RUNNING || state == FL_DONE;
}

static void then_on_release(fl_future *f)
{
	bool more = true;
	while (more) { /* a loop, not recursion, because there may be many chains in a row */
		struct then_chain *c = then_chain_of(f);
		f = c->first;
		more = fl__future_drop(f);
		fl_future_free(c->second);
		fl__task_blocks_unref(c->executor->blocks);
		fl__free(c);
		if (more && !then_is_chain(f)) {
			f->ops->release(f);
			more = false;
		}
	}
}

static const struct fl__future_ops then_ops = {
    .claim_cancel = then_on_claim_cancel,
    .requested = then_on_requested,
    .has_started = then_on_has_started,
    .release = then_on_release,
};

int fl_future_then(fl_future *f, fl_executor *e, const fl_task_type *type, fl_future **next)
{
	const int rc = fl__executor_enter(e, "fl_future_then");
	if (rc != 0)
		return rc;
	if (type->arg_size != f->type->result_size ||
	    fl__bytes_declares(type->drop_arg) != fl__bytes_declares(f->type->drop_result))
		return -EINVAL;
	struct then_chain *c = fl__alloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->type = *type;
	c->type.drop_arg = NULL;
	c->sent = fl__chunk_type(&c->type_copy, e, type, 1);
	c->executor = e;
	fl__task_blocks_ref(e->blocks);
	c->first = fl_future_ref(f);
	c->parts = 2; /* the task, and its submit */
	fl__future_init(&c->next, &then_ops, &c->type, next ? 3 : 2, FL_SHIELDED, FL_FOREVER);
	fl__future_attach(f, &c->on_first, then_on_first_end, c);
	/*
	 * This comes last because the call above may run the task. If the task found the next
	 * future in `*next`, it could add callbacks to it, or wait for it.
	 */
	if (next)
		*next = &c->next;
	return 0;
}
