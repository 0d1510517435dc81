/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The protocol of the two rings between a process pool (the parent) and a worker. Each word is
 * written by one side, except the claim words.
 *
 *   word                    written by   meaning                               read by
 *   submissions
 *     entry[].seq           parent       publishes the submission of that      worker, sleeps on it
 *                                        number
 *     doorbell              parent       not 0: armed; the manager sleeps or   worker, after a
 *                                        is about to                           completion
 *     stop[]                parent, any  the number of the submission of that  worker: listener;
 *                           thread       slot, if the submission shall stop    main thread, before
 *                                                                              a start
 *     stop_requests         parent, any  how many requests to stop were made,  worker, its listener
 *                           thread       changed by an add                     sleeps on it
 *   completions
 *     entry[].done          worker       that submission ended, its result is  parent
 *                                        written
 *     entry[].progress      worker       ended elements of the slot's latest   parent, when the
 *                                        submission with several elements      worker is dead
 *     asleep                worker       1 + the slot that the worker sleeps   parent, in a flush
 *                                        on, or is about to; 0: it is awake
 *     claim[]               both, CAS    which side has the submission of      both
 *                                        this round
 *     state                 worker       enum fl__worker_state                 parent
 *
 *   claim[slot]      meaning                                        set by
 *   of an old round  neither side has the submission yet            -
 *   seq:RUNNING      the worker has it; it starts once              rings_claim(), CAS
 *   seq:REVOKED      the parent has it back; it never starts        fl__rings_revoke(), CAS
 *
 * RUNNING and REVOKED stay until the slot's next round. `asleep` must name a slot, because the
 * worker may have ended the first submissions before the flush. rings.h describes the other fields:
 * the content of a submission and of a completion, and what a worker says about itself.
 *
 * Invariants
 *   1. A submission starts at most once, and never after its revocation, because both sides change
 *      the same old value by one CAS. The CAS is the linearization point of start, revocation and
 *      cancel.
 *   2. The parent refills a slot only when `done` has the number of the slot's submission. By then
 *      the worker has left the slot. So the parent's writes never race with a read.
 *   3. The worker writes the result, then `done`, and then rings the doorbell. So when a worker has
 *      died, its submissions with `done` have ended; a submission that is RUNNING without `done`
 *      died with the worker; the others never started. The worker resets `progress` before the
 *      claim of a submission with several elements, and stores it between two elements. In a
 *      submission that died, the elements below `progress` have ended, with their results; the
 *      element with that number counts as running.
 *   4. Neither side sleeps while work waits (Dekker's algorithm, twice). The worker writes
 *      `asleep`, executes a fence, and reads `seq`; the parent writes `seq`, executes a fence, and
 *      reads `asleep`. The manager writes `doorbell`, executes a fence, and reads `done` and
 *      `state`; the worker writes `done`, or LEAVES to `state`, executes a fence, and reads
 *      `doorbell`.
 *
 * All functions are wait-free, except fl__rings_take() and fl__rings_await_stop_request(), in which
 * the worker waits for the parent. The parent never waits for a worker; it learns of a death from
 * the kernel.
 *
 * A hostile worker may write anything into the completion ring. The parent trusts only the
 * following: that the worker is ready, or leaves; that a submission has ended, and how (its error,
 * flags and message); how many of its elements have ended; the bytes of its result; its times, for
 * statistics and, within limits, for timeouts; and, for a message, the address at which a worker
 * found no memory, and why a worker was unfit. Each use reads a word only once. Positions, sizes
 * and numbers are the parent's own. If a worker writes an impossible `done` or an impossible number
 * of elements, it is killed. Large results come in separate memory, which is sealed against change
 * before the parent maps it. A worker that overwrites its claim words breaks invariant 1 for its
 * own submissions; process_pool_counts_as_started() in workers.c limits how often such a submission
 * starts.
 *
 * One death costs one element. A chunk of a map is one submission with several elements, and
 * `progress` names the element that ran when the worker died. The executor copies the results of
 * the elements before it out of the shared memory; the elements after it have not begun. So the
 * results of a chunk must lie in the shared memory, and a chunk with larger results is made
 * shorter, because memory that a worker makes for a result reaches the executor only when the
 * submission has ended. A chunk that is asked to stop ends between two elements, or with an element
 * that gave up; its completion says which. Only in the second case one more element has run after
 * those that succeeded. The map copies what that element has left in its result, as a map by
 * reference leaves it in the caller's array.
 *
 * A ring holds sixteen submissions, and a worker ends them in their order
 * (docs/decisions/submission-rings.md).
 */
#include "rings.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include <fairlead/time.h>

enum { RINGS_RUNNING = 1, RINGS_REVOKED = 2, RINGS_STATE_BITS = 2 };

static uint32_t rings_claim_word(uint32_t seq, uint32_t state)
{
	/*
	 * The word lacks the highest bits of the number. The other bits suffice, because words that
	 * are compared are one round apart.
	 */
	return seq << RINGS_STATE_BITS | state;
}

static unsigned rings_slot(uint32_t seq)
{
	return seq % FL__RINGS_DEPTH;
}

/* The parent. */

void fl__rings_init(struct fl__rings *rings, struct fl__submission_ring *submissions,
                    struct fl__completion_ring *completions)
{
	*rings = (struct fl__rings){.submissions = submissions, .completions = completions};
	/* the zeroed words belong to the round before the first submission */
	rings->first = rings->next = rings->flushed = FL__RINGS_DEPTH;
	submissions->magic = FL__RINGS_MAGIC;
	submissions->size = sizeof *submissions;
}

uint32_t fl__rings_post(struct fl__rings *rings)
{
	uint32_t seq = rings->next++;
	unsigned slot = rings_slot(seq);
	uint32_t *stop = &rings->submissions->stop[slot];
	rings->revoked[slot] = false;
	/*
	 * When the number has wrapped, the word may equal `seq` by chance, because it is zero or
	 * from 2^32 submissions ago. relaxed, both accesses: the store of `seq` publishes the word.
	 */
	if (fl__load_relaxed(stop) == seq)
		fl__store_relaxed(stop, ~seq);
	/* release: pairs with the acquire in rings_is_posted(), and publishes the submission */
	fl__store_release(&rings->submissions->entry[slot].seq, seq);
	return seq;
}

void fl__rings_flush(struct fl__rings *rings)
{
	if (rings->flushed == rings->next)
		return;
	rings->flushed = rings->next;
	/* seq_cst fence: pairs with the fence in rings_sleep() (invariant 4) */
	fl__fence_seq_cst();
	/*
	 * relaxed: the fence orders the load; if a worker writes a wrong value, only that worker is
	 * not woken
	 */
	const uint32_t asleep = fl__load_relaxed(&rings->completions->asleep);
	if (asleep)
		(void)fl__sys.shared_wake(&rings->submissions->entry[rings_slot(asleep - 1)].seq, 1);
}

enum fl__rings_peeked fl__rings_peek(const struct fl__rings *rings, struct fl__completion *completion)
{
	uint32_t seq = rings->first;
	if (seq == rings->next)
		return FL__RINGS_NONE;
	const struct fl__completion *entry = &rings->completions->entry[rings_slot(seq)];
	/* acquire: pairs with the release in rings_publish() */
	uint32_t done = fl__load_acquire(&entry->done);
	if (done != seq)
		return done == rings->last_done[rings_slot(seq)] ? FL__RINGS_NONE : FL__RINGS_DAMAGED;
	/* relaxed, all loads: the acquire load of `done` orders them */
	completion->error = fl__load_relaxed(&entry->error);
	completion->flags = fl__load_relaxed(&entry->flags);
	completion->count = fl__load_relaxed(&entry->count);
	completion->began = fl__load_relaxed(&entry->began);
	completion->ran = fl__load_relaxed(&entry->ran);
	return FL__RINGS_ENDED;
}

void fl__rings_release(struct fl__rings *rings)
{
	unsigned slot = rings_slot(rings->first);
	rings->last_claim[slot] = rings_claim_word(rings->first, rings->revoked[slot] ? RINGS_REVOKED : RINGS_RUNNING);
	rings->last_done[slot] = rings->first;
	rings->first++;
}

bool fl__rings_revoke(struct fl__rings *rings, uint32_t seq)
{
	unsigned slot = rings_slot(seq);
	uint32_t expected = rings->last_claim[slot];
	if (rings->revoked[slot])
		return true;
	/* relaxed: the CAS publishes nothing; the slot does not change before its completion */
	rings->revoked[slot] =
	    fl__cas_relaxed(&rings->completions->claim[slot], &expected, rings_claim_word(seq, RINGS_REVOKED));
	return rings->revoked[slot];
}

bool fl__rings_has_started(const struct fl__rings *rings, uint32_t seq)
{
	unsigned slot = rings_slot(seq);
	/*
	 * relaxed: the value is only a hint while the worker lives, and final when the worker is
	 * dead
	 */
	uint32_t claim = fl__load_relaxed(&rings->completions->claim[slot]);
	return claim != rings->last_claim[slot] &&
	       !(rings->revoked[slot] && claim == rings_claim_word(seq, RINGS_REVOKED));
}

uint32_t fl__rings_progress(const struct fl__rings *rings, uint32_t seq, uint32_t count)
{
	if (count == 1)
		return 0; /* the worker stores no progress for a single element */
	/* relaxed: the death of the worker orders all its writes */
	const uint32_t done = fl__load_relaxed(&rings->completions->entry[rings_slot(seq)].progress);
	return FL__MIN(done, count);
}

void fl__rings_request_stop(struct fl__rings *rings, uint32_t seq)
{
	/* relaxed: the add publishes the word */
	fl__store_relaxed(&rings->submissions->stop[rings_slot(seq)], seq);
	/* release: pairs with the acquires in fl__rings_stop_requested() and worker_listen() */
	fl__add_release(&rings->submissions->stop_requests, 1);
	(void)fl__sys.shared_wake(&rings->submissions->stop_requests, 1);
}

void fl__rings_arm(struct fl__rings *rings, uint32_t generation)
{
	/* relaxed: the fence orders the store */
	fl__store_relaxed(&rings->submissions->doorbell, generation);
	/*
	 * seq_cst fence: pairs with the fence in rings_ring() (invariant 4); afterwards the caller
	 * peeks
	 */
	fl__fence_seq_cst();
}

void fl__rings_disarm(struct fl__rings *rings)
{
	/* relaxed: a worker that sees the store late rings once more, which is harmless */
	fl__store_relaxed(&rings->submissions->doorbell, 0);
}

/* The worker. */

void fl__worker_rings_init(struct fl__worker_rings *w, const struct fl__submission_ring *submissions,
                           struct fl__completion_ring *completions)
{
	*w = (struct fl__worker_rings){.submissions = submissions, .completions = completions, .next = FL__RINGS_DEPTH};
}

static bool rings_is_posted(const struct fl__worker_rings *w)
{
	/* acquire: pairs with the release in fl__rings_post() */
	return fl__load_acquire(&w->submissions->entry[rings_slot(w->next)].seq) == w->next;
}

/*
 * Polls for a fixed time, with yields. If parent and worker share a CPU, an adaptive time
 * (fl__spin()) would shrink to its minimum and stay there.
 *
 * On a shared CPU the submission arrives during a yield, which then took longer than TURN. The
 * kernel chooses a CPU only for a thread that wakes. So if two threads spin with yields on one CPU,
 * they stay there, even if another CPU is idle. That is why the worker sleeps after SHARED_MOST
 * such yields in a row.
 */
static bool rings_poll(struct fl__worker_rings *w)
{
	enum { LOOKS = 32, SPIN = 50000 /* ns */, TURN = 1000 /* ns */, SHARED_MOST = 8 };
	if (!fl__may_poll())
		return rings_is_posted(w);
	for (int i = 0; i < LOOKS; i++) {
		if (rings_is_posted(w))
			return true;
		fl__sys.relax();
	}
	if (w->cpu_shared >= SHARED_MOST) {
		w->cpu_shared = 0;
		return false;
	}
	const int64_t begin = fl__sys.now();
	for (int64_t before = begin, now; before < begin + SPIN; before = now) {
		now = fl__sys.give_way(before);
		if (!rings_is_posted(w))
			continue;
		w->cpu_shared = now - before > TURN ? w->cpu_shared + 1 : 0;
		return true;
	}
	return false;
}

static void rings_sleep(struct fl__worker_rings *w)
{
	const uint32_t *seq = &w->submissions->entry[rings_slot(w->next)].seq;
	/* relaxed: the fence orders the store */
	fl__store_relaxed(&w->completions->asleep, rings_slot(w->next) + 1);
	/* seq_cst fence: pairs with the fence in fl__rings_flush() (invariant 4) */
	fl__fence_seq_cst();
	while (!rings_is_posted(w)) {
		/* relaxed: the kernel compares the word when the worker sleeps */
		uint32_t seen = fl__load_relaxed(seq);
		if (seen != w->next)
			(void)fl__sys.shared_wait(seq, seen, FL__NEVER);
	}
	/* relaxed: a parent that sees the store late wakes once more, which is harmless */
	fl__store_relaxed(&w->completions->asleep, 0);
}

/* Called after the worker has stored what the manager must see. Rings if the manager sleeps. */
static void rings_ring(struct fl__worker_rings *w)
{
	/* seq_cst fence: pairs with the fence in fl__rings_arm() (invariant 4) */
	fl__fence_seq_cst();
	/* relaxed: the fence orders the load */
	uint32_t doorbell = fl__load_relaxed(&w->submissions->doorbell);
	if (doorbell == 0 || doorbell == w->rung)
		return;
	w->rung = doorbell;
	w->ring(w->arg);
}

static void rings_publish(struct fl__worker_rings *w)
{
	/* release: pairs with the acquire in fl__rings_peek() */
	fl__store_release(&w->completions->entry[rings_slot(w->next)].done, w->next);
	w->next++;
	rings_ring(w);
}

void fl__rings_leave(struct fl__worker_rings *w)
{
	/*
	 * relaxed: the word does not publish other data, and the parent takes completions without
	 * it
	 */
	fl__store_relaxed(&w->completions->state, FL__WORKER_LEAVES);
	rings_ring(w);
}

void fl__rings_complete(struct fl__worker_rings *w, int32_t error, uint32_t flags, uint32_t count)
{
	struct fl__completion *completion = &w->completions->entry[rings_slot(w->next)];
	/* relaxed, all three stores: the release in rings_publish() orders them */
	fl__store_relaxed(&completion->error, error);
	fl__store_relaxed(&completion->flags, flags);
	fl__store_relaxed(&completion->count, count);
	rings_publish(w);
}

/* Claims the next submission for the worker. Returns false if the parent has revoked it. */
static bool rings_claim(struct fl__worker_rings *w)
{
	uint32_t *word = &w->completions->claim[rings_slot(w->next)];
	/* relaxed: a stale value only makes the CAS fail */
	uint32_t seen = fl__load_relaxed(word);
	/*
	 * relaxed: the acquire load of `seq` has ordered the content, and a claim does not publish
	 * anything
	 */
	return seen != rings_claim_word(w->next, RINGS_REVOKED) &&
	       fl__cas_relaxed(word, &seen, rings_claim_word(w->next, RINGS_RUNNING));
}

const struct fl__submission *fl__rings_take(struct fl__worker_rings *w)
{
	for (;;) {
		if (!rings_poll(w))
			rings_sleep(w);
		const struct fl__submission *submission = &w->submissions->entry[rings_slot(w->next)];
		if (submission->count > 1)
			/* comes before the claim: invariant 3 */
			fl__rings_set_progress(w, 0);
		if (rings_claim(w))
			return submission;
		if (w->revoked)
			w->revoked(w->arg, submission);
		fl__rings_complete(w, 0, FL__COMPLETION_SKIPPED, 0);
	}
}

bool fl__rings_stop_requested(const struct fl__worker_rings *w)
{
	/* acquire: pairs with the release in fl__rings_request_stop() */
	(void)fl__load_acquire(&w->submissions->stop_requests);
	/* relaxed: the acquire load above orders it */
	return fl__load_relaxed(&w->submissions->stop[rings_slot(w->next)]) == w->next;
}

void fl__rings_set_progress(struct fl__worker_rings *w, uint32_t done)
{
	/*
	 * relaxed: the parent reads the word after this process's death. The compiler does not move
	 * the store across the calls of the elements' functions.
	 */
	fl__store_relaxed(&w->completions->entry[rings_slot(w->next)].progress, done);
}

void fl__rings_await_stop_request(const struct fl__worker_rings *w, uint32_t stop_requests)
{
	(void)fl__sys.shared_wait(&w->submissions->stop_requests, stop_requests, FL__NEVER);
}
