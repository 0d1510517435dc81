/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/task_type.h>
#include <stddef.h>
#include <stdint.h>

struct dl_phdr_info;

/*
 * Continues a hash (FNV-1a) with these bytes. `seed` is the hash so far, at first FL__HASH_START.
 */
#define FL__HASH_START 0xcbf29ce484222325u
uint64_t fl__hash(uint64_t seed, const void *data, size_t size);

/*
 * Identifies a program or library by the linker's build-id. A module without a build-id is
 * identified by a hash of its program headers and, if its file can be accessed, of the file's
 * device, inode, size and modification time.
 */
struct fl__build_id {
	uint8_t size;   /* 0 if there is no such module */
	uint8_t hashed; /* 1 if the module has no build-id */
	uint8_t bytes[30];
};

void fl__build_id_of_program(struct fl__build_id *id);
void fl__build_id_of(const void *address, struct fl__build_id *id);

/*
 * Where a copy of the library is in a program. The place is the same in each execution, whatever
 * the addresses are. `file` is the name of the object, or "" for the program itself.
 */
struct fl__copy_place {
	const char *file;
	size_t offset;
};

/*
 * A callback of dl_iterate_phdr(), for a struct fl__copy_place. If `file` is NULL, stores the place
 * of this copy. Otherwise returns 1 if another copy is at that place, and 0 if none is.
 */
int fl__copy_find(struct dl_phdr_info *module, size_t size, void *place);

enum { FL__BUILD_ID_TEXT = 24 };

/*
 * Writes the first 10 bytes of an id as hexadecimal digits into `text`, after a "~" if the id is a
 * hash. Returns `text`, or "unknown" if there is no such module.
 */
const char *fl__build_id_text(const struct fl__build_id *id, char text[FL__BUILD_ID_TEXT]);

struct fl__task_identity {
	uint64_t id; /* a hash of name and version */
	uint64_t arg_size, result_size;
	uint32_t arg_align, result_align;
	uint32_t version;
	uint32_t reserved;
	struct fl__build_id owner;
};

void fl__task_identify(const fl_task_type *type, struct fl__task_identity *identity);

uint32_t fl__task_check(const struct fl__task_identity *identity);

/*
 * A task type that was looked up. `check` covers the whole identity. `far_check` is for tasks that
 * run on other hosts, where the program is another file. If the type's owner has no build-id,
 * `far_check` leaves out the owner's hash, so that only name, version, sizes and alignments count.
 */
struct fl__type_known {
	const fl_task_type *type; /* NULL while there is none */
	fl_task_type copy;        /* a copy, because another type may be at the address by now */
	uint64_t changes;         /* the registry's count of changes at the lookup */
	uint64_t id;
	uint32_t check, far_check;
};

/* The latest lookups, by type or by id. The caller serializes the calls. */
enum { FL__TYPES_KNOWN = 64 };
struct fl__types_known {
	struct fl__type_known at[FL__TYPES_KNOWN];
};

/*
 * Returns
 *   0         *known is the type
 *   -ENOENT   the type is not registered
 *   -EEXIST   another type has its name
 */
int fl__types_find(struct fl__types_known *types, const fl_task_type *type, const struct fl__type_known **known);

/*
 * Returns NULL if no registered type has this `id`, or if different types are registered under its
 * name.
 */
const struct fl__type_known *fl__types_find_id(struct fl__types_known *types, uint64_t id);

struct fl__registry_digest {
	uint64_t sum;
	uint64_t tasks;
};
void fl__registry_digest(struct fl__registry_digest *digest);
