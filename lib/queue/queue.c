/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bounded queue: the blocking façade around a ring (ring.h), which another core may replace.
 *
 * Everything is guarded by `lock`, the lines too. Who cannot go on waits in one of three: `items` (empty), `space` (full),
 * `done` (somebody joins).
 *
 * Invariants
 *   1. Linearization: every operation, at a moment while it holds the lock.
 *   2. No stranded waiter: as many contexts are on their way out of `items` (woken, not yet back under the lock) as there
 *      are items, or nobody stands in line; likewise `space`. Each item that comes in gives one signal. A context that is
 *      woken takes an item, or finds that others took all; one that gives up was not woken, and takes what is there.
 *      Close wakes everybody.
 *   3. Signals are given with the lock held. So the unlock is an operation's last access, and whoever got the last item
 *      may free the queue while its producer is still returning.
 *   4. Once the queue is closed nobody writes the ring; once it is closed and empty nobody reads it. So close_now() and
 *      free() drop the items in place, without the lock: what they drop they have first taken out of `length`.
 *   5. `unfinished` counts the items put and not done, `dropping` those that are being dropped: both are zero when all is
 *      dealt with, and the drop callbacks have returned.
 */
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/line.h"
#include "ring.h"
#include <errno.h>
#include <fairlead/mutex.h>
#include <fairlead/queue.h>

enum { CAPACITY_DEFAULT = 1024 };

struct fl_queue {
	fl_mutex lock;
	struct fl__line items, space, done;
	struct fl__ring ring;
	size_t unfinished, dropping;
	size_t inside; /* contexts that wait, or are on their way out of a wait */
	void (*drop)(void *item, void *drop_arg);
	void *drop_arg;
	bool closed;
};

/* Life. */

int fl_queue_create(fl_queue **made, size_t item_size, const fl_queue_config *config)
{
	static const fl_queue_config defaults;
	if (!config)
		config = &defaults;
	size_t capacity = config->capacity ? config->capacity : CAPACITY_DEFAULT;
	size_t bytes;
	if (item_size == 0 || config->order != FL_FIFO)
		return -EINVAL;
	if (__builtin_mul_overflow(capacity, item_size, &bytes) || bytes > PTRDIFF_MAX)
		return -EOVERFLOW;
	fl_queue *q = fl__alloc(1, sizeof *q);
	if (!q)
		return -ENOMEM;
	q->ring.slots = fl__alloc(1, bytes);
	if (!q->ring.slots) {
		fl__free(q);
		return -ENOMEM;
	}
	q->ring.item_size = item_size;
	q->ring.capacity = capacity;
	q->drop = config->drop;
	q->drop_arg = config->drop_arg;
	*made = q;
	return 0;
}

static void queue_drop(fl_queue *q, size_t head, size_t n)
{
	if (!q->drop)
		return;
	for (; n > 0; n--) {
		q->drop(fl__ring_slot(&q->ring, head), q->drop_arg);
		head = head + 1 < q->ring.capacity ? head + 1 : 0;
	}
}

void fl_queue_free(fl_queue *q)
{
	if (!q)
		return;
	fl_mutex_lock(&q->lock);
	bool awaited = q->inside > 0 || fl__line_is_waited(&q->items) || fl__line_is_waited(&q->space);
	fl_mutex_unlock(&q->lock);
	if (awaited)
		fl__panic("fl_queue_free", q, "somebody waits on it");
	queue_drop(q, q->ring.head, q->ring.length);
	fl__free(q->ring.slots);
	fl__free(q);
}

/* Waiting. */

static int queue_wait(fl_queue *q, struct fl__line *line, int64_t deadline, fl_cancel *cancel)
{
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__node node = FL__NODE(&wait);
	fl__line_add(line, &node);
	q->inside++;
	fl_mutex_unlock(&q->lock);
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	fl_mutex_lock(&q->lock);
	q->inside--;
	if (rc != 0)
		fl__line_remove(line, &node);
	return rc;
}

/* Each of the three: 0 when the operation can be done now, -EAGAIN when it must wait, else an error. Under the lock. */
static int queue_can_put(const fl_queue *q)
{
	if (q->closed)
		return -EPIPE;
	return fl__ring_space(&q->ring) > 0 ? 0 : -EAGAIN;
}

static int queue_can_get(const fl_queue *q)
{
	if (q->ring.length > 0)
		return 0;
	return q->closed ? -EPIPE : -EAGAIN;
}

static int queue_can_join(const fl_queue *q)
{
	return q->unfinished == 0 && q->dropping == 0 ? 0 : -EAGAIN;
}

__attribute__((noinline, cold)) static int queue_await_slow(fl_queue *q, int (*can)(const fl_queue *q),
                                                            struct fl__line *line, int64_t deadline, fl_cancel *cancel)
{
	int waited = 0, rc = -EAGAIN;
	while (rc == -EAGAIN && waited == 0) {
		waited = queue_wait(q, line, deadline, cancel);
		rc = can(q);
	}
	return rc == -EAGAIN ? waited : rc;
}

