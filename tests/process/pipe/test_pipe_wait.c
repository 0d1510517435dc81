/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_pipes.h"

FL_CALL(receive)
{
	char got[64];
	size_t size;
	int rc = fl_pipe_receive_until(object, got, sizeof got, &size, deadline, cancel);
	return rc == 0 ? (int)size : rc;
}

FL_CALL(send_one)
{
	return fl_pipe_send_until(object, "x", 1, deadline, cancel);
}

FL_CALL(receive_in_scope)
{
	char got[64];
	size_t size;
	FL_CANCEL_SCOPE(cancel);
	return fl_pipe_receive(object, got, sizeof got, &size);
}

FL_CALL(send_in_scope)
{
	FL_CANCEL_SCOPE(cancel);
	return fl_pipe_send(object, "x", 1);
}

FL_TEST(pipe_recv_deadline)
{
	FL_TEST_PIPE(e);
	fl_cancel_token calm = FL_CANCEL_TOKEN_INIT;
	unsigned n = 0;
	char byte;
	size_t size;
	FL_RC(fl_pipe_receive_until(e.a, &byte, 1, &size, FL_NO_WAIT, NULL), -ETIMEDOUT);
	for (int i = 0; i < 2; i++) {
		fl_time deadline = fl_after(FL_MS(2));
		FL_RC(fl_pipe_receive_until(e.a, &byte, 1, &size, deadline, i ? &calm : NULL), -ETIMEDOUT);
		assert_true(fl_time_is_past(deadline));
	}
	FL_RC(fl_pipe_receive_fds_until(e.a, &byte, 1, &size, NULL, &n, fl_test_soon(), NULL), -ETIMEDOUT);
}

FL_TEST(pipe_recv_cancel)
{
	FL_TEST_PIPE(e);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT, scope = FL_CANCEL_TOKEN_INIT;
	char byte;
	size_t size;
	unsigned n = 0;
	fl_test_cancels(receive, e.a, &stop);           /* fl_pipe_receive_until */
	fl_test_cancels(receive_in_scope, e.a, &scope); /* fl_pipe_receive */
	FL_RC(fl_pipe_receive_fds_until(e.a, &byte, 1, &size, NULL, &n, FL_FOREVER, &stop), -ECANCELED);
	FL_CANCEL_SCOPE(&scope);
	FL_RC(fl_pipe_receive(e.a, &byte, 1, &size), -ECANCELED);
	FL_RC(fl_pipe_receive_fds(e.a, &byte, 1, &size, NULL, &n), -ECANCELED);
	fl_test_says(e.b, "x");
	FL_OK(fl_pipe_receive(e.a, &byte, 1, &size)); /* what can be done at once is done */
}

FL_TEST(pipe_send_cancel)
{
	FL_TEST_PIPE(e);
	fl_cancel_token stop = FL_CANCEL_TOKEN_INIT, scope = FL_CANCEL_TOKEN_INIT;
	unsigned n = fl_test_fill(e.a);
	fl_test_cancels(send_one, e.a, &stop);
	fl_test_cancels(send_in_scope, e.a, &scope);
	FL_RC(fl_pipe_send_fds_until(e.a, "x", 1, NULL, 0, FL_FOREVER, &stop), -ECANCELED);
	FL_CANCEL_SCOPE(&scope);
	FL_RC(fl_pipe_send(e.a, "x", 1), -ECANCELED);
	FL_RC(fl_pipe_send_fds(e.a, "x", 1, NULL, 0), -ECANCELED);
	fl_test_drain(e.b, n);
	char byte;
	size_t size;
	FL_RC(fl_pipe_receive_until(e.b, &byte, 1, &size, FL_NO_WAIT, FL_SHIELDED),
	      -ETIMEDOUT); /* none of those was sent */
}

FL_TEST(pipe_waits_for_space_and_messages)
{
	FL_BOTH (with_token) {
		fl_test_pipe_ends e = fl_test_pipe();
		fl_cancel_token calm = FL_CANCEL_TOKEN_INIT;
		fl_cancel_token *token = with_token ? &calm : FL_SHIELDED;
		fl_test_caller c;
		unsigned n = fl_test_fill(e.a);
		fl_test_call_start(&c, send_one, e.a, FL_FOREVER, token);
		if (with_token)
			FL_WAIT_FOR(fl_test_call_is_queued(&c, token));
		fl_test_drain(e.b, n);
		FL_OK(fl_test_call_end(&c));
		fl_test_gets(e.b, "x");
		fl_test_call_start(&c, receive, e.b, FL_FOREVER, token);
		if (with_token)
			FL_WAIT_FOR(fl_test_call_is_queued(&c, token));
		fl_test_says(e.a, "hello");
		FL_RC(fl_test_call_end(&c), 5);
		fl_test_call_start(&c, receive, e.b, FL_FOREVER, token);
		if (with_token)
			FL_WAIT_FOR(fl_test_call_is_queued(&c, token));
		fl_pipe_free(e.a);
		FL_RC(fl_test_call_end(&c), -EPIPE);
		fl_pipe_free(e.b);
	}
}

