/* SPDX-License-Identifier: BSD-2-Clause */
/* Prepares the album before the first download, and cleans up: pictures, server, folder. */
#include "album.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define PICTURE_BYTES_MIN 200000 /* a picture of an album is not small */

/*
 * Only painting takes long, so it runs on all CPUs, too. The result is a pointer, so the executor
 * must have threads.
 */
FL_TASK(paint, unsigned, struct bytes)
{
	int rc = picture_paint(*arg, result);
	if (rc != 0)
		return fl_task_fail(ctx, rc, "picture %u: %s", *arg, fl_error_text(rc));
	if (result->size >= PICTURE_BYTES_MIN)
		return 0;
	free(result->data); /* a failed task has no result */
	result->data = NULL;
	return fl_task_fail(ctx, -ERANGE, "picture %u has only %zu bytes", *arg, result->size);
}

bool pictures_paint(struct bytes *pictures, size_t count)
{
	FL_SCOPED(fl_executor) *pool = NULL;
	int rc = fl_thread_executor_create(&pool, NULL);
	if (rc != 0) {
		complain("cannot start threads to paint: %s", fl_error_text(rc));
		return false;
	}
	unsigned numbers[ALBUM_PICTURES];
	for (unsigned i = 0; i < count; i++)
		numbers[i] = i + 1;
	fl_map_error error = {0};
	rc = paint_map(pool, numbers, count, pictures, &(fl_map_config){.error = &error});
	if (rc != 0)
		complain("cannot paint the pictures: %s", rc == FL_ETASK ? error.message : fl_error_text(rc));
	return rc == 0;
}

/* The album, and what belongs to it. */
struct setup {
	struct album album;
	struct bytes pictures[ALBUM_PICTURES];
	struct server *server;
	struct folder folder;
};

static bool serve_pictures(struct setup *s, const struct options *o)
{
	struct progress progress;
	progress_begin(&progress, 0, "album, painting %d pictures", ALBUM_PICTURES);
	bool painted = pictures_paint(s->pictures, ALBUM_PICTURES);
	progress_end();
	if (!painted)
		return false;
	int rc = server_start(&s->server, s->pictures, ALBUM_PICTURES, "image/png", o->fault);
	if (rc != 0)
		complain("cannot start the demo's server: %s", fl_error_text(rc));
	return rc == 0;
}

static bool list_files(struct setup *s, const struct options *o)
{
	struct album *a = &s->album;
	size_t count = o->urls != NULL ? o->url_count : ALBUM_PICTURES;
	a->entries = calloc(count, sizeof *a->entries);
	if (a->entries == NULL) {
		complain("out of memory");
		return false;
	}
	a->count = count;
	for (size_t i = 0; i < count; i++) {
		struct entry *e = &a->entries[i];
		if (o->urls != NULL) {
			file_from_url(&e->file, i, o, &s->folder);
		} else {
			file_from_server(&e->file, (unsigned)i + 1, server_port(s->server), o, &s->folder);
			e->original = s->pictures[i];
		}
	}
	return true;
}

static bool set_up(struct setup *s, const struct options *o)
{
	if (fetch_prepare() != 0) {
		complain("cannot initialize libcurl");
		return false;
	}
	return folder_open(&s->folder, o) && (o->urls != NULL || serve_pictures(s, o)) && list_files(s, o);
}

/* Some thumbnails for the report, from all over the album, as far as they exist. */
static void keep_thumbnails(const struct album *a, struct result *r)
{
	size_t wanted = a->count < THUMBNAILS_MAX ? a->count : THUMBNAILS_MAX;
	for (size_t i = 0; i < wanted; i++) {
		const struct entry *e = &a->entries[i * a->count / wanted];
		char path[PATH_BYTES];
		thumbnail_path(path, &e->file);
		if (e->arrived && file_read(path, &r->thumbnails[r->thumbnail_count]) == 0)
			r->thumbnail_count++;
	}
}

/*
 * The reference for the async run: the median of three runs with libcurl alone, which waits for all
 * files at once.
 */
static void measure_ideal(const struct album *a, struct result *r)
{
	double t[3];
	struct progress progress;
	progress_begin(&progress, 3, "album, libcurl alone");
	for (int i = 0; i < 3; i++) {
		t[i] = fetch_all_bare(a->entries, a->count);
		progress_step(&progress);
	}
	progress_end();
	double least = fmin(t[0], fmin(t[1], t[2])), most = fmax(t[0], fmax(t[1], t[2]));
	if (least <= 0)
		return; /* not measured */
	r->ideal_seconds = t[0] + t[1] + t[2] - least - most;
	result_note(r, "libcurl's own loop, with all files under way at once and nothing else, takes %.3f s here.",
	            r->ideal_seconds);
}

static void tear_down(struct setup *s)
{
	server_stop(s->server);
	for (size_t i = 0; i < s->album.count; i++)
		folder_remove(&s->folder, &s->album.entries[i].file);
	folder_close(&s->folder);
	free(s->album.entries);
	for (size_t i = 0; i < ALBUM_PICTURES; i++)
		free(s->pictures[i].data);
}

static const struct figure thumbnails = {"thumbnails", "thumbnail_seconds", " s", 3};

void album(const struct options *o, struct result *r)
{
	struct setup s = {.album.result = r};
	*r = (struct result){.job = "album",
	                     .digest = true,
	                     .figure = &thumbnails,
	                     .question = "download an album of pictures, one request each"};
	if (set_up(&s, o)) {
		compare_models(r, o->workers != 0 ? o->workers : ALBUM_WORKERS, album_run, &s.album);
		/* Do not load the servers of others a fourth time. */
		if (o->urls == NULL && o->fault == FAULT_NONE)
			measure_ideal(&s.album, r);
		if (o->html != NULL)
			keep_thumbnails(&s.album, r);
	} else {
		r->failed = true; /* the reason has been printed */
	}
	tear_down(&s);
}
