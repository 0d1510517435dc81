/* SPDX-License-Identifier: BSD-2-Clause */
/* Downloads one file with libcurl, and reports the reason of a failure. */
#include "fetch.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes a second; a slower transfer for the length of the timeout is a stall. */
#define SLOWEST 1024

uint64_t digest_add(uint64_t digest, const void *data, size_t size)
{
	const unsigned char *bytes = data;
	for (size_t i = 0; i < size; i++)
		digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
	return digest;
}

static size_t receive(char *data, size_t one, size_t size, void *user)
{
	struct transfer *t = user;
	if (fwrite(data, one, size, t->out) != size) {
		t->error = errno;
		return 0;
	}
	t->got.digest = digest_add(t->got.digest, data, size);
	t->got.size += size;
	return size;
}

static int initialize(void *unused)
{
	(void)unused;
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
}

int fetch_prepare(void)
{
	static fl_once prepared = FL_ONCE_INIT;
	return fl_once_call(&prepared, initialize, NULL);
}

/* Called once a second or more often: 1 ends the transfer. */
static int give_up(void *user, curl_off_t total, curl_off_t got, curl_off_t to_send, curl_off_t sent)
{
	(void)user, (void)total, (void)got, (void)to_send, (void)sent;
	return fl_cancel_token_is_requested(NULL) ? 1 : 0;
}

/* The options that are the same for every file. */
static bool configure(struct fetcher *f)
{
	CURL *c = f->curl;
	return curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_ERRORBUFFER, f->error) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, (long)SLOWEST) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERAGENT, "fairlead-demo/" FL_VERSION) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, receive) == CURLE_OK &&
	       /* a thread that waits in libcurl observes its cancel scope, too */
	       (f->multi != NULL || (curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
	                             curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, give_up) == CURLE_OK));
}

struct fetcher *fetcher_create(void)
{
	struct fetcher *f = calloc(1, sizeof *f);
	if (f == NULL)
		return NULL;
	f->curl = curl_easy_init();
	bool on_loop = fl_fiber_current() != NULL;
	if (on_loop)
		f->multi = multi_get();
	if (f->curl != NULL && (f->multi != NULL || !on_loop) && configure(f))
		return f;
	fetcher_free(f);
	return NULL;
}

void fetcher_free(void *fetcher)
{
	struct fetcher *f = fetcher;
	if (f == NULL)
		return;
	curl_easy_cleanup(f->curl);
	if (f->multi != NULL)
		multi_release(f->multi);
	free(f);
}

static CURLcode set_up(struct transfer *t)
{
	CURL *c = t->fetcher->curl;
	long timeout = (long)t->file->timeout;
	CURLcode code = curl_easy_setopt(c, CURLOPT_URL, t->file->url);
	if (code == CURLE_OK)
		code = curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
	if (code == CURLE_OK)
		code = curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, timeout);
	if (code == CURLE_OK)
		code = curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, timeout);
	if (code == CURLE_OK && t->file->own)
		code = curl_easy_setopt(c, CURLOPT_PROXY, "");
	return code;
}

static int error_of(CURLcode code)
{
	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_ABORTED_BY_CALLBACK:
		return -ECANCELED;
	default:
		return -EIO;
	}
}

/* Returns 0, or a negative errno with the reason in `why`. */
static int transfer_close(struct transfer *t, CURLcode code, const char *where, char *why, size_t size)
{
	const char *error = t->fetcher->error;
	if (fclose(t->out) != 0 && t->error == 0)
		t->error = errno;
	if (t->error != 0)
		(void)snprintf(why, size, "cannot write '%s': %s", where, strerror(t->error));
	else if (code != CURLE_OK)
		(void)snprintf(why, size, "%s%s", code == CURLE_OPERATION_TIMEDOUT ? "stalled: " : "",
		               error[0] != '\0' ? error : curl_easy_strerror(code));
	if (t->error != 0)
		return -t->error;
	return code == CURLE_OK ? 0 : error_of(code);
}

static int undo(const struct transfer *t, int rc)
{
	(void)unlink(t->file->path);
	return rc;
}

int fetch_begin(struct transfer *t, struct fetcher *f, const struct file *file, char *why, size_t size)
{
	*t = (struct transfer){.fetcher = f, .file = file, .out = fopen(file->path, "wbe"), .got.digest = DIGEST_START};
	if (t->out == NULL) {
		int error = errno;
		(void)snprintf(why, size, "cannot create '%s': %s", file->path, strerror(error));
		return -error;
	}
	f->error[0] = '\0';
	CURLcode code = set_up(t);
	return code == CURLE_OK ? 0 : undo(t, transfer_close(t, code, file->path, why, size));
}

int fetch_end(struct transfer *t, CURLcode code, struct download_result *result, char *why, size_t size)
{
	int rc = transfer_close(t, code, t->file->path, why, size);
	if (rc != 0)
		return undo(t, rc);
	*result = t->got;
	return 0;
}

static CURLcode perform(struct transfer *t)
{
	struct fetcher *f = t->fetcher;
	if (f->multi != NULL && !t->file->own)
		multi_be_polite(f->multi);
	return f->multi != NULL ? multi_perform(f->multi, f->curl) : curl_easy_perform(f->curl);
}

int fetch(struct fetcher *f, const struct file *file, struct download_result *result, char *why, size_t size)
{
	struct transfer t;
	int rc = fetch_begin(&t, f, file, why, size);
	return rc == 0 ? fetch_end(&t, perform(&t), result, why, size) : rc;
}

int fetch_to_memory(struct fetcher *f, const struct file *file, struct bytes *content, char *why, size_t size)
{
	char *data = NULL;
	size_t length = 0;
	struct transfer t = {.fetcher = f, .file = file, .out = open_memstream(&data, &length)};
	if (t.out == NULL) {
		(void)snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	f->error[0] = '\0';
	CURLcode code = set_up(&t);
	if (code == CURLE_OK)
		code = perform(&t);
	int rc = transfer_close(&t, code, "into memory", why, size);
	if (rc == 0)
		*content = (struct bytes){(unsigned char *)data, length};
	else
		free(data);
	return rc;
}
