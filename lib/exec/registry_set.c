/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Task types by name: Concurrency Kit's hash set, keyed by name.
 *
 * A look-up adds the new entries of the registry's list to the set. The list is newest first, so
 * the new entries are those before `registry_indexed`. After a removal all entries are indexed
 * again: another entry of the removed name may take its place in the set, or a conflict may be
 * gone. The set is freed with its last entry, so that nothing is left when the library is
 * unloaded.
 *
 * Two different types may have one name, such as two plugins with a source file of the same name.
 * The set has one of them, and a look-up finds neither (registry_is_ambiguous()). Executors
 * that pass tasks by address run both.
 */
#include "../base/sys.h"
#include "registry.h"
#include <ck_hs.h>
#include <errno.h>
#include <string.h>

/* The registry's lock guards all of these. */
static fl_task_entry *registry_indexed; /* the list from here on is in the set */
static const char *registry_conflict;   /* a name that different types have */
static ck_hs_t registry_set;
static bool registry_has_set;

static unsigned long registry_hash(const void *object, unsigned long seed)
{
	const fl_task_entry *entry = object;
	uint64_t hash = 0xcbf29ce484222325u ^ seed; /* FNV-1a */
	for (const char *c = entry->type->name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
	return (unsigned long)(hash ^ (hash >> 32));
}

static bool registry_names_equal(const void *a, const void *b)
{
	const fl_task_entry *one = a, *other = b;
	return strcmp(one->type->name, other->type->name) == 0;
}

static void *registry_set_malloc(size_t size)
{
	return fl__alloc(1, size);
}

/* Not called, but required by ck_hs_init(). */
static void *registry_set_realloc(void *old, size_t old_size, size_t size, bool defer)
{
	(void)defer;
	void *memory = fl__alloc(1, size);
	if (memory) {
		memcpy(memory, old, old_size < size ? old_size : size);
		fl__free(old);
	}
	return memory;
}

static void registry_set_free(void *memory, size_t size, bool defer)
{
	(void)size;
	(void)defer; /* readers hold the lock too, so no reader is left */
	fl__free(memory);
}

static struct ck_malloc registry_set_memory = {registry_set_malloc, registry_set_realloc, registry_set_free};

static fl_task_entry *registry_lookup(const fl_task_entry *key)
{
	return ck_hs_get(&registry_set, CK_HS_HASH(&registry_set, registry_hash, key), key);
}

/* Takes out an entry that has left the list. */
static void registry_forget(fl_task_entry *entry)
{
	registry_indexed = NULL;
	registry_conflict = NULL;
	if (registry_lookup(entry) == entry)
		(void)ck_hs_remove(&registry_set, CK_HS_HASH(&registry_set, registry_hash, entry), entry);
	if (ck_hs_count(&registry_set) == 0) {
		ck_hs_destroy(&registry_set);
		registry_has_set = false;
		fl__registry.forget = NULL;
	}
}

static bool registry_make_set(void)
{
	enum { CAPACITY = 32 };
	if (!registry_has_set)
		registry_has_set = ck_hs_init(&registry_set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT, registry_hash,
		                              registry_names_equal, &registry_set_memory, CAPACITY, 0);
	if (registry_has_set)
		fl__registry.forget = registry_forget;
	return registry_has_set;
}

static bool registry_is_same_type(const fl_task_type *a, const fl_task_type *b)
{
	return a->run == b->run && a->version == b->version && a->arg_size == b->arg_size &&
	       a->arg_align == b->arg_align && a->result_size == b->result_size && a->result_align == b->result_align &&
	       a->drop_arg == b->drop_arg && a->drop_result == b->drop_result;
}

/* Searches all entries, but only if there is a conflict. */
static bool registry_is_ambiguous(const fl_task_type *type)
{
	for (const fl_task_entry *entry = registry_conflict ? fl__registry.newest : NULL; entry; entry = entry->next_)
		if (strcmp(entry->type->name, type->name) == 0 && !registry_is_same_type(entry->type, type))
			return true;
	return false;
}

/* Brings the set up to date. False: out of memory; what has been done stays valid. */
static bool registry_update(void)
{
	if (fl__registry.newest == registry_indexed)
		return true;
	if (!registry_make_set())
		return false;
	for (fl_task_entry *entry = fl__registry.newest; entry != registry_indexed; entry = entry->next_) {
		const fl_task_entry *known = registry_lookup(entry);
		if (known && !registry_is_same_type(known->type, entry->type))
			registry_conflict = entry->type->name;
		if (!known && !ck_hs_put(&registry_set, CK_HS_HASH(&registry_set, registry_hash, entry), entry))
			return false;
	}
	registry_indexed = fl__registry.newest;
	return true;
}

int fl__registry_find(const char *name, const fl_task_type **type)
{
	const fl_task_type named = {.name = name};
	const fl_task_entry key = {&named, NULL};
	FL_LOCKED(&fl__registry.lock);
	if (!registry_update())
		return -ENOMEM;
	const fl_task_entry *entry = registry_has_set ? registry_lookup(&key) : NULL;
	if (!entry)
		return -ENOENT;
	*type = entry->type;
	return registry_is_ambiguous(entry->type) ? -EEXIST : 0;
}

const fl_task_type *fl_task_find(const char *name)
{
	const fl_task_type *type;
	return fl__registry_find(name, &type) == 0 ? type : NULL;
}

const char *fl_task_conflict(void)
{
	FL_LOCKED(&fl__registry.lock);
	return registry_update() ? registry_conflict : NULL;
}

int fl__registry_visit(void (*visit)(const fl_task_type *type, void *arg), void *arg)
{
	FL_LOCKED(&fl__registry.lock);
	if (!registry_update())
		return -ENOMEM;
	if (!registry_has_set)
		return 0;
	ck_hs_iterator_t iterator = CK_HS_ITERATOR_INITIALIZER;
	for (void *entry = NULL; ck_hs_next(&registry_set, &iterator, &entry);) {
		const fl_task_type *type = ((const fl_task_entry *)entry)->type;
		if (!registry_is_ambiguous(type))
			visit(type, arg);
	}
	return 0;
}
