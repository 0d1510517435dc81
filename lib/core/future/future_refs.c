/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes and frees references to futures, and frees the future with the last one. future.c explains
 * the states (invariant 5).
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../hooks.h"
#include "bytes.h"
#include "future.h"

/* The reference count, and whether the future has ended. */
#define FUTURE_LIFE (~(uint32_t)(FL__FUTURE_REF - 1) | FL__FUTURE_ENDED)
_Static_assert(FL__HOOK_LAST == (FL__FUTURE_REF | FL__FUTURE_ENDED), "an ended future with one reference");

void fl__future_discard(fl_future *f)
{
	fl_cancel_token_destroy(&f->token);
	f->ops->release(f);
}

/*
 * Returns whether the count, which is in the top bits of `state`, would overflow with one more
 * reference.
 */
static bool future_is_full(uint32_t seen)
{
	return fl__unlikely(seen / FL__FUTURE_REF == UINT32_MAX / FL__FUTURE_REF);
}

static FL__COLD void future_panic_full(const fl_future *f)
{
	fl__panic("fl_future_ref", f, "too many references");
}

fl_future *fl_future_ref(fl_future *f)
{
	/* relaxed: the caller's own reference keeps the future alive */
	if (future_is_full(fl__add_relaxed(&f->state, FL__FUTURE_REF))) {
		fl__sub_relaxed(&f->state, FL__FUTURE_REF); /* relaxed: undoes the addition */
		future_panic_full(f);
	}
	return f;
}

bool fl__future_try_ref(fl_future *f)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* relaxed: the CAS below checks it */
	while ((seen & (FL__FUTURE_CLAIMED | FL__FUTURE_ENDED)) == FL__FUTURE_CLAIMED && seen / FL__FUTURE_REF > 0) {
		if (future_is_full(seen))
			future_panic_full(f);
		/* relaxed: the reference that the CAS has found keeps the future alive */
		if (fl__cas_weak_relaxed(&f->state, &seen, seen + FL__FUTURE_REF))
			return true;
	}
	return false;
}

bool fl__future_free_shared(fl_future *f)
{
	uint32_t seen = fl__load_relaxed(&f->state); /* relaxed: a stale value makes the CAS below fail */
	while (seen / FL__FUTURE_REF > 1)
		/*
		 * release: this reference's uses; pairs with the acquire in fl__future_has_result()
		 */
		if (fl__cas_weak_release(&f->state, &seen, seen - FL__FUTURE_REF))
			return true;
	return false;
}

static void future_clean(fl_future *f)
{
	/*
	 * A cancelled future has no result, so its type, which may have been unloaded, is not read.
	 */
	if (fl__future_has_result(f) && f->type->drop_result)
		fl__drop(f->type->drop_result, f->result);
	fl__message_free(f->message);
}

void fl__future_release(fl_future *f)
{
	future_clean(f);
	f->ops->release(f);
}

/* Called if the caller of a free had no reference. `before` is the state before the free. */
static FL__COLD void future_panic_freed(fl_future *f, uint32_t before)
{
	fl__add_relaxed(&f->state, FL__FUTURE_REF); /* relaxed: undoes the subtraction */
	fl__panic("fl_future_free", f,
	          before & FL__FUTURE_ENDED ? "a future that was freed before"
	                                    : "more frees than references, since its task has not ended");
}

bool fl__future_drop(fl_future *f)
{
	/* relaxed: future_clean() acquires, and nobody can add a reference to the last one */
	const uint32_t seen = fl__load_relaxed(&f->state);
	if ((seen & FUTURE_LIFE) != fl__hook_word(&fl__hook_last)) {
		/*
		 * release: this reference's uses; pairs with the acquire in fl__future_has_result()
		 */
		const uint32_t before = fl__sub_release(&f->state, FL__FUTURE_REF);
		if (before / FL__FUTURE_REF > 1)
			return false;
		/* The producer keeps its reference until the end. */
		if (fl__unlikely((before & FUTURE_LIFE) != (FL__FUTURE_REF | FL__FUTURE_ENDED)))
			future_panic_freed(f, before);
	}
	future_clean(f);
	return true;
}

void fl_future_free(fl_future *f)
{
	if (f && fl__future_drop(f))
		f->ops->release(f);
}
