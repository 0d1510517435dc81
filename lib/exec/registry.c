/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry: task types by name.
 *
 * Constructors must not fail, so they only link their entry into a list. The next look-up adds the
 * new entries to the set, Concurrency Kit's hash set keyed by name. The list is newest first, so
 * the new entries are those before `seen`. After an entry is removed all entries are looked at
 * again: another entry of that name may take its place in the set, or a conflict may be gone. The
 * set is freed with its last entry, so that nothing is left when the library is unloaded.
 *
 * Two different types may have one name, such as two plugins with a source file of the same name.
 * The set has one of them, and a look-up finds neither (name_is_ambiguous()). Each is still a type
 * like any other where tasks travel by address.
 *
 * One lock guards everything; so few names are looked up that ck's mode for one writer and many
 * readers is not needed. The lock is an fl_mutex: sections under it may allocate.
 */
#include "registry.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <ck_hs.h>
#include <errno.h>
#include <fairlead/mutex.h>
#include <fairlead/task_type.h>
#include <pthread.h>
#include <string.h>

static fl_mutex lock = FL_MUTEX_INIT;
static fl_task_entry *newest;
static fl_task_entry *seen;  /* the list from here on is in the set */
static const char *conflict; /* a name that different types have */
static uint64_t changes;     /* how often an entry came or went; written under the lock */
static ck_hs_t set;
static bool has_set;

static unsigned long entry_hash(const void *object, unsigned long seed)
{
	const fl_task_entry *entry = object;
	uint64_t hash = 0xcbf29ce484222325u ^ seed; /* FNV-1a */
	for (const char *c = entry->type->name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
	return (unsigned long)(hash ^ (hash >> 32));
}

static bool entry_has_name_of(const void *a, const void *b)
{
	const fl_task_entry *one = a, *other = b;
	return strcmp(one->type->name, other->type->name) == 0;
}

static void *set_malloc(size_t size)
{
	return fl__alloc(1, size);
}

/* The set's operations do not call it, but require it beside the other two. */
static void *set_realloc(void *old, size_t old_size, size_t size, bool defer)
{
	(void)defer;
	void *memory = fl__alloc(1, size);
	if (memory) {
		memcpy(memory, old, old_size < size ? old_size : size);
		fl__free(old);
	}
	return memory;
}

static void set_free(void *memory, size_t size, bool defer)
{
	(void)size;
	(void)defer; /* readers hold the lock too, so no reader is left */
	fl__free(memory);
}

static struct ck_malloc set_memory = {set_malloc, set_realloc, set_free};

static bool make_set(void)
{
	enum { CAPACITY = 32 };
	if (!has_set)
		has_set = ck_hs_init(&set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, entry_hash, entry_has_name_of,
		                     &set_memory, CAPACITY, 0);
	return has_set;
}

static fl_task_entry *lookup(const fl_task_entry *key)
{
	return ck_hs_get(&set, CK_HS_HASH(&set, entry_hash, key), key);
}

static bool same_type(const fl_task_type *a, const fl_task_type *b)
{
	return a->run == b->run && a->version == b->version && a->arg_size == b->arg_size &&
	       a->arg_align == b->arg_align && a->result_size == b->result_size && a->result_align == b->result_align &&
	       a->drop_arg == b->drop_arg && a->drop_result == b->drop_result;
}

/* Looks at all entries, but only if there is a conflict. */
static bool name_is_ambiguous(const fl_task_type *type)
{
	for (const fl_task_entry *entry = conflict ? newest : NULL; entry; entry = entry->next_)
		if (strcmp(entry->type->name, type->name) == 0 && !same_type(entry->type, type))
			return true;
	return false;
}

static void note_change(void)
{
	/* relaxed: a thread that sees another number looks up under the lock */
	fl__store_relaxed(&changes, changes + 1);
}

/* Brings the set up to date. False: out of memory; what has been done stays valid. */
static bool update(void)
{
	if (newest == seen)
		return true;
	if (!make_set())
		return false;
	for (fl_task_entry *entry = newest; entry != seen; entry = entry->next_) {
		const fl_task_entry *known = lookup(entry);
		if (known && !same_type(known->type, entry->type))
			conflict = entry->type->name;
		if (!known && !ck_hs_put(&set, CK_HS_HASH(&set, entry_hash, entry), entry))
			return false;
	}
	seen = newest;
	return true;
}

void fl_task_register(fl_task_entry *entry)
{
	FL_LOCKED(&lock);
	entry->next_ = newest;
	newest = entry;
	note_change();
}

static bool unlink_entry(const fl_task_entry *entry)
{
	fl_task_entry **link = &newest;
	while (*link && *link != entry)
		link = &(*link)->next_;
	if (!*link)
		return false;
	*link = entry->next_;
	return true;
}

void fl_task_unregister(fl_task_entry *entry)
{
	FL_LOCKED(&lock);
	if (!unlink_entry(entry))
		return;
	note_change();
	seen = NULL;
	conflict = NULL;
	if (!has_set)
		return;
	if (lookup(entry) == entry)
		(void)ck_hs_remove(&set, CK_HS_HASH(&set, entry_hash, entry), entry);
	if (ck_hs_count(&set) == 0) {
		ck_hs_destroy(&set);
		has_set = false;
	}
}

int fl__registry_find(const char *name, const fl_task_type **type)
{
	const fl_task_type named = {.name = name};
	const fl_task_entry key = {&named, NULL};
	FL_LOCKED(&lock);
	if (!update())
		return -ENOMEM;
	const fl_task_entry *entry = has_set ? lookup(&key) : NULL;
	if (!entry)
		return -ENOENT;
	*type = entry->type;
	return name_is_ambiguous(entry->type) ? -EEXIST : 0;
}

const fl_task_type *fl_task_find(const char *name)
{
	const fl_task_type *type;
	return fl__registry_find(name, &type) == 0 ? type : NULL;
}

uint64_t fl__registry_changes(void)
{
	return fl__load_relaxed(&changes); /* relaxed: as in note_change() */
}

const char *fl_task_conflict(void)
{
	FL_LOCKED(&lock);
	return update() ? conflict : NULL;
}

int fl__registry_visit(void (*visit)(const fl_task_type *type, void *arg), void *arg)
{
	FL_LOCKED(&lock);
	if (!update())
		return -ENOMEM;
	if (!has_set)
		return 0;
	ck_hs_iterator_t iterator = CK_HS_ITERATOR_INITIALIZER;
	for (void *entry = NULL; ck_hs_next(&set, &iterator, &entry);) {
		const fl_task_type *type = ((const fl_task_entry *)entry)->type;
		if (!name_is_ambiguous(type))
			visit(type, arg);
	}
	return 0;
}

/* A forked child that makes an executor finds the registry consistent, and its lock free. */
static void before_fork(void)
{
	fl_mutex_lock(&lock);
}

static void after_fork_in_parent(void)
{
	fl_mutex_unlock(&lock);
}

static void after_fork_in_child(void)
{
	fl_mutex_init(&lock);
}

FL__AT_START static void watch_forks(void)
{
	/* see lib/wait/context.c */
	(void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}
