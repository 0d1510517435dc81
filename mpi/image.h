/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "internals.h"
#include <stddef.h>

/*
 * The image of an array of structs that begin with an fl_bytes is contiguous memory that is sent in
 * a message. It consists of the structs, followed by the bytes of each handle that has memory. The
 * array and each run of bytes begin at a multiple of FL__IMAGE_UNIT, and a zero byte follows each
 * run of bytes. The handle of a struct in the image contains the size of its bytes, and a pointer
 * that is not NULL if it has memory.
 */
enum { FL__IMAGE_UNIT = 64 };

static inline size_t fl__image_structs(uint32_t count, size_t each)
{
	return FL__ROUND_UP(count * each, FL__IMAGE_UNIT);
}

static inline size_t fl__image_part(const fl_bytes *b)
{
	return b->data ? FL__ROUND_UP(b->size + 1, FL__IMAGE_UNIT) : 0;
}

/*
 * Returns the size of the image of these structs, or -E2BIG if a handle has more than
 * FL_TASK_SIZE_MAX bytes or the number of units of the image exceeds an `int`.
 */
int64_t fl__image_size(const void *structs, uint32_t count, size_t each);

/*
 * Turns the handles of an image into handles of this process, whose bytes are those in the image.
 * `structs` are those in the image, or a copy of them. If `owner` is not NULL, each handle is a
 * further reference to it; otherwise the handles are borrowed. Returns false if the bytes exceed
 * `size`, the size of the image.
 */
bool fl__image_open(void *structs, uint32_t count, size_t each, unsigned char *image, size_t size,
                    struct fl__bytes *owner);
