/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watcher: a thread in epoll_wait(), and a table of entries (struct fl__watched) by descriptor.
 * An entry is in the table while a node waits for it. Several entries may have one descriptor: the
 * kernel watches for all their events, except those of entries that have fired. A registration is
 * for one event (EPOLLONESHOT): a new wait registers again.
 *
 * Invariants
 *   1. The table, its entries and the epoll set change only under `lock`. Lock order: `lock`, then
 *      a bucket of the wait table.
 *   2. One critical section enqueues a node and registers its events. The watcher dequeues in a
 *      critical section of its own, and cannot come between. The kernel checks the descriptor at
 *      the registration: an event that came before is not missed.
 *   3. The watcher finds entries through the table alone, by the descriptor of an event. So an
 *      entry may be freed when its last disarm has returned. A late event may come for a descriptor
 *      that now is another file: the waiter wakes spuriously, and polls again.
 *
 * Progress: blocking, on `lock`, for one system call or for the nodes of one descriptor.
 */
#include "watch.h"
#include "../base/sys.h"
#include "../sync/helper.h"
#include "../wait/cancel.h"
#include "fd_sys.h"
#include "os.h"
#include <errno.h>
#include <fairlead/mutex.h>
#include <fairlead/time.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 64, EVENTS = 64, NONE = -1 };

static const int64_t step = FL_MS(1); /* between two polls without a watcher */

static fl_mutex lock = FL_MUTEX_INIT;
static struct fl__watched *rows[ROWS]; /* lists, by descriptor modulo ROWS */
static int epoll = NONE, bell = NONE;  /* bell: for end_watcher() */
static bool running;

static struct fl__watched **row_of(int fd)
{
	return &rows[(unsigned)fd % ROWS];
}

static void enter(struct fl__watched *w)
{
	struct fl__watched **row = row_of(w->fd);
	w->prev = NULL;
	w->next = *row;
	if (w->next)
		w->next->prev = w;
	*row = w;
}

static void leave(struct fl__watched *w)
{
	*(w->prev ? &w->prev->next : row_of(w->fd)) = w->next;
	if (w->next)
		w->next->prev = w->prev;
}

/* Returns the events that the entries of `fd` wait for. `present`: whether there is an entry. */
static uint32_t wanted(int fd, bool *present)
{
	uint32_t events = 0;
	*present = false;
	for (const struct fl__watched *w = *row_of(fd); w; w = w->next) {
		if (w->fd != fd)
			continue;
		*present = true;
		if (!w->fired)
			/* poll() and epoll have the same bits */
			events |= (uint16_t)w->events | EPOLLONESHOT;
	}
	return events;
}

/* Registers with the kernel what is wanted of `fd` now: 0 or a negative errno. */
static int tell(int fd)
{
	bool present;
	uint32_t events = wanted(fd, &present);
	if (!present) {
		(void)fl__fd_sys.watch(epoll, EPOLL_CTL_DEL, fd, 0); /* fails if not registered */
		return 0;
	}
	if (events == 0)
		return 0; /* EPOLLONESHOT has disabled what fired */
	int rc = fl__fd_sys.watch(epoll, EPOLL_CTL_MOD, fd, events);
	return rc == -ENOENT ? fl__fd_sys.watch(epoll, EPOLL_CTL_ADD, fd, events) : rc;
}

/* Wakes the waiters that `events` of `fd` concern. */
static void fire(int fd, uint32_t events)
{
	struct fl__lot lot = {NULL, NULL, NULL, NULL};
	{
		FL_LOCKED(&lock);
		for (struct fl__watched *w = *row_of(fd); w; w = w->next) {
			if (w->fd != fd || w->fired || !(events & ((uint16_t)w->events | EPOLLERR | EPOLLHUP)))
				continue;
			w->fired = true;
			fl__lot_next(&lot, w);
			fl__lot_take(&lot, FL__ALL, 0);
			fl__lot_shut(&lot);
		}
		(void)tell(fd); /* for the other entries; a change needs no memory */
	}
	fl__lot_unpark(&lot);
}

/* Under the lock. */
static bool watches_any(void)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (rows[i])
			return true;
	return false;
}

/* Under the lock, or in a forked child. */
static void close_all(void)
{
	fl__close(epoll);
	fl__close(bell);
	epoll = bell = NONE;
	running = false;
}

static bool must_end(void)
{
	if (!fl__helper_must_end())
		return false;
	FL_LOCKED(&lock);
	if (watches_any())
		return false;
	close_all();
	return true;
}

static void silence(int ring)
{
	uint64_t rings;
	(void)!read(ring, &rings, sizeof rings);
}

static void watcher(void)
{
	const int set = epoll, ring = bell; /* written before the thread's start */
	/* tests replace the table while the thread runs */
	int (*const wait)(int, struct epoll_event *, int, int) = fl__fd_sys.watch_wait;
	struct epoll_event events[EVENTS];
	do {
		int n = wait(set, events, EVENTS, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.fd == ring)
				silence(ring);
			else
				fire(events[i].data.fd, events[i].events);
	} while (!must_end());
}

static void wake_watcher(void)
{
	const uint64_t one = 1;
	(void)!write(bell, &one, sizeof one); /* fails only when the doorbell rings already */
}

static unsigned end_watcher(void)
{
	FL_LOCKED(&lock);
	if (running)
		wake_watcher();
	return running && watches_any() ? 1 : 0;
}

