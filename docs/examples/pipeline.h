/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PIPELINE_H
#define PIPELINE_H

/* The parts of the pipeline: its items, its stages, and their work. */
#include "album.h"

/* An item exists from the start; it owns memory from its download until it is written. */
struct picture {
	struct pipeline *pipeline;
	struct file file;
	struct bytes png;            /* owned: downloaded */
	struct raster pixels, small; /* owned: decoded; the thumbnail */
	bool alive;                  /* counted in pipeline.alive */
	char failure[256];           /* the stage that found it bad, and why; "": good */
	uint64_t digest;             /* of the thumbnail's file; 0: none */
};
FL_QUEUE_OF(struct picture *, picture_queue)

/* The work of a stage on a picture. Returns false with the reason in `why`. */
typedef bool step(struct picture *p, char *why, size_t size);
extern step *const steps[STAGES];

struct stage {
	struct pipeline *pipeline;
	const char *name;
	step *step;
	bool slow;
	/* Its failure stops the pipeline; otherwise the failure only removes the picture. */
	bool vital;
	unsigned threads;
	picture_queue *in, *out; /* `out` is the `in` of the next stage; NULL: the last stage */
	/* Under the lock: */
	unsigned running; /* threads that have not left yet */
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
	char failure[512];        /* under the lock: the first failure; "": none */
	size_t alive, most_alive; /* under the lock: pictures that own memory */
	size_t bad;               /* under the lock: pictures that were removed */
};

/*
 * Runs all stages at once, each on its threads. Returns whether all went well, apart from bad
 * pictures; otherwise `failure` has the reason.
 */
bool pipeline_run(struct pipeline *p);

/* Runs one picture after another, stage by stage, on one thread. Returns whether all went well. */
bool pipeline_run_sequential(struct pipeline *p);

/* Notes the first failure, and makes all threads leave. */
void pipeline_stop(struct pipeline *p, const char *what, const char *why);

/* Counts a picture that begins to own memory; frees what it owns. */
void picture_begin(struct picture *p);
void picture_release(struct picture *p);

/*
 * The most pictures that can own memory at the same time: one a thread, and the capacity of the
 * queues.
 */
size_t pipeline_bound(const struct pipeline *p);

/* The progress line, and the table at the end. */
void pipeline_show(struct pipeline *p);
void pipeline_print(const struct pipeline *p);

#endif
