/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "internals.h"
#include <fairlead/executor.h>
#include <fairlead/future.h>
#include <stdint.h>

/*
 * The messages between rank 0 and the worker ranks.
 *
 * An MPI message consists of one or several messages of ours, at most FL__MPI_MESSAGE_MAX bytes in
 * all. Each of ours consists of a head, `text` bytes of text, and `size` bytes of data. Data above
 * FL__MPI_INLINE bytes are only *announced* by the head, and follow as one message on a second
 * communicator. The receiver posts its receives there in the order of the announcements, so these
 * messages need no tag. With fault tolerance the limit is lower for ENDED (engine.c).
 *
 * If the arguments or results are structs with an fl_bytes, the data are their image (image.h). An
 * image above FL__MPI_INLINE bytes is only *offered*: the receiver answers each offer with FETCH,
 * in the order of the offers, and then gets the image as a message with another tag than announced
 * data. So a receiver without memory can drop the image, and only this task fails. With fault
 * tolerance all announced data between ranks that do not share memory are offered, and come in
 * pieces (engine.c).
 *
 *   kind       from      to        what                                 data
 *   OPEN       rank 0    a worker  makes the executor `pool`            struct fl__mpi_open, the
 *                                                                       initializer's argument
 *   TASK       rank 0    a worker  runs `count` elements of a task      arguments
 *   STOP       rank 0    a worker  asks the task in `slot` to stop      none
 *   RECALL     rank 0    a worker  cancels the task if it is pending    none
 *   TERMINATE  rank 0    a worker  kills tasks that run in processes    none
 *   CLOSE      rank 0    a worker  frees the executor `pool`            none
 *   EXIT       rank 0    a worker  ends the rank                        none
 *   ENDED      a worker  rank 0    the task in `slot` has ended         results
 *   BEGUN      a worker  rank 0    `slot` was recalled too late         none
 *   CLOSED     a worker  rank 0    the executor `pool` is freed         none
 *   SLEEPS     a worker  rank 0    has got `task` messages of MPI, and  none
 *                                  sleeps
 *   REGIONS    rank 0    a worker  gets the regions of `pool`           struct fl__mpi_regions
 *   WANT       a worker  rank 0    fetches bytes of region `slot`,      none
 *                                  from the offset `task` on
 *   BYTES      rank 0    a worker  answers WANT; or has an `error`      bytes
 *   HAS        a worker  rank 0    has all regions, or an `error`       struct fl__mpi_regions
 *   FETCH      both      both      asks for the oldest offer; or has    none
 *                                  an `error`, and drops it
 *   MORE       both      both      asks for `count` pieces of what      none
 *                                  FETCH has asked for
 *
 * Rules
 *   1. A slot is the number by which rank 0 knows a task at one rank. It is free again when ENDED
 *      has come and the argument and the result have been transferred. `round` counts the posts of
 *      tasks by rank 0, so a task that is posted again gets a new number. It distinguishes the
 *      tasks of one slot, because a STOP or RECALL may cross the ENDED of its task. It is also the
 *      name of the task in the flight recorders of both ranks.
 *   2. If an executor has regions, a rank gets REGIONS, and answers with HAS, before it gets OPEN.
 *   3. If the elements of a task were timed, `rest` of its ENDED says for how many nanoseconds they
 *      ran, and `check` is the time from the arrival of the argument to the start, in units of
 *      FL__MPI_UNIT, modulo 36 minutes. Otherwise `rest` is -1, and `check` means nothing.
 */
enum fl__mpi_kind {
	FL__MPI_OPEN = 1,
	FL__MPI_TASK,
	FL__MPI_STOP,
	FL__MPI_RECALL,
	FL__MPI_TERMINATE,
	FL__MPI_CLOSE,
	FL__MPI_EXIT,
	FL__MPI_ENDED,
	FL__MPI_BEGUN,
	FL__MPI_CLOSED,
	FL__MPI_SLEEPS,
	FL__MPI_REGIONS,
	FL__MPI_WANT,
	FL__MPI_BYTES,
	FL__MPI_HAS,
	FL__MPI_FETCH,
	FL__MPI_MORE,
};

