/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fiber, a wait with a cancel token, and a wait-any cannot sleep on a word in shared memory. A
 * bridge is a thread that does so for many of them. A waiter has an entry in its stack frame, or in
 * its fl_on, with the word that it waits for. The bridge sleeps on the words of all its entries at
 * once (futex_waitv). It also sleeps on its own word `control`, which other threads change to make
 * the bridge check its entries again. The waiter waits in the parking lot, in the wait queue of
 * entry.done.
 *
 *   BRIDGE_   meaning                        set by                         cleared by
 *   DONE      the waiter checks its word     bridge_finish(), under         bridge_rearm(), for
 *                                            bridge_lock and the bucket's   locks only
 *                                            lock; bridge_add()
 *   WAITERS   the wait queue has a waiter    fl__word_arm(), under the      bridge_finish()
 *                                            bucket's lock
 *   FAILED    no thread serves the entry     with DONE:                     -
 *                                            bridge_finish(), bridge_add()
 *
 * Invariants
 *   1. Bridges, their entries and bridge_unserved change only under bridge_lock, except for WAITERS
 *      (see the table), for an entry that no other thread knows yet, and in bridge_make_anew(). A
 *      thread acquires bridge_lock before the lock of a bucket of the parking lot.
 *   2. An entry waits for a lock, or for a word that is not a lock's. For the latter, the critical
 *      section that sets DONE also unlinks the entry, and is the bridge's last access to it, so the
 *      waiter may return when it sees DONE. A waiter that gives up earlier unlinks the entry
 *      itself. The bridge may then sleep on a stale address, but takes no wake from another waiter,
 *      because a change of such a word wakes all.
 *   3. No wake is lost: either an entry is linked before its bridge reads `control` for the sleep,
 *      or `control` has changed since. When a sleep ends, several words may have been woken, and
 *      their wakes are used up, so the bridge checks all entries. A woken word was changed before
 *      its wake, so the bridge sees that it differs.
 *   4. bridge_lacks_waitv is only written when a sleep finds that there is no futex_waitv. A thread
 *      that still reads 0 tries futex_waitv, or gives a bridge more entries than it can serve;
 *      before its next sleep the bridge keeps one of them. So relaxed accesses are enough.
 *
 * Locks. A thread that frees a lock may wake only one waiter. So a bridge that has slept on a
 * lock's word owes the other waiters a wake until its own waiter has acquired the lock or passed
 * the wake on. Until then
 *   - the bridge's `pending` names the lock, so that the kernel passes the wake on when the process
 *     is killed. A thread has one `pending`, so a bridge serves at most one entry with a lock
 *     (`lock_entry`).
 *   - a DONE entry stays in the list, and the bridge does not sleep on it. The waiter unlinks it in
 *     bridge_remove(). Before DONE the bridge may be asleep on the word, so a waiter that gives up
 *     sets `leaving` and waits for DONE. Thus neither the bridge nor the kernel refers to a lock
 *     after its waiter has returned.
 *
 * Without futex_waitv (before Linux 5.16) a bridge serves one entry, and sleeps on its word for a
 * few milliseconds at a time.
 *
 * Threads. A waiter that finds no bridge with a free entry adds its own entry to bridge_unserved,
 * and starts a thread unless bridge_starting is set. A bridge takes as many unserved entries as it
 * can serve, and starts another thread if entries are left. If no thread can be started, all
 * unserved entries get FAILED, and their waiters poll. While the library ends, each new entry also
 * gets FAILED.
 *
 * The functions of this file are blocking. Waiters and bridges wait for bridge_lock, which is held
 * for a walk through the bridges, or through the entries of a bridge.
 */
#include "shm_bridge.h"
#include "core/base/anew.h"
#include "core/base/atomic.h"
#include "core/base/list.h"
#include "core/base/sys.h"
#include "core/sync/helper.h"
#include "core/wait/lock.h"
#include <errno.h>
#include <fairlead/time.h>

enum { BRIDGE_DONE = 1, BRIDGE_WAITERS = 2, BRIDGE_FAILED = 4 };
enum { BRIDGE_ENTRIES_MAX = FL__FUTEXES - 1 };

/* a bridge ends when it has had no entries for this long */
static const int64_t bridge_idle_time = FL_S(10);
/* the length of a sleep without futex_waitv */
static const int64_t bridge_slice = FL_MS(5);
/* the time between two polls of a waiter that no bridge serves */
static const int64_t bridge_poll_interval = FL_MS(1);

