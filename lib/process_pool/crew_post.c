/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves tasks from the queue to the workers. A lane holds 16 orders, so that a worker need not wait
 * for the parent between small tasks. (With 2 orders, and fewer CPUs than processes, every two
 * tasks cost a context switch.) Stealing keeps the load even: for an idle worker, the parent
 * withdraws up to half of the busiest worker's tasks.
 */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../exec/registry.h"
#include "../process/fd_sys.h"
#include "../process/identity.h"
#include "../process/os.h"
#include "../process/packet.h"
#include "../process/request.h"
#include "process_pool.h"
#include <errno.h>
#include <string.h>

/* Types. */

static bool is_same(const fl_task_type *a, const fl_task_type *b)
{
	return a->run == b->run && a->name == b->name && a->version == b->version && a->arg_size == b->arg_size &&
	       a->arg_align == b->arg_align && a->result_size == b->result_size && a->result_align == b->result_align;
}

int fl__crew_know(struct fl__crew *c, const fl_task_type *type, struct fl__type_known **known)
{
	struct fl__type_known *k = &c->known[((uintptr_t)type >> 5) % FL__KNOWN_TYPES];
	/* Before the lookup: the count may be too old for what is found, never too new. */
	const uint64_t changes = fl__registry_changes();
	*known = k;
	if (k->type == type && k->changes == changes && is_same(&k->copy, type))
		return 0;
	const fl_task_type *registered;
	int rc = fl__registry_find(type->name, &registered);
	if (rc != 0)
		return rc;
	if (registered->run != type->run)
		return -ENOENT;
	struct fl__task_identity identity;
	fl__task_identify(registered, &identity);
	*k = (struct fl__type_known){type, *type, changes, identity.id, fl__task_check(&identity)};
	return 0;
}

/* Room in the arenas. */

enum { ARENA_UNIT = 64 };

/* Allocates `size` bytes in one piece: their offset; -1: no room. */
static int64_t ring_take(struct fl__ring *r, size_t size)
{
	const uint32_t need = (uint32_t)(size + ARENA_UNIT - 1) & ~(uint32_t)(ARENA_UNIT - 1);
	uint32_t at = r->head % FL__LANE_ARENA;
	uint32_t skipped = at + need > FL__LANE_ARENA ? FL__LANE_ARENA - at : 0;
	if (r->head - r->tail + skipped + need > FL__LANE_ARENA)
		return -1;
	at = (r->head + skipped) % FL__LANE_ARENA;
	r->head += skipped + need;
	return at;
}

/* One order. */

struct draft {
	struct fl__cell *cell; /* NULL: the initializer */
	const fl_task_type *type;
	const void *arg;
	size_t arg_size, result_size;
};

static int send_apart(struct fl__member *m, const struct draft *d, uint32_t seq)
{
	struct fl__apart head = {FL__APART_MAGIC, seq, d->arg_size};
	struct iovec part = {&head, sizeof head};
	int fd = fl__memory_of(d->arg, d->arg_size);
	if (fd < 0)
		return fd;
	int rc = fl__packet_try_send(m->channel, &part, 1, &fd, 1);
	fl__close(fd);
	return rc;
}

/*
 * Stores the argument and allocates the result: 0; -EAGAIN: no room now; an error of send_apart().
 */
static int place(struct fl__member *m, const struct draft *d, struct fl__order *order, uint32_t seq)
{
	enum fl__place arg = fl__place_of(d->arg_size, d->type->arg_align);
	enum fl__place result = fl__place_of(d->result_size, d->type->result_align);
	const struct fl__ring args = m->args, results = m->results;
	int64_t arg_at = arg == FL__PLACE_ARENA ? ring_take(&m->args, d->arg_size) : 0;
	int64_t result_at = result == FL__PLACE_ARENA ? ring_take(&m->results, d->result_size) : 0;
	int rc = arg_at < 0 || result_at < 0 ? -EAGAIN : arg == FL__PLACE_APART ? send_apart(m, d, seq) : 0;
	if (rc != 0) {
		m->args = args;
		m->results = results;
		return rc;
	}
	order->arg = (uint32_t)arg_at;
	order->result = (uint32_t)result_at;
	order->flags = (uint16_t)((arg == FL__PLACE_APART ? FL__ORDER_ARG_APART : 0) |
	                          (result == FL__PLACE_APART ? FL__ORDER_RESULT_APART : 0));
	if (arg == FL__PLACE_SLOT && d->arg_size > 0)
		fl__copy(order->small, d->arg, d->arg_size);
	else if (arg == FL__PLACE_ARENA)
		memcpy(m->lane.orders->arena + arg_at, d->arg, d->arg_size);
	return 0;
}

