/* SPDX-License-Identifier: BSD-2-Clause */
/* Many streams at once: the server of the documents, and what an idle connection takes. */
#include "fl_streams.h"

/* ---- the server of API.md, over sockets that were accepted by hand */

static int serve_one(void *arg)
{
	FL_SCOPED(fl_stream) *s = arg;
	char line[4096];
	ssize_t n;
	while ((n = fl_stream_read_line_until(s, line, sizeof line, fl_after(FL_S(30)), NULL)) > 0) {
		int rc = fl_stream_write(s, line, (size_t)n);
		if (rc != 0)
			return rc;
	}
	return (int)n;
}

struct client {
	fl_stream *s;
	unsigned number;
};

enum { ROUNDS = 50 };

/* What it sends comes back, however it was cut. */
static int ask(void *arg)
{
	struct client *c = arg;
	char line[600], got[600];
	for (unsigned i = 0; i < ROUNDS; i++) {
		int n =
		    snprintf(line, sizeof line, "%u %u %*s\n", c->number, i, (int)((c->number * 31 + i * 7) % 500), "");
		size_t half = (size_t)n / 2;
		FL_OK(fl_stream_write(c->s, line, half));
		if (i % 3 == 0)
			fl_fiber_yield();
		FL_OK(fl_stream_write(c->s, line + half, (size_t)n - half));
		FL_RC(fl_stream_read_line(c->s, got, sizeof got), n);
		FL_CHECK(strcmp(line, got) == 0);
	}
	FL_OK(fl_stream_close_write(c->s));
	FL_RC(fl_stream_read_line(c->s, got, sizeof got), 0);
	fl_stream_free(c->s);
	return 0;
}

static int serve_many(void *tcp)
{
	enum { MANY = FL_TEST_SANITIZED ? 40 : 300 };
	static struct client clients[MANY];
	static fl_fiber *fibers[2 * MANY];
	FL_EACH (i, clients) {
		fl_stream *ends[2];
		if (tcp) {
			int fds[2];
			fl_test_tcp(fds);
			ends[0] = fl_test_stream_of(fds[0]);
			ends[1] = fl_test_stream_of(fds[1]);
		} else {
			FL_OK(fl_stream_pair(ends));
		}
		clients[i] = (struct client){ends[0], i};
		fibers[2 * i] = fl_test_start(ask, &clients[i]);
		fibers[2 * i + 1] = fl_test_start(serve_one, ends[1]);
	}
	for (unsigned i = 0; i < 2 * MANY; i++)
		FL_OK(fl_test_join(fibers[i]));
	return 0;
}

FL_TEST(stream_many_fibers_at_once)
{
	static char tcp;
	fl_test_leaves_nothing(serve_many, NULL);
	fl_test_leaves_nothing(serve_many, &tcp);
}

/* All are ended by one request, and free what they have. */
FL_NET_TEST(stream_many_cancelled)
{
	enum { MANY = 100 };
	fl_fiber *fibers[MANY];
	fl_stream *others[MANY];
	FL_EACH (i, others) {
		fl_stream *ends[2];
		FL_OK(fl_stream_pair(ends));
		others[i] = ends[0];
		fibers[i] = fl_test_start(serve_one, ends[1]);
		FL_OK(fl_stream_write(others[i], "half a line", i % 2 ? 11 : 0));
	}
	fl_test_settle();
	FL_EACH (i, fibers)
		fl_fiber_cancel(fibers[i]);
	FL_EACH (i, fibers) {
		FL_RC(fl_test_join(fibers[i]), -ECANCELED);
		fl_stream_free(others[i]);
	}
}

/* Lines that come in two halves: a buffer each, and only while there is a half. */
FL_NET_TEST(stream_idle_has_no_buffer)
{
	fl_stream *ends[2];
	char line[64];
	FL_CHECK(sizeof(fl_stream) <= 128);
	FL_OK(fl_stream_pair(ends));
	FL_OK(fl_stream_write(ends[0], "a\nb\nc", 5));
	long before = fl_test_blocks;
	FL_RC(fl_stream_read_line(ends[1], line, sizeof line), 2);
	FL_CHECK(fl_test_blocks == before + 1 && ends[1]->buffer && !fl_loop_current()->spare);
	FL_RC(fl_stream_read_line(ends[1], line, sizeof line), 2);
	FL_RC(fl_stream_read_line_until(ends[1], line, sizeof line, FL_NO_WAIT, NULL), -ETIMEDOUT);
	FL_CHECK(fl_test_blocks == before + 1 && ends[1]->buffer);
	FL_RC(fl_stream_read_some(ends[1], line, sizeof line), 1);
	FL_CHECK(!ends[1]->buffer && fl_loop_current()->spare); /* the next one takes that */
	FL_OK(fl_stream_write(ends[1], "d\ne\n", 4));
	FL_RC(fl_stream_read_line(ends[0], line, sizeof line), 2);
	FL_CHECK(fl_test_blocks == before + 1 && ends[0]->buffer && !fl_loop_current()->spare);
	fl_stream_free(ends[0]); /* with an unread line */
	FL_CHECK(fl_loop_current()->spare != NULL);
	fl_stream_free(ends[1]);
}
