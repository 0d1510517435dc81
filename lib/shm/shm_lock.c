/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The robust lock, built on the kernel's robust-futex interface (Linux:
 * Documentation/locking/robust-futex-ABI). Each thread has a list of the locks that it owns. The C
 * library has registered the list with the kernel. This file links its nodes into the same list, in
 * the C library's format.
 *
 *   word      meaning                  set by                           cleared by
 *   TID       the owner; 0: free       an acquire, CAS                  a release; the kernel, when
 *                                                                       the owner dies;
 *                                                                       shm_lock_repair()
 *   DIED      an owner died            the kernel; shm_lock_repair()    an acquire, which then
 *                                                                       returns -EOWNERDEAD
 *   WAITERS   a waiter may sleep on    shm_lock_sleep(), CAS;           a release, in the system
 *             the word                 fl__shm_prepare_sleep(), CAS     call that wakes all waiters
 *
 * Death of an owner. When a thread ends, in whatever way, the kernel walks the thread's list. In
 * each lock that has the thread's TID, the kernel clears TID, sets DIED and keeps WAITERS. If
 * WAITERS is set, the kernel also wakes one waiter. The next owner finds and clears DIED, and
 * returns -EOWNERDEAD to its caller. Besides the list, the kernel looks at one more lock, which
 * `pending` names:
 *   - The lock has the thread's TID: an acquire has stored the TID and not yet added the node, or a
 *     release has removed the node and not yet freed the word. The kernel frees the lock as above.
 *   - The lock has no owner: the thread was woken, and died before it acquired the lock. The kernel
 *     wakes another waiter. For this case a thread keeps `pending` while it sleeps. (Before "futex:
 *     Resend potentially swallowed owner death notification", of Linux 6.2 and its stable branches,
 *     the kernel does so only if the whole word is 0.)
 *
 * Invariant: while a waiter sleeps, the word has WAITERS. Therefore:
 *   - A release frees a word without WAITERS by a CAS, and a word with WAITERS by one system call
 *     that stores and wakes in one step. The call either keeps WAITERS and wakes one waiter, or
 *     clears WAITERS and wakes all.
 *   - An acquire keeps the WAITERS that it finds.
 *   - If a waiter is woken alone and then killed, `pending` names the lock. If the lock is free,
 *     the kernel wakes another waiter. If the lock has an owner, the owner's release finds WAITERS.
 *
 * docs/design.md says why the C library's robust mutex is not used.
 *
 * FL__SHM_SLEEPERS, the count of sleeping waiters, is a hint: it decides only whether a release
 * wakes one waiter or all. A waiter adds 1 before it sleeps, and subtracts 1 if it was not woken. A
 * release subtracts the waiters that it wakes, in time also those that were killed.
 *
 * Linearization points: the CAS of an acquire; the CAS or the system call of a release. The stores
 * to the list are atomic so that the model checker (fairlead-stress) sees each as a step. Program
 * order suffices between the list and the word: the kernel reads them on behalf of this thread.
 */
#include "shm_lock.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include <errno.h>
#include <fairlead/time.h>
#include <limits.h>
#include <pthread.h>

enum { SHM_LOCK_SPIN = 10000 /* ns */ };
enum { SHM_LOCK_GRACE = 1000000, SHM_LOCK_REPAIR_AFTER = 1000000000 }; /* ns */

static _Thread_local struct fl__shm_self shm_lock_self FL__INITIAL_EXEC;

static bool shm_lock_list_is_usable(const struct fl__robust_list *list)
{
	long place = (long)offsetof(struct fl__shm_lock, next_) + (list ? list->offset : 0);
	return list && (place == 0 || place == 4 || place == 12 || place == 20);
}

static void __attribute__((noinline)) shm_lock_init_self(void)
{
	shm_lock_self.list = fl__sys.robust_list();
	if (!shm_lock_list_is_usable(shm_lock_self.list))
		shm_lock_self.list = NULL;
	shm_lock_self.tid = fl__sys.thread_id();
}

struct fl__shm_self *fl__shm_self(void)
{
	if (__builtin_expect(shm_lock_self.tid == 0, 0))
		shm_lock_init_self();
	return &shm_lock_self;
}

/* A forked child has another TID, and owns no lock. */
static void shm_lock_after_fork_in_child(void)
{
	shm_lock_self = (struct fl__shm_self){NULL, 0};
}

