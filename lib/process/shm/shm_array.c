/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An array in shared memory is a head, followed by the items. The head's magic, item size and
 * length are written before another process knows the offset. They are read when the array is
 * opened; from then on a handle uses its own copy of the length. The head also contains the array's
 * mutex.
 */
#include "core/base/atomic.h"
#include "core/base/panic.h"
#include "shm_region.h"
#include <errno.h>
#include <fairlead/shm_value.h>
#include <string.h>

struct shm_array_head {
	FL__WORD64 uint64_t magic, item_size, length;
	fl_shm_mutex mutex;
};

enum { SHM_ARRAY_ITEMS = 128 }; /* the offset of the items, aligned for all types */
_Static_assert(sizeof(struct shm_array_head) <= SHM_ARRAY_ITEMS, "the head ends before the items");

static const uint64_t SHM_ARRAY_MAGIC = UINT64_C(0x79617272612d6c66); /* "fl-array" */

static bool shm_array_bytes(size_t item_size, uint64_t n, size_t *size)
{
	return !__builtin_mul_overflow(n, item_size, size) &&
	       !__builtin_add_overflow(*size, (size_t)SHM_ARRAY_ITEMS, size);
}

int fl_shm_array_create(fl_shm_array *a, fl_shm *region, size_t item_size, size_t n)
{
	size_t size;
	void *block = NULL;
	if (item_size == 0 || n == 0)
		return -EINVAL;
	if (!shm_array_bytes(item_size, n, &size))
		return -ENOMEM;
	int rc = fl__shm_try_alloc(region, size, &block);
	if (rc != 0)
		return rc;
	memset(block, 0, size);
	/* relaxed, all stores: no other process has the block yet */
	struct shm_array_head *h = block;
	fl__store_relaxed(&h->magic, SHM_ARRAY_MAGIC);
	fl__store_relaxed(&h->item_size, (uint64_t)item_size);
	fl__store_relaxed(&h->length, (uint64_t)n);
	*a = (fl_shm_array){region, block, n};
	return 0;
}

int fl_shm_array_attach(fl_shm_array *a, fl_shm *region, fl_shm_offset offset, size_t item_size)
{
	/* relaxed, all loads: the transfer of the offset has ordered them */
	struct shm_array_head *h = fl_shm_at(region, offset, SHM_ARRAY_ITEMS);
	size_t size;
	if (!h || offset % FL__SHM_UNIT != 0 || item_size == 0)
		return -EBADMSG;
	uint64_t n = fl__load_relaxed(&h->length);
	if (fl__load_relaxed(&h->magic) != SHM_ARRAY_MAGIC || fl__load_relaxed(&h->item_size) != item_size)
		return -EBADMSG;
	if (n == 0 || !shm_array_bytes(item_size, n, &size) || !fl_shm_at(region, offset, size))
		return -EBADMSG;
	*a = (fl_shm_array){region, h, (size_t)n};
	return 0;
}

void fl_shm_array_destroy(fl_shm_array *a)
{
	fl_shm_block_free(a->region_, a->head_);
}

fl_shm_offset fl_shm_array_offset(const fl_shm_array *a)
{
	return fl_shm_offset_of(a->region_, a->head_);
}

size_t fl_shm_array_length(const fl_shm_array *a)
{
	return a->length_;
}

void *fl_shm_array_at(const fl_shm_array *a, size_t i, size_t item_size)
{
	if (i >= a->length_)
		fl__panic("fl_shm_array_at", a->head_, "the array has fewer items");
	return (char *)a->head_ + SHM_ARRAY_ITEMS + i * item_size;
}

fl_shm_mutex *fl_shm_array_mutex(const fl_shm_array *a)
{
	return &((struct shm_array_head *)a->head_)->mutex;
}
