/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "core/base/sys.h"
#include <stdbool.h>
#include <stdint.h>

/*
 * Two rings in shared memory connect a process pool (the parent) with one worker process. The
 * parent writes the *submission ring*, the worker the *completion ring*. After a completion the
 * worker rings the *doorbell*, an eventfd, if the manager thread sleeps. rings.c has the protocol.
 *
 * A sequence number counts the submissions, and wraps. Submission `seq` and its completion have
 * slot `seq % FL__RINGS_DEPTH`.
 */
enum {
	FL__RINGS_DEPTH = 16,
	/* an argument or result of at most this many bytes is in the entry itself */
	FL__RINGS_SMALL = 32,
	FL__RINGS_ARENA = 256 << 10,      /* the size of each ring's arena for larger ones */
	FL__RINGS_INLINE_MOST = 64 << 10, /* arguments and results above this size are memfds */
	FL__RINGS_MESSAGE = 256,
	FL__RINGS_RAN_UNIT = 512, /* ns */
};

enum {
	FL__SUBMISSION_ARG_MEMFD = 1,   /* a memfd with the argument was sent through the channel */
	FL__SUBMISSION_DEADLINE = 4,    /* deadline[] is valid */
	FL__SUBMISSION_TIMED = 8,       /* the worker sets `began` and `ran` */
	FL__SUBMISSION_EXIT = 16,       /* there is no task: the worker exits */
	FL__SUBMISSION_INITIALIZE = 32, /* if it fails, the worker exits */
};

enum {
	/* the task has not run, because it was revoked, asked to stop, or past its deadline */
	FL__COMPLETION_SKIPPED = 1,
	FL__COMPLETION_MESSAGE = 2,  /* message[] is valid */
	FL__COMPLETION_MEMFD = 4,    /* a memfd of results with bytes was sent through the channel */
	FL__COMPLETION_KEPT = 8,     /* the element that failed kept its result */
	FL__COMPLETION_BETWEEN = 16, /* the task stopped on request between two elements */
};

struct fl__submission {
	uint32_t seq; /* written last */
	uint16_t flags;
	uint16_t room;        /* in units of FL__BYTES_UNIT: see pool_bytes.c */
	uint32_t count;       /* the number of elements; their arguments lie one after the other */
	uint32_t check;       /* a hash of the whole identity of the task type */
	uint64_t task;        /* the id of the task type: identity.h */
	uint32_t arg, result; /* offsets in the arenas, if not in `small` */
	_Alignas(FL__RINGS_SMALL) unsigned char small[FL__RINGS_SMALL];
};
_Static_assert(sizeof(struct fl__submission) == 64, "a cache line");

struct fl__submission_ring {
	uint64_t magic;
	uint32_t size;
	_Alignas(64) uint32_t doorbell;
	_Alignas(64) uint32_t stop_requests;
	uint32_t stop[FL__RINGS_DEPTH];
	_Alignas(64) fl_time deadline[FL__RINGS_DEPTH];
	_Alignas(64) struct fl__submission entry[FL__RINGS_DEPTH];
	_Alignas(4096) unsigned char arena[FL__RINGS_ARENA];
};

struct fl__completion {
	uint32_t done; /* written last */
	int32_t error;
	uint32_t flags;
	uint32_t count; /* the number of elements that succeeded */
	/*
	 * 0 if the submission is not TIMED; if no task has begun, the value of an earlier
	 * submission
	 */
	FL__WORD64 int64_t began;
	uint32_t progress;
	uint32_t ran; /* in units of FL__RINGS_RAN_UNIT, if the submission is TIMED */
	_Alignas(FL__RINGS_SMALL) unsigned char small[FL__RINGS_SMALL];
};
_Static_assert(sizeof(struct fl__completion) == 64, "a cache line");

enum fl__worker_state {
	FL__WORKER_STARTS,
	FL__WORKER_READY,
	FL__WORKER_UNFIT,
	FL__WORKER_LEAVES, /* it takes no further submission, and exits */
};

struct fl__completion_ring {
	/* enum fl__worker_state; if it is UNFIT, `error` says why */
	uint32_t state;
	int32_t error;
	/* the address at which the worker found no memory, and died; or 0 */
	uint64_t fault;
	_Alignas(64) uint32_t asleep;
	_Alignas(64) uint32_t claim[FL__RINGS_DEPTH];
	_Alignas(64) struct fl__completion entry[FL__RINGS_DEPTH];
	char message[FL__RINGS_DEPTH][FL__RINGS_MESSAGE];
	_Alignas(4096) unsigned char arena[FL__RINGS_ARENA];
};

/*
 * Returns the size of the memory for a completion ring, followed by a flight recorder's ring in
 * separate pages.
 */
static inline size_t fl__completions_size(size_t trace_size)
{
	const size_t size = sizeof(struct fl__completion_ring);
	return trace_size > 0 ? FL__ROUND_UP(size, fl__page_size()) + trace_size : size;
}

static inline void *fl__completions_trace(struct fl__completion_ring *completions, size_t trace_size)
{
	return (char *)completions + fl__completions_size(trace_size) - trace_size;
}

