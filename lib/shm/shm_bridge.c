/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bridges. An entry is a word and a waiter, in the waiter's stack frame. A bridge is a thread and
 * the entries that it serves, in that thread's stack frame. The bridge sleeps on all words of its
 * entries at once (futex_waitv), and on its own word `control`, which other threads change to make
 * the bridge look again. The waiter waits in the wait table, in the wait queue of entry.done.
 *
 *   done      meaning                        set by                         cleared by
 *   DONE      the waiter looks at its word   finish(), under `lock` and     rearm(), for locks only
 *                                            the bucket's lock; add()
 *   WAITERS   the wait queue has a waiter    fl__word_arm(), under the      finish()
 *                                            bucket's lock
 *   FAILED    no thread serves the entry     finish(), add(); with DONE     -
 *
 * Invariants
 *   1. Bridges, their entries and `unserved` change only under `lock`. A thread that has both holds
 *      `lock` before the lock of a bucket of the wait table.
 *   2. The critical section that sets DONE for an entry with a plain word also unlinks the entry,
 *      and is the bridge's last access to it. So the waiter may return as soon as it sees DONE. A
 *      waiter that gives up earlier unlinks the entry itself, under `lock`. The bridge may then
 *      sleep on a stale address. Such a sleep takes no wake from another waiter: a change of a
 *      plain word wakes all waiters.
 *   3. No wake is lost: either an entry is linked before its bridge reads `control` for the sleep,
 *      or `control` has changed since. When a sleep ends, several words may have been woken, and
 *      their wakes are used up. So the bridge looks at all entries. A thread changes a word before
 *      the wake, so the bridge sees that each woken word differs.
 *
 * Locks. A thread that frees a lock may wake only one waiter (lock.c: invariant). So a bridge that
 * has slept on a lock's word owes other waiters a wake, until its own waiter has taken the lock or
 * passed the wake on. Until then
 *   - the `pending` of the bridge's thread names the lock, so that the kernel passes the wake on
 *     when the process is killed. A thread has one `pending`, so a bridge serves at most one entry
 *     with a lock (`locking`).
 *   - a DONE entry stays in the list, and the bridge does not sleep on it. The waiter unlinks the
 *     entry, in take_out(), after it has taken the lock or passed the wake on. Before DONE the
 *     bridge may be asleep on the word: a waiter that gives up sets `leaving`, and waits for DONE.
 *     So neither the bridge nor the kernel refers to a lock after its waiter has returned.
 *
 * Without futex_waitv (before Linux 5.16) a bridge serves one entry, and sleeps on its word for a
 * few milliseconds at a time.
 *
 * Threads. A waiter that finds no bridge with room puts its entry into `unserved`, and starts a
 * thread unless one is `starting`. A bridge takes the entries from `unserved` that it has room for,
 * and starts another thread when entries are left. If a thread cannot be started, all unserved
 * entries get FAILED, and their waiters poll. A bridge without entries ends after `linger`, or at
 * the end of this copy of the library (sync/helper.h), after which new entries are not served.
 *
 * Progress: blocking, on `lock`, which is held for a walk through the bridges, and, in a bridge,
 * through its entries.
 */
#include "shm_bridge.h"
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../sync/helper.h"
#include "../wait/cancel.h"
#include "../wait/lock.h"
#include <errno.h>
#include <fairlead/time.h>
#include <pthread.h>

enum { DONE = 1, WAITERS = 2, FAILED = 4 };
enum { ROOM = FL__FUTEXES - 1 };

static const int64_t linger = FL_S(10); /* how long a bridge without entries waits for the next */
static const int64_t slice = FL_MS(5);  /* a sleep without futex_waitv */
static const int64_t step = FL_MS(1);   /* between polls, where there is no bridge */

static const struct fl__word is_done = {DONE, DONE, WAITERS};

struct bridge;
struct entry {
	struct entry *next, *prev; /* in the list of its bridge, or in `unserved` */
	struct bridge *bridge;     /* NULL: none yet */
	const uint32_t *word;
	struct fl__shm_lock *lock; /* NULL: a plain word */
	uint32_t expected;         /* of a lock: the value that its bridge sleeps on; 0: none yet */
	uint32_t done;
	bool listed, leaving;
};

struct bridge {
	struct bridge *next, *prev;
	struct entry *entries, *locking;
	unsigned count;
	uint32_t control;
	bool asleep;
	struct fl__shm_self *self;
};

static uint32_t lock;
static struct bridge *bridges;
static struct entry *unserved;
static bool starting;
static uint32_t lacks_many; /* 1: this kernel has no futex_waitv */

/* In a forked child: the threads of the bridges and waiters do not exist. */
static void after_fork_in_child(void)
{
	lock = 0;
	bridges = NULL;
	unserved = NULL;
	starting = false;
}