/* Deadline and timeouts. */
static void set_times(struct fl__member *m, const struct fl__cell *cell, struct fl__order *order, unsigned slot)
{
	struct fl__crew *c = m->crew;
	const int64_t deadline = fl_cancel_token_deadline(&cell->future.token);
	m->times[slot] = (struct fl__times){0, 0, 0};
	if (deadline != FL_FOREVER) {
		order->flags |= FL__ORDER_DEADLINE;
		m->lane.orders->deadline[slot] = deadline;
		fl__crew_wake_at(c, fl__later(deadline, c->deadline_grace));
	}
	if (c->config.task_timeout > 0) {
		order->flags |= FL__ORDER_TIMED;
		m->times[slot].posted = fl__sys.now();
		fl__crew_wake_at(c, fl__later(m->times[slot].posted, c->config.task_timeout));
	}
}

static int post(struct fl__member *m, const struct draft *d, uint64_t task, uint32_t check, uint32_t count)
{
	const uint32_t seq = m->lane.next;
	const unsigned slot = seq % FL__LANE_DEPTH;
	struct fl__order *order = fl__lane_place(&m->lane);
	int rc = place(m, d, order, seq);
	if (rc != 0)
		return rc;
	order->task = task;
	order->check = check;
	order->count = count;
	if (d->cell)
		set_times(m, d->cell, order, slot);
	else
		order->flags |= FL__ORDER_INITIALIZE;
	m->cells[slot] = d->cell;
	m->arg_head[slot] = m->args.head;
	m->result_head[slot] = m->results.head;
	(void)fl__lane_post(&m->lane);
	return 0;
}

static int post_cell(struct fl__member *m, struct fl__cell *cell)
{
	struct fl__crew *c = m->crew;
	const fl_task_type *type = cell->future.type;
	const struct draft d = {cell, type, cell->future.arg, cell->future.count * type->arg_size,
	                        cell->future.count * type->result_size};
	cell->seq = m->lane.next;
	int rc = post(m, &d, cell->task, cell->check, cell->future.count);
	if (rc != 0)
		return rc;
	cell->member = m;
	cell->asked = FL__NOT_ASKED;
	m->quota--;
	m->load++;
	c->posted++;
	fl__stopper_arm(cell);
	return 0;
}

int fl__crew_post_initializer(struct fl__member *m)
{
	const struct fl__crew *c = m->crew;
	const fl_task_type *type = c->base.initialize;
	const struct draft d = {NULL, type, c->base.initialize_arg, type->arg_size, 0};
	int rc = post(m, &d, c->initializer.id, c->initializer.check, 1);
	if (rc == 0) {
		m->initializing = true;
		fl__lane_flush(&m->lane);
	}
	return rc;
}

void fl__crew_dismiss(struct fl__member *m)
{
	const uint32_t seq = m->lane.next;
	struct fl__order *order = fl__lane_place(&m->lane);
	order->flags = FL__ORDER_LEAVE;
	m->cells[seq % FL__LANE_DEPTH] = NULL;
	m->leaving = m->retired = true;
	(void)fl__lane_post(&m->lane);
	fl__lane_flush(&m->lane);
}

/* Taking back. */

bool fl__crew_withdraw(struct fl__crew *c, struct fl__cell *cell)
{
	struct fl__member *m = cell->member;
	if (!fl__lane_revoke(&m->lane, cell->seq))
		return false;
	m->cells[cell->seq % FL__LANE_DEPTH] = NULL;
	m->quota++;
	m->load--;
	c->posted--;
	fl__stopper_disarm(cell);
	cell->member = NULL;
	fl__queue_add_first(&c->base.queue, cell);
	return true;
}

