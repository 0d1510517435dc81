/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/future/bytes.h"
#include "rings.h"
#include <stddef.h>

/* Memory of any size between the two processes of a pair of rings. pool_bytes.c has the tables. */
struct fl__process_pool_worker;
struct fl__task_block;
struct fl_future;

enum { FL__BYTES_UNIT = 64 };

/* In the place of a handle. */
struct fl__bytes_wire {
	uint64_t at, size;
	uint64_t place; /* enum fl__bytes_place */
	uint64_t reserved;
};

enum fl__bytes_place {
	FL__BYTES_NONE,  /* no memory */
	FL__BYTES_ROOM,  /* at an offset in the room behind the array */
	FL__BYTES_MEMFD, /* at an offset in the side's memfd */
};

/* The parent, under the executor's lock. */

/* The room for the arguments' bytes; 0: in a memfd. */
size_t fl__bytes_arg_room(const struct fl_future *f, size_t array);

/*
 * Writes the bytes, and the handles in `array`, a copy of the arguments. Returns the size of a
 * sealed memfd, which it stores; 0: none; or an error.
 */
int64_t fl__bytes_write_args(const struct fl_future *f, unsigned char *array, unsigned char *room, size_t size,
                             int *fd);

/* The room for results of `count` elements, a multiple of FL__BYTES_UNIT. */
uint32_t fl__bytes_result_room(const struct fl__process_pool_worker *w, uint32_t count);

/*
 * The block has a copy of the worker's result array. Makes handles of the first `n` elements and
 * zeroes the others'. After an error, of which the task fails, all are zeroed.
 */
int fl__bytes_take_results(struct fl__process_pool_worker *w, struct fl__task_block *block, uint32_t n);

/* The worker's main thread. */

struct fl__bytes_part {
	const unsigned char *data;
	size_t size;
};

/* `args` is a copy of the array. Its handles borrow the parts. 0, -EPROTO. */
int fl__bytes_read_args(void *args, uint32_t count, size_t each, struct fl__bytes_part room,
                        struct fl__bytes_part memfd);

/* Begins a submission. */
void fl__bytes_begin(int channel, uint32_t seq, unsigned char *room, size_t size);

/* Shared memory of the submission's memfd, which no child inherits. */
int fl__bytes_map(size_t size, void **memory);

/* The result of the next element, zeroed. */
void *fl__bytes_run(size_t size);

/* After the element: copies the result to the array, with its bytes if `keep`. Frees them. */
int fl__bytes_publish(void *result, size_t size, bool keep);

/* After the last element. `sends`: also without bytes. After an error the parent gets no result. */
int fl__bytes_finish(bool sends);

/* As fl__bytes_share. */
int fl__bytes_share_result(fl_bytes *b, size_t size);
