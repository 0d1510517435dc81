/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_EXEC_REGISTRY_H
#define FL_EXEC_REGISTRY_H

#include <fairlead/mutex.h>
#include <fairlead/task_type.h>

/* Zeroed at first. */
struct fl__registry {
	fl_mutex lock;         /* guards the members below */
	fl_task_entry *newest; /* the list of all entries */
	/* Removes an entry from the set, after it has left the list. NULL: there is no set. */
	void (*forget)(fl_task_entry *entry);
	uint64_t change_count; /* how often an entry came or went; also read without the lock */
};
extern struct fl__registry fl__registry;

/*
 * Stores the type of that name in `*type`. Returns:
 *
 *   0
 *   -ENOENT   no type has the name
 *   -EEXIST   different types have it
 *   -ENOMEM   no memory to look
 */
int fl__registry_find(const char *name, const fl_task_type **type);

/*
 * A number that changes when a type is registered or unregistered: the results of earlier look-ups
 * are then out of date. Any thread.
 */
uint64_t fl__registry_changes(void);

/*
 * Calls `visit` for each type that can be found by its name, in no order; ambiguous names are left
 * out. The registry is locked during the calls: `visit` must neither wait nor look up a name.
 * Returns 0, or -ENOMEM with nothing visited.
 */
int fl__registry_visit(void (*visit)(const fl_task_type *type, void *arg), void *arg);

#endif
