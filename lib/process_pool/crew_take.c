/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves results from the workers to the futures. Three kinds of threads take replies: a submitter,
 * now and then, to make room for orders; a thread that waits for a future; and the manager. Each
 * takes replies and fills the lanes again under the lock. Futures end later, without the lock.
 *
 * Whatever a worker writes into `replies` affects only that worker's tasks. If a reply is one that
 * no worker writes, the parent kills the worker, and its tasks are settled as at any death.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../process/fd_sys.h"
#include "../process/os.h"
#include "../process/packet.h"
#include "../shm/shm_os.h"
#include "../wait/cancel.h"
#include "process_pool.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Tasks that have ended. */

static void push(struct fl__cell ***end, struct fl__cell *cell)
{
	cell->next = NULL;
	**end = cell;
	*end = &cell->next;
}

static void ended(struct fl__crew *c, struct fl__cell *cell, int error, char *message)
{
	fl__stopper_free(cell);
	cell->future.error = error;
	cell->future.message = message;
	c->base.foreign++;
	push(&c->ended_end, cell);
}

void fl__crew_cancelled(struct fl__crew *c, struct fl__cell *cell)
{
	if (fl__future_claim_cancel(&cell->future)) /* always: no other thread may claim it */
		ended(c, cell, -ECANCELED, NULL);
}

static void claimed_ended(struct fl__crew *c, struct fl__cell *cell, int error, char *message)
{
	if (fl__future_claim_ended(&cell->future)) /* always, as above */
		ended(c, cell, error, message);
}

void fl__crew_fail(struct fl__crew *c, struct fl__cell *cell, int error, const char *format, ...)
{
	va_list args;
	char *message = fl__message_new();
	va_start(args, format);
	if (!fl__message_lost(message))
		(void)vsnprintf(message, FL_MESSAGE_MAX, format, args);
	va_end(args);
	claimed_ended(c, cell, error, message);
}

/* Taking one reply. */

/* Maps the sealed memory `fd`, of that size, as the future's result. */
static int take_memory(struct fl__cell *cell, int fd, size_t size)
{
	int64_t there;
	void *memory;
	int rc = fl__fd_sys.sealed_size(fd, &there);
	if (rc != 0 || there != (int64_t)size)
		return -EBADMSG;
	rc = fl__shm_os.map_sealed(fd, size, &memory);
	if (rc != 0)
		return rc;
	cell->future.result = memory;
	cell->mapped = size;
	return 0;
}

/*
 * Receives the next packet. True: the search is over, with `*rc`. False: the packet was another
 * order's.
 */
static bool take_packet(struct fl__member *m, struct fl__cell *cell, size_t size, int *rc)
{
	struct fl__apart head = {0, 0, 0};
	struct iovec part = {&head, sizeof head};
	int fds[FL__PACKET_FDS];
	struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = fds};
	*rc = fl__packet_try_recv(m->channel, &packet, 0);
	if (*rc != 0) {
		/* The packet is sent before the reply, so it should be there. */
		*rc = *rc == -EAGAIN || *rc == -EPIPE ? -EBADMSG : *rc;
		return true;
	}
	bool ours = packet.size == sizeof head && head.magic == FL__APART_MAGIC && head.seq == cell->seq;
	if (packet.lost)
		*rc = -EMFILE;
	else if (ours)
		*rc = packet.n_fds == 1 ? take_memory(cell, fds[0], size) : -EBADMSG;
	if (head.magic == FL__READY_MAGIC)
		m->ready = true;
	fl__fds_close(fds, packet.n_fds);
	return ours || packet.lost;
}

/*
 * Takes a result in memory of its own. Results of failed orders, and "ready", may come before it.
 */
static int take_apart(struct fl__member *m, struct fl__cell *cell, size_t size)
{
	int rc = -EBADMSG;
	for (unsigned i = 0; i < 2 * FL__LANE_DEPTH; i++)
		if (take_packet(m, cell, size, &rc))
			return rc;
	return -EBADMSG;
}

/* Copies the first `n` of the result's `size` bytes. False: the result has memory of its own. */
static bool copy_result(const struct fl__member *m, struct fl__cell *cell, size_t size, size_t n)
{
	const struct fl__replies *replies = m->lane.replies;
	const unsigned slot = cell->seq % FL__LANE_DEPTH;
	switch (fl__place_of(size, cell->future.type->result_align)) {
	case FL__PLACE_SLOT:
		fl__copy(cell->future.result, replies->reply[slot].small, n);
		return true;
	case FL__PLACE_ARENA:
		memcpy(cell->future.result, replies->arena + m->lane.orders->order[slot].result, n);
		return true;
	default:
		return false;
	}
}

