/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The remote core. remote.h says what its two transports do. Each task is in one state:
 *
 *   state    where                             entered by
 *   queued   base.queue                        submit; recall(); a transport whose worker has not
 *                                              started the task, or may try it again
 *   posted   `posted`; block->worker           fl__remote_dispatch()
 *   ended    `ended`; claimed; counted by      fl__remote_end(), _end_cancelled() and
 *            base.foreign                      _end_failed()
 *   kept     `kept`; counted by base.foreign   a thread that is not the manager, in
 *                                              fl__remote_complete(): there is user code to run
 *
 * Each change of state is under the executor's lock. fl__remote_on_withdraw() takes back one posted
 * task by the transport's recall(); fl__remote_on_recall() takes back all that have not started.
 *
 * Linearization points
 *   - A submit takes effect when the task enters base.queue.
 *   - The cancel of a queued task takes effect when it claims the task under the lock; the cancel
 *     of a posted task by the transport's recall().
 *   - A start takes effect in the worker. It and recall() exclude each other.
 *   - A result or a kill takes effect by the claim in fl__remote_end().
 *
 * Invariants
 *   1. A task leaves a worker when its end arrives, recall() wins against its start, the worker
 *      dies, or a worker that may not be killed is given up. So it runs once for each attempt.
 *   2. Futures end without the lock. User code runs neither in a submit, nor under the lock, nor on
 *      a waiting thread. It runs on the manager. However, a thread that cancels a task that has not
 *      started, or ends the executor, runs the user code of the tasks that it ends.
 *   3. The manager ends when `ended` and `kept` are empty, and no other thread may add a task.
 */
#include "remote.h"
#include "../shm/shm_sys.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/exec/imap.h"
#include "core/sync/thread.h"
#include "core/wait/cancel.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <stdarg.h>
#include <stdio.h>

/* Ended tasks. */

static void remote_append(struct fl__task_block ***end, struct fl__task_block *block)
{
	block->next = NULL;
	**end = block;
	*end = &block->next;
}

static void remote_add_ended(struct fl__remote *r, struct fl__task_block *block, int error, char *message)
{
	fl__stopper_free(block);
	fl__future_set_error(&block->future, error, message);
	r->base.foreign++;
	remote_append(&r->ended_end, block);
}

void fl__remote_end_cancelled(struct fl__remote *r, struct fl__task_block *block)
{
	/* never happens: the task is neither queued nor posted */
	if (!fl__future_claim_cancel(&block->future))
		return;
	r->base.not_run++;
	remote_add_ended(r, block, -ECANCELED, NULL);
}

void fl__remote_end(struct fl__remote *r, struct fl__task_block *block, int error, char *message)
{
	if (!block->asked && error == -ECANCELED && fl_cancel_token_is_requested(&block->future.token))
		block->asked = FL__STOP_REQUESTED;
	/* never happens: the task is neither queued nor posted */
	if (!fl__future_claim_ended(&block->future))
		return;
	r->base.ran++;
	if (block->future.error != 0) /* the task has a stamp */
		fl__hook_remote(&r->base, &block->future, block->began, block->ran);
	r->base.failed += error != 0;
	remote_add_ended(r, block, error, message);
}

void fl__remote_end_failed(struct fl__remote *r, struct fl__task_block *block, int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	char *message = fl__message_vformat(format, args);
	va_end(args);
	fl__remote_end(r, block, error, message);
}

/*
 * Ends the tasks. Called without the lock. If `kept_end` is not NULL, tasks that need user code are
 * appended there instead; if it is NULL, the function runs that code. Returns how many tasks it has
 * ended.
 */
static size_t remote_finish(struct fl__task_block *list, struct fl__task_block ***kept_end)
{
	size_t n = 0;
	for (struct fl__task_block *block; (block = list) != NULL;) {
		fl_future *f = &block->future;
		list = block->next;
		if (!kept_end) {
			char *message = f->message;
			f->message = NULL;
			fl__future_finish(f, f->error, message);
		} else if (!fl__future_try_finish(f, fl__imap_on_end)) {
			remote_append(kept_end, block);
			continue;
		}
		fl_future_free(f); /* the producer's reference */
		n++;
	}
	return n;
}

