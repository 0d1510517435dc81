/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes that are killed while others wait for them, or use the data that they left. */
#include "crash.h"
#include "planted.h"
#include <string.h>

/*
 * A process is killed after it has committed, and before the wake. The next process finds that it
 * is done, and the sleeper sleeps on. The fix is to wake first.
 */
#define commit_then_wake NAME(commit_then_wake, lost_wakeup)
struct commit_then_wake {
	struct gate gate;
};

ACTOR(commit_then_wake, opener)
{
	gate_open(&s->gate, BUG(WAKE_BEFORE_COMMIT, NOTHING));
}

ACTOR(commit_then_wake, guest)
{
	gate_pass(&s->gate, NOTHING);
}

TEST_PROCESSES(commit_then_wake, opener, opener, guest)
{
	FL_FORBIDDEN(!s->gate.open, "it stayed shut");
	FL_ACCEPTABLE(1, "through");
}

/*
 * One process is woken, and must wake the next one. If it is killed before that, the wake is lost
 * with it. The fix is to wake all.
 */
#define wake_dies_with_the_woken NAME(wake_dies_with_the_woken, lost_wakeup)
struct wake_dies_with_the_woken {
	struct gate gate;
};

ACTOR(wake_dies_with_the_woken, opener)
{
	gate_open(&s->gate, BUG(WAKE_ALL, NOTHING));
}

ACTOR(wake_dies_with_the_woken, guest)
{
	gate_pass(&s->gate, BUG(WAKE_ALL, NOTHING));
}

TEST_PROCESSES(wake_dies_with_the_woken, opener, guest, guest, opener)
{
	FL_ACCEPTABLE(1, "through");
}

/*
 * A counter under a robust lock. By acquiring the lock, a second process waits for the writes of
 * the first.
 */
struct counter {
	struct robust lock;
	int count;
};

static void count(struct counter *c, unsigned without)
{
	(void)robust_take(&c->lock, without);
	c->count++;
	robust_give(&c->lock, without);
}

#define COUNTED(test, without)                                                                                         \
	struct test {                                                                                                  \
		struct counter c;                                                                                      \
	};                                                                                                             \
	ACTOR(test, one)                                                                                               \
	{                                                                                                              \
		count(&s->c, (without));                                                                               \
	}

/*
 * A sleeper is woken, and is killed before it has the lock: the only wake is lost. The fix is
 * `pending`.
 */
#define waiting_without_pending NAME(waiting_without_pending, lost_wakeup)
COUNTED(waiting_without_pending, BUG(PENDING_IN_SLEEP, NOTHING))
TEST_PROCESSES(waiting_without_pending, one, one, one)
{
	FL_FORBIDDEN(s->c.count < 2, "a survivor did not count");
	FL_ACCEPTABLE(1, "counted");
}

/*
 * Two words change together under a lock, and the process is killed between them. The fix is one
 * word that names the valid pair.
 */
#define torn_commit NAME(torn_commit, forbidden)
struct torn_commit {
	struct robust lock;
	int here[2], there[2];
	unsigned valid;
};

SETUP(torn_commit)
{
	s->here[0] = 10;
}

ACTOR(torn_commit, mover)
{
	(void)robust_take(&s->lock, NOTHING);
	unsigned now = s->valid, next = BUG(now, !now);
	s->here[next] = s->here[now] - 3;
	s->there[next] = s->there[now] + 3;
	s->valid = next;
	robust_give(&s->lock, NOTHING);
}

TEST_PROCESSES(torn_commit, mover)
{
	FL_FORBIDDEN(s->here[s->valid] + s->there[s->valid] != 10, "something is lost");
	FL_ACCEPTABLE(1, "all there");
}

/*
 * A message is copied over the previous one, and the process is killed in the middle. The fix is to
 * copy beside it.
 */
#define torn_copy NAME(torn_copy, forbidden)
struct torn_copy {
	struct robust lock;
	unsigned char messages[2][32];
	unsigned valid;
};

ACTOR(torn_copy, writer)
{
	unsigned char message[32];
	memset(message, 1, sizeof message);
	(void)robust_take(&s->lock, NOTHING);
	unsigned next = BUG(s->valid, !s->valid);
	memcpy(s->messages[next], message, sizeof message);
	s->valid = next;
	robust_give(&s->lock, NOTHING);
}

TEST_PROCESSES(torn_copy, writer)
{
	const unsigned char *message = s->messages[s->valid];
	FL_FORBIDDEN(message[0] != message[31], "half of it");
	FL_ACCEPTABLE(1, "one of the two");
}

#ifndef FIXED

#define COUNTED_BY_TWO(test, without)                                                                                  \
	COUNTED(test, without)                                                                                         \
	TEST_PROCESSES(test, one, one)                                                                                 \
	{                                                                                                              \
		FL_ACCEPTABLE(1, "counted");                                                                           \
	}

/*
 * A process that is killed after it has changed the word, but before the list, holds the lock
 * without the kernel's knowledge. The fix is `pending`.
 */
COUNTED_BY_TWO(taking_without_pending__deadlock, PENDING_TO_TAKE)

/*
 * When a process releases the lock, it is killed after it has changed the list, but before the
 * word. Again the kernel does not know that the process holds the lock.
 */
COUNTED_BY_TWO(unlinked_before_pending__deadlock, PENDING_TO_UNLINK)

/*
 * A process is killed after it has freed the word, but before the wake. The fix is `pending` until
 * after the wake.
 */
COUNTED_BY_TWO(freeing_without_pending__lost_wakeup, PENDING_TO_WAKE)

/* The lock has its owner's id, but is in no list. */
COUNTED_BY_TWO(not_in_the_list__deadlock, LINK)

/*
 * A reader counts itself and is killed, so a writer waits for it forever. The fix is a robust lock
 * for each reader.
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

#endif
