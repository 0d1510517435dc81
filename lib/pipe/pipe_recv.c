/* SPDX-License-Identifier: BSD-2-Clause */
#include "../base/atomic.h"
#include "../process/fd_sys.h"
#include "pipe.h"
#include <errno.h>
#include <fairlead/time.h>
#include <string.h>

/* A received message. The first descriptor of a large one has the bytes. */
struct message {
	struct fl__pipe_head head;
	unsigned n_fds;
	int fds[FL__PACKET_FDS];
};

/* The caller's buffers. */
struct room {
	void *buffer;
	size_t bytes;
	size_t *size;
	int *fds;
	unsigned *n;
	unsigned n_room;
};

static unsigned fds_of(const struct fl__pipe_head *head)
{
	return head->n_fds + (head->kind == FL__PIPE_LARGE);
}

static bool is_head(const struct fl__pipe_head *head, size_t received)
{
	return received >= sizeof *head && head->magic == FL__PIPE_MAGIC && head->n_fds <= FL_PIPE_FDS_MAX &&
	       ((head->kind == FL__PIPE_SMALL && head->size <= FL__PIPE_INLINE) ||
	        (head->kind == FL__PIPE_LARGE && head->size <= PTRDIFF_MAX));
}

static void tell_size(const struct room *room, const struct fl__pipe_head *head)
{
	*room->size = (size_t)head->size;
	if (room->n)
		*room->n = head->n_fds;
}

static int check_room(const struct room *room, const struct fl__pipe_head *head)
{
	if (head->size <= room->bytes && head->n_fds <= room->n_room)
		return 0;
	tell_size(room, head);
	return -EMSGSIZE;
}

/* Peeks at the oldest message, and duplicates its descriptors. -EMFILE: no place for them all. */
static int peek(const fl_pipe *p, struct message *m, const struct room *room)
{
	struct iovec part = {&m->head, sizeof m->head};
	struct fl__packet packet = {.parts = &part, .n_parts = 1};
	m->n_fds = 0;
	int rc = fl__packet_try_recv(p->fd, &packet, MSG_PEEK);
	if (rc == -EBADMSG || (rc == 0 && !is_head(&m->head, packet.size)))
		return 0; /* take() reports the error */
	if (rc == 0)
		rc = check_room(room, &m->head);
	if (rc != 0 || fds_of(&m->head) == 0)
		return rc;
	packet.fds = m->fds;
	rc = fl__packet_try_recv(p->fd, &packet, MSG_PEEK);
	if (rc != 0)
		return rc == -EBADMSG ? 0 : rc;
	m->n_fds = packet.n_fds;
	if (!packet.lost)
		return 0;
	fl__fds_close(m->fds, m->n_fds);
	return -EMFILE;
}

/* Whether the packet is as its head says. A large one's memfd is sealed: it never shrinks. */
static bool is_sound(const struct message *m, const struct fl__packet *packet)
{
	if (packet->cut || !is_head(&m->head, packet->size) || m->n_fds != fds_of(&m->head))
		return false;
	if (m->head.kind == FL__PIPE_SMALL)
		return packet->size == sizeof m->head + m->head.size;
	int64_t size;
	return packet->size == sizeof m->head && fl__fd_sys.sealed_size(m->fds[0], &size) == 0 &&
	       (uint64_t)size == m->head.size;
}

/* Replaces `m`'s incomplete descriptors by the duplicates, if these are of the same message. */
static bool use_spare(struct message *m, const struct message *spare)
{
	fl__fds_close(m->fds, m->n_fds);
	m->n_fds = 0;
	if (spare->n_fds == 0 || memcmp(&m->head, &spare->head, sizeof m->head) != 0)
		return false;
	memcpy(m->fds, spare->fds, sizeof(int) * spare->n_fds);
	m->n_fds = spare->n_fds;
	return true;
}