/* Waits in `line` until `can` says otherwise than -EAGAIN. What it says last decides, also after a timeout or cancel. */
static inline int queue_await(fl_queue *q, int (*can)(const fl_queue *q), struct fl__line *line, int64_t deadline,
                              fl_cancel *cancel)
{
	int rc = can(q);
	return __builtin_expect(rc != -EAGAIN, 1) ? rc : queue_await_slow(q, can, line, deadline, cancel);
}

static inline void queue_signal_one(struct fl__line *line)
{
	if (__builtin_expect(fl__line_is_awaited(line), 0))
		fl__line_wake(line, 1);
}

static void queue_signal_all(struct fl__line *line)
{
	fl__line_wake(line, FL__ALL);
}

/* Wakes a context for each of `n` new items or spaces. Without waiters a signal is one load. */
static void queue_signal(fl_queue *q, struct fl__line *line, size_t n)
{
	if (n > q->inside + 1) /* + 1: those of fl_wait_any stand in line uncounted, and one signal takes them all */
		n = q->inside + 1;
	for (; n > 0; n--)
		queue_signal_one(line);
}

/* Putting. */

static inline void queue_push(fl_queue *q, const void *item)
{
	fl__ring_push(&q->ring, item);
	q->unfinished++;
	queue_signal_one(&q->items);
}

int fl_queue_try_put(fl_queue *q, const void *item)
{
	FL_LOCKED(&q->lock);
	int rc = queue_can_put(q);
	if (rc == 0)
		queue_push(q, item);
	return rc;
}

int fl_queue_put_until(fl_queue *q, const void *item, int64_t deadline, fl_cancel *cancel)
{
	FL_LOCKED(&q->lock);
	int rc = queue_await(q, queue_can_put, &q->space, deadline, cancel);
	if (rc == 0)
		queue_push(q, item);
	return rc;
}

int fl_queue_put(fl_queue *q, const void *item)
{
	return fl_queue_put_until(q, item, FL_FOREVER, NULL);
}

static size_t queue_push_many(fl_queue *q, const unsigned char *items, size_t n)
{
	size_t pushed = fl__ring_push_many(&q->ring, items, n);
	q->unfinished += pushed;
	queue_signal(q, &q->items, pushed);
	return pushed;
}

size_t fl_queue_try_put_many(fl_queue *q, const void *items, size_t n)
{
	FL_LOCKED(&q->lock);
	return queue_can_put(q) == 0 ? queue_push_many(q, items, n) : 0;
}

static int queue_put_many(fl_queue *q, const void *items, size_t n, size_t *count, int64_t deadline, fl_cancel *cancel)
{
	const unsigned char *next = items;
	FL_LOCKED(&q->lock);
	int rc = 0;
	*count = 0;
	while (*count < n) {
		rc = queue_await(q, queue_can_put, &q->space, deadline, cancel);
		if (rc != 0)
			break;
		*count += queue_push_many(q, next + *count * q->ring.item_size, n - *count);
	}
	return rc;
}

int fl_queue_put_many_until(fl_queue *q, const void *items, size_t n, size_t *count, int64_t deadline,
                            fl_cancel *cancel)
{
	return queue_put_many(q, items, n, count, deadline, cancel);
}

size_t fl_queue_put_many(fl_queue *q, const void *items, size_t n)
{
	size_t count;
	(void)queue_put_many(q, items, n, &count, FL_FOREVER, NULL); /* the count tells */
	return count;
}

/* Getting. */

static inline void queue_pop(fl_queue *q, void *item)
{
	fl__ring_pop(&q->ring, item);
	queue_signal_one(&q->space);
}

int fl_queue_try_get(fl_queue *q, void *item)
{
	FL_LOCKED(&q->lock);
	int rc = queue_can_get(q);
	if (rc == 0)
		queue_pop(q, item);
	return rc;
}

int fl_queue_get_until(fl_queue *q, void *item, int64_t deadline, fl_cancel *cancel)
{
	FL_LOCKED(&q->lock);
	int rc = queue_await(q, queue_can_get, &q->items, deadline, cancel);
	if (rc == 0)
		queue_pop(q, item);
	return rc;
}

int fl_queue_get(fl_queue *q, void *item)
{
	return fl_queue_get_until(q, item, FL_FOREVER, NULL);
}

static size_t queue_pop_many(fl_queue *q, void *items, size_t n)
{
	size_t popped = fl__ring_pop_many(&q->ring, items, n);
	queue_signal(q, &q->space, popped);
	return popped;
}

size_t fl_queue_try_get_many(fl_queue *q, void *items, size_t n)
{
	FL_LOCKED(&q->lock);
	return queue_pop_many(q, items, n);
}

