/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/future/bytes.h"
#include "rings.h"
#include <stddef.h>

/*
 * Bytes of arguments and results on their way between the two processes of a pair of rings.
 * pool_bytes.c has the tables.
 */
struct fl__process_pool_worker;
struct fl__task_block;

/* Replaces a handle, in its place. */
struct fl__bytes_wire {
	uint64_t at, size;
	uint32_t place, reserved; /* enum fl__bytes_place */
};

enum fl__bytes_place {
	FL__BYTES_NONE,  /* no memory */
	FL__BYTES_IMAGE, /* an argument's, at an offset in the image */
	FL__BYTES_ROOM,  /* a result's, at an offset in the submission's room */
	FL__BYTES_MEMFD, /* a result's, at an offset in the submission's memfd */
};

enum { FL__BYTES_UNIT = 64 };

/* The parent, under the executor's lock. */

/*
 * The image of arguments: the structs, then the bytes of each. Returns its size; or -E2BIG: one has
 * more than `most` bytes.
 */
int64_t fl__bytes_image_size(const void *args, uint32_t count, size_t each, size_t most);

void fl__bytes_image_write(const void *args, uint32_t count, size_t each, unsigned char *image);

/* The image as a sealed memfd: its descriptor, or an error. */
int fl__bytes_image_memfd(const void *args, uint32_t count, size_t each, uint64_t size);

/* For results of `count` elements, a multiple of FL__BYTES_UNIT. */
uint32_t fl__bytes_room(const struct fl__process_pool_worker *w, uint32_t count);

/*
 * The block has a copy of the worker's result array. Makes handles of the first `n` elements and
 * zeroes the others'. After an error, of which the task fails, all are zeroed.
 */
int fl__bytes_take_results(struct fl__process_pool_worker *w, struct fl__task_block *block, uint32_t n);

void fl__bytes_free_results(struct fl__task_block *block);

/* The worker's main thread. */

/* `args` is a copy of the image's structs. Its handles borrow the image. 0, -EPROTO. */
int fl__bytes_read_image(void *args, uint32_t count, size_t each, const unsigned char *image, size_t size);

/* As fl__bytes_share. */
int fl__bytes_share_result(const fl_bytes *of, size_t room, fl_bytes *made);

/* Begins a submission. */
void fl__bytes_begin(int channel, uint32_t seq, unsigned char *room, size_t size);

/* Before an element with that result. */
void fl__bytes_run(fl_bytes *result);

/* After it: rewrites the handle for the parent, or frees it. An error frees it, too. */
int fl__bytes_publish(fl_bytes *result, bool keep);

/* After the last element. After an error the parent gets no result of the submission. */
int fl__bytes_finish(void);
