/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ten scenarios of Fairlead's event loop with sockets. The model plays the kernel: epoll, eventfd
 * and the sockets. The argument chooses the scenario:
 *
 *     fairlead-stress loop_sockets.c -lck -- 3
 */
#include <assert.h>
#include <errno.h>
#include <fairlead/cancel.h>
#include <fairlead/event.h>
#include <fairlead/loop.h>
#include <fairlead/net.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static fl_stream *ends[2];
static fl_cancel_token token;
static fl_event posted;
static int peer;

/* Sends back what comes, until the end. */
static int echo(void *stream)
{
	char bytes[4];
	for (ssize_t n; (n = fl_stream_read_some(stream, bytes, sizeof bytes)) > 0;)
		assert(fl_stream_write(stream, bytes, (size_t)n) == 0);
	fl_stream_free(stream);
	return 0;
}

static void ask(fl_stream *s, const char *text)
{
	char back[8];
	const size_t size = strlen(text);
	assert(fl_stream_write(s, text, size) == 0);
	assert(fl_stream_read_exactly(s, back, size) == (ssize_t)size && memcmp(back, text, size) == 0);
}

static int two_fibers(void *arg)
{
	fl_fiber *f;
	(void)arg;
	assert(fl_stream_pair(ends) == 0 && fl_fiber_start(&f, echo, ends[1], NULL) == 0);
	ask(ends[0], "ab");
	fl_stream_free(ends[0]);
	return fl_fiber_join(f, NULL);
}

static int serve_one(void *listener)
{
	fl_stream *s;
	assert(fl_listener_accept(listener, &s) == 0);
	return echo(s);
}

static int over_tcp(void *arg)
{
	fl_listener *l;
	fl_fiber *f;
	fl_stream *s;
	(void)arg;
	assert(fl_listener_open_tcp(&l, "127.0.0.1", 0, NULL) == 0);
	assert(fl_fiber_start(&f, serve_one, l, NULL) == 0);
	assert(fl_stream_connect_tcp(&s, "127.0.0.1", fl_listener_port(l)) == 0);
	ask(s, "ab");
	fl_stream_free(s);
	const int rc = fl_fiber_join(f, NULL);
	fl_listener_free(l);
	return rc;
}

/* What the other fiber has not sent back by then arrives after the client has closed its half. */
static int half_close(void *arg)
{
	char back[4];
	fl_fiber *f;
	(void)arg;
	assert(fl_stream_pair(ends) == 0 && fl_fiber_start(&f, echo, ends[1], NULL) == 0);
	assert(fl_stream_write(ends[0], "ab", 2) == 0 && fl_stream_close_write(ends[0]) == 0);
	assert(fl_stream_read_exactly(ends[0], back, 2) == 2 && fl_stream_read_some(ends[0], back, 1) == 0);
	fl_stream_free(ends[0]);
	return fl_fiber_join(f, NULL);
}

/*
 * For the scenarios with a thread. One end belongs to the loop. The other end belongs to the
 * thread, and blocks.
 */
static fl_stream *end_of_loop(void)
{
	int two[2];
	fl_stream *s;
	assert(socketpair(AF_UNIX, SOCK_STREAM, 0, two) == 0 && fl_stream_from_fd(&s, two[0]) == 0);
	peer = two[1];
	return s;
}

static void start(pthread_t *t, void *(*run)(void *), void *arg)
{
	assert(pthread_create(t, NULL, run, arg) == 0);
}

static void *send_and_end(void *arg)
{
	assert(send(peer, "abc", 3, 0) == 3 && close(peer) == 0);
	return arg;
}

static int from_a_thread(void *arg)
{
	char bytes[4];
	pthread_t t;
	fl_stream *s = end_of_loop();
	start(&t, send_and_end, arg);
	assert(fl_stream_read_exactly(s, bytes, 3) == 3 && memcmp(bytes, "abc", 3) == 0);
	assert(fl_stream_read_some(s, bytes, 1) == 0);
	fl_stream_free(s);
	return pthread_join(t, NULL);
}

static void *echo_by_thread(void *arg)
{
	char byte;
	while (recv(peer, &byte, 1, 0) == 1)
		assert(send(peer, &byte, 1, 0) == 1);
	assert(close(peer) == 0);
	return arg;
}

