/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "internals.h"
#include "wire.h"
#include <stdbool.h>
#include <stddef.h>

/*
 * Messages between ranks. One thread at a time calls MPI, the *leader*, which holds `fl__mpi_lock`.
 * The lock is free while a thread sleeps or runs a task. All functions need this lock, unless their
 * comment says otherwise; start and end do not.
 *
 * Lock order: the engine lock, then an executor's, then one of mpi_thread.lock, the lock of the
 * start, or a sleeper's.
 */
extern fl_mutex fl__mpi_lock;

struct fl__mpi_world {
	int rank, size;              /* size 0: MPI was not started; also read unlocked */
	uint32_t fork_count;         /* fl__fork_count at the start */
	const char *host;            /* this rank's */
	struct fl__mpi_hello *peers; /* rank 0: of each rank */
	const char *refusal;         /* why there can be no executor, or NULL */
	bool alone;                  /* no worker rank was started: rank 0 may spawn some */
	bool leaving;                /* the ranks end: closed connections are no deaths */
	bool survives;               /* the job goes on without a worker rank that dies */
	int deaths;                  /* rank 0: of worker ranks; also read unlocked */
};
extern struct fl__mpi_world fl__mpi_world;

#define FL__EACH_RANK(rank) for (int rank = 1; rank < fl__mpi_world.size; rank++)

/* Rank 0, any thread. */
static inline bool fl__mpi_is_dead(int rank)
{
	return fl__load_relaxed(&fl__mpi_world.peers[rank].cpus) == 0; /* relaxed: the leader knows in time */
}

/* Rank 0, any thread, without a lock: takes note of deaths that no leader has seen yet. */
void fl__mpi_look_for_deaths(void);

/* mpi_executor.c, called by the leader: the rank is dead, and no message of it is handled again. */
void fl__mpi_on_death(int rank);

/* "Open MPI v4.1.4, package: ...", cut after the first comma. */
const char *fl__mpi_version(void);

/* Fills fl__mpi_world, and `level` of this rank's `hello`. A failure ends the process. */
void fl__mpi_start(int *argc, char ***argv, struct fl__mpi_hello *hello);

/*
 * Rank 0, alone: starts and connects `n` worker ranks of `program`. `args`: as in MPI_Comm_spawn().
 * False: `why` tells the cause.
 */
bool fl__mpi_spawn(char *program, char **args, int n, const struct fl__mpi_hello *hello, char *why, size_t size);

/* Collective. */
void fl__mpi_finish(void);

_Noreturn void fl__mpi_abort(const char *format, ...) FL_PRINTF(1, 2);

/* Work whose end a leader learns of: the leader calls `done`. */
struct fl__mpi_work {
	void (*done)(void *arg);
	void *arg;
	struct fl__mpi_work *next; /* the engine's, from fl__mpi_hand_over() to `done` */
	size_t each;               /* of the image that it sends; 0: none */
};

/*
 * On a worker rank; any thread, without the lock: the work has ended. The leader does not call
 * `done` while the ranks end.
 */
void fl__mpi_hand_over(struct fl__mpi_work *w);

/*
 * Copies a head, its text, and its data into the next flush to that rank. Data above FL__MPI_INLINE
 * bytes are a transfer, and stay the engine's until `done`. Several transfers may have the same
 * work: the leader calls `done` for each. For an image `data` are its head->count structs; in a
 * transfer they and their bytes are not copied. Returns 0, 1: a transfer has begun, or -ENOMEM.
 */
int fl__mpi_send(int to, const struct fl__mpi_head *head, const char *text, const void *data, struct fl__mpi_work *w);

void fl__mpi_flush(void);

/* As fl__mpi_send(), but without memory the job ends. True: a transfer has begun. */
bool fl__mpi_must_send(int to, const struct fl__mpi_head *head, const char *text, const void *data,
                       struct fl__mpi_work *w);

/*
 * In a handler: takes the message's data into memory. True: a transfer has begun. The memory is the
 * engine's until `done`. NULL drops an offer: each handler must take or drop an image.
 */
bool fl__mpi_take_data(int from, const struct fl__mpi_head *head, const void *data, void *memory,
                       struct fl__mpi_work *w);

/* The next `n` sends and transfers need no memory then, unless data are cut. Returns 0, -ENOMEM. */
int fl__mpi_reserve(size_t n);

size_t fl__mpi_under_way(void);

typedef void fl__mpi_handler(int from, const struct fl__mpi_head *head, const char *text, const char *data);

/*
 * Handles a message of MPI, or several, for which it tests up to `tests` times, at least once.
 * Calls `done` of what has ended. True: there was something. `handle` NULL: drops messages.
 */
bool fl__mpi_progress(fl__mpi_handler *handle, unsigned tests);

/* The MPI thread on rank 0; the main thread and the runner on a worker rank. */
enum { FL__MPI_FIRST, FL__MPI_SECOND, FL__MPI_SLEEPERS };

/* Any thread, without the lock: ends the sleeper's next sleep, or its present one. Never parks. */
void fl__mpi_wake(unsigned sleeper);

/* As fl__mpi_wake(), but not a nap. */
void fl__mpi_wake_lazily(unsigned sleeper);

/* Of the first sleeper. */
void fl__mpi_nap(int64_t ns);

/* At the end transfers go on until none has ended for so long. */
#define FL__MPI_PATIENCE FL_S(10)

struct fl__mpi_pace {
	unsigned sleeper;
	int64_t found;
};

enum fl__mpi_expects {
	FL__MPI_EXPECTS_NOTHING, /* rank 0, without a task */
	FL__MPI_EXPECTS_TASKS,   /* a worker rank without a task */
	FL__MPI_EXPECTS_ALL,
	FL__MPI_EXPECTS_DATA, /* a transfer moves only while both ranks call MPI */
};

/*
 * After a sleeper's round, without the lock. `some`: the round found work. Else waits, at most a
 * millisecond; a thread without tasks waits until fl__mpi_wake() or a doorbell.
 */
void fl__mpi_pause(struct fl__mpi_pace *pace, bool some, enum fl__mpi_expects expects);
