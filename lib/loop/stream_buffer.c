/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of a stream that were received and not read: buffer->bytes[from, to). Except during a
 * receive, a stream has a buffer only with bytes in it. A buffer that was emptied goes to the loop,
 * which keeps the largest one (fl_loop.spare).
 */
#include "../base/sys.h"
#include "stream.h"
#include <errno.h>
#include <string.h>

/* The least size. An idle rest of a line touches only its own pages of the buffer. */
enum { LEAST = 16 << 10 };

static struct fl__stream_buffer *new_buffer(size_t room)
{
	struct fl__stream_buffer *b = fl__sys.alloc(sizeof *b + room);
	if (b)
		b->room = room;
	return b;
}

static int get_buffer(fl_stream *s)
{
	fl_loop *l = s->io.loop;
	s->buffer = l->spare ? l->spare : new_buffer(LEAST);
	l->spare = NULL;
	s->from = s->to = 0;
	return s->buffer ? 0 : -ENOMEM;
}

static int grow(fl_stream *s)
{
	struct fl__stream_buffer *larger = new_buffer(s->buffer->room * 2);
	if (!larger)
		return -ENOMEM;
	memcpy(larger->bytes, s->buffer->bytes + s->from, fl__stream_buffered(s));
	fl__free(s->buffer);
	s->buffer = larger;
	s->to -= s->from;
	s->from = 0;
	return 0;
}

int fl__stream_make_room(fl_stream *s)
{
	if (!s->buffer)
		return get_buffer(s);
	if (s->buffer->room - s->to >= s->buffer->room / 4)
		return 0;
	if (fl__stream_buffered(s) > s->buffer->room / 2 && s->buffer->room < FL_STREAM_LIMIT && grow(s) == 0)
		return 0;
	memmove(s->buffer->bytes, s->buffer->bytes + s->from, fl__stream_buffered(s));
	s->to -= s->from;
	s->from = 0;
	return s->to < s->buffer->room ? 0 : -ENOMEM;
}

void fl__stream_release(fl_stream *s)
{
	struct fl__stream_buffer *b = s->buffer, **spare = &s->io.loop->spare;
	if (!b || s->from < s->to)
		return;
	s->buffer = NULL;
	if (b->room <= FL_STREAM_LIMIT && (!*spare || (*spare)->room < b->room)) {
		fl__free(*spare);
		*spare = b;
	} else {
		fl__free(b);
	}
}

size_t fl__stream_take(fl_stream *s, void *to, size_t size)
{
	size_t n = fl__stream_buffered(s);
	n = n < size ? n : size;
	if (n == 0)
		return 0;
	memcpy(to, s->buffer->bytes + s->from, n);
	s->from += n;
	fl__stream_release(s);
	return n;
}

int fl__stream_put_back(fl_stream *s, const void *data, size_t size)
{
	struct fl__stream_buffer *b = new_buffer(size);
	if (!b)
		return -ENOMEM;
	memcpy(b->bytes, data, size);
	s->buffer = b;
	s->from = 0;
	s->to = size;
	return 0;
}
