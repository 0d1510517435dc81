/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fetches pages, five at a time on threads, then on a loop: fairlead-pages URL...
 * The result of each is a text or an error; a failure ends no other fetch. curl_easy_perform()
 * blocks its thread, so the fibers of the loop call it by fl_blocking_call(), whose threads limit
 * how many fetches run at once. fetch_async.c has no such limit.
 */
#include <curl/curl.h>
#include <fairlead.h>
#include <stdio.h>

static size_t keep(char *data, size_t one, size_t n, void *page)
{
	return fl_bytes_append(page, data, one * n) == 0 ? n : 0;
}

static int perform(void *curl)
{
	return (int)curl_easy_perform(curl);
}

FL_TASK(fetch, fl_bytes, fl_bytes) /* an URL; its page */
{
	int code = CURLE_FAILED_INIT;
	CURL *curl = curl_easy_init();
	curl_easy_setopt(curl, CURLOPT_URL, arg->data);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, result);
	const int rc = fl_fiber_current() ? fl_blocking_call(perform, curl, &code) : (code = perform(curl), 0);
	curl_easy_cleanup(curl);
	return code == CURLE_OK || rc != 0 ? rc : fl_task_fail(ctx, -EIO, "%s", curl_easy_strerror((CURLcode)code));
}

static int show_all(fl_executor *pool, const fl_bytes *urls, char **names, size_t n)
{
	FL_SCOPED(fl_imap) *it = NULL;
	size_t i = 0;
	int rc = fetch_imap(pool, urls, n, &it, NULL);
	while (rc == 0 || rc == FL_ETASK) {
		FL_SCOPED(fl_bytes) page = {0};
		rc = fetch_imap_next(it, &i, &page);
		if (rc == 0)
			printf("%s %zu bytes\n", names[i], page.size);
		else if (rc == FL_ETASK)
			printf("%s %s\n", names[i], fl_imap_message(it));
	}
	return rc == -ENODATA ? 0 : rc;
}

int main(int argc, char **argv)
{
	FL_SCOPED(fl_bytes) urls = {0};
	FL_SCOPED(fl_executor) *threads = NULL, *loop = NULL;
	int rc = curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK ? 0 : -EIO;
	for (int i = 1; rc == 0 && i < argc; i++) {
		const fl_bytes url = fl_bytes_of_text(argv[i]);
		rc = fl_bytes_append(&urls, &url, sizeof url);
	}
	if (rc == 0)
		rc = fl_thread_executor_create(&threads, &(fl_executor_config){.workers = 5});
	if (rc == 0)
		rc = show_all(threads, urls.data, argv + 1, FL_BYTES_COUNT(fl_bytes, urls));
	if (rc == 0)
		rc = fl_loop_executor_create(&loop, NULL);
	if (rc == 0)
		rc = show_all(loop, urls.data, argv + 1, FL_BYTES_COUNT(fl_bytes, urls));
	return rc == 0 ? 0 : fl_perror(rc, "pages");
}
