/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The watcher: a thread in epoll_wait, and the table of what is watched, by descriptor. An entry (struct fl__watched) is in
 * the table while a node waits for it; several entries may have the same descriptor, and the kernel is told the union of
 * what those want that have not fired. Each registration is for one event (EPOLLONESHOT): whoever waits again asks again.
 *
 * Invariants
 *   1. Table, entries in it and the epoll set change only under `lock`; the lock of a lot's bucket comes after it.
 *   2. A node enters the line of its entry in the same section in which the kernel is told. So the watcher, which takes
 *      waiters in a section of its own, cannot come between; and since the kernel looks at the descriptor when it is told,
 *      nothing that was ready before is missed.
 *   3. The watcher reaches entries through the table alone, never through what the kernel hands it but the number of the
 *      descriptor. So an entry may be gone as soon as its last disarm has returned, and an event that comes late, for a
 *      number that means another file by now, is a wake without reason, which every waiter here bears: it looks again.
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

static const int64_t step = FL_MS(1); /* between looks, where there is no watcher */

static fl_mutex lock = FL_MUTEX_INIT;
static struct fl__watched *rows[ROWS]; /* lists, by descriptor */
static int epoll = NONE, bell = NONE;  /* the bell: for end_watcher() */
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

/* What the entries of `fd` want to hear of. `present`: whether there is one at all. */
static uint32_t wanted(int fd, bool *present)
{
	uint32_t events = 0;
	*present = false;
	for (const struct fl__watched *w = *row_of(fd); w; w = w->next) {
		if (w->fd != fd)
			continue;
		*present = true;
		if (!w->fired)
			events |= (uint16_t)w->events | EPOLLONESHOT; /* the bits of poll and epoll are the same */
	}
	return events;
}

/* Tells the kernel what is wanted of `fd` now: 0 or its error. */
static int tell(int fd)
{
	bool present;
	uint32_t events = wanted(fd, &present);
	if (!present) {
		(void)fl__fd_sys.watch(epoll, EPOLL_CTL_DEL, fd, 0); /* fails when it is not there: as well */
		return 0;
	}
	if (events == 0)
		return 0; /* what has fired is disabled already */
	int rc = fl__fd_sys.watch(epoll, EPOLL_CTL_MOD, fd, events);
	return rc == -ENOENT ? fl__fd_sys.watch(epoll, EPOLL_CTL_ADD, fd, events) : rc;
}

/* Wakes those whom an event of `fd` concerns. */
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
		(void)tell(fd); /* for those whom it does not concern; it is registered, so this needs no memory */
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
	const int set = epoll, ring = bell; /* written before the start */
	int (*const wait)(int, struct epoll_event *, int, int) =
	    fl__fd_sys.watch_wait; /* tests replace the table meanwhile */
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
	(void)!write(bell, &one, sizeof one); /* fails only when it rings already */
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

/* Under the lock: whether there is a watcher, started here if need be. */
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
 * The forking thread alone goes on: no watcher, and nobody that waits. The set is the parent's;
 * only its number is ours.
 */
static void after_fork_in_child(void)
{
	fl_mutex_init(&lock);
	memset(rows, 0, sizeof rows);
	close_all();
}

FL__AT_START static void watch_forks(void)
{
	/* It can fail for lack of memory alone, at start-up; then waits through a watcher hang in a forked child. */
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
	(void)rc; /* without a token it is 0 */
}

/* Takes away one node's share of the entry. */
static void unjoin(struct fl__watched *w)
{
	if (--w->armed == 0) {
		leave(w);
		(void)tell(w->fd); /* to want less needs no memory */
	}
}

/* Has `node` wait for the watcher: false when there is none, or when it cannot watch this descriptor. */
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
 * Without a watcher: waits a little, and says "ready instead", with which the caller looks at all its things again. Its own
 * wait ends at once then, and observes its token and its deadline.
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

/* How long until the deadline, as poll wants it. */
static int64_t left_until(int64_t deadline)
{
	if (deadline == FL_FOREVER)
		return -1;
	int64_t now = fl__sys.now();
	return deadline > now ? deadline - now : 0;
}

/* By the thread itself. */
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
			one_step(); /* who calls again must not spin */
			return 0;
		}
	}
}

/*
 * By the context's own means, which begin to wait at once: so who comes too late, or with a requested token, has to look. Not who was
 * cancelled while it waited: what has come since is not for it. -ENOSYS: the context has no such means.
 */
static int wait_by_context(const struct fl__ctx *ctx, int fd, short events, int64_t deadline, fl_cancel *cancel)
{
	short seen;
	if (!ctx->ops->wait_fd)
		return -ENOSYS;
	const bool late = fl__cancel_ends(cancel, ctx);
	const int rc = ctx->ops->wait_fd(fd, events, deadline, cancel);
	return (rc == -ETIMEDOUT || (rc == -ECANCELED && late)) && fl__fd_sys.poll(fd, events, &seen, 0) > 0 ? 0 : rc;
}

int fl__fd_wait(int fd, short events, int64_t deadline, fl_cancel *cancel)
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
