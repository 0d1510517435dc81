/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reference-counted memory for results and arguments of any length. Handles (fl_bytes) point to its
 * head:
 *
 *   memory      head                         data                  the last free
 *   none        none                         NULL                  -
 *   borrowed    none                         the program's         -
 *   library's   with the data in one         at a multiple of 64   frees the allocation
 *               allocation; `data` is NULL
 *   adopted     an allocation of its own,    the program's         calls `drop`, frees the head
 *               `room` is 0
 *   shared      an allocation of its own,    fl__bytes_share()'s   calls `drop`, frees the head
 *               with `room`
 *
 * `refs` counts the handles. The other words of a head are constant.
 *
 * Invariants
 *   1. Whoever frees the last handle frees the memory, after it has acquired all uses.
 *   2. If `refs` is 1, the caller has the only handle, so it may change the memory in place, or
 *      free it without a decrement. Loading `refs` with acquire orders this after all uses through
 *      handles that were freed before.
 *   3. When a function returns, a zero byte follows the last byte of the library's memory.
 *
 * Because the value is a handle of 32 bytes, maps, groups, lazy maps and chains need no functions
 * for bytes, and a task type needs no new field: the drop hook FL_BYTES_DROP declares that the
 * object begins with a handle. Each submit and each get makes another handle, so that the caller
 * has one rule: free each handle that you have. If a submit took the handle over, as other hooks
 * do, FL_SCOPED would free it a second time. Sequential, thread and loop executors copy only
 * borrowed memory: that of an argument when it is submitted, and that of a result when its task
 * ends. Between processes, bytes lie in shared memory behind the array of structs, or in one memfd
 * for each submission. MPI only offers a larger image, and the receiver then asks for it
 * (docs/decisions/bytes.md).
 */
#include "bytes.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include <string.h>

enum { BYTES_ALIGN = 64 };

const fl_bytes *fl__bytes_running;
int (*fl__bytes_share)(fl_bytes *b, size_t size);

int fl__bytes_new(fl_bytes *b, size_t size, struct fl__bytes head)
{
	if (size > FL_TASK_SIZE_MAX)
		return -E2BIG;
	struct fl__bytes *owner = fl__sys.alloc(sizeof head + (head.data ? 0 : BYTES_ALIGN + head.room));
	if (!owner)
		return -ENOMEM;
	head.refs = 1;
	*owner = head;
	void *const data = head.data ? head.data : fl__align(owner + 1, BYTES_ALIGN);
	*b = (fl_bytes){.data = data, .size = size, .owner_ = owner};
	return 0;
}

/* acquire: the uses by freed handles; pairs with the acq_rel in fl_bytes_free() */
static bool bytes_are_unique(const struct fl__bytes *owner)
{
	return fl__load_acquire(&owner->refs) == 1;
}

/* Changes the size, and copies `n` bytes to the end. */
static int bytes_change(fl_bytes *b, size_t size, const void *tail, size_t n)
{
	struct fl__bytes *const owner = b->owner_;
	const bool ours = owner && owner->room > 0 && bytes_are_unique(owner);
	fl_bytes made = *b;
	if (!ours || size > owner->room) {
		const size_t kept = FL__MIN(size, b->size);
		const size_t room = FL__MIN(FL__MAX(size, ours ? 2 * owner->room : 0), FL_TASK_SIZE_MAX);
		const int rc = fl__bytes_new(&made, size, (struct fl__bytes){.room = room});
		if (rc != 0)
			return rc;
		if (kept > 0)
			memcpy(made.data, b->data, kept);
	}
	char *const end = (char *)made.data + size;
	if (n > 0)
		memcpy(end - n, tail, n);
	*end = 0;
	made.size = size;
	if (made.owner_ != owner)
		fl_bytes_free(b);
	*b = made;
	return 0;
}

int fl_bytes_resize(fl_bytes *b, size_t size)
{
	return bytes_change(b, size, NULL, 0);
}

int fl_bytes_append(fl_bytes *b, const void *data, size_t size)
{
	return size > FL_TASK_SIZE_MAX ? -E2BIG : bytes_change(b, b->size + size, data, size);
}

static int bytes_replace(fl_bytes *b, const fl_bytes *made, int rc)
{
	if (rc == 0) {
		fl_bytes_free(b);
		*b = *made;
	}
	return rc;
}

int fl_bytes_alloc(fl_bytes *b, size_t n, size_t each)
{
	fl_bytes made = {0};
	size_t size;
	if (__builtin_mul_overflow(n, each, &size))
		return -E2BIG;
	const int rc = b == fl__bytes_running ? fl__bytes_share(b, size) : 1;
	return rc == 1 ? bytes_replace(b, &made, fl_bytes_resize(&made, size)) : rc;
}

int fl_bytes_adopt(fl_bytes *b, void *data, size_t size, void (*drop)(void *data, void *user), void *user)
{
	fl_bytes made;
	return bytes_replace(b, &made,
	                     fl__bytes_new(&made, size, (struct fl__bytes){.drop = drop, .data = data, .user = user}));
}

int fl__bytes_hold(fl_bytes *b, const fl_bytes *from)
{
	*b = *from;
	if (b->owner_ && b->owner_->drop && b->owner_->room > 0)
		b->owner_ = NULL; /* shared memory of a running task's result: copied */
	if (!b->owner_)
		return b->data ? fl_bytes_resize(b, b->size) : 0;
	fl__add_relaxed(&b->owner_->refs, 1); /* relaxed: the copied handle keeps the memory */
	return 0;
}

int fl_bytes_ref(fl_bytes *to, const fl_bytes *from)
{
	fl_bytes made;
	return bytes_replace(to, &made, fl__bytes_hold(&made, from));
}

void fl_bytes_free(fl_bytes *b)
{
	struct fl__bytes *const owner = b->owner_;
	*b = (fl_bytes){0};
	/*
	 * acq_rel: the uses of this handle, and of those freed before; pairs with itself and with
	 * bytes_are_unique()
	 */
	if (!owner || (!bytes_are_unique(owner) && fl__sub_acq_rel(&owner->refs, 1) > 1))
		return;
	if (owner->drop)
		owner->drop(owner->data, owner->user);
	fl__free(owner);
}
