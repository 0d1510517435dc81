/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue that any process may use, and be killed in at any instruction.
 *
 *   word      meaning                                      set by                          how
 *   in        position of the next item or frame to be     put, put_frame                  one store: the commit
 *             put; how many were put
 *   out       the same of the next to be got; how many     get, get_frame                  one store: the commit
 *             were got
 *   dones     how many that were got are dealt with        task_done                       one store
 *   closed    1: nothing more comes in; 2: and what is     close, close_now; never back    one store
 *             in is dropped
 *   data      items, or frames                             put, where nothing is; what is  before its commit
 *                                                          there does not change until a
 *                                                          get commits
 *
 * All are guarded by `lock`, and read without it only as a guess. A position is below twice the ring's size: as an index it
 * comes round at the size, and a full ring and an empty one differ, for any size. Counts come round at 2^32.
 *
 * Invariants, before and after each instruction of each process:
 *   1. The ring holds what lies from out's position to in's: at most its size, in whole frames.
 *   2. puts - gets is how many items or frames that is. So a position and its count change by one store of 64 bits.
 *   3. gets - dones is how many have been got and are not dealt with. Everything is dealt with when dones has reached
 *      puts; after close_now, when it has reached gets, since nothing is got any more.
 *
 * Killed before its commit, an operation has not happened: what a put had written lies where nothing is, and what a get had
 * copied is in memory that is gone. Killed after it, it has happened: what was got is delivered. The lock is freed by the
 * kernel, and nothing needs repair. Those who wait are woken before the commit (line.c says why) by
 *
 *   put                items                     close       items, space
 *   get                space                     close_now   items, space, done
 *   task_done, last    done
 *
 * Linearization: the commit; where there is none, a moment under the lock.
 *
 * What is read from shared memory is believed only as far as it is checked: a ring with words that cannot be is -EBADMSG. Its
 * size and place come from the view, so no access leaves it.
 */
#include "queue_ring.h"
#include "../base/atomic.h"
#include "region.h"
#include <errno.h>
#include <fairlead/time.h>
#include <string.h>

/* Positions, with the count beside each. */

struct mark {
	uint32_t position, count;
};

static struct mark unpack(uint64_t word)
{
	return (struct mark){(uint32_t)word, (uint32_t)(word >> 32)};
}

static uint64_t pack(struct mark m)
{
	return (uint64_t)m.count << 32 | m.position;
}

/* `n` is at most the ring's size. */
static struct mark advance(const struct fl__shm_view *v, struct mark m, uint32_t n, uint32_t count)
{
	uint64_t position = (uint64_t)m.position + n;
	uint64_t round = 2 * (uint64_t)v->size;
	return (struct mark){(uint32_t)(position < round ? position : position - round), m.count + count};
}

static uint32_t index_of(const struct fl__shm_view *v, uint32_t position)
{
	return position < v->size ? position : position - v->size;
}

/* The state, read once and checked. */
struct state {
	struct mark in, out;
	uint32_t used;   /* items, or bytes */
	uint32_t closed; /* one of three */
};

static bool is_possible(const struct fl__shm_view *v, const struct state *s)
{
	uint32_t length = s->in.count - s->out.count;
	if (s->in.position >= 2 * v->size || s->out.position >= 2 * v->size || s->used > v->size ||
	    s->closed > FL__SHM_DROPPED)
		return false;
	if (v->item_size)
		return length == s->used;
	return (length == 0) == (s->used == 0) && (uint64_t)length * FL__SHM_FRAME_HEADER <= s->used;
}

/* relaxed: the lock orders all that it guards; without the lock it is a guess */
static void read_state(const struct fl__shm_view *v, struct state *s)
{
	s->out =
	    unpack(fl__load_relaxed(&v->ring->out)); /* before `in`: what is seen without the lock is no less empty */
	s->in = unpack(fl__load_relaxed(&v->ring->in));
	s->closed = fl__load_relaxed(&v->ring->closed);
	uint32_t ahead = s->in.position - s->out.position;
	s->used = s->in.position >= s->out.position ? ahead : ahead + 2 * v->size;
}

/* Under the lock: 0, -EBADMSG. What close_now has dropped is not there. */
static int look_at(const struct fl__shm_view *v, struct state *s)
{
	read_state(v, s);
	return is_possible(v, s) ? 0 : -EBADMSG;
}

static int can_put(const struct fl__shm_view *v, const struct state *s, size_t n)
{
	if (s->closed != FL__SHM_OPEN)
		return -EPIPE;
	return n <= v->size - s->used ? 0 : -EAGAIN;
}

static int can_get(const struct state *s)
{
	if (s->closed != FL__SHM_DROPPED && s->used > 0)
		return 0;
	return s->closed != FL__SHM_OPEN ? -EPIPE : -EAGAIN;
}

