/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The barrier in shared memory is one word, so that each step is one store.
 *
 *   bits     field        meaning                                   changed by
 *   0..19    arrived      parties of this generation so far         an arrival: + 1; the end of the
 *                                                                   generation: 0
 *   20       broken       the barrier is broken                     the end of a generation
 *   21..31   history      bit i: how the generation i + 1 before    the end of a generation
 *                         the present one ended; 1: it broke
 *   32..63   generation   how many generations have ended           the end of a generation: + 1
 *
 * Rule
 *   1. The word changes only under the monitor, which orders the accesses. Without the monitor, the
 *      word is only a hint. Therefore all accesses to it are relaxed.
 *
 * A party remembers the generation in which it arrived. Once the word has a later generation, the
 * history tells how the party's generation ended. Because a generation passes only with all
 * parties, each later generation can only break until the party has looked, unless more contexts
 * than parties use the barrier. A party that looks after more than eleven generations is told that
 * the barrier broke.
 *
 * The linearization point is the store of the word.
 *
 * Kills. If a thread is killed in shm_barrier_end_generation() before the store, the woken waiters
 * see no change, and sleep again.
 */
#include "core/base/atomic.h"
#include "shm_wait_queue.h"
#include <errno.h>
#include <fairlead/shm_barrier.h>
#include <fairlead/time.h>

FL__SHM_ASSERT_ROOM(fl_shm_barrier);

enum { SHM_BARRIER_HISTORY = 11, SHM_BARRIER_HISTORY_AT = 21, SHM_BARRIER_GENERATION_AT = 32 };
enum shm_barrier_end { SHM_BARRIER_PASSED = 0, SHM_BARRIER_BROKE = 1 };

static const uint64_t SHM_BARRIER_BROKEN = 1u << 20;

struct shm_barrier_party {
	fl_shm_barrier *b;
	uint32_t generation, order;
	/* `tries`: the party arrives only if it is the last */
	bool arrived, tries;
};

static uint64_t shm_barrier_load(const fl_shm_barrier *b)
{
	return fl__load_relaxed(&b->word_);
}

static uint32_t shm_barrier_arrived(uint64_t word)
{
	return word & FL_SHM_BARRIER_MAX;
}

static uint32_t shm_barrier_generation(uint64_t word)
{
	return (uint32_t)(word >> SHM_BARRIER_GENERATION_AT);
}

static uint32_t shm_barrier_history(uint64_t word)
{
	return (uint32_t)(word >> SHM_BARRIER_HISTORY_AT) & ((1u << SHM_BARRIER_HISTORY) - 1);
}

/* Called under the monitor. */
static void shm_barrier_end_generation(fl_shm_barrier *b, uint64_t word, enum shm_barrier_end end, bool broken)
{
	uint64_t generation = shm_barrier_generation(word) + 1; /* the count wraps at 32 bits */
	uint64_t history = (shm_barrier_history(word) << 1 | end) & ((1u << SHM_BARRIER_HISTORY) - 1);
	fl__shm_wake_before_commit(fl__shm_wait_queue_at(b->waiters_));
	fl__store_relaxed(&b->word_, generation << SHM_BARRIER_GENERATION_AT | history << SHM_BARRIER_HISTORY_AT |
	                                 (broken ? SHM_BARRIER_BROKEN : (uint64_t)0));
	fl__shm_wake_after_commit(fl__shm_wait_queue_at(b->waiters_), 0);
}

/*
 * Returns 0 if the generation of an arrived party has passed, -EPIPE if it broke, and -EAGAIN if
 * it has not ended.
 */
static int shm_barrier_outcome(const struct shm_barrier_party *p, uint64_t word)
{
	uint32_t behind = shm_barrier_generation(word) - p->generation;
	if (behind == 0)
		return -EAGAIN;
	return behind <= SHM_BARRIER_HISTORY && (shm_barrier_history(word) >> (behind - 1) & 1) == SHM_BARRIER_PASSED
	           ? 0
	           : -EPIPE;
}

static bool shm_barrier_has_parties(const fl_shm_barrier *b)
{
	/* relaxed: only init sets it. If it is 0, the subtraction wraps to a large number. */
	return fl__load_relaxed(&b->parties_) - 1 < FL_SHM_BARRIER_MAX;
}

