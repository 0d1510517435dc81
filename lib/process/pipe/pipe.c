/* SPDX-License-Identifier: BSD-2-Clause */
/* Pipes of messages between processes (pipe.h). */
#include "pipe.h"
#include "../base/memfd.h"
#include "../base/process_sys.h"
#include "core/base/atomic.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include <errno.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <string.h>

static fl_pipe *pipe_alloc(void)
{
	fl_pipe *p = fl__alloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->spill = fl__sys.map(FL__PIPE_INLINE);
	if (!p->spill) {
		fl__free(p);
		return NULL;
	}
	return p;
}

static void pipe_discard(fl_pipe *p)
{
	if (!p)
		return;
	fl__sys.unmap(p->spill, FL__PIPE_INLINE);
	fl__free(p);
}

static void pipe_set_fd(fl_pipe *p, int fd)
{
	p->fd = fd;
	p->in = (struct fl__watched_fd)FL__WATCHED_FD(fd, POLLIN);
	p->out = (struct fl__watched_fd)FL__WATCHED_FD(fd, POLLOUT);
}

int fl_pipe_create(fl_pipe **a, fl_pipe **b, const fl_pipe_config *config)
{
	int sockets[2];
	fl_pipe *first = pipe_alloc(), *second = pipe_alloc();
	int rc = first && second ? fl__fd_sys.pair(sockets) : -ENOMEM;
	if (rc != 0) {
		pipe_discard(first);
		pipe_discard(second);
		return fl__net_error(rc);
	}
	pipe_set_fd(first, sockets[0]);
	pipe_set_fd(second, sockets[1]);
	if (config && config->one_way)
		fl_pipe_close_write(first);
	*a = first;
	*b = second;
	return 0;
}

/*
 * Returns 0, -EBADF or -ENOTSOCK; or -EINVAL if `fd` is not a connected packet socket of this
 * machine.
 */
static int pipe_adopt(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof address;
	int domain, type;
	int rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_DOMAIN, &domain);
	if (rc == 0)
		rc = fl__net_sys.get_option(fd, SOL_SOCKET, SO_TYPE, &type);
	if (rc != 0)
		return rc;
	if (domain != AF_UNIX || type != SOCK_SEQPACKET ||
	    fl__net_sys.peer(fd, (struct sockaddr *)&address, &size) != 0)
		return -EINVAL;
	return FL__SYS_RESULT(fcntl(fd, F_SETFD, FD_CLOEXEC));
}

int fl_pipe_from_fd(fl_pipe **p, int fd)
{
	fl_pipe *made = pipe_alloc();
	int rc = made ? pipe_adopt(fd) : -ENOMEM;
	if (rc != 0) {
		pipe_discard(made);
		return rc;
	}
	pipe_set_fd(made, fd);
	*p = made;
	return 0;
}

void fl_pipe_free(fl_pipe *p)
{
	if (!p)
		return;
	fl__hook_ends(p);
	if (fl__watched_fd_has_waiter(&p->in) || fl__watched_fd_has_waiter(&p->out))
		fl__panic("fl_pipe_free", p, FL__IN_USE("a context"));
	if (p->kept)
		fl__fds_close(p->message.fds, p->message.n_fds);
	fl__fd_close(p->fd);
	pipe_discard(p);
}

int fl_pipe_fd(const fl_pipe *p)
{
	return p->fd;
}

void fl_pipe_close_write(fl_pipe *p)
{
	(void)fl__net_sys.shutdown(p->fd, SHUT_WR);
}

static bool pipe_has_kept(fl_pipe *p)
{
	/* relaxed: a receiver reads it again under the lock */
	return fl__load_relaxed(&p->kept);
}

static bool pipe_on_ready(void *object)
{
	fl_pipe *p = object;
	return pipe_has_kept(p) || fl__watched_fd_ready(&p->in);
}

static bool pipe_on_arm(void *object, struct fl__node *node)
{
	fl_pipe *p = object;
	return !pipe_has_kept(p) && fl__watched_fd_arm(&p->in, node);
}

