/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading. A read of any bytes receives straight into the caller's memory, when none are buffered.
 * A read of a size or up to a delimiter receives into the buffer, and takes the bytes out when they
 * are complete. So, apart from read_large(), a read that gives up has nothing to put back.
 */
#include "stream.h"
#include <errno.h>
#include <string.h>

static ssize_t read_straight(fl_stream *s, void *buffer, size_t size, int64_t deadline, fl_cancel_token *cancel)
{
	ssize_t n;
	do {
		int rc = fl__stream_wait(s, FL__IO_IN, deadline, cancel);
		if (rc != 0)
			return rc;
		n = fl__stream_receive(s, buffer, size);
	} while (n == -EAGAIN);
	return n;
}

/*
 * Receives once into the buffer: > 0; 0: the end; an error. While this waits, the stream has a
 * buffer only if bytes are in it.
 */
static ssize_t fill(fl_stream *s, int64_t deadline, fl_cancel_token *cancel)
{
	ssize_t n;
	do {
		int rc = fl__stream_wait(s, FL__IO_IN, deadline, cancel);
		if (rc == 0)
			rc = fl__stream_make_room(s);
		if (rc != 0)
			return rc;
		n = fl__stream_receive(s, s->buffer->bytes + s->to, s->buffer->room - s->to);
		if (n > 0)
			s->to += (size_t)n;
		fl__stream_release(s);
	} while (n == -EAGAIN);
	return n;
}

ssize_t fl_stream_read_until(fl_stream *s, void *buffer, size_t size, int64_t deadline, fl_cancel_token *cancel)
{
	ssize_t n = size > 0 ? fl__stream_enter(s, FL__IO_IN, size) : -EINVAL;
	if (n != 0)
		return n;
	n = fl__stream_buffered(s) > 0 ? (ssize_t)fl__stream_take(s, buffer, size)
	                               : read_straight(s, buffer, size, deadline, cancel);
	fl__stream_leave(s, FL__IO_IN);
	return n;
}

ssize_t fl_stream_try_read(fl_stream *s, void *buffer, size_t size)
{
	ssize_t n = size > 0 ? fl__stream_look(s, FL__IO_IN, size) : -EINVAL;
	if (n != 0)
		return n;
	n = (ssize_t)fl__stream_take(s, buffer, size);
	return n > 0 ? n : fl__stream_receive(s, buffer, size);
}

static ssize_t read_through_buffer(fl_stream *s, void *buffer, size_t size, int64_t deadline, fl_cancel_token *cancel)
{
	ssize_t n = 1;
	while (n > 0 && fl__stream_buffered(s) < size)
		n = fill(s, deadline, cancel);
	return n < 0 ? n : (ssize_t)fl__stream_take(s, buffer, size);
}

/* Puts back what a read had received when it gave up. */
static int give_back(fl_stream *s, const void *data, size_t size, int error)
{
	if (size == 0 || fl__stream_put_back(s, data, size) == 0)
		return error;
	s->got = size;
	return -ENOMEM;
}

static ssize_t read_large(fl_stream *s, char *buffer, size_t size, int64_t deadline, fl_cancel_token *cancel)
{
	size_t got = fl__stream_take(s, buffer, size);
	while (got < size) {
		ssize_t n = read_straight(s, buffer + got, size - got, deadline, cancel);
		if (n < 0)
			return give_back(s, buffer, got, (int)n);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

ssize_t fl_stream_read_exactly_until(fl_stream *s, void *buffer, size_t size, int64_t deadline, fl_cancel_token *cancel)
{
	ssize_t n = fl__stream_enter(s, FL__IO_IN, size);
	if (n != 0)
		return n;
	n = size <= FL_STREAM_LIMIT ? read_through_buffer(s, buffer, size, deadline, cancel)
	                            : read_large(s, buffer, size, deadline, cancel);
	fl__stream_leave(s, FL__IO_IN);
	return n;
}

struct delimiter {
	const void *bytes;
	size_t size;
};

/*
 * The number of buffered bytes, at most `limit`, up to and including the first delimiter; 0: there
 * is none. No delimiter begins in the first `searched` bytes.
 */
static size_t find(const fl_stream *s, size_t limit, size_t searched, const struct delimiter *d)
{
	size_t n = fl__stream_buffered(s);
	n = n < limit ? n : limit;
	if (n < searched + d->size)
		return 0;
	const char *bytes = s->buffer->bytes + s->from;
	const char *found = memmem(bytes + searched, n - searched, d->bytes, d->size);
	return found ? (size_t)(found - bytes) + d->size : 0;
}

static ssize_t read_to(fl_stream *s, void *buffer, size_t limit, const struct delimiter *d, int64_t deadline,
                       fl_cancel_token *cancel)
{
	for (size_t searched = 0;;) {
		const size_t have = fl__stream_buffered(s), found = find(s, limit, searched, d);
		if (found > 0)
			return (ssize_t)fl__stream_take(s, buffer, found);
		if (have >= limit)
			return -EMSGSIZE;
		/* the last bytes may be the beginning of a delimiter */
		searched = have < d->size ? 0 : have - d->size + 1;
		ssize_t n = fill(s, deadline, cancel);
		if (n < 0)
			return n;
		if (n == 0)
			return (ssize_t)fl__stream_take(s, buffer, have);
	}
}

ssize_t fl_stream_read_to_until(fl_stream *s, void *buffer, size_t size, const void *delimiter, size_t delimiter_size,
                                int64_t deadline, fl_cancel_token *cancel)
{
	const struct delimiter d = {delimiter, delimiter_size};
	ssize_t n = size > 0 && d.size > 0 ? fl__stream_enter(s, FL__IO_IN, size) : -EINVAL;
	if (n != 0)
		return n;
	n = read_to(s, buffer, size < FL_STREAM_LIMIT ? size : FL_STREAM_LIMIT, &d, deadline, cancel);
	fl__stream_leave(s, FL__IO_IN);
	return n;
}

size_t fl_stream_got(const fl_stream *s)
{
	return s->got;
}
