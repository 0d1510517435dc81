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
	FL__RINGS_SMALL = 32,             /* bytes of argument or result in the entry */
	FL__RINGS_ARENA = 256 << 10,      /* bytes for larger ones, in each ring */
	FL__RINGS_INLINE_MOST = 64 << 10, /* larger ones are memfds */
	FL__RINGS_MESSAGE = 256,
	FL__RINGS_RAN_UNIT = 512, /* ns */
};

enum {
	FL__SUBMISSION_ARG_MEMFD = 1,   /* with a memfd of the argument, sent through the channel */
	FL__SUBMISSION_DEADLINE = 4,    /* deadline[] is valid */
	FL__SUBMISSION_TIMED = 8,       /* the worker sets `began` and `ran` */
	FL__SUBMISSION_EXIT = 16,       /* no task: the worker exits */
	FL__SUBMISSION_INITIALIZE = 32, /* if it fails, the worker exits */
};

enum {
	FL__COMPLETION_SKIPPED = 1,  /* not run: revoked, asked to stop, or past its deadline */
	FL__COMPLETION_MESSAGE = 2,  /* message[] is valid */
	FL__COMPLETION_MEMFD = 4,    /* a memfd of results with bytes was sent through the channel */
	FL__COMPLETION_KEPT = 8,     /* the element that failed kept its result */
	FL__COMPLETION_BETWEEN = 16, /* stopped on request between two elements */
};

struct fl__submission {
	uint32_t seq; /* written last */
	uint16_t flags;
	uint16_t room;        /* units of FL__BYTES_UNIT: pool_bytes.c */
	uint32_t count;       /* elements: their arguments lie one after the other */
	uint32_t check;       /* of the type's whole identity */
	uint64_t task;        /* its type's id: identity.h */
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
	uint32_t count; /* elements that succeeded */
	int64_t began;  /* 0: not TIMED */
	uint32_t progress;
	uint32_t ran; /* units of FL__RINGS_RAN_UNIT, if TIMED */
	_Alignas(FL__RINGS_SMALL) unsigned char small[FL__RINGS_SMALL];
};
_Static_assert(sizeof(struct fl__completion) == 64, "a cache line");

enum fl__worker_state { FL__WORKER_STARTS, FL__WORKER_READY, FL__WORKER_UNFIT };

struct fl__completion_ring {
	uint32_t state; /* enum fl__worker_state; UNFIT: `error` says why */
	int32_t error;
	uint64_t fault; /* the address at which the worker found no memory, and died; 0: none */
	_Alignas(64) uint32_t asleep;
	_Alignas(64) uint32_t claim[FL__RINGS_DEPTH];
	_Alignas(64) struct fl__completion entry[FL__RINGS_DEPTH];
	char message[FL__RINGS_DEPTH][FL__RINGS_MESSAGE];
	_Alignas(4096) unsigned char arena[FL__RINGS_ARENA];
};

/* Of the memory with a completion ring and, behind it in pages of its own, a recorder's ring. */
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

/* In the parent's private memory. */
struct fl__rings {
	struct fl__submission_ring *submissions;
	struct fl__completion_ring *completions;
	uint32_t first, next; /* the oldest not released; the next to post */
	uint32_t flushed;     /* the oldest not flushed */
	bool revoked[FL__RINGS_DEPTH];
	uint32_t last_claim[FL__RINGS_DEPTH]; /* of the round before */
	uint32_t last_done[FL__RINGS_DEPTH];  /* of the round before */
};

/* The memory of both rings must be zeroed. */
void fl__rings_init(struct fl__rings *rings, struct fl__submission_ring *submissions,
                    struct fl__completion_ring *completions);

static inline uint32_t fl__rings_used(const struct fl__rings *rings)
{
	return rings->next - rings->first;
}

/* Requires fl__rings_used() < FL__RINGS_DEPTH. The caller sets all fields but `seq`. */
static inline struct fl__submission *fl__rings_next_entry(struct fl__rings *rings)
{
	return &rings->submissions->entry[rings->next % FL__RINGS_DEPTH];
}

/* Does not wake the worker. */
uint32_t fl__rings_post(struct fl__rings *rings);

/* After posts: wakes the worker if it sleeps. */
void fl__rings_flush(struct fl__rings *rings);

enum fl__rings_peeked {
	FL__RINGS_NONE, /* the oldest submission has not ended, or there is none */
	FL__RINGS_ENDED,
	FL__RINGS_DAMAGED, /* no sound worker writes that */
};

/* If the oldest submission has ended, copies its completion. The result is in the ring then. */
enum fl__rings_peeked fl__rings_peek(const struct fl__rings *rings, struct fl__completion *completion);

/* Requires that the oldest submission has ended. */
void fl__rings_release(struct fl__rings *rings);

/* False: the worker has started the submission, and may have ended it. */
bool fl__rings_revoke(struct fl__rings *rings, uint32_t seq);

/*
 * Requires that the submission is not released. The answer is final if the worker is dead. A
 * damaged claim word counts as started.
 */
bool fl__rings_has_started(const struct fl__rings *rings, uint32_t seq);

/* How many of `count` elements had ended when the worker died; `count` if the word is damaged. */
uint32_t fl__rings_progress(const struct fl__rings *rings, uint32_t seq, uint32_t count);

/* No effect if the worker no longer has the submission. */
void fl__rings_request_stop(struct fl__rings *rings, uint32_t seq);

/*
 * `generation`: the number of the manager's sleep, not 0. Before the sleep, the manager must peek
 * into all its completion rings once more.
 */
void fl__rings_arm(struct fl__rings *rings, uint32_t generation);

void fl__rings_disarm(struct fl__rings *rings);

/* In the worker's private memory. */
struct fl__worker_rings {
	const struct fl__submission_ring *submissions;
	struct fl__completion_ring *completions;
	uint32_t next;       /* the next submission, or the one that is being run */
	uint32_t rung;       /* the manager's sleep that the worker has ended */
	uint32_t cpu_shared; /* submissions in a row that came while another thread had this CPU */
	void (*ring)(void *arg);
	/* Called before a revoked submission's completion. May be NULL. */
	void (*revoked)(void *arg, const struct fl__submission *submission);
	void *arg;
};

void fl__worker_rings_init(struct fl__worker_rings *w, const struct fl__submission_ring *submissions,
                           struct fl__completion_ring *completions);

/* Waits for a submission and claims it. Completes revoked ones. */
const struct fl__submission *fl__rings_take(struct fl__worker_rings *w);

bool fl__rings_stop_requested(const struct fl__worker_rings *w);

/* `done` elements of the submission, not all, have their results. */
void fl__rings_set_progress(struct fl__worker_rings *w, uint32_t done);

/* After the result. Rings if the manager sleeps. */
void fl__rings_complete(struct fl__worker_rings *w, int32_t error, uint32_t flags, uint32_t count);

/* The listener sleeps while the ring's counter is `stop_requests`. May return spuriously. */
void fl__rings_await_stop_request(const struct fl__worker_rings *w, uint32_t stop_requests);