FL__AT_START static void watch_forks(void)
{
	/* Fails only for lack of memory at start-up: see lib/wait/context.c. */
	(void)pthread_atfork(NULL, NULL, after_fork_in_child);
}

/* Lists. All functions but wake() are called under `lock`. */

static struct entry **list_of(struct bridge *b)
{
	return b ? &b->entries : &unserved;
}

static void link_to(struct bridge *b, struct entry *e)
{
	struct entry **list = list_of(b);
	e->bridge = b;
	e->listed = true;
	e->prev = NULL;
	e->next = *list;
	if (e->next)
		e->next->prev = e;
	*list = e;
	if (!b)
		return;
	b->count++;
	if (e->lock)
		b->locking = e;
}

static void unlink_entry(struct entry *e)
{
	struct bridge *b = e->bridge;
	*(e->prev ? &e->prev->next : list_of(b)) = e->next;
	if (e->next)
		e->next->prev = e->prev;
	e->listed = false;
	if (!b)
		return;
	b->count--;
	if (b->locking == e)
		b->locking = NULL;
}

static bool has_room(const struct bridge *b, const struct entry *e)
{
	/* relaxed: the next sleep corrects a stale value */
	unsigned room = fl__load_relaxed(&lacks_many) ? 1 : ROOM;
	return b->count < room && !(e->lock && b->locking);
}

/* Makes the bridge look again. Returns the word to wake after the unlock; NULL: none. */
static const uint32_t *poke(struct bridge *b)
{
	/* relaxed: changed under the lock; the kernel compares it */
	fl__store_relaxed(&b->control, b->control + 1);
	if (!b->asleep)
		return NULL;
	b->asleep = false;
	return &b->control;
}

static void wake(const uint32_t *control)
{
	if (control)
		(void)fl__sys.futex_wake(control, 1); /* a stale address if the bridge has ended */
}

/*
 * Sets `done`, and dequeues the waiter, which fl__lot_unpark() then wakes. The last access to an
 * entry that is in no list.
 */
static void finish(struct entry *e, struct fl__lot *lot, uint32_t done)
{
	fl__lot_next(lot, &e->done);
	fl__lot_take(lot, FL__ALL, 0);
	fl__store_release(&e->done, done); /* release: pairs with fl__word_wait(), fl__word_arm() */
	fl__lot_shut(lot);
}

/* Threads. */

static void serve(void);

/* At the end of this copy of the library: makes each bridge look whether it has entries. */
static unsigned end_idle(void)
{
	unsigned used = 0;
	fl__lock(&lock);
	if (starting && unserved)
		used++;
	for (struct bridge *b = bridges; b; b = b->next) {
		if (b->count > 0)
			used++;
		wake(poke(b));
	}
	fl__unlock(&lock);
	return used;
}

static struct fl__helper helper = {.name = "bridge", .function = serve, .end = end_idle};

/* Called after `starting` was set: starts a bridge. If that fails, sets FAILED in all unserved. */
static void start(void)
{
	if (fl__helper_start(&helper) == 0)
		return;
	struct fl__lot lot = {NULL, NULL, NULL, NULL};
	fl__lock(&lock);
	starting = false;
	for (struct entry *e; (e = unserved) != NULL;) {
		unlink_entry(e);
		finish(e, &lot, DONE | FAILED);
	}
	fl__unlock(&lock);
	fl__lot_unpark(&lot);
}

/* The bridge. All functions but sleep_on() and serve() are called under `lock`. */

static void begin(struct bridge *b)
{
	starting = false;
	b->next = bridges;
	if (b->next)
		b->next->prev = b;
	bridges = b;
}

static void end(struct bridge *b)
{
	*(b->prev ? &b->prev->next : &bridges) = b->next;
	if (b->next)
		b->next->prev = b->prev;
}

static bool is_told(const struct entry *e)
{
	return fl__load_relaxed(&e->done) & DONE; /* relaxed: set and cleared under the lock */
}

/* Looks at one entry. True if the bridge is to sleep on the entry's word. */
static bool look(struct bridge *b, struct entry *e, struct fl__lot *lot)
{
	if (!e->lock) {
		/* relaxed: a hint; the waiter looks again */
		if (fl__load_relaxed(e->word) == e->expected)
			return true;
		unlink_entry(e);
		finish(e, lot, DONE);
		return false;
	}
	if (is_told(e))
		return false;
	fl__shm_stand_by(b->self, e->lock);
	if (!e->leaving && fl__shm_expect(e->lock, &e->expected))
		return true;
	finish(e, lot, DONE);
	return false;
}

