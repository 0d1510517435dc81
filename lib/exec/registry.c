/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry: the list of all task types. Constructors must not fail, so they only link their
 * entry into the list, newest first. registry_set.c finds types by name. It is a file of its own,
 * so that programs that look up no name do not link Concurrency Kit's hash set.
 *
 * One lock guards everything. It is an fl_mutex: sections under it may allocate.
 */
#include "registry.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <pthread.h>

struct fl__registry fl__registry;

static void registry_note_change(void)
{
	/* relaxed: a thread that sees another number looks up under the lock */
	fl__store_relaxed(&fl__registry.change_count, fl__registry.change_count + 1);
}

void fl_task_register(fl_task_entry *entry)
{
	FL_LOCKED(&fl__registry.lock);
	entry->next_ = fl__registry.newest;
	fl__registry.newest = entry;
	registry_note_change();
}

static bool registry_unlink(const fl_task_entry *entry)
{
	fl_task_entry **link = &fl__registry.newest;
	while (*link && *link != entry)
		link = &(*link)->next_;
	if (!*link)
		return false;
	*link = entry->next_;
	return true;
}

void fl_task_unregister(fl_task_entry *entry)
{
	FL_LOCKED(&fl__registry.lock);
	if (!registry_unlink(entry))
		return;
	registry_note_change();
	if (fl__registry.forget)
		fl__registry.forget(entry);
}

uint64_t fl__registry_changes(void)
{
	return fl__load_relaxed(&fl__registry.change_count); /* relaxed: as in registry_note_change() */
}

/* The lock is held across a fork, so that a forked child finds the registry consistent. */
static void registry_before_fork(void)
{
	fl_mutex_lock(&fl__registry.lock);
}

static void registry_after_fork_in_parent(void)
{
	fl_mutex_unlock(&fl__registry.lock);
}

static void registry_after_fork_in_child(void)
{
	fl_mutex_init(&fl__registry.lock);
}

FL__AT_START static void registry_watch_forks(void)
{
	/*
	 * Fails only for lack of memory at start-up. Then a child that is forked while another
	 * thread holds the registry's lock finds it locked for ever.
	 */
	(void)pthread_atfork(registry_before_fork, registry_after_fork_in_parent, registry_after_fork_in_child);
}