/* Takes the oldest packet: first into the caller's buffer, the rest into the spill. */
static int take(const fl_pipe *p, struct message *m, struct message *spare, const struct room *room)
{
	size_t here = room->bytes < FL__PIPE_INLINE ? room->bytes : FL__PIPE_INLINE;
	struct iovec parts[] = {{&m->head, sizeof m->head}, {room->buffer, here}, {p->spill, FL__PIPE_INLINE}};
	struct fl__packet packet = {.parts = parts, .n_parts = 3, .fds = m->fds};
	int rc = fl__packet_try_recv(p->fd, &packet, 0);
	bool spare_used = false;
	if (rc == 0) {
		m->n_fds = packet.n_fds;
		if (packet.lost) {
			spare_used = use_spare(m, spare);
			rc = spare_used ? 0 : -EMFILE;
		}
		if (rc == 0 && !is_sound(m, &packet)) {
			fl__fds_close(m->fds, m->n_fds);
			rc = -EBADMSG;
		}
	}
	if (!spare_used)
		fl__fds_close(spare->fds, spare->n_fds);
	return rc;
}

/* Keeps in the handle a message that does not fit. */
static void keep(fl_pipe *p, const struct message *m, const struct room *room)
{
	if (m->head.kind == FL__PIPE_SMALL && room->bytes > 0) {
		size_t here = m->head.size < room->bytes ? (size_t)m->head.size : room->bytes;
		memmove(p->spill + here, p->spill, (size_t)m->head.size - here);
		memcpy(p->spill, room->buffer, here);
	}
	p->kept_head = m->head;
	p->kept_n = m->n_fds;
	memcpy(p->kept_fds, m->fds, sizeof(int) * m->n_fds);
	fl__store_relaxed(&p->kept, 1); /* relaxed: receivers hold the lock */
}

static int take_kept(fl_pipe *p, struct message *m, const struct room *room)
{
	if (check_room(room, &p->kept_head) != 0)
		return -EMSGSIZE;
	m->head = p->kept_head;
	m->n_fds = p->kept_n;
	memcpy(m->fds, p->kept_fds, sizeof(int) * p->kept_n);
	if (m->head.kind == FL__PIPE_SMALL && m->head.size > 0)
		memcpy(room->buffer, p->spill, (size_t)m->head.size);
	fl__store_relaxed(&p->kept, 0); /* relaxed: as in keep() */
	return 0;
}

/* Takes the next message if it fits. A large one's bytes stay in its memfd. */
static int next_message(fl_pipe *p, struct message *m, const struct room *room)
{
	struct message spare;
	fl__pipe_meet_fork(p);
	FL_LOCKED(&p->lock);
	if (fl__load_relaxed(&p->kept)) /* relaxed: changes under the lock */
		return take_kept(p, m, room);
	int rc = peek(p, &spare, room);
	if (rc == 0)
		rc = take(p, m, &spare, room);
	if (rc == 0 && check_room(room, &m->head) != 0) {
		keep(p, m, room);
		rc = -EMSGSIZE;
	}
	return rc;
}

static int read_memory(int memory, char *buffer, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = fl__fd_sys.read_at(memory, buffer + done, size - done, (off_t)done);
		if (n > 0)
			done += (size_t)n;
		else if (n != -EINTR)
			return -EIO;
	}
	return 0;
}

static int receive_once(fl_pipe *p, const struct room *room)
{
	struct message m;
	int rc = next_message(p, &m, room);
	if (rc != 0)
		return rc;
	bool large = m.head.kind == FL__PIPE_LARGE;
	if (large) {
		rc = read_memory(m.fds[0], room->buffer, (size_t)m.head.size);
		fl__fds_close(m.fds, rc == 0 ? 1 : m.n_fds);
	}
	if (rc == 0 && room->n_room > 0) /* without room `m` has none: check_room() */
		memcpy(room->fds, m.fds + large, sizeof(int) * m.head.n_fds);
	if (rc == 0)
		tell_size(room, &m.head);
	return rc;
}

int fl_pipe_recv_fds_until(fl_pipe *p, void *buffer, size_t bytes, size_t *size, int *fds, unsigned *n,
                           int64_t deadline, fl_cancel_token *cancel)
{
	const struct room room = {buffer, bytes, size, fds, n, n ? *n : 0};
	for (;;) {
		int rc = receive_once(p, &room);
		if (rc != -EAGAIN || deadline == FL__TRY)
			return rc;
		rc = fl__fd_wait(p->fd, POLLIN, deadline, cancel);
		if (rc != 0)
			return rc;
	}
}
