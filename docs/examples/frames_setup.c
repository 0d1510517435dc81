/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * This file paints the film in shared memory before the first model begins, and writes the output.
 */
#include "album.h"
#include "frames.h"
#include <errno.h>
#include <stdlib.h>

#define SHOWN 6 /* frames in the HTML report, each before and after */

struct canvas {
	fl_shm_offset at;
	unsigned number;
};

FL_TASK(paint_frame, struct canvas, void)
{
	struct frame *frame = FL_SHM_AT(fl_task_region(ctx, 0), struct frame, arg->at);
	if (frame == NULL)
		return -EFAULT;
	frame_paint(frame, arg->number);
	return 0;
}

static int paint_all(const struct film *f)
{
	FL_SCOPED(fl_executor) *pool = NULL;
	int rc = fl_thread_executor_create(&pool, &(fl_executor_config){.regions = &f->region, .n_regions = 1});
	struct canvas canvases[FRAMES];
	for (unsigned i = 0; i < FRAMES; i++)
		canvases[i] = (struct canvas){f->shots[i].order.from, i};
	return rc == 0 ? paint_frame_map(pool, canvases, FRAMES, NULL) : rc;
}

static int make_film(struct film *f)
{
	int rc = fl_shm_create(&f->region, 2 * FRAMES * sizeof(struct frame));
	for (size_t i = 0; rc == 0 && i < FRAMES; i++) {
		struct shot *s = &f->shots[i];
		s->before = fl_shm_block_alloc_raw(f->region, sizeof *s->before);
		s->after = fl_shm_block_alloc_raw(f->region, sizeof *s->after);
		if (s->before == NULL || s->after == NULL)
			return -ENOMEM;
		s->order.from = fl_shm_offset_of(f->region, s->before);
		s->order.to = fl_shm_offset_of(f->region, s->after);
	}
	return rc == 0 ? paint_all(f) : rc;
}

static bool set_up(struct film *f)
{
	struct progress progress;
	progress_begin(&progress, 0, "frames, painting %d of them", FRAMES);
	int rc = make_film(f);
	progress_end();
	if (rc != 0)
		complain("cannot make the film, which takes %zu MiB of shared memory: %s",
		         2 * FRAMES * sizeof(struct frame) >> 20, fl_error_text(rc));
	return rc == 0;
}

static void save(const struct film *f, const struct folder *d, struct result *r)
{
	const struct shot *s = &f->shots[FRAMES / 2];
	char before[PATH_BYTES], after[PATH_BYTES];
	(void)snprintf(before, sizeof before, "%s/frame.png", d->path);
	(void)snprintf(after, sizeof after, "%s/frame-ink.png", d->path);
	if (frame_save(s->before, before) != 0 || frame_save(s->after, after) != 0)
		r->failed = true; /* the reason has been printed */
	else
		result_note(r, "Saved: %s and %s.", before, after);
}

/* Some frames for the report, from all over the film, each before and after. */
static void keep_thumbnails(const struct film *f, struct result *r)
{
	_Static_assert(2 * SHOWN <= THUMBNAILS_MAX, "a result has no place for so many");
	for (size_t i = 0; i < SHOWN; i++) {
		const struct shot *s = &f->shots[i * FRAMES / SHOWN];
		const struct frame *both[] = {s->before, s->after};
		for (size_t k = 0; k < 2; k++)
			if (frame_thumbnail(both[k], &r->thumbnails[r->thumbnail_count]) == 0)
				r->thumbnail_count++;
	}
}

static void run_all(struct film *f, const struct options *o, struct result *r)
{
	char size[32];
	group_digits(size, sizeof(struct frame));
	result_note(r, "A frame has %s bytes; its task is sent %zu and answers with %zu.", size, sizeof(struct order),
	            sizeof(uint64_t));
	compare_models(r, o->workers != 0 ? o->workers : fl_cpu_count(), frames_run, f);
	if (o->html != NULL)
		keep_thumbnails(f, r);
}

void frames(const struct options *o, struct result *r)
{
	static const struct figure rate = {"frames/s", "frames_per_second", "", 1};
	struct film f = {.result = r};
	struct folder folder = {0};
	*r = (struct result){
	    .job = "frames", .digest = true, .figure = &rate, .question = "draw 24 frames of 1920 by 1080 as with ink"};
	if ((o->output == NULL || folder_open(&folder, o)) && set_up(&f)) {
		run_all(&f, o, r);
		if (o->output != NULL)
			save(&f, &folder, r);
	} else {
		r->failed = true; /* the reason has been printed */
	}
	fl_shm_free(f.region);
}
