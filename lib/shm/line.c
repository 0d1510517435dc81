/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting under a monitor, when anybody may be killed at any instruction.
 *
 * A sleeper does not learn of a death: only locks are told. So whoever changes something
 *   1. counts the change up and wakes everybody who sleeps on that count,
 *   2. commits, by one store,
 *   3. says that nobody waits, and leaves the monitor.
 * Killed before 2, nothing has happened, and those who were woken look (the monitor's next owner takes over), find nothing,
 * and sleep again. Killed after it, they were woken before, and find it. With "commit, leave, wake" a kill in between strands
 * them; nobody else is going to wake them.
 *
 * A sleeper reads the count and says that it waits (`waiting`) under the monitor, and sleeps while the count is the same.
 *
 *   waiting   meaning                   set by                             cleared by
 *   1         somebody may sleep        whoever is going to, under the     step 3, which follows a wake of all. Set for
 *                                       monitor                            nothing it costs a wake that reaches nobody.
 *
 * Waking everybody is right, and waking one is not: the one may be killed before it has taken what it was woken for. So that a
 * crowd is not woken for one item, threads that wait stand in line behind a robust lock, `head`: its owner alone sleeps on the
 * count, and gives the head to the next when it has got what it waited for, or has given up. If it dies the kernel hands the
 * head on. (Leader and followers: Schmidt et al., 2000.) The head may be slow, or stopped: so whoever commits more than it can
 * take nudges as many of the others, who attempt, and stand in line again. That is for speed, and for those who stand behind a
 * stopped process; what must not be lost does not depend on it. Waits with a token, of fibers and of fl_wait_any cannot stand there;
 * the bridge sleeps for them on the count.
 */
#include "line.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../wait/cancel.h"
#include <errno.h>
#include <fairlead/time.h>
#include <limits.h>

void fl__shm_announce(struct fl__shm_line *line)
{
	if (!fl__load_relaxed(&line->waiting)) /* relaxed: the monitor orders all of its own */
		return;
	fl__store_relaxed(&line->changes,
	                  fl__load_relaxed(&line->changes) + 1); /* relaxed: as above; who wakes enters */
	(void)fl__sys.shared_wake(&line->changes, INT_MAX);
}

void fl__shm_announced(struct fl__shm_line *line, uint32_t more)
{
	if (fl__load_relaxed(&line->waiting)) /* relaxed: as above, also the store */
		fl__store_relaxed(&line->waiting, 0);
	if (more > 0 && fl__shm_is_awaited(&line->head))
		fl__shm_nudge(&line->head, more);
}

/* Attempts; when it has to be done again after a change, *changes is the count to wait on. */
static int attempt(const struct fl__shm_op *op, int64_t deadline, uint32_t *changes)
{
	struct fl__shm_held held;
	int rc = fl__shm_enter(op->lock, &held, deadline);
	if (rc != 0)
		return rc == -EDEADLK ? -EBADMSG : rc;
	rc = op->attempt(op->arg);
	if (rc == -EAGAIN && changes) {
		fl__store_relaxed(&op->line->waiting, 1);        /* relaxed: as above */
		*changes = fl__load_relaxed(&op->line->changes); /* relaxed: as above */
	}
	fl__shm_leave(op->lock, &held);
	return rc;
}

int fl__shm_attempt(const struct fl__shm_op *op)
{
	return attempt(op, 0, NULL);
}

/* At the deadline: what has happened meanwhile counts. */
static int last_attempt(const struct fl__shm_op *op, int error)
{
	int rc = attempt(op, 0, NULL);
	return rc == -EAGAIN ? error : rc;
}

static int wait_in_line(const struct fl__shm_op *op, int64_t deadline)
{
	struct fl__shm_held held;
	int rc;
	while ((rc = fl__shm_enter_or_wake(&op->line->head, &held, deadline)) == -EAGAIN) {
		rc = attempt(op, deadline, NULL);
		if (rc != -EAGAIN)
			return rc;
	}
	if (rc == -ETIMEDOUT)
		return last_attempt(op, rc);
	if (rc != 0)
		return -EBADMSG;
	uint32_t changes = 0;
	while ((rc = attempt(op, deadline, &changes)) == -EAGAIN) {
		if (fl__sys.shared_wait(&op->line->changes, changes, deadline) == -ETIMEDOUT) {
			rc = last_attempt(op, -ETIMEDOUT);
			break;
		}
	}
	fl__shm_leave(&op->line->head, &held);
	return rc;
}

/* For changes that concern everybody: each sleeps by itself. */
static int wait_together(const struct fl__shm_op *op, int64_t deadline)
{
	uint32_t changes = 0;
	int rc;
	while ((rc = attempt(op, deadline, &changes)) == -EAGAIN)
		if (fl__sys.shared_wait(&op->line->changes, changes, deadline) == -ETIMEDOUT)
			return last_attempt(op, -ETIMEDOUT);
	return rc;
}

static int wait_bridged(const struct fl__shm_op *op, int64_t deadline, fl_cancel *cancel)
{
	uint32_t changes = 0;
	int rc;
	while ((rc = attempt(op, deadline, &changes)) == -EAGAIN) {
		rc = fl__bridge_wait(&op->line->changes, changes, deadline, cancel);
		if (rc != 0)
			return rc == -ECANCELED ? rc : last_attempt(op, rc);
	}
	return rc;
}

int fl__shm_await(const struct fl__shm_op *op, int64_t deadline, fl_cancel *cancel)
{
	int rc = attempt(op, deadline, NULL);
	if (rc != -EAGAIN)
		return rc;
	struct fl__ctx *ctx = fl__ctx_get();
	fl_cancel *token = fl__cancel_resolve(cancel, ctx);
	if (token && fl_cancel_requested(token))
		return -ECANCELED;
	if (fl__is_past(deadline))
		return -ETIMEDOUT;
	if (ctx->ops != &fl__thread_parker || token)
		return wait_bridged(op, deadline, cancel);
	if (fl__spin(ctx, op->look, op->arg, deadline)) {
		rc = attempt(op, deadline, NULL);
		if (rc != -EAGAIN)
			return rc;
	}
	return op->together ? wait_together(op, deadline) : wait_in_line(op, deadline);
}

bool fl__shm_line_arm(const struct fl__shm_op *op, struct fl__node *node)
{
	uint32_t changes = 0;
	if (attempt(op, 0, &changes) != -EAGAIN)
		return false;
	return fl__bridge_arm(&op->line->changes, changes, node);
}

void fl__shm_line_disarm(struct fl__node *node)
{
	fl__bridge_disarm(node);
}
