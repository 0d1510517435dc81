/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The barrier: its fields are guarded by the lot, that is by the lock of the line of its address.
 *
 *   arrived_   parties that stand in line     changed under the lot; above 0 without a line only in a forked child
 *   broken_    0 or 1                         changed under the lot; read without it by fl_barrier_is_broken()
 *
 * Whoever is taken out of the line learns its fate from the node's value and never touches the barrier again; that holds
 * also for a waiter whose time ran out at the moment when it was taken. So the barrier may be destroyed while its parties
 * are still leaving. Linearization: the transaction in which the last party arrives, or the barrier breaks.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/barrier.h>
#include <fairlead/time.h>
#include <limits.h>

enum fate { PASSED = 1, BROKEN = 2 };

/* Under the lot: sends all who wait away. */
static void release_all(struct fl__lot *lot, fl_barrier *b, enum fate fate)
{
	fl__store_relaxed(&b->arrived_, 0); /* relaxed: the lot's lock orders it */
	fl__lot_take(lot, FL__ALL, fate);
}

static void set_broken(fl_barrier *b, uint32_t broken)
{
	fl__store_relaxed(&b->broken_, broken); /* relaxed: the lot's lock orders it */
}

/* Under the lot: -EPIPE when broken; the order of arrival, with everybody released, when this is the last; else -EAGAIN. */
static int arrive(struct fl__lot *lot, fl_barrier *b)
{
	if (b->broken_)
		return -EPIPE;
	if (b->arrived_ > 0 && !fl__lot_more(lot))  /* a forked child: those who had arrived are not here */
		fl__store_relaxed(&b->arrived_, 0); /* relaxed: the lot's lock orders it */
	if (b->arrived_ + 1 < b->parties_)
		return -EAGAIN;
	release_all(lot, b, PASSED);
	return (int)b->parties_ - 1;
}

/* After a timeout or cancel: `rc`, with the barrier broken; or the fate that was decided meanwhile. */
static int give_up(fl_barrier *b, struct fl__node *node, int order, int rc)
{
	struct fl__lot lot;
	fl__lot_open(&lot, b);
	if (node->queued) {
		fl__lot_remove(&lot, node);
		set_broken(b, 1);
		release_all(&lot, b, BROKEN);
	} else {
		rc = node->value == PASSED ? order : -EPIPE;
	}
	fl__lot_close(&lot);
	return rc;
}

int fl_barrier_init(fl_barrier *b, uint32_t parties)
{
	if (parties == 0 || parties > INT_MAX)
		return -EINVAL;
	*b = (fl_barrier)FL_BARRIER_INIT(parties);
	return 0;
}

int fl_barrier_destroy(fl_barrier *b)
{
	return fl__lot_waited(b) ? -EBUSY : 0;
}

static void require_parties(const char *function, const fl_barrier *b)
{
	if (b->parties_ == 0)
		fl__panic(function, b, "a barrier without parties");
}

int fl_barrier_wait_until(fl_barrier *b, int64_t deadline, fl_cancel *cancel)
{
	require_parties("fl_barrier_wait", b);
	struct fl__wait wait;
	fl__wait_begin(&wait);
	struct fl__node node = FL__NODE(&wait);
	struct fl__lot lot;
	fl__lot_open(&lot, b);
	int rc = arrive(&lot, b);
	int order = (int)b->arrived_;
	if (rc == -EAGAIN) {
		fl__store_relaxed(&b->arrived_, b->arrived_ + 1); /* relaxed: the lot's lock orders it */
		fl__lot_add(&lot, &node);
	}
	fl__lot_close(&lot);
	if (rc != -EAGAIN)
		return rc;

	rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		return give_up(b, &node, order, rc);
	return node.value == PASSED ? order : -EPIPE;
}

int fl_barrier_wait(fl_barrier *b)
{
	return fl_barrier_wait_until(b, FL_FOREVER, NULL);
}

int fl_barrier_try_wait(fl_barrier *b)
{
	require_parties("fl_barrier_try_wait", b);
	struct fl__lot lot;
	fl__lot_open(&lot, b);
	int rc = arrive(&lot, b);
	fl__lot_close(&lot);
	return rc;
}

static void break_or_mend(fl_barrier *b, uint32_t broken)
{
	struct fl__lot lot;
	fl__lot_open(&lot, b);
	set_broken(b, broken);
	release_all(&lot, b, BROKEN);
	fl__lot_close(&lot);
}

void fl_barrier_abort(fl_barrier *b)
{
	break_or_mend(b, 1);
}

void fl_barrier_reset(fl_barrier *b)
{
	break_or_mend(b, 0);
}

bool fl_barrier_is_broken(const fl_barrier *b)
{
	return fl__load_relaxed(&b->broken_); /* relaxed: out of date when it returns */
}

uint32_t fl_barrier_waiting(const fl_barrier *b)
{
	return fl__load_relaxed(&b->arrived_); /* relaxed: out of date when it returns */
}