static void pipe_on_disarm(void *object, struct fl__node *node)
{
	fl__watched_fd_disarm(&((fl_pipe *)object)->in, node);
}

const fl_on_type fl__on_pipe = {pipe_on_ready, pipe_on_arm, pipe_on_disarm, NULL};

/* `out` is the first member. */
const fl_on_type fl__on_pipe_space = {fl__watched_fd_ready, fl__watched_fd_arm, fl__watched_fd_disarm, NULL};

/* Sending. */

struct pipe_outgoing {
	struct fl__pipe_head head;
	const void *data;
	unsigned n_fds;
	int fds[FL__PACKET_FDS]; /* the first is a large message's memfd, or -1 */
};

static uint64_t pipe_new_id(void)
{
	static uint32_t last;
	/* relaxed: the ids need only be unique under one thread id */
	return (uint64_t)fl__sys.thread_id() << 32 | fl__add_relaxed(&last, 1);
}

static int pipe_send_small(const fl_pipe *p, struct pipe_outgoing *m)
{
	const struct iovec parts[] = {{&m->head, sizeof m->head}, {(void *)m->data, m->head.size}};
	return fl__packet_try_send(p->fd, parts, 2, m->fds + 1, m->n_fds);
}

/*
 * Sends a large message. Makes its memfd only when there is space, so that a sender that waits for
 * space does not hold memory, unless it has seen space and lost it to another sender.
 */
static int pipe_send_large(const fl_pipe *p, struct pipe_outgoing *m)
{
	const struct iovec part = {&m->head, sizeof m->head};
	if (m->fds[0] < 0) {
		if (fl__fd_poll(p->fd, POLLOUT) == 0)
			return -EAGAIN;
		m->fds[0] = fl__sealed_memory(m->data, m->head.size);
		if (m->fds[0] < 0)
			return m->fds[0];
	}
	int rc = fl__packet_try_send(p->fd, &part, 1, m->fds, m->n_fds + 1);
	return rc == -EMSGSIZE || rc == -ENOBUFS ? -ENOMEM : rc;
}

/*
 * Sends a message. After -EMSGSIZE, or -ENOBUFS (the kernel has no contiguous memory), it sends
 * a large message instead.
 */
static int pipe_send_once(const fl_pipe *p, struct pipe_outgoing *m)
{
	if (m->head.kind == FL__PIPE_SMALL) {
		int rc = pipe_send_small(p, m);
		if (rc != -EMSGSIZE && rc != -ENOBUFS)
			return rc;
		m->head.kind = FL__PIPE_LARGE;
		m->head.id = pipe_new_id();
	}
	return pipe_send_large(p, m);
}

static int pipe_prepare(struct pipe_outgoing *m, const void *data, size_t size, const int *fds, unsigned n)
{
	if (size > PTRDIFF_MAX)
		return -EMSGSIZE;
	if (n > FL_PIPE_FDS_MAX || (!data && size > 0) || (!fds && n > 0))
		return -EINVAL;
	m->head = (struct fl__pipe_head){FL__PIPE_MAGIC, size > FL__PIPE_INLINE ? FL__PIPE_LARGE : FL__PIPE_SMALL,
	                                 (uint16_t)n, size, 0};
	if (n > 0 || m->head.kind == FL__PIPE_LARGE)
		m->head.id = pipe_new_id();
	if (n > 0)
		memcpy(m->fds + 1, fds, sizeof(int) * n);
	m->data = data;
	m->n_fds = n;
	m->fds[0] = -1;
	return 0;
}

static int pipe_wait(const fl_pipe *p, short events, fl_time deadline, fl_cancel_token *cancel)
{
	if (fl__is_try(deadline))
		return -EAGAIN;
	FL__AWAITS(FL__DEBUG_PIPE, p);
	return fl__fd_wait(p->fd, events, deadline, cancel);
}

