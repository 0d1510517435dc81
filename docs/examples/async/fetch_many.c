/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch_many: gets many pages at once, each with its own time limit, and names the pages that
 * exceeded it.
 *
 *   fetch_many [--timeout MILLISECONDS] [http://HOST[:PORT]/PATH...]
 *
 * Without a URL it asks a server of its own, which does not answer every fifth request. It speaks
 * HTTP/1.0 without TLS; a real program runs libcurl on the loop, as ../fetch_async.c does.
 *
 * The limit is a scope. Between fl_timeout_begin() and fl_timeout_end() every wait ends in time,
 * also the lookup of the name and the connection, and get() needs no code for it.
 */
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWN_PAGES 20
#define HOST_BYTES 256
#define PATH_BYTES 1024

struct page {
	char host[HOST_BYTES], path[PATH_BYTES];
	uint16_t port;
	int64_t timeout;
	int rc, status;
	size_t bytes;
	double seconds;
};

struct job {
	struct page *pages;
	size_t count;
	bool own_server;
};

static int ask(fl_stream *s, const struct page *p)
{
	char request[HOST_BYTES + PATH_BYTES + 64];
	int n = snprintf(request, sizeof request, "GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n", p->path, p->host);
	return fl_stream_write(s, request, (size_t)n);
}

/* Skips the head up to the empty line, and returns the status. */
static int read_head(fl_stream *s, int *status)
{
	char line[4096];
	ssize_t n = fl_stream_read_line(s, line, sizeof line);
	if (n > 0 && sscanf(line, "HTTP/%*d.%*d %d", status) != 1)
		return -EPROTO;
	while (n > 0 && strcmp(line, "\r\n") != 0)
		n = fl_stream_read_line(s, line, sizeof line);
	return n > 0 ? 0 : n < 0 ? (int)n : -EPROTO;
}

static int get(struct page *p)
{
	FL_SCOPED(fl_stream) *s = NULL;
	int rc = fl_stream_connect_tcp(&s, p->host, p->port);
	if (rc == 0)
		rc = ask(s, p);
	if (rc == 0)
		rc = read_head(s, &p->status);
	char body[4096];
	ssize_t n = rc;
	while (rc == 0 && (n = fl_stream_read_some(s, body, sizeof body)) > 0)
		p->bytes += (size_t)n;
	return (int)n;
}

static int fetch(void *arg)
{
	struct page *p = arg;
	fl_time start = fl_now();
	fl_timeout limit = FL_TIMEOUT_INIT;
	fl_timeout_begin(&limit, fl_time_add(start, p->timeout));
	p->rc = get(p);
	p->rc = fl_timeout_end(&limit, p->rc); /* -ETIMEDOUT if the limit has expired */
	p->seconds = (double)fl_time_diff(fl_now(), start) / 1e9;
	return 0; /* an error would cancel the other tasks */
}

/* The server. */

static int answer(void *client)
{
	FL_SCOPED(fl_stream) *s = client;
	char line[1024];
	int number = -1;
	ssize_t n = fl_stream_read_line(s, line, sizeof line);
	if (n <= 0 || sscanf(line, "GET /%d ", &number) != 1)
		return 0;
	int rc = number % 5 == 4 ? fl_sleep_until(FL_FOREVER, NULL) : fl_sleep(FL_MS(20));
	if (rc == 0) {
		int size = snprintf(line, sizeof line, "HTTP/1.0 200 OK\r\n\r\nThis is page %d.\n", number);
		rc = fl_stream_write(s, line, (size_t)size);
	}
	return rc == -ECANCELED ? rc : 0;
}

static int serve(void *listener)
{
	FL_SCOPED(fl_group) clients = FL_GROUP_INIT(NULL);
	fl_stream *s;
	int rc;
	while ((rc = fl_listener_accept(listener, &s)) == 0) {
		rc = fl_group_start(&clients, answer, s);
		if (rc == 0)
			continue;
		fl_stream_free(s);
		break;
	}
	fl_group_cancel(&clients);
	if (fl_group_join(&clients) != 0)
		rc = fl_group_error(&clients);
	return rc;
}

/* The client. */

static void report(const struct page *p)
{
	printf("http://%s:%u/%-12s ", p->host, (unsigned)p->port, p->path);
	if (p->rc == -ETIMEDOUT)
		printf("timed out after %.3f s\n", p->seconds);
	else if (p->rc != 0)
		printf("%s\n", fl_error_text(p->rc));
	else
		printf("%d, %zu bytes, %.3f s\n", p->status, p->bytes, p->seconds);
}

static int fetch_all(struct job *job)
{
	size_t came = 0, late = 0;
	fl_time start = fl_now();
	FL_SCOPED(fl_group) all = FL_GROUP_INIT(NULL);
	int rc = 0;
	for (size_t i = 0; i < job->count && rc == 0; i++)
		rc = fl_group_start(&all, fetch, &job->pages[i]);
	if (fl_group_join(&all) != 0)
		rc = fl_group_error(&all);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < job->count; i++) {
		report(&job->pages[i]);
		came += job->pages[i].rc == 0;
		late += job->pages[i].rc == -ETIMEDOUT;
	}
	printf("%zu pages came, %zu timed out, %zu failed, in %.3f s\n", came, late, job->count - came - late,
	       (double)fl_time_diff(fl_now(), start) / 1e9);
	return 0;
}

