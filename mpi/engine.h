/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "internals.h"
#include "wire.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * The messages between ranks, and the sleep of the threads that exchange them. At any time one
 * thread of a rank makes the calls of MPI: the *leader*. It holds `fl__mpi_lock`, the engine lock.
 * The lock is free while a thread sleeps or runs a task.
 *
 * The caller of a function of this header holds the engine lock, unless the function's comment says
 * otherwise. fl__mpi_start(), fl__mpi_spawn() and fl__mpi_finish() need no lock, because no other
 * thread calls MPI at that time.
 *
 * Locks are taken in this order: the engine lock, then the lock of one executor, then one of
 * mpi_thread.lock, mpi_thread.start_lock, the lock of the list that fl__mpi_hand_over() fills, and
 * the lock of a sleeper.
 */
extern fl_mutex fl__mpi_lock;

struct fl__mpi_world {
	int rank, size;              /* the size is 0 while MPI does not run; also read unlocked */
	uint32_t fork_count;         /* fl__fork_count in fl_process_main() */
	const char *host;            /* the name of this rank's host */
	struct fl__mpi_hello *peers; /* only in rank 0: one entry for each rank */
	const char *refusal;         /* why there can be no executor, or NULL */
	bool alone;                  /* no worker rank was started, so rank 0 may spawn some */
	bool leaving;                /* the ranks end, so a closed connection is not a death */
	bool survives;               /* the job goes on when a worker rank dies */
	int deaths;                  /* in rank 0: dead worker ranks; also read unlocked */
};
extern struct fl__mpi_world fl__mpi_world;

#define FL__EACH_RANK(rank) for (int rank = 1; rank < fl__mpi_world.size; rank++)

/*
 * Returns whether rank 0 considers the rank dead. Any thread of rank 0 may call it, without a lock.
 */
static inline bool fl__mpi_is_dead(int rank)
{
	/*
	 * relaxed: the engine lock orders it for a leader; other threads may learn of the death
	 * later
	 */
	return fl__load_relaxed(&fl__mpi_world.peers[rank].cpus) == 0;
}

/* Handles deaths that no leader has seen yet. Any thread of rank 0 may call it, without a lock. */
void fl__mpi_look_for_deaths(void);

/*
 * Called by the leader of rank 0, with the engine lock, when a rank is dead and the engine will
 * handle no further messages of it. Defined in mpi_executor.c.
 */
void fl__mpi_on_death(int rank);

/*
 * Returns the name of the MPI up to the first comma or line break: "Open MPI v4.1.4". The text is
 * in static memory. Only a spawn calls it, under the lock of start.c.
 */
const char *fl__mpi_version(void);

/*
 * Starts MPI, and connects the ranks if there are several. Sets `rank`, `size`, `peers` and
 * `survives` of fl__mpi_world, and `level` of this rank's `hello`. A failure ends the process.
 */
void fl__mpi_start(int *argc, char ***argv, struct fl__mpi_hello *hello);

/*
 * Starts and connects `n` worker ranks of `program`. Only rank 0 of a job without worker ranks
 * calls it. `args` are those of MPI_Comm_spawn(). If MPI cannot spawn the ranks, returns false and
 * stores the cause in `why`.
 */
bool fl__mpi_spawn(char *program, char **args, int n, const struct fl__mpi_hello *hello, char *why, size_t size);

/* Ends MPI. Each rank calls it. Without fault tolerance it waits until all ranks have called it. */
void fl__mpi_finish(void);

/*
 * Logs the text, and ends the process and, unless this is a worker rank whose death MPI tolerates,
 * the job. The caller holds the engine lock, except while MPI starts.
 */
_Noreturn void fl__mpi_abort(const char *format, ...) FL_PRINTF(1, 2);

/* Work of another thread, or a transfer. When it has ended, the leader calls `done`. */
struct fl__mpi_work {
	void (*done)(void *arg);
	void *arg;
	struct fl__mpi_work *next; /* the engine's, from fl__mpi_hand_over() to `done` */
	/*
	 * The size of each struct of the image, if the work sends one. In a job of a worker rank it
	 * is 0 if the results have no bytes.
	 */
	size_t each;
};

/*
 * Tells the leader of a worker rank that the work has ended. Any thread may call it, without a
 * lock. Once the ranks end (`leaving`), the leader no longer calls `done`.
 */
void fl__mpi_hand_over(struct fl__mpi_work *w);