int fl_pipe_send_fds_until(fl_pipe *p, const void *data, size_t size, const int *fds, unsigned n, fl_time deadline,
                           fl_cancel_token *cancel)
{
	struct pipe_outgoing m;
	int rc = pipe_prepare(&m, data, size, fds, n);
	if (rc != 0)
		return rc;
	rc = FL__CALL_OR_WAIT(pipe_send_once(p, &m), pipe_wait(p, POLLOUT, deadline, cancel));
	fl__fd_close(m.fds[0]);
	return rc;
}

/* Receiving. */

struct pipe_room {
	void *buffer;
	size_t bytes;
	size_t *size;
	int *fds;
	unsigned *n;
	unsigned n_room;
};

static unsigned pipe_head_fds(const struct fl__pipe_head *head)
{
	return head->n_fds + (head->kind == FL__PIPE_LARGE);
}

static bool pipe_is_head(const struct fl__pipe_head *head, size_t received)
{
	return received >= sizeof *head && head->magic == FL__PIPE_MAGIC && head->n_fds <= FL_PIPE_FDS_MAX &&
	       ((head->kind == FL__PIPE_SMALL && head->size <= FL__PIPE_INLINE) ||
	        (head->kind == FL__PIPE_LARGE && head->size <= PTRDIFF_MAX));
}

static void pipe_store_sizes(const struct pipe_room *room, const struct fl__pipe_head *head)
{
	*room->size = (size_t)head->size;
	if (room->n)
		*room->n = head->n_fds;
}

static int pipe_check_room(const struct pipe_room *room, const struct fl__pipe_head *head)
{
	if (head->size <= room->bytes && head->n_fds <= room->n_room)
		return 0;
	pipe_store_sizes(room, head);
	return -EMSGSIZE;
}

/* Duplicates the descriptors of the oldest message. Returns -EMFILE if too few are free. */
static int pipe_peek(const fl_pipe *p, struct fl__pipe_message *m, const struct pipe_room *room)
{
	struct iovec part = {&m->head, sizeof m->head};
	struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = m->fds};
	int rc = fl__packet_try_recv(p->fd, &packet, MSG_PEEK);
	m->n_fds = packet.n_fds;
	if (rc == -EBADMSG || (rc == 0 && !pipe_is_head(&m->head, packet.size)))
		return 0; /* pipe_take() will report the error */
	if (rc == 0)
		rc = pipe_check_room(room, &m->head);
	if (rc == 0 && packet.lost)
		rc = -EMFILE;
	if (rc != 0)
		fl__fds_close(m->fds, m->n_fds);
	return rc;
}

/* Checks a message. The size of a sealed memfd stays valid, because the memfd cannot shrink. */
static bool pipe_is_sound(const struct fl__pipe_message *m, const struct fl__packet *packet)
{
	if (packet->cut || !pipe_is_head(&m->head, packet->size) || m->n_fds != pipe_head_fds(&m->head))
		return false;
	if (m->head.kind == FL__PIPE_SMALL)
		return packet->size == sizeof m->head + m->head.size;
	int64_t size;
	return packet->size == sizeof m->head && fl__fd_sys.sealed_size(m->fds[0], &size) == 0 &&
	       (uint64_t)size == m->head.size;
}

/*
 * Called if some descriptors are missing. Uses the duplicates instead if they belong to the same
 * message.
 */
static bool pipe_use_duplicates(struct fl__pipe_message *m, const struct fl__pipe_message *spare)
{
	fl__fds_close(m->fds, m->n_fds);
	if (spare->n_fds == 0 || memcmp(&m->head, &spare->head, sizeof m->head) != 0)
		return false;
	*m = *spare;
	return true;
}

