/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * udp_echo: a server that sends back each datagram to its sender.
 *
 *     udp_echo [PORT]        UDP port 7000, unless another is named; 0: the system chooses.
 *                            Try: nc -u 127.0.0.1 7000
 *     udp_echo PATH          a Unix socket, if the argument contains a slash
 *
 * A fiber receives several datagrams at a time, if so many have come, and sends as many back. An
 * error of one client does not stop the server. A second fiber waits for Ctrl-C, closes the socket,
 * and with that ends the first.
 */
#include <errno.h>
#include <fairlead.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 16, SIZE = 2048 };

/* Sends all; what cannot be sent to one client is left out. */
static int send_back(fl_datagram *d, fl_datagram_message *list, unsigned n)
{
	unsigned done = 0, sent;
	while (done < n) {
		int rc = fl_datagram_send_many_until(d, list + done, n - done, &sent, fl_after(FL_S(1)), NULL);
		if (rc == -EPIPE || rc == -ECANCELED)
			return rc;
		done += sent + (rc != 0);
	}
	return 0;
}

static int serve(fl_datagram *d)
{
	static char buffers[BATCH][SIZE];
	fl_datagram_message list[BATCH];
	for (;;) {
		for (int i = 0; i < BATCH; i++)
			list[i] = (fl_datagram_message){.data = buffers[i], .size = SIZE};
		int n = fl_datagram_receive_many(d, list, BATCH);
		if (n < 0)
			return n;
		unsigned kept = 0;
		for (int i = 0; i < n; i++) {
			if (list[i].lost > 0 || list[i].address.size == 0)
				continue; /* truncated; or there is no way back to a sender without a name */
			list[kept] = list[i];
			list[kept++].size = list[i].received;
		}
		int rc = send_back(d, list, kept);
		if (rc != 0)
			return rc;
	}
}

struct server {
	const char *at;
	fl_signals *signals;
	fl_datagram *socket;
};

static int wait_for_the_end(void *arg)
{
	struct server *s = arg;
	int signal = fl_signals_wait(s->signals);
	if (signal > 0)
		fl_datagram_close(s->socket);
	return 0;
}

static int server(void *arg)
{
	struct server *s = arg;
	FL_SCOPED(fl_datagram) *d = NULL;
	FL_SCOPED(fl_fiber) *ender = NULL; /* cancelled and joined before the socket is freed */
	fl_address a;
	char text[FL_ADDRESS_TEXT_SIZE];
	int rc = strchr(s->at, '/') ? fl_datagram_open_unix(&d, s->at)
	                            : fl_datagram_open_udp(&d, "127.0.0.1", (uint16_t)atoi(s->at), NULL);
	if (rc == 0)
		rc = fl_datagram_local_address(d, &a);
	if (rc == 0)
		rc = fl_address_text(&a, text, sizeof text);
	if (rc != 0)
		return rc;
	s->socket = d;
	rc = fl_fiber_start(&ender, wait_for_the_end, s, NULL);
	if (rc != 0)
		return rc;
	printf("receives at %s\n", text);
	(void)fflush(stdout);
	rc = serve(d);
	return rc == -EPIPE ? 0 : rc; /* closed */
}

int main(int argc, char **argv)
{
	static const int ends[] = {SIGINT, SIGTERM};
	struct server s = {.at = argc > 1 ? argv[1] : "7000"};
	int rc = fl_signals_create(&s.signals, ends, 2);
	if (rc == 0)
		rc = fl_loop_run(server, &s);
	(void)fflush(stdout);
	while (s.signals && fl_signals_try_wait(s.signals) > 0)
		; /* a further Ctrl-C: the free would deliver it */
	fl_signals_free(s.signals);
	return rc == 0 ? 0 : fl_perror(rc, "udp_echo");
}