static const struct fl__word bridge_done_word = {BRIDGE_DONE, BRIDGE_DONE, BRIDGE_WAITERS, .kind = FL__DEBUG_SHM};

struct bridge;
struct bridge_entry {
	struct bridge_entry *next, **link; /* in the list of its bridge, or in bridge_unserved */
	struct bridge *bridge;             /* NULL while no bridge serves the entry */
	const uint32_t *word;
	struct fl__shm_lock *lock; /* NULL if the word is not a lock's */
	/* for a lock: the value that its bridge sleeps on, or 0 before the first sleep */
	uint32_t expected;
	uint32_t done;
	bool listed, leaving;
};

struct bridge {
	struct bridge *next, **link;
	struct bridge_entry *entries, *lock_entry;
	unsigned count;
	uint32_t control;
	bool asleep;
	struct fl__shm_self *self;
};

static uint32_t bridge_lock;
static struct bridge *bridge_all;
static struct bridge_entry *bridge_unserved;
static bool bridge_starting;
static uint32_t bridge_lacks_waitv; /* 1 after a sleep found that there is no futex_waitv */

static void bridge_make_anew(void)
{
	bridge_lock = 0;
	bridge_all = NULL;
	bridge_unserved = NULL;
	bridge_starting = false;
}

FL__MAKES_ANEW(bridge_make_anew)

/*
 * From here to "Threads.", all functions are called under bridge_lock, except bridge_wake(), which
 * needs no lock.
 */

static void bridge_link(struct bridge *b, struct bridge_entry *e)
{
	struct bridge_entry **list = b ? &b->entries : &bridge_unserved;
	e->bridge = b;
	e->listed = true;
	FL__LIST_ADD(list, e);
	if (!b)
		return;
	b->count++;
	if (e->lock)
		b->lock_entry = e;
}

static void bridge_unlink(struct bridge_entry *e)
{
	struct bridge *b = e->bridge;
	FL__LIST_REMOVE(e);
	e->listed = false;
	if (!b)
		return;
	b->count--;
	if (b->lock_entry == e)
		b->lock_entry = NULL;
}

static bool bridge_has_room(const struct bridge *b, const struct bridge_entry *e)
{
	/* relaxed: invariant 4 */
	unsigned room = fl__load_relaxed(&bridge_lacks_waitv) ? 1 : BRIDGE_ENTRIES_MAX;
	return b->count < room && !(e->lock && b->lock_entry);
}

/* Makes the bridge check its entries. Returns the word to wake after the unlock, or NULL. */
static const uint32_t *bridge_notify(struct bridge *b)
{
	/*
	 * relaxed: the kernel compares the word when the bridge sleeps, and bridge_lock orders
	 * the rest
	 */
	fl__store_relaxed(&b->control, b->control + 1);
	if (!b->asleep)
		return NULL;
	b->asleep = false;
	return &b->control;
}

static void bridge_wake(const uint32_t *control)
{
	if (control)
		/* if the bridge has ended, the address is stale, and the wake is harmless */
		(void)fl__sys.futex_wake(control, 1);
}

/*
 * Sets `done`, and dequeues the entry's waiter for fl__lot_unpark(). If the entry is in no list,
 * this is the last access to it.
 */
static void bridge_finish(struct bridge_entry *e, struct fl__lot *lot, uint32_t done)
{
	fl__lot_open_next(lot, &e->done);
	fl__lot_take(lot, FL__ALL, 0);
	/* release: pairs with the acquires in fl__word_wait() and fl__word_arm() */
	fl__store_release(&e->done, done);
	fl__lot_unlock(lot);
}

/* Threads. */

static void bridge_run(void);

static unsigned bridge_end_idle(void)
{
	unsigned used = 0;
	FL__LOCKED(&bridge_lock);
	if (bridge_starting && bridge_unserved)
		used++;
	FL__EACH (struct bridge, b, bridge_all) {
		if (b->count > 0)
			used++;
		bridge_wake(bridge_notify(b));
	}
	return used;
}

static struct fl__helper bridge_helper = {.name = "bridge", .function = bridge_run, .end = bridge_end_idle};