FL__AT_START static void shm_lock_watch_forks(void)
{
	/* Fails only for lack of memory at start-up: see lib/wait/context.c. */
	(void)pthread_atfork(NULL, NULL, shm_lock_after_fork_in_child);
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

/* The robust list. A node is the address of next_, and prev_ lies before it. */

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
	/* relaxed, as all stores to the list: the kernel reads the list for this thread */
	fl__store_relaxed(&me->list->pending, node);
	fl__in_program_order();
}

/* The list is doubly linked on 64-bit systems only. */
static void shm_lock_set_prev(const struct fl__shm_self *me, void *node, void *prev)
{
	void **at = shm_lock_without_pi_bit(node);
	if (sizeof(void *) == 8 && (void *)at != (void *)me->list)
		fl__store_relaxed(&at[-1], prev);
}

static void shm_lock_list_add(struct fl__shm_self *me, struct fl__shm_lock *l)
{
	if (!me->list)
		return;
	void *first = me->list->first;
	shm_lock_set_prev(me, first, shm_lock_node_of(l));
	fl__store_relaxed(&l->next_.node, first);
	if (sizeof(void *) == 8)
		fl__store_relaxed(&l->prev_.node, (void *)me->list);
	fl__in_program_order();
	fl__store_relaxed(&me->list->first, shm_lock_node_of(l));
}

/*
 * Returns the pointer to the node of `l`: from prev_, or, in a singly linked list, by a walk from
 * the head.
 */
static void **shm_lock_list_find(const struct fl__shm_self *me, struct fl__shm_lock *l)
{
	if (sizeof(void *) == 8)
		return shm_lock_without_pi_bit(l->prev_.node);
	void **link = &me->list->first;
	while (shm_lock_without_pi_bit(*link) != shm_lock_node_of(l))
		link = shm_lock_without_pi_bit(*link);
	return link;
}

static void shm_lock_list_remove(struct fl__shm_self *me, struct fl__shm_lock *l)
{
	if (!me->list)
		return;
	void **link = shm_lock_list_find(me, l);
	void *next = l->next_.node;
	shm_lock_set_prev(me, next, link);
	fl__store_relaxed(link, next);
}

/* The word. */

/* Acquires the lock if it is free. Stores in *value the word that was found. */
static bool shm_lock_acquire_if_free(uint32_t *word, uint32_t *value, uint32_t tid)
{
	while ((*value & FL__SHM_TID) == 0)
		/* acquire: pairs with shm_lock_store_free() */
		if (fl__cas_weak_acquire(word, value, tid | (*value & FL__SHM_WAITERS)))
			return true;
	return false;
}

/*
 * Polls the lock for SHM_LOCK_SPIN. The pauses double, since each access takes the cache line away
 * from the owner: an owner that locks again and again is faster undisturbed.
 */
static bool shm_lock_spin(uint32_t *word, uint32_t *value, uint32_t tid)
{
	enum { SHORTEST = 4, LONGEST = 128 };
	const int64_t end = fl__sys.now() + SHM_LOCK_SPIN;
	for (unsigned pauses = SHORTEST;; pauses = pauses < LONGEST ? 2 * pauses : LONGEST) {
		fl__pause(pauses);
		*value = fl__load_relaxed(word); /* relaxed: the CAS acquires */
		if (shm_lock_acquire_if_free(word, value, tid))
			return true;
		if (fl__sys.now() >= end)
			return false;
	}
}

/* Sleeps while the word is `value`: 0 after a wake, else a negative errno. */
static int shm_lock_sleep(struct fl__shm_lock *l, uint32_t *word, uint32_t value, int64_t deadline)
{
	if (!(value & FL__SHM_WAITERS)) {
		/* relaxed: publishes nothing */
		if (!fl__cas_weak_relaxed(word, &value, value | FL__SHM_WAITERS))
			return -EAGAIN;
		value |= FL__SHM_WAITERS;
	}
	fl__add_relaxed(&l->words_[FL__SHM_SLEEPERS], 1); /* relaxed: a hint */
	int rc = fl__sys.shared_wait(word, value, deadline);
	/*
	 * relaxed: a hint. A release subtracts the waiters that it wakes; fl__shm_wake() does not.
	 */
	if (rc != 0)
		fl__add_relaxed(&l->words_[FL__SHM_SLEEPERS], -1u);
	return rc;
}