static int to_a_thread(void *arg)
{
	pthread_t t;
	fl_stream *s = end_of_loop();
	start(&t, echo_by_thread, arg);
	ask(s, "ab");
	fl_stream_free(s);
	return pthread_join(t, NULL);
}

static int deadline(void *arg)
{
	char byte, rest[2];
	pthread_t t;
	fl_stream *s = end_of_loop();
	start(&t, send_and_end, arg);
	const ssize_t n = fl_stream_read_some_until(s, &byte, 1, fl_after(FL_MS(5)), NULL);
	assert(n == 1 || n == -ETIMEDOUT);
	if (n < 0)
		assert(fl_stream_read_some(s, &byte, 1) == 1);
	assert(byte == 'a' && fl_stream_read_exactly(s, rest, 2) == 2);
	fl_stream_free(s);
	return pthread_join(t, NULL);
}

static void *request(void *arg)
{
	fl_cancel_token_request(&token);
	return arg;
}

static int cancelled(void *arg)
{
	char byte;
	pthread_t t;
	fl_stream *s = end_of_loop();
	fl_cancel_token_init(&token, NULL, FL_FOREVER);
	start(&t, request, arg);
	assert(fl_stream_read_some_until(s, &byte, 1, FL_FOREVER, &token) == -ECANCELED);
	assert(pthread_join(t, NULL) == 0);
	fl_cancel_token_destroy(&token);
	fl_stream_free(s);
	return close(peer);
}

static int read_many(void *stream)
{
	static char bytes[6000];
	assert(fl_stream_read_exactly(stream, bytes, sizeof bytes) == sizeof bytes);
	assert(bytes[0] == 1 && bytes[sizeof bytes - 1] == 2);
	fl_stream_free(stream);
	return 0;
}

/* The client sends more than a socket holds. */
static int back_pressure(void *arg)
{
	static char bytes[6000];
	fl_fiber *f;
	(void)arg;
	bytes[0] = 1;
	bytes[sizeof bytes - 1] = 2;
	assert(fl_stream_pair(ends) == 0 && fl_fiber_start(&f, read_many, ends[1], NULL) == 0);
	assert(fl_stream_write(ends[0], bytes, sizeof bytes) == 0);
	fl_stream_free(ends[0]);
	return fl_fiber_join(f, NULL);
}

static void ring(void *arg)
{
	(void)arg;
	fl_event_set(&posted);
}

static void *post(void *loop)
{
	assert(send(peer, "x", 1, 0) == 1 && fl_loop_post(loop, ring, NULL) == 0);
	return NULL;
}

/* Another thread makes a call while the loop waits for a socket. */
static int posts(void *arg)
{
	char byte;
	pthread_t t;
	fl_stream *s = end_of_loop();
	(void)arg;
	fl_event_init(&posted);
	start(&t, post, fl_loop_current());
	assert(fl_stream_read_exactly(s, &byte, 1) == 1 && fl_event_wait(&posted) == 0);
	fl_stream_free(s);
	assert(pthread_join(t, NULL) == 0);
	return close(peer);
}

static void *leave_unread(void *arg)
{
	char byte;
	assert(recv(peer, &byte, 1, 0) == 1 && close(peer) == 0);
	return arg;
}

/*
 * The peer closes while a byte is unread, which is a reset. It may close before the second byte
 * comes.
 */
static int reset(void *arg)
{
	char byte;
	pthread_t t;
	fl_stream *s = end_of_loop();
	start(&t, leave_unread, arg);
	const int rc = fl_stream_write(s, "ab", 2);
	assert(rc == 0 || rc == -EPIPE);
	const ssize_t n = fl_stream_read_some(s, &byte, 1);
	assert(n == -ECONNRESET || (rc != 0 && n == 0));
	fl_stream_free(s);
	return pthread_join(t, NULL);
}

int main(int argc, char **argv)
{
	static fl_fiber_function *const scenarios[] = {two_fibers, over_tcp,  half_close,    from_a_thread, to_a_thread,
	                                               deadline,   cancelled, back_pressure, posts,         reset};
	const int number = argc == 2 ? atoi(argv[1]) : -1;
	assert(number >= 0 && number < 10);
	return fl_loop_run(scenarios[number], NULL);
}
