/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams. fl_stream_read_some() receives into the caller's memory if no bytes are buffered. A read
 * of an exact size or up to a delimiter receives into the buffer, and copies the bytes out when all
 * of them have come. So a read that gives up has nothing to put back, with two exceptions: a large
 * read (stream_read_large()), and a read that cannot deliver its descriptors
 * (stream_deliver_fds()).
 *
 * A short read of TCP has emptied the socket, so the next read waits without an attempt. Only
 * urgent data can also make a read short, and the poller reports urgent data to fd_io.c. A read of
 * a Unix socket also stops behind descriptors (unix(7), SCM_RIGHTS), which no event reports.
 */
#include "stream.h"
#include "../linger.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include "core/wait/cancel.h"
#include "fd/net_sys.h"
#include "fd/passed_fds.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

/* The fiber yields after this number of attempts and buffered reads. */
enum { STREAM_EAGER = 64 };

/* The buffer. */

enum { STREAM_BUFFER_MIN = 16 << 10 };

static struct fl__stream_buffer *stream_new_buffer(size_t size)
{
	struct fl__stream_buffer *b = fl__sys.alloc(sizeof *b + size);
	if (b)
		b->size = size;
	return b;
}

static int stream_get_buffer(fl_stream *s)
{
	fl_loop *l = s->io.loop;
	s->buffer = l->spare ? l->spare : stream_new_buffer(STREAM_BUFFER_MIN);
	l->spare = NULL;
	s->from = s->to = 0;
	return s->buffer ? 0 : -ENOMEM;
}

static int stream_grow_buffer(fl_stream *s)
{
	struct fl__stream_buffer *larger = stream_new_buffer(s->buffer->size * 2);
	if (!larger)
		return -ENOMEM;
	memcpy(larger->bytes, s->buffer->bytes + s->from, fl__stream_buffered(s));
	fl__free(s->buffer);
	s->buffer = larger;
	s->to -= s->from;
	s->from = 0;
	return 0;
}

/*
 * Makes space after `to`, if fewer than FL_STREAM_LIMIT bytes are buffered. Returns 0 or
 * -ENOMEM.
 */
static int stream_make_room(fl_stream *s)
{
	if (!s->buffer)
		return stream_get_buffer(s);
	if (s->to < s->buffer->size && s->buffer->size - s->to >= s->buffer->size / 4)
		return 0;
	if (fl__stream_buffered(s) > s->buffer->size / 2 && s->buffer->size < FL_STREAM_LIMIT &&
	    stream_grow_buffer(s) == 0)
		return 0;
	memmove(s->buffer->bytes, s->buffer->bytes + s->from, fl__stream_buffered(s));
	s->to -= s->from;
	s->from = 0;
	return s->to < s->buffer->size ? 0 : -ENOMEM;
}

static void stream_release_buffer(fl_stream *s)
{
	struct fl__stream_buffer *b = s->buffer, **spare = &s->io.loop->spare;
	if (!b || s->from < s->to)
		return;
	s->buffer = NULL;
	if (b->size <= FL_STREAM_LIMIT && (!*spare || (*spare)->size < b->size)) {
		fl__free(*spare);
		*spare = b;
	} else {
		fl__free(b);
	}
}

static size_t stream_take(fl_stream *s, void *to, size_t size)
{
	size_t n = fl__stream_buffered(s);
	n = FL__MIN(n, size);
	if (n == 0 || !s->buffer)
		return 0;
	memcpy(to, s->buffer->bytes + s->from, n);
	s->from += n;
	stream_release_buffer(s);
	return n;
}

/* Puts bytes back into a stream that has no buffer. Returns 0 or -ENOMEM. */
static int stream_put_back(fl_stream *s, const void *data, size_t size)
{
	struct fl__stream_buffer *b = stream_new_buffer(FL__MAX(size, STREAM_BUFFER_MIN));
	if (!b)
		return -ENOMEM;
	memcpy(b->bytes, data, size);
	s->buffer = b;
	s->from = 0;
	s->to = size;
	return 0;
}