bool fl__remote_complete(struct fl__remote *r, bool is_manager)
{
	struct fl__task_block *ended = r->ended, *kept = is_manager ? r->kept : NULL,
			      **kept_end = kept ? r->kept_end : &kept;
	if (!ended && !kept)
		return false;
	r->ended = NULL;
	r->ended_end = &r->ended;
	if (kept) {
		r->kept = NULL;
		r->kept_end = &r->kept;
	}
	r->completers++;
	fl_mutex_unlock(&r->base.lock);
	size_t n = remote_finish(ended, &kept_end); /* comes first, since user code may take long */
	if (is_manager) {
		n += remote_finish(kept, NULL);
		kept = NULL;
	}
	fl__mutex_hold(&r->base.lock);
	r->completers--;
	r->base.foreign -= n;
	if (kept) {
		*r->kept_end = kept;
		r->kept_end = kept_end;
	}
	if (r->base.foreign == 0)
		fl__executor_tell_if_idle(&r->base);
	if (kept || r->base.closed)
		r->transport->wake(&r->base);
	return true;
}

/*
 * A request to stop a posted task reaches its worker in one of two ways. fl_future_cancel() calls
 * fl__remote_on_asked(). But any thread may cancel a user's token without calling the executor. So
 * a task with such a token has a *stopper*, which, while the task is posted, is a waiter in the
 * token's wait queue. The stopper's unpark calls stop().
 *
 * A cancel of the token and the disarm race to decide the stopper's wait. If the cancel wins, its
 * unpark may still be running, so the disarm waits for `park_word`, the unpark's last access.
 */

struct fl__stopper {
	struct fl__wait wait;
	struct fl__node node;
	struct fl__task_block *block;
	bool armed;
};

static struct fl__remote *remote_of_block(const struct fl__task_block *block)
{
	return fl__remote_of(fl__task_block_owner(block)->executor);
}

/*
 * Called without the executor's lock, except by fl__remote_on_recall(). The task of an armed
 * stopper stays posted.
 */
static void remote_stopper_unpark(struct fl__wait *wait)
{
	/* `wait` is the stopper's first member */
	const struct fl__stopper *s = (const void *)wait;
	remote_of_block(s->block)->transport->stop(s->block, true);
	/* release: pairs with the acquire in fl__stopper_disarm(); this is the last access */
	fl__store_release(&wait->park_word, 1);
}

static const struct fl__ctx_ops remote_stopper_ops = {.unpark = remote_stopper_unpark};
static struct fl__ctx remote_stopper_ctx = {.ops = &remote_stopper_ops, .id = UINT64_MAX, .name = "stopper"};

int fl__stopper_make(struct fl__task_block *block)
{
	if (!block->future.token.parent_)
		return 0;
	block->stopper = fl__alloc(1, sizeof *block->stopper);
	return block->stopper ? 0 : -ENOMEM;
}

void fl__stopper_free(struct fl__task_block *block)
{
	fl__free(block->stopper);
	block->stopper = NULL;
}

void fl__stopper_arm(struct fl__task_block *block)
{
	struct fl__stopper *s = block->stopper;
	if (!s)
		return;
	s->wait = (struct fl__wait){.ctx = &remote_stopper_ctx, .decision = FL__PENDING};
	s->node = FL__NODE(&s->wait);
	s->block = block;
	s->armed = fl__cancel_arm(&block->future.token, &s->node);
	if (!s->armed)
		/* the token was already cancelled */
		remote_of_block(block)->transport->stop(block, true);
}

void fl__stopper_disarm(struct fl__task_block *block)
{
	struct fl__stopper *s = block->stopper;
	if (!s || !s->armed)
		return;
	s->armed = false;
	fl__lot_leave(&s->node);
	uintptr_t pending = FL__PENDING;
	/* relaxed: the CAS publishes nothing; if it fails, the acquire below orders the unpark */
	if (fl__cas_relaxed(&s->wait.decision, &pending, FL__GAVE_UP))
		return;
	/* acquire: pairs with the release in remote_stopper_unpark() */
	for (unsigned round = 0; !fl__load_acquire(&s->wait.park_word); round++)
		fl__back_off(round);
}