static int queue_get_many(fl_queue *q, void *items, size_t n, size_t *count, int64_t deadline, fl_cancel *cancel)
{
	*count = 0;
	if (n == 0)
		return 0;
	FL_LOCKED(&q->lock);
	int rc = queue_await(q, queue_can_get, &q->items, deadline, cancel);
	if (rc == 0)
		*count = queue_pop_many(q, items, n);
	return rc;
}

int fl_queue_get_many_until(fl_queue *q, void *items, size_t n, size_t *count, int64_t deadline, fl_cancel *cancel)
{
	return queue_get_many(q, items, n, count, deadline, cancel);
}

size_t fl_queue_get_many(fl_queue *q, void *items, size_t n)
{
	size_t count;
	(void)queue_get_many(q, items, n, &count, FL_FOREVER, NULL); /* the count tells */
	return count;
}

/* Closing. */

/* Under the lock. */
static void queue_close(fl_queue *q)
{
	q->closed = true;
	queue_signal_all(&q->items);
	queue_signal_all(&q->space);
}

void fl_queue_close(fl_queue *q)
{
	FL_LOCKED(&q->lock);
	queue_close(q);
}

/* Under the lock: tells who joins. */
static void queue_settle(fl_queue *q)
{
	if (queue_can_join(q) == 0)
		queue_signal_all(&q->done);
}

size_t fl_queue_close_now(fl_queue *q)
{
	fl_mutex_lock(&q->lock);
	size_t head = q->ring.head, n = q->ring.length;
	q->ring.length = 0; /* invariant 4: they are ours now */
	q->unfinished -= n < q->unfinished ? n : q->unfinished;
	q->dropping += n;
	queue_close(q);
	fl_mutex_unlock(&q->lock);

	queue_drop(q, head, n);

	FL_LOCKED(&q->lock);
	q->dropping -= n;
	queue_settle(q);
	return n;
}

/* Joining. */

void fl_queue_task_done(fl_queue *q)
{
	fl_mutex_lock(&q->lock);
	bool misused = q->unfinished == 0;
	if (!misused) {
		q->unfinished--;
		queue_settle(q);
	}
	fl_mutex_unlock(&q->lock);
	if (misused)
		fl__panic("fl_queue_task_done", q, "called more often than items were put");
}

int fl_queue_join_until(fl_queue *q, int64_t deadline, fl_cancel *cancel)
{
	FL_LOCKED(&q->lock);
	return queue_await(q, queue_can_join, &q->done, deadline, cancel);
}

int fl_queue_join(fl_queue *q)
{
	return fl_queue_join_until(q, FL_FOREVER, NULL);
}

int fl_queue_try_join(fl_queue *q)
{
	FL_LOCKED(&q->lock);
	return queue_can_join(q) == 0 ? 0 : -EBUSY;
}

/* Looking. */

size_t fl_queue_length(fl_queue *q)
{
	FL_LOCKED(&q->lock);
	return q->ring.length;
}

size_t fl_queue_capacity(const fl_queue *q)
{
	return q->ring.capacity; /* never changes */
}

bool fl_queue_is_closed(fl_queue *q)
{
	FL_LOCKED(&q->lock);
	return q->closed;
}

/* For fl_wait_any: the lock is held from the look to the place in line, so that no change comes between. */

static bool queue_ready(fl_queue *q, int (*can)(const fl_queue *q))
{
	FL_LOCKED(&q->lock);
	return can(q) != -EAGAIN;
}

static bool queue_arm(fl_queue *q, int (*can)(const fl_queue *q), struct fl__line *line, struct fl__node *node)
{
	FL_LOCKED(&q->lock);
	if (can(q) != -EAGAIN)
		return false;
	fl__line_add(line, node);
	return true;
}

static void queue_disarm(fl_queue *q, struct fl__line *line, struct fl__node *node)
{
	FL_LOCKED(&q->lock);
	fl__line_remove(line, node);
}

static bool on_items_ready(void *object)
{
	return queue_ready(object, queue_can_get);
}

static bool on_items_arm(void *object, struct fl__node *node)
{
	fl_queue *q = object;
	return queue_arm(q, queue_can_get, &q->items, node);
}

static void on_items_disarm(void *object, struct fl__node *node)
{
	fl_queue *q = object;
	queue_disarm(q, &q->items, node);
}

static bool on_space_ready(void *object)
{
	return queue_ready(object, queue_can_put);
}

static bool on_space_arm(void *object, struct fl__node *node)
{
	fl_queue *q = object;
	return queue_arm(q, queue_can_put, &q->space, node);
}

static void on_space_disarm(void *object, struct fl__node *node)
{
	fl_queue *q = object;
	queue_disarm(q, &q->space, node);
}

const fl_on_type fl__on_queue = {on_items_ready, on_items_arm, on_items_disarm, NULL};
const fl_on_type fl__on_queue_space = {on_space_ready, on_space_arm, on_space_disarm, NULL};