#define FL__RINGS_MAGIC UINT64_C(0x73676e69722d6c66) /* "fl-rings" */

/* The parent's side of the two rings, in its private memory. */
struct fl__rings {
	struct fl__submission_ring *submissions;
	struct fl__completion_ring *completions;
	uint32_t first, next; /* the oldest submission that is not released, and the next to post */
	uint32_t flushed;     /* the oldest submission that is not flushed */
	bool revoked[FL__RINGS_DEPTH];
	uint32_t last_claim[FL__RINGS_DEPTH]; /* the claim word of the round before */
	uint32_t last_done[FL__RINGS_DEPTH];  /* the number in `done` of the round before */
};

/* Initializes both rings. Their memory must be zeroed. */
void fl__rings_init(struct fl__rings *rings, struct fl__submission_ring *submissions,
                    struct fl__completion_ring *completions);

static inline uint32_t fl__rings_used(const struct fl__rings *rings)
{
	return rings->next - rings->first;
}

/*
 * Returns the entry of the next submission; the caller sets all fields but `seq`. Requires that
 * fl__rings_used() is less than FL__RINGS_DEPTH.
 */
static inline struct fl__submission *fl__rings_next_entry(struct fl__rings *rings)
{
	return &rings->submissions->entry[rings->next % FL__RINGS_DEPTH];
}

/* Posts the next submission, and returns its number. Does not wake the worker. */
uint32_t fl__rings_post(struct fl__rings *rings);

/* Called after posts. Wakes the worker if it sleeps. */
void fl__rings_flush(struct fl__rings *rings);

enum fl__rings_peeked {
	FL__RINGS_NONE, /* the oldest submission has not ended, or there is none */
	FL__RINGS_ENDED,
	FL__RINGS_DAMAGED, /* a word has a value that no intact worker writes */
};

/*
 * If the oldest submission has ended, copies its completion. Its result is then in the ring, or its
 * packet is in the channel.
 */
enum fl__rings_peeked fl__rings_peek(const struct fl__rings *rings, struct fl__completion *completion);

/* Releases the oldest submission, which must have ended. */
void fl__rings_release(struct fl__rings *rings);

/*
 * Takes a submission back. Returns false if the worker has started it; then it may even have ended.
 */
bool fl__rings_revoke(struct fl__rings *rings, uint32_t seq);

/*
 * Returns true if the worker has started the submission, which must not be released yet. The answer
 * is final if the worker is dead. A damaged claim word counts as started.
 */
bool fl__rings_has_started(const struct fl__rings *rings, uint32_t seq);

/*
 * Returns how many of `count` elements had ended when the worker died. A damaged word may give any
 * number up to `count`.
 */
uint32_t fl__rings_progress(const struct fl__rings *rings, uint32_t seq, uint32_t count);

/*
 * Asks the worker to stop a submission. Has no effect if the worker no longer has the submission.
 */
void fl__rings_request_stop(struct fl__rings *rings, uint32_t seq);

/*
 * Arms the doorbell. `generation` is the number of the manager's sleep, and is not 0. Before the
 * sleep, the manager must peek into all its completion rings once more.
 */
void fl__rings_arm(struct fl__rings *rings, uint32_t generation);

void fl__rings_disarm(struct fl__rings *rings);

/* The worker's side of the two rings, in its private memory. */
struct fl__worker_rings {
	const struct fl__submission_ring *submissions;
	struct fl__completion_ring *completions;
	uint32_t next; /* the next submission, or the one that runs */
	uint32_t rung; /* the number of the manager's sleep that the worker has ended */
	/* how many submissions in a row came while another thread used this CPU */
	uint32_t cpu_shared;
	void (*ring)(void *arg);
	/* Called before a revoked submission's completion. May be NULL. */
	void (*revoked)(void *arg, const struct fl__submission *submission);
	void *arg;
};

void fl__worker_rings_init(struct fl__worker_rings *w, const struct fl__submission_ring *submissions,
                           struct fl__completion_ring *completions);

/* Waits for a submission and claims it. Completes the revoked submissions before it. */
const struct fl__submission *fl__rings_take(struct fl__worker_rings *w);

bool fl__rings_stop_requested(const struct fl__worker_rings *w);

/* Stores that `done` elements of the submission, fewer than all, have their results. */
void fl__rings_set_progress(struct fl__worker_rings *w, uint32_t done);

/*
 * Completes the submission, after its result was written. Rings the doorbell if the manager
 * sleeps.
 */
void fl__rings_complete(struct fl__worker_rings *w, int32_t error, uint32_t flags, uint32_t count);

/*
 * Says that the worker takes no further submission, and exits. Rings the doorbell if the manager
 * sleeps.
 */
void fl__rings_leave(struct fl__worker_rings *w);

/*
 * Called by the listener. Sleeps while the ring's counter of requests is `stop_requests`, and
 * may return spuriously.
 */
void fl__rings_await_stop_request(const struct fl__worker_rings *w, uint32_t stop_requests);