/* Returns an error if a call would be refused. A refused write leaves `written` unchanged. */
static int stream_check(const fl_stream *s, int direction, size_t size, bool waits)
{
	const int rc = fl__io_check(&s->io, waits);
	if (rc != 0)
		return rc;
	if (size > PTRDIFF_MAX)
		return -EINVAL;
	if (s->busy[direction])
		return -EBUSY;
	if (!(direction == FL__IO_IN ? s->reads : s->writes))
		return -EBADF;
	return s->io.fd < 0 ? -EPIPE : 0;
}

/* Begins a read or a write. Its count becomes 0, even if the stream was aborted. */
static int stream_begin(fl_stream *s, int direction, size_t size, bool waits)
{
	const int rc = stream_check(s, direction, size, waits);
	if (rc != 0)
		return rc;
	*(direction == FL__IO_IN ? &s->got : &s->written) = 0;
	return s->aborted ? -ECONNABORTED : 0;
}

static void stream_give_way(fl_stream *s)
{
	s->io.eager++;
	fl__io_give_way(&s->io, STREAM_EAGER);
}

static void stream_leave(fl_stream *s, int direction)
{
	s->busy[direction] = false;
}

/*
 * Begins a call. After a result of 0 no other call begins in this direction until
 * stream_leave(). A call that must not wait makes an attempt even if the socket was drained, since
 * bytes or space may have come after the loop last polled for events.
 */
static int stream_enter(fl_stream *s, int direction, size_t size, fl_time deadline, const fl_cancel_token *cancel)
{
	int rc = stream_begin(s, direction, size, true);
	if (rc != 0)
		return rc;
	s->busy[direction] = true;
	if (direction == FL__IO_IN && fl__stream_buffered(s) > 0)
		stream_give_way(s); /* a read of buffered bytes never waits */
	if (!s->io.ready[direction] && fl__is_interrupted(deadline, cancel) != 0)
		s->io.ready[direction] = true;
	s->busy[direction] = !s->aborted;
	return s->aborted ? -ECONNABORTED : 0;
}

static int stream_wait(fl_stream *s, int direction, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = 0;
	if (s->io.ready[direction])
		stream_give_way(s);
	else
		rc = fl__io_wait(&s->io, direction, deadline, cancel);
	return rc == 0 && s->aborted ? -ECONNABORTED : rc;
}

static int stream_fail(fl_stream *s, int error)
{
	switch (error) {
	case -ENOMEM:
	case -ENOBUFS:
		return -ENOMEM;
	case -EFAULT:
		return error;
	/*
	 * -EPIPE ends the writing, but not the reading. If an earlier error is the cause of -EPIPE,
	 * the caller gets that error.
	 */
	case -EPIPE:
		return s->failed ? s->failed : error;
	/* the caller would take -ETIMEDOUT for its own deadline */
	case -ETIMEDOUT:
		s->failed = -ECONNABORTED;
		break;
	default:
		s->failed = error;
	}
	return s->failed;
}

struct stream_passed {
	union fl__passed_fds control;
	unsigned n;
	bool lost; /* too few descriptors are free for all */
	int fds[FL__PASSED_FDS];
};

static ssize_t stream_receive_with_fds(const fl_stream *s, void *buffer, size_t size, struct stream_passed *passed)
{
	struct iovec part = {buffer, size};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	fl__passed_fds_expect(&m, &passed->control);
	const ssize_t n = fl__net_sys.recvmsg(s->io.fd, &m, MSG_CMSG_CLOEXEC);
	if (n >= 0) {
		passed->n = fl__passed_fds_take(&m, passed->fds);
		passed->lost = m.msg_flags & MSG_CTRUNC;
	}
	return n;
}

static ssize_t stream_receive_once(const fl_stream *s, void *buffer, size_t size, struct stream_passed *passed)
{
	if (passed)
		return stream_receive_with_fds(s, buffer, size, passed);
	return s->is_socket ? fl__net_sys.recv(s->io.fd, buffer, size) : fl__net_sys.read(s->own, buffer, size);
}

