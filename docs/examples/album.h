/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef ALBUM_H
#define ALBUM_H

/* The parts of the album: its server, its pictures, its files, and the fetching of one of them. */
#include "demo.h"

#define ALBUM_PICTURES 40
#define ALBUM_WORKERS 5 /* as in the classic example */
#define ALBUM_AT_ONCE                                                                                                  \
	200 /* on an event loop: a file and a connection each, of 1,024 descriptors that a process often has */
#define ALBUM_FAULTY 7 /* the number of the picture, or page, that --fault spoils, from 1 */

#define NAME_BYTES 128
#define PATH_BYTES 1024
#define URL_BYTES 2048

/*
 * A file to download. Plain bytes without pointers, so that it is a task's argument on any executor, also one whose
 * workers do not share our memory.
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
 * A curl handle, which keeps its connection from one file to the next. For one thread; made in a fiber, for that fiber, which
 * alone waits then. NULL when out of memory.
 */
struct fetcher;
struct fetcher *fetcher_create(void);
void fetcher_free(void *fetcher);

/* The calling context's own one, made by its first call; ends with the context. NULL when out of memory. */
struct fetcher *fetcher_get(void);

/* Downloads `file`. Returns 0, or a negative errno with the reason in `why`; nothing is left at its path then. */
int fetch(struct fetcher *f, const struct file *file, struct download_result *result, char *why, size_t size);

/* Paints picture `number` and encodes it as PNG, in memory for the caller to free. Returns 0, -ENOMEM, -EIO. */
int picture_paint(unsigned number, struct bytes *png);

/* Downloads `file` into memory, for the caller to free, and writes nothing. Else as fetch(). */
int fetch_to_memory(struct fetcher *f, const struct file *file, struct bytes *content, char *why, size_t size);

/* A picture that is decoded. Each of these returns false with the reason in `why`, and leaves nothing to free. */
struct raster {
	uint32_t width, height;
	unsigned channels;     /* 3 or 4 bytes a pixel */
	unsigned char *pixels; /* for whoever has it to free */
};
bool raster_decode(struct raster *r, const struct bytes *png, char *why, size_t size);
bool raster_shrink(const struct raster *from, struct raster *to, char *why, size_t size); /* to a thumbnail */
bool raster_write(const struct raster *r, const char *path, char *why, size_t size);      /* as PNG file */

/* Paints pictures 1 to `count`, on all CPUs, for the caller to free. Returns false, and has complained, when it cannot. */
bool pictures_paint(struct bytes *pictures, size_t count);

struct thumbnail_order {
	char from[PATH_BYTES], to[PATH_BYTES];
};

struct thumbnail_result {
	bool made;
	char why[160]; /* when it was not made; "" where there was nothing to do: not a PNG file */
};

/* Writes a copy of the PNG file `from`, at most THUMBNAIL_SIDE wide and high, to `to`. */
#define THUMBNAIL_SIDE 160
void thumbnail_make(const struct thumbnail_order *order, struct thumbnail_result *result);

/*
 * The demo's own server: each of the documents, which are of one MIME type, a tenth of a second after it was asked for. Number
 * NN, from 1, is at /WORD-NN.EXTENSION, whatever the word: /picture-01.png. They stay the caller's.
 */
struct server;
int server_start(struct server **s, const struct bytes *documents, size_t count, const char *type, enum fault fault);
unsigned server_port(const struct server *s);
void server_stop(struct server *s);

/* The folder and the files that belong in it. */
struct folder {
	char path[PATH_BYTES / 2];
	bool temporary; /* goes away with all its files */
};

bool folder_open(struct folder *d, const struct options *o);
void folder_remove(const struct folder *d, const struct file *file);
void folder_close(struct folder *d);
void file_from_url(struct file *f, size_t index, const struct options *o, const struct folder *d);
void file_from_server(struct file *f, unsigned number, unsigned port, const struct options *o, const struct folder *d);
void thumbnail_path(char path[PATH_BYTES], const struct file *file);

/* Reads the whole file into memory for the caller to free. Returns 0 or a negative errno. */
int file_read(const char *path, struct bytes *content);

/* A file, and what became of it in the model that runs now. */
struct entry {
	struct file file;
	struct bytes original; /* what the server sends; nothing with --urls */
	struct download_result got;
	bool arrived;
};

/* Downloads all files at once with libcurl's own loop and nothing of ours: the seconds that takes; 0: it failed. */
double fetch_all_bare(const struct entry *entries, size_t count);

/* The job: everything is there, and is now downloaded in one model after the other. */
struct album {
	struct result *result;
	const struct model *model;
	struct entry *entries;
	size_t count;
};

int album_run(void *album, const struct model *model, struct run *run);

#endif
