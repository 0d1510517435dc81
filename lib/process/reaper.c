/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reaper sleeps in epoll_wait() on the children's pidfds, and on an eventfd for its end.
 * `reaper_lock` guards the children, and the thread's start and end. A child that cannot be watched
 * is watched from the next adoption on.
 */
#include "reaper.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/sync/helper.h"
#include "process_sys.h"
#include <fairlead/error.h>
#include <fairlead/mutex.h>
#include <stdint.h>
#include <unistd.h>

struct reaper_child {
	struct reaper_child *next;
	int pidfd; /* -1: reaped, or the parent's */
	bool killed;
	bool watched;
};

static fl_mutex reaper_lock = FL_MUTEX_INIT;
static struct reaper_child *reaper_children;
static int reaper_epoll = -1, reaper_wakeup = -1;
static bool reaper_running;

/* Under the lock. */
static void reaper_free_reaped(void)
{
	for (struct reaper_child **link = &reaper_children; *link;) {
		struct reaper_child *c = *link;
		if (c->pidfd >= 0) {
			link = &c->next;
			continue;
		}
		*link = c->next;
		fl__free(c);
	}
}

/* Under the lock. */
static void reaper_reap_child(struct reaper_child *c, bool wait)
{
	fl_process_status status;
	if (fl__process_sys.reap(c->pidfd, &status, wait) == 0)
		return; /* the child runs: epoll reports it again */
	/* close() would leave the pidfd there if a forked child holds it open */
	(void)fl__fd_sys.epoll_control(reaper_epoll, EPOLL_CTL_DEL, c->pidfd, 0);
	fl__fd_close(c->pidfd);
	c->pidfd = -1;
}

static void reaper_reap_by_pidfd(int pidfd)
{
	FL_LOCKED(&reaper_lock);
	for (struct reaper_child *c = reaper_children; c; c = c->next)
		if (c->pidfd == pidfd)
			reaper_reap_child(c, false);
	reaper_free_reaped();
}

/* Under the lock. */
static void reaper_close_epoll(void)
{
	fl__fd_close(reaper_epoll);
	fl__fd_close(reaper_wakeup);
	reaper_epoll = reaper_wakeup = -1;
	reaper_running = false;
}

/* Under the lock. Waits for the killed children alone. */
static void reaper_close(void)
{
	for (struct reaper_child *c = reaper_children; c; c = c->next) {
		if (c->pidfd >= 0)
			reaper_reap_child(c, c->killed);
		fl__fd_close(c->pidfd);
		c->pidfd = -1;
	}
	reaper_free_reaped();
	reaper_close_epoll();
}

static bool reaper_must_end(void)
{
	if (!fl__helper_must_end())
		return false;
	FL_LOCKED(&reaper_lock);
	reaper_close();
	return true;
}

static void reaper_run(void)
{
	enum { EVENTS = 16 };
	struct epoll_event events[EVENTS];
	do {
		int n = fl__fd_sys.epoll_wait(reaper_epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++)
			reaper_reap_by_pidfd(events[i].data.fd);
	} while (!reaper_must_end());
}

static unsigned reaper_end(void)
{
	const uint64_t one = 1;
	FL_LOCKED(&reaper_lock);
	if (reaper_running)
		(void)!write(reaper_wakeup, &one, sizeof one);
	else
		reaper_close(); /* in a forked child */
	return 0;
}

/* Under the lock. After an error reaper_close_epoll() closes what is open. */
static int reaper_open(void)
{
	reaper_epoll = fl__fd_above_streams(fl__fd_sys.epoll_create());
	if (reaper_epoll < 0)
		return reaper_epoll;
	reaper_wakeup = fl__fd_above_streams(fl__process_sys.eventfd());
	if (reaper_wakeup < 0)
		return reaper_wakeup;
	return fl__fd_sys.epoll_control(reaper_epoll, EPOLL_CTL_ADD, reaper_wakeup, EPOLLIN);
}

/* Under the lock. */
static int reaper_start(void)
{
	static struct fl__helper helper = {.name = "reaper", .function = reaper_run, .end = reaper_end};
	if (reaper_running)
		return fl__helper_must_end() ? -EAGAIN : 0;
	int rc = reaper_open();
	if (rc == 0)
		rc = fl__helper_start(&helper);
	if (rc != 0)
		reaper_close_epoll();
	else
		reaper_running = true;
	return rc;
}

/* Under the lock. */
static void reaper_watch_all(void)
{
	int rc = reaper_start();
	reaper_free_reaped(); /* in a forked child: those of its parent */
	for (struct reaper_child *c = reaper_children; rc == 0 && c; c = c->next) {
		if (!c->watched)
			rc = fl__fd_sys.epoll_control(reaper_epoll, EPOLL_CTL_ADD, c->pidfd, EPOLLIN);
		c->watched |= rc == 0;
	}
}

void fl__reaper_adopt(int pidfd, bool killed)
{
	struct reaper_child *c = fl__alloc(1, sizeof *c);
	if (c) {
		FL_LOCKED(&reaper_lock);
		c->pidfd = pidfd;
		c->killed = killed;
		c->next = reaper_children;
		reaper_children = c;
		reaper_watch_all();
		if (!c->watched) {
			reaper_reap_child(c, false);
			reaper_free_reaped();
		}
		return;
	}
	fl_process_status status;
	if (fl__process_sys.reap(pidfd, &status, false) == 0)
		fl__log(FL_LOG_WARNING, "a process without a handle cannot be reaped, and stays a zombie: %s",
		        fl_error_text(-ENOMEM));
	fl__fd_close(pidfd);
}

unsigned fl__reaper_threads(void)
{
	FL_LOCKED(&reaper_lock);
	return reaper_running ? 1 : 0;
}

void fl__reaper_after_fork(void)
{
	fl_mutex_init(&reaper_lock);
	fl__fd_close(reaper_epoll);
	fl__fd_close(reaper_wakeup);
	reaper_epoll = reaper_wakeup = -1;
	for (struct reaper_child *c = reaper_children; c; c = c->next) {
		fl__fd_close(c->pidfd);
		/* freed later: a thread of the parent may hold the allocator's lock */
		c->pidfd = -1;
	}
	reaper_running = false;
}
