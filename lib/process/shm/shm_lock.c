/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The robust lock, on the kernel's robust-futex interface (Linux:
 * Documentation/locking/robust-futex-ABI). This file links its nodes into the list that the C
 * library has registered for each thread, in the C library's format.
 *
 * Because any process may overwrite a lock at any time, this file writes the nodes of locks but
 * never reads them. Each link that it follows is in private memory. (On 32-bit systems it also
 * follows links in the C library's nodes, which may be in shared memory.) The list is:
 *
 *     head -> monitors -> nodes of the C library -> front -> holds, the latest first -> back
 *     -> nodes of the C library, from before -> head
 *
 *   `holds`   The records of the locks that the thread holds for users. Neighbouring records are
 *             neighbours in the list. An acquire adds the last record. A release moves the last
 *             record and its node into the gap, so it takes constant time. In each lock, hold_ is a
 *             hint to the index of the record; fl__shm_hold() checks the hint.
 *   `front`,  Two nodes in the thread's own memory, linked while `holds` is not empty. Their words
 *   `back`    are 0, so the kernel and the C library pass over them. The C library stores its links
 *             in them. `back` is linked only if the C library's list was not empty; otherwise the
 *             oldest hold points to the head.
 *   monitors  The locks that the thread holds for one operation (shm_lock.h). It leaves them in the
 *             reverse order of entering them. Between entering and leaving it runs no code that
 *             changes the list. So the list's first node after leaving is the one before entering.
 *
 * On 32-bit systems the list is singly linked, so removing `front` requires a walk over the nodes
 * that the C library has added since `front` was linked.
 *
 *   word      meaning                  set by                           cleared by
 *   TID       the owner; 0: free       an acquire, CAS                  a release; the kernel, when
 *                                                                       the owner dies;
 *                                                                       shm_lock_repair()
 *   DIED      an owner died            the kernel; shm_lock_repair()    an acquire, CAS; it returns
 *                                                                       -EOWNERDEAD, but the enter
 *                                                                       of a monitor returns 0
 *   WAITERS   a waiter may sleep on    shm_lock_sleep(), CAS;           a release, in the system
 *             the word                 fl__shm_prepare_sleep(), CAS     call that wakes all waiters
 *
 * Death of an owner. The kernel walks the list of each thread that ends, and that of the main
 * thread when it calls exec. (An exec by another thread is not reported.) In each lock with the
 * thread's TID, it clears TID, sets DIED, keeps WAITERS, and wakes one waiter if WAITERS is set.
 * Then it looks at the lock that `pending` names:
 *   - If the lock has the thread's TID, an acquire has not yet added the node, a release has
 *     removed it, or the release of another lock is moving it. The kernel frees this lock in the
 *     same way as the locks in the list.
 *   - If the lock has no owner, the thread died after it had released the lock, or before it
 *     acquired the lock, perhaps when it had just been woken. The kernel wakes another waiter,
 *     because the dead thread's wake may be lost. For this case a thread leaves `pending` set while
 *     it sleeps. (Before "futex: Resend potentially swallowed owner death notification", of Linux
 *     6.2 and its stable branches, the kernel does so only if the whole word is 0.)
 *
 * Rules
 *   1. While a waiter sleeps, the word has WAITERS. Therefore a release frees a word without
 *      WAITERS by a CAS, and a word with WAITERS by one system call that stores and wakes in one
 *      step. The call either keeps WAITERS and wakes one waiter, or clears WAITERS and wakes all.
 *      An acquire keeps the WAITERS that it finds. If only one waiter is woken, and then killed,
 *      `pending` names the lock: if the lock is free, the kernel wakes another waiter; if it has an
 *      owner, the owner's release finds WAITERS.
 *   2. FL__SHM_SLEEPERS counts sleeping waiters, but is only a hint that decides whether a release
 *      wakes one waiter or all. A waiter adds 1 before it sleeps, and subtracts 1 if it was not
 *      woken. A bridge, which sleeps in place of a fiber or of a wait with a token (shm_bridge.c),
 *      adds 1 for its waiter, and never subtracts it. A release that wakes one waiter subtracts 1,
 *      even if no waiter is left to wake. A release that wakes all waiters stores 0. So waiters
 *      that were killed while they slept, and a bridge's waiters that gave up, drop out of the
 *      count after some releases.
 *   3. The kernel reads the list on behalf of the thread that wrote it. So program order suffices
 *      between the list and the word; the relaxed stores to the list are atomic only for the
 *      laboratory's model.
 *   4. The linearization points are the CAS of an acquire, and the CAS or the system call of a
 *      release.
 *
 * Damaged memory. Because a word may name a thread that does not exist, a thread that sleeps on a
 * lock checks every second whether the owner exists, and frees the lock if it does not. Two kinds
 * of waiters do not check. A fiber, or a wait with a token, waits through the bridge until a thread
 * has freed such a lock. A thread that waits for the `head` of a wait queue (fl__shm_enter_once())
 * waits until a change wakes it, or until its deadline.
 *
 * A process that overwrites a lock destroys its mutual exclusion, but cannot write to the memory of
 * this process or make an unlock panic. docs/decisions/robust-lock.md says why the library does not
 * use the C library's robust mutex, and docs/decisions/robust-list-nodes.md says what the kernel's
 * walk over a damaged list can do.
 */
#include "shm_lock.h"
#include "core/base/anew.h"
#include "core/base/atomic.h"
#include "core/base/list.h"
#include "core/base/panic.h"
#include "core/base/unload.h"
#include <errno.h>
#include <fairlead/time.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

enum { SHM_LOCK_SPIN = 10000 /* ns */ };
enum { SHM_LOCK_GRACE = 1000000, SHM_LOCK_REPAIR_AFTER = 1000000000 }; /* ns */

/*
 * A thread that acquires a third lock gets memory for 40 records. The limit follows from the
 * kernel, which visits 2,048 nodes when a thread ends. Two of these nodes may belong to monitors,
 * because a thread that owns the `head` of a wait queue also enters the queue's monitor. One node
 * is `front`, which leaves 2,045 for the holds. If the thread has locked robust mutexes of the C
 * library since `front` was linked, the kernel visits those first, and may not reach the oldest of
 * so many holds, which shm_lock_repair() then frees.
 */
enum { SHM_LOCK_GROWTH = 20, SHM_LOCK_MOST = 2045 };

/*
 * A thread takes a record at its first call, which must not fail. So the first records are static,
 * and more are mapped. When the thread's destructors run, the thread gives back its record,
 * together with the memory that it got for more than two locks. A thread that still holds a lock
 * keeps its record, because the kernel walks the nodes in the record after the thread has ended.
 * Records are not thread-local, because a library that dlopen() loads has little static memory for
 * thread-local variables.
 */
enum { SHM_LOCK_CHUNK = 16 };
struct shm_lock_chunk {
	struct shm_lock_chunk *next;
	struct fl__shm_self all[SHM_LOCK_CHUNK];
};
/* chunks are added, and removed only when the library is unloaded */
static struct shm_lock_chunk shm_lock_first, *shm_lock_chunks = &shm_lock_first;
/* the record of a thread before its first call; never written */
static struct fl__shm_self shm_lock_none;
static _Thread_local struct fl__shm_self *shm_lock_self FL__INITIAL_EXEC = &shm_lock_none;

static pthread_key_t shm_lock_key; /* its destructor gives back a thread's record */
static bool shm_lock_has_key;

static bool shm_lock_list_is_usable(const struct fl__robust_list *list)
{
	long place = (long)offsetof(struct fl__shm_lock, next_) + (list ? list->offset : 0);
	return list && (place == 0 || place == 4 || place == 12 || place == 20);
}

static struct fl__shm_self *shm_lock_take(void)
{
	for (;;) {
		/*
		 * acquire: pairs with the release CAS on shm_lock_chunks, for this chunk and the
		 * chunks behind it
		 */
		FL__EACH (struct shm_lock_chunk, chunk, fl__load_acquire(&shm_lock_chunks))
			for (unsigned i = 0; i < SHM_LOCK_CHUNK; i++) {
				uint32_t none = 0;
				/* acquire: pairs with the release in shm_lock_end_thread() */
				if (fl__cas_acquire(&chunk->all[i].taken, &none, 1))
					return &chunk->all[i];
			}
		struct shm_lock_chunk *more = fl__sys.map(sizeof *more);
		if (!more)
			/* waits until the system has memory, or another thread has ended */
			fl__sys.nap();
		else /* release: pairs with the acquire load of shm_lock_chunks */
			while (!fl__cas_weak_release(&shm_lock_chunks, &more->next, more))
				;
	}
}

static void FL__NOINLINE shm_lock_init_self(void)
{
	struct fl__shm_self *me = shm_lock_self = shm_lock_take();
	me->tid = fl__sys.thread_id();
	me->list = fl__sys.robust_list();
	if (!shm_lock_list_is_usable(me->list))
		me->list = NULL;
	me->ends.front_prev.node = me->list;
	me->has_back = false;
	me->held = me->waiters = 0;
	if (!me->holds) {
		me->holds = me->few;
		me->room = FL__SHM_HOLDS;
	}
	if (shm_lock_has_key)
		/* on an error the record is never given back */
		(void)pthread_setspecific(shm_lock_key, me);
}

struct fl__shm_self *fl__shm_self(void)
{
	if (fl__unlikely(shm_lock_self->tid == 0))
		shm_lock_init_self();
	return shm_lock_self;
}

static void shm_lock_end_thread(void *unused)
{
	struct fl__shm_self *me = shm_lock_self;
	(void)unused;
	if (me->tid == 0)
		return; /* the thread is in a child */
	if (me->held == 0) {
		shm_lock_self = &shm_lock_none;
		me->tid = 0;
		/* release: pairs with the acquire in shm_lock_take() */
		fl__store_release(&me->taken, 0);
	} else {
		/*
		 * Makes this destructor run again, because a later destructor may release the
		 * locks.
		 */
		(void)pthread_setspecific(shm_lock_key, me);
	}
}

/*
 * A forked child has another TID, and owns no lock. If the C library leaves the parent's list in
 * the child, the child empties it.
 */
static void shm_lock_make_anew(void)
{
	if (shm_lock_self->list && shm_lock_self->held > 0)
		shm_lock_self->list->first = shm_lock_self->list;
	FL__EACH (struct shm_lock_chunk, chunk, shm_lock_chunks)
		for (unsigned i = 0; i < SHM_LOCK_CHUNK; i++)
			chunk->all[i].tid = chunk->all[i].taken = 0;
	shm_lock_self = &shm_lock_none;
}

FL__MAKES_ANEW(shm_lock_make_anew)

FL__AT_START static void shm_lock_make_key(void)
{
	shm_lock_has_key = pthread_key_create(&shm_lock_key, shm_lock_end_thread) == 0;
}

static void shm_lock_free_room(const struct fl__shm_self *me, struct fl__shm_hold *holds)
{
	if (holds != me->few)
		fl__free(holds);
}

FL__AT_UNLOAD static void shm_lock_free_records(void)
{
	if (!fl__is_unloaded())
		return;
	if (shm_lock_has_key)
		(void)pthread_key_delete(shm_lock_key);
	FL__EACH_SAFE (struct shm_lock_chunk, chunk, shm_lock_chunks) {
		for (unsigned i = 0; i < SHM_LOCK_CHUNK; i++)
			shm_lock_free_room(&chunk->all[i], chunk->all[i].holds);
		if (chunk != &shm_lock_first)
			fl__sys.unmap(chunk, sizeof *chunk);
	}
}

long fl__shm_word_offset(void)
{
	const struct fl__robust_list *list = fl__shm_self()->list;
	return list ? list->offset : -(long)offsetof(struct fl__shm_lock, next_);
}

static uint32_t *shm_lock_word_of(struct fl__shm_lock *l, const struct fl__shm_self *me)
{
	return me->list ? (uint32_t *)(void *)((char *)&l->next_ + me->list->offset) : &l->words_[0];
}

uint32_t *fl__shm_word(struct fl__shm_lock *l)
{
	return shm_lock_word_of(l, fl__shm_self());
}

/*
 * The robust list, and the records. A node is the address of next_. The C library stores a node's
 * prev in the word before the node, which is hold_ and unused_ in a lock.
 */

static void *shm_lock_node_of(struct fl__shm_lock *l)
{
	return &l->next_;
}

static void *shm_lock_without_pi_bit(void *node)
{
	return (void *)((uintptr_t)node & ~(uintptr_t)1);
}

static void shm_lock_set_pending(struct fl__shm_self *me, void *node)
{
	if (!me->list)
		return;
	fl__in_program_order();
	/* relaxed: rule 3, as for all stores to the list */
	fl__store_relaxed(&me->list->pending, node);
	fl__in_program_order();
}

static void shm_lock_set_prev(const struct fl__shm_self *me, void *node, void *prev)
{
	void **at = shm_lock_without_pi_bit(node);
	if (sizeof(void *) == 8 && (void *)at != (void *)me->list)
		fl__store_relaxed(&at[-1], prev);
}

/* Adds a monitor as the first node of the list. */
static void shm_lock_list_push(struct fl__shm_self *me, struct fl__shm_lock *l)
{
	if (!me->list)
		return;
	fl__store_relaxed(&l->next_.node, me->list->first);
	fl__in_program_order();
	fl__store_relaxed(&me->list->first, shm_lock_node_of(l));
}

/* Returns the node behind the oldest hold. */
static void *shm_lock_end(struct fl__shm_self *me)
{
	return me->has_back ? (void *)&me->ends.back : (void *)me->list;
}

/*
 * Links `back` before the C library's nodes. Called before the first hold, if there are such nodes.
 */
static void FL__NOINLINE shm_lock_link_back(struct fl__shm_self *me)
{
	void *first = me->list->first;
	me->has_back = true;
	fl__store_relaxed(&me->ends.back.node, first);
	shm_lock_set_prev(me, first, &me->ends.back);
}

/* Unlinks `front`, `back`, and the nodes between them. */
static void FL__NOINLINE shm_lock_unlink_ends(struct fl__shm_self *me)
{
	void *prev = me->ends.front_prev.node;
	void **link = shm_lock_without_pi_bit(prev);
	if (sizeof(void *) != 8) /* on 32-bit systems the list is singly linked */
		for (link = &me->list->first; shm_lock_without_pi_bit(*link) != (void *)&me->ends.front;)
			link = shm_lock_without_pi_bit(*link);
	void *next = me->has_back ? me->ends.back.node : (void *)me->list;
	shm_lock_set_prev(me, next, prev);
	fl__store_relaxed(link, next);
	me->has_back = false;
	fl__store_relaxed(&me->ends.front_prev.node, (void *)me->list);
}

static bool FL__NOINLINE shm_lock_grow(struct fl__shm_self *me)
{
	const uint32_t room = FL__MIN(me->room * SHM_LOCK_GROWTH, SHM_LOCK_MOST);
	struct fl__shm_hold *holds = me->room < room ? fl__alloc(room, sizeof *holds) : NULL;
	if (!holds)
		return false;
	memcpy(holds, me->holds, me->held * sizeof *holds);
	struct fl__shm_hold *before = me->holds;
	me->holds = holds;
	me->room = (uint16_t)room;
	/*
	 * Frees last, so that `holds` never points to freed memory. Otherwise a child that another
	 * thread forks in between would free that memory again.
	 */
	shm_lock_free_room(me, before);
	return true;
}

static bool shm_lock_make_room(struct fl__shm_self *me)
{
	return fl__likely(me->held < me->room) || shm_lock_grow(me);
}

static void shm_lock_list_add(struct fl__shm_self *me, struct fl__shm_lock *l)
{
	struct fl__robust_list *list = me->list;
	const uint32_t n = me->held;
	fl__store_relaxed(&l->next_.node, n > 0 ? shm_lock_node_of(me->holds[n - 1].lock) : shm_lock_end(me));
	fl__in_program_order();
	fl__store_relaxed(&me->ends.front.node, shm_lock_node_of(l));
	fl__in_program_order();
	if (n == 0)
		fl__store_relaxed(&list->first, (void *)&me->ends.front);
}

/*
 * Moves the latest node between the nodes of `hold[1]` and `hold`. Meanwhile `pending` names the
 * latest node's lock.
 */
static void shm_lock_list_move_latest(struct fl__shm_self *me, const struct fl__shm_hold *hold,
                                      const struct fl__shm_hold *latest)
{
	shm_lock_set_pending(me, shm_lock_node_of(latest->lock));
	fl__store_relaxed(&me->ends.front.node, shm_lock_node_of(latest[-1].lock));
	fl__in_program_order();
	fl__store_relaxed(&latest->lock->next_.node, shm_lock_node_of(hold->lock));
	fl__in_program_order();
	fl__store_relaxed(&hold[1].lock->next_.node, shm_lock_node_of(latest->lock));
	shm_lock_set_pending(me, shm_lock_node_of(hold->lock));
}

/* Called while `pending` names the lock of `hold`. */
static void shm_lock_list_remove(struct fl__shm_self *me, const struct fl__shm_hold *hold,
                                 const struct fl__shm_hold *latest)
{
	if (me->held > 1) {
		union fl__shm_link *before = hold < latest ? &latest->lock->next_ : &me->ends.front;
		if (hold + 1 < latest)
			shm_lock_list_move_latest(me, hold, latest);
		fl__store_relaxed(&before->node, hold > me->holds ? shm_lock_node_of(hold[-1].lock) : shm_lock_end(me));
	} else {
		shm_lock_unlink_ends(me);
	}
}

static void shm_lock_add_hold(struct fl__shm_self *me, struct fl__shm_lock *l, uint64_t owner)
{
	if (me->list)
		shm_lock_list_add(me, l);
	struct fl__shm_hold *hold = &me->holds[me->held];
	hold->lock = l;
	hold->depth = hold->told = 0;
	hold->owner = owner;
	fl__store_relaxed(&l->hold_, me->held++); /* relaxed: fl__shm_hold() checks the hint */
}

static void shm_lock_add_hold_slow(struct fl__shm_self *me, struct fl__shm_lock *l, uint64_t owner)
{
	if (me->list && me->held == 0 && me->list->first != (void *)me->list)
		shm_lock_link_back(me);
	shm_lock_add_hold(me, l, owner);
}

static void shm_lock_remove_hold(struct fl__shm_self *me, struct fl__shm_hold *hold)
{
	struct fl__shm_hold *latest = &me->holds[me->held - 1];
	if (me->list)
		shm_lock_list_remove(me, hold, latest);
	if (hold < latest) {
		hold->lock = latest->lock;
		hold->depth = latest->depth;
		hold->told = latest->told;
		hold->owner = latest->owner;
		/* relaxed: fl__shm_hold() checks the hint */
		fl__store_relaxed(&hold->lock->hold_, (uint32_t)(hold - me->holds));
	}
	me->held--;
}

struct fl__shm_hold *fl__shm_latest_hold(void)
{
	const struct fl__shm_self *me = fl__shm_self();
	return &me->holds[me->held - 1];
}

static bool shm_lock_is_hold(const struct fl__shm_hold *hold, const struct fl__shm_lock *l, uint64_t owner)
{
	return hold->lock == l && (owner == 0 || hold->owner == owner);
}

struct fl__shm_hold *fl__shm_hold(const struct fl__shm_lock *l, uint64_t owner)
{
	const struct fl__shm_self *me = shm_lock_self;
	/* relaxed: the record that the hint leads to is checked */
	uint32_t place = fl__load_relaxed(&l->hold_);
	if (place < me->held && shm_lock_is_hold(&me->holds[place], l, owner))
		return &me->holds[place];
	for (place = me->held; place > 0; place--)
		if (shm_lock_is_hold(&me->holds[place - 1], l, owner))
			return &me->holds[place - 1];
	return NULL;
}

/* The word. */

static bool shm_lock_acquire_if_free(uint32_t *word, uint32_t *value, uint32_t tid)
{
	while ((*value & FL__SHM_TID) == 0)
		/* acquire: pairs with the releases in shm_lock_store_free() and fl__shm_release() */
		if (fl__cas_weak_acquire(word, value, tid | (*value & FL__SHM_WAITERS)))
			return true;
	return false;
}

/* The pauses double, because each access takes the cache line away from the owner. */
static bool shm_lock_spin(uint32_t *word, uint32_t *value, uint32_t tid)
{
	enum { SHORTEST = 4, LONGEST = 128 };
	if (!fl__may_poll())
		return false;
	const int64_t end = fl__sys.now() + SHM_LOCK_SPIN;
	for (unsigned pauses = SHORTEST;; pauses = pauses < LONGEST ? 2 * pauses : LONGEST) {
		fl__pause(pauses);
		/* relaxed: the CAS in shm_lock_acquire_if_free() acquires */
		*value = fl__load_relaxed(word);
		if (shm_lock_acquire_if_free(word, value, tid))
			return true;
		if (fl__sys.now() >= end)
			return false;
	}
}

static int shm_lock_sleep(struct fl__shm_lock *l, uint32_t *word, uint32_t value, fl_time deadline)
{
	if (!(value & FL__SHM_WAITERS)) {
		/* relaxed: the CAS publishes nothing */
		if (!fl__cas_weak_relaxed(word, &value, value | FL__SHM_WAITERS))
			return -EAGAIN;
		value |= FL__SHM_WAITERS;
	}
	fl__add_relaxed(&l->words_[FL__SHM_SLEEPERS], 1); /* relaxed: rule 2 */
	int rc = fl__sys.shared_wait(word, value, fl__expiry(deadline));
	if (rc != 0)
		fl__add_relaxed(&l->words_[FL__SHM_SLEEPERS], -1u); /* relaxed: rule 2 */
	return rc;
}

/*
 * Frees a lock whose word has the TID of a thread that does not exist. That happens if the memory
 * is damaged, or if the kernel did not reach the lock when its owner died, because the owner's
 * robust list was unusable, damaged, or longer than the kernel walks. Without robust lists, as in
 * an emulator, only a thread that waits without a cancel token notices a dead owner, and a process
 * that dies in a call on another object may leave its waiters asleep.
 */
static void shm_lock_repair(uint32_t *word, uint32_t *value)
{
	uint32_t free = (*value & FL__SHM_WAITERS) | FL__SHM_DIED;
	if ((*value & FL__SHM_TID) != 0 && !fl__sys.thread_exists(*value & FL__SHM_TID) &&
	    /* relaxed: no owner has released anything */
	    fl__cas_relaxed(word, value, free))
		*value = free;
}

/*
 * With `once`, returns -EAGAIN if the waiter was woken but another thread owns the lock. The waiter
 * need not pass the wake on, because either the owner's release finds WAITERS, or all waiters were
 * woken (rule 1).
 */
static int shm_lock_acquire_slow(struct fl__shm_lock *l, uint32_t *word, uint32_t tid, fl_time deadline, bool once)
{
	/* relaxed: the CAS in shm_lock_acquire_if_free() acquires */
	uint32_t value = fl__load_relaxed(word);
	bool taken = shm_lock_acquire_if_free(word, &value, tid);
	if (!taken && (value & FL__SHM_TID) == tid)
		return -EDEADLK;
	if (!taken)
		taken = shm_lock_spin(word, &value, tid);
	if (!taken && fl__is_expired(deadline))
		return -ETIMEDOUT;
	bool slept = false;
	/*
	 * The time at which the waiter next checks that the owner exists. With `once` it never
	 * checks, because a waiter of a wait queue may sleep long.
	 */
	fl_time ask = fl__sys.thread_exists && !once ? fl_after(SHM_LOCK_REPAIR_AFTER) : FL_FOREVER;
	int rc = 0;
	while (!taken && rc != -ETIMEDOUT && !(once && rc == 0 && slept)) {
		rc = shm_lock_sleep(l, word, value, fl__earlier(deadline, ask));
		slept = true;
		/*
		 * If another process overwrites the word again and again, no sleep sees the
		 * deadline.
		 */
		if (rc == -EAGAIN && fl__is_expired(deadline))
			rc = -ETIMEDOUT;
		/* relaxed: the CAS in shm_lock_acquire_if_free() acquires */
		value = fl__load_relaxed(word);
		if (rc == -ETIMEDOUT && fl__expiry(ask) < fl__expiry(deadline)) {
			shm_lock_repair(word, &value);
			ask = fl_after(SHM_LOCK_REPAIR_AFTER);
			rc = -EINTR; /* the waiter was not woken */
		}
		taken = shm_lock_acquire_if_free(word, &value, tid);
	}
	if (!taken)
		return rc == 0 ? -EAGAIN : rc;
	return value & FL__SHM_DIED ? -EOWNERDEAD : 0;
}

/* Acquires the lock, and leaves `pending` set to it. */
static int shm_lock_acquire(struct fl__shm_self *me, struct fl__shm_lock *l, fl_time deadline, bool once)
{
	uint32_t *word = shm_lock_word_of(l, me);
	uint32_t expected = 0;
	shm_lock_set_pending(me, shm_lock_node_of(l));
	/* acquire: pairs with the releases in shm_lock_store_free() and fl__shm_release() */
	return fl__cas_acquire(word, &expected, me->tid) ? 0 : shm_lock_acquire_slow(l, word, me->tid, deadline, once);
}

/* Enters a monitor, which gets no record. */
static int shm_lock_enter(struct fl__shm_self *me, struct fl__shm_lock *l, fl_time deadline, bool once)
{
	int rc = shm_lock_acquire(me, l, deadline, once);
	if (rc == -EOWNERDEAD)
		rc = 0;
	if (rc == 0)
		shm_lock_list_push(me, l);
	shm_lock_set_pending(me, NULL);
	return rc == -EDEADLK ? -EBADMSG : rc;
}

/*
 * Frees the lock, which `pending` names and which is in no list. The hint in FL__SHM_SLEEPERS is
 * stored before the lock is free, because another thread may reuse the memory of a free lock.
 */
static void shm_lock_store_free(struct fl__shm_self *me, struct fl__shm_lock *l, bool all)
{
	uint32_t *word = shm_lock_word_of(l, me);
	uint32_t expected = me->tid;
	/*
	 * release: pairs with the acquires in shm_lock_acquire(), shm_lock_acquire_if_free() and
	 * fl__shm_try_acquire()
	 */
	if (fl__cas_release(word, &expected, 0))
		return;
	if ((expected & FL__SHM_TID) != me->tid) {
		fl__log(FL_LOG_ERROR, "shared lock %p: another process has overwritten it", (void *)l);
		return;
	}
	uint32_t *sleepers = &l->words_[FL__SHM_SLEEPERS];
	uint32_t n = fl__load_relaxed(sleepers); /* relaxed, also the store below: rule 2 */
	bool one = !all && (int32_t)n > 1;
	fl__store_relaxed(sleepers, one ? n - 1 : 0);
	fl__sys.shared_store_and_wake(word, one ? FL__SHM_WAITERS : 0, one ? 1 : INT_MAX);
}

int fl__shm_enter(struct fl__shm_lock *l, struct fl__shm_held *held, fl_time deadline)
{
	struct fl__shm_self *me = fl__shm_self();
	held->first = me->list ? me->list->first : NULL;
	int rc = shm_lock_enter(me, l, deadline, false);
	if (rc == -ETIMEDOUT && !fl__is_forever(deadline))
		rc = shm_lock_enter(me, l, fl_after(SHM_LOCK_GRACE), false);
	return rc;
}

int fl__shm_enter_once(struct fl__shm_lock *l, struct fl__shm_held *held, fl_time deadline)
{
	struct fl__shm_self *me = fl__shm_self();
	held->first = me->list ? me->list->first : NULL;
	return shm_lock_enter(me, l, deadline, true);
}

bool fl__shm_has_waiters(struct fl__shm_lock *l)
{
	/* relaxed: the answer may be out of date when the function returns anyway */
	return (fl__load_relaxed(fl__shm_word(l)) & FL__SHM_WAITERS) != 0;
}

void fl__shm_wake(struct fl__shm_lock *l, uint32_t n)
{
	(void)fl__sys.shared_wake(fl__shm_word(l), (int)FL__MIN(n, INT_MAX));
}

void fl__shm_leave(struct fl__shm_lock *l, struct fl__shm_held *held)
{
	struct fl__shm_self *me = fl__shm_self();
	shm_lock_set_pending(me, shm_lock_node_of(l));
	if (me->list)
		/* relaxed: rule 3 */
		fl__store_relaxed(&me->list->first, held->first);
	shm_lock_store_free(me, l, false);
	shm_lock_set_pending(me, NULL);
}

int fl__shm_acquire(struct fl__shm_lock *l, uint64_t owner, fl_time deadline)
{
	struct fl__shm_self *me = fl__shm_self();
	if (!shm_lock_make_room(me))
		return -ENOMEM;
	int rc = shm_lock_acquire(me, l, deadline, false);
	if (rc == 0 || rc == -EOWNERDEAD)
		shm_lock_add_hold_slow(me, l, owner);
	shm_lock_set_pending(me, NULL);
	return rc;
}

static int FL__NOINLINE shm_lock_try_slow(struct fl__shm_lock *l, uint64_t owner)
{
	struct fl__shm_self *me = fl__shm_self();
	uint32_t *word = shm_lock_word_of(l, me);
	/* relaxed: the CAS in shm_lock_acquire_if_free() acquires */
	uint32_t value = fl__load_relaxed(word);
	int rc = -EAGAIN;
	if ((value & FL__SHM_TID) != 0) {
		shm_lock_set_pending(me, NULL); /* a fast path whose CAS failed has set `pending` */
		return -EAGAIN;
	}
	if (!shm_lock_make_room(me))
		return -ENOMEM;
	shm_lock_set_pending(me, shm_lock_node_of(l));
	if (shm_lock_acquire_if_free(word, &value, me->tid)) {
		rc = value & FL__SHM_DIED ? -EOWNERDEAD : 0;
		shm_lock_add_hold_slow(me, l, owner);
	}
	shm_lock_set_pending(me, NULL);
	return rc;
}

/*
 * The fast path calls no other function, and each call of the slow path is a tail call. So the
 * function saves no registers, because each store before its CAS would delay the CAS.
 */
int fl__shm_try_acquire(struct fl__shm_lock *l, uint64_t owner)
{
	struct fl__shm_self *me = shm_lock_self;
	uint32_t expected = 0;
	if (!me->list || me->held == me->room || (me->held == 0 && me->list->first != (void *)me->list))
		return shm_lock_try_slow(l, owner);
	uint32_t *word = shm_lock_word_of(l, me);
	if (fl__load_relaxed(word) != 0) /* relaxed: the CAS below acquires */
		return shm_lock_try_slow(l, owner);
	shm_lock_set_pending(me, shm_lock_node_of(l));
	/* acquire: pairs with the releases in shm_lock_store_free() and fl__shm_release() */
	if (!fl__cas_acquire(word, &expected, me->tid))
		return shm_lock_try_slow(l, owner);
	shm_lock_add_hold(me, l, owner);
	shm_lock_set_pending(me, NULL);
	return 0;
}

bool fl__shm_prepare_sleep(struct fl__shm_lock *l, uint32_t *value)
{
	uint32_t *word = fl__shm_word(l);
	/* relaxed: the waiter acquires the lock by a later CAS */
	uint32_t seen = fl__load_relaxed(word);
	do {
		if ((seen & FL__SHM_TID) == 0)
			return false;
		if (seen & FL__SHM_WAITERS)
			break;
		/* relaxed: the CAS publishes nothing */
	} while (!fl__cas_weak_relaxed(word, &seen, seen | FL__SHM_WAITERS));
	if (*value == 0)
		fl__add_relaxed(&l->words_[FL__SHM_SLEEPERS], 1); /* relaxed: rule 2 */
	*value = seen | FL__SHM_WAITERS;
	return true;
}

void fl__shm_set_pending(struct fl__shm_self *thread, struct fl__shm_lock *l)
{
	shm_lock_set_pending(thread, l ? shm_lock_node_of(l) : NULL);
}

static void FL__NOINLINE shm_lock_release_slow(struct fl__shm_lock *l, struct fl__shm_hold *hold, bool all)
{
	struct fl__shm_self *me = shm_lock_self;
	shm_lock_set_pending(me, shm_lock_node_of(l));
	shm_lock_remove_hold(me, hold);
	shm_lock_store_free(me, l, all);
	shm_lock_set_pending(me, NULL);
}

static void FL__NOINLINE shm_lock_free_slow(struct fl__shm_lock *l, bool all)
{
	shm_lock_store_free(shm_lock_self, l, all);
	shm_lock_set_pending(shm_lock_self, NULL);
}

/* The fast path releases the latest hold. It calls no other function, and so saves no registers. */
void fl__shm_release(struct fl__shm_lock *l, struct fl__shm_hold *hold, bool all)
{
	struct fl__shm_self *me = shm_lock_self;
	const uint32_t later = me->held - 1;
	uint32_t expected = me->tid;
	if (!me->list || hold != &me->holds[later] ||
	    (later == 0 && (me->list->first != (void *)&me->ends.front || me->has_back))) {
		shm_lock_release_slow(l, hold, all);
		return;
	}
	shm_lock_set_pending(me, shm_lock_node_of(l));
	/* relaxed, both stores: rule 3 */
	if (later > 0)
		fl__store_relaxed(&me->ends.front.node, shm_lock_node_of(hold[-1].lock));
	else
		fl__store_relaxed(&me->list->first, (void *)me->list);
	me->held = later;
	fl__in_program_order();
	/*
	 * release: pairs with the acquires in shm_lock_acquire(), shm_lock_acquire_if_free() and
	 * fl__shm_try_acquire()
	 */
	if (fl__cas_release(shm_lock_word_of(l, me), &expected, 0))
		shm_lock_set_pending(me, NULL);
	else
		shm_lock_free_slow(l, all);
}
