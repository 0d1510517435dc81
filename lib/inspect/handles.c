/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of handles that were freed, joined or detached while debugging was on, by their
 * addresses. A later call that ends such a handle panics. An address leaves the table when the
 * library allocates memory there. Each address belongs to one slot, which holds only the last of
 * its addresses. So the table forgets a handle after a few thousand others, and then the call is
 * not noticed.
 *
 * While debugging is off, the table is empty, because no address would leave it. A thread that has
 * seen debugging on may store an address after the table was emptied, so it looks again after the
 * store.
 *
 * All accesses are relaxed, because the allocator orders freeing the memory before its next
 * allocation, and thereby the changes of the slot before the former and after the latter.
 */
#include "core/base/atomic.h"
#include "core/base/panic.h"
#include "core/hooks.h"
#include "report.h"

#ifdef FL__LABORATORY
enum { HANDLES_BITS = 1 }; /* a few steps clear the table */
#else
enum { HANDLES_BITS = 12 };
#endif

static uintptr_t handles_ended[1 << HANDLES_BITS];

static uintptr_t *handles_slot(const void *handle)
{
	const uint64_t spread = (uint64_t)(uintptr_t)handle * UINT64_C(0x9e3779b97f4a7c15);
	return &handles_ended[spread >> (64 - HANDLES_BITS)];
}

void fl__hook_freed_on(const void *handle)
{
	uintptr_t *slot = handles_slot(handle);
	fl__store_relaxed(slot, (uintptr_t)handle);
	/*
	 * seq_cst fence: pairs with the one in fl__handles_forget(). Either that function
	 * overwrites the address, or this one sees that debugging is off.
	 */
	fl__fence_seq_cst();
	if (!fl__hooks_on(FL__HOOKS_DEBUG))
		fl__store_relaxed(slot, (uintptr_t)0);
}

void fl__hook_made_on(const void *memory)
{
	uintptr_t *slot = handles_slot(memory);
	if (fl__load_relaxed(slot) == (uintptr_t)memory)
		fl__store_relaxed(slot, (uintptr_t)0);
}

void fl__hook_ends_on(const char *function, const void *handle)
{
	if (fl__load_relaxed(handles_slot(handle)) == (uintptr_t)handle)
		fl__panic(function, handle, "a handle that was freed, joined or detached before");
}

void fl__handles_forget(void)
{
	fl__fence_seq_cst(); /* pairs with the one in fl__hook_freed_on() */
	for (size_t i = 0; i < FL__COUNT(handles_ended); i++)
		fl__store_relaxed(&handles_ended[i], (uintptr_t)0);
}
