/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The queue is a ring of items or frames in a region. Any process may be killed at any instruction.
 *
 *   word      meaning                                 set by                      how
 *   in        position of the next put; count of      a put                       one store: the
 *             puts                                                                commit
 *   out       position of the next get; count of      a get                       one store: the
 *             gets                                                                commit
 *   dones     how many gets are done                  task_done                   one store
 *   closed    1: no more puts; 2: also, the contents  close, close_now; never     one store
 *             are dropped                             cleared
 *   data      items, or frames                        a put, in free space; the   before the
 *                                                     contents do not change      commit
 *                                                     until a get commits
 *
 * fl__shm_queue_make() writes the first values, before another process uses the ring. A position is
 * below twice the ring's size, so a full ring and an empty ring differ. Counts wrap at 2^32.
 *
 * Invariants, before and after each instruction of each process:
 *   1. The ring's contents lie from out's position to in's: at most its size, in whole frames.
 *   2. puts - gets is the number of items or frames in the ring. One store of 64 bits changes a
 *      position together with its count.
 *   3. gets - dones is the number that were got and are not done. All are done when dones has
 *      reached puts; after close_now, when dones has reached gets.
 *   4. `lock` guards all words, and orders their accesses. A thread that does not hold it uses the
 *      words only as a hint. So accesses to them are relaxed, except where a comment says why not.
 *   5. The linearization point of an operation is its commit. An operation without a commit takes
 *      effect at a moment under the lock.
 *
 * Kills. An operation that is killed before its commit has not happened: a put has written to free
 * space, and a get has copied to memory that does not count. An operation that is killed after its
 * commit has happened. Nothing needs repair. Waiters are woken before the commit, in the wait
 * queues of this table:
 *
 *   put                items                     close, close_now   items, space, done
 *   get                space                     task_done, last    done
 *
 * An operation under the lock returns -EBADMSG if in, out and closed, or the header of a frame,
 * have impossible values. `dones` is not checked, because a wrong value only makes a join wait or
 * return early, or a task_done fail. The ring's size and address come from the private handle, so
 * no access leaves the ring.
 *
 * Frames are for programs that come from Python with a JoinableQueue of objects of any size. A pipe
 * would have no `task_done()` and no bound that its user chooses, and a queue of allocated blocks
 * would lose a block with each process that is killed.
 */
#include "shm_queue.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "shm_region.h"
#include <errno.h>
#include <fairlead/time.h>
#include <string.h>

#define SHM_QUEUE_MAGIC 0x716c6673u /* "sflq" */
enum { SHM_QUEUE_VERSION = 1 };

int fl__shm_queue_bytes(size_t item_size, size_t size, size_t *bytes)
{
	size_t data;
	if (size == 0)
		return -EINVAL;
	if (size > FL__SHM_RING_MOST || __builtin_mul_overflow(size, item_size ? item_size : 1, &data) ||
	    data > PTRDIFF_MAX - sizeof(struct fl__shm_ring))
		return -EOVERFLOW;
	*bytes = data + sizeof(struct fl__shm_ring);
	return 0;
}

static fl_shm_queue shm_queue_of(struct fl__shm_ring *r, size_t item_size, uint32_t size)
{
	return (fl_shm_queue){.ring = r, .data = (unsigned char *)(r + 1), .item_size = item_size, .size = size};
}

fl_shm_queue fl__shm_queue_make(void *memory, size_t item_size, uint32_t size, uint32_t start)
{
	struct fl__shm_ring *r = memory;
	/* A process that still refers to an older ring at this place finds no magic number. */
	fl__store_relaxed(&r->magic, 0);
	fl__in_program_order(); /* if the process is killed here, there is no queue */
	memset(r, 0, offsetof(struct fl__shm_ring, magic));
	r->in = r->out = (uint64_t)start << 32 | start % (2 * size);
	r->dones = start;
	r->item_size = item_size;
	r->size = size;
	r->version = SHM_QUEUE_VERSION;
	/* release: pairs with the acquire in fl__shm_queue_find(), and publishes the whole ring */
	fl__store_release(&r->magic, SHM_QUEUE_MAGIC);
	return shm_queue_of(r, item_size, size);
}