/*
 * Starts a bridge. Called after bridge_starting was set. On failure it sets FAILED in all
 * unserved entries.
 */
static void bridge_start_thread(void)
{
	if (fl__helper_start(&bridge_helper) == 0)
		return;
	struct fl__lot lot = {0};
	fl__lock(&bridge_lock);
	bridge_starting = false;
	for (struct bridge_entry *e; (e = bridge_unserved) != NULL;) {
		bridge_unlink(e);
		bridge_finish(e, &lot, BRIDGE_DONE | BRIDGE_FAILED);
	}
	fl__unlock(&bridge_lock);
	fl__lot_unpark(&lot);
}

/*
 * bridge_run() and bridge_sleep() are called without bridge_lock; a bridge's other functions are
 * called under it.
 */

static void bridge_begin(struct bridge *b)
{
	bridge_starting = false;
	FL__LIST_ADD(&bridge_all, b);
}

static bool bridge_is_done(const struct bridge_entry *e)
{
	/* relaxed: set and cleared under bridge_lock */
	return fl__load_relaxed(&e->done) & BRIDGE_DONE;
}

/* Returns true if the bridge must sleep on the entry's word. */
static bool bridge_check(struct bridge *b, struct bridge_entry *e, struct fl__lot *lot)
{
	if (!e->lock) {
		/* relaxed: only a hint; the waiter checks the word again */
		if (fl__load_relaxed(e->word) == e->expected)
			return true;
		bridge_unlink(e);
		bridge_finish(e, lot, BRIDGE_DONE);
		return false;
	}
	if (bridge_is_done(e))
		return false;
	fl__shm_set_pending(b->self, e->lock);
	if (!e->leaving && fl__shm_prepare_sleep(e->lock, &e->expected))
		return true;
	bridge_finish(e, lot, BRIDGE_DONE);
	return false;
}

static void bridge_keep_one(struct bridge *b)
{
	for (struct bridge_entry *e = b->entries, *next; b->count > 1; e = next) {
		next = e->next;
		if (e == b->lock_entry)
			continue;
		bridge_unlink(e);
		bridge_link(NULL, e);
	}
}

static void bridge_take_unserved(struct bridge *b)
{
	FL__EACH_SAFE (struct bridge_entry, e, bridge_unserved) {
		if (!bridge_has_room(b, e))
			continue;
		bridge_unlink(e);
		bridge_link(b, e);
	}
}

/* Fills in the words to sleep on, `control` first. Returns their number. */
static unsigned bridge_check_all(struct bridge *b, struct fl__futex *words, struct fl__lot *lot)
{
	unsigned n = 0;
	words[n++] = (struct fl__futex){b->control, (uint64_t)(uintptr_t)&b->control, FL__FUTEX_PRIVATE, 0};
	FL__EACH_SAFE (struct bridge_entry, e, b->entries) {
		if (bridge_check(b, e, lot))
			words[n++] = (struct fl__futex){e->expected, (uint64_t)(uintptr_t)e->word, FL__FUTEX_SHARED, 0};
	}
	return n;
}

static const uint32_t *bridge_word_of(const struct fl__futex *f)
{
	return (const uint32_t *)(uintptr_t)f->word;
}

static int bridge_sleep(struct fl__futex *words, unsigned n, bool idle)
{
	int64_t deadline = idle ? fl__sys.now() + bridge_idle_time : FL__NEVER;
	/* relaxed: invariant 4 */
	if (!fl__load_relaxed(&bridge_lacks_waitv)) {
		int rc = fl__sys.wait_many(words, n, deadline);
		if (rc == -ENOSYS)
			/* relaxed: invariant 4 */
			fl__store_relaxed(&bridge_lacks_waitv, 1);
		/* the waiter of a word has left, or there is no memory */
		else if (rc == -EFAULT || rc == -ENOMEM)
			(void)fl__sys.give_way(fl__sys.now());
		return rc;
	}
	if (n == 1)
		return fl__sys.futex_wait(bridge_word_of(&words[0]), (uint32_t)words[0].expected, deadline);
	(void)fl__sys.shared_wait(bridge_word_of(&words[1]), (uint32_t)words[1].expected, fl__sys.now() + bridge_slice);
	return 0;
}

