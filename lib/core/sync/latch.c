/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The latch is a word, and a wait queue in the parking lot (wait/lot.h). The low 31 bits of the
 * word are the remaining count, and the top bit is WAITERS.
 *
 *   field    meaning              changed by
 *   count    the remaining count  fl_latch_count_down(): CAS; with WAITERS, the step to zero is
 *                                 under the queue lock
 *   WAITERS  the wait queue may   set by fl__word_arm(), under the queue lock, while count > 0;
 *            be not empty         cleared by the step to zero
 *
 * The latch opens at the CAS or swap that takes the count to zero, which is the linearization point
 * of the ends of all waits. The fl_latch_count_down() that does this does not access the latch
 * afterwards. The count never leaves zero.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../wait/lot.h"
#include <fairlead/latch.h>

#define LATCH_WAITERS 0x80000000u
static const struct fl__word latch_at_zero = {FL_LATCH_MAX, 0, LATCH_WAITERS, .kind = FL__DEBUG_LATCH};

void fl_latch_destroy(fl_latch *l)
{
	fl__hook_destroy(l, l, fl__lot_has_waiters_at(l));
}

/* Takes the count to zero, and wakes all waiters. */
static void latch_open_waking(fl_latch *l)
{
	FL__LOT(lot, l);
	fl__lot_take(&lot, FL__ALL, 0);
	/*
	 * acquire: pairs with the release of earlier counts, whose writes the unparks pass on to
	 * the woken waiters. release: pairs with the acquire in later waits. The last access.
	 */
	(void)fl__swap_acq_rel(&l->word_, 0);
}

void fl_latch_count_down(fl_latch *l, uint32_t n)
{
	uint32_t seen = fl__load_relaxed(&l->word_); /* relaxed: a stale value only makes the CAS fail */
	uint32_t next;
	do {
		uint32_t count = seen & FL_LATCH_MAX;
		if (n > count)
			fl__panic("fl_latch_count_down", l, "the count is smaller");
		next = seen - n;
		if (next == LATCH_WAITERS) {
			latch_open_waking(l);
			return;
		}
		/*
		 * release: pairs with the acquire in the waits. Each count continues the release
		 * sequence of the earlier ones.
		 */
	} while (!fl__cas_weak_release(&l->word_, &seen, next));
}

int fl_latch_wait_until(fl_latch *l, fl_time deadline, fl_cancel_token *cancel)
{
	return fl__word_wait(&l->word_, &latch_at_zero, deadline, cancel);
}

static bool latch_ready(void *object)
{
	return fl_latch_count(object) == 0;
}

static bool latch_arm(void *object, struct fl__node *node)
{
	fl_latch *l = object;
	return fl__word_arm(&l->word_, &latch_at_zero, node);
}

const fl_on_type fl__on_latch = {latch_ready, latch_arm, fl__node_disarm, NULL};
