/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes that are killed, while others wait for them, or use the data that they left. */
#include "crash.h"
#include "planted.h"
#include <string.h>

/*
 * Committed, and killed before the wake: the next process finds it done, and the sleeper sleeps on.
 * Fix: wake first. (fixed)
 */
struct commit_then_wake__lost_wakeup {
	struct gate gate;
};

FL_STRESS_ACTOR(commit_then_wake__lost_wakeup, opener)
{
	gate_open(&s->gate, WAKE_BEFORE_COMMIT);
}

FL_STRESS_ACTOR(commit_then_wake__lost_wakeup, second)
{
	gate_open(&s->gate, WAKE_BEFORE_COMMIT);
}

FL_STRESS_ACTOR(commit_then_wake__lost_wakeup, guest)
{
	gate_pass(&s->gate, NOTHING);
}

FL_STRESS_PROCESSES(commit_then_wake__lost_wakeup, opener, second, guest)
{
	FL_ACCEPTABLE(1, "through");
}

/*
 * One process is woken, which must wake the next; killed before that, it takes the wake with it.
 * Fix: wake all. (fixed)
 */
struct wake_dies_with_the_woken__lost_wakeup {
	struct gate gate;
};

FL_STRESS_ACTOR(wake_dies_with_the_woken__lost_wakeup, opener)
{
	gate_open(&s->gate, WAKE_ALL);
}

FL_STRESS_ACTOR(wake_dies_with_the_woken__lost_wakeup, one)
{
	gate_pass(&s->gate, WAKE_ALL);
}

FL_STRESS_ACTOR(wake_dies_with_the_woken__lost_wakeup, two)
{
	gate_pass(&s->gate, WAKE_ALL);
}

FL_STRESS_ACTOR(wake_dies_with_the_woken__lost_wakeup, second)
{
	gate_open(&s->gate, WAKE_ALL);
}

FL_STRESS_PROCESSES(wake_dies_with_the_woken__lost_wakeup, opener, one, two, second)
{
	FL_ACCEPTABLE(1, "through");
}

/* A counter under a robust lock, by which a second process waits for the writes of the first. */
#define COUNTED(name, without)                                                                                         \
	struct name {                                                                                                  \
		struct robust lock;                                                                                    \
		int count;                                                                                             \
	};                                                                                                             \
	static void name##__count(struct name *s)                                                                      \
	{                                                                                                              \
		(void)robust_take(&s->lock, (without));                                                                \
		s->count++;                                                                                            \
		robust_give(&s->lock, (without));                                                                      \
	}                                                                                                              \
	FL_STRESS_ACTOR(name, one)                                                                                     \
	{                                                                                                              \
		name##__count(s);                                                                                      \
	}                                                                                                              \
	FL_STRESS_ACTOR(name, two)                                                                                     \
	{                                                                                                              \
		name##__count(s);                                                                                      \
	}

/*
 * Killed between the word and the list, it has the lock, and the kernel does not know. Fix:
 * `pending`. (fixed)
 */
COUNTED(taking_without_pending__deadlock, PENDING_TO_TAKE)
FL_STRESS_PROCESSES(taking_without_pending__deadlock, one, two)
{
	FL_ACCEPTABLE(1, "counted");
}

/* Killed between the list and the word: the same, on the way out. (fixed) */
COUNTED(unlinked_before_pending__deadlock, PENDING_TO_UNLINK)
FL_STRESS_PROCESSES(unlinked_before_pending__deadlock, one, two)
{
	FL_ACCEPTABLE(1, "counted");
}

/* Killed when the word is free and before the wake. Fix: `pending` until after the wake. (fixed) */
COUNTED(freeing_without_pending__lost_wakeup, PENDING_TO_WAKE)
FL_STRESS_PROCESSES(freeing_without_pending__lost_wakeup, one, two)
{
	FL_ACCEPTABLE(1, "counted");
}

