/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reaper collects the status of children that have no handle. The watcher thread
 * (fd_watcher.c) watches their pidfds. `reaper_lock` guards the list of the children; it is
 * acquired before `fd_watcher_lock`.
 *
 * If memory, descriptors or threads are short, a child in the list may not be watched; the next
 * adoption tries again to watch it. If there is no memory for the record of a child, the child is
 * not added to the list. If such a child still runs, a warning is logged, and the child stays a
 * zombie after it has ended.
 */
#include "reaper.h"
#include "core/base/anew.h"
#include "core/base/list.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/sync/helper.h"
#include "core/sync/mutex.h"
#include "fd_watcher.h"
#include "process_sys.h"
#include <fairlead/error.h>

struct reaper_child {
	struct reaper_child *next;
	int pidfd;
	bool killed;
	bool watched;
};

static fl_mutex reaper_lock = FL_MUTEX_INIT;
static struct reaper_child *reaper_children;

static bool reaper_has_ended(int pidfd, bool wait)
{
	return fl__process_reap(pidfd, NULL, wait) != 0;
}

/* Removes and frees the record. Called under the lock. */
static void reaper_drop(struct reaper_child **link)
{
	struct reaper_child *c = *link;
	const int pidfd = c->pidfd;
	*link = c->next;
	fl__free(c);
	/* close() would leave the pidfd in the epoll set if a child holds the pidfd open */
	fl__fd_watcher_remove(pidfd);
	fl__fd_close(pidfd);
}

/* Called under the lock. Drops the records with this `pidfd` whose process has ended. */
static void reaper_drop_ended(int pidfd)
{
	for (struct reaper_child **link = &reaper_children; *link;)
		if ((*link)->pidfd == pidfd && reaper_has_ended(pidfd, false))
			reaper_drop(link);
		else
			link = &(*link)->next;
}

void fl__reaper_reap(int pidfd)
{
	FL__HELD(&reaper_lock);
	reaper_drop_ended(pidfd);
}

/* Reaps the children that have ended, and drops all records. Waits only for the killed children. */
static unsigned reaper_end(void)
{
	FL__HELD(&reaper_lock);
	while (reaper_children) {
		(void)reaper_has_ended(reaper_children->pidfd, reaper_children->killed);
		reaper_drop(&reaper_children);
	}
	return 0;
}

/* Called under the lock. */
static void reaper_watch_all(void)
{
	int rc = 0;
	for (struct reaper_child *c = reaper_children; rc == 0 && c; c = c->next) {
		if (!c->watched)
			rc = fl__fd_watcher_add(c->pidfd);
		c->watched = rc == 0;
	}
}

void fl__reaper_adopt(int pidfd, bool killed)
{
	static struct fl__helper helper = {.end = reaper_end};
	struct reaper_child *c = fl__alloc(1, sizeof *c);
	if (c) {
		fl__helper_list(&helper);
		FL__HELD(&reaper_lock);
		*c = (struct reaper_child){.next = reaper_children, .pidfd = pidfd, .killed = killed};
		reaper_children = c;
		reaper_watch_all();
		if (!c->watched)
			reaper_drop_ended(pidfd);
		return;
	}
	if (!reaper_has_ended(pidfd, false))
		fl__log(FL_LOG_WARNING, "a process without a handle cannot be reaped, and stays a zombie: %s",
		        fl_error_text(-ENOMEM));
	fl__fd_close(pidfd);
}

static void reaper_make_anew(void)
{
	fl_mutex_init(&reaper_lock);
	FL__EACH (struct reaper_child, c, reaper_children)
		fl__fd_close(c->pidfd);
	reaper_children = NULL;
}

FL__MAKES_ANEW(reaper_make_anew)