static void bridge_run(void)
{
	struct fl__futex words[FL__FUTEXES];
	struct bridge b = {.self = fl__shm_self()};
	bool more = true, begun = false, timed_out = false;
	while (more) {
		struct fl__lot lot = {0};
		fl__lock(&bridge_lock);
		b.asleep = false;
		if (!begun)
			bridge_begin(&b);
		begun = true;
		/* relaxed: invariant 4 */
		if (fl__load_relaxed(&bridge_lacks_waitv))
			bridge_keep_one(&b);
		bridge_take_unserved(&b);
		bool next = bridge_unserved && !bridge_starting;
		bridge_starting |= next;
		unsigned n = bridge_check_all(&b, words, &lot);
		bool idle = b.count == 0;
		more = !(idle && (timed_out || fl__helper_must_end()));
		b.asleep = more;
		if (!more)
			FL__LIST_REMOVE(&b);
		fl__unlock(&bridge_lock);
		fl__lot_unpark(&lot);
		if (next)
			bridge_start_thread();
		if (more)
			timed_out = bridge_sleep(words, n, idle) == -ETIMEDOUT;
	}
}

/* The waiter's side. */

static void bridge_add(struct bridge_entry *e)
{
	const uint32_t *control = NULL;
	fl__lock(&bridge_lock);
	if (fl__helper_must_end()) {
		fl__unlock(&bridge_lock);
		/* relaxed: no other thread knows the entry */
		fl__store_relaxed(&e->done, BRIDGE_DONE | BRIDGE_FAILED);
		return;
	}
	struct bridge *b = bridge_all;
	while (b && !bridge_has_room(b, e))
		b = b->next;
	bridge_link(b, e);
	bool starts = !b && !bridge_starting;
	bridge_starting |= starts;
	if (b)
		control = bridge_notify(b);
	fl__unlock(&bridge_lock);
	bridge_wake(control);
	if (starts)
		bridge_start_thread();
}

static void bridge_remove(struct bridge_entry *e)
{
	const uint32_t *control = NULL;
	fl__lock(&bridge_lock);
	struct bridge *b = e->bridge;
	if (e->listed) {
		bridge_unlink(e);
		if (b && e->lock)
			fl__shm_set_pending(b->self, NULL);
		if (b && b->count == 0)
			control = bridge_notify(b); /* the next sleep of the bridge is limited to bridge_idle_time */
	}
	fl__unlock(&bridge_lock);
	bridge_wake(control);
}

static bool bridge_has_failed(const struct bridge_entry *e)
{
	/* relaxed: the waiter has acquired DONE, which is set with FAILED */
	return fl__load_relaxed(&e->done) & BRIDGE_FAILED;
}

/*
 * Called if no bridge serves the waiter. Sleeps for bridge_poll_interval. Returns 0, -ETIMEDOUT or
 * -ECANCELED.
 */
static int bridge_poll(fl_time deadline, fl_cancel_token *cancel)
{
	if (fl__is_expired(deadline))
		return -ETIMEDOUT;
	return fl_sleep_until(fl__earlier(deadline, fl_after(bridge_poll_interval)), cancel);
}

int fl__bridge_wait(const uint32_t *word, uint32_t expected, fl_time deadline, fl_cancel_token *cancel)
{
	if (fl__load_relaxed(word) != expected) /* relaxed: the caller checks the word again */
		return fl_cancel_token_is_requested(cancel) ? -ECANCELED : 0;
	if (fl__is_expired(deadline))
		return -ETIMEDOUT;
	struct bridge_entry e = {.word = word, .expected = expected};
	bridge_add(&e);
	FL__AWAITS(FL__DEBUG_SHM, word);
	int rc = fl__word_wait(&e.done, &bridge_done_word, deadline, cancel);
	if (rc != 0)
		bridge_remove(&e);
	else if (bridge_has_failed(&e))
		rc = bridge_poll(deadline, cancel);
	return rc;
}

/* The contents of an fl_on: a node, followed by an entry. */
struct bridge_armed {
	struct fl__node node;
	struct bridge_entry entry;
};
_Static_assert(sizeof(struct bridge_armed) <= sizeof((fl_on *)0)->node_, "fl_on has room for a node and an entry");