typedef struct either {
	fl_event event;
	fl_pipe *p;
} either;

FL_CALL(wait_either)
{
	either *t = object;
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_PIPE(t->p), FL_ON_EVENT(&t->event));
}

FL_TEST(pipe_wait_any_with_an_event)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* for the thread that waits on its behalf */
	fl_test_pipe_ends e = fl_test_pipe();
	either t = {FL_EVENT_INIT, e.a};
	fl_test_caller c;
	FL_RC(wait_either(&t, fl_test_soon(), NULL), -ETIMEDOUT);
	fl_test_call_queued(&c, wait_either, &t, &t.event, FL_FOREVER, NULL);
	fl_test_says(e.b, "x");
	FL_RC(fl_test_call_end(&c), 0);
	fl_test_gets(e.a, "x");
	fl_test_call_queued(&c, wait_either, &t, &t.event, FL_FOREVER, NULL);
	fl_event_set(&t.event);
	FL_RC(fl_test_call_end(&c), 1);
	fl_event_reset(&t.event);
	fl_test_call_queued(&c, wait_either, &t, &t.event, FL_FOREVER, NULL);
	fl_pipe_free(e.b);
	FL_RC(fl_test_call_end(&c), 0);
	fl_pipe_free(e.a);
}

FL_CALL(wait_for_space)
{
	return FL_WAIT_ANY_UNTIL(deadline, cancel, FL_ON_PIPE(object), FL_ON_PIPE_SPACE(object));
}

FL_TEST(pipe_wait_any_for_space)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* for the thread that waits on its behalf */
	FL_TEST_PIPE(e);
	fl_test_caller c;
	unsigned n = fl_test_fill(e.a);
	fl_test_call_queued(&c, wait_for_space, e.a, &e.a->out, FL_FOREVER, NULL);
	fl_test_drain(e.b, n);
	FL_RC(fl_test_call_end(&c), 1);
}

FL_TEST(pipe_free_of_a_busy_one_panics)
{
	FL_NEEDS(FL_TEST_EVENTFD); /* for the thread that waits on its behalf */
	fl_test_pipe_ends e = fl_test_pipe();
	either t = {FL_EVENT_INIT, e.a};
	fl_test_caller c;
	fl_test_call_queued(&c, wait_either, &t, &t.event, FL_FOREVER, NULL);
	FL_PANICS(fl_pipe_free(e.a));
	fl_test_contains(fl_test_panic.reason, "FL_SHIELDED");
	assert_string_equal(fl_test_panic.function, "fl_pipe_free");
	assert_ptr_equal(fl_test_panic.object, e.a);
	fl_test_says(e.b, "x");
	FL_RC(fl_test_call_end(&c), 0);
	fl_test_pipe_end(e);
}

/* Threads on both ends, some with buffers that are too small: every message once. */
typedef struct crowd {
	fl_pipe *in, *out;
	unsigned per_sender;
	uint32_t count, sum;
} crowd;

static int send_share(void *arg)
{
	crowd *c = arg;
	for (unsigned i = 1; i <= c->per_sender; i++) {
		unsigned message[64] = {i};
		FL_OK(fl_pipe_send(c->out, message, i % 2 ? sizeof i : sizeof message));
	}
	return 0;
}

static int receive_share(void *arg)
{
	crowd *c = arg;
	for (;;) {
		unsigned message[64];
		size_t size, room = sizeof message[0];
		int rc = fl_pipe_receive(c->in, message, room, &size);
		if (rc == -EMSGSIZE)
			rc = fl_pipe_receive(c->in, message, sizeof message, &size);
		if (rc == -EPIPE)
			return 0;
		FL_CHECK(rc == 0);
		(void)fl__add_relaxed(&c->sum, message[0]);
		(void)fl__add_relaxed(&c->count, 1);
	}
}

FL_TEST(pipe_threads_share_an_end)
{
	enum { SIDE = 3 };
	fl_test_pipe_ends e = fl_test_pipe();
	crowd c = {e.b, e.a, fl_test_scaled(5000), 0, 0};
	fl_thread *senders[SIDE], *receivers[SIDE];
	FL_EACH (i, receivers) {
		fl_test_go(&receivers[i], receive_share, &c);
		fl_test_go(&senders[i], send_share, &c);
	}
	FL_END_ALL(senders);
	fl_pipe_free(e.a);
	FL_END_ALL(receivers);
	assert_int_equal(c.count, SIDE * c.per_sender);
	assert_int_equal(c.sum, SIDE * (c.per_sender * (c.per_sender + 1) / 2));
	fl_pipe_free(e.b);
}