/* The data. */

/* `n` items, or bytes, from or to the ring at `position`; `width` is the size of one. */
static void copy_in(const struct fl__shm_view *v, uint32_t position, const unsigned char *from, uint32_t n,
                    size_t width)
{
	uint32_t at = index_of(v, position), to_end = v->size - at;
	uint32_t first = n < to_end ? n : to_end;
	fl__copy(v->data + at * width, from, first * width);
	if (n > first)
		fl__copy(v->data, from + first * width, (n - first) * width);
}

static void copy_out(const struct fl__shm_view *v, uint32_t position, unsigned char *to, uint32_t n, size_t width)
{
	uint32_t at = index_of(v, position), to_end = v->size - at;
	uint32_t first = n < to_end ? n : to_end;
	fl__copy(to, v->data + at * width, first * width);
	if (n > first)
		fl__copy(to + first * width, v->data, (n - first) * width);
}

/* `before`: the state until now. */
static void commit_in(struct fl__shm_ring *r, const struct state *before, struct mark in)
{
	fl__shm_announce(&r->items);
	fl__store_release(&r->in,
	                  pack(in)); /* release: the data first, whoever is killed between; pairs with the lock */
	fl__shm_announced(&r->items, in.count - before->out.count - 1);
}

static void commit_out(const struct fl__shm_view *v, const struct state *before, struct mark out)
{
	struct fl__shm_ring *r = v->ring;
	uint32_t got = out.count - before->out.count;
	fl__shm_announce(&r->space);
	/* release: the copy first, for who gets into memory that outlives it, and is killed */
	fl__store_release(&r->out, pack(out));
	/* Of frames the next in line may wait for more space than a smaller one behind it needs. */
	fl__shm_announced(&r->space, v->item_size ? v->size - before->used + got - 1 : INT32_MAX);
}

/* An operation, as fl__shm_op wants it. */

struct transfer {
	const struct fl__shm_view *view;
	const unsigned char *from;
	unsigned char *to;
	size_t n;     /* items; bytes of the frame, or of the room for it */
	size_t moved; /* items; bytes of the frame */
};

static int attempt_put(void *arg)
{
	struct transfer *t = arg;
	const struct fl__shm_view *v = t->view;
	struct state s;
	int rc = look_at(v, &s);
	if (rc == 0)
		rc = can_put(v, &s, 1);
	if (rc != 0)
		return rc;
	uint32_t space = v->size - s.used;
	uint32_t n = t->n < space ? (uint32_t)t->n : space;
	copy_in(v, s.in.position, t->from, n, v->item_size);
	commit_in(v->ring, &s, advance(v, s.in, n, n));
	t->moved = n;
	return 0;
}

static int attempt_get(void *arg)
{
	struct transfer *t = arg;
	const struct fl__shm_view *v = t->view;
	struct state s;
	int rc = look_at(v, &s);
	if (rc == 0)
		rc = can_get(&s);
	if (rc != 0)
		return rc;
	uint32_t n = t->n < s.used ? (uint32_t)t->n : s.used;
	copy_out(v, s.out.position, t->to, n, v->item_size);
	commit_out(v, &s, advance(v, s.out, n, n));
	t->moved = n;
	return 0;
}

static int attempt_put_frame(void *arg)
{
	struct transfer *t = arg;
	const struct fl__shm_view *v = t->view;
	uint32_t size = (uint32_t)t->n, whole = size + FL__SHM_FRAME_HEADER;
	struct state s;
	int rc = look_at(v, &s);
	if (rc == 0)
		rc = can_put(v, &s, whole);
	if (rc != 0)
		return rc;
	unsigned char header[FL__SHM_FRAME_HEADER];
	memcpy(header, &size, sizeof header);
	copy_in(v, s.in.position, header, sizeof header, 1);
	copy_in(v, advance(v, s.in, sizeof header, 0).position, t->from, size, 1);
	commit_in(v->ring, &s, advance(v, s.in, whole, 1));
	return 0;
}

static int attempt_get_frame(void *arg)
{
	struct transfer *t = arg;
	const struct fl__shm_view *v = t->view;
	struct state s;
	int rc = look_at(v, &s);
	if (rc == 0)
		rc = can_get(&s);
	if (rc != 0)
		return rc;
	unsigned char header[FL__SHM_FRAME_HEADER];
	uint32_t size;
	copy_out(v, s.out.position, header, sizeof header, 1);
	memcpy(&size, header, sizeof size);
	if (size > s.used - sizeof header) /* there is one: is_possible() */
		return -EBADMSG;
	t->moved = size;
	if (size > t->n)
		return -EMSGSIZE;
	copy_out(v, advance(v, s.out, sizeof header, 0).position, t->to, size, 1);
	commit_out(v, &s, advance(v, s.out, size + (uint32_t)sizeof header, 1));
	return 0;
}

