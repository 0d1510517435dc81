/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The readers-writer lock: a robust lock for writers, and slots for readers, each of which is a
 * robust lock. A reader takes any slot. A writer takes the writers' lock (writer_), and then all
 * slots in order. So the kernel frees the slots of readers that die, and there is no count of
 * readers to repair. (Big-reader locks: Hsieh and Weihl, 1992.)
 *
 *   dirty_         meaning                          set by                         cleared by
 *   0 (CLEAN)      the guarded data are consistent
 *   WRITING        a writer has all slots, or died  write lock, with all slots;    write unlock,
 *                  with them                        recover()                      before it frees
 *                                                                                  the first slot
 *   INCONSISTENT   the same, and the present        write lock, with all slots,    recover(); write
 *                  writer was told of a death       if dirty_ is not CLEAN         unlock
 *   LOST           the data were not repaired       write unlock by a writer that  init
 *                                                   did not recover
 *
 *   owner_         the context that has writer_: as in mutex.c
 *   state          of a slot: the lower half of its reader's ID; 0 while a writer has the slot. As
 *                  owner_, valid only when the slot's word has the TID of the calling thread
 *
 * Invariants
 *   1. Only a writer that has writer_ and all slots changes dirty_. So no other context changes
 *      dirty_ while a context has a slot. A context that has a slot of its own and sees a value
 *      other than CLEAN knows that a writer has died: a living writer would have the slot.
 *   2. Contexts wait for locks in one order: writer_, then the slots by number. A context that has
 *      a slot as a reader does not wait (-EDEADLK). So the waits have no cycle.
 *   3. No writer starves: while a writer has writer_ or waits for it, new readers take writer_ too,
 *      and give it back when they have a slot. A reader only guesses whether there is a writer. A
 *      reader that guesses wrong overtakes the writer once.
 *
 * Kills. The kernel frees the locks of a dead thread. A dead reader leaves nothing. A writer that
 * dies before it has all slots leaves dirty_ as it was. From before the write lock returns until
 * the unlock begins, dirty_ is WRITING or INCONSISTENT. Each change is one store. So dirty_ alone
 * tells of a death, and -EOWNERDEAD of a single lock is ignored.
 *
 * Memory order: the slots order the guarded data. Accesses to dirty_, owner_ and the states are
 * relaxed: the slots and writer_ order them.
 */
#include "../base/atomic.h"
#include "../base/panic.h"
#include "shm_context_lock.h"
#include <errno.h>
#include <fairlead/shm_rwlock.h>
#include <fairlead/time.h>

_Static_assert(sizeof(struct fl__shm_lock) == sizeof((fl_shm_rwlock *)0)->writer_, "writer_ is a struct fl__shm_lock");
_Static_assert(sizeof(struct fl__shm_slot) == 64, "readers do not share lines");

enum { CLEAN = 0, WRITING = 1, INCONSISTENT = 2, LOST = 3 };

static const int64_t LOOK_AGAIN = FL_MS(20);

static struct fl__shm_lock *writer_of(const fl_shm_rwlock *l)
{
	return fl__shm_lock_at(l->writer_);
}

static struct fl__shm_lock *place(const fl_shm_rwlock *l, uint32_t i)
{
	return fl__shm_lock_at(l->slots_[i].lock_);
}

/* The number of slots, never more than the memory has. Read once for each operation. */
static uint32_t places(const fl_shm_rwlock *l)
{
	uint32_t n = fl__load_relaxed(&l->slots_used_); /* relaxed: never changes */
	return n == 0 || n > FL_SHM_RWLOCK_READERS ? FL_SHM_RWLOCK_READERS : n;
}

/* The slot where a context begins to search: spread over threads and fibers. */
static uint32_t home_of(const struct fl__ctx *ctx, uint32_t n)
{
	uint32_t fiber = ctx->ops == &fl__thread_parker ? 0 : (uint32_t)ctx->id;
	return (fl__shm_self()->tid + fiber) % n;
}

static bool owns_writer(const fl_shm_rwlock *l, const struct fl__ctx *ctx)
{
	/* relaxed: a slot or writer_ orders it */
	return fl__shm_mine(writer_of(l)) && fl__load_relaxed(&l->owner_) == ctx->id;
}