int fl__shm_queue_find(fl_shm_queue *q, void *memory, size_t *bytes)
{
	struct fl__shm_ring *r = memory;
	if ((uintptr_t)memory % FL__SHM_RING_ALIGN != 0)
		return -EBADMSG;
	/* acquire: pairs with the release in fl__shm_queue_make() */
	if (fl__load_acquire(&r->magic) != SHM_QUEUE_MAGIC)
		return -EBADMSG;
	/*
	 * relaxed, all loads: the words were written before the magic. Each is read once, because
	 * another process may overwrite it.
	 */
	if (fl__load_relaxed(&r->version) != SHM_QUEUE_VERSION)
		return -EPROTONOSUPPORT;
	uint64_t item_size = fl__load_relaxed(&r->item_size);
	uint32_t size = fl__load_relaxed(&r->size);
	if (item_size > PTRDIFF_MAX || fl__shm_queue_bytes((size_t)item_size, size, bytes) != 0)
		return -EBADMSG;
	*q = shm_queue_of(r, (size_t)item_size, size);
	return 0;
}

struct shm_queue_mark {
	uint32_t position, count;
};

static struct shm_queue_mark shm_queue_unpack(uint64_t word)
{
	return (struct shm_queue_mark){(uint32_t)word, (uint32_t)(word >> 32)};
}

static uint64_t shm_queue_pack(struct shm_queue_mark m)
{
	return (uint64_t)m.count << 32 | m.position;
}

/* Moves a position on by `n`, which is at most the ring's size, and its count by `count`. */
static struct shm_queue_mark shm_queue_advance(const fl_shm_queue *q, struct shm_queue_mark m, uint32_t n,
                                               uint32_t count)
{
	uint64_t position = (uint64_t)m.position + n;
	uint64_t round = 2 * (uint64_t)q->size;
	return (struct shm_queue_mark){(uint32_t)(position < round ? position : position - round), m.count + count};
}

static uint32_t shm_queue_index(const fl_shm_queue *q, uint32_t position)
{
	return position < q->size ? position : position - q->size;
}

/* The state of the ring, each word read once. */
struct shm_queue_state {
	struct shm_queue_mark in, out;
	uint32_t used;   /* in items or bytes */
	uint32_t closed; /* FL__SHM_OPEN, FL__SHM_CLOSED, FL__SHM_DROPPED */
};

static bool shm_queue_is_possible(const fl_shm_queue *q, const struct shm_queue_state *s)
{
	uint32_t length = s->in.count - s->out.count;
	if (s->in.position >= 2 * q->size || s->out.position >= 2 * q->size || s->used > q->size ||
	    s->closed > FL__SHM_DROPPED)
		return false;
	if (q->item_size)
		return length == s->used;
	return (length == 0) == (s->used == 0) && (uint64_t)length * FL__SHM_FRAME_HEADER <= s->used;
}

static void shm_queue_read_state(const fl_shm_queue *q, struct shm_queue_state *s)
{
	/* acquire: loads `in` after `out`, so that the ring looks fuller rather than emptier */
	s->out = shm_queue_unpack(fl__load_acquire(&q->ring->out));
	s->in = shm_queue_unpack(fl__load_relaxed(&q->ring->in));
	s->closed = fl__load_relaxed(&q->ring->closed);
	uint32_t ahead = s->in.position - s->out.position;
	s->used = s->in.position >= s->out.position ? ahead : ahead + 2 * q->size;
}

static int shm_queue_check_state(const fl_shm_queue *q, struct shm_queue_state *s)
{
	shm_queue_read_state(q, s);
	return shm_queue_is_possible(q, s) ? 0 : -EBADMSG;
}