/* After futex_waitv has failed: moves the entries that the bridge has no room for to `unserved`. */
static void shed(struct bridge *b)
{
	for (struct entry *e = b->entries, *next; b->count > 1; e = next) {
		next = e->next;
		if (e == b->locking)
			continue;
		unlink_entry(e);
		link_to(NULL, e);
	}
}

static void take_unserved(struct bridge *b)
{
	for (struct entry *e = unserved, *next; e; e = next) {
		next = e->next;
		if (!has_room(b, e))
			continue;
		unlink_entry(e);
		link_to(b, e);
	}
}

/* Fills in the words to sleep on, `control` first. Returns how many. */
static unsigned look_at_all(struct bridge *b, struct fl__futex *words, struct fl__lot *lot)
{
	unsigned n = 0;
	words[n++] = (struct fl__futex){b->control, (uint64_t)(uintptr_t)&b->control, FL__FUTEX_PRIVATE, 0};
	for (struct entry *e = b->entries, *next; e; e = next) {
		next = e->next;
		if (look(b, e, lot))
			words[n++] = (struct fl__futex){e->expected, (uint64_t)(uintptr_t)e->word, FL__FUTEX_SHARED, 0};
	}
	return n;
}

static const uint32_t *word_of(const struct fl__futex *f)
{
	return (const uint32_t *)(uintptr_t)f->word;
}

/* Returns 0, or the error that ended the sleep. */
static int sleep_on(struct fl__futex *words, unsigned n, bool idle)
{
	int64_t deadline = idle ? fl__sys.now() + linger : FL_FOREVER;
	/* relaxed: the next sleep corrects a stale value */
	if (!fl__load_relaxed(&lacks_many)) {
		int rc = fl__sys.wait_many(words, n, deadline);
		/* -EPERM: a sandbox that does not know futex_waitv. */
		if (rc == -ENOSYS || rc == -EPERM)
			fl__store_relaxed(&lacks_many, 1); /* relaxed: as above */
		else if (rc == -EFAULT || rc == -ENOMEM)   /* a word whose waiter has left; or no memory */
			(void)fl__sys.give_way(fl__sys.now());
		return rc;
	}
	if (n == 1)
		return fl__sys.futex_wait(word_of(&words[0]), (uint32_t)words[0].expected, deadline);
	(void)fl__sys.shared_wait(word_of(&words[1]), (uint32_t)words[1].expected, fl__sys.now() + slice);
	return 0;
}

static void serve(void)
{
	struct fl__futex words[FL__FUTEXES];
	struct bridge b = {.self = fl__shm_self()};
	bool more = true, begun = false, bored = false;
	while (more) {
		struct fl__lot lot = {NULL, NULL, NULL, NULL};
		fl__lock(&lock);
		b.asleep = false;
		if (!begun)
			begin(&b);
		begun = true;
		/* relaxed: the next sleep corrects a stale value */
		if (fl__load_relaxed(&lacks_many))
			shed(&b);
		take_unserved(&b);
		bool next = unserved && !starting;
		starting |= next;
		unsigned n = look_at_all(&b, words, &lot);
		bool idle = b.count == 0;
		more = !(idle && (bored || fl__helper_must_end()));
		b.asleep = more;
		if (!more)
			end(&b);
		fl__unlock(&lock);
		fl__lot_unpark(&lot);
		if (next)
			start();
		if (more)
			bored = sleep_on(words, n, idle) == -ETIMEDOUT;
	}
}

/* The waiter's side. */

static void add(struct entry *e)
{
	const uint32_t *control = NULL;
	fl__lock(&lock);
	if (fl__helper_must_end()) {
		fl__unlock(&lock);
		/* relaxed: no other thread knows the entry */
		fl__store_relaxed(&e->done, DONE | FAILED);
		return;
	}
	struct bridge *b = bridges;
	while (b && !has_room(b, e))
		b = b->next;
	link_to(b, e);
	bool starts = !b && !starting;
	starting |= starts;
	if (b)
		control = poke(b);
	fl__unlock(&lock);
	wake(control);
	if (starts)
		start();
}

/* Unlinks the entry if it is still in a list. */
static void take_out(struct entry *e)
{
	const uint32_t *control = NULL;
	fl__lock(&lock);
	struct bridge *b = e->bridge;
	if (e->listed) {
		unlink_entry(e);
		if (b && e->lock)
			fl__shm_stand_by(b->self, NULL);
		if (b && b->count == 0)
			control = poke(b); /* the next sleep of the bridge is limited to `linger` */
	}
	fl__unlock(&lock);
	wake(control);
}

static bool has_failed(const struct entry *e)
{
	return fl__load_relaxed(&e->done) & FAILED; /* relaxed: DONE was acquired */
}