static bool is_reader_at(struct fl__shm_lock *p, const struct fl__ctx *ctx)
{
	/* relaxed: a slot or writer_ orders it */
	return fl__shm_mine(p) && fl__load_relaxed(&p->words_[FL__SHM_STATE]) == (uint32_t)ctx->id;
}

/* The slot that the calling context has as a reader; NULL: none. */
static struct fl__shm_lock *find(const fl_shm_rwlock *l, const struct fl__ctx *ctx, uint32_t n)
{
	uint32_t home = home_of(ctx, n);
	for (uint32_t i = 0; i < n; i++) {
		struct fl__shm_lock *p = place(l, (home + i) % n);
		if (is_reader_at(p, ctx))
			return p;
	}
	return NULL;
}

/* Ignores the death of a single lock's owner: dirty_ tells. */
static int unless_dead(int rc)
{
	return rc == -EOWNERDEAD ? 0 : rc;
}

struct wait {
	struct fl__ctx *ctx;
	bool tries; /* the call does not wait */
	int64_t deadline;
	fl_cancel_token *cancel;
};

static int hold(struct fl__shm_lock *p, const struct wait *w)
{
	return w->tries ? -EBUSY : unless_dead(fl__shm_hold(p, w->ctx, w->deadline, w->cancel));
}

/* Takes writer_, for a writer, or for a reader that queues behind writers. */
static int take_writer(fl_shm_rwlock *l, const struct wait *w)
{
	int rc = unless_dead(fl__shm_try_take(writer_of(l)));
	if (rc == -EBUSY && !w->tries)
		rc = owns_writer(l, w->ctx) ? -EDEADLK : hold(writer_of(l), w);
	if (rc == 0)
		/* relaxed: a slot or writer_ orders it */
		fl__store_relaxed(&l->owner_, w->ctx->id);
	return rc;
}

static void give_writer(fl_shm_rwlock *l, bool all)
{
	fl__store_relaxed(&l->owner_, 0); /* relaxed: a slot or writer_ orders it */
	fl__shm_unhold(writer_of(l), all);
}

/* Readers. */

static int try_any_place(fl_shm_rwlock *l, uint32_t home, uint32_t n, struct fl__shm_lock **taken)
{
	int rc = -EBUSY;
	for (uint32_t i = 0; i < n && rc == -EBUSY; i++) {
		*taken = place(l, (home + i) % n);
		rc = unless_dead(fl__shm_try_take(*taken));
	}
	return rc;
}

/*
 * A reader that finds all slots taken sleeps on its first one. Another slot may become free
 * earlier, so the reader tries all slots again after LOOK_AGAIN.
 */
static int take_any_place(fl_shm_rwlock *l, const struct wait *w, uint32_t n, struct fl__shm_lock **taken)
{
	uint32_t home = home_of(w->ctx, n);
	for (;;) {
		int rc = try_any_place(l, home, n, taken);
		if (rc != -EBUSY || w->tries)
			return rc;
		if (find(l, w->ctx, n))
			return -EDEADLK;
		struct wait turn = *w;
		turn.deadline = fl__min_deadline(w->deadline, fl__sys.now() + LOOK_AGAIN);
		*taken = place(l, home);
		rc = hold(*taken, &turn);
		if (rc != -ETIMEDOUT || turn.deadline == w->deadline)
			return rc;
	}
}

/* The result for a reader that has taken the slot `p`. Gives the slot back unless that is 0. */
static int begin_reading(fl_shm_rwlock *l, const struct fl__ctx *ctx, struct fl__shm_lock *p)
{
	uint32_t dirty = fl__load_relaxed(&l->dirty_); /* relaxed: invariant 1; the slot acquired */
	if (dirty == CLEAN) {
		/* relaxed: a slot or writer_ orders it */
		fl__store_relaxed(&p->words_[FL__SHM_STATE], (uint32_t)ctx->id);
		return 0;
	}
	fl__shm_unhold(p, true);
	return dirty == LOST ? -ENOTRECOVERABLE : -EOWNERDEAD;
}

static bool is_awaited(const fl_shm_rwlock *l)
{
	/* relaxed: a guess, invariant 3 */
	return (fl__load_relaxed(fl__shm_word(writer_of(l))) & FL__SHM_TID) != 0;
}