/* The data. */

/* Both functions copy `n` units of `width` bytes. */
static void shm_queue_copy_in(const fl_shm_queue *q, uint32_t position, const unsigned char *from, uint32_t n,
                              size_t width)
{
	uint32_t at = shm_queue_index(q, position), to_end = q->size - at;
	uint32_t first = FL__MIN(n, to_end);
	if (first > 0) /* the address of a frame without bytes may be NULL */
		fl__copy(q->data + at * width, from, first * width);
	if (n > first)
		fl__copy(q->data, from + first * width, (n - first) * width);
}

static void shm_queue_copy_out(const fl_shm_queue *q, uint32_t position, unsigned char *to, uint32_t n, size_t width)
{
	uint32_t at = shm_queue_index(q, position), to_end = q->size - at;
	uint32_t first = FL__MIN(n, to_end);
	if (first > 0)
		fl__copy(to, q->data + at * width, first * width);
	if (n > first)
		fl__copy(to + first * width, q->data, (n - first) * width);
}

/* Commits a put. `before` is the state before the commit. */
static void shm_queue_commit_put(struct fl__shm_ring *r, const struct shm_queue_state *before, struct shm_queue_mark in)
{
	fl__shm_wake_before_commit(&r->items);
	/* release: the data are written before, even if the process is then killed */
	fl__store_release(&r->in, shm_queue_pack(in));
	fl__shm_wake_after_commit(&r->items, in.count - before->out.count - 1);
}

static void shm_queue_commit_get(const fl_shm_queue *q, const struct shm_queue_state *before, struct shm_queue_mark out)
{
	struct fl__shm_ring *r = q->ring;
	uint32_t got = out.count - before->out.count;
	fl__shm_wake_before_commit(&r->space);
	/* release: the copy is done before, to memory that may outlive a killed process */
	fl__store_release(&r->out, shm_queue_pack(out));
	/*
	 * In a ring of items, this wakes as many waiters as can put. In a ring of frames it wakes
	 * all, because the first may need the most space.
	 */
	fl__shm_wake_after_commit(&r->space, q->item_size ? q->size - before->used + got - 1 : INT32_MAX);
}

/* A put, a get, or a check whether a put or a get could be done now. */
struct shm_queue_transfer {
	const fl_shm_queue *queue;
	bool puts; /* true for a put, false for a get */
	/*
	 * Copies the data and commits. Called under the lock, when a put has the space that it
	 * needs, or a get has an item. NULL if the transfer only looks.
	 */
	int (*move)(struct shm_queue_transfer *t, const struct shm_queue_state *s);
	const unsigned char *from;
	unsigned char *to;
	/* the number of items; or the size of the frame, or of the buffer for it */
	size_t n;
	size_t moved; /* the number of items; or the size of the frame that a get has found */
};

static int shm_queue_put_items(struct shm_queue_transfer *t, const struct shm_queue_state *s)
{
	const fl_shm_queue *q = t->queue;
	uint32_t space = q->size - s->used;
	uint32_t n = (uint32_t)FL__MIN(t->n, space);
	shm_queue_copy_in(q, s->in.position, t->from, n, q->item_size);
	shm_queue_commit_put(q->ring, s, shm_queue_advance(q, s->in, n, n));
	t->moved = n;
	return 0;
}

static int shm_queue_get_items(struct shm_queue_transfer *t, const struct shm_queue_state *s)
{
	const fl_shm_queue *q = t->queue;
	uint32_t n = (uint32_t)FL__MIN(t->n, s->used);
	shm_queue_copy_out(q, s->out.position, t->to, n, q->item_size);
	shm_queue_commit_get(q, s, shm_queue_advance(q, s->out, n, n));
	t->moved = n;
	return 0;
}

