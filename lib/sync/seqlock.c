/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sequence lock, with the fences of Boehm, "Can seqlocks get along with programming language
 * memory models?", 2012.
 *
 *   field       meaning                set by                       cleared by
 *   WRITING     a write is under way   write_begin: store           write_end: CAS, or under the
 *                                                                   queue lock
 *   WAITERS     the wait queue may     a reader, under the queue    write_end, under the queue
 *               hold readers           lock, while WRITING          lock
 *   sequence    the number of writes   write_end, as it clears      -
 *   (the rest)  that ended; in steps   WRITING
 *               of WRITE
 *
 * writers_ is the mutex of the writers: a writer holds it from begin to end.
 *
 * Invariants
 *   1. Without WRITING, only the owner of writers_ changes the word. With WRITING, the owner and
 *      readers that set WAITERS change the word. WAITERS is set only with WRITING, so an even word
 *      is a plain sequence.
 *   2. A reader that loads the word without WRITING, copies, and loads the same word again, has
 *      copied the state of one moment. If its copy read a byte of a later write, the release fence
 *      after that write's WRITING and the reader's acquire fence would order that WRITING before
 *      the reader's second load. So the second load would see WRITING or a later word.
 *   3. Linearization: read, its second load of the word; write, the store or CAS that clears
 *      WRITING.
 *   4. No lost wake: lot.c, invariants 5 and 6.
 *
 * The sequence has 62 bits: even while a reader is preempted for years, the sequence does not wrap.
 *
 * Progress: a writer waits only for writers. A reader that finds WRITING polls the word POLLS
 * times, then yields YIELDS times, and then enters the queue, so that the writer must lock the
 * queue. A fiber does not yield before it enters the queue, because the writer may be on its
 * thread.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../wait/lot.h"
#include <errno.h>
#include <fairlead/seqlock.h>
#include <fairlead/time.h>
#include <string.h>

enum { SEQLOCK_WRITING = 1, SEQLOCK_WAITERS = 2, SEQLOCK_WRITE = 4, SEQLOCK_POLLS = 64, SEQLOCK_YIELDS = 4 };

/* may_alias: the value's memory has the user's types. */
typedef uintptr_t __attribute__((may_alias)) seqlock_word;
enum { SEQLOCK_WORD = sizeof(seqlock_word) };

/* The number of bytes at `shared` before its first aligned word; at most `size`. */
static size_t seqlock_head(const void *shared, size_t size)
{
	size_t head = -(uintptr_t)shared % SEQLOCK_WORD;
	return head < size ? head : size;
}

/*
 * Accesses are split at the word boundaries of the shared memory. So readers and writers use
 * accesses of the same sizes. relaxed: the reader discards a torn copy; the fences of the lock
 * order any other copy.
 */
void fl_seqlock_load(void *dst, const void *src, size_t size)
{
	unsigned char *to = dst;
	const unsigned char *from = src;
	size_t head = seqlock_head(src, size);
	size -= head;
	for (; head > 0; head--)
		*to++ = fl__load_relaxed(from++);
	for (; size >= SEQLOCK_WORD; size -= SEQLOCK_WORD, from += SEQLOCK_WORD, to += SEQLOCK_WORD) {
		const seqlock_word w = fl__load_relaxed((const seqlock_word *)(const void *)from);
		memcpy(to, &w, SEQLOCK_WORD);
	}
	for (; size > 0; size--)
		*to++ = fl__load_relaxed(from++);
}

void fl_seqlock_store(void *dst, const void *src, size_t size)
{
	unsigned char *to = dst;
	const unsigned char *from = src;
	size_t head = seqlock_head(dst, size);
	size -= head;
	for (; head > 0; head--)
		fl__store_relaxed(to++, *from++);
	for (; size >= SEQLOCK_WORD; size -= SEQLOCK_WORD, from += SEQLOCK_WORD, to += SEQLOCK_WORD) {
		seqlock_word w;
		memcpy(&w, from, SEQLOCK_WORD);
		fl__store_relaxed((seqlock_word *)(void *)to, w);
	}
	for (; size > 0; size--)
		fl__store_relaxed(to++, *from++);
}

int fl_seqlock_destroy(fl_seqlock *l)
{
	return fl_mutex_destroy(&l->writers_) != 0 || fl__lot_has_waiters_at(&l->sequence_) ? -EBUSY : 0;
}

/* With writers_ held. */
static void seqlock_begin(fl_seqlock *l)
{
	/* relaxed, both: invariant 1 */
	fl__store_relaxed(&l->sequence_, fl__load_relaxed(&l->sequence_) | SEQLOCK_WRITING);
	fl__fence_release(); /* invariant 2; pairs with the fence in fl_seqlock_read_retry() */
}

void fl_seqlock_write_begin(fl_seqlock *l)
{
	fl_mutex_lock(&l->writers_);
	seqlock_begin(l);
}

int fl_seqlock_try_write_begin(fl_seqlock *l)
{
	int rc = fl_mutex_try_lock(&l->writers_);
	if (rc == 0)
		seqlock_begin(l);
	return rc;
}

int fl_seqlock_write_begin_until(fl_seqlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = fl_mutex_lock_until(&l->writers_, deadline, cancel);
	if (rc == 0)
		seqlock_begin(l);
	return rc;
}

__attribute__((noinline, cold)) static void seqlock_end_waking(fl_seqlock *l, uint64_t after)
{
	struct fl__lot lot;
	fl__lot_open(&lot, &l->sequence_);
	fl__lot_take(&lot, FL__ALL, 0);
	fl__store_release(&l->sequence_, after); /* as in fl_seqlock_write_end() */
	fl__lot_close(&lot);
}