/*
 * Frees a lock that the kernel does not free, because the word has the TID of a thread that does
 * not exist. Either the memory is damaged, or the list of the dead owner was damaged or longer than
 * the kernel walks.
 */
static void shm_lock_repair(uint32_t *word, uint32_t *value)
{
	uint32_t free = (*value & FL__SHM_WAITERS) | FL__SHM_DIED;
	if ((*value & FL__SHM_TID) != 0 && !fl__sys.thread_exists(*value & FL__SHM_TID) &&
	    fl__cas_relaxed(word, value, free)) /* relaxed: no owner has released anything */
		*value = free;
}

/*
 * The slow path of an acquire. With `once`, returns -EAGAIN if the waiter was woken and another
 * thread owns the lock. The waiter then need not pass the wake on: either the owner finds WAITERS
 * in its release, or all waiters were woken.
 */
static int shm_lock_acquire_slow(struct fl__shm_lock *l, uint32_t *word, uint32_t tid, int64_t deadline, bool once)
{
	uint32_t value = fl__load_relaxed(word); /* relaxed: the CAS acquires */
	bool taken = shm_lock_acquire_if_free(word, &value, tid);
	if (!taken && (value & FL__SHM_TID) == tid)
		return -EDEADLK;
	if (!taken)
		taken = shm_lock_spin(word, &value, tid);
	if (!taken && fl__is_expired(deadline))
		return -ETIMEDOUT;
	bool slept = false;
	/*
	 * When the waiter checks that the owner exists. Never with `once`: a waiter of a wait queue
	 * may sleep long, and fl__shm_wake() wakes it.
	 */
	int64_t ask = fl__sys.thread_exists && !once ? fl__sys.now() + SHM_LOCK_REPAIR_AFTER : FL_FOREVER;
	int rc = 0;
	while (!taken && rc != -ETIMEDOUT && !(once && rc == 0 && slept)) {
		rc = shm_lock_sleep(l, word, value, fl__min_deadline(deadline, ask));
		slept = true;
		value = fl__load_relaxed(word); /* relaxed: as above */
		if (rc == -ETIMEDOUT && ask < deadline) {
			shm_lock_repair(word, &value);
			ask = FL_FOREVER;
			rc = -EINTR; /* the waiter was not woken */
		}
		taken = shm_lock_acquire_if_free(word, &value, tid);
	}
	if (!taken)
		return rc == 0 ? -EAGAIN : rc;
	return value & FL__SHM_DIED ? -EOWNERDEAD : 0;
}

static int shm_lock_acquire(struct fl__shm_self *me, struct fl__shm_lock *l, int64_t deadline, bool once)
{
	uint32_t *word = shm_lock_word_of(l, me);
	uint32_t expected = 0;
	shm_lock_set_pending(me, shm_lock_node_of(l));
	/* acquire: pairs with shm_lock_store_free() */
	int rc =
	    fl__cas_acquire(word, &expected, me->tid) ? 0 : shm_lock_acquire_slow(l, word, me->tid, deadline, once);
	if (rc == 0 || rc == -EOWNERDEAD)
		shm_lock_list_add(me, l);
	shm_lock_set_pending(me, NULL);
	return rc;
}

/*
 * Frees the lock, which `pending` names and which is in no list. Stores the hint first: once the
 * lock is free, another thread may acquire it, release it, and reuse its memory.
 */
static void shm_lock_store_free(struct fl__shm_self *me, struct fl__shm_lock *l, bool all)
{
	uint32_t *word = shm_lock_word_of(l, me);
	uint32_t expected = me->tid;
	/*
	 * release: what the owner wrote; pairs with shm_lock_acquire() and
	 * shm_lock_acquire_if_free()
	 */
	if (fl__cas_release(word, &expected, 0))
		return;
	uint32_t *sleepers = &l->words_[FL__SHM_SLEEPERS];
	uint32_t n = fl__load_relaxed(sleepers); /* relaxed: a hint, as the store */
	bool one = !all && (int32_t)n > 1;
	fl__store_relaxed(sleepers, one ? n - 1 : 0);
	fl__sys.shared_store_and_wake(word, one ? FL__SHM_WAITERS : 0, one ? 1 : INT_MAX);
}

