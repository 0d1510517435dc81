/* SPDX-License-Identifier: BSD-2-Clause */
/* Prepares the pipeline, implements its stages, and checks the answer. */
#include "pipeline.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const stage_names[STAGES] = {"download", "decode", "thumbnail", "write"};

void picture_begin(struct picture *p)
{
	FL_LOCKED(&p->pipeline->lock);
	p->alive = true;
	if (++p->pipeline->alive > p->pipeline->most_alive)
		p->pipeline->most_alive = p->pipeline->alive;
}

void picture_release(struct picture *p)
{
	free(p->png.data);
	free(p->pixels.pixels);
	free(p->small.pixels);
	p->png = (struct bytes){0};
	p->pixels = p->small = (struct raster){0};
	FL_LOCKED(&p->pipeline->lock);
	p->pipeline->alive -= p->alive;
	p->alive = false;
}

static bool download(struct picture *p, char *why, size_t size)
{
	picture_begin(p);
	struct fetcher *mine = fetcher_get(); /* of this thread */
	if (mine != NULL)
		return fetch_to_memory(mine, &p->file, &p->png, why, size) == 0;
	(void)snprintf(why, size, "out of memory");
	return false;
}

/* Each stage frees what it no longer needs. */
static bool decode(struct picture *p, char *why, size_t size)
{
	bool good = raster_decode(&p->pixels, &p->png, why, size);
	free(p->png.data);
	p->png = (struct bytes){0};
	return good;
}

static bool thumbnail(struct picture *p, char *why, size_t size)
{
	bool good = raster_shrink(&p->pixels, &p->small, why, size);
	free(p->pixels.pixels);
	p->pixels = (struct raster){0};
	return good;
}

static bool write_thumbnail(struct picture *p, char *why, size_t size)
{
	char path[PATH_BYTES];
	thumbnail_path(path, &p->file);
	return raster_write(&p->small, path, why, size);
}

step *const steps[STAGES] = {download, decode, thumbnail, write_thumbnail};

size_t pipeline_bound(const struct pipeline *p)
{
	size_t bound = (size_t)p->capacity * (STAGES - 1);
	for (unsigned i = 0; i < STAGES; i++)
		bound += p->stages[i].threads;
	return bound;
}

static void reset(struct pipeline *p, const struct options *o)
{
	p->most_alive = p->bad = 0;
	for (size_t i = 0; i < p->count; i++)
		p->pictures[i].failure[0] = '\0';
	for (unsigned i = 0; i < STAGES; i++)
		p->stages[i] = (struct stage){.pipeline = p,
		                              .name = stage_names[i],
		                              .step = steps[i],
		                              .slow = o->slow == i,
		                              /* The next pictures could not be written, either. */
		                              .vital = i == STAGE_WRITE,
		                              .threads = o->threads[i]};
}

/* Checks what the pipeline promises, however it ended. */
static bool check_bounds(const struct pipeline *p)
{
	bool good = p->alive == 0 && p->most_alive <= pipeline_bound(p);
	if (!good)
		complain("of %zu pictures in memory %zu were not freed", p->most_alive, p->alive);
	for (const struct stage *s = p->stages; s < p->stages + STAGES; s++) {
		if (s->fullest <= p->capacity)
			continue;
		complain("the queue behind %s had %zu items", s->name, s->fullest);
		good = false;
	}
	return good;
}

/* The digest of a thumbnail's file; 0 if there is none. */
static uint64_t digest_of(const struct picture *p)
{
	char path[PATH_BYTES];
	struct bytes content = {0};
	thumbnail_path(path, &p->file);
	if (p->failure[0] != '\0' || file_read(path, &content) != 0)
		return 0;
	uint64_t digest = digest_add(DIGEST_START, content.data, content.size);
	free(content.data);
	return digest;
}

static void name_bad_pictures(const struct pipeline *p)
{
	for (const struct picture *i = p->pictures; i < p->pictures + p->count; i++)
		if (i->failure[0] != '\0')
			complain("%s: %s", i->file.name, i->failure);
}

