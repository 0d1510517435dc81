/* SPDX-License-Identifier: BSD-2-Clause */
/* Identifies programs, copies of the library, and task types across processes. */
#include "identity.h"
#include "core/base/sys.h"
#include "core/exec/registry.h"
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

uint64_t fl__hash(uint64_t seed, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < size; i++)
		seed = (seed ^ bytes[i]) * 0x100000001b3u; /* FNV-1a */
	return seed;
}

/* splitmix64. */
static uint64_t identity_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

struct identity_search {
	uintptr_t address;
	struct fl__build_id *id;
};

static bool identity_contains(const struct dl_phdr_info *module, uintptr_t address)
{
	for (unsigned i = 0; i < module->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &module->dlpi_phdr[i];
		uintptr_t start = module->dlpi_addr + header->p_vaddr;
		if (header->p_type == PT_LOAD && address >= start && address - start < header->p_memsz)
			return true;
	}
	return false;
}

/* A note's text is aligned in the segment. */
static bool identity_find_build_id(const unsigned char *notes, size_t size, size_t align, struct fl__build_id *id)
{
	size_t at = 0;
	while (size - at >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		memcpy(&note, notes + at, sizeof note);
		size_t name = at + sizeof note;
		size_t text = FL__ROUND_UP(name + note.n_namesz, align);
		size_t end = FL__ROUND_UP(text + note.n_descsz, align);
		if (text < name || end < text || end > size)
			return false;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(notes + name, "GNU", 4) == 0 &&
		    note.n_descsz > 0) {
			size_t n = FL__MIN(note.n_descsz, sizeof id->bytes);
			id->size = (uint8_t)n;
			memcpy(id->bytes, notes + text, n);
			return true;
		}
		at = end;
	}
	return false;
}

static void identity_hash_module(const struct dl_phdr_info *module, struct fl__build_id *id)
{
	uint64_t sum = fl__hash(FL__HASH_START, module->dlpi_phdr, sizeof(ElfW(Phdr)) * module->dlpi_phnum);
	/* The program's name is empty or, with musl, the one in argv[0]. */
	const bool is_program = identity_contains(module, (uintptr_t)getauxval(AT_PHDR));
	const char *path = is_program ? "/proc/thread-self/exe" : module->dlpi_name;
	struct stat file;
	if (stat(path, &file) == 0) {
		const int64_t about[] = {(int64_t)file.st_dev, (int64_t)file.st_ino, (int64_t)file.st_size,
		                         (int64_t)file.st_mtim.tv_sec, (int64_t)file.st_mtim.tv_nsec};
		sum = fl__hash(sum, about, sizeof about);
	}
	id->size = sizeof sum;
	id->hashed = 1;
	memcpy(id->bytes, &sum, sizeof sum);
}

static int identity_read_module(struct dl_phdr_info *module, size_t size, void *arg)
{
	(void)size;
	const struct identity_search *search = arg;
	if (!identity_contains(module, search->address))
		return 0;
	for (unsigned i = 0; i < module->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &module->dlpi_phdr[i];
		const unsigned char *notes = (const unsigned char *)(module->dlpi_addr + header->p_vaddr);
		if (header->p_type == PT_NOTE &&
		    identity_find_build_id(notes, header->p_memsz, header->p_align == 8 ? 8 : 4, search->id))
			return 1;
	}
	identity_hash_module(module, search->id);
	return 1;
}

void fl__build_id_of(const void *address, struct fl__build_id *id)
{
	struct identity_search search = {(uintptr_t)address, id};
	memset(id, 0, sizeof *id);
	(void)dl_iterate_phdr(identity_read_module, &search);
}

void fl__build_id_of_program(struct fl__build_id *id)
{
	/* the cast is allowed: AT_PHDR is the address of the program's headers */
	fl__build_id_of((const void *)(uintptr_t)getauxval(AT_PHDR), id);
}

/*
 * Each copy of the library contains this number, by which another copy is recognized at its place.
 */
static uint64_t identity_mark = 0x464c5f636f707931; /* "FL_copy1" */

int fl__copy_find(struct dl_phdr_info *module, size_t size, void *place)
{
	struct fl__copy_place *p = place;
	const uintptr_t here = (uintptr_t)&identity_mark, there = module->dlpi_addr + p->offset;
	/* glibc has no name for the program; musl has the name by which the program was started. */
	const char *file = identity_contains(module, getauxval(AT_PHDR)) ? "" : module->dlpi_name;
	(void)size;
	if (p->file)
		return there != here && strcmp(file, p->file) == 0 && identity_contains(module, there) &&
		       *(const uint64_t *)there == identity_mark;
	if (identity_contains(module, here))
		*p = (struct fl__copy_place){file, here - module->dlpi_addr};
	return 0;
}

