/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FRAMES_H
#define FRAMES_H

/* The parts of frames: the film, painting a frame, the filter, and PNG files of frames. */
#include "demo.h"

#define FRAME_WIDTH 1920
#define FRAME_HEIGHT 1080

/* A frame is in shared memory. Each pixel has red, green and blue. */
struct frame {
	unsigned char pixel[FRAME_HEIGHT][FRAME_WIDTH][3];
};

/* Paints frame `number` of a short film: balls over a floor of tiles. Deterministic. */
void frame_paint(struct frame *f, unsigned number);

/* Draws the frame `from` into the frame `to` as if with ink and brush. This is the filter. */
void frame_ink(const struct frame *from, struct frame *to);

/* FNV-1a, eight bytes at a time. */
uint64_t frame_digest(const struct frame *f);

/* Writes the frame as a PNG file. Returns 0, or -EIO after a message. */
int frame_save(const struct frame *f, const char *path);

/*
 * Encodes a small copy of the frame as PNG, in memory for the caller to free. Returns 0, -ENOMEM,
 * -EIO.
 */
int frame_thumbnail(const struct frame *f, struct bytes *png);

#define FRAMES 24

/*
 * The argument of a frame's task: the offsets of the frame and of the result. Its result is the
 * digest of what it drew.
 */
struct order {
	fl_shm_offset from, to;
};

struct shot {
	struct order order;
	struct frame *before, *after;
	bool drawn;
	uint64_t digest;          /* the result of its task */
	char why[FL_MESSAGE_MAX]; /* the reason, if it was lost */
};

struct film {
	struct result *result;
	const struct model *model;
	fl_shm *region;
	struct shot shots[FRAMES];
	bool kills;                      /* this run kills a worker */
	unsigned killed;                 /* number of kills */
	size_t lost[FRAMES], lost_count; /* the frames that the killed workers were drawing */
};

/* The job sends the film, which exists already, through the filter in one model after another. */
int frames_run(void *film, const struct model *model, struct run *run);

#endif
