/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tls_client: sends lines to a server on this machine over TLS, and prints what comes back.
 *
 *   tls_client PORT FILE HOST [--timeout MILLISECONDS] [LINE...]
 *
 * Trusts the certificates in FILE and no others. The server's certificate must be for HOST. All
 * that the program does must be over within the timeout (10,000).
 */
#include "tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
	SSL_CTX *context;
	uint16_t port;
	const char *host;
	char **lines;
	fl_time deadline;
};

/* Sends a line, and reads as many bytes back. */
static int send_line(tls *t, const struct job *job, const char *text)
{
	char line[1024];
	const size_t size = (size_t)snprintf(line, sizeof line, "%s\n", text);
	if (size >= sizeof line)
		return -EMSGSIZE;
	int rc = tls_write(t, line, size, job->deadline);
	for (size_t got = 0; rc == 0 && got < size;) {
		const ssize_t n = tls_read(t, line, size - got, job->deadline);
		if (n <= 0)
			return n < 0 ? (int)n : -EPIPE;
		(void)fwrite(line, 1, (size_t)n, stdout);
		got += (size_t)n;
	}
	return rc;
}

static int talk(tls *t, const struct job *job)
{
	int rc = tls_handshake(t, job->deadline);
	for (char **line = job->lines; rc == 0 && *line; line++)
		rc = send_line(t, job, *line);
	return rc != 0 ? rc : tls_shutdown(t, job->deadline);
}

static int client(void *arg)
{
	const struct job *job = arg;
	FL_SCOPED(fl_stream) *s = NULL;
	tls t;
	int rc = fl_stream_connect_tcp_until(&s, "127.0.0.1", job->port, job->deadline, NULL);
	if (rc == 0)
		rc = tls_open(&t, job->context, s, job->host);
	if (rc != 0)
		return fl_perror(rc, "tls_client");
	rc = talk(&t, job);
	if (rc != 0)
		(void)fprintf(stderr, "tls_client: %s\n", tls_error_text(&t, rc));
	tls_close(&t);
	return rc != 0;
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		(void)fprintf(stderr, "usage: tls_client PORT FILE HOST [--timeout MILLISECONDS] [LINE...]\n");
		return 2;
	}
	struct job job = {.context = SSL_CTX_new(TLS_client_method()),
	                  .port = (uint16_t)atoi(argv[1]),
	                  .host = argv[3],
	                  .lines = argv + 4,
	                  .deadline = fl_after(FL_S(10))};
	if (argc > 5 && strcmp(argv[4], "--timeout") == 0) {
		job.deadline = fl_after(FL_MS(atoi(argv[5])));
		job.lines = argv + 6;
	}
	if (!job.context || SSL_CTX_load_verify_locations(job.context, argv[2], NULL) != 1) {
		(void)fprintf(stderr, "tls_client: no certificates in %s\n", argv[2]);
		SSL_CTX_free(job.context);
		return 1;
	}
	SSL_CTX_set_verify(job.context, SSL_VERIFY_PEER, NULL);
	int rc = fl_loop_run(client, &job);
	SSL_CTX_free(job.context);
	return rc < 0 ? fl_perror(rc, "tls_client") : rc;
}
