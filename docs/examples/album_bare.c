/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reference for the album: the least time that the downloads take here, with libcurl's own loop
 * and without Fairlead. All files are in flight at once, with the same handles, files and digests.
 */
#include "fetch.h"
#include <stdlib.h>

struct download {
	struct fetcher *fetcher;
	struct transfer transfer;
	bool added;
};

static bool begin(CURLM *multi, struct download *d, const struct file *file)
{
	char why[FL_MESSAGE_MAX];
	d->fetcher = fetcher_create();
	if (d->fetcher == NULL || fetch_begin(&d->transfer, d->fetcher, file, why, sizeof why) != 0)
		return false;
	d->added = curl_easy_setopt(d->fetcher->curl, CURLOPT_PRIVATE, d) == CURLE_OK &&
	           curl_multi_add_handle(multi, d->fetcher->curl) == CURLM_OK;
	return d->added;
}

static void end(CURLM *multi, struct download *d, CURLcode code, bool *good)
{
	char why[FL_MESSAGE_MAX];
	struct download_result got;
	(void)curl_multi_remove_handle(multi, d->fetcher->curl);
	*good = fetch_end(&d->transfer, code, &got, why, sizeof why) == 0 && *good;
	d->added = false;
}

static void end_those_done(CURLM *multi, bool *good)
{
	CURLMsg *message;
	int left;
	while ((message = curl_multi_info_read(multi, &left)) != NULL) {
		struct download *d = NULL;
		if (message->msg == CURLMSG_DONE &&
		    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&d) == CURLE_OK)
			end(multi, d, message->data.result, good);
	}
}

static bool download_all(CURLM *multi, struct download *downloads, const struct entry *entries, size_t count)
{
	bool good = true;
	for (size_t i = 0; i < count && good; i++)
		good = begin(multi, &downloads[i], &entries[i].file);
	int running = 1;
	while (good && running > 0) {
		good = curl_multi_perform(multi, &running) == CURLM_OK;
		end_those_done(multi, &good);
		if (good && running > 0)
			good = curl_multi_poll(multi, NULL, 0, 1000, NULL) == CURLM_OK;
	}
	return good;
}

static double timed(CURLM *multi, struct download *downloads, const struct entry *entries, size_t count)
{
	fl_time start = fl_now();
	bool good = download_all(multi, downloads, entries, count);
	double seconds = (double)fl_time_diff(fl_now(), start) / 1e9;
	for (size_t i = 0; i < count; i++) {
		if (downloads[i].added)
			end(multi, &downloads[i], CURLE_ABORTED_BY_CALLBACK, &good);
		fetcher_free(downloads[i].fetcher);
	}
	return good ? seconds : 0;
}

double fetch_all_bare(const struct entry *entries, size_t count)
{
	struct download *downloads = calloc(count, sizeof *downloads);
	CURLM *multi = curl_multi_init();
	double seconds = downloads != NULL && multi != NULL ? timed(multi, downloads, entries, count) : 0;
	(void)curl_multi_cleanup(multi);
	free(downloads);
	return seconds;
}
