/* SPDX-License-Identifier: BSD-2-Clause */
/* Images of structs with bytes (image.h). */
#include "image.h"
#include "internals.h"

int64_t fl__image_size(const void *structs, uint32_t count, size_t each)
{
	uint64_t size = fl__image_structs(count, each);
	for (uint32_t i = 0; i < count; i++) {
		const fl_bytes *b = fl__element(structs, i, each);
		if (b->size > FL_TASK_SIZE_MAX)
			return -E2BIG;
		size += fl__image_part(b);
	}
	return size <= (uint64_t)INT32_MAX * FL__IMAGE_UNIT ? (int64_t)size : -E2BIG;
}

bool fl__image_open(void *structs, uint32_t count, size_t each, unsigned char *image, size_t size,
                    struct fl__bytes *owner)
{
	size_t at = fl__image_structs(count, each);
	for (uint32_t i = 0; i < count; i++) {
		fl_bytes *b = fl__element(structs, i, each);
		if (b->data && (at >= size || b->size >= size - at))
			return false;
		const size_t part = fl__image_part(b);
		*b = part > 0 ? (fl_bytes){.data = image + at, .size = b->size, .owner_ = owner} : (fl_bytes){0};
		at += part;
		if (owner && part > 0)
			owner->refs++;
	}
	return true;
}