enum {
	FL__MPI_INITIALIZED = 1,  /* in OPEN: `task` is the initializer */
	FL__MPI_SKIPPED = 2,      /* in ENDED: the task was cancelled before its start */
	FL__MPI_KEPT = 4,         /* in ENDED: the result counts despite the error */
	FL__MPI_LATE = 8,         /* in ENDED: a worker process was killed past the deadline */
	FL__MPI_BETWEEN = 16,     /* in ENDED: the task has stopped between two elements */
	FL__MPI_MISMATCH = 32,    /* in ENDED: the rank has another task of that name, or none */
	FL__MPI_BROKEN = 64,      /* in ENDED: the rank's executor is broken; the text says why */
	FL__MPI_UNREACHED = 128,  /* in HAS: the rank cannot map the owner's memory */
	FL__MPI_IMAGE = 256,      /* in TASK and ENDED: the data are an image */
	FL__MPI_DIED = 512,       /* in ENDED: a worker process has died, or (in rank 0) the rank */
	FL__MPI_CANCELLED = 1024, /* in CLOSE: also stop the initializers */
};

struct fl__mpi_head {
	uint32_t kind, flags;
	uint32_t pool, slot, round;
	uint32_t check; /* of the task's identity; in ENDED: rule 3 */
	uint64_t task;  /* the id of the task's type */
	uint64_t size;  /* how many bytes of data */
	int64_t rest;   /* ns to the deadline, or FL_DURATION_MAX; in ENDED: rule 3 */
	uint32_t text;  /* how many bytes of text, or 0 */
	uint32_t count; /* how many elements */
	uint32_t done;  /* in ENDED: how many elements succeeded */
	int32_t error;
};

struct fl__mpi_open {
	fl_executor_config config; /* its pointers are not set */
	uint32_t slots;
	uint32_t processes; /* 1 if tasks run in processes, 0 if on threads */
	char name[24];
};

struct fl__mpi_region {
	uint64_t total, data;   /* the fields of struct fl_shm */
	uint64_t device, inode; /* of the memory of the region */
	int32_t fd;             /* the descriptor in the process `pid` */
	uint32_t writable;      /* whether a process that attaches the region may write to it */
};

/*
 * The data of REGIONS and HAS. In REGIONS, `pid` is the process whose memory the rank is to map, or
 * 0 if the rank is to copy the bytes from rank 0. In HAS, `pid` is the rank's own process.
 */
struct fl__mpi_regions {
	uint32_t n;
	int32_t pid;
	struct fl__mpi_region at[FL_REGIONS_MAX];
};

enum { FL__MPI_UNIT = 512 /* nanoseconds */ };

#define FL__MPI_INLINE ((size_t)16 << 10)
#define FL__MPI_MESSAGE_MAX (sizeof(struct fl__mpi_head) + FL_MESSAGE_MAX + FL__MPI_INLINE)

/*
 * What each rank tells rank 0 at the start. Its size and its first four fields never change, so
 * that ranks can tell whether their versions differ.
 */
struct fl__mpi_hello {
	uint32_t magic; /* also tells the byte order */
	uint32_t protocol;
	uint32_t pointer_size;
	uint32_t level; /* 1 if MPI grants MPI_THREAD_SERIALIZED, otherwise 0 */
	uint32_t cpus;  /* that the rank may use; in rank 0 atomic, and 0 once the rank is dead */
	uint32_t machine_cpus;
	int32_t pid;
	uint32_t reserved;
	struct fl__registry_digest tasks;
	struct fl__build_id program;
	char host[64];
	uint64_t machine; /* a result of fl__mpi_machine() */
	unsigned char rest[104];
};
_Static_assert(sizeof(struct fl__mpi_hello) == 256, "the same in all versions");
#define FL__MPI_MAGIC 0x494d4c46u /* "FLMI" */
#define FL__MPI_PROTOCOL 10u
