/* SPDX-License-Identifier: BSD-2-Clause */
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../process/fd_sys.h"
#include "pipe.h"
#include <errno.h>
#include <fairlead/time.h>
#include <string.h>

struct outgoing {
	struct fl__pipe_head head;
	const void *data;
	unsigned n_fds;
	int fds[FL__PACKET_FDS]; /* the first is for a large message's memfd */
	int memory;
};

static uint64_t new_id(void)
{
	static uint32_t last;
	/* relaxed: ids need only be unique under one thread id */
	return (uint64_t)fl__sys.thread_id() << 32 | fl__add_relaxed(&last, 1);
}

static int fill(int memory, const char *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = fl__fd_sys.write_at(memory, data + done, size - done, (off_t)done);
		if (n > 0)
			done += (size_t)n;
		else if (n == -EFAULT)
			return -EFAULT;
		else if (n != -EINTR)
			return -ENOMEM;
	}
	return fl__fd_sys.seal(memory);
}

static int make_memory(struct outgoing *m)
{
	int fd = fl__fd_sys.memory();
	if (fd < 0)
		return fd;
	int rc = fill(fd, m->data, m->head.size);
	if (rc != 0) {
		fl__fds_close(&fd, 1);
		return rc;
	}
	m->memory = m->fds[0] = fd;
	return 0;
}

static int send_inline(const fl_pipe *p, struct outgoing *m)
{
	const struct iovec parts[] = {{&m->head, sizeof m->head}, {(void *)m->data, m->head.size}};
	return fl__packet_try_send(p->fd, parts, 2, m->fds + 1, m->n_fds);
}

/* Makes the memfd when there is space, so that a waiting sender holds no memory. */
static int send_large(const fl_pipe *p, struct outgoing *m)
{
	const struct iovec part = {&m->head, sizeof m->head};
	short seen;
	if (m->memory < 0) {
		if (fl__fd_sys.poll(p->fd, POLLOUT, &seen, 0) == 0)
			return -EAGAIN;
		int rc = make_memory(m);
		if (rc != 0)
			return rc;
	}
	int rc = fl__packet_try_send(p->fd, &part, 1, m->fds, m->n_fds + 1);
	return rc == -EMSGSIZE || rc == -ENOBUFS ? -ENOMEM : rc;
}

/* Falls back to a large message: for -EMSGSIZE, and for -ENOBUFS (no contiguous kernel memory). */
static int send_once(const fl_pipe *p, struct outgoing *m)
{
	if (m->head.kind == FL__PIPE_SMALL) {
		int rc = send_inline(p, m);
		if (rc != -EMSGSIZE && rc != -ENOBUFS)
			return rc;
		m->head.kind = FL__PIPE_LARGE;
		m->head.id = new_id();
	}
	return send_large(p, m);
}

static int prepare(struct outgoing *m, const void *data, size_t size, const int *fds, unsigned n)
{
	if (size > PTRDIFF_MAX)
		return -EMSGSIZE;
	if (n > FL_PIPE_FDS_MAX || (!data && size > 0) || (!fds && n > 0))
		return -EINVAL;
	m->head = (struct fl__pipe_head){FL__PIPE_MAGIC, size > FL__PIPE_INLINE ? FL__PIPE_LARGE : FL__PIPE_SMALL,
	                                 (uint16_t)n, size, 0};
	if (n > 0 || m->head.kind == FL__PIPE_LARGE)
		m->head.id = new_id();
	if (n > 0)
		memcpy(m->fds + 1, fds, sizeof(int) * n);
	m->data = data;
	m->n_fds = n;
	m->memory = -1;
	return 0;
}

static int send_message(const fl_pipe *p, struct outgoing *m, int64_t deadline, fl_cancel_token *cancel)
{
	for (;;) {
		int rc = send_once(p, m);
		if (rc != -EAGAIN || deadline == FL__TRY)
			return rc;
		rc = fl__fd_wait(p->fd, POLLOUT, deadline, cancel);
		if (rc != 0)
			return rc;
	}
}

int fl_pipe_send_fds_until(fl_pipe *p, const void *data, size_t size, const int *fds, unsigned n, int64_t deadline,
                           fl_cancel_token *cancel)
{
	struct outgoing m;
	int rc = prepare(&m, data, size, fds, n);
	if (rc != 0)
		return rc;
	rc = send_message(p, &m, deadline, cancel);
	if (m.memory >= 0)
		fl__fds_close(&m.memory, 1);
	return rc;
}