static int shm_queue_put_frame(struct shm_queue_transfer *t, const struct shm_queue_state *s)
{
	const fl_shm_queue *q = t->queue;
	uint32_t size = (uint32_t)t->n;
	unsigned char header[FL__SHM_FRAME_HEADER];
	memcpy(header, &size, sizeof header);
	shm_queue_copy_in(q, s->in.position, header, sizeof header, 1);
	shm_queue_copy_in(q, shm_queue_advance(q, s->in, sizeof header, 0).position, t->from, size, 1);
	shm_queue_commit_put(q->ring, s, shm_queue_advance(q, s->in, size + FL__SHM_FRAME_HEADER, 1));
	return 0;
}

static int shm_queue_get_frame(struct shm_queue_transfer *t, const struct shm_queue_state *s)
{
	const fl_shm_queue *q = t->queue;
	unsigned char header[FL__SHM_FRAME_HEADER] = {0}; /* for gcc 13, which does not see that it is filled */
	uint32_t size;
	shm_queue_copy_out(q, s->out.position, header, sizeof header, 1);
	memcpy(&size, header, sizeof size);
	/* shm_queue_is_possible() has made sure that there is a header */
	if (size > s->used - sizeof header)
		return -EBADMSG;
	t->moved = size;
	if (size > t->n)
		return -EMSGSIZE;
	shm_queue_copy_out(q, shm_queue_advance(q, s->out, sizeof header, 0).position, t->to, size, 1);
	shm_queue_commit_get(q, s, shm_queue_advance(q, s->out, size + FL__SHM_FRAME_HEADER, 1));
	return 0;
}

/*
 * Returns 0 if the transfer can be done, -EAGAIN if it must wait, or -EPIPE if it can never be
 * done. A put that only looks asks for the space of an empty frame.
 */
static int shm_queue_can_move(const struct shm_queue_transfer *t, const struct shm_queue_state *s)
{
	const fl_shm_queue *q = t->queue;
	/* items that close_now has dropped cannot be got */
	if (!t->puts && s->closed != FL__SHM_DROPPED && s->used > 0)
		return 0;
	if (s->closed != FL__SHM_OPEN)
		return -EPIPE;
	const size_t needed = q->item_size ? 1 : t->n + FL__SHM_FRAME_HEADER;
	return t->puts && needed <= q->size - s->used ? 0 : -EAGAIN;
}

/* Called under the lock. */
static int shm_queue_attempt(void *arg)
{
	struct shm_queue_transfer *t = arg;
	struct shm_queue_state s;
	int rc = shm_queue_check_state(t->queue, &s);
	if (rc == 0)
		rc = shm_queue_can_move(t, &s);
	return rc == 0 && t->move ? t->move(t, &s) : rc;
}

/* Called without the lock. */
static bool shm_queue_may_move(const void *arg)
{
	const struct shm_queue_transfer *t = arg;
	struct shm_queue_state s;
	shm_queue_read_state(t->queue, &s);
	/* the state is impossible, or mixes two moments: the attempt under the lock finds out */
	return s.used > t->queue->size || shm_queue_can_move(t, &s) != -EAGAIN;
}

static struct fl__shm_op shm_queue_op(struct shm_queue_transfer *t)
{
	struct fl__shm_ring *r = t->queue->ring;
	return (struct fl__shm_op){&r->lock, t->puts ? &r->space : &r->items, shm_queue_attempt, shm_queue_may_move, t,
	                           false};
}

static int shm_queue_transfer(struct shm_queue_transfer *t, fl_time deadline, fl_cancel_token *cancel)
{
	const struct fl__shm_op op = shm_queue_op(t);
	return fl__shm_await(&op, deadline, cancel);
}

int fl__shm_queue_put_some(fl_shm_queue *q, const void *items, size_t n, size_t *count, fl_time deadline,
                           fl_cancel_token *cancel)
{
	struct shm_queue_transfer t = {.queue = q, .puts = true, .move = shm_queue_put_items, .from = items, .n = n};
	*count = 0;
	if (q->item_size == 0)
		return -EINVAL;
	int rc = shm_queue_transfer(&t, deadline, cancel);
	*count = t.moved;
	return rc;
}