const char *fl__build_id_text(const struct fl__build_id *id, char text[FL__BUILD_ID_TEXT])
{
	if (id->size == 0)
		return "unknown";
	char *at = text;
	if (id->hashed)
		*at++ = '~';
	for (unsigned i = 0; i < id->size && i < 10; i++)
		at += snprintf(at, 3, "%02x", id->bytes[i]);
	return text;
}

static uint64_t identity_id_of_type(const fl_task_type *type)
{
	uint64_t name = fl__hash(FL__HASH_START, type->name, strlen(type->name) + 1);
	return identity_mix(fl__hash(name, &type->version, sizeof type->version));
}

void fl__task_identify(const fl_task_type *type, struct fl__task_identity *identity)
{
	memset(identity, 0, sizeof *identity); /* also zeroes the padding, which is hashed */
	identity->id = identity_id_of_type(type);
	identity->version = type->version;
	identity->arg_size = type->arg_size;
	identity->arg_align = (uint32_t)type->arg_align;
	identity->result_size = type->result_size;
	identity->result_align = (uint32_t)type->result_align;
	fl__build_id_of((const void *)type, &identity->owner);
}

uint32_t fl__task_check(const struct fl__task_identity *identity)
{
	uint64_t sum = identity_mix(fl__hash(FL__HASH_START, identity, sizeof *identity));
	return (uint32_t)(sum ^ sum >> 32);
}

static uint32_t identity_far_check(const struct fl__task_identity *identity)
{
	struct fl__task_identity compared = *identity;
	if (compared.owner.hashed)
		compared.owner = (struct fl__build_id){0};
	return fl__task_check(&compared);
}

/*
 * Stores what a lookup has found. `changes` was read before the lookup, so it may be older than
 * what was found, but never newer.
 */
static void identity_remember(struct fl__type_known *k, const fl_task_type *type, const fl_task_type *registered,
                              uint64_t changes)
{
	struct fl__task_identity identity;
	fl__task_identify(registered, &identity);
	*k = (struct fl__type_known){
	    type, *type, changes, identity.id, fl__task_check(&identity), identity_far_check(&identity)};
}

int fl__types_find(struct fl__types_known *types, const fl_task_type *type, const struct fl__type_known **known)
{
	struct fl__type_known *k = &types->at[((uintptr_t)type >> 5) % FL__TYPES_KNOWN];
	const uint64_t changes = fl__registry_changes();
	*known = k;
	/* the comparison leaves out the padding, and the members that other processes do not see */
	if (k->type == type && k->changes == changes && memcmp(&k->copy, type, offsetof(fl_task_type, drop_arg)) == 0)
		return 0;
	const fl_task_type *registered;
	int rc = fl__registry_find(type->name, &registered);
	if (rc == 0 && registered->run != type->run)
		rc = -ENOENT;
	if (rc == 0)
		identity_remember(k, type, registered, changes);
	return rc;
}

struct identity_wanted {
	uint64_t id;
	const fl_task_type *type;
};

static void identity_compare_id(const fl_task_type *type, void *arg)
{
	struct identity_wanted *wanted = arg;
	if (identity_id_of_type(type) == wanted->id)
		wanted->type = type;
}

const struct fl__type_known *fl__types_find_id(struct fl__types_known *types, uint64_t id)
{
	struct fl__type_known *k = &types->at[id % FL__TYPES_KNOWN];
	const uint64_t changes = fl__registry_changes();
	if (k->type && k->id == id && k->changes == changes)
		return k;
	struct identity_wanted wanted = {id, NULL};
	fl__registry_visit(identity_compare_id, &wanted);
	if (!wanted.type)
		return NULL;
	identity_remember(k, wanted.type, wanted.type, changes);
	return k;
}

static void identity_add_to_digest(const fl_task_type *type, void *arg)
{
	struct fl__registry_digest *digest = arg;
	struct fl__task_identity identity;
	fl__task_identify(type, &identity);
	/* adds, so that the order of the types does not matter */
	digest->sum += identity_mix(fl__hash(FL__HASH_START, &identity, sizeof identity));
	digest->tasks++;
}

void fl__registry_digest(struct fl__registry_digest *digest)
{
	*digest = (struct fl__registry_digest){0, 0};
	fl__registry_visit(identity_add_to_digest, digest);
}