/* Withdraws up to `n` of the tasks that were posted last. */
static void withdraw_last(struct fl__member *m, uint32_t n)
{
	for (uint32_t seq = m->lane.next; n > 0 && seq != m->lane.first; seq--) {
		struct fl__cell *cell = m->cells[(seq - 1) % FL__LANE_DEPTH];
		/* fails if the task has started, by the worker's word */
		if (cell && fl__crew_withdraw(m->crew, cell))
			n--;
	}
}

void fl__crew_withdraw_all(struct fl__member *m)
{
	withdraw_last(m, FL__LANE_DEPTH);
}

/* Feeding. */

static bool may_get(const struct fl__member *m)
{
	return !m->retired && !m->why && m->quota > 0 && fl__lane_used(&m->lane) < FL__LANE_DEPTH;
}

/* The least busy worker that may get more; NULL: none. */
static struct fl__member *least_busy(const struct fl__crew *c)
{
	struct fl__member *best = NULL;
	for (unsigned i = 0; i < c->n_members; i++) {
		struct fl__member *m = c->members[i];
		if (may_get(m) && (!best || m->load < best->load))
			best = m;
	}
	return best;
}

/* Ends a task that cannot be posted: with `rc`; or, if that is 0, as cancelled. */
static void end_unposted(struct fl__crew *c, struct fl__cell *cell, int rc)
{
	if (rc == 0)
		fl__crew_cancelled(c, cell);
	else
		fl__crew_fail(c, cell, rc, "the argument does not reach a worker: %s", fl_error_text(rc));
	fl__crew_kick(c); /* no doorbell will ring for it */
}

/* Posts the first task of the queue, or ends it. False: no worker has room. */
static bool feed_one(struct fl__crew *c)
{
	struct fl__cell *cell = c->base.queue.head;
	struct fl__member *m = least_busy(c);
	if (!m)
		return false;
	fl__queue_remove(&c->base.queue, cell);
	if (fl_cancel_token_is_requested(&cell->future.token)) {
		end_unposted(c, cell, 0);
		return true;
	}
	int rc = post_cell(m, cell);
	if (rc == -EAGAIN && fl__lane_used(&m->lane) > 0) {
		fl__queue_add_first(&c->base.queue, cell);
		return false;
	}
	if (rc == -EPIPE) { /* the worker is dead, and is reaped later */
		m->retired = true;
		fl__queue_add_first(&c->base.queue, cell);
	} else if (rc != 0) {
		end_unposted(c, cell, rc);
	}
	return true;
}

static void feed_all(struct fl__crew *c)
{
	while (c->base.queue.head && feed_one(c))
		;
	for (unsigned i = 0; i < c->n_members; i++)
		fl__lane_flush(&c->members[i]->lane);
}

/*
 * If a worker is idle, withdraws half of the busiest worker's tasks, as far as they have not
 * started. True: a task is queued.
 */
static bool steal(struct fl__crew *c)
{
	struct fl__member *busiest = NULL, *idle = least_busy(c);
	if (!idle || idle->load > 0)
		return false;
	for (unsigned i = 0; i < c->n_members; i++)
		if (!busiest || c->members[i]->load > busiest->load)
			busiest = c->members[i];
	withdraw_last(busiest, busiest->load / 2);
	return c->base.queue.head != NULL;
}

bool fl__crew_wants_member(const struct fl__crew *c)
{
	unsigned serving = 0;
	for (unsigned i = 0; i < c->n_members; i++)
		serving += !c->members[i]->retired;
	return serving < c->base.workers && c->base.queue.length + c->posted > serving && !c->base.broken &&
	       !c->terminated;
}

void fl__crew_feed(struct fl__crew *c)
{
	if (c->base.queue.head || (c->posted > 1 && c->n_members > 1 && steal(c)))
		feed_all(c);
	if (c->sleeping && fl__crew_wants_member(c))
		fl__crew_wake_at(c, c->retry_at);
}