void fl__remote_on_asked(fl_executor *e, struct fl__task_block *block)
{
	if (!block->worker || block->asked)
		return;
	block->asked = FL__STOP_REQUESTED;
	fl__remote_of(e)->transport->stop(block, false);
}

/* Submit and post. */

static int remote_manage(void *arg)
{
	struct fl__remote *r = arg;
	struct fl__run run;
	/* so that fl_executor_join() in a callback is refused */
	fl__run_enter(&run, &r->base);
	fl__mutex_hold(&r->base.lock);
	r->transport->manage(&r->base);
	fl__run_leave(&run);
	r->finished = true;
	fl_cond_broadcast(&r->base.gone);
	/* this is the last access */
	fl_mutex_unlock(&r->base.lock);
	return 0;
}

int fl__remote_start_thread(struct fl__remote *r, fl_thread **t, const char *role, fl_thread_function *function,
                            void *arg)
{
	char name[32];
	(void)snprintf(name, sizeof name, "%s-%s", r->base.name, role);
	const fl_thread_config config = {.name = name};
	return fl__thread_start(t, function, arg, &config, &r->base.signals);
}

static int remote_start_manager(struct fl__remote *r)
{
	int rc = r->transport->start(&r->base);
	if (rc == 0)
		rc = fl__remote_start_thread(r, &r->manager, "manager", remote_manage, r);
	r->running = rc == 0;
	return rc;
}

int fl__remote_queue(struct fl__remote *r, struct fl__task_block *block)
{
	const struct fl__type_known *known;
	int rc = fl__executor_refuses(&r->base);
	if (rc == 0)
		rc = fl__types_find(&r->types, block->future.type, &known);
	if (rc == 0 && !r->running)
		rc = remote_start_manager(r);
	if (rc == 0)
		rc = fl__stopper_make(block);
	if (rc != 0)
		return rc;
	block->task = known->id;
	block->check = r->transport->far ? known->far_check : known->check;
	fl__task_list_add(&r->base.queue, block);
	return 0;
}

void fl__remote_unpost(struct fl__remote *r, struct fl__task_block *block)
{
	fl__task_list_remove(&r->posted, block);
	fl__stopper_disarm(block);
	block->worker = NULL;
}

void fl__remote_dispatch(struct fl__remote *r)
{
	struct fl__task_block *block;
	while (!r->base.broken && (block = r->base.queue.head) != NULL) {
		const bool stops = fl_cancel_token_is_requested(&block->future.token);
		const int rc = stops ? -ECANCELED : r->transport->post(&r->base, block);
		if (rc == -EAGAIN)
			return;
		fl__task_list_remove(&r->base.queue, block);
		if (rc == 0) {
			fl__task_list_add(&r->posted, block);
			block->queued = 0; /* the task is no longer in base.queue */
			block->asked = FL__STOP_NOT_REQUESTED;
			fl__stopper_arm(block);
			continue;
		}
		if (stops)
			fl__remote_end_cancelled(r, block);
		else
			fl__remote_end_failed(r, block, rc, "the argument does not reach a worker: %s",
			                      fl_error_text(rc));
		/* no worker will report the end */
		r->transport->wake(&r->base);
	}
}

/* The executor interface. */

bool fl__remote_on_withdraw(fl_executor *e, struct fl__task_block *block)
{
	struct fl__remote *r = fl__remote_of(e);
	if (!block->worker || !r->transport->recall(block))
		return false;
	fl__remote_unpost(r, block);
	fl__task_list_add_first(&e->queue, block);
	return true;
}

void fl__remote_on_recall(fl_executor *e, bool request)
{
	struct fl__remote *r = fl__remote_of(e);
	for (struct fl__task_block *before, *block = r->posted.tail; block; block = before) {
		before = block->prev;
		if (fl__remote_on_withdraw(e, block) || !request)
			continue;
		fl__future_request_stop(&block->future);
		fl__remote_on_asked(e, block);
	}
}

bool fl__remote_is_busy(const fl_executor *e)
{
	return ((const struct fl__remote *)(const void *)e)->posted.length > 0;
}

static bool remote_has_ended(fl_executor *e)
{
	const struct fl__remote *r = fl__remote_of(e);
	return fl__executor_is_idle(e) && (r->finished || !r->running);
}

