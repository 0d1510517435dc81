/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FETCH_H
#define FETCH_H

/*
 * The parts of a download with libcurl: the setup and the cleanup are the same for every way of
 * waiting.
 */
#include "album.h"
#include <curl/curl.h>

struct multi;

struct fetcher {
	CURL *curl;
	struct multi *multi; /* of the event loop of the calling fiber; NULL: no loop */
	char error[CURL_ERROR_SIZE];
};

struct transfer {
	struct fetcher *fetcher;
	const struct file *file;
	FILE *out;
	int error; /* errno of a failed write */
	struct download_result got;
};

/*
 * Setup and cleanup; the caller makes the transfer, of `f->curl`, between them. Both return 0, or a
 * negative errno with the reason in `why`.
 */
int fetch_begin(struct transfer *t, struct fetcher *f, const struct file *file, char *why, size_t size);
int fetch_end(struct transfer *t, CURLcode code, struct download_result *result, char *why, size_t size);

/*
 * libcurl's multi interface on the event loop of the calling fiber: one a loop, made for its first
 * fetcher and freed with its last. NULL when out of memory.
 */
struct multi *multi_get(void);
void multi_release(struct multi *m);

/* From now on a host gets a few connections at a time, which the transfers share. */
void multi_be_polite(struct multi *m);

/* As curl_easy_perform(), but suspends only the calling fiber. */
CURLcode multi_perform(struct multi *m, CURL *curl);

#endif
