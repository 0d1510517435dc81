/* SPDX-License-Identifier: BSD-2-Clause */
/* Pipes between processes, some of which are killed. */
#include "fl_pipes.h"

static int echo(void *ends)
{
	fl_test_pipe_ends *e = ends;
	static char buffer[200000];
	size_t size;
	int rc;
	fl_pipe_free(e->a);
	while ((rc = fl_pipe_receive(e->b, buffer, sizeof buffer, &size)) == 0)
		FL_OK(fl_pipe_send(e->b, buffer, size));
	return rc == -EPIPE ? 0 : 1;
}

FL_TEST(pipe_to_a_child_and_back)
{
	FL_NEEDS(FL_TEST_MEMFD); /* of a message that is sent after the child began */
	fl_test_pipe_ends e = fl_test_pipe();
	FL_TEST_BYTES(bytes, got, 200000);
	size_t size;
	pid_t pid = fl_test_fork(echo, &e);
	fl_pipe_free(e.b);
	for (size_t n = 0; n < 200000; n = n * 3 + 1) {
		FL_OK(fl_pipe_send(e.a, bytes, n));
		FL_OK(fl_pipe_receive(e.a, got, 200000, &size));
		assert_true(size == n && memcmp(bytes, got, n) == 0);
	}
	fl_pipe_free(e.a); /* which is the child's end */
	fl_test_reap(pid);
}

static int says_and_waits(void *ends)
{
	fl_test_pipe_ends *e = ends;
	fl_pipe_free(e->b);
	fl_test_says(e->a, "alive");
	fl_test_rest();
}

FL_TEST(pipe_peer_killed)
{
	fl_test_pipe_ends e = fl_test_pipe();
	char got[16];
	size_t size;
	pid_t pid = fl_test_fork(says_and_waits, &e);
	fl_pipe_free(e.a);
	FL_OK(fl_pipe_receive(e.b, got, sizeof got, &size));
	assert_memory_equal(got, "alive", 5);
	FL_OK(kill(pid, SIGKILL));
	FL_RC(fl_pipe_receive(e.b, got, sizeof got, &size), -EPIPE);
	FL_RC(fl_pipe_send(e.b, "x", 1), -EPIPE);
	assert_true(WIFSIGNALED(fl_test_status(pid)));
	fl_pipe_free(e.b);
}

/* A message is its number, repeated: sizes of all kinds, so that a half one would show. */
enum { WORDS = 30000 };

static size_t words_of(unsigned number)
{
	return number % 7 == 0 ? WORDS : 1 + number % 100;
}

static int pours(void *ends)
{
	fl_test_pipe_ends *e = ends;
	static unsigned words[WORDS];
	fl_pipe_free(e->b);
	for (unsigned number = 0;; number++) {
		for (size_t i = 0; i < words_of(number); i++)
			words[i] = number;
		if (fl_pipe_send(e->a, words, words_of(number) * sizeof words[0]) != 0)
			return 1;
	}
}

/*
 * The sender is killed at any instruction: the received messages are complete, without gaps, and
 * then comes the end.
 */
FL_TEST(pipe_sender_killed_leaves_no_half)
{
	FL_NEEDS(FL_TEST_MEMFD);
	static unsigned words[WORDS];
	for (unsigned round = 0; round < fl_test_scaled(60); round++) {
		fl_test_pipe_ends e = fl_test_pipe();
		size_t size;
		int rc;
		unsigned next = 0;
		pid_t pid = fl_test_fork(pours, &e);
		fl_pipe_free(e.a);
		while ((rc = fl_pipe_receive(e.b, words, sizeof words, &size)) == 0) {
			assert_int_equal(size, words_of(next) * sizeof words[0]);
			for (size_t i = 0; i < words_of(next); i++)
				assert_int_equal(words[i], next);
			if (++next == 20 + round * 5)
				FL_OK(kill(pid, SIGKILL));
		}
		FL_RC(rc, -EPIPE);
		assert_true(WIFSIGNALED(fl_test_status(pid)));
		fl_pipe_free(e.b);
	}
}

/*
 * Two processes send on one end; two processes, with two threads each, receive on the other, and
 * report each message on a second pipe. One receiving process is killed half-way.
 */