/* Without the lock. */
static bool may_put(const void *arg)
{
	const struct transfer *t = arg;
	const struct fl__shm_view *v = t->view;
	struct state s;
	read_state(v, &s);
	return can_put(v, &s, v->item_size ? 1 : t->n + FL__SHM_FRAME_HEADER) != -EAGAIN || s.used > v->size;
}

static bool may_get(const void *arg)
{
	const struct transfer *t = arg;
	struct state s;
	read_state(t->view, &s);
	return can_get(&s) != -EAGAIN;
}

static int perform(const struct fl__shm_op *op, int64_t deadline, fl_cancel *cancel)
{
	if (deadline != FL__SHM_TRY)
		return fl__shm_await(op, deadline, cancel);
	int rc = fl__shm_attempt(op);
	return rc == -ETIMEDOUT ? -EBUSY : rc;
}

static int await_put(struct transfer *t, int (*attempt)(void *arg), int64_t deadline, fl_cancel *cancel)
{
	struct fl__shm_ring *r = t->view->ring;
	const struct fl__shm_op op = {&r->lock, &r->space, attempt, may_put, t, false};
	return perform(&op, deadline, cancel);
}

static int await_get(struct transfer *t, int (*attempt)(void *arg), int64_t deadline, fl_cancel *cancel)
{
	struct fl__shm_ring *r = t->view->ring;
	const struct fl__shm_op op = {&r->lock, &r->items, attempt, may_get, t, false};
	return perform(&op, deadline, cancel);
}

int fl__shm_ring_put(struct fl__shm_view *v, const void *items, size_t n, size_t *count, int64_t deadline,
                     fl_cancel *cancel)
{
	struct transfer t = {.view = v, .from = items, .n = n};
	if (v->item_size == 0)
		return -EINVAL;
	int rc = await_put(&t, attempt_put, deadline, cancel);
	if (rc == 0)
		*count = t.moved;
	return rc;
}

int fl__shm_ring_get(struct fl__shm_view *v, void *items, size_t n, size_t *count, int64_t deadline, fl_cancel *cancel)
{
	struct transfer t = {.view = v, .to = items, .n = n};
	if (v->item_size == 0)
		return -EINVAL;
	int rc = await_get(&t, attempt_get, deadline, cancel);
	if (rc == 0)
		*count = t.moved;
	return rc;
}

int fl__shm_ring_put_frame(struct fl__shm_view *v, const void *frame, size_t size, int64_t deadline, fl_cancel *cancel)
{
	struct transfer t = {.view = v, .from = frame, .n = size};
	if (v->item_size != 0)
		return -EINVAL;
	if (v->size < FL__SHM_FRAME_HEADER || size > v->size - FL__SHM_FRAME_HEADER)
		return -EMSGSIZE;
	return await_put(&t, attempt_put_frame, deadline, cancel);
}

int fl__shm_ring_get_frame(struct fl__shm_view *v, void *frame, size_t room, size_t *size, int64_t deadline,
                           fl_cancel *cancel)
{
	struct transfer t = {.view = v, .to = frame, .n = room};
	if (v->item_size != 0)
		return -EINVAL;
	int rc = await_get(&t, attempt_get_frame, deadline, cancel);
	if (rc == 0 || rc == -EMSGSIZE)
		*size = t.moved;
	return rc;
}

/* Closing. */

/* For what never waits for others: only a stopped one, or damage, keeps it so long. */
static int enter(struct fl__shm_ring *r, struct fl__shm_held *held)
{
	int rc = fl__shm_enter(&r->lock, held, fl__sys.now() + FL__SHM_PATIENCE);
	return rc == -ETIMEDOUT ? -EBUSY : rc == -EDEADLK ? -EBADMSG : rc;
}

int fl__shm_ring_close(struct fl__shm_view *v, bool drop, size_t *dropped)
{
	struct fl__shm_ring *r = v->ring;
	struct fl__shm_held held;
	struct state s;
	int rc = enter(r, &held);
	if (rc != 0)
		return rc;
	rc = look_at(v, &s);
	uint32_t wanted = drop ? FL__SHM_DROPPED : FL__SHM_CLOSED;
	uint32_t left = s.closed == FL__SHM_DROPPED ? 0 : s.in.count - s.out.count;
	if (rc == 0 && s.closed < wanted) {
		fl__shm_announce(&r->items);
		fl__shm_announce(&r->space);
		if (drop)
			fl__shm_announce(&r->done);
		fl__store_relaxed(&r->closed, wanted); /* relaxed: the lock orders it, and so the rest */
		fl__shm_announced(&r->items, INT32_MAX);
		fl__shm_announced(&r->space, INT32_MAX);
		if (drop)
			fl__shm_announced(&r->done, INT32_MAX);
	}
	fl__shm_leave(&r->lock, &held);
	if (rc == 0 && drop)
		*dropped = left;
	return rc;
}

