/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PIPELINE_H
#define PIPELINE_H

/* The parts of the pipeline: what goes through it, its stages, and what they do. */
#include "album.h"

/* Its place is there all the time; what it owns, from its download on until it is written. */
struct picture {
	struct pipeline *pipeline;
	struct file file;
	struct bytes png;            /* owned: downloaded */
	struct raster pixels, small; /* owned: decoded; the thumbnail */
	bool alive;                  /* it counts in pipeline.alive */
	char failure[256];           /* which stage has found it bad, and why; "": none */
	uint64_t digest;             /* of the thumbnail's file; 0: there is none */
};
FL_QUEUE_OF(struct picture *, picture_queue)

/* What a stage does with a picture. Returns false with the reason in `why`. */
typedef bool step(struct picture *p, char *why, size_t size);
extern step *const steps[STAGES];

struct stage {
	struct pipeline *pipeline;
	const char *name;
	step *step;
	bool slow;
	bool vital; /* what it cannot do stops the pipeline; else the picture is bad, and left out */
	unsigned threads;
	picture_queue *in, *out; /* `out` is the next one's `in`; NULL: the last stage */
	/* Under the lock: */
	unsigned running; /* threads that have not left */
	size_t done;
	int64_t held;   /* ns that its threads waited for space in `out` */
	size_t fullest; /* the most items seen in `out` */
};

struct pipeline {
	struct picture *pictures;
	size_t count;
	struct stage stages[STAGES];
	unsigned capacity;
	fl_cancel_token stop; /* requested by pipeline_stop() */
	fl_signals *signals;
	fl_mutex lock;
	char failure[512];        /* under the lock: the first; "": none */
	size_t alive, most_alive; /* under the lock: pictures that own memory */
	size_t bad;               /* under the lock: pictures that were left out */
};

/* Runs all stages at once, each on its threads. Whether all went well, but for bad pictures; else `failure` says what did not. */
bool pipeline_run(struct pipeline *p);

/* One picture after the other, stage by stage, on one thread. As above. */
bool pipeline_run_sequential(struct pipeline *p);

/* Notes what went wrong, if it is the first, and makes all threads leave. */
void pipeline_stop(struct pipeline *p, const char *what, const char *why);

/* Counts a picture that begins to own memory; frees what it owns. */
void picture_begin(struct picture *p);
void picture_release(struct picture *p);

/* The most pictures that can own memory at the same time: one a thread, and what the queues between the stages hold. */
size_t pipeline_bound(const struct pipeline *p);

/* The line that moves; the table at the end. */
void pipeline_show(struct pipeline *p);
void pipeline_print(const struct pipeline *p);

#endif
