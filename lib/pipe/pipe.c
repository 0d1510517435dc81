/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes and frees the ends of pipes; fl_wait_any for pipes. The design is in pipe.h. */
#include "pipe.h"
#include "../base/atomic.h"
#include "../base/panic.h"
#include "../base/sys.h"
#include "../process/fd_sys.h"
#include <errno.h>

static fl_pipe *new_pipe(void)
{
	fl_pipe *p = fl__alloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->spill = fl__sys.map(FL__PIPE_INLINE);
	if (!p->spill) {
		fl__free(p);
		return NULL;
	}
	p->generation = 2 * fl__fork_count;
	return p;
}

static void discard_pipe(fl_pipe *p)
{
	if (!p)
		return;
	fl__sys.unmap(p->spill, FL__PIPE_INLINE);
	fl__free(p);
}

static void give_fd(fl_pipe *p, int fd)
{
	p->fd = fd;
	p->in = (struct fl__watched)FL__WATCHED(fd, POLLIN);
	p->out = (struct fl__watched)FL__WATCHED(fd, POLLOUT);
}

int fl_pipe_create(fl_pipe **a, fl_pipe **b, const fl_pipe_config *config)
{
	int sockets[2];
	fl_pipe *first = new_pipe(), *second = new_pipe();
	int rc = first && second ? fl__packet_pair(sockets) : -ENOMEM;
	if (rc != 0) {
		discard_pipe(first);
		discard_pipe(second);
		return rc == -ENOBUFS ? -ENOMEM : rc;
	}
	give_fd(first, sockets[0]);
	give_fd(second, sockets[1]);
	if (config && config->one_way)
		fl_pipe_close_send(first);
	*a = first;
	*b = second;
	return 0;
}

int fl_pipe_from_fd(fl_pipe **p, int fd)
{
	fl_pipe *made = new_pipe();
	int rc = made ? fl__fd_sys.adopt(fd) : -ENOMEM;
	if (rc != 0) {
		discard_pipe(made);
		return rc;
	}
	give_fd(made, fd);
	*p = made;
	return 0;
}

/* `generation` is 2 * fl__fork_count; one more while a thread of a forked child resets `p`. */
void fl__pipe_meet_fork(fl_pipe *p)
{
	uint32_t now = 2 * fl__fork_count;
	for (unsigned round = 0;; round++) {
		uint32_t seen = fl__load_acquire(&p->generation); /* pairs with the release below */
		if (seen == now)
			return;
		if (seen == now + 1)
			fl__back_off(round);
		else if (fl__cas_relaxed(&p->generation, &seen, now + 1)) /* relaxed: what it guards is our parent's */
			break;
	}
	fl_mutex_init(&p->lock);
	/* relaxed: other threads of the child read the generation first */
	if (fl__load_relaxed(&p->kept))
		fl__fds_close(p->kept_fds, p->kept_n);
	fl__store_relaxed(&p->kept, 0);
	fl__store_release(&p->generation, now); /* release: pairs with the acquire above */
}

void fl_pipe_free(fl_pipe *p)
{
	if (!p)
		return;
	if (fl__watched_waited(&p->in) || fl__watched_waited(&p->out))
		fl__panic("fl_pipe_free", p, "somebody waits on it");
	fl__pipe_meet_fork(p);
	if (p->kept)
		fl__fds_close(p->kept_fds, p->kept_n);
	fl__fds_close(&p->fd, 1);
	discard_pipe(p);
}

int fl_pipe_fd(const fl_pipe *p)
{
	return p->fd;
}

void fl_pipe_close_send(fl_pipe *p)
{
	fl__fd_sys.shut(p->fd, SHUT_WR);
}

static bool has_kept(fl_pipe *p)
{
	fl__pipe_meet_fork(p);
	return fl__load_relaxed(&p->kept); /* relaxed: a receiver reads again under the lock */
}

static bool on_ready(void *object)
{
	fl_pipe *p = object;
	return has_kept(p) || fl__watched_ready(&p->in);
}

static bool on_arm(void *object, struct fl__node *node)
{
	fl_pipe *p = object;
	return !has_kept(p) && fl__watched_arm(&p->in, node);
}

static void on_disarm(void *object, struct fl__node *node)
{
	fl__watched_disarm(&((fl_pipe *)object)->in, node);
}

const fl_on_type fl__on_pipe = {on_ready, on_arm, on_disarm, NULL};

static bool on_space_ready(void *object)
{
	return fl__watched_ready(&((fl_pipe *)object)->out);
}

static bool on_space_arm(void *object, struct fl__node *node)
{
	return fl__watched_arm(&((fl_pipe *)object)->out, node);
}

static void on_space_disarm(void *object, struct fl__node *node)
{
	fl__watched_disarm(&((fl_pipe *)object)->out, node);
}

const fl_on_type fl__on_pipe_space = {on_space_ready, on_space_arm, on_space_disarm, NULL};
