/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FRAMES_H
#define FRAMES_H

/* The parts of frames: the film, painting a frame, the filter, and PNG files of frames. */
#include "demo.h"

#define FRAME_WIDTH 1920
#define FRAME_HEIGHT 1080

/* As it lies in shared memory: red, green, blue. */
struct frame {
	unsigned char pixel[FRAME_HEIGHT][FRAME_WIDTH][3];
};

/* Paints frame `number` of a short film: balls over a floor of tiles. The same on every run. */
void frame_paint(struct frame *f, unsigned number);

/* The filter: draws `from` as with ink and brush into `to`, which is another frame. */
void frame_ink(const struct frame *from, struct frame *to);

/* FNV-1a, eight bytes at a time. */
uint64_t frame_digest(const struct frame *f);

/* Writes the frame as a PNG file. Returns 0, or -EIO and has complained. */
int frame_save(const struct frame *f, const char *path);

/* Encodes a small copy of it as PNG, in memory for the caller to free. Returns 0, -ENOMEM, -EIO. */
int frame_thumbnail(const struct frame *f, struct bytes *png);

#define FRAMES 24

/* What the task of a frame gets: where it lies, and where it is to be drawn. It gives the digest of what it drew. */
struct order {
	fl_shm_offset from, to;
};

/* A frame on its way. */
struct shot {
	struct film *film;
	struct order order;
	struct frame *before, *after;
	fl_future *future;
	bool drawn;
	uint64_t digest; /* as the task gave it */
};
FL_QUEUE_OF(struct shot *, shot_queue)

struct film {
	struct result *result;
	const struct model *model;
	fl_shm *region;
	shot_queue *ended; /* in the order in which they end */
	struct shot shots[FRAMES];
	int killed;              /* the number of the process; 0: none */
	const struct shot *lost; /* what it had in hand; NULL: nothing */
	char why[FL_MESSAGE_MAX];
};

/* The job: the film is there, and now goes through the filter in one model after the other. */
int frames_run(void *film, const struct model *model, struct run *run);

#endif