/*
 * Returns the number of bytes; or 0 at the end; or -EAGAIN; or another error. If `passed` is
 * NULL, the system closes descriptors that come with the bytes.
 */
static ssize_t stream_receive(fl_stream *s, void *buffer, size_t size, struct stream_passed *passed)
{
	if (s->ended)
		return 0;
	ssize_t n = FL__RETRY(stream_receive_once(s, buffer, size, passed));
	if (n > 0) {
		if ((size_t)n < size && s->is_tcp)
			fl__io_partly_drained(&s->io);
		return n;
	}
	if (n == -EIO && s->is_master)
		n = 0; /* no process has the terminal open */
	if (n == -EAGAIN)
		fl__io_drained(&s->io, FL__IO_IN);
	else if (n < 0)
		n = stream_fail(s, (int)n);
	else if (s->failed)
		n = s->failed; /* the system reports an error once, then an end */
	else
		s->ended = true;
	return n;
}

/* Reads. */

static ssize_t stream_read_directly(fl_stream *s, void *buffer, size_t size, struct stream_passed *passed,
                                    fl_time deadline, fl_cancel_token *cancel)
{
	ssize_t n;
	do {
		int rc = stream_wait(s, FL__IO_IN, deadline, cancel);
		if (rc != 0)
			return rc;
		n = stream_receive(s, buffer, size, passed);
	} while (n == -EAGAIN);
	return n;
}

/*
 * Receives once into the buffer. Returns a positive number, 0 at the end, or an error. During the
 * wait the stream has a buffer only if the buffer has bytes.
 */
static ssize_t stream_fill(fl_stream *s, fl_time deadline, fl_cancel_token *cancel)
{
	ssize_t n;
	do {
		int rc = stream_wait(s, FL__IO_IN, deadline, cancel);
		if (rc == 0)
			rc = stream_make_room(s);
		if (rc != 0)
			return rc;
		n = stream_receive(s, s->buffer->bytes + s->to, s->buffer->size - s->to, NULL);
		if (n > 0)
			s->to += (size_t)n;
		stream_release_buffer(s);
	} while (n == -EAGAIN);
	return n;
}

ssize_t fl_stream_read_some_until(fl_stream *s, void *buffer, size_t size, fl_time deadline, fl_cancel_token *cancel)
{
	ssize_t n = size > 0 ? stream_enter(s, FL__IO_IN, size, deadline, cancel) : -EINVAL;
	if (n != 0)
		return n;
	n = fl__stream_buffered(s) > 0 ? (ssize_t)stream_take(s, buffer, size)
	                               : stream_read_directly(s, buffer, size, NULL, deadline, cancel);
	stream_leave(s, FL__IO_IN);
	return n;
}

ssize_t fl_stream_try_read_some(fl_stream *s, void *buffer, size_t size)
{
	ssize_t n = size > 0 ? stream_begin(s, FL__IO_IN, size, false) : -EINVAL;
	if (n != 0)
		return n;
	n = (ssize_t)stream_take(s, buffer, size);
	return n > 0 ? n : stream_receive(s, buffer, size, NULL);
}

static int stream_give_back(fl_stream *s, const void *data, size_t size, int error)
{
	if (size == 0 || stream_put_back(s, data, size) == 0)
		return error;
	s->got = size;
	return -ENOMEM;
}

