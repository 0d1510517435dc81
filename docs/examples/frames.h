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

struct shot {
	struct order order;
	struct frame *before, *after;
	bool drawn;
	uint64_t digest;          /* as its task gave it */
	char why[FL_MESSAGE_MAX]; /* it was lost */
};

struct film {
	struct result *result;
	const struct model *model;
	fl_shm *region;
	struct shot shots[FRAMES];
	bool kills;                      /* this run has to lose a worker */
	unsigned killed;                 /* so many were */
	size_t lost[FRAMES], lost_count; /* the frames that they had in hand */
};

/* The job: the film is there, and now goes through the filter in one model after the other. */
int frames_run(void *film, const struct model *model, struct run *run);

#endif