static int read_lock(fl_shm_rwlock *l, const struct wait *w)
{
	uint32_t n = places(l);
	struct fl__shm_lock *p = NULL;
	bool behind = is_awaited(l);
	int rc = 0;
	if (behind && w->tries)
		return -EBUSY;
	if (behind && (find(l, w->ctx, n) || owns_writer(l, w->ctx)))
		return -EDEADLK;
	if (behind)
		rc = take_writer(l, w);
	if (rc != 0)
		return rc;
	rc = take_any_place(l, w, n, &p);
	if (rc == 0)
		rc = begin_reading(l, w->ctx, p);
	if (behind)
		give_writer(l, false);
	return rc;
}

/* Writers. */

static int take_place(struct fl__shm_lock *p, const struct wait *w)
{
	int rc = unless_dead(fl__shm_try_take(p));
	if (rc == -EBUSY)
		rc = hold(p, w);
	if (rc == 0)
		/* relaxed: a slot or writer_ orders it */
		fl__store_relaxed(&p->words_[FL__SHM_STATE], 0);
	return rc;
}

/* Gives back the first `n` slots, and writer_. */
static void give_places(fl_shm_rwlock *l, uint32_t n, bool all)
{
	for (uint32_t i = 0; i < n; i++)
		fl__shm_unhold(place(l, i), all);
	give_writer(l, all);
}

static int write_lock(fl_shm_rwlock *l, const struct wait *w)
{
	uint32_t n = places(l), taken = 0;
	int rc = !w->tries && find(l, w->ctx, n) ? -EDEADLK : take_writer(l, w);
	if (rc != 0)
		return rc;
	uint32_t dirty = fl__load_relaxed(&l->dirty_); /* relaxed: invariant 1; writer_ acquired */
	if (dirty == LOST)
		rc = -ENOTRECOVERABLE;
	while (rc == 0 && taken < n) {
		rc = take_place(place(l, taken), w);
		taken += rc == 0;
	}
	if (rc != 0) {
		give_places(l, taken, dirty == LOST);
		return rc;
	}
	/* relaxed: invariant 1 */
	fl__store_relaxed(&l->dirty_, dirty == CLEAN ? WRITING : INCONSISTENT);
	return dirty == CLEAN ? 0 : -EOWNERDEAD;
}

int fl_shm_rwlock_destroy(const fl_shm_rwlock *l)
{
	bool busy = fl__shm_is_busy(writer_of(l));
	for (uint32_t i = 0; i < places(l) && !busy; i++)
		busy = fl__shm_is_busy(place(l, i));
	return busy ? -EBUSY : 0;
}

int fl_shm_rwlock_read_lock_until(fl_shm_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	return read_lock(l, &(struct wait){fl__ctx_get(), deadline == FL__TRY, deadline, cancel});
}

void fl_shm_rwlock_read_unlock(fl_shm_rwlock *l)
{
	struct fl__shm_lock *p = find(l, fl__ctx_get(), places(l));
	if (!p)
		fl__panic("fl_shm_rwlock_read_unlock", l, "not held by the caller");
	fl__shm_unhold(p, false);
}

int fl_shm_rwlock_write_lock_until(fl_shm_rwlock *l, int64_t deadline, fl_cancel_token *cancel)
{
	return write_lock(l, &(struct wait){fl__ctx_get(), deadline == FL__TRY, deadline, cancel});
}

void fl_shm_rwlock_recover(fl_shm_rwlock *l)
{
	if (!owns_writer(l, fl__ctx_get()))
		fl__panic("fl_shm_rwlock_recover", l, "not held by the caller");
	if (fl__load_relaxed(&l->dirty_) != INCONSISTENT) /* relaxed: invariant 1, all here */
		fl__panic("fl_shm_rwlock_recover", l, "no writer died");
	fl__store_relaxed(&l->dirty_, WRITING);
}

void fl_shm_rwlock_write_unlock(fl_shm_rwlock *l)
{
	if (!owns_writer(l, fl__ctx_get()))
		fl__panic("fl_shm_rwlock_write_unlock", l, "not held by the caller");
	bool lost = fl__load_relaxed(&l->dirty_) != WRITING; /* relaxed: invariant 1, all here */
	fl__store_relaxed(&l->dirty_, lost ? LOST : CLEAN);
	give_places(l, places(l), lost);
}
