/* SPDX-License-Identifier: BSD-2-Clause */
/* The creation of a ring, and the check by which another process recognizes a ring. */
#include "../base/atomic.h"
#include "shm_queue_ring.h"
#include <errno.h>
#include <string.h>

#define MAGIC 0x716c6673u /* "sflq" */
enum { VERSION = 1 };

int fl__shm_ring_bytes(size_t item_size, size_t size, size_t *bytes)
{
	size_t data;
	if (size == 0)
		return -EINVAL;
	if (size > FL__SHM_RING_MOST || __builtin_mul_overflow(size, item_size ? item_size : 1, &data) ||
	    data > PTRDIFF_MAX - sizeof(struct fl__shm_ring))
		return -EOVERFLOW;
	*bytes = data + sizeof(struct fl__shm_ring);
	return 0;
}

size_t fl__shm_view_bytes(const struct fl__shm_view *v)
{
	return sizeof(struct fl__shm_ring) + v->size * (v->item_size ? v->item_size : 1);
}

static void view_of(struct fl__shm_view *v, void *memory, size_t item_size, uint32_t size)
{
	*v = (struct fl__shm_view){memory, (unsigned char *)memory + sizeof(struct fl__shm_ring), item_size, size};
}

void fl__shm_ring_make(struct fl__shm_view *v, void *memory, size_t item_size, uint32_t size, uint32_t start)
{
	struct fl__shm_ring *r = memory;
	/*
	 * A process that still looks for the previous object finds no magic. relaxed and plain
	 * stores: no other process knows the new ring.
	 */
	fl__store_relaxed(&r->magic, 0);
	fl__in_program_order(); /* after a kill in between there is no queue here */
	memset(r, 0, offsetof(struct fl__shm_ring, magic));
	r->in = r->out = (uint64_t)start << 32 | start % (2 * size);
	r->dones = start;
	r->item_size = item_size;
	r->size = size;
	r->version = VERSION;
	/* release: the whole ring; pairs with fl__shm_ring_check() */
	fl__store_release(&r->magic, MAGIC);
	view_of(v, memory, item_size, size);
}

int fl__shm_ring_check(struct fl__shm_view *v, void *memory)
{
	struct fl__shm_ring *r = memory;
	size_t bytes;
	if ((uintptr_t)memory % FL__SHM_RING_ALIGN != 0)
		return -EBADMSG;
	if (fl__load_acquire(&r->magic) != MAGIC) /* acquire: pairs with fl__shm_ring_make() */
		return -EBADMSG;
	/* relaxed, all: written before the magic. Read once: another process may overwrite them. */
	if (fl__load_relaxed(&r->version) != VERSION)
		return -EPROTONOSUPPORT;
	uint64_t item_size = fl__load_relaxed(&r->item_size);
	uint32_t size = fl__load_relaxed(&r->size);
	if (item_size > PTRDIFF_MAX || fl__shm_ring_bytes((size_t)item_size, size, &bytes) != 0)
		return -EBADMSG;
	view_of(v, memory, (size_t)item_size, size);
	return 0;
}

void fl__shm_ring_unmake(struct fl__shm_view *v)
{
	fl__store_relaxed(&v->ring->magic, 0); /* relaxed: no other process uses the ring */
}