int fl__remote_on_join(fl_executor *e, fl_time deadline, fl_cancel_token *cancel)
{
	return fl__executor_join_thread(e, &fl__remote_of(e)->manager, remote_has_ended, deadline, cancel);
}

/* The futures. */

static void remote_on_requested(fl_future *f)
{
	struct fl__remote *r = remote_of_block(fl__task_block_of(f));
	FL__HELD(&r->base.lock);
	fl__remote_on_asked(&r->base, fl__task_block_of(f));
}

static bool remote_on_has_started(const fl_future *f)
{
	struct fl__remote *r = remote_of_block(fl__task_block_of((fl_future *)f));
	FL__HELD(&r->base.lock);
	return r->transport->has_started(fl__task_block_of((fl_future *)f));
}

/*
 * Lets a waiting thread help. Called without the lock. The thread polls while completions come.
 * After POLLS polls in vain it yields between polls, because the workers may need this CPU. After
 * PATIENCE it stops polling and parks, and leaves the rest to the transport's own threads. While
 * polling is off, these threads do everything.
 */
static void remote_on_advance(fl_future *f, const fl_event *or_event, fl_time deadline, const fl_cancel_token *cancel)
{
	enum { POLLS = 32, PATIENCE = 100000 /* ns */ };
	struct fl__remote *r = remote_of_block(fl__task_block_of(f));
	struct fl__ctx *ctx = fl__ctx_get();
	const fl_cancel_token *token = fl__cancel_resolve(cancel, ctx);
	int64_t until = FL__NEVER;
	bool over = false;
	if (ctx->ops != &fl__thread_parker || !fl__may_poll())
		return; /* a fiber's thread has other fibers to run */
	for (unsigned rounds = 1, idle = 0;; rounds++) {
		idle = r->transport->poll(&r->base) ? 0 : idle + 1;
		over = fl_future_try_wait(f) == 0 || (or_event && fl_event_is_set(or_event));
		if (over)
			break;
		if (idle < POLLS && rounds % POLLS != 0) {
			fl__sys.relax();
			continue;
		}
		const int64_t now = fl__sys.now();
		until = idle < POLLS ? FL__NEVER : fl__min_deadline(until, now + PATIENCE);
		if (now >= until || now >= fl__expiry(deadline) || (token && fl_cancel_token_is_requested(token)))
			break;
		if (idle >= POLLS)
			(void)fl__sys.give_way(now);
	}
	r->transport->leave(&r->base, over);
}

static void remote_on_release(fl_future *f)
{
	struct fl__task_block *block = fl__task_block_of(f);
	fl__stopper_free(block);
	if (block->mapped > 0)
		fl__shm_sys.unmap(f->result, block->mapped);
	fl__task_block_release(block);
}

const struct fl__future_ops fl__remote_future_ops = {
    FL__TASK_FUTURE_OPS,          .requested = remote_on_requested, .has_started = remote_on_has_started,
    .advance = remote_on_advance, .release = remote_on_release,
};

/* Create and destroy. */

bool fl__remote_config_is_valid(const fl_executor_config *config)
{
	return config->max_tasks >= 0 && config->idle_timeout >= 0 && config->task_timeout >= 0 &&
	       config->grace_period >= 0;
}

int fl__remote_init(struct fl__remote *r, const struct fl__executor_ops *ops,
                    const struct fl__remote_transport *transport, unsigned workers, const fl_executor_config *config)
{
	const struct fl__type_known *known;
	int rc = fl__executor_init(&r->base, ops, workers, config);
	if (rc != 0) {
		fl__free(r);
		return rc;
	}
	r->transport = transport;
	r->config = *config;
	r->ended_end = &r->ended;
	r->kept_end = &r->kept;
	rc = config->initialize ? fl__types_find(&r->types, config->initialize, &known) : 0;
	if (rc != 0)
		/* this also frees `r` */
		fl__executor_fini(&r->base);
	else if (config->initialize)
		r->initializer = *known;
	return rc;
}

void fl__remote_fini(struct fl__remote *r)
{
	fl__thread_detach(r->manager);
	fl__executor_fini(&r->base);
}