/* Sleeps for one `step` in place of a bridge: 0, -ETIMEDOUT, -ECANCELED. */
static int one_step(int64_t deadline, fl_cancel_token *cancel)
{
	if (fl__is_past(deadline))
		return -ETIMEDOUT;
	return fl_sleep_until(fl__min_deadline(deadline, fl_after(step)), cancel);
}

int fl__bridge_wait(const uint32_t *word, uint32_t expected, int64_t deadline, fl_cancel_token *cancel)
{
	if (fl__load_relaxed(word) != expected) /* relaxed: the caller looks again */
		return fl__cancel_ends(cancel, fl__ctx_get()) ? -ECANCELED : 0;
	if (fl__is_past(deadline))
		return -ETIMEDOUT;
	struct entry e = {.word = word, .expected = expected};
	add(&e);
	int rc = fl__word_wait(&e.done, &is_done, deadline, cancel);
	if (rc != 0)
		take_out(&e);
	else if (has_failed(&e))
		rc = one_step(deadline, cancel);
	return rc;
}

/* The contents of an fl_on: a node, and behind it an entry. */
struct armed {
	struct fl__node node;
	struct entry entry;
};
_Static_assert(sizeof(struct armed) <= sizeof((fl_on *)0)->node_, "fl_on has room for a node and an entry");

bool fl__bridge_arm(const uint32_t *word, uint32_t expected, struct fl__node *node)
{
	struct entry *e = &((struct armed *)(void *)node)->entry;
	if (fl__load_relaxed(word) != expected) /* relaxed: as in fl__bridge_wait() */
		return false;
	*e = (struct entry){.word = word, .expected = expected};
	add(e);
	if (fl__word_arm(&e->done, &is_done, node))
		return true;
	if (has_failed(e)) {
		int rc = one_step(FL_FOREVER, FL_SHIELDED);
		(void)rc; /* 0: no deadline, not cancellable */
	}
	return false;
}

void fl__bridge_disarm(struct fl__node *node)
{
	take_out(&((struct armed *)(void *)node)->entry);
	fl__lot_leave(node);
}

/* Locks. */

/*
 * The waiter gives up: asks the bridge for DONE, or unlinks the entry if no bridge serves it.
 * Returns false if the entry is unlinked.
 */
static bool ask_to_leave(struct entry *e)
{
	const uint32_t *control = NULL;
	fl__lock(&lock);
	bool stays = e->listed && e->bridge;
	if (stays) {
		e->leaving = true;
		control = poke(e->bridge);
	} else if (e->listed) {
		unlink_entry(e);
	}
	fl__unlock(&lock);
	wake(control);
	return stays;
}

/* After DONE, when the lock was not free: clears DONE, so that the bridge waits again. */
static void rearm(struct entry *e)
{
	fl__lock(&lock);
	e->expected = 0;
	fl__store_relaxed(&e->done, 0); /* relaxed: only the calling context waits for the entry */
	const uint32_t *control = poke(e->bridge);
	fl__unlock(&lock);
	wake(control);
}

/*
 * Waits for DONE; after an error in *rc, asks for DONE. False: the entry is unlinked, because of
 * the error or with FAILED.
 */
static bool is_served(struct entry *e, int *rc, int64_t deadline, fl_cancel_token *cancel)
{
	*rc = fl__word_wait(&e->done, &is_done, deadline, cancel);
	if (*rc == 0)
		return !has_failed(e);
	if (!ask_to_leave(e))
		return false;
	int asked = fl__word_wait(&e->done, &is_done, FL_FOREVER, FL_SHIELDED);
	(void)asked; /* 0: no deadline, not cancellable */
	return true;
}

/* Takes the lock, or gives up. -EAGAIN: no bridge serves the entry. */
static int take_served(struct entry *e, int64_t deadline, fl_cancel_token *cancel)
{
	int rc;
	while (is_served(e, &rc, deadline, cancel)) {
		int taken = fl__shm_try_take(e->lock);
		if (taken == -EBUSY && rc == 0) {
			rearm(e);
			continue;
		}
		if (taken == -EBUSY)
			fl__shm_nudge(e->lock, 1);
		take_out(e);
		return taken == -EBUSY ? rc : taken;
	}
	return rc == 0 ? -EAGAIN : rc;
}

int fl__bridge_take(struct fl__shm_lock *l, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = fl__shm_try_take(l);
	if (rc == -EBUSY && fl__shm_mine(l))
		return -EDEADLK;
	while (rc == -EBUSY) {
		if (fl__is_past(deadline))
			return -ETIMEDOUT;
		struct entry e = {.lock = l, .word = fl__shm_word(l)};
		add(&e);
		rc = take_served(&e, deadline, cancel);
		if (rc != -EAGAIN)
			break;
		rc = one_step(deadline, cancel);
		if (rc == 0)
			rc = fl__shm_try_take(l);
	}
	return rc;
}
