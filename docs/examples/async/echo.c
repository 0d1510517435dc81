/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo: a server that sends back what it receives, line by line, to any number of clients.
 *
 *   echo [PORT]
 *
 * The port is 7000, or PORT; with 0 the system chooses it. You can try `nc 127.0.0.1 7000`.
 *
 * Each client has a task of straight-line code; while it waits, the other tasks run. An error of
 * one client ends only its own task.
 */
#include <errno.h>
#include <fairlead.h>
#include <stdio.h>
#include <stdlib.h>

static int serve(void *client)
{
	FL_SCOPED(fl_stream) *s = client; /* closed when this function returns */
	char line[4096];
	ssize_t n;
	int rc = 0;
	while (rc == 0 && (n = fl_stream_read_line_until(s, line, sizeof line, fl_after(FL_S(30)), NULL)) > 0)
		rc = fl_stream_write(s, line, (size_t)n);
	/* Disconnected, silent for 30 s, or a line that is too long: the other clients continue. */
	return 0;
}

/* No descriptors or no memory now. A client that leaves will release some. */
static int for_now(int rc)
{
	return rc == -EMFILE || rc == -ENFILE || rc == -ENOMEM || rc == -ENOSPC;
}

static int server(void *arg)
{
	const uint16_t *port = arg;
	FL_SCOPED(fl_listener) *l = NULL;
	int rc = fl_listener_open_tcp(&l, "127.0.0.1", *port, NULL);
	if (rc != 0)
		return rc;
	printf("listening on 127.0.0.1:%u\n", (unsigned)fl_listener_port(l));
	(void)fflush(stdout);

	FL_SCOPED(fl_group) clients = FL_GROUP_INIT(NULL);
	while (rc == 0) {
		fl_stream *s = NULL;
		rc = fl_listener_accept(l, &s);
		if (rc == 0)
			rc = fl_group_start(&clients, serve, s);
		if (rc != 0)
			fl_stream_free(s);
		if (for_now(rc))
			rc = fl_sleep(FL_MS(100));
	}
	fl_group_cancel(&clients);
	if (fl_group_join(&clients) != 0)
		rc = fl_group_error(&clients);
	return rc;
}

int main(int argc, char **argv)
{
	uint16_t port = argc > 1 ? (uint16_t)atoi(argv[1]) : 7000;
	int rc = fl_loop_run(server, &port);
	return rc == 0 ? 0 : fl_perror(rc, "echo");
}
