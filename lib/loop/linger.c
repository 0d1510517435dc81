/* SPDX-License-Identifier: BSD-2-Clause */
/* The lingering close of TCP sockets (linger.h). */
#include "linger.h"
#include "core/base/list.h"
#include "core/base/sys.h"
#include "fd/net_sys.h"
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int64_t fl__linger_time = FL_S(5);

static void linger_end(struct fl__linger *g)
{
	fl_loop *l = g->loop;
	FL__QUEUE_REMOVE(l->lingering, l->lingering_last, g);
	l->n_lingering--;
	fl__loop_remove(l, g->fd, &g->source);
	fl__fd_close(g->fd);
	fl__free(g);
}

/*
 * Drops up to 1 MiB of the input without copying it, which only TCP can do. Returns the results of
 * recv().
 */
static ssize_t linger_drop(int fd)
{
	/* MSG_TRUNC: TCP drops the bytes (tcp(7)) */
	return FL__RETRY(FL__SYS_RESULT(recv(fd, NULL, 1 << 20, MSG_DONTWAIT | MSG_TRUNC)));
}

static void linger_on_events(void *source, uint32_t events)
{
	const ssize_t n = linger_drop(((struct fl__linger *)source)->fd);
	(void)events;
	if (n <= 0 && n != -EAGAIN)
		linger_end(source);
}

/* Returns how many written bytes the peer's system has not acknowledged, or an error. */
static int linger_unacknowledged(int fd)
{
	int n = 0;
	const int rc = FL__SYS_RESULT(ioctl(fd, SIOCOUTQ, &n));
	return rc < 0 ? rc : n;
}

static bool linger_is_needed(int fd)
{
	const ssize_t n = linger_drop(fd);
	return n == -EAGAIN ? linger_unacknowledged(fd) > 0 : n > 0;
}

/*
 * Watches the socket level-triggered, with one read for each event. Returns false if there is no
 * memory; then the caller still owns `fd`.
 */
static bool linger_begin(fl_loop *l, int fd)
{
	struct fl__linger *g = fl__alloc(1, sizeof *g);
	if (!g)
		return false;
	*g = (struct fl__linger){
	    .source.fire = linger_on_events, .loop = l, .deadline = fl_after(fl__linger_time), .fd = fd};
	if (fl__loop_add(l, fd, EPOLLIN, &g->source) != 0) {
		fl__free(g);
		return false;
	}
	FL__QUEUE_ADD(l->lingering, l->lingering_last, g);
	if (++l->n_lingering > FL__LINGER_MOST)
		linger_end(l->lingering);
	return true;
}

void fl__linger_close(fl_loop *l, int fd)
{
	if (!linger_is_needed(fd) || fl__net_sys.shutdown(fd, SHUT_WR) != 0 || !linger_begin(l, fd))
		fl__fd_close(fd);
}

int64_t fl__linger_deadline(const fl_loop *l)
{
	return l->lingering ? fl__expiry(l->lingering->deadline) : FL__NEVER;
}

void fl__linger_check(fl_loop *l)
{
	while (l->lingering && fl__is_expired(l->lingering->deadline))
		linger_end(l->lingering);
}

/* Drops the input before it closes a socket, because unread bytes would reset the connection. */
void fl__linger_end_all(fl_loop *l)
{
	while (l->lingering) {
		(void)linger_drop(l->lingering->fd);
		linger_end(l->lingering);
	}
}