static int shm_queue_get_some(fl_shm_queue *q, void *items, size_t n, size_t *count, fl_time deadline,
                              fl_cancel_token *cancel)
{
	struct shm_queue_transfer t = {.queue = q, .move = shm_queue_get_items, .to = items, .n = n};
	if (q->item_size == 0)
		return -EINVAL;
	int rc = shm_queue_transfer(&t, deadline, cancel);
	*count = t.moved;
	return rc;
}

int fl_shm_queue_put_until(fl_shm_queue *q, const void *item, fl_time deadline, fl_cancel_token *cancel)
{
	size_t one;
	return fl__shm_queue_put_some(q, item, 1, &one, deadline, cancel);
}

int fl_shm_queue_get_until(fl_shm_queue *q, void *item, fl_time deadline, fl_cancel_token *cancel)
{
	size_t one;
	return shm_queue_get_some(q, item, 1, &one, deadline, cancel);
}

int fl_shm_queue_put_many_until(fl_shm_queue *q, const void *items, size_t n, size_t *count, fl_time deadline,
                                fl_cancel_token *cancel)
{
	const unsigned char *next = items;
	int rc = 0;
	size_t put;
	for (*count = 0; rc == 0 && *count < n; *count += put)
		rc = fl__shm_queue_put_some(q, next + *count * q->item_size, n - *count, &put, deadline, cancel);
	return rc;
}

int fl_shm_queue_get_many_until(fl_shm_queue *q, void *items, size_t n, size_t *count, fl_time deadline,
                                fl_cancel_token *cancel)
{
	*count = 0;
	return n > 0 ? shm_queue_get_some(q, items, n, count, deadline, cancel) : 0;
}

int fl_shm_queue_put_frame_until(fl_shm_queue *q, const void *frame, size_t size, fl_time deadline,
                                 fl_cancel_token *cancel)
{
	struct shm_queue_transfer t = {.queue = q, .puts = true, .move = shm_queue_put_frame, .from = frame, .n = size};
	if (q->item_size != 0)
		return -EINVAL;
	if (q->size < FL__SHM_FRAME_HEADER || size > q->size - FL__SHM_FRAME_HEADER)
		return -EMSGSIZE;
	return shm_queue_transfer(&t, deadline, cancel);
}

int fl_shm_queue_get_frame_until(fl_shm_queue *q, void *buffer, size_t room, size_t *size, fl_time deadline,
                                 fl_cancel_token *cancel)
{
	struct shm_queue_transfer t = {.queue = q, .move = shm_queue_get_frame, .to = buffer, .n = room};
	if (q->item_size != 0)
		return -EINVAL;
	int rc = shm_queue_transfer(&t, deadline, cancel);
	if (rc == 0 || rc == -EMSGSIZE)
		*size = t.moved;
	return rc;
}

/* Closing. */

/* Enters the monitor, for an operation that waits only for the lock. */
static int shm_queue_enter(struct fl__shm_ring *r, struct fl__shm_held *held)
{
	return fl__shm_enter(&r->lock, held, fl_after(FL__SHM_MONITOR_TIMEOUT));
}

/*
 * Closes the ring. Stores in *left how many items or frames it had, or 0 if an earlier close has
 * dropped them.
 */
static int shm_queue_close(fl_shm_queue *q, uint32_t wanted, size_t *left)
{
	struct fl__shm_ring *r = q->ring;
	struct fl__shm_held held;
	struct shm_queue_state s;
	int rc = shm_queue_enter(r, &held);
	if (rc != 0)
		return rc;
	rc = shm_queue_check_state(q, &s);
	if (rc == 0 && s.closed < wanted) {
		fl__shm_wake_before_commit(&r->items);
		fl__shm_wake_before_commit(&r->space);
		fl__shm_wake_before_commit(&r->done);
		fl__store_relaxed(&r->closed, wanted);
		fl__shm_wake_after_commit(&r->items, INT32_MAX);
		fl__shm_wake_after_commit(&r->space, INT32_MAX);
		fl__shm_wake_after_commit(&r->done, INT32_MAX);
	}
	fl__shm_leave(&r->lock, &held);
	if (rc == 0)
		*left = s.closed == FL__SHM_DROPPED ? 0 : s.in.count - s.out.count;
	return rc;
}

