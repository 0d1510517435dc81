/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "internals.h"
#include <fairlead/executor.h>
#include <fairlead/future.h>
#include <stdint.h>

/*
 * The messages between rank 0 and the worker ranks.
 *
 * A message of MPI has one or several messages of ours, at most FL__MPI_MESSAGE_MAX bytes in all.
 * Each is a head, `text` bytes of a text, and `size` bytes of data. Data above FL__MPI_INLINE bytes
 * are only announced: they follow as one message on the communicator for data. The receiver posts
 * its receives in the order of the announcements, so no tag is needed.
 *
 * Of structs with an fl_bytes the data are the image (image.h). Above FL__MPI_INLINE bytes an image
 * is only *offered*: the receiver answers each offer with FETCH, in order, and then gets the image
 * by a tag of its own. So a receiver without memory drops it, and one task fails. Between machines
 * all data are offered with fault tolerance, and come in pieces (engine.c).
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
 *   SLEEPS     a worker  rank 0    has got `task` messages, and sleeps  none
 *   REGIONS    rank 0    a worker  gets the regions of `pool`           struct fl__mpi_regions
 *   WANT       a worker  rank 0    fetches bytes of region `slot`, from none
 *                                  the offset `task` on
 *   BYTES      rank 0    a worker  answers WANT; or has an `error`      bytes
 *   HAS        a worker  rank 0    has all regions, or an `error`       struct fl__mpi_regions
 *   FETCH      both      both      asks for the oldest offer; or has    none
 *                                  an `error`, and drops it
 *   MORE       both      both      asks for `count` pieces of what      none
 *                                  FETCH has asked for
 *
 * A slot is rank 0's name of a task at one rank, and free again after ENDED. `round` is the task's
 * number among all of the job. It tells the tasks of one slot apart: a STOP or RECALL may cross its
 * task's ENDED. It is also the name of the task in the flight recorders of both ranks. REGIONS come
 * before OPEN.
 *
 * ENDED of a task that has run tells in `rest` for how many nanoseconds; else it has -1. `check`
 * then is the time from the argument's arrival to the start, in units of FL__MPI_UNIT, modulo 36
 * minutes.
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
	FL__MPI_INITIALIZED = 1, /* OPEN: `task` is the initializer */
	FL__MPI_SKIPPED = 2,     /* ENDED: cancelled before the start */
	FL__MPI_KEPT = 4,        /* ENDED: the result counts despite the error */
	FL__MPI_LATE = 8,        /* ENDED: a worker process was killed past the task's deadline */
	FL__MPI_BETWEEN = 16,    /* ENDED: stopped between two elements */
	FL__MPI_MISMATCH = 32,   /* ENDED: another task of that name, or none (see the text) */
	FL__MPI_BROKEN = 64,     /* ENDED: the rank's executor is broken (see the text) */
	FL__MPI_UNREACHED = 128, /* HAS: the rank cannot map the owner's memory */
	FL__MPI_IMAGE = 256,     /* TASK, ENDED: the data are an image */
	FL__MPI_DIED = 512,      /* ENDED: a worker process has died; in rank 0 also: the rank has */
};

struct fl__mpi_head {
	uint32_t kind, flags;
	uint32_t pool, slot, round;
	uint32_t check; /* of the task's identity; ENDED: above */
	uint64_t task;  /* the type's id */
	uint64_t size;  /* bytes of data */
	int64_t rest;   /* nanoseconds to the deadline; FL_DURATION_MAX: none; ENDED: above */
	uint32_t text;  /* bytes of text; 0: none */
	uint32_t count; /* elements */
	uint32_t done;  /* ENDED: elements that succeeded */
	int32_t error;
};

struct fl__mpi_open {
	fl_executor_config config; /* without pointers */
	uint32_t slots;
	uint32_t processes; /* 1: in processes; 0: on threads */
	char name[24];
};

struct fl__mpi_region {
	uint64_t total, data;   /* the fields of struct fl_shm */
	uint64_t device, inode; /* of its memory */
	int32_t fd;             /* in the process `pid` */
	uint32_t writable;      /* for a process that attaches it */
};

/* REGIONS: of `pid`, to be mapped; 0: to be copied. HAS: of the rank. */
struct fl__mpi_regions {
	uint32_t n;
	int32_t pid;
	struct fl__mpi_region at[FL_REGIONS_MAX];
};

enum { FL__MPI_UNIT = 512 /* nanoseconds */ };

#define FL__MPI_INLINE ((size_t)16 << 10)
#define FL__MPI_MESSAGE_MAX (sizeof(struct fl__mpi_head) + FL_MESSAGE_MAX + FL__MPI_INLINE)

/* Its size and its first four fields never change. */
struct fl__mpi_hello {
	uint32_t magic; /* also tells the order of bytes */
	uint32_t protocol;
	uint32_t pointer_size;
	uint32_t level; /* of threads, as granted */
	uint32_t cpus;  /* that the rank may use; in rank 0, atomic: 0 once the rank is dead */
	uint32_t machine_cpus;
	int32_t pid;
	uint32_t reserved;
	struct fl__registry_digest tasks;
	struct fl__build_id program;
	char host[64];
	uint64_t machine; /* fl__mpi_machine() */
	unsigned char rest[104];
};
_Static_assert(sizeof(struct fl__mpi_hello) == 256, "the same in all versions");
#define FL__MPI_MAGIC 0x494d4c46u /* "FLMI" */
#define FL__MPI_PROTOCOL 10u