int fl__shm_enter(struct fl__shm_lock *l, struct fl__shm_held *held, int64_t deadline)
{
	struct fl__shm_self *me = fl__shm_self();
	held->first = me->list ? me->list->first : NULL;
	int rc = shm_lock_acquire(me, l, deadline, false);
	if (rc == -ETIMEDOUT && deadline < FL_FOREVER - SHM_LOCK_GRACE)
		rc = shm_lock_acquire(me, l, fl__sys.now() + SHM_LOCK_GRACE, false);
	return rc == -EOWNERDEAD ? 0 : rc;
}

int fl__shm_enter_once(struct fl__shm_lock *l, struct fl__shm_held *held, int64_t deadline)
{
	struct fl__shm_self *me = fl__shm_self();
	held->first = me->list ? me->list->first : NULL;
	int rc = shm_lock_acquire(me, l, deadline, true);
	return rc == -EOWNERDEAD ? 0 : rc;
}

bool fl__shm_has_waiters(struct fl__shm_lock *l)
{
	/* relaxed: out of date when it returns */
	return (fl__load_relaxed(fl__shm_word(l)) & FL__SHM_WAITERS) != 0;
}

void fl__shm_wake(struct fl__shm_lock *l, uint32_t n)
{
	(void)fl__sys.shared_wake(fl__shm_word(l), n < INT_MAX ? (int)n : INT_MAX);
}

void fl__shm_leave(struct fl__shm_lock *l, struct fl__shm_held *held)
{
	struct fl__shm_self *me = fl__shm_self();
	shm_lock_set_pending(me, shm_lock_node_of(l));
	if (me->list) {
		shm_lock_set_prev(me, held->first, (void *)me->list);
		/* relaxed: the kernel reads the list for this thread */
		fl__store_relaxed(&me->list->first, held->first);
	}
	shm_lock_store_free(me, l, false);
	shm_lock_set_pending(me, NULL);
}

int fl__shm_acquire(struct fl__shm_lock *l, int64_t deadline)
{
	return shm_lock_acquire(fl__shm_self(), l, deadline, false);
}

int fl__shm_try_acquire(struct fl__shm_lock *l)
{
	struct fl__shm_self *me = fl__shm_self();
	uint32_t *word = shm_lock_word_of(l, me);
	uint32_t value = fl__load_relaxed(word); /* relaxed: the CAS acquires */
	int rc = -EBUSY;
	shm_lock_set_pending(me, shm_lock_node_of(l));
	if (shm_lock_acquire_if_free(word, &value, me->tid)) {
		rc = value & FL__SHM_DIED ? -EOWNERDEAD : 0;
		shm_lock_list_add(me, l);
	}
	shm_lock_set_pending(me, NULL);
	return rc;
}

bool fl__shm_prepare_sleep(struct fl__shm_lock *l, uint32_t *value)
{
	uint32_t *word = fl__shm_word(l);
	uint32_t seen = fl__load_relaxed(word); /* relaxed: the acquire follows */
	do {
		if ((seen & FL__SHM_TID) == 0)
			return false;
		if (seen & FL__SHM_WAITERS)
			break;
		/* relaxed: publishes nothing */
	} while (!fl__cas_weak_relaxed(word, &seen, seen | FL__SHM_WAITERS));
	if (*value == 0)
		fl__add_relaxed(&l->words_[FL__SHM_SLEEPERS], 1); /* relaxed: a hint */
	*value = seen | FL__SHM_WAITERS;
	return true;
}

void fl__shm_set_pending(struct fl__shm_self *thread, struct fl__shm_lock *l)
{
	shm_lock_set_pending(thread, l ? shm_lock_node_of(l) : NULL);
}

void fl__shm_release(struct fl__shm_lock *l, bool all)
{
	struct fl__shm_self *me = fl__shm_self();
	shm_lock_set_pending(me, shm_lock_node_of(l));
	shm_lock_list_remove(me, l);
	shm_lock_store_free(me, l, all);
	shm_lock_set_pending(me, NULL);
}

bool fl__shm_is_owned(struct fl__shm_lock *l)
{
	const struct fl__shm_self *me = fl__shm_self();
	/* relaxed: only this thread stores its own TID */
	return (fl__load_relaxed(shm_lock_word_of(l, me)) & FL__SHM_TID) == me->tid;
}
