/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_IDENTITY_H
#define FL_PROCESS_IDENTITY_H

#include <fairlead/task_type.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Continues the hash `seed`, which begins with FL__HASH_START, with these bytes (FNV-1a). */
#define FL__HASH_START 0xcbf29ce484222325u
uint64_t fl__hash(uint64_t seed, const void *data, size_t size);

/*
 * Identifies a module (the program or a library) to another process: the linker's build-id, or else
 * a hash of the program headers and of the file's device, inode, size and modification time.
 */
struct fl__build_id {
	uint8_t size;   /* 0: no such module */
	uint8_t hashed; /* the module has no build-id */
	uint8_t bytes[30];
};

/* Identify the program, and the module that contains `address`. */
void fl__build_id_of_program(struct fl__build_id *id);
void fl__build_id_of(const void *address, struct fl__build_id *id);

enum { FL__BUILD_ID_TEXT = 24 };

/* Returns the first 10 bytes in hexadecimal, after "~" if hashed; "unknown": no such module. */
const char *fl__build_id_text(const struct fl__build_id *id, char text[FL__BUILD_ID_TEXT]);

/* Identifies a task to another process. */
struct fl__task_identity {
	uint64_t id; /* a hash of name and version */
	uint64_t arg_size, result_size;
	uint32_t arg_align, result_align;
	uint32_t version;
	uint32_t reserved;
	struct fl__build_id owner;
};

void fl__task_identify(const fl_task_type *type, struct fl__task_identity *identity);

/* Returns a hash of a whole identity. */
uint32_t fl__task_check(const struct fl__task_identity *identity);

/* Returns the registered type of `id`; NULL: none. Visits all types. */
const fl_task_type *fl__task_find_id(uint64_t id);

/* Digests all registered tasks, whatever their order. */
struct fl__registry_digest {
	uint64_t sum;
	uint64_t tasks;
};
void fl__registry_digest(struct fl__registry_digest *digest);

#endif