int fl_shm_queue_close(fl_shm_queue *q)
{
	size_t left;
	return shm_queue_close(q, FL__SHM_CLOSED, &left);
}

int fl_shm_queue_close_now(fl_shm_queue *q, size_t *dropped)
{
	size_t ignored;
	return shm_queue_close(q, FL__SHM_DROPPED, dropped ? dropped : &ignored);
}

/* Joining. */

/* Returns how many items or frames are not done. */
static uint32_t shm_queue_unfinished(const struct shm_queue_state *s, uint32_t dones)
{
	return (s->closed == FL__SHM_DROPPED ? s->out.count : s->in.count) - dones;
}

/* Called under the lock. */
static int shm_queue_count_done(const fl_shm_queue *q)
{
	struct fl__shm_ring *r = q->ring;
	struct shm_queue_state s;
	int rc = shm_queue_check_state(q, &s);
	if (rc != 0)
		return rc;
	uint32_t dones = fl__load_relaxed(&r->dones);
	if (s.out.count == dones)
		return -EINVAL;
	bool last = shm_queue_unfinished(&s, dones) == 1;
	if (last)
		fl__shm_wake_before_commit(&r->done);
	fl__store_relaxed(&r->dones, dones + 1);
	if (last)
		fl__shm_wake_after_commit(&r->done, INT32_MAX);
	return 0;
}

int fl_shm_queue_task_done(fl_shm_queue *q)
{
	struct fl__shm_held held;
	int rc = shm_queue_enter(q->ring, &held);
	if (rc != 0)
		return rc;
	rc = shm_queue_count_done(q);
	fl__shm_leave(&q->ring->lock, &held);
	return rc;
}

static int shm_queue_attempt_join(void *arg)
{
	const fl_shm_queue *q = arg;
	struct shm_queue_state s;
	int rc = shm_queue_check_state(q, &s);
	if (rc != 0)
		return rc;
	return shm_queue_unfinished(&s, fl__load_relaxed(&q->ring->dones)) == 0 ? 0 : -EAGAIN;
}

static bool shm_queue_may_join(const void *arg)
{
	const fl_shm_queue *q = arg;
	struct shm_queue_state s;
	uint32_t dones = fl__load_relaxed(&q->ring->dones);
	shm_queue_read_state(q, &s);
	return shm_queue_unfinished(&s, dones) == 0;
}

int fl_shm_queue_join_until(fl_shm_queue *q, fl_time deadline, fl_cancel_token *cancel)
{
	struct fl__shm_ring *r = q->ring;
	const struct fl__shm_op op = {&r->lock, &r->done, shm_queue_attempt_join, shm_queue_may_join, q, true};
	return fl__shm_await(&op, deadline, cancel);
}

/* State. */

size_t fl_shm_queue_length(const fl_shm_queue *q)
{
	struct shm_queue_state s;
	shm_queue_read_state(q, &s);
	if (s.closed == FL__SHM_DROPPED)
		return 0;
	uint32_t length = s.in.count - s.out.count;
	/*
	 * the difference exceeds the size if gets and puts came between the loads of `out` and `in`
	 */
	return FL__MIN(length, q->size);
}

size_t fl_shm_queue_capacity(const fl_shm_queue *q)
{
	return q->size;
}

size_t fl_shm_queue_item_size(const fl_shm_queue *q)
{
	return q->item_size;
}

/* To learn whether the queue is ready, a transfer only looks. */

