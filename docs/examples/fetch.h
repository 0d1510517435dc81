/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FETCH_H
#define FETCH_H

/* The parts of a download with libcurl: how it is set up and what it leaves behind are the same however it is waited for. */
#include "album.h"
#include <curl/curl.h>

struct multi;

struct fetcher {
	CURL *curl;
	struct multi *multi; /* of the event loop that runs us; NULL: none does */
	char error[CURL_ERROR_SIZE];
};

struct transfer {
	struct fetcher *fetcher;
	const struct file *file;
	FILE *out;
	int error; /* errno of a failed write */
	struct download_result got;
};

/* Between the two lies the transfer itself, of `f->curl`. Both return 0, or a negative errno with the reason in `why`. */
int fetch_begin(struct transfer *t, struct fetcher *f, const struct file *file, char *why, size_t size);
int fetch_end(struct transfer *t, CURLcode code, struct download_result *result, char *why, size_t size);

/*
 * libcurl's multi interface, hosted on the event loop that the calling fiber runs on: one a loop, made for its first fetcher
 * and freed with its last. NULL when out of memory.
 */
struct multi *multi_get(void);
void multi_release(struct multi *m);

/* From now on a host gets a few connections at a time, and the transfers share them. */
void multi_be_polite(struct multi *m);

/* As curl_easy_perform(), but it suspends the calling fiber alone. */
CURLcode multi_perform(struct multi *m, CURL *curl);

#endif