/* Uses or closes the duplicates in `spare`. */
static int pipe_take(const fl_pipe *p, struct fl__pipe_message *m, struct fl__pipe_message *spare,
                     const struct pipe_room *room)
{
	size_t here = FL__MIN(room->bytes, FL__PIPE_INLINE);
	struct iovec parts[] = {{&m->head, sizeof m->head}, {room->buffer, here}, {p->spill, FL__PIPE_INLINE}};
	struct fl__packet packet = {.parts = parts, .n_parts = 3, .fds = m->fds};
	int rc = fl__packet_try_recv(p->fd, &packet, 0);
	bool spare_used = false;
	if (rc == 0) {
		m->n_fds = packet.n_fds;
		if (packet.lost) {
			spare_used = pipe_use_duplicates(m, spare);
			rc = spare_used ? 0 : -EMFILE;
		}
		if (rc == 0 && !pipe_is_sound(m, &packet)) {
			fl__fds_close(m->fds, m->n_fds);
			rc = -EBADMSG;
		}
	}
	if (!spare_used)
		fl__fds_close(spare->fds, spare->n_fds);
	return rc;
}

static void pipe_keep(fl_pipe *p, const struct fl__pipe_message *m, const struct pipe_room *room)
{
	if (m->head.kind == FL__PIPE_SMALL && room->bytes > 0) {
		size_t here = (size_t)FL__MIN(m->head.size, room->bytes);
		memmove(p->spill + here, p->spill, (size_t)m->head.size - here);
		memcpy(p->spill, room->buffer, here);
	}
	p->message = *m;
	/* relaxed: receivers read it under the lock */
	fl__store_relaxed(&p->kept, 1);
}

static int pipe_take_kept(fl_pipe *p, struct fl__pipe_message *m, const struct pipe_room *room)
{
	if (pipe_check_room(room, &p->message.head) != 0)
		return -EMSGSIZE;
	*m = p->message;
	if (m->head.kind == FL__PIPE_SMALL && m->head.size > 0)
		memcpy(room->buffer, p->spill, (size_t)m->head.size);
	/* relaxed: receivers read it under the lock */
	fl__store_relaxed(&p->kept, 0);
	return 0;
}

/*
 * Receives a message. Returns -EMSGSIZE if it does not fit; then the message is still in the
 * socket, or the handle keeps it (pipe.h). The bytes of a large message stay in its memfd.
 */
static int pipe_next_message(fl_pipe *p, struct fl__pipe_message *m, const struct pipe_room *room)
{
	struct fl__pipe_message spare;
	FL__HELD(&p->lock);
	/* relaxed: it changes only under the lock */
	if (fl__load_relaxed(&p->kept))
		return pipe_take_kept(p, m, room);
	int rc = pipe_peek(p, &spare, room);
	if (rc == 0)
		rc = pipe_take(p, m, &spare, room);
	if (rc == 0 && pipe_check_room(room, &m->head) != 0) {
		pipe_keep(p, m, room);
		rc = -EMSGSIZE;
	}
	return rc;
}

static int pipe_read_memory(int memory, char *buffer, size_t size)
{
	for (size_t done = 0; done < size;) {
		const ssize_t n = FL__RETRY(fl__fd_sys.read_at(memory, buffer + done, size - done, (off_t)done));
		if (n <= 0)
			return -EIO;
		done += (size_t)n;
	}
	return 0;
}

static int pipe_receive_once(fl_pipe *p, const struct pipe_room *room)
{
	struct fl__pipe_message m;
	int rc = pipe_next_message(p, &m, room);
	if (rc != 0)
		return rc;
	bool large = m.head.kind == FL__PIPE_LARGE;
	if (large) {
		rc = pipe_read_memory(m.fds[0], room->buffer, (size_t)m.head.size);
		fl__fds_close(m.fds, rc == 0 ? 1 : m.n_fds);
	}
	/* if n_room is 0, `fds` may be NULL */
	if (rc == 0 && room->n_room > 0)
		memcpy(room->fds, m.fds + large, sizeof(int) * m.head.n_fds);
	if (rc == 0)
		pipe_store_sizes(room, &m.head);
	return rc;
}

int fl_pipe_receive_fds_until(fl_pipe *p, void *buffer, size_t bytes, size_t *size, int *fds, unsigned *n,
                              fl_time deadline, fl_cancel_token *cancel)
{
	const struct pipe_room room = {buffer, bytes, size, fds, n, n ? *n : 0};
	return FL__CALL_OR_WAIT(pipe_receive_once(p, &room), pipe_wait(p, POLLIN, deadline, cancel));
}