void fl_seqlock_write_end(fl_seqlock *l)
{
	/* relaxed: only readers that set WAITERS change the word now; the CAS detects WAITERS */
	uint64_t seen = fl__load_relaxed(&l->sequence_);
	if (!(seen & SEQLOCK_WRITING))
		fl__panic("fl_seqlock_write_end", l, "no write was begun");
	seen &= ~(uint64_t)SEQLOCK_WAITERS;
	const uint64_t after = seen - SEQLOCK_WRITING + SEQLOCK_WRITE;
	/* release: publishes the value; pairs with seqlock_is_stable() */
	if (!fl__cas_release(&l->sequence_, &seen, after))
		seqlock_end_waking(l, after);
	fl_mutex_unlock(&l->writers_); /* the last access */
}

void fl_seqlock_write(fl_seqlock *l, void *dst, const void *src, size_t size)
{
	fl_seqlock_write_begin(l);
	fl_seqlock_store(dst, src, size);
	fl_seqlock_write_end(l);
}

/* Whether no write is under way; then `*seen` is the sequence. */
static bool seqlock_is_stable(const fl_seqlock *l, uint64_t *seen)
{
	*seen = fl__load_acquire(&l->sequence_); /* pairs with fl_seqlock_write_end() */
	return !(*seen & SEQLOCK_WRITING);
}

/* Polls the word for a bounded time. */
static bool seqlock_spin(const fl_seqlock *l, uint64_t *seen)
{
	const bool shares = fl__ctx_get()->ops->yield != NULL;
	for (int i = 0; i < (shares ? SEQLOCK_POLLS : SEQLOCK_POLLS + SEQLOCK_YIELDS); i++) {
		if (i < SEQLOCK_POLLS)
			fl__sys.relax();
		else
			(void)fl__sys.give_way(fl__sys.now());
		if (seqlock_is_stable(l, seen))
			return true;
	}
	return false;
}

/* Under the queue lock: sets WAITERS if a write is under way. Returns whether one is. */
static bool seqlock_mark_waiter(fl_seqlock *l)
{
	/* relaxed: a reader acquires in seqlock_is_stable() */
	uint64_t seen = fl__load_relaxed(&l->sequence_);
	while (seen & SEQLOCK_WRITING)
		/* relaxed: a flag for the writer, publishes nothing */
		if ((seen & SEQLOCK_WAITERS) || fl__cas_weak_relaxed(&l->sequence_, &seen, seen | SEQLOCK_WAITERS))
			return true;
	return false;
}

/* Sleeps until the present write has ended: 0, -ETIMEDOUT, -ECANCELED. */
static int seqlock_sleep(fl_seqlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	struct fl__wait wait;
	struct fl__lot lot;
	fl__wait_begin(&wait, FL__DEBUG_SEQLOCK, l);
	struct fl__node node = FL__NODE(&wait);
	fl__lot_open(&lot, &l->sequence_);
	bool waits = seqlock_mark_waiter(l);
	if (waits)
		fl__lot_add(&lot, &node);
	fl__lot_close(&lot);
	if (!waits)
		return 0;
	int rc = fl__wait_sleep(&wait, deadline, cancel);
	if (rc != 0)
		fl__lot_leave(&node);
	return rc;
}

__attribute__((noinline, cold)) static int seqlock_read_begin_slow(fl_seqlock *l, uint64_t *seen, int64_t deadline,
                                                                   fl_cancel_token *cancel)
{
	while (!seqlock_spin(l, seen)) {
		int rc = seqlock_sleep(l, deadline, cancel);
		if (rc != 0)
			return rc;
	}
	return 0;
}

uint64_t fl_seqlock_read_begin(fl_seqlock *l)
{
	uint64_t seen;
	if (__builtin_expect(!seqlock_is_stable(l, &seen), 0))
		(void)seqlock_read_begin_slow(l, &seen, FL_FOREVER, FL_SHIELDED); /* always 0 */
	return seen;
}

bool fl_seqlock_read_retry(const fl_seqlock *l, uint64_t seen)
{
	fl__fence_acquire(); /* invariant 2; pairs with the fence in seqlock_begin() */
	/* relaxed: the fence orders this load after the copy */
	return __builtin_expect(fl__load_relaxed(&l->sequence_) != seen, 0);
}

int fl_seqlock_try_read(const fl_seqlock *l, void *dst, const void *src, size_t size)
{
	uint64_t seen;
	if (!seqlock_is_stable(l, &seen))
		return -EBUSY;
	fl_seqlock_load(dst, src, size);
	return fl_seqlock_read_retry(l, seen) ? -EBUSY : 0;
}

int fl_seqlock_read_until(fl_seqlock *l, void *dst, const void *src, size_t size, int64_t deadline,
                          fl_cancel_token *cancel)
{
	uint64_t seen;
	do {
		int rc = seqlock_is_stable(l, &seen) ? 0 : seqlock_read_begin_slow(l, &seen, deadline, cancel);
		if (rc != 0)
			return rc;
		fl_seqlock_load(dst, src, size);
	} while (fl_seqlock_read_retry(l, seen));
	return 0;
}

void fl_seqlock_read(fl_seqlock *l, void *dst, const void *src, size_t size)
{
	const int rc = fl_seqlock_read_until(l, dst, src, size, FL_FOREVER, FL_SHIELDED);
	(void)rc; /* always 0 */
}