static int take_result(struct fl__member *m, struct fl__cell *cell, const struct fl__reply *reply)
{
	const size_t size = cell->future.count * cell->future.type->result_size;
	if (size == 0 || copy_result(m, cell, size, size))
		return 0;
	if (reply->flags & FL__REPLY_APART)
		return take_apart(m, cell, size);
	/* A failed order may have none, unless it kept one. */
	return reply->error != 0 && reply->count == 0 && !(reply->flags & FL__REPLY_KEPT) ? 0 : -EBADMSG;
}

void fl__crew_take_ended(struct fl__member *m, struct fl__cell *cell)
{
	const uint32_t count = cell->future.count;
	const size_t each = cell->future.type->result_size;
	/* A worker that damaged its memory, or cleared its claim word, is not believed. */
	const bool believed = !m->damaged && fl__lane_fate(&m->lane, cell->seq) == FL__LANE_STARTED;
	cell->done = believed ? fl__lane_progress(&m->lane, cell->seq, count) : count;
	/* copy_result() is true: fl__chunk_cut() limits the size. */
	if (each > 0 && cell->done > 0 && cell->done < count)
		(void)copy_result(m, cell, count * each, cell->done * each);
}

static char *take_message(const struct fl__member *m, unsigned slot, uint32_t flags)
{
	if (!(flags & FL__REPLY_MESSAGE))
		return NULL;
	char *message = fl__message_new();
	if (!fl__message_lost(message)) {
		memcpy(message, m->lane.replies->message[slot], FL__LANE_MESSAGE);
		message[FL__LANE_MESSAGE - 1] = '\0';
	}
	return message;
}
_Static_assert(FL__LANE_MESSAGE == FL_MESSAGE_MAX, "a message fits");

/* False: no worker writes such a reply. */
static bool take(struct fl__member *m, struct fl__cell *cell, const struct fl__reply *reply)
{
	struct fl__crew *c = m->crew;
	const unsigned slot = cell->seq % FL__LANE_DEPTH;
	const bool skipped = reply->flags & FL__REPLY_SKIPPED;
	const bool failed = reply->error != 0;
	if (!skipped && (failed ? reply->count >= cell->future.count : reply->count != cell->future.count))
		return false;
	m->cells[slot] = NULL;
	cell->member = NULL;
	m->load--;
	c->posted--;
	fl__stopper_disarm(cell);
	if (skipped) {
		fl__crew_cancelled(c, cell);
		return true;
	}
	cell->done = reply->count;
	int rc = take_result(m, cell, reply);
	if (rc != 0) {
		fl__crew_fail(c, cell, rc, "the result does not arrive: %s", fl_error_text(rc));
		return true;
	}
	if (failed && (reply->flags & FL__REPLY_KEPT))
		fl__future_keep_result(&cell->future);
	claimed_ended(c, cell, reply->error, failed ? take_message(m, slot, reply->flags) : NULL);
	return true;
}

static void take_initialized(struct fl__member *m, const struct fl__reply *reply)
{
	struct fl__crew *c = m->crew;
	m->initializing = false;
	m->ready = false; /* to be checked again, without initializer */
	if (reply->error == 0 || c->init_error != 0)
		return;
	c->init_error = reply->error;
	c->init_message = take_message(m, m->lane.first % FL__LANE_DEPTH, reply->flags);
	fl__crew_kick(c);
}

/* A worker that is ready and initialized ends a row of failed starts. */
static void look_whether_ready(struct fl__member *m)
{
	/* relaxed: a word by itself */
	m->ready = fl__load_relaxed(&m->lane.replies->state) == FL__LANE_READY;
	if (!m->ready || m->initializing)
		return;
	m->crew->failures = 0;
	m->crew->retry_at = 0;
}

bool fl__crew_harvest_from(struct fl__member *m)
{
	struct fl__reply reply;
	enum fl__lane_sight sight;
	bool some = false;
	if (!m->ready)
		look_whether_ready(m);
	while (!m->damaged && (sight = fl__lane_look(&m->lane, &reply)) != FL__LANE_NONE) {
		const unsigned slot = m->lane.first % FL__LANE_DEPTH;
		struct fl__cell *cell = m->cells[slot];
		if (sight == FL__LANE_DAMAGED || (cell && !take(m, cell, &reply))) {
			m->damaged = true;
			fl__crew_kill(m, "it had damaged the memory that it shares");
			break;
		}
		if (!cell && m->initializing)
			take_initialized(m, &reply);
		m->args.tail = m->arg_head[slot];
		m->results.tail = m->result_head[slot];
		fl__lane_pass(&m->lane);
		some = true;
	}
	if (some && m->crew->config.idle_timeout > 0 && fl__lane_used(&m->lane) == 0) {
		m->idle_since = fl__sys.now();
		fl__crew_wake_at(m->crew, fl__later(m->idle_since, m->crew->config.idle_timeout));
	}
	if (some && (m->retired || m->quota == 0) && !m->leaving && fl__lane_used(&m->lane) == 0)
		fl__crew_dismiss(m);
	return some;
}