/*
 * Appends a message to the buffer of the rank `to`, which fl__mpi_flush() sends. The head, its
 * text, and data of up to FL__MPI_INLINE bytes are copied; with fault tolerance the limit is lower
 * in an ENDED. Larger data are a transfer, and belong to the engine until it calls the work's
 * `done`. If several transfers have the same work, the leader calls `done` for each of them. With
 * FL__MPI_IMAGE, `data` are the head->count structs of an image; if the image is a transfer,
 * neither the structs nor their bytes are copied.
 *
 * Returns:
 *   0        the data were copied, and `done` is not called
 *   1        a transfer has begun
 *   -ENOMEM  nothing was sent
 */
int fl__mpi_send(int to, const struct fl__mpi_head *head, const char *text, const void *data, struct fl__mpi_work *w);

void fl__mpi_flush(void);

/*
 * Like fl__mpi_send(), but calls fl__mpi_abort() instead of returning -ENOMEM. Returns true if a
 * transfer has begun.
 */
bool fl__mpi_must_send(int to, const struct fl__mpi_head *head, const char *text, const void *data,
                       struct fl__mpi_work *w);

/*
 * Called by a handler to receive its message's data into `memory`. Returns false if the data have
 * been copied or dropped. Returns true if a transfer has begun, and then the memory belongs to the
 * engine until it calls the work's `done`. If `memory` is NULL, drops an offer. A handler must take
 * or drop each offer, because the sender waits for the answer. It must take all data that are
 * announced but not offered, because an MPI message with them is on its way.
 */
bool fl__mpi_take_data(int from, const struct fl__mpi_head *head, const void *data, void *memory,
                       struct fl__mpi_work *w);

/*
 * Allocates the records of `n` further MPI requests, so that these can begin without an allocation.
 * A transfer in pieces may need several requests. Returns 0 or -ENOMEM.
 */
int fl__mpi_reserve(size_t n);

size_t fl__mpi_under_way(void);

typedef void fl__mpi_handler(int from, const struct fl__mpi_head *head, const char *text, const char *data);

/*
 * Tests for an MPI message, up to `tests` times and at least once, and handles the messages that
 * have arrived. Calls `done` of work and transfers that have ended. Returns true if it found any of
 * these; messages that it finds while looking for deaths do not count. If `handle` is NULL,
 * flushes, and drops all messages except those that move transfers (FETCH, MORE).
 */
bool fl__mpi_progress(fl__mpi_handler *handle, unsigned tests);

/*
 * The threads that sleep in this file's functions. FL__MPI_FIRST is the MPI thread of rank 0 or the
 * main thread of a worker rank. FL__MPI_SECOND is the runner of a worker rank.
 */
enum { FL__MPI_FIRST, FL__MPI_SECOND, FL__MPI_SLEEPERS };

/*
 * Ends the sleeper's present sleep or, if it does not sleep, its next one. Any thread may call it,
 * without a lock. It never parks.
 */
void fl__mpi_wake(unsigned sleeper);

/* Like fl__mpi_wake(), but does not end a nap that has begun. */
void fl__mpi_wake_lazily(unsigned sleeper);

/*
 * Called by the first sleeper, without a lock. Sleeps for `ns`. Neither fl__mpi_wake_lazily() nor a
 * doorbell ends the nap.
 */
void fl__mpi_nap(int64_t ns);

/*
 * At the end of a job a rank continues its transfers, and gives them up when for this time no
 * message has come and no transfer has ended.
 */
#define FL__MPI_PATIENCE FL_S(10)

struct fl__mpi_pace {
	unsigned sleeper;
	int64_t found;
};

enum fl__mpi_expects {
	FL__MPI_EXPECTS_NOTHING, /* rank 0 without a task: it sleeps until a wake */
	FL__MPI_EXPECTS_TASKS,   /* a worker rank without a task: it sleeps until its bell rings */
	FL__MPI_EXPECTS_ALL,
	FL__MPI_EXPECTS_DATA, /* a transfer moves only while both ranks call MPI */
};

/*
 * Called by a leader after a round, without the lock. If the round has found work (`some`), returns
 * at once. Otherwise pauses, yields, or sleeps, for a time that grows with the idle time, but at
 * most for a millisecond, with two exceptions. With FL__MPI_EXPECTS_NOTHING the thread sleeps until
 * a wake or a doorbell. With FL__MPI_EXPECTS_TASKS, if the rank has a doorbell and has found
 * nothing for 10 ms, it sleeps until a wake or a doorbell, for at most a tenth of a second.
 */
void fl__mpi_pause(struct fl__mpi_pace *pace, bool some, enum fl__mpi_expects expects);
