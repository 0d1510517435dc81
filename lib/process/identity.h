/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_PROCESS_IDENTITY_H
#define FL_PROCESS_IDENTITY_H

#include <fairlead/task_type.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Who is who, in two processes that should be of one program. A module (the program, a library) is told by the build-id that
 * the linker gave it; when it has none, by a hash of its program headers and of its file's device, inode, size and time of
 * change. Plain bytes, which go over a socket.
 */
struct fl__build_id {
	uint8_t size;   /* 0: there is no such module */
	uint8_t hashed; /* it has none */
	uint8_t bytes[30];
};

/* Of the program, and of the module that `address` is in. */
void fl__build_id_of_program(struct fl__build_id *id);
void fl__build_id_of(const void *address, struct fl__build_id *id);

enum { FL__BUILD_ID_TEXT = 24 };

/* Its first bytes, to be told apart by people. Returns `text`. */
const char *fl__build_id_text(const struct fl__build_id *id, char text[FL__BUILD_ID_TEXT]);

/* A task as another process sees it. */
struct fl__task_identity {
	uint64_t id; /* a hash of name and version */
	uint64_t arg_size, result_size;
	uint32_t arg_align, result_align;
	uint32_t version;
	uint32_t reserved;
	struct fl__build_id owner;
};

void fl__task_identify(const fl_task_type *type, struct fl__task_identity *identity);

/* The whole of an identity in 32 bits: what goes along with its id, to be compared. */
uint32_t fl__task_check(const struct fl__task_identity *identity);

/* The registered type of that id; NULL: none, or no memory to look for it. Looks at all there are. */
const fl_task_type *fl__task_find_id(uint64_t id);

/* What is registered, whatever the order. 0 or -ENOMEM. */
struct fl__registry_digest {
	uint64_t sum;
	uint64_t tasks;
};
int fl__registry_digest(struct fl__registry_digest *digest);

#endif
