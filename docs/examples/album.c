/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * album: download forty pictures, then make a thumbnail of each.
 *
 * A download consists of waiting. If files are downloaded one by one, nearly all of the time passes
 * until the server answers. Five workers wait for five files at a time; an event loop, on one
 * thread, waits for all of them at once. One call downloads them, a lazy map: a file that fails has
 * its own reason, and does not affect the others.
 */
#include "album.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Notes that the file is missing in this model, with the reason and its source. */
static void lose(struct album *a, struct entry *e, const char *why)
{
	e->arrived = false;
	result_fail(a->result, a->model->name, "%s: %s (%s)", e->file.name, why, e->file.url);
}

/* Without the library, one handle downloads one file after the other, in plain C. */
static void download_here(struct album *a, struct progress *progress)
{
	struct fetcher *fetcher = fetcher_create();
	for (size_t i = 0; i < a->count; i++) {
		struct entry *e = &a->entries[i];
		char why[FL_MESSAGE_MAX] = "out of memory";
		e->arrived = fetcher != NULL && fetch(fetcher, &e->file, &e->got, why, sizeof why) == 0;
		if (!e->arrived)
			lose(a, e, why);
		progress_step(progress);
	}
	fetcher_free(fetcher);
}

/*
 * With the library, each worker has its own handle, made for its first file and freed when the
 * worker ends. A worker may be a process that has not executed main(), so a task creates what it
 * needs. On an event loop each task is a fiber with its own locals: there the handle is the task's,
 * and other fibers run while fetch() waits. The task does not depend on any of this.
 */
static fl_local my_fetcher = FL_LOCAL_INIT(fetcher_free);

FL_TASK(prepare, void, void)
{
	return fetch_prepare() == 0 ? 0 : fl_task_fail(ctx, -EIO, "cannot initialize libcurl");
}

struct fetcher *fetcher_get(void)
{
	struct fetcher *mine = fl_local_get(&my_fetcher);
	if (mine == NULL)
		mine = fetcher_create();
	if (mine == NULL || fl_local_set(&my_fetcher, mine) == 0)
		return mine;
	fetcher_free(mine);
	return NULL;
}

FL_TASK(download, struct file, struct download_result)
{
	char why[FL_MESSAGE_MAX] = "";
	struct fetcher *mine = fetcher_get();
	if (mine == NULL)
		return -ENOMEM;
	int rc = fetch(mine, arg, result, why, sizeof why);
	return rc == 0 ? 0 : fl_task_fail(ctx, rc, "%s", why);
}

static int download_on(fl_executor *pool, struct album *a, const struct file *files, struct progress *progress)
{
	FL_SCOPED(fl_imap) *it = NULL;
	struct download_result got;
	size_t i;
	int rc = download_imap(pool, files, a->count, &it, &(fl_imap_config){.unordered = true});
	if (rc != 0)
		return rc;
	while ((rc = download_imap_next(it, &i, &got)) == 0 || rc == FL_ETASK) {
		a->entries[i].arrived = rc == 0;
		if (rc == 0)
			a->entries[i].got = got;
		else
			lose(a, &a->entries[i], fl_imap_message(it));
		progress_step(progress);
	}
	return rc == -ENODATA ? 0 : rc;
}

static int download_all(struct album *a, fl_executor *pool)
{
	struct file *files = calloc(a->count, sizeof *files);
	if (files == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < a->count; i++)
		files[i] = a->entries[i].file;
	struct progress progress;
	int rc = 0;
	progress_begin(&progress, a->count, "album, %s", a->model->name);
	if (pool == NULL)
		download_here(a, &progress);
	else
		rc = download_on(pool, a, files, &progress);
	progress_end();
	free(files);
	return rc;
}

