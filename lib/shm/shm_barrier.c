/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The barrier is one word of 64 bits, so that each step is one store. The word changes only under
 * the monitor.
 *
 *   bits     field        meaning                                   changed by
 *   0..19    arrived      parties of this generation so far         arrive(): + 1; end(): 0
 *   20       broken       the barrier is broken                     end()
 *   21..31   history      bit i: how the generation ended that      end()
 *                         was i + 1 before this; 1: it broke
 *   32..63   generation   how many generations have ended           end(): + 1
 *
 * A party remembers the generation that it arrived in. Once the word has a later generation, the
 * history says how the party's generation ended, whatever has happened since. So no party passes
 * early, and no party that passed is told otherwise. A generation passes only with all parties. So
 * generations that end after a party's own, before the party looks, can only break. A party that
 * looks after more than eleven generations is told that the barrier broke.
 *
 * Linearization point: the store.
 *
 * Kills. In arrive(), after its store: the party has arrived, and waits for nothing. In end(),
 * before the store: the woken waiters see no change, and sleep again; the generation goes on as if
 * the call had not been made. In end(), after the store: the woken waiters see the change.
 */
#include "../base/atomic.h"
#include "shm_wait_queue.h"
#include <errno.h>
#include <fairlead/shm_barrier.h>
#include <fairlead/time.h>

_Static_assert(sizeof(struct fl__shm_lock) == sizeof((fl_shm_barrier *)0)->lock_ &&
                   sizeof(struct fl__shm_line) == sizeof((fl_shm_barrier *)0)->line_,
               "fl_shm_barrier has room for a lock and a line");

enum { HISTORY = 11, HISTORY_AT = 21, GENERATION_AT = 32 };
enum fate { PASSED = 0, BROKE = 1 };

static const uint64_t BROKEN = 1u << 20;

struct party {
	fl_shm_barrier *b;
	uint32_t generation, order;
	bool arrived, tries; /* has arrived; arrives only as the last party */
};

static struct fl__shm_lock *lock_of(fl_shm_barrier *b)
{
	return (struct fl__shm_lock *)(void *)b->lock_;
}

static struct fl__shm_line *line_of(fl_shm_barrier *b)
{
	return (struct fl__shm_line *)(void *)b->line_;
}

static uint64_t look(const fl_shm_barrier *b)
{
	return fl__load_relaxed(&b->word_); /* relaxed: the monitor orders it; else a hint */
}

static uint32_t arrived_of(uint64_t word)
{
	return word & FL_SHM_BARRIER_MAX;
}

static uint32_t generation_of(uint64_t word)
{
	return (uint32_t)(word >> GENERATION_AT);
}

static uint32_t history_of(uint64_t word)
{
	return (uint32_t)(word >> HISTORY_AT) & ((1u << HISTORY) - 1);
}

/* Called under the monitor. Ends the generation of `word`. */
static void end(fl_shm_barrier *b, uint64_t word, enum fate fate, bool broken)
{
	uint64_t generation = generation_of(word) + 1; /* wraps at 32 bits */
	uint64_t history = (history_of(word) << 1 | fate) & ((1u << HISTORY) - 1);
	fl__shm_announce(line_of(b));
	/* relaxed: the monitor orders it */
	fl__store_relaxed(&b->word_,
	                  generation << GENERATION_AT | history << HISTORY_AT | (broken ? BROKEN : (uint64_t)0));
	fl__shm_announced(line_of(b), 0);
}

/* The fate of an arrived party: 0: passed; -EPIPE: broke; -EAGAIN: its generation has not ended. */
static int fate_of(const struct party *p, uint64_t word)
{
	uint32_t behind = generation_of(word) - p->generation;
	if (behind == 0)
		return -EAGAIN;
	return behind <= HISTORY && (history_of(word) >> (behind - 1) & 1) == PASSED ? 0 : -EPIPE;
}

/* Called under the monitor. The party arrives. 0: as the last. */
static int arrive(struct party *p, uint64_t word)
{
	fl_shm_barrier *b = p->b;
	uint32_t parties = fl__load_relaxed(&b->parties_); /* relaxed: set by init alone */
	p->order = arrived_of(word);
	if (p->order >= parties || parties > FL_SHM_BARRIER_MAX)
		return -EBADMSG;
	if (word & BROKEN)
		return -EPIPE;
	if (p->order + 1 == parties) {
		end(b, word, PASSED, false);
		return 0;
	}
	if (p->tries)
		return -EAGAIN;
	fl__store_relaxed(&b->word_, word + 1); /* relaxed: the monitor orders it */
	p->generation = generation_of(word);
	p->arrived = true;
	return -EAGAIN;
}

static int pass(void *arg)
{
	struct party *p = arg;
	uint64_t word = look(p->b);
	return p->arrived ? fate_of(p, word) : arrive(p, word);
}

static bool may_pass(const void *arg)
{
	const struct party *p = arg;
	return generation_of(look(p->b)) != p->generation;
}

static struct fl__shm_op op_of(struct party *p)
{
	return (struct fl__shm_op){lock_of(p->b), line_of(p->b), pass, may_pass, p, true};
}

/*
 * After a timeout or a cancel: breaks the barrier and returns `rc`, or returns the fate that was
 * decided before. Waits for the monitor without a deadline: if this party left without a trace, the
 * remaining parties would wait for ever.
 */
static int give_up(struct party *p, int rc)
{
	struct fl__shm_held held;
	if (fl__shm_enter(lock_of(p->b), &held, FL_FOREVER) != 0)
		return -EBADMSG;
	uint64_t word = look(p->b);
	int fate = p->arrived ? fate_of(p, word) : word & BROKEN ? -EPIPE : -EAGAIN;
	if (fate == -EAGAIN)
		end(p->b, word, BROKE, true);
	fl__shm_leave(lock_of(p->b), &held);
	return fate == -EAGAIN ? rc : fate;
}

int fl_shm_barrier_wait_until(fl_shm_barrier *b, int64_t deadline, fl_cancel_token *cancel)
{
	struct party p = {b, 0, 0, false, false};
	struct fl__shm_op op = op_of(&p);
	int rc = fl__shm_await(&op, deadline, cancel);
	if (rc == -ETIMEDOUT || rc == -ECANCELED)
		rc = give_up(&p, rc);
	return rc == 0 ? (int)p.order : rc;
}

int fl_shm_barrier_try_wait(fl_shm_barrier *b)
{
	struct party p = {b, 0, 0, false, true};
	struct fl__shm_op op = op_of(&p);
	int rc = fl__shm_attempt(&op);
	if (rc == -ETIMEDOUT)
		return -EBUSY;
	return rc == 0 ? (int)p.order : rc;
}

static int break_or_mend(fl_shm_barrier *b, bool broken)
{
	struct fl__shm_held held;
	if (fl__shm_enter(lock_of(b), &held, FL_FOREVER) != 0)
		return -EBADMSG;
	end(b, look(b), BROKE, broken);
	fl__shm_leave(lock_of(b), &held);
	return 0;
}

int fl_shm_barrier_abort(fl_shm_barrier *b)
{
	return break_or_mend(b, true);
}

int fl_shm_barrier_reset(fl_shm_barrier *b)
{
	return break_or_mend(b, false);
}

bool fl_shm_barrier_is_broken(const fl_shm_barrier *b)
{
	return look(b) & BROKEN;
}

uint32_t fl_shm_barrier_waiting(const fl_shm_barrier *b)
{
	return arrived_of(look(b));
}
