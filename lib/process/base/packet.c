/* SPDX-License-Identifier: BSD-2-Clause */
/* Sends and receives packets of bytes and descriptors (packet.h). */
#include "packet.h"
#include "core/base/sys.h"
#include "fd_watcher.h"
#include "process_sys.h"
#include <errno.h>
#include <fairlead/cancel.h>
#include <string.h>

int fl__packet_try_send(int socket, const struct iovec *parts, unsigned n_parts, const int *fds, unsigned n_fds)
{
	union fl__passed_fds control;
	struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = n_parts};
	if (n_fds > FL__PACKET_FDS)
		return -EINVAL;
	if (n_fds > 0)
		fl__passed_fds_put(&message, &control, fds, n_fds);
	const ssize_t sent = FL__RETRY(fl__net_sys.sendmsg(socket, &message));
	/* the peer has closed; -ECONNRESET means that it left packets unread */
	if (sent == -ECONNRESET || sent == -ENOTCONN)
		return -EPIPE;
	return sent < 0 ? (int)sent : 0;
}

int fl__packet_send(int socket, const void *data, size_t size, const int *fds, unsigned n_fds, fl_time deadline)
{
	const struct iovec part = {(void *)data, size};
	if (size == 0)
		return -EINVAL;
	return FL__CALL_OR_WAIT(fl__packet_try_send(socket, &part, 1, fds, n_fds),
	                        fl__fd_wait(socket, POLLOUT, deadline, FL_SHIELDED));
}

/*
 * Called after recvmsg() has returned 0. If the peer has closed and no bytes are queued, no packet
 * is left. If bytes are queued, the kernel may have reported the end too early, because it looks
 * for a packet first and for the close second, and the peer may send and close in between. Returns
 *   0         receive again
 *   -EPIPE    the peer has closed, and no packet is left
 *   -EBADMSG  the peer has sent an empty packet
 * If the process may not have any descriptor (RLIMIT_NOFILE is 0), the kernel refuses the poll().
 * Then the function assumes that the peer has closed. It still finds a queued packet, but takes an
 * empty packet for the end.
 */
static int packet_check_end(int socket)
{
	if (fl__fd_poll(socket, POLLRDHUP) == 0)
		return -EBADMSG;
	return fl__fd_waiting(socket) > 0 ? 0 : -EPIPE;
}

static uint32_t packet_user(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred sender;
			memcpy(&sender, CMSG_DATA(c), sizeof sender);
			return sender.uid;
		}
	return FL__NO_USER;
}

static int packet_receive(int socket, struct fl__packet *packet, int flags)
{
	union fl__passed_fds control;
	struct msghdr message;
	ssize_t n;
	/* -ECONNRESET comes once, before what can still be received. */
	do {
		message = (struct msghdr){.msg_iov = packet->parts, .msg_iovlen = packet->n_parts};
		if (packet->fds)
			fl__passed_fds_expect(&message, &control);
		n = fl__net_sys.recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
	} while (n == -EINTR || n == -ECONNRESET);
	if (n < 0)
		return (int)n;
	packet->size = (size_t)n;
	packet->cut = message.msg_flags & MSG_TRUNC;
	packet->lost = packet->fds && (message.msg_flags & MSG_CTRUNC);
	packet->n_fds = packet->fds ? fl__passed_fds_take(&message, packet->fds) : 0;
	packet->user = packet_user(&message);
	return 0;
}

int fl__packet_try_recv(int socket, struct fl__packet *packet, int flags)
{
	int rc;
	do {
		rc = packet_receive(socket, packet, flags);
		if (rc != 0 || packet->size > 0 || packet->cut)
			return rc;
		rc = packet->n_fds > 0 || packet->lost ? -EBADMSG : packet_check_end(socket);
		fl__fds_close(packet->fds, packet->n_fds);
		packet->n_fds = 0;
	} while (rc == 0);
	return rc;
}

int fl__packet_recv(int socket, void *data, size_t room, size_t *size, int *fds, unsigned *n_fds, fl_time deadline)
{
	int came[FL__PACKET_FDS];
	struct iovec part = {data, room};
	struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = came};
	const int rc = FL__CALL_OR_WAIT(fl__packet_try_recv(socket, &packet, 0),
	                                fl__fd_wait(socket, POLLIN, deadline, FL_SHIELDED));
	if (rc != 0)
		return rc;
	*size = packet.size;
	if (packet.cut || packet.lost || packet.n_fds > (n_fds ? *n_fds : 0)) {
		fl__fds_close(came, packet.n_fds);
		return packet.cut ? -EMSGSIZE : -EMFILE;
	}
	if (n_fds)
		*n_fds = packet.n_fds;
	if (packet.n_fds > 0)
		memcpy(fds, came, sizeof(int) * packet.n_fds);
	return 0;
}