/* A lock with its owner's id, but in no list. (fixed) */
COUNTED(not_in_the_list__deadlock, LINK)
FL_STRESS_PROCESSES(not_in_the_list__deadlock, one, two)
{
	FL_ACCEPTABLE(1, "counted");
}

/*
 * A sleeper is woken, and killed before it has the lock: the only wake is lost. Fix: `pending`.
 * (fixed)
 */
COUNTED(waiting_without_pending__lost_wakeup, PENDING_IN_SLEEP)
FL_STRESS_ACTOR(waiting_without_pending__lost_wakeup, three)
{
	waiting_without_pending__lost_wakeup__count(s);
}

FL_STRESS_PROCESSES(waiting_without_pending__lost_wakeup, one, two, three)
{
	FL_ACCEPTABLE(1, "counted");
}

/*
 * Two words that change together, under a lock: killed between them. Fix: one word that names the
 * valid pair. (fixed)
 */
struct torn_commit__forbidden {
	struct robust lock;
	int here, there;
};

FL_STRESS_SETUP(torn_commit__forbidden)
{
	s->here = 10;
}

FL_STRESS_ACTOR(torn_commit__forbidden, mover)
{
	(void)robust_take(&s->lock, NOTHING);
	s->here -= 3;
	s->there += 3;
	robust_give(&s->lock, NOTHING);
}

FL_STRESS_PROCESSES(torn_commit__forbidden, mover)
{
	FL_FORBIDDEN(s->here + s->there != 10, "something is lost");
	FL_ACCEPTABLE(1, "all there");
}

/* The count says one, and the slot is still empty. Fix: the slot first. (fixed) */
struct count_before_slot__forbidden {
	struct robust lock;
	unsigned count;
	int slots[2], got;
};

FL_STRESS_ACTOR(count_before_slot__forbidden, producer)
{
	(void)robust_take(&s->lock, NOTHING);
	unsigned at = s->count++;
	s->slots[at] = 7;
	robust_give(&s->lock, NOTHING);
}

FL_STRESS_ACTOR(count_before_slot__forbidden, consumer)
{
	(void)robust_take(&s->lock, NOTHING);
	s->got = s->count > 0 ? s->slots[s->count - 1] : -1;
	robust_give(&s->lock, NOTHING);
}

FL_STRESS_PROCESSES(count_before_slot__forbidden, producer, consumer)
{
	FL_FORBIDDEN(s->got == 0 && !fl_stress_killed("consumer"), "took an item that was not put");
	FL_ACCEPTABLE(1, "an item or none");
}

/* A message is copied over the previous one: killed in the middle. Fix: copy beside it. (fixed) */
struct torn_copy__forbidden {
	struct robust lock;
	unsigned char message[32];
};

FL_STRESS_ACTOR(torn_copy__forbidden, writer)
{
	unsigned char message[32];
	memset(message, 1, sizeof message);
	(void)robust_take(&s->lock, NOTHING);
	memcpy(s->message, message, sizeof message);
	robust_give(&s->lock, NOTHING);
}

FL_STRESS_PROCESSES(torn_copy__forbidden, writer)
{
	FL_FORBIDDEN(s->message[0] != s->message[31], "half of it");
	FL_ACCEPTABLE(1, "one of the two");
}

/*
 * A reader counts itself and is killed: a writer waits for it for ever. Fix: a robust lock for each
 * reader. (fixed)
 */
struct reader_never_leaves__deadlock {
	atomic_uint readers;
	int data;
};

FL_STRESS_ACTOR(reader_never_leaves__deadlock, reader)
{
	ADD(&s->readers, 1, ACQ);
	(void)s->data;
	if (ADD(&s->readers, -1u, REL) == 1)
		WAKE(&s->readers, 1);
}

FL_STRESS_ACTOR(reader_never_leaves__deadlock, writer)
{
	while (LOAD(&s->readers, ACQ) != 0)
		SLEEP(&s->readers, 1);
}

FL_STRESS_PROCESSES(reader_never_leaves__deadlock, reader, writer)
{
	FL_ACCEPTABLE(1, "written");
}
