/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes. Counted memory has a head, struct fl__bytes, which each of its handles points to:
 *
 *   memory      head                    data                         the last free
 *   none        none                    NULL                         -
 *   borrowed    none                    the program's                -
 *   library's   before the data, in     in the same allocation, at   frees the allocation
 *               the same allocation     a multiple of 64
 *   adopted     an allocation of        the program's                calls `drop`, frees the head
 *               its own (room is
 *               BYTES_ADOPTED)
 *
 *   word    meaning                     written by
 *   refs    handles                     fl__bytes_hold(): addition; fl_bytes_free(): subtraction,
 *                                       which at 0 frees the memory
 *   room    bytes that the memory can   constant
 *           have, without the zero
 *           byte
 *
 * Invariants
 *   1. The holder that brings `refs` to 0 frees the memory: it has seen all uses of the others.
 *   2. Memory is written only by the holder of its one handle. An acquire load that finds `refs` to
 *      be 1 orders the writes after the uses of the handles that were freed.
 *   3. The library's memory has a zero byte behind `size` bytes, from each function's return on.
 */
#include "bytes.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <errno.h>
#include <fairlead/task_type.h>
#include <string.h>

enum { BYTES_ALIGN = 64 };
#define BYTES_ADOPTED SIZE_MAX

struct fl__bytes {
	uint32_t refs;
	size_t room;
	void (*drop)(void *data, void *user); /* of adopted memory, as the rest; NULL: none */
	void *data, *user;
};

static void bytes_set_size(fl_bytes *b, size_t size)
{
	b->size = size;
	((char *)b->data)[size] = 0;
}

/* Overwrites `*b`. 0, -ENOMEM, -E2BIG. */
static int bytes_new(fl_bytes *b, size_t size, size_t room)
{
	if (size > FL_TASK_SIZE_MAX)
		return -E2BIG;
	struct fl__bytes *owner = fl__alloc_raw_from(NULL, sizeof *owner + BYTES_ALIGN + room);
	if (!owner)
		return -ENOMEM;
	*owner = (struct fl__bytes){.refs = 1, .room = room};
	*b = (fl_bytes){.data = fl__align(owner + 1, BYTES_ALIGN), .owner_ = owner};
	bytes_set_size(b, size);
	return 0;
}

/* The caller may write it, and its size may change. */
static bool bytes_is_ours(const fl_bytes *b)
{
	/* pairs with fl_bytes_free() */
	return b->owner_ && b->owner_->room != BYTES_ADOPTED && fl__load_acquire(&b->owner_->refs) == 1;
}

int fl_bytes_alloc(fl_bytes *b, size_t n, size_t each)
{
	fl_bytes made;
	size_t size;
	if (__builtin_mul_overflow(n, each, &size))
		return -E2BIG;
	const int rc = bytes_new(&made, size, size);
	if (rc != 0)
		return rc;
	fl_bytes_free(b);
	*b = made;
	return 0;
}

/* As fl_bytes_resize(). The caller frees `*old`, the memory from which it has moved. */
static int bytes_resize(fl_bytes *b, size_t size, fl_bytes *old)
{
	size_t room = size;
	*old = (fl_bytes){0};
	if (bytes_is_ours(b)) {
		if (size <= b->owner_->room) {
			bytes_set_size(b, size);
			return 0;
		}
		if (room < 2 * b->owner_->room)
			room = 2 * b->owner_->room;
	}
	fl_bytes made;
	const int rc = bytes_new(&made, size, room);
	if (rc != 0)
		return rc;
	if (b->data)
		memcpy(made.data, b->data, size < b->size ? size : b->size);
	*old = *b;
	*b = made;
	return 0;
}

int fl_bytes_resize(fl_bytes *b, size_t size)
{
	fl_bytes old;
	const int rc = bytes_resize(b, size, &old);
	fl_bytes_free(&old);
	return rc;
}

int fl_bytes_append(fl_bytes *b, const void *data, size_t size)
{
	fl_bytes old;
	const size_t before = b->size;
	if (size > FL_TASK_SIZE_MAX - before)
		return -E2BIG;
	const int rc = bytes_resize(b, before + size, &old);
	if (rc == 0 && size > 0)
		memcpy((char *)b->data + before, data, size);
	fl_bytes_free(&old);
	return rc;
}

int fl_bytes_adopt(fl_bytes *b, void *data, size_t size, void (*drop)(void *data, void *user), void *user)
{
	if (size > FL_TASK_SIZE_MAX)
		return -E2BIG;
	struct fl__bytes *owner = fl__alloc_raw_from(NULL, sizeof *owner);
	if (!owner)
		return -ENOMEM;
	*owner = (struct fl__bytes){.refs = 1, .room = BYTES_ADOPTED, .drop = drop, .data = data, .user = user};
	fl_bytes_free(b);
	*b = (fl_bytes){.data = data, .size = size, .owner_ = owner};
	return 0;
}

int fl__bytes_hold(fl_bytes *b)
{
	const fl_bytes from = *b;
	if (from.owner_)
		fl__add_relaxed(&from.owner_->refs, 1); /* the copied handle keeps the memory */
	if (from.owner_ || !from.data)
		return 0;
	const int rc = bytes_new(b, from.size, from.size);
	if (rc == 0)
		memcpy(b->data, from.data, from.size);
	else
		*b = (fl_bytes){0};
	return rc;
}

int fl_bytes_ref(fl_bytes *to, const fl_bytes *from)
{
	fl_bytes made = *from;
	const int rc = fl__bytes_hold(&made);
	if (rc != 0)
		return rc;
	fl_bytes_free(to);
	*to = made;
	return 0;
}

void fl_bytes_free(fl_bytes *b)
{
	struct fl__bytes *owner = b ? b->owner_ : NULL;
	if (b)
		*b = (fl_bytes){0};
	/* the last free sees all uses; pairs with itself, and with bytes_is_ours() */
	if (!owner || fl__sub_acq_rel(&owner->refs, 1) > 1)
		return;
	if (owner->drop)
		owner->drop(owner->data, owner->user);
	fl__free_to(NULL, owner);
}

void fl_bytes_drop(void *bytes)
{
	fl_bytes_free(bytes);
}

void fl__bytes_lent(void *object)
{
	(void)object;
}
