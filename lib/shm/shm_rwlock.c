/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The readers-writer lock: a robust lock for writers, writer_, and slots for readers, each of which
 * is a robust lock. A reader acquires any slot. A writer acquires writer_, and then all slots in
 * order. So the kernel frees the slots of readers that die, and there is no count of readers to
 * repair. (Big-reader locks: Hsieh and Weihl, 1992.)
 *
 *   dirty_         meaning                          set by                       cleared by
 *   0 (CLEAN)      the guarded data are consistent  init; write unlock           write lock
 *   WRITING        a writer has all slots, or died  write lock, once it has all  write unlock,
 *                  with them                        slots; recover               before it frees
 *                                                                                the first slot
 *   INCONSISTENT   the same, and the present        write lock, once it has all  recover; write
 *                  writer was told of a death       slots, if dirty_ was set     unlock
 *   LOST           the data were not repaired       write unlock by a writer     init
 *                                                   that did not recover
 *
 * The thread's records (shm_lock.h) have the context of writer_ and of each reader's slot; a
 * writer's slots have none.
 *
 * Invariants
 *   1. Only a writer that has writer_ and all slots changes dirty_. So a context that has a slot of
 *      its own and sees a value other than CLEAN knows that a writer has died.
 *   2. Contexts wait for locks in one order: writer_, then the slots by number. A context that has
 *      a slot as a reader does not wait (-EDEADLK). So the waits have no cycle.
 *   3. No writer starves: while a writer has writer_ or waits for it, new readers acquire writer_
 *      too, and release it when they have a slot. A reader guesses whether there is a writer. A
 *      wrong guess overtakes the writer once.
 *
 * Kills. A dead reader leaves nothing. A writer that dies before it has all slots leaves dirty_ as
 * it was. From before the write lock returns until the unlock begins, dirty_ is WRITING or
 * INCONSISTENT. Each change is one store. So dirty_ alone tells of a death, and -EOWNERDEAD of a
 * single lock is ignored.
 *
 * Memory order: accesses to dirty_ are relaxed; the slots and writer_ order them and the guarded
 * data.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "shm_context_lock.h"
#include <errno.h>
#include <fairlead/shm_rwlock.h>
#include <fairlead/time.h>

_Static_assert(sizeof(struct fl__shm_lock) == sizeof((fl_shm_rwlock *)0)->writer_, "writer_ is a struct fl__shm_lock");
_Static_assert(sizeof(struct fl__shm_slot) == 64, "readers do not share lines");

enum { SHM_RWLOCK_CLEAN = 0, SHM_RWLOCK_WRITING = 1, SHM_RWLOCK_INCONSISTENT = 2, SHM_RWLOCK_LOST = 3 };

static const int64_t shm_rwlock_retry_after = FL_MS(20);

static struct fl__shm_lock *shm_rwlock_writer(const fl_shm_rwlock *l)
{
	return fl__shm_lock_at(l->writer_);
}

static struct fl__shm_lock *shm_rwlock_slot(const fl_shm_rwlock *l, uint32_t i)
{
	return fl__shm_lock_at(l->slots_[i].lock_);
}

/* The number of slots, never more than the memory has. Read once for each operation. */
static uint32_t shm_rwlock_slots(const fl_shm_rwlock *l)
{
	uint32_t n = fl__load_relaxed(&l->slots_used_); /* relaxed: never changes */
	return n == 0 || n > FL_SHM_RWLOCK_READERS ? FL_SHM_RWLOCK_READERS : n;
}

/* Spreads the first slot over threads and fibers. */
static uint32_t shm_rwlock_first_slot(const struct fl__ctx *ctx, uint32_t n)
{
	uint32_t fiber = ctx->ops == &fl__thread_parker ? 0 : (uint32_t)ctx->id;
	return (fl__shm_self()->tid + fiber) % n;
}

static struct fl__shm_hold *shm_rwlock_writer_hold(const fl_shm_rwlock *l, const struct fl__ctx *ctx)
{
	return fl__shm_hold(shm_rwlock_writer(l), ctx->id);
}

static bool shm_rwlock_is_slot(const fl_shm_rwlock *l, const struct fl__shm_hold *hold, uint64_t owner)
{
	return hold->owner == owner && (uintptr_t)hold->lock - (uintptr_t)l->slots_ < sizeof l->slots_;
}

/*
 * The record of a slot that the calling thread holds for the context with that ID as a reader; 0:
 * as a writer.
 */