/* Returns the answer, a digest of the digests of all thumbnails in their order. */
static uint64_t take_digests(struct pipeline *p)
{
	uint64_t answer = DIGEST_START;
	for (struct picture *i = p->pictures; i < p->pictures + p->count; i++) {
		i->digest = digest_of(i);
		answer = digest_add(answer, &i->digest, sizeof i->digest);
	}
	return answer;
}

static bool compare_digests(const struct pipeline *p)
{
	bool same = true;
	for (const struct picture *i = p->pictures; i < p->pictures + p->count; i++) {
		if (digest_of(i) == i->digest)
			continue;
		complain("%s: one after the other, it came out otherwise", i->file.name);
		same = false;
	}
	return same;
}

static void remove_thumbnails(struct pipeline *p)
{
	char path[PATH_BYTES];
	for (size_t i = 0; i < p->count; i++) {
		thumbnail_path(path, &p->pictures[i].file);
		(void)unlink(path); /* may not exist */
	}
}

/* All stages at once, then one after another; the answers must be equal. */
static bool run_both(struct pipeline *p, const struct options *o)
{
	reset(p, o);
	fl_time start = fl_now();
	bool good = pipeline_run(p);
	double at_once = (double)fl_time_diff(fl_now(), start) / 1e9;
	pipeline_print(p);
	name_bad_pictures(p);
	if (!check_bounds(p) || !good)
		return false;

	const uint64_t answer = take_digests(p);
	const size_t bad = p->bad;
	remove_thumbnails(p);
	reset(p, o);
	start = fl_now();
	if (!pipeline_run_sequential(p) || !compare_digests(p))
		return false;
	printf("%zu thumbnails in %.2f s, one after the other %.2f s; answer %016llx, the same\n", p->count - bad,
	       at_once, (double)fl_time_diff(fl_now(), start) / 1e9, (unsigned long long)answer);
	return bad == 0;
}

static bool with_folder(struct pipeline *p, const struct options *o, const struct server *server)
{
	struct folder folder;
	if (!folder_open(&folder, o))
		return false;
	for (size_t i = 0; i < p->count; i++) {
		p->pictures[i].pipeline = p;
		file_from_server(&p->pictures[i].file, (unsigned)i + 1, server_port(server), o, &folder);
	}
	bool good = run_both(p, o);
	if (!good && p->failure[0] != '\0')
		complain("%s", p->failure);
	for (size_t i = 0; i < p->count; i++)
		folder_remove(&folder, &p->pictures[i].file);
	folder_close(&folder);
	return good;
}

static bool with_server(struct pipeline *p, const struct options *o)
{
	struct bytes originals[ALBUM_PICTURES] = {{0}};
	struct server *server = NULL;
	progress_line("painting the pictures to download");
	bool good = pictures_paint(originals, p->count);
	progress_end();
	int rc = good ? server_start(&server, originals, p->count, "image/png", o->fault) : 0;
	if (rc != 0)
		complain("cannot start the demo's server: %s", fl_error_text(rc));
	good = good && rc == 0 && with_folder(p, o, server);
	server_stop(server);
	for (size_t i = 0; i < p->count; i++)
		free(originals[i].data);
	return good;
}

int pipeline(const struct options *o)
{
	static const int ends[] = {SIGINT, SIGTERM};
	struct pipeline p = {.count = o->pictures, .capacity = o->capacity};
	int rc = fl_signals_create(&p.signals, ends, 2); /* before the first thread */
	bool good = false;
	fl_cancel_token_init(&p.stop, NULL, FL_FOREVER);
	p.pictures = calloc(p.count, sizeof *p.pictures);
	if (rc != 0 || p.pictures == NULL)
		complain("cannot begin: %s", fl_error_text(rc != 0 ? rc : -ENOMEM));
	else if (fetch_prepare() != 0)
		complain("cannot initialize libcurl");
	else
		good = with_server(&p, o);
	free(p.pictures);
	fl_cancel_token_destroy(&p.stop);
	end_signals(p.signals);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