bool fl__bridge_arm(const uint32_t *word, uint32_t expected, struct fl__node *node)
{
	struct bridge_entry *e = &((struct bridge_armed *)(void *)node)->entry;
	if (fl__load_relaxed(word) != expected) /* relaxed: the caller checks the word again */
		return false;
	*e = (struct bridge_entry){.word = word, .expected = expected};
	bridge_add(e);
	if (fl__word_arm(&e->done, &bridge_done_word, node))
		return true;
	if (bridge_has_failed(e))
		/* the result is 0: no deadline, not cancellable */
		(void)bridge_poll(FL_FOREVER, FL_SHIELDED);
	return false;
}

void fl__bridge_disarm(void *object, struct fl__node *node)
{
	(void)object;
	bridge_remove(&((struct bridge_armed *)(void *)node)->entry);
	fl__lot_leave(node);
}

/* Locks. */

/*
 * Called when the waiter gives up. If a bridge serves the entry, asks the bridge for DONE and
 * returns true. Otherwise unlinks the entry, unless a failed start has already done that, and
 * returns false.
 */
static bool bridge_request_done(struct bridge_entry *e)
{
	const uint32_t *control = NULL;
	fl__lock(&bridge_lock);
	bool stays = e->listed && e->bridge;
	if (stays) {
		e->leaving = true;
		control = bridge_notify(e->bridge);
	} else if (e->listed) {
		bridge_unlink(e);
	}
	fl__unlock(&bridge_lock);
	bridge_wake(control);
	return stays;
}

/* Called after DONE when the lock was not free. Makes the bridge wait for the lock again. */
static void bridge_rearm(struct bridge_entry *e)
{
	fl__lock(&bridge_lock);
	e->expected = 0;
	fl__store_relaxed(&e->done, 0); /* relaxed: only the calling context waits for the entry */
	const uint32_t *control = bridge_notify(e->bridge);
	fl__unlock(&bridge_lock);
	bridge_wake(control);
}

/*
 * Waits for DONE. If the wait ends with an error, stores it in *rc, asks the bridge for DONE, and
 * continues to wait. Returns false if no bridge serves the entry, which is then in no list.
 */
static bool bridge_wait_done(struct bridge_entry *e, int *rc, fl_time deadline, fl_cancel_token *cancel)
{
	*rc = fl__word_wait(&e->done, &bridge_done_word, deadline, cancel);
	if (*rc == 0)
		return !bridge_has_failed(e);
	if (!bridge_request_done(e))
		return false;
	/* the result is 0: no deadline, not cancellable */
	(void)!fl__word_wait(&e->done, &bridge_done_word, FL_FOREVER, FL_SHIELDED);
	return true;
}

/* Acquires the lock, or gives up. Returns -EAGAIN if no bridge serves the entry. */
static int bridge_acquire_served(struct bridge_entry *e, uint64_t owner, fl_time deadline, fl_cancel_token *cancel)
{
	int rc;
	while (bridge_wait_done(e, &rc, deadline, cancel)) {
		/* a lock that becomes free after the token was cancelled is left to others */
		int taken = rc == -ECANCELED ? -EAGAIN : fl__shm_try_acquire(e->lock, owner);
		if (taken == -EAGAIN && rc == 0 && fl__is_expired(deadline))
			/*
			 * if another process overwrites the word again and again, no wait sees
			 * the deadline
			 */
			rc = -ETIMEDOUT;
		if (taken == -EAGAIN && rc == 0) {
			bridge_rearm(e);
			continue;
		}
		if (taken == -EAGAIN || taken == -ENOMEM)
			fl__shm_wake(e->lock, 1);
		bridge_remove(e);
		return taken == -EAGAIN ? rc : taken;
	}
	return rc == 0 ? -EAGAIN : rc;
}

int fl__bridge_acquire(struct fl__shm_lock *l, uint64_t owner, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = fl__shm_try_acquire(l, owner);
	if (rc == -EAGAIN && fl__shm_hold(l, 0))
		return -EDEADLK;
	while (rc == -EAGAIN) {
		if (fl__is_expired(deadline))
			return -ETIMEDOUT;
		struct bridge_entry e = {.lock = l, .word = fl__shm_word(l)};
		bridge_add(&e);
		FL__AWAITS(FL__DEBUG_SHM_LOCK, e.word);
		rc = bridge_acquire_served(&e, owner, deadline, cancel);
		if (rc != -EAGAIN)
			break;
		rc = bridge_poll(deadline, cancel);
		if (rc == 0)
			rc = fl__shm_try_acquire(l, owner);
	}
	return rc;
}