static ssize_t stream_read_large(fl_stream *s, char *buffer, size_t size, fl_time deadline, fl_cancel_token *cancel)
{
	size_t got = stream_take(s, buffer, size);
	while (got < size) {
		ssize_t n = stream_read_directly(s, buffer + got, size - got, NULL, deadline, cancel);
		if (n < 0)
			return stream_give_back(s, buffer, got, (int)n);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

struct stream_delimiter {
	const void *bytes;
	size_t size; /* 0 for a read of an exact size */
};

/*
 * Returns how many bytes the reader gets, or -1 if they have not all come yet. A read of an exact
 * size gets `limit` bytes. A read up to a delimiter gets the bytes up to the first delimiter and
 * the delimiter itself, at most `limit`. No delimiter begins in the first `searched` bytes.
 */
static ssize_t stream_find(const fl_stream *s, size_t limit, size_t searched, const struct stream_delimiter *d)
{
	const size_t have = fl__stream_buffered(s), n = FL__MIN(have, limit);
	if (d->size == 0)
		return have < limit ? -1 : (ssize_t)limit;
	if (n < searched + d->size || !s->buffer)
		return -1;
	const char *bytes = s->buffer->bytes + s->from;
	const char *found = memmem(bytes + searched, n - searched, d->bytes, d->size);
	return found ? found - bytes + (ssize_t)d->size : -1;
}

static ssize_t stream_read_buffered(fl_stream *s, void *buffer, size_t limit, const struct stream_delimiter *d,
                                    fl_time deadline, fl_cancel_token *cancel)
{
	for (size_t searched = 0;;) {
		const size_t have = fl__stream_buffered(s);
		const ssize_t found = stream_find(s, limit, searched, d);
		if (found >= 0)
			return (ssize_t)stream_take(s, buffer, (size_t)found);
		if (have >= limit)
			return -EMSGSIZE;
		/* the last bytes may be the beginning of a delimiter */
		searched = have < d->size ? 0 : have - d->size + 1;
		ssize_t n = stream_fill(s, deadline, cancel);
		if (n < 0)
			return n;
		if (n == 0)
			return (ssize_t)stream_take(s, buffer, have);
	}
}

ssize_t fl_stream_read_exactly_until(fl_stream *s, void *buffer, size_t size, fl_time deadline, fl_cancel_token *cancel)
{
	static const struct stream_delimiter none;
	ssize_t n = stream_enter(s, FL__IO_IN, size, deadline, cancel);
	if (n != 0)
		return n;
	n = size <= FL_STREAM_LIMIT ? stream_read_buffered(s, buffer, size, &none, deadline, cancel)
	                            : stream_read_large(s, buffer, size, deadline, cancel);
	stream_leave(s, FL__IO_IN);
	return n;
}

ssize_t fl_stream_read_delimited_until(fl_stream *s, void *buffer, size_t size, const void *delimiter,
                                       size_t delimiter_size, fl_time deadline, fl_cancel_token *cancel)
{
	const struct stream_delimiter d = {delimiter, delimiter_size};
	ssize_t n =
	    size > 0 && d.size > 0 ? stream_enter(s, FL__IO_IN, FL__MAX(size, d.size), deadline, cancel) : -EINVAL;
	if (n != 0)
		return n;
	n = stream_read_buffered(s, buffer, FL__MIN(size, FL_STREAM_LIMIT), &d, deadline, cancel);
	stream_leave(s, FL__IO_IN);
	return n;
}

size_t fl_stream_got(const fl_stream *s)
{
	return s->got;
}

/* Writes. */

/*
 * Counts what was sent. After a short write the caller makes another attempt, which is cheap, since
 * it returns -EAGAIN.
 */
static int stream_count_sent(fl_stream *s, ssize_t n)
{
	if (n == -EINTR)
		return 0;
	if (n == -EAGAIN) {
		fl__io_drained(&s->io, FL__IO_OUT);
		return 0;
	}
	if (n < 0)
		return stream_fail(s, (int)n);
	s->written += (size_t)n;
	s->wrote = true;
	return 0;
}

static ssize_t stream_send(const fl_stream *s, const void *data, size_t size)
{
	const struct iovec part = {(void *)(uintptr_t)data, size};
	return s->is_socket ? fl__net_sys.send(s->io.fd, data, size) : fl__net_sys.write(s->own, &part, 1);
}

ssize_t fl_stream_try_write(fl_stream *s, const void *data, size_t size)
{
	ssize_t n = stream_begin(s, FL__IO_OUT, size, false);
	if (n != 0 || size == 0)
		return n;
	n = FL__RETRY(stream_send(s, data, size));
	int rc = stream_count_sent(s, n);
	return n == -EAGAIN ? n : rc != 0 ? rc : n;
}

struct stream_rest {
	const struct iovec *parts;
	size_t n;
	size_t written; /* the bytes written of the first part */
	bool passes;    /* set by fl_stream_send_fds() */
	unsigned n_fds; /* sent with the first byte, once */
	const int *fds;
};

static void stream_advance(struct stream_rest *r, size_t written)
{
	if (written > 0)
		r->n_fds = 0;
	r->written += written;
	while (r->n > 0 && r->written >= r->parts->iov_len) {
		r->written -= r->parts->iov_len;
		r->parts++;
		r->n--;
	}
}

/*
 * Not inlined, so that the frame of a write of one part, and thus the fiber's stack, stays small.
 */
static FL__NOINLINE ssize_t stream_send_parts(const fl_stream *s, const struct stream_rest *r)
{
	enum { MOST = 64 };
	struct iovec parts[MOST];
	union fl__passed_fds control;
	const size_t n = FL__MIN(r->n, MOST);
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = n};
	memcpy(parts, r->parts, n * sizeof *parts);
	parts[0].iov_base = (char *)parts[0].iov_base + r->written;
	parts[0].iov_len -= r->written;
	if (r->n_fds > 0)
		fl__passed_fds_put(&m, &control, r->fds, r->n_fds);
	return s->is_socket ? fl__net_sys.sendmsg(s->io.fd, &m) : fl__net_sys.write(s->own, parts, (int)n);
}

static int stream_send_some(fl_stream *s, const struct stream_rest *r)
{
	ssize_t n;
	if (r->n == 1 && r->n_fds == 0)
		n = stream_send(s, (const char *)r->parts->iov_base + r->written, r->parts->iov_len - r->written);
	else
		n = stream_send_parts(s, r);
	if (r->n_fds > 0 && (n == -EBADF || n == -EINVAL || n == -ETOOMANYREFS))
		/* the error concerns a descriptor to pass, and leaves the connection unchanged */
		return (int)n;
	return stream_count_sent(s, n);
}

/* Returns the sum of the sizes, or SIZE_MAX after an overflow. */
static size_t stream_size_of(const struct iovec *parts, size_t n)
{
	size_t size = 0;
	for (size_t i = 0; i < n; i++)
		if (__builtin_add_overflow(size, parts[i].iov_len, &size))
			return SIZE_MAX;
	return size;
}

static int stream_write(fl_stream *s, struct stream_rest rest, fl_time deadline, fl_cancel_token *cancel)
{
	int rc = stream_enter(s, FL__IO_OUT, stream_size_of(rest.parts, rest.n), deadline, cancel);
	if (rc != 0)
		return rc;
	if (rest.passes && !fl__stream_is_unix(s))
		rc = -ENOTSUP;
	stream_advance(&rest, 0);
	while (rc == 0 && rest.n > 0) {
		const size_t before = s->written;
		rc = stream_wait(s, FL__IO_OUT, deadline, cancel);
		if (rc == 0)
			rc = stream_send_some(s, &rest);
		stream_advance(&rest, s->written - before);
	}
	stream_leave(s, FL__IO_OUT);
	return rc;
}

int fl_stream_write_until(fl_stream *s, const void *data, size_t size, fl_time deadline, fl_cancel_token *cancel)
{
	const struct iovec part = {(void *)(uintptr_t)data, size};
	return stream_write(s, (struct stream_rest){.parts = &part, .n = 1}, deadline, cancel);
}

int fl_stream_writev_until(fl_stream *s, const struct iovec *parts, size_t n, fl_time deadline, fl_cancel_token *cancel)
{
	return stream_write(s, (struct stream_rest){.parts = parts, .n = n}, deadline, cancel);
}

int fl_stream_send_fds_until(fl_stream *s, const void *data, size_t size, const int *fds, unsigned n, fl_time deadline,
                             fl_cancel_token *cancel)
{
	const struct iovec part = {(void *)(uintptr_t)data, size};
	const struct stream_rest rest = {.parts = &part, .n = 1, .passes = true, .fds = fds, .n_fds = n};
	if (size == 0 || n > FL_STREAM_FDS_MAX)
		return -EINVAL;
	return stream_write(s, rest, deadline, cancel);
}

size_t fl_stream_written(const fl_stream *s)
{
	return s->written;
}

/* Received descriptors. */

/*
 * Delivers descriptors. If some are missing, or there are more than `room`, closes the descriptors
 * and puts the bytes back.
 */
static ssize_t stream_deliver_fds(fl_stream *s, const void *data, size_t size, const struct stream_passed *passed,
                                  int *fds, unsigned room, unsigned *n)
{
	const int rc = passed->lost ? -EMFILE : passed->n > room ? -EMSGSIZE : 0;
	if (rc != 0) {
		fl__fds_close(passed->fds, passed->n);
		return stream_give_back(s, data, size, rc);
	}
	*n = passed->n;
	if (passed->n > 0)
		memcpy(fds, passed->fds, sizeof *fds * passed->n);
	return (ssize_t)size;
}

static ssize_t stream_read_with_fds(fl_stream *s, void *buffer, size_t size, int *fds, unsigned room, unsigned *n,
                                    fl_time deadline, fl_cancel_token *cancel)
{
	struct stream_passed passed;
	passed.n = 0;
	passed.lost = false;
	ssize_t got = (ssize_t)stream_take(s, buffer, size);
	if (got == 0)
		got = stream_read_directly(s, buffer, size, &passed, deadline, cancel);
	return got > 0 ? stream_deliver_fds(s, buffer, (size_t)got, &passed, fds, room, n) : got;
}

ssize_t fl_stream_receive_fds_until(fl_stream *s, void *buffer, size_t size, int *fds, unsigned *n, fl_time deadline,
                                    fl_cancel_token *cancel)
{
	const unsigned room = *n;
	*n = 0;
	ssize_t got = size > 0 ? stream_enter(s, FL__IO_IN, size, deadline, cancel) : -EINVAL;
	if (got != 0)
		return got;
	got = fl__stream_is_unix(s) ? stream_read_with_fds(s, buffer, size, fds, room, n, deadline, cancel) : -ENOTSUP;
	stream_leave(s, FL__IO_IN);
	return got;
}

/* Life. */

int fl__stream_create(fl_stream **made, fl_loop *l, int fd, int protocol)
{
	void *object;
	const int rc = fl__io_new(&object, sizeof(fl_stream), l, fd);
	if (rc != 0)
		return rc;
	fl_stream *s = object;
	s->own = fd;
	s->is_socket = protocol >= 0;
	s->reads = s->writes = true;
	s->is_tcp = protocol == IPPROTO_TCP;
	*made = s;
	return 0;
}

/* Frees the stream, and leaves the descriptor open. */
static void stream_destroy(fl_stream *s)
{
	if (s->io.fd >= 0)
		(void)fl__io_close(&s->io);
	s->from = s->to;
	stream_release_buffer(s);
	fl__free(s);
}

static void stream_close_fds(int fd, int own)
{
	if (fd < 0)
		return;
	if (own != fd)
		fl__fd_close(own);
	fl__fd_close(fd);
}

/* Returns true if close() may lose written bytes, and only this process has the connection. */
static bool stream_may_linger(const fl_stream *s)
{
	return s->is_tcp && s->wrote && !s->ended && s->failed == 0 && !s->fd_given;
}

void fl_stream_free(fl_stream *s)
{
	if (!s)
		return;
	fl__hook_ends(s);
	if (s->busy[FL__IO_IN] || s->busy[FL__IO_OUT])
		fl__panic("fl_stream_free", s, FL__IN_USE("a fiber"));
	fl_loop *l = s->io.loop;
	const int fd = s->io.fd, own = s->own;
	const bool lingers = stream_may_linger(s);
	stream_destroy(s);
	if (lingers)
		fl__linger_close(l, fd);
	else
		stream_close_fds(fd, own);
}

void fl__stream_without_delay(int fd)
{
	/* the call fails for a socket that is not TCP */
	(void)fl__net_sys.set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static int stream_check_fd(int fd, int *protocol)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	int type;
	int rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_TYPE, &type);
	if (rc == 0 && type != SOCK_STREAM)
		rc = -EINVAL;
	if (rc == 0)
		rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_PROTOCOL, protocol);
	if (rc == 0)
		rc = fl__net_sys.peer(fd, (struct sockaddr *)&address, &size);
	return rc;
}