/* Called under the monitor when the party arrives. Returns 0 if it is the last. */
static int shm_barrier_arrive(struct shm_barrier_party *p, uint64_t word)
{
	fl_shm_barrier *b = p->b;
	/* relaxed: only init sets it */
	uint32_t parties = fl__load_relaxed(&b->parties_);
	p->order = shm_barrier_arrived(word);
	if (p->order >= parties || parties > FL_SHM_BARRIER_MAX)
		return -EBADMSG;
	if (word & SHM_BARRIER_BROKEN)
		return -EPIPE;
	if (p->order + 1 == parties) {
		shm_barrier_end_generation(b, word, SHM_BARRIER_PASSED, false);
		return 0;
	}
	if (p->tries)
		return -EAGAIN;
	fl__store_relaxed(&b->word_, word + 1);
	p->generation = shm_barrier_generation(word);
	p->arrived = true;
	return -EAGAIN;
}

static int shm_barrier_attempt(void *arg)
{
	struct shm_barrier_party *p = arg;
	uint64_t word = shm_barrier_load(p->b);
	return p->arrived ? shm_barrier_outcome(p, word) : shm_barrier_arrive(p, word);
}

static bool shm_barrier_may_pass(const void *arg)
{
	const struct shm_barrier_party *p = arg;
	return shm_barrier_generation(shm_barrier_load(p->b)) != p->generation;
}

/*
 * Breaks the barrier and returns `rc`. If the party's generation has already ended, returns its
 * outcome instead; if the party has not arrived and the barrier is already broken, -EPIPE; if the
 * monitor is damaged, -EBADMSG. Waits for the monitor without a deadline, because the other parties
 * depend on this one.
 */
static int shm_barrier_give_up(struct shm_barrier_party *p, int rc)
{
	struct fl__shm_held held;
	if (fl__shm_enter(fl__shm_lock_at(p->b->lock_), &held, FL_FOREVER) != 0)
		return -EBADMSG;
	uint64_t word = shm_barrier_load(p->b);
	int outcome = p->arrived ? shm_barrier_outcome(p, word) : word & SHM_BARRIER_BROKEN ? -EPIPE : -EAGAIN;
	if (outcome == -EAGAIN)
		shm_barrier_end_generation(p->b, word, SHM_BARRIER_BROKE, true);
	fl__shm_leave(fl__shm_lock_at(p->b->lock_), &held);
	return outcome == -EAGAIN ? rc : outcome;
}

int fl_shm_barrier_wait_until(fl_shm_barrier *b, fl_time deadline, fl_cancel_token *cancel)
{
	struct shm_barrier_party p = {.b = b, .tries = fl__is_try(deadline)};
	const struct fl__shm_op op = {.lock = fl__shm_lock_at(b->lock_),
	                              .queue = fl__shm_wait_queue_at(b->waiters_),
	                              .attempt = shm_barrier_attempt,
	                              .may_succeed = shm_barrier_may_pass,
	                              .arg = &p,
	                              .broadcast = true};
	int rc = fl__shm_await(&op, deadline, cancel);
	if (!p.tries && (rc == -ETIMEDOUT || rc == -ECANCELED))
		rc = shm_barrier_give_up(&p, rc);
	return rc == 0 ? (int)p.order : rc;
}

static int shm_barrier_end_broken(fl_shm_barrier *b, bool broken)
{
	struct fl__shm_held held;
	if (!shm_barrier_has_parties(b) || fl__shm_enter(fl__shm_lock_at(b->lock_), &held, FL_FOREVER) != 0)
		return -EBADMSG;
	shm_barrier_end_generation(b, shm_barrier_load(b), SHM_BARRIER_BROKE, broken);
	fl__shm_leave(fl__shm_lock_at(b->lock_), &held);
	return 0;
}

int fl_shm_barrier_abort(fl_shm_barrier *b)
{
	return shm_barrier_end_broken(b, true);
}

int fl_shm_barrier_reset(fl_shm_barrier *b)
{
	return shm_barrier_end_broken(b, false);
}

bool fl_shm_barrier_is_broken(const fl_shm_barrier *b)
{
	return shm_barrier_load(b) & SHM_BARRIER_BROKEN;
}

uint32_t fl_shm_barrier_waiting(const fl_shm_barrier *b)
{
	return shm_barrier_arrived(shm_barrier_load(b));
}