static bool shm_queue_is_ready(const fl_shm_queue *q, bool space)
{
	struct shm_queue_transfer t = {.queue = q, .puts = space};
	int rc = shm_queue_transfer(&t, FL__TRY, NULL);
	return rc != -EAGAIN && rc != -ETIMEDOUT;
}

static bool shm_queue_arm(const fl_shm_queue *q, bool space, struct fl__node *node)
{
	struct shm_queue_transfer t = {.queue = q, .puts = space};
	const struct fl__shm_op op = shm_queue_op(&t);
	return fl__shm_wait_arm(&op, node);
}

static bool shm_queue_items_ready(void *q)
{
	return shm_queue_is_ready(q, false);
}

static bool shm_queue_items_arm(void *q, struct fl__node *node)
{
	return shm_queue_arm(q, false, node);
}

static bool shm_queue_space_ready(void *q)
{
	return shm_queue_is_ready(q, true);
}

static bool shm_queue_space_arm(void *q, struct fl__node *node)
{
	return shm_queue_arm(q, true, node);
}

const fl_on_type fl__on_shm_queue = {shm_queue_items_ready, shm_queue_items_arm, fl__bridge_disarm, NULL};
const fl_on_type fl__on_shm_queue_space = {shm_queue_space_ready, shm_queue_space_arm, fl__bridge_disarm, NULL};

/* Creation and destruction. */

enum { SHM_QUEUE_CAPACITY_DEFAULT = 1024 };

/* Returns the ring's size according to `config`, or 0 if the config is invalid. */
static size_t shm_queue_ring_size(const fl_shm_queue_config *config)
{
	if (!config || (config->item_size == 0) == (config->frame_bytes == 0))
		return 0;
	if (config->frame_bytes > 0)
		return config->capacity == 0 ? config->frame_bytes : 0;
	return config->capacity ? config->capacity : SHM_QUEUE_CAPACITY_DEFAULT;
}

int fl_shm_queue_create(fl_shm_queue **made, fl_shm *region, const fl_shm_queue_config *config)
{
	size_t size = shm_queue_ring_size(config);
	size_t bytes;
	void *memory;
	if (size == 0)
		return -EINVAL;
	int rc = fl__shm_queue_bytes(config->item_size, size, &bytes);
	if (rc != 0)
		return rc;
	fl_shm_queue *q = fl__alloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	rc = fl__shm_try_alloc(region, bytes, &memory);
	if (rc != 0) {
		fl__free(q);
		return rc;
	}
	*q = fl__shm_queue_make(memory, config->item_size, (uint32_t)size, 0);
	q->region = region;
	*made = q;
	return 0;
}

int fl_shm_queue_attach(fl_shm_queue **made, fl_shm *region, fl_shm_offset offset)
{
	fl_shm_queue found;
	size_t bytes;
	if (!fl_shm_is_writable(region))
		return -EROFS;
	void *memory = fl_shm_at(region, offset, sizeof(struct fl__shm_ring));
	if (!memory)
		return -EBADMSG;
	int rc = fl__shm_queue_find(&found, memory, &bytes);
	if (rc != 0)
		return rc;
	if (!fl_shm_at(region, offset, bytes))
		return -EBADMSG;
	fl_shm_queue *q = fl__alloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	*q = found;
	q->region = region;
	*made = q;
	return 0;
}

fl_shm_offset fl_shm_queue_offset(const fl_shm_queue *q)
{
	return fl_shm_offset_of(q->region, q->ring);
}

void fl_shm_queue_free(fl_shm_queue *q)
{
	if (q)
		fl__hook_ends(q);
	fl__free(q);
}

void fl_shm_queue_destroy(fl_shm_queue *q)
{
	if (!q)
		return;
	fl__hook_ends(q);
	fl__store_relaxed(&q->ring->magic, 0); /* relaxed: no other process uses the ring */
	fl_shm_block_free(q->region, q->ring);
	fl__free(q);
}