bool fl__crew_harvest(struct fl__crew *c)
{
	bool some = false;
	for (unsigned i = 0; i < c->n_members; i++)
		some |= fl__crew_harvest_from(c->members[i]);
	return some;
}

/* Ending. */

size_t fl__crew_end(struct fl__cell *list, bool user, struct fl__cell **kept)
{
	size_t n = 0;
	while (list) {
		struct fl__cell *cell = list;
		fl_future *f = &cell->future;
		list = cell->next;
		if (user) {
			fl__future_finish(f, f->error, f->message);
		} else if (!fl__future_try_finish(f)) {
			cell->next = *kept;
			*kept = cell;
			continue;
		}
		fl_future_free(f); /* the producer's reference */
		n++;
	}
	return n;
}

/* Waiting for a future. */

/* A thread that fetches results, and what it ended since it last had the lock. */
struct fetcher {
	bool busy; /* counted by `fetchers` */
	size_t n;
	struct fl__cell *kept; /* newest first */
};

static void settle(struct fl__crew *c, struct fetcher *f)
{
	struct fl__cell *kept = f->kept, *oldest_first = NULL;
	if (!f->busy)
		return;
	c->base.foreign -= f->n;
	c->fetchers--;
	*f = (struct fetcher){false, 0, NULL};
	while (kept) {
		struct fl__cell *next = kept->next;
		kept->next = oldest_first;
		oldest_first = kept;
		kept = next;
	}
	if (oldest_first)
		fl__crew_kick(c);
	while (oldest_first) {
		struct fl__cell *next = oldest_first->next;
		push(&c->kept_end, oldest_first);
		oldest_first = next;
	}
	if (c->base.foreign == 0)
		fl_cond_broadcast(&c->base.gone);
	if (c->base.closed)
		fl__crew_kick(c);
}

/* Takes replies, and ends the tasks in `ended`. False: there were none, or the lock was taken. */
static bool fetch(struct fl__crew *c, struct fetcher *f)
{
	if (fl_mutex_try_lock(&c->base.lock) != 0)
		return false;
	settle(c, f);
	bool some = fl__crew_harvest(c);
	if (some) {
		c->helped++;
		fl__crew_feed(c);
	}
	struct fl__cell *list = c->ended;
	c->ended = NULL;
	c->ended_end = &c->ended;
	f->busy = list != NULL;
	c->fetchers += f->busy;
	fl_mutex_unlock(&c->base.lock);
	f->n = fl__crew_end(list, false, &f->kept);
	return list != NULL;
}

static bool is_over(const fl_future *f, int64_t now, int64_t deadline, const fl_cancel_token *cancel)
{
	return fl_future_try_wait((fl_future *)f) == 0 || now >= deadline ||
	       (cancel && fl_cancel_token_is_requested(cancel));
}

/*
 * Fetches while results come, and for PATIENCE after the last. After LOOKS looks, yields between
 * them, since the workers may need this CPU. Then leaves the rest to the manager.
 */
void fl__crew_attend(fl_executor *e, fl_future *f, int64_t deadline, const fl_cancel_token *cancel)
{
	enum { LOOKS = 32, PATIENCE = 100000 /* ns */ };
	struct fl__crew *c = fl__crew_of(e);
	struct fl__ctx *ctx = fl__ctx_get();
	struct fetcher fetcher = {false, 0, NULL};
	if (ctx->ops != &fl__thread_parker)
		return; /* a fiber: its thread has others to run */
	const fl_cancel_token *token = fl__cancel_resolve(cancel, ctx);
	int64_t patience = 0;
	for (unsigned looks = 0, turns = 1;; looks++, turns++) {
		if (turns % LOOKS == 0 && is_over(f, fl__sys.now(), deadline, token))
			break;
		if (fetch(c, &fetcher)) {
			looks = 0;
			patience = 0;
		}
		if (fl_future_try_wait(f) == 0)
			break;
		if (looks < LOOKS) {
			fl__sys.relax();
			continue;
		}
		int64_t now = fl__sys.now();
		if (patience == 0)
			patience = now + PATIENCE;
		if (now >= patience || is_over(f, now, deadline, token))
			break;
		(void)fl__sys.give_way(now);
	}
	FL_LOCKED(&e->lock);
	settle(c, &fetcher);
	if (c->napping && fl_future_try_wait(f) != 0)
		fl__crew_kick(c); /* from now on the workers must ring */
}