typedef struct works {
	fl_test_pipe_ends jobs, reports;
	unsigned per_sender, first; /* of the next sender */
} works;

static int sends_jobs(void *arg)
{
	works *w = arg;
	fl_pipe_free(w->jobs.b);
	for (unsigned i = 0; i < w->per_sender; i++) {
		unsigned job[64] = {w->first + i};
		if (fl_pipe_send(w->jobs.a, job, i % 2 ? sizeof job[0] : sizeof job) != 0)
			return 1;
	}
	return 0;
}

static int reports_jobs(void *arg)
{
	works *w = arg;
	unsigned job[64];
	size_t size;
	int rc;
	while ((rc = fl_pipe_receive(w->jobs.b, job, sizeof job, &size)) == 0)
		FL_OK(fl_pipe_send(w->reports.a, job, sizeof job[0]));
	return rc == -EPIPE ? 0 : 1;
}

static int receives_jobs(void *arg)
{
	works *w = arg;
	fl_thread *t[2];
	fl_pipe_free(w->jobs.a);
	fl_pipe_free(w->reports.b);
	FL_EACH (i, t)
		fl_test_go(&t[i], reports_jobs, w);
	FL_END_ALL(t);
	return 0;
}

FL_TEST(pipe_shared_ends_and_a_killed_receiver)
{
	works w = {fl_test_pipe(), fl_test_pipe(), fl_test_scaled(5000)};
	unsigned char *seen = calloc(2, w.per_sender);
	unsigned got, count = 0;
	pid_t senders[2], receivers[2];
	size_t size;
	int rc;
	FL_EACH (i, receivers)
		receivers[i] = fl_test_fork(receives_jobs, &w);
	for (int i = 0; i < 2; i++, w.first += w.per_sender)
		senders[i] = fl_test_fork(sends_jobs, &w);
	fl_test_pipe_end(w.jobs);
	fl_pipe_free(w.reports.a);
	while ((rc = fl_pipe_receive(w.reports.b, &got, sizeof got, &size)) == 0) {
		assert_true(size == sizeof got && got < 2 * w.per_sender);
		assert_int_equal(seen[got]++, 0); /* once */
		if (++count == w.per_sender / 2)
			FL_OK(kill(receivers[0], SIGKILL));
	}
	FL_RC(rc, -EPIPE);
	/*
	 * The messages that the killed one had received, at most one for each of its threads, are
	 * lost with it.
	 */
	FL_IN_RANGE(count, 2 * w.per_sender - 2, 2 * w.per_sender);
	FL_EACH (i, senders)
		fl_test_reap(senders[i]);
	assert_true(WIFSIGNALED(fl_test_status(receivers[0])));
	fl_test_reap(receivers[1]);
	fl_pipe_free(w.reports.b);
	free(seen);
}

/* An end travels as a descriptor, in a message. */
static int answers_on_what_it_gets(void *ends)
{
	fl_test_pipe_ends *e = ends;
	char got[16];
	int fd;
	unsigned n = 1;
	size_t size;
	fl_pipe *p = NULL;
	FL_CHECK(fl_pipe_receive_fds(e->b, got, sizeof got, &size, &fd, &n) == 0 && n == 1);
	FL_OK(fl_pipe_from_fd(&p, fd));
	FL_OK(fl_pipe_send(p, got, size));
	fl_pipe_free(p);
	return 0;
}

FL_TEST(pipe_end_in_a_message)
{
	fl_test_pipe_ends e = fl_test_pipe(), inner;
	pid_t pid = fl_test_fork(answers_on_what_it_gets, &e);
	inner = fl_test_pipe();
	FL_OK(fl_pipe_send_fds(e.a, "hello", 5, (const int[]){fl_pipe_fd(inner.b)}, 1));
	fl_pipe_free(inner.b);
	char got[16];
	size_t size;
	FL_OK(fl_pipe_receive(inner.a, got, sizeof got, &size));
	assert_memory_equal(got, "hello", 5);
	FL_RC(fl_pipe_receive(inner.a, got, sizeof got, &size), -EPIPE);
	fl_test_reap(pid);
	fl_pipe_free(inner.a);
	fl_test_pipe_end(e);
}
