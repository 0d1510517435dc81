/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/future/bytes.h"
#include "rings.h"
#include <stddef.h>

/*
 * Passes memory of any size between the two processes of a pair of rings. pool_bytes.c has the
 * tables.
 */
struct fl__process_pool_worker;
struct fl__task_block;
struct fl_future;

enum { FL__BYTES_UNIT = 64 };

/* This struct replaces a handle in an array that is sent. */
struct fl__bytes_wire {
	uint64_t at, size;
	uint64_t place; /* enum fl__bytes_place */
	uint64_t reserved;
};

enum fl__bytes_place {
	FL__BYTES_NONE,  /* no memory */
	FL__BYTES_ROOM,  /* at an offset in the memory behind the array (the submission's room) */
	FL__BYTES_MEMFD, /* at an offset in the memfd of the sender */
};

/* The parent's functions, called under the executor's lock. */

/* Returns the size that the bytes of the arguments need. */
uint64_t fl__bytes_arg_size(const struct fl_future *f);

/*
 * Writes the bytes, and the handles in `array`, which is a copy of the arguments. Returns 0; or the
 * size of a sealed memfd, whose descriptor it stores in *fd; or an error.
 */
int64_t fl__bytes_write_args(const struct fl_future *f, unsigned char *array, unsigned char *room, size_t size,
                             int *fd);

/* Returns the size of the room for results of `count` elements, after an array of `begin` bytes. */
uint32_t fl__bytes_result_room(const struct fl__process_pool_worker *w, uint32_t count, size_t begin);

/*
 * The block has a copy of the worker's result array. Makes handles of the first `n` elements, and
 * zeroes the others. After an error the task fails, and all handles are zeroed. `sent` says that
 * the worker has sent a memfd.
 */
int fl__bytes_take_results(struct fl__process_pool_worker *w, struct fl__task_block *block, uint32_t n, bool sent);

/* The functions of the worker's main thread. */

void fl__bytes_init(void);

struct fl__bytes_part {
	const unsigned char *data;
	size_t size;
};

/* Makes handles that borrow the bytes. `args` is a copy of the array. Returns 0 or -EPROTO. */
int fl__bytes_read_args(void *args, uint32_t count, size_t each, struct fl__bytes_part room,
                        struct fl__bytes_part memfd);

/* Begins a submission. */
void fl__bytes_begin(int channel, uint32_t seq, unsigned char *room, size_t size);

/* Maps shared memory of the submission's memfd, which no child inherits. */
int fl__bytes_map(size_t size, void **memory);

/* Returns memory for the result of the next element, zeroed. */
void *fl__bytes_run(size_t size);

/*
 * Called after the element. Copies the result to the array, with its bytes if `keep` is true,
 * and frees the bytes.
 */
int fl__bytes_publish(void *result, size_t size, bool keep);

/*
 * Called after the last element. With `sends` a memfd is sent even if it contains no bytes of a
 * result. If there is a memfd, stores in *sent whether it was sent; otherwise leaves *sent
 * unchanged. After an error the parent gets no result.
 */
int fl__bytes_finish(bool sends, bool *sent);