/* Joining. */

/* How many are not dealt with. */
static uint32_t unfinished(const struct state *s, uint32_t dones)
{
	return (s->closed == FL__SHM_DROPPED ? s->out.count : s->in.count) - dones;
}

/* Under the lock. */
static int count_done(const struct fl__shm_view *v)
{
	struct fl__shm_ring *r = v->ring;
	struct state s;
	int rc = look_at(v, &s);
	if (rc != 0)
		return rc;
	uint32_t dones = fl__load_relaxed(&r->dones); /* relaxed: under the lock, as all here */
	if (s.out.count == dones)
		return -EINVAL;
	bool last = unfinished(&s, dones) == 1;
	if (last)
		fl__shm_announce(&r->done);
	fl__store_relaxed(&r->dones, dones + 1);
	if (last)
		fl__shm_announced(&r->done, INT32_MAX);
	return 0;
}

int fl__shm_ring_task_done(struct fl__shm_view *v)
{
	struct fl__shm_held held;
	int rc = enter(v->ring, &held);
	if (rc != 0)
		return rc;
	rc = count_done(v);
	fl__shm_leave(&v->ring->lock, &held);
	return rc;
}

static int attempt_join(void *arg)
{
	const struct fl__shm_view *v = arg;
	struct state s;
	int rc = look_at(v, &s);
	if (rc != 0)
		return rc;
	return unfinished(&s, fl__load_relaxed(&v->ring->dones)) == 0 ? 0 : -EAGAIN; /* relaxed: under the lock */
}

static bool may_join(const void *arg)
{
	const struct fl__shm_view *v = arg;
	struct state s;
	uint32_t dones = fl__load_relaxed(&v->ring->dones); /* relaxed: a guess */
	read_state(v, &s);
	return unfinished(&s, dones) == 0;
}

int fl__shm_ring_join(struct fl__shm_view *v, int64_t deadline, fl_cancel *cancel)
{
	struct fl__shm_ring *r = v->ring;
	const struct fl__shm_op op = {&r->lock, &r->done, attempt_join, may_join, v, true};
	return perform(&op, deadline, cancel);
}

/* Looking. */

size_t fl__shm_ring_length(const struct fl__shm_view *v)
{
	struct state s;
	read_state(v, &s);
	if (s.closed == FL__SHM_DROPPED)
		return 0;
	uint32_t length = s.in.count - s.out.count;
	return length <= v->size ? length : v->size; /* `in` was read later */
}

bool fl__shm_ring_is_closed(const struct fl__shm_view *v)
{
	return fl__load_relaxed(&v->ring->closed) != FL__SHM_OPEN; /* relaxed: a look */
}

/* Readiness: an attempt that changes nothing. How large the next frame will be is not known: an empty one is the least. */

static size_t least(const struct fl__shm_view *v)
{
	return v->item_size ? 1 : FL__SHM_FRAME_HEADER;
}

static int attempt_nothing_in(void *arg)
{
	const struct transfer *t = arg;
	struct state s;
	int rc = look_at(t->view, &s);
	return rc == 0 ? can_put(t->view, &s, least(t->view)) : rc;
}

static int attempt_nothing_out(void *arg)
{
	const struct transfer *t = arg;
	struct state s;
	int rc = look_at(t->view, &s);
	return rc == 0 ? can_get(&s) : rc;
}

static struct fl__shm_op readiness(struct transfer *t, bool space)
{
	struct fl__shm_ring *r = t->view->ring;
	if (space)
		return (struct fl__shm_op){&r->lock, &r->space, attempt_nothing_in, may_put, t, false};
	return (struct fl__shm_op){&r->lock, &r->items, attempt_nothing_out, may_get, t, false};
}

bool fl__shm_ring_ready(struct fl__shm_view *v, bool space)
{
	struct transfer t = {.view = v};
	const struct fl__shm_op op = readiness(&t, space);
	int rc = fl__shm_attempt(&op);
	return rc != -EAGAIN && rc != -ETIMEDOUT;
}

bool fl__shm_ring_arm(struct fl__shm_view *v, bool space, struct fl__node *node)
{
	struct transfer t = {.view = v};
	const struct fl__shm_op op = readiness(&t, space);
	return fl__shm_line_arm(&op, node);
}