/* Every byte that was saved is compared with the one that the server has. */
static void compare_bytes(struct album *a, struct entry *e)
{
	struct bytes saved = {0};
	char why[FL_MESSAGE_MAX] = "";
	int rc = file_read(e->file.path, &saved);
	if (rc != 0)
		(void)snprintf(why, sizeof why, "cannot read it back: %s", fl_error_text(rc));
	else if (saved.size != e->original.size)
		(void)snprintf(why, sizeof why, "%zu bytes came, the server has %zu", saved.size, e->original.size);
	else if (memcmp(saved.data, e->original.data, saved.size) != 0)
		(void)snprintf(why, sizeof why, "the bytes that came are not those that the server has");
	if (why[0] != '\0')
		lose(a, e, why);
	free(saved.data);
}

/* Returns a digest of all bytes of all files, in their order. */
static uint64_t check_files(struct album *a)
{
	uint64_t digest = DIGEST_START;
	for (size_t i = 0; i < a->count; i++) {
		struct entry *e = &a->entries[i];
		if (e->arrived && e->original.data != NULL)
			compare_bytes(a, e);
		uint64_t one = e->arrived ? e->got.digest : 0;
		for (int shift = 0; shift < 64; shift += 8)
			digest = digest_add(digest, &(unsigned char){(unsigned char)(one >> shift)}, 1);
	}
	return digest;
}

struct thumbnail_call {
	const struct thumbnail_order *order;
	struct thumbnail_result *result;
};

static int make_one(void *arg)
{
	const struct thumbnail_call *call = arg;
	thumbnail_make(call->order, call->result);
	return 0;
}

/*
 * A bad picture is a result here, not an error, since a map ends at the first error. A computation
 * on an event loop blocks all other fibers, so it runs on one of the loop's threads, and the fiber
 * waits for it.
 */
FL_TASK(thumbnail, struct thumbnail_order, struct thumbnail_result)
{
	struct thumbnail_call call = {arg, result};
	return fl_fiber_current() != NULL ? fl_blocking_call(make_one, &call, NULL) : make_one(&call);
}

static int thumbnails_make(struct album *a, fl_executor *pool, struct thumbnail_order *orders,
                           struct thumbnail_result *results)
{
	size_t n = 0;
	for (size_t i = 0; i < a->count; i++) {
		const struct file *file = &a->entries[i].file;
		if (!a->entries[i].arrived)
			continue;
		memcpy(orders[n].from, file->path, sizeof file->path);
		thumbnail_path(orders[n].to, file);
		n++;
	}
	int rc = 0;
	if (pool != NULL)
		rc = thumbnail_map(pool, orders, n, results, NULL);
	else
		for (size_t i = 0; i < n; i++)
			thumbnail_make(&orders[i], &results[i]);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (!results[i].made && results[i].why[0] != '\0')
			result_fail(a->result, a->model->name, "%s: no thumbnail: %s", orders[i].from, results[i].why);
	return rc;
}

static int thumbnails_of_all(struct album *a, fl_executor *pool)
{
	struct thumbnail_order *orders = calloc(a->count, sizeof *orders);
	struct thumbnail_result *results = calloc(a->count, sizeof *results);
	int rc = orders != NULL && results != NULL ? thumbnails_make(a, pool, orders, results) : -ENOMEM;
	free(orders);
	free(results);
	return rc;
}

static double seconds_since(fl_time start)
{
	return (double)fl_time_diff(fl_now(), start) / 1e9;
}

int album_run(void *data, const struct model *model, struct run *run)
{
	struct album *a = data;
	a->model = model;
	FL_SCOPED(fl_executor) *pool = NULL;
	fl_time start = fl_now();
	int rc = 0;
	/* On an event loop a worker is just a task that runs. */
	const unsigned workers = model->one_thread ? ALBUM_AT_ONCE : run->workers;
	const fl_executor_config config = {.workers = workers, .name = "album", .initialize = &prepare};
	if (model->create != NULL)
		rc = model->create(&pool, &config);
	if (rc == 0)
		rc = download_all(a, pool);
	run->seconds = seconds_since(start);
	if (rc == 0) {
		run->answer = check_files(a);
		start = fl_now();
		rc = thumbnails_of_all(a, pool);
		run->figure = seconds_since(start);
	}
	if (rc != 0)
		result_fail(a->result, model->name, "cannot go on: %s", fl_error_text(rc));
	return rc;
}