/* Registers `fd` first, because errors are found that way before anything changes. */
int fl_stream_from_fd(fl_stream **made, int fd)
{
	fl_loop *l = fl__loop_needed(false, "fl_stream_from_fd");
	fl_stream *s;
	int protocol = -1, bits = FL__FD_READS | FL__FD_WRITES;
	if (!l)
		return -ENOTSUP;
	int rc = stream_check_fd(fd, &protocol);
	if (rc == -ENOTSOCK) /* the descriptor is a pipe, a terminal or a device */
		rc = bits = fl__net_sys.describe(fd);
	if (rc >= 0)
		rc = fl__stream_create(&s, l, fd, protocol);
	if (rc != 0)
		return rc;
	s->reads = bits & FL__FD_READS;
	s->writes = bits & FL__FD_WRITES;
	s->is_master = bits & FL__FD_TERMINAL_MASTER;
	rc = s->is_socket ? fl__net_sys.adopt(fd) : fl__net_sys.adopt_other(fd);
	if (rc < 0) {
		stream_destroy(s);
		return rc;
	}
	if (!s->is_socket)
		s->own = rc;
	if (s->is_tcp)
		fl__stream_without_delay(fd);
	*made = s;
	return 0;
}

int fl_stream_pair(fl_stream *ends[2])
{
	fl_loop *l = fl__loop_needed(false, "fl_stream_pair");
	fl_stream *a;
	int sockets[2];
	if (!l)
		return -ENOTSUP;
	int rc = fl__net_sys.pair(sockets);
	if (rc != 0)
		return rc == -ENOBUFS ? -ENOMEM : rc;
	rc = fl__stream_create(&a, l, sockets[0], 0);
	if (rc == 0) {
		rc = fl__stream_create(&ends[1], l, sockets[1], 0);
		if (rc == 0) {
			ends[0] = a;
			return 0;
		}
		stream_destroy(a);
	}
	fl__fds_close(sockets, 2);
	return rc;
}