static struct fl__shm_hold *shm_rwlock_find_slot(const fl_shm_rwlock *l, uint64_t owner)
{
	const struct fl__shm_self *me = fl__shm_self();
	for (uint32_t i = me->held; i > 0; i--) {
		struct fl__shm_hold *hold = &me->holds[i - 1];
		if (shm_rwlock_is_slot(l, hold, owner))
			return hold;
	}
	return NULL;
}

/* dirty_ tells of deaths. */
static int shm_rwlock_ignore_death(int rc)
{
	return rc == -EOWNERDEAD ? 0 : rc;
}

struct shm_rwlock_wait {
	struct fl__ctx *ctx;
	bool tries; /* the call does not wait */
	int64_t deadline;
	fl_cancel_token *cancel;
};

static int shm_rwlock_wait_for(struct fl__shm_lock *p, uint64_t owner, const struct shm_rwlock_wait *w)
{
	return w->tries ? -EBUSY
	                : shm_rwlock_ignore_death(fl__shm_context_acquire(p, owner, w->ctx, w->deadline, w->cancel));
}

static int shm_rwlock_acquire_writer(fl_shm_rwlock *l, const struct shm_rwlock_wait *w)
{
	int rc = shm_rwlock_ignore_death(fl__shm_try_acquire(shm_rwlock_writer(l), w->ctx->id));
	if (rc == -EBUSY && !w->tries)
		rc = shm_rwlock_writer_hold(l, w->ctx) ? -EDEADLK
		                                       : shm_rwlock_wait_for(shm_rwlock_writer(l), w->ctx->id, w);
	return rc;
}

/* Readers. */

static int shm_rwlock_try_any_slot(const fl_shm_rwlock *l, uint64_t owner, uint32_t first, uint32_t n)
{
	int rc = -EBUSY;
	for (uint32_t i = 0; i < n && rc == -EBUSY; i++)
		rc = shm_rwlock_ignore_death(fl__shm_try_acquire(shm_rwlock_slot(l, (first + i) % n), owner));
	return rc;
}

/*
 * A reader that finds no free slot sleeps on its first one, and tries all again after
 * shm_rwlock_retry_after.
 */
static int shm_rwlock_acquire_any_slot(const fl_shm_rwlock *l, const struct shm_rwlock_wait *w, uint32_t n)
{
	uint32_t first = shm_rwlock_first_slot(w->ctx, n);
	for (;;) {
		int rc = shm_rwlock_try_any_slot(l, w->ctx->id, first, n);
		if (rc != -EBUSY || w->tries)
			return rc;
		if (shm_rwlock_find_slot(l, w->ctx->id))
			return -EDEADLK;
		struct shm_rwlock_wait turn = *w;
		turn.deadline = fl__min_deadline(w->deadline, fl__sys.now() + shm_rwlock_retry_after);
		rc = shm_rwlock_wait_for(shm_rwlock_slot(l, first), w->ctx->id, &turn);
		if (rc != -ETIMEDOUT || turn.deadline == w->deadline)
			return rc;
	}
}

/* The result for a reader that has just acquired a slot, released unless it is 0. */
static int shm_rwlock_begin_read(const fl_shm_rwlock *l)
{
	uint32_t dirty = fl__load_relaxed(&l->dirty_);
	if (dirty == SHM_RWLOCK_CLEAN)
		return 0;
	struct fl__shm_hold *slot = fl__shm_latest_hold();
	fl__shm_context_release(slot->lock, slot, true);
	return dirty == SHM_RWLOCK_LOST ? -ENOTRECOVERABLE : -EOWNERDEAD;
}

static bool shm_rwlock_has_writer(const fl_shm_rwlock *l)
{
	/* relaxed: a guess, invariant 3 */
	return (fl__load_relaxed(fl__shm_word(shm_rwlock_writer(l))) & FL__SHM_TID) != 0;
}

int fl_shm_rwlock_read_lock_until(fl_shm_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	const struct shm_rwlock_wait w = {fl__ctx_get(), deadline == FL__TRY, deadline, cancel};
	uint32_t n = shm_rwlock_slots(l);
	bool behind = shm_rwlock_has_writer(l);
	int rc = 0;
	if (behind && w.tries)
		return -EBUSY;
	if (behind && (shm_rwlock_find_slot(l, w.ctx->id) || shm_rwlock_writer_hold(l, w.ctx)))
		return -EDEADLK;
	if (behind)
		rc = shm_rwlock_acquire_writer(l, &w);
	if (rc != 0)
		return rc;
	rc = shm_rwlock_acquire_any_slot(l, &w, n);
	if (rc == 0)
		rc = shm_rwlock_begin_read(l);
	if (behind)
		fl__shm_context_release(shm_rwlock_writer(l), shm_rwlock_writer_hold(l, w.ctx), false);
	return rc;
}

