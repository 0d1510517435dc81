/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ALBUM_H
#define ALBUM_H

/* The parts of the album: its server, its pictures, its files, and their download. */
#include "demo.h"

#define ALBUM_PICTURES 40
#define ALBUM_WORKERS 5   /* the number of threads in the classic example */
#define ALBUM_AT_ONCE 200 /* on an event loop: a file and a connection each, of 1,024 descriptors */
#define ALBUM_FAULTY 7    /* the number, from 1, of the picture or page that --fault spoils */

#define NAME_BYTES 128
#define PATH_BYTES 1024
#define URL_BYTES 2048

/*
 * A file to download. It has no pointers, so that it is a task's argument on any executor, also in
 * worker processes.
 */
struct file {
	char name[NAME_BYTES];
	char url[URL_BYTES];
	char path[PATH_BYTES]; /* where it is saved */
	unsigned timeout;      /* seconds without data until we give up */
	bool own;              /* from the demo's own server, never through a proxy */
};

struct download_result {
	uint64_t size;
	uint64_t digest; /* FNV-1a of all bytes */
};

#define DIGEST_START UINT64_C(0xcbf29ce484222325)
uint64_t digest_add(uint64_t digest, const void *data, size_t size);

/* Initializes libcurl, once in each process. Returns 0, -EIO. */
int fetch_prepare(void);

/*
 * A curl handle that keeps its connection from one file to the next, for one thread. In a fiber a
 * transfer blocks only that fiber. NULL when out of memory.
 */
struct fetcher;
struct fetcher *fetcher_create(void);
void fetcher_free(void *fetcher);

/*
 * The handle of the calling context, made by its first call; ends with the context. NULL when out
 * of memory.
 */
struct fetcher *fetcher_get(void);

/*
 * Downloads `file`. Returns 0, or a negative errno with the reason in `why`; a failed download
 * leaves no file.
 */
int fetch(struct fetcher *f, const struct file *file, struct download_result *result, char *why, size_t size);

/*
 * Paints picture `number` and encodes it as PNG, in memory for the caller to free. Returns 0,
 * -ENOMEM, -EIO.
 */
int picture_paint(unsigned number, struct bytes *png);

/* Downloads `file` into memory for the caller to free, and writes no file. Otherwise as fetch(). */
int fetch_to_memory(struct fetcher *f, const struct file *file, struct bytes *content, char *why, size_t size);

/*
 * A decoded picture. Each of these functions returns false with the reason in `why`, and then
 * leaves nothing to free.
 */
struct raster {
	uint32_t width, height;
	unsigned channels;     /* 3 or 4 bytes a pixel */
	unsigned char *pixels; /* owned by the caller, which frees it */
};
bool raster_decode(struct raster *r, const struct bytes *png, char *why, size_t size);
/* To a thumbnail. */
bool raster_shrink(const struct raster *from, struct raster *to, char *why, size_t size);
/* As PNG file. */
bool raster_write(const struct raster *r, const char *path, char *why, size_t size);

/*
 * Paints pictures 1 to `count`, on all CPUs, for the caller to free. Returns false after a message
 * if it fails.
 */
bool pictures_paint(struct bytes *pictures, size_t count);

struct thumbnail_order {
	char from[PATH_BYTES], to[PATH_BYTES];
};

struct thumbnail_result {
	bool made;
	char why[160]; /* why there is none; "": the file was not a PNG file */
};

/* Writes a copy of the PNG file `from`, at most THUMBNAIL_SIDE wide and high, to `to`. */
#define THUMBNAIL_SIDE 160
void thumbnail_make(const struct thumbnail_order *order, struct thumbnail_result *result);

/*
 * The demo's own server: sends each document, all of one MIME type, a tenth of a second after the
 * request. Number NN, from 1, is at /WORD-NN.EXTENSION, with any word: /picture-01.png. The caller
 * owns the documents.
 */
struct server;
int server_start(struct server **s, const struct bytes *documents, size_t count, const char *type, enum fault fault);
unsigned server_port(const struct server *s);
void server_stop(struct server *s);

/* The folder and the files that belong in it. */
struct folder {
	char path[PATH_BYTES / 2];
	bool temporary; /* removed with all its files */
};

bool folder_open(struct folder *d, const struct options *o);
void folder_remove(const struct folder *d, const struct file *file);
void folder_close(struct folder *d);
void file_from_url(struct file *f, size_t index, const struct options *o, const struct folder *d);
void file_from_server(struct file *f, unsigned number, unsigned port, const struct options *o, const struct folder *d);
void thumbnail_path(char path[PATH_BYTES], const struct file *file);

/* Reads the whole file into memory for the caller to free. Returns 0 or a negative errno. */
int file_read(const char *path, struct bytes *content);

/* A file, and its result in the current model. */
struct entry {
	struct file file;
	struct bytes original; /* what the server sends; nothing with --urls */
	struct download_result got;
	bool arrived;
};

/*
 * Downloads all files at once with libcurl's own loop, without Fairlead. Returns the seconds; 0 on
 * failure.
 */
double fetch_all_bare(const struct entry *entries, size_t count);

/* The job downloads everything in one model after another. */
struct album {
	struct result *result;
	const struct model *model;
	struct entry *entries;
	size_t count;
};

int album_run(void *album, const struct model *model, struct run *run);

#endif
