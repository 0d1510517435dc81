/* SPDX-License-Identifier: BSD-2-Clause */
#include "net_sys.h"
#include "stream.h"
#include <errno.h>

/*
 * The result of an attempt. After a short write the caller makes another attempt, which tells that
 * there is no room. Unlike with reads, its cost does not matter.
 */
static int account(fl_stream *s, ssize_t n)
{
	if (n == -EINTR)
		return 0;
	if (n == -EAGAIN) {
		fl__io_drained(&s->io, FL__IO_OUT);
		return 0;
	}
	if (n < 0)
		return fl__stream_fail(s, (int)n);
	s->written += (size_t)n;
	return 0;
}

int fl_stream_write_until(fl_stream *s, const void *data, size_t size, int64_t deadline, fl_cancel_token *cancel)
{
	int rc = fl__stream_enter(s, FL__IO_OUT, size);
	if (rc != 0)
		return rc;
	while (rc == 0 && s->written < size) {
		rc = fl__stream_wait(s, FL__IO_OUT, deadline, cancel);
		if (rc == 0)
			rc = account(s, fl__net_sys.send(s->io.fd, (const char *)data + s->written, size - s->written));
	}
	fl__stream_leave(s, FL__IO_OUT);
	return rc;
}

ssize_t fl_stream_try_write(fl_stream *s, const void *data, size_t size)
{
	ssize_t n = fl__stream_look(s, FL__IO_OUT, size);
	if (n != 0 || size == 0)
		return n;
	do
		n = fl__net_sys.send(s->io.fd, data, size);
	while (n == -EINTR);
	int rc = account(s, n);
	return n == -EAGAIN ? n : rc != 0 ? rc : n;
}

/* The parts of a vector that are left to write. */
struct rest {
	const struct iovec *parts;
	size_t n;
	size_t written; /* of the first part */
};

static void advance(struct rest *r, size_t written)
{
	r->written += written;
	while (r->n > 0 && r->written >= r->parts->iov_len) {
		r->written -= r->parts->iov_len;
		r->parts++;
		r->n--;
	}
}

static ssize_t send_some(const fl_stream *s, const struct rest *r)
{
	enum { MOST = 64 };
	struct iovec parts[MOST];
	size_t n = r->n < MOST ? r->n : MOST;
	for (size_t i = 0; i < n; i++)
		parts[i] = r->parts[i];
	parts[0].iov_base = (char *)parts[0].iov_base + r->written;
	parts[0].iov_len -= r->written;
	return fl__net_sys.sendmsg(s->io.fd, &(struct msghdr){.msg_iov = parts, .msg_iovlen = n});
}

/* The size of all parts; SIZE_MAX: it overflows. */
static size_t size_of(const struct iovec *parts, size_t n)
{
	size_t size = 0;
	for (size_t i = 0; i < n; i++)
		if (__builtin_add_overflow(size, parts[i].iov_len, &size))
			return SIZE_MAX;
	return size;
}

int fl_stream_writev_until(fl_stream *s, const struct iovec *parts, size_t n, int64_t deadline, fl_cancel_token *cancel)
{
	struct rest rest = {parts, n, 0};
	const size_t size = size_of(parts, n);
	int rc = fl__stream_enter(s, FL__IO_OUT, size);
	if (rc != 0)
		return rc;
	advance(&rest, 0);
	while (rc == 0 && s->written < size) {
		const size_t before = s->written;
		rc = fl__stream_wait(s, FL__IO_OUT, deadline, cancel);
		if (rc == 0)
			rc = account(s, send_some(s, &rest));
		advance(&rest, s->written - before);
	}
	fl__stream_leave(s, FL__IO_OUT);
	return rc;
}

size_t fl_stream_written(const fl_stream *s)
{
	return s->written;
}