/*
 * Only the writing side of TCP is shut down. A TCP socket that is shut down in both directions
 * resets the connection when more bytes come.
 */
void fl_stream_abort(fl_stream *s)
{
	s->aborted = true;
	fl__io_set_ready(&s->io);
	if (s->is_socket) /* the shutdown fails if the connection is gone */
		(void)fl__net_sys.shutdown(s->io.fd, s->is_tcp ? SHUT_WR : SHUT_RDWR);
}

/* Ends the writing to a pipe or terminal, which requires closing the descriptor. */
static int stream_close_pipe(fl_stream *s)
{
	if (s->reads)
		return -ENOTSUP;
	stream_close_fds(fl__io_close(&s->io), s->own);
	return 0;
}

int fl_stream_close_write(fl_stream *s)
{
	int rc = stream_check(s, FL__IO_OUT, 0, false);
	if (rc == -EPIPE)
		return 0; /* the pipe was closed before */
	if (rc != 0)
		return rc;
	if (s->aborted)
		return -ECONNABORTED;
	if (!s->is_socket)
		return stream_close_pipe(s);
	if (!s->finished)
		rc = fl__net_sys.shutdown(s->io.fd, SHUT_WR);
	if (rc != 0)
		return s->failed ? s->failed : -EPIPE;
	s->finished = true;
	return 0;
}

int fl_stream_fd(fl_stream *s)
{
	s->fd_given = true;
	return s->io.fd;
}
