/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "internals.h"
#include <stddef.h>

/*
 * The image of structs that begin with an fl_bytes: the structs, then the bytes of each handle that
 * has memory. These parts begin at multiples of FL__IMAGE_UNIT, and a zero byte follows the bytes.
 * In the image a struct's handle tells its size, and whether it has memory.
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

/* Or -E2BIG: a handle has more than FL_TASK_SIZE_MAX; or an `int` does not count the units. */
int64_t fl__image_size(const void *structs, uint32_t count, size_t each);

/*
 * `structs` are the image's, or a copy. Makes handles of its bytes: further ones of `owner`, or
 * borrowed ones (NULL). False: they exceed `size`.
 */
bool fl__image_open(void *structs, uint32_t count, size_t each, unsigned char *image, size_t size,
                    struct fl__bytes *owner);
