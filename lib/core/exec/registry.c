/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The list of all task types, sorted by name. Constructors link the entries. They cannot return
 * errors, so they panic if a type is wrong.
 *
 * Two different types may have the same name, for example if two plugins have source files of the
 * same name. A look-up then finds neither type, so that it is an error to submit such a task to a
 * process executor or over MPI, where a worker could not tell the types apart. Executors that pass
 * tasks by address run both types, because they do not look at the name.
 *
 * A look-up compares the names in order, so it takes time in proportion to the number of types,
 * which the author of a program decides. With 1,000 types a registration takes about 2
 * microseconds. An index is not worth its rules, because it would allocate in a constructor or make
 * each entry larger; a process remembers its latest look-ups instead (fl__types_find()).
 *
 * A failure's message is allocated when a task fails. It is not part of each future, because a
 * million futures should be small, and failures are rare. If that allocation also fails, a fixed
 * text replaces the message. A task that fails may keep its result (fl_task_keep_result()), which
 * takes one bit of the future's state and of a worker's completion.
 */
#include "registry.h"
#include "../base/anew.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../future/bytes.h"
#include "../sync/mutex.h"
#include <string.h>

static fl_mutex registry_lock = FL_MUTEX_INIT; /* guards everything else */
static fl_task_entry *registry_first FL_GUARDED_BY(registry_lock);
static uint64_t registry_change_count; /* also read without the lock */

static void registry_note_change(void) FL_REQUIRES(registry_lock)
{
	/* relaxed: a thread that sees another number looks up the types again, under the lock */
	fl__store_relaxed(&registry_change_count, registry_change_count + 1);
}

/* Returns the link to the first entry with that name, or the link where to insert such an entry. */
static fl_task_entry **registry_search(const char *name) FL_REQUIRES(registry_lock)
{
	fl_task_entry **link = &registry_first;
	while (*link && strcmp((*link)->type->name, name) < 0)
		link = &(*link)->next_;
	return link;
}

void fl_task_register(fl_task_entry *entry)
{
	const fl_task_type *type = entry->type;
	if (fl__bytes_are_short(type->drop_arg, type->arg_size) ||
	    fl__bytes_are_short(type->drop_result, type->result_size))
		fl__panic(type->name, type, "has FL_BYTES_DROP, but is smaller than an fl_bytes");
	FL__HELD(&registry_lock);
	fl_task_entry **link = registry_search(type->name);
	entry->next_ = *link;
	fl__store_release(link, entry); /* release: a child finds the whole entry, or none */
	registry_note_change();
}

void fl_task_unregister(fl_task_entry *entry)
{
	FL__HELD(&registry_lock);
	fl_task_entry **link = &registry_first;
	while (*link && *link != entry)
		link = &(*link)->next_;
	if (!*link)
		return;
	*link = entry->next_;
	registry_note_change();
}

static bool registry_is_same_type(const fl_task_type *a, const fl_task_type *b)
{
	return a->run == b->run && a->version == b->version && a->arg_size == b->arg_size &&
	       a->arg_align == b->arg_align && a->result_size == b->result_size && a->result_align == b->result_align &&
	       a->drop_arg == b->drop_arg && a->drop_result == b->drop_result;
}

/* Returns the first entry with another name. `*conflict` says whether the skipped types differ. */
static const fl_task_entry *registry_next_name(const fl_task_entry *entry, bool *conflict)
{
	const fl_task_type *type = entry->type;
	*conflict = false;
	while ((entry = entry->next_) != NULL && strcmp(entry->type->name, type->name) == 0)
		*conflict |= !registry_is_same_type(entry->type, type);
	return entry;
}

int fl__registry_find(const char *name, const fl_task_type **type)
{
	FL__HELD(&registry_lock);
	const fl_task_entry *entry = *registry_search(name);
	bool conflict;
	if (!entry || strcmp(entry->type->name, name) != 0)
		return -ENOENT;
	(void)registry_next_name(entry, &conflict);
	*type = entry->type;
	return conflict ? -EEXIST : 0;
}

void fl__registry_visit(void (*visit)(const fl_task_type *type, void *arg), void *arg)
{
	FL__HELD(&registry_lock);
	bool conflict;
	for (const fl_task_entry *entry = registry_first, *next; entry; entry = next) {
		next = registry_next_name(entry, &conflict);
		if (!conflict)
			visit(entry->type, arg);
	}
}

uint64_t fl__registry_changes(void)
{
	/* relaxed: a caller that sees another number looks up the types under the lock */
	return fl__load_relaxed(&registry_change_count);
}

/* In a forked child the list is consistent, because one store inserts or removes an entry. */
static void registry_make_anew(void)
{
	fl_mutex_init(&registry_lock);
}

FL__MAKES_ANEW(registry_make_anew)