static bool open_all(void)
{
	epoll = fl__above(fl__fd_sys.watch_create());
	bell = epoll < 0 ? NONE : fl__above(fl__os.event());
	return bell >= 0 && fl__fd_sys.watch(epoll, EPOLL_CTL_ADD, bell, EPOLLIN) == 0;
}

/* Under the lock. Starts the watcher if there is none; false: it cannot run. */
static bool has_watcher(void)
{
	static struct fl__helper helper = {.name = "watcher", .function = watcher, .end = end_watcher};
	if (running)
		return !fl__helper_must_end();
	if (!open_all() || fl__helper_start(&helper) != 0) {
		close_all();
		return false;
	}
	running = true;
	return true;
}

/*
 * A forked child has neither a watcher nor waiters. The epoll set is the parent's: the child only
 * closes its descriptor.
 */
static void after_fork_in_child(void)
{
	fl_mutex_init(&lock);
	memset(rows, 0, sizeof rows);
	close_all();
}

FL__AT_START static void watch_forks(void)
{
	/* fails only without memory: then a wait through the watcher hangs in a forked child */
	(void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

bool fl__watched_ready(void *watched)
{
	const struct fl__watched *w = watched;
	short seen;
	return fl__fd_sys.poll(w->fd, w->events, &seen, 0) != 0;
}

static void one_step(void)
{
	int rc = fl_sleep_until(fl_after(step), FL_SHIELDED);
	(void)rc; /* 0 without a token */
}

/* Removes one node. The last one takes the entry out of the table. */
static void unjoin(struct fl__watched *w)
{
	if (--w->armed == 0) {
		leave(w);
		(void)tell(w->fd); /* a smaller set needs no memory */
	}
}

/* Enqueues `node`; false: no watcher runs, or the kernel cannot watch the descriptor. */
static bool join_line(struct fl__watched *w, struct fl__node *node)
{
	FL_LOCKED(&lock);
	if (!has_watcher())
		return false;
	if (w->fork != fl__fork_count)
		w->armed = 0;
	w->fork = fl__fork_count;
	if (w->armed++ == 0)
		enter(w);
	w->fired = false;
	if (tell(w->fd) != 0) {
		unjoin(w);
		return false;
	}
	struct fl__lot lot;
	fl__lot_open(&lot, w);
	fl__lot_add(&lot, node);
	fl__lot_close(&lot);
	return true;
}

/*
 * If the watcher cannot be used, sleeps for one step and reports "ready". Then fl_wait_any's own
 * wait ends at once, and observes token and deadline. fl_wait_any polls all things again.
 */
bool fl__watched_arm(void *watched, struct fl__node *node)
{
	if (join_line(watched, node))
		return true;
	one_step();
	return false;
}

void fl__watched_disarm(void *watched, struct fl__node *node)
{
	struct fl__watched *w = watched;
	FL_LOCKED(&lock);
	fl__lot_leave(node);
	if (w->fork == fl__fork_count && w->armed > 0)
		unjoin(w);
}

bool fl__watched_waited(struct fl__watched *w)
{
	FL_LOCKED(&lock);
	return w->armed > 0 && w->fork == fl__fork_count;
}

const fl_on_type fl__on_watched = {fl__watched_ready, fl__watched_arm, fl__watched_disarm, NULL};

/* The time until the deadline, as poll() takes it. */
static int64_t left_until(int64_t deadline)
{
	if (deadline == FL_FOREVER)
		return -1;
	int64_t now = fl__sys.now();
	return deadline > now ? deadline - now : 0;
}

/* The thread itself polls. */
static int poll_until(int fd, short events, int64_t deadline)
{
	for (;;) {
		short seen;
		int64_t left = left_until(deadline);
		int rc = fl__fd_sys.poll(fd, events, &seen, left);
		if (rc > 0)
			return 0;
		if (rc == 0 && left == 0)
			return -ETIMEDOUT;
		if (rc < 0 && rc != -EINTR) {
			one_step(); /* a caller that tries again must not spin */
			return 0;
		}
	}
}

/*
 * Waits by the context's wait_fd, which does not poll first. So this function polls after a
 * timeout, or if the token was requested before the call. A request during the wait ends the call
 * without a poll: later events are not for this call. -ENOSYS: the context cannot wait for `fd`.
 */
static int wait_by_context(const struct fl__ctx *ctx, int fd, short events, int64_t deadline, fl_cancel_token *cancel)
{
	short seen;
	if (!ctx->ops->wait_fd)
		return -ENOSYS;
	const bool late = fl__cancel_ends(cancel, ctx);
	const int rc = ctx->ops->wait_fd(fd, events, deadline, cancel);
	return (rc == -ETIMEDOUT || (rc == -ECANCELED && late)) && fl__fd_sys.poll(fd, events, &seen, 0) > 0 ? 0 : rc;
}

int fl__fd_wait(int fd, short events, int64_t deadline, fl_cancel_token *cancel)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	if (ctx->ops == &fl__thread_parker && (cancel == FL_SHIELDED || (!cancel && !ctx->front.scope)))
		return poll_until(fd, events, deadline);
	int rc = wait_by_context(ctx, fd, events, deadline, cancel);
	if (rc != -ENOSYS)
		return rc;
	struct fl__watched w = FL__WATCHED(fd, events);
	fl_on on = FL__ON(fl__on_watched, &w);
	rc = fl_wait_any_until(&on, 1, deadline, cancel);
	return rc < 0 ? rc : 0;
}