static int run(void *arg)
{
	struct job *job = arg;
	if (!job->own_server)
		return fetch_all(job);
	FL_SCOPED(fl_listener) *l = NULL;
	FL_SCOPED(fl_fiber) *server = NULL; /* cancelled and joined when the scope ends */
	int rc = fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL);
	for (size_t i = 0; i < job->count && rc == 0; i++)
		job->pages[i].port = fl_listener_port(l);
	if (rc == 0)
		rc = fl_fiber_start(&server, serve, l, NULL);
	return rc == 0 ? fetch_all(job) : rc;
}

static bool page_from_url(struct page *p, const char *url)
{
	int port = 80, used = 0;
	if (sscanf(url, "http://%255[^:/]%n", p->host, &used) != 1)
		return false;
	url += used;
	if (sscanf(url, ":%5d%n", &port, &used) == 1)
		url += used;
	(void)snprintf(p->path, sizeof p->path, "%s", *url == '/' ? url + 1 : url);
	p->port = (uint16_t)port;
	return port > 0 && port < 65536 && (*url == '/' || *url == '\0') && strlen(url) < sizeof p->path;
}

static bool list_pages(struct job *job, char **urls)
{
	for (size_t i = 0; i < job->count; i++) {
		struct page *p = &job->pages[i];
		if (job->own_server) {
			(void)snprintf(p->host, sizeof p->host, "127.0.0.1");
			(void)snprintf(p->path, sizeof p->path, "%zu", i);
		} else if (!page_from_url(p, urls[i])) {
			fprintf(stderr, "fetch_many: not a URL of the form http://HOST[:PORT]/PATH: %s\n", urls[i]);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	int64_t timeout = FL_MS(500);
	int first = 1;
	if (argc > 2 && strcmp(argv[1], "--timeout") == 0) {
		timeout = FL_MS(atoi(argv[2]));
		first = 3;
	}
	struct job job = {.own_server = argc == first};
	job.count = job.own_server ? OWN_PAGES : (size_t)(argc - first);
	job.pages = calloc(job.count, sizeof *job.pages);
	int rc = job.pages != NULL ? 0 : -ENOMEM, status = 2;
	for (size_t i = 0; i < job.count && rc == 0; i++)
		job.pages[i].timeout = timeout;
	if (rc == 0 && list_pages(&job, argv + first)) {
		rc = fl_loop_run(run, &job);
		status = 0;
	}
	free(job.pages);
	return rc != 0 ? fl_perror(rc, "fetch_many") : status;
}
