/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The robust lock, on the kernel's robust-futex interface (Linux: Documentation/locking/robust-futex-ABI). Each thread has a
 * list of the locks that it holds, whose head the C library has registered; when the thread ends, by whatever way, the
 * kernel goes through it. We put our nodes into that list as the C library does its own, and in its way, so that they mix.
 *
 *   word        meaning                        set by                     cleared by
 *   TID         the owner; 0: free             take(), CAS                release(); the kernel, at its death
 *   DIED        its owner died                 the kernel                 take(), which then tells its caller
 *   WAITERS     somebody may sleep on it       wait_for(), CAS            release(), in the step that wakes everybody
 *
 * The kernel acts on three kinds of death, by what the dying thread's list says:
 *   - a lock in the list, with its TID: free, DIED, and one sleeper is woken if there is WAITERS, which stays;
 *   - the lock in `pending` with its TID: the same: it was killed between the CAS and the list, or the other way;
 *   - the lock in `pending` with no owner: one sleeper is woken. It was killed after it was woken and before it had taken the
 *     lock. So a thread keeps `pending` while it sleeps. (Kernels without "futex: Resend potentially swallowed owner death
 *     notification", of Linux 6.2 and its stable branches, do so only when the whole word is 0.)
 *
 * Invariant: if somebody sleeps, the word has WAITERS. Hence:
 *   - release() frees a lock without WAITERS by a CAS, and one with it by a call of the kernel that stores and wakes in one
 *     step. It either keeps WAITERS and wakes one, or drops it and wakes everybody.
 *   - who takes a lock keeps the WAITERS that it finds.
 *   - one who was woken alone, and is killed, had `pending`: the kernel wakes another if the lock is free; if it is not, its
 *     owner has WAITERS to release.
 * glibc's robust mutex stores 0, then wakes one. When a third thread takes it in between, or before the woken one does, and the
 * one that frees it, or the woken one, is killed just then, the other sleepers sleep for ever.
 *
 * How many sleep is a hint that decides which of the two releases is cheaper, and nothing else: sleepers count themselves
 * (and take themselves off when nobody woke them), and an owner takes off whom it is going to wake, so that the count of those
 * who were killed wears off.
 *
 * Linearization: the CAS of take(); the CAS or the call of release(). The list's stores are atomic so that the laboratory
 * sees each as a step; between them and the word the order of the program is enough, since the kernel reads them on behalf of
 * this thread.
 */
#include "lock.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include <errno.h>
#include <fairlead/time.h>
#include <limits.h>
#include <pthread.h>

enum { LOOKS = 100, YIELDS = 20 };
enum { PATIENCE = 1000000, OWNER_UNHEARD_OF = 1000000000 }; /* ns */

static _Thread_local struct fl__shm_self self __attribute__((tls_model("initial-exec")));

static bool is_usable(const struct fl__robust_list *list)
{
	long place = (long)offsetof(struct fl__shm_lock, next_) + (list ? list->offset : 0);
	return list && (place == 0 || place == 4 || place == 12 || place == 20);
}

static void __attribute__((noinline)) fill_in(void)
{
	self.list = fl__sys.robust_list();
	if (!is_usable(self.list))
		self.list = NULL;
	self.tid = fl__sys.thread_id();
}

struct fl__shm_self *fl__shm_self(void)
{
	if (__builtin_expect(self.tid == 0, 0))
		fill_in();
	return &self;
}

/* A forked child has another number, and holds nothing. */
static void after_fork_in_child(void)
{
	self = (struct fl__shm_self){NULL, 0};
}

FL__AT_START static void watch_forks(void)
{
	(void)pthread_atfork(NULL, NULL, after_fork_in_child); /* see lib/wait/context.c */
}

long fl__shm_word_offset(void)
{
	const struct fl__robust_list *list = fl__shm_self()->list;
	return list ? list->offset : -(long)offsetof(struct fl__shm_lock, next_);
}

static uint32_t *word_of(struct fl__shm_lock *l, const struct fl__shm_self *me)
{
	return me->list ? (uint32_t *)(void *)((char *)&l->next_ + me->list->offset) : &l->words_[0];
}

uint32_t *fl__shm_word(struct fl__shm_lock *l)
{
	return word_of(l, fl__shm_self());
}

/* The list. A node is the address of next_; the pointer to the node before lies one pointer in front of it. */

static void *node_of(struct fl__shm_lock *l)
{
	return &l->next_;
}

static void *unmarked(void *node)
{
	return (void *)((uintptr_t)node & ~(uintptr_t)1);
}

static void set_pending(struct fl__shm_self *me, void *node)
{
	if (!me->list)
		return;
	fl__in_program_order();
	fl__store_relaxed(&me->list->pending,
	                  node); /* relaxed, as all of the list: the kernel reads it for this thread */
	fl__in_program_order();
}

/* On 64-bit systems the C library's lists have links in both directions, which ours must keep. */
static void set_prev(const struct fl__shm_self *me, void *node, void *prev)
{
	void **at = unmarked(node);
	if (sizeof(void *) == 8 && (void *)at != (void *)me->list)
		fl__store_relaxed(&at[-1], prev);
}

static void enlist(struct fl__shm_self *me, struct fl__shm_lock *l)
{
	if (!me->list)
		return;
	void *first = me->list->first;
	set_prev(me, first, node_of(l));
	fl__store_relaxed(&l->next_.node, first);
	if (sizeof(void *) == 8)
		fl__store_relaxed(&l->prev_.node, (void *)me->list);
	fl__in_program_order();
	fl__store_relaxed(&me->list->first, node_of(l));
}

/* The place that points to the node of `l`: in its own links, or, where lists have one direction, by going there. */
static void **link_to(const struct fl__shm_self *me, struct fl__shm_lock *l)
{
	if (sizeof(void *) == 8)
		return unmarked(l->prev_.node);
	void **link = &me->list->first;
	while (unmarked(*link) != node_of(l))
		link = unmarked(*link);
	return link;
}

static void delist(struct fl__shm_self *me, struct fl__shm_lock *l)
{
	if (!me->list)
		return;
	void **link = link_to(me, l);
	void *next = l->next_.node;
	set_prev(me, next, link);
	fl__store_relaxed(link, next);
}

/* The word. */

/* Takes a lock that is free. False when it is not, or is no longer; *value is what was found. */
static bool take_free(uint32_t *word, uint32_t *value, uint32_t tid)
{
	while ((*value & FL__SHM_TID) == 0)
		if (fl__cas_weak_acquire(word, value, tid | (*value & FL__SHM_WAITERS))) /* pairs with release() */
			return true;
	return false;
}

/* Looks for a while, without going to sleep. */
static bool spin(uint32_t *word, uint32_t *value, uint32_t tid)
{
	for (int i = 0; i < LOOKS + YIELDS; i++) {
		if (i < LOOKS)
			fl__sys.relax();
		else
			(void)fl__sys.give_way(fl__sys.now());
		*value = fl__load_relaxed(word); /* relaxed: the CAS acquires */
		if (take_free(word, value, tid))
			return true;
	}
	return false;
}

/* Sleeps until the word changes, or the deadline; 0: it has slept. */
static int wait_for(struct fl__shm_lock *l, uint32_t *word, uint32_t value, int64_t deadline)
{
	if (!(value & FL__SHM_WAITERS)) {
		if (!fl__cas_weak_relaxed(word, &value, value | FL__SHM_WAITERS)) /* relaxed: publishes nothing */
			return -EAGAIN;
		value |= FL__SHM_WAITERS;
	}
	fl__add_relaxed(&l->words_[FL__SHM_SLEEPERS], 1); /* relaxed: a hint */
	int rc = fl__sys.shared_wait(word, value, deadline);
	if (rc != 0)
		fl__add_relaxed(&l->words_[FL__SHM_SLEEPERS],
		                -1u); /* relaxed: a hint; nobody woke us, who would have done it */
	return rc;
}

/*
 * For a word that names a thread which is not there, so that the kernel is not going to free it: damaged memory; or an owner
 * whose list was damaged, or longer than what the kernel goes through, when it died.
 */
static void free_from_nobody(uint32_t *word, uint32_t *value)
{
	uint32_t free = (*value & FL__SHM_WAITERS) | FL__SHM_DIED;
	if ((*value & FL__SHM_TID) != 0 && !fl__sys.thread_exists(*value & FL__SHM_TID) &&
	    fl__cas_relaxed(word, value, free)) /* relaxed: nobody has released; whatever the memory holds, it holds */
		*value = free;
}

/*
 * The rest of take(), when the lock was not just free. `once`: -EAGAIN when it was woken and another has the lock; then no
 * wake is owed to anybody, since that one has WAITERS to release, or all were woken.
 */
static int take_slowly(struct fl__shm_lock *l, uint32_t *word, uint32_t tid, int64_t deadline, bool once)
{
	uint32_t value = fl__load_relaxed(word); /* relaxed: the CAS acquires */
	bool taken = take_free(word, &value, tid);
	if (!taken && (value & FL__SHM_TID) == tid)
		return -EDEADLK;
	if (!taken)
		taken = spin(word, &value, tid);
	if (!taken && fl__is_past(deadline))
		return -ETIMEDOUT;
	bool slept = false;
	/* Not in a line, where an idle process waits for long: there it is nudged. */
	int64_t ask = fl__sys.thread_exists && !once ? fl__sys.now() + OWNER_UNHEARD_OF : FL_FOREVER;
	int rc = 0;
	while (!taken && rc != -ETIMEDOUT && !(once && rc == 0 && slept)) {
		rc = wait_for(l, word, value, fl__min_deadline(deadline, ask));
		slept = true;
		value = fl__load_relaxed(word); /* relaxed: as above */
		if (rc == -ETIMEDOUT && ask < deadline) {
			free_from_nobody(word, &value);
			ask = FL_FOREVER;
			rc = -EINTR; /* nobody woke it */
		}
		taken = take_free(word, &value, tid);
	}
	if (!taken)
		return rc == 0 ? -EAGAIN : rc;
	return value & FL__SHM_DIED ? -EOWNERDEAD : 0;
}

static int take(struct fl__shm_self *me, struct fl__shm_lock *l, int64_t deadline, bool once)
{
	uint32_t *word = word_of(l, me);
	uint32_t expected = 0;
	set_pending(me, node_of(l));
	int rc = fl__cas_acquire(word, &expected, me->tid)
	             ? 0
	             : take_slowly(l, word, me->tid, deadline, once); /* as take_free() */
	if (rc == 0 || rc == -EOWNERDEAD)
		enlist(me, l);
	set_pending(me, NULL);
	return rc;
}

/*
 * Frees the lock; `pending` names it, and it is in no list. The hint is kept before that: afterwards another may take the lock,
 * free it, and give its memory to something else.
 */
static void release(struct fl__shm_self *me, struct fl__shm_lock *l, bool all)
{
	uint32_t *word = word_of(l, me);
	uint32_t expected = me->tid;
	if (fl__cas_release(word, &expected, 0)) /* release: what the owner wrote; pairs with take_free() */
		return;
	uint32_t *sleepers = &l->words_[FL__SHM_SLEEPERS];
	uint32_t n = fl__load_relaxed(sleepers); /* relaxed: a hint, as the stores */
	bool one = !all && (int32_t)n > 1;
	fl__store_relaxed(sleepers, one ? n - 1 : 0);
	fl__sys.shared_store_and_wake(word, one ? FL__SHM_WAITERS : 0, one ? 1 : INT_MAX);
}

int fl__shm_enter(struct fl__shm_lock *l, struct fl__shm_held *held, int64_t deadline)
{
	struct fl__shm_self *me = fl__shm_self();
	held->first = me->list ? me->list->first : NULL;
	int rc = take(me, l, deadline, false);
	if (rc == -ETIMEDOUT && deadline < FL_FOREVER - PATIENCE)
		rc = take(me, l, fl__sys.now() + PATIENCE, false);
	return rc == -EOWNERDEAD ? 0 : rc;
}

int fl__shm_enter_or_wake(struct fl__shm_lock *l, struct fl__shm_held *held, int64_t deadline)
{
	struct fl__shm_self *me = fl__shm_self();
	held->first = me->list ? me->list->first : NULL;
	int rc = take(me, l, deadline, true);
	return rc == -EOWNERDEAD ? 0 : rc;
}

bool fl__shm_is_awaited(struct fl__shm_lock *l)
{
	return (fl__load_relaxed(fl__shm_word(l)) & FL__SHM_WAITERS) != 0; /* relaxed: a guess */
}

void fl__shm_nudge(struct fl__shm_lock *l, uint32_t n)
{
	(void)fl__sys.shared_wake(fl__shm_word(l), n < INT_MAX ? (int)n : INT_MAX);
}

void fl__shm_leave(struct fl__shm_lock *l, struct fl__shm_held *held)
{
	struct fl__shm_self *me = fl__shm_self();
	set_pending(me, node_of(l));
	if (me->list) {
		set_prev(me, held->first, (void *)me->list);
		fl__store_relaxed(&me->list->first, held->first); /* relaxed: as set_pending() */
	}
	release(me, l, false);
	set_pending(me, NULL);
}

int fl__shm_take(struct fl__shm_lock *l, int64_t deadline)
{
	return take(fl__shm_self(), l, deadline, false);
}

int fl__shm_try_take(struct fl__shm_lock *l)
{
	struct fl__shm_self *me = fl__shm_self();
	uint32_t *word = word_of(l, me);
	uint32_t value = fl__load_relaxed(word); /* relaxed: the CAS acquires */
	int rc = -EBUSY;
	set_pending(me, node_of(l));
	if (take_free(word, &value, me->tid)) {
		rc = value & FL__SHM_DIED ? -EOWNERDEAD : 0;
		enlist(me, l);
	}
	set_pending(me, NULL);
	return rc;
}

bool fl__shm_expect(struct fl__shm_lock *l, uint32_t *value)
{
	uint32_t *word = fl__shm_word(l);
	uint32_t seen = fl__load_relaxed(word); /* relaxed: who takes the lock acquires */
	do {
		if ((seen & FL__SHM_TID) == 0)
			return false;
		if (seen & FL__SHM_WAITERS)
			break;
	} while (!fl__cas_weak_relaxed(word, &seen, seen | FL__SHM_WAITERS)); /* relaxed: publishes nothing */
	if (*value == 0)
		fl__add_relaxed(&l->words_[FL__SHM_SLEEPERS], 1); /* relaxed: a hint */
	*value = seen | FL__SHM_WAITERS;
	return true;
}

void fl__shm_stand_by(struct fl__shm_self *thread, struct fl__shm_lock *l)
{
	set_pending(thread, l ? node_of(l) : NULL);
}

static void give(struct fl__shm_lock *l, bool all)
{
	struct fl__shm_self *me = fl__shm_self();
	set_pending(me, node_of(l));
	delist(me, l);
	release(me, l, all);
	set_pending(me, NULL);
}

void fl__shm_give(struct fl__shm_lock *l)
{
	give(l, false);
}

void fl__shm_give_all(struct fl__shm_lock *l)
{
	give(l, true);
}

bool fl__shm_mine(struct fl__shm_lock *l)
{
	const struct fl__shm_self *me = fl__shm_self();
	return (fl__load_relaxed(word_of(l, me)) & FL__SHM_TID) == me->tid; /* relaxed: no other writes our number */
}