/* Writers. */

static int shm_rwlock_acquire_slot(struct fl__shm_lock *p, const struct shm_rwlock_wait *w)
{
	int rc = shm_rwlock_ignore_death(fl__shm_try_acquire(p, 0));
	return rc == -EBUSY ? shm_rwlock_wait_for(p, 0, w) : rc;
}

/* Releases the writer's slots, and writer_. */
static void shm_rwlock_release_slots(const fl_shm_rwlock *l, const struct fl__ctx *ctx, bool all)
{
	const struct fl__shm_self *me = fl__shm_self();
	/* a release moves no record but the last one to an earlier place */
	for (uint32_t i = me->held; i > 0; i--)
		if (shm_rwlock_is_slot(l, &me->holds[i - 1], 0))
			fl__shm_context_release(me->holds[i - 1].lock, &me->holds[i - 1], all);
	fl__shm_context_release(shm_rwlock_writer(l), shm_rwlock_writer_hold(l, ctx), all);
}

int fl_shm_rwlock_write_lock_until(fl_shm_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	const struct shm_rwlock_wait w = {fl__ctx_get(), deadline == FL__TRY, deadline, cancel};
	uint32_t n = shm_rwlock_slots(l);
	int rc = !w.tries && shm_rwlock_find_slot(l, w.ctx->id) ? -EDEADLK : shm_rwlock_acquire_writer(l, &w);
	if (rc != 0)
		return rc;
	uint32_t dirty = fl__load_relaxed(&l->dirty_);
	if (dirty == SHM_RWLOCK_LOST)
		rc = -ENOTRECOVERABLE;
	for (uint32_t i = 0; i < n && rc == 0; i++)
		rc = shm_rwlock_acquire_slot(shm_rwlock_slot(l, i), &w);
	if (rc != 0) {
		shm_rwlock_release_slots(l, w.ctx, dirty == SHM_RWLOCK_LOST);
		return rc;
	}
	fl__store_relaxed(&l->dirty_, dirty == SHM_RWLOCK_CLEAN ? SHM_RWLOCK_WRITING : SHM_RWLOCK_INCONSISTENT);
	shm_rwlock_writer_hold(l, w.ctx)->told = dirty != SHM_RWLOCK_CLEAN;
	return dirty == SHM_RWLOCK_CLEAN ? 0 : -EOWNERDEAD;
}

int fl_shm_rwlock_destroy(const fl_shm_rwlock *l)
{
	bool busy = fl__shm_is_busy(shm_rwlock_writer(l));
	for (uint32_t i = 0; i < shm_rwlock_slots(l) && !busy; i++)
		busy = fl__shm_is_busy(shm_rwlock_slot(l, i));
	return busy ? -EBUSY : 0;
}

void fl_shm_rwlock_read_unlock(fl_shm_rwlock *l)
{
	struct fl__shm_hold *slot = shm_rwlock_find_slot(l, fl__ctx_get()->id);
	if (!slot)
		fl__panic("fl_shm_rwlock_read_unlock", l, "not held by the caller");
	fl__shm_context_release(slot->lock, slot, false);
}

void fl_shm_rwlock_recover(fl_shm_rwlock *l)
{
	struct fl__shm_hold *hold = shm_rwlock_writer_hold(l, fl__ctx_get());
	if (!hold)
		fl__panic("fl_shm_rwlock_recover", l, "not held by the caller");
	if (!hold->told)
		fl__panic("fl_shm_rwlock_recover", l, "no writer died");
	hold->told = 0;
	fl__store_relaxed(&l->dirty_, SHM_RWLOCK_WRITING);
}

void fl_shm_rwlock_write_unlock(fl_shm_rwlock *l)
{
	const struct fl__ctx *ctx = fl__ctx_get();
	if (!shm_rwlock_writer_hold(l, ctx))
		fl__panic("fl_shm_rwlock_write_unlock", l, "not held by the caller");
	bool lost = fl__load_relaxed(&l->dirty_) != SHM_RWLOCK_WRITING;
	fl__store_relaxed(&l->dirty_, lost ? SHM_RWLOCK_LOST : SHM_RWLOCK_CLEAN);
	shm_rwlock_release_slots(l, ctx, lost);
}
