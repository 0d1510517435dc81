/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of Unix sockets. A stale file is removed first; only its owner removes a file.
 *
 * The lock of the path lasts from before bind() until the socket listens. So under the lock a file
 * at which no process listens is stale, and no other process is about to remove it. A file system
 * without such locks does without.
 */
#include "unix_file.h"
#include "../base/sys.h"
#include "net_sys.h"
#include <errno.h>
#include <string.h>

/*
 * By a connection, which sends nothing. Returns 0: no process has the socket open; -EADDRINUSE: one
 * has; or the error of the check.
 */
static int unix_file_probe(int type, const struct sockaddr_un *a, socklen_t size)
{
	int fd = fl__net_sys.socket(AF_UNIX, type, 0);
	if (fd < 0)
		return fd;
	int rc = fl__net_sys.connect(fd, (const struct sockaddr *)a, size);
	fl__net_sys.close(fd);
	if (rc == -EACCES)
		return rc;
	return rc == -ECONNREFUSED || rc == -ENOENT ? 0 : -EADDRINUSE;
}

/* Removes a stale socket file. Returns 0: the path is free. */
static int unix_file_remove_stale(const char *path, int type, const struct sockaddr_un *a, socklen_t size)
{
	struct fl__file file;
	int rc = fl__name_sys.socket_file(path, false, &file);
	if (rc == 0)
		rc = unix_file_probe(type, a, size);
	if (rc == 0)
		rc = fl__name_sys.unlink(path);
	return rc == -ENOENT ? 0 : rc;
}

/* 0 also where the path cannot be locked: bind() tells whether it can be used. */
static int unix_file_lock(struct fl__unix_file *f)
{
	const int fd = fl__name_sys.lock(f->path);
	if (fd == -EWOULDBLOCK)
		return -EADDRINUSE;
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		return fd;
	f->lock = fd >= 0 ? fd + 1 : 0;
	return 0;
}

void fl__unix_file_settle(struct fl__unix_file *f)
{
	if (f->lock > 0)
		fl__name_sys.unlock(f->lock - 1, f->path);
	f->lock = 0;
}

int fl__unix_file_bind(struct fl__unix_file *f, int fd, int type, const char *path, const struct sockaddr_un *a,
                       socklen_t size)
{
	if (path[0] == '@')
		return fl__net_sys.bind(fd, (const struct sockaddr *)a, size);
	memcpy(f->path, path, strlen(path));
	int rc = unix_file_lock(f);
	if (rc != 0)
		return rc;
	rc = fl__net_sys.bind(fd, (const struct sockaddr *)a, size);
	if (rc == -EADDRINUSE) {
		rc = unix_file_remove_stale(path, type, a, size);
		if (rc == 0)
			rc = fl__net_sys.bind(fd, (const struct sockaddr *)a, size);
	}
	if (rc == 0)
		f->exists = fl__name_sys.socket_file(path, false, &f->file) == 0; /* else the file is gone */
	return rc;
}

void fl__unix_file_remove(struct fl__unix_file *f)
{
	struct fl__file file;
	if (!f->exists || fl__name_sys.socket_file(f->path, false, &file) != 0)
		return;
	if (file.device == f->file.device && file.number == f->file.number) {
		int rc = fl__name_sys.unlink(f->path);
		(void)rc; /* the next socket at this path removes a stale file */
	}
}

static const int64_t unix_file_pause_min = FL_MS(1), unix_file_pause_max = FL_MS(32);

/*
 * A Unix socket connects at once, or gets -EAGAIN while the listener's backlog is full. No event
 * reports room: tries again after a pause.
 */
int fl__unix_connect(int fd, const struct sockaddr_un *a, socklen_t size, int64_t deadline, fl_cancel_token *cancel)
{
	int64_t pause = unix_file_pause_min;
	for (;;) {
		struct fl__file file;
		int rc = fl__net_sys.connect(fd, (const struct sockaddr *)a, size);
		if (rc == -ECONNREFUSED && a->sun_path[0] != '\0' &&
		    fl__name_sys.socket_file(a->sun_path, true, &file) == -ENOTSOCK)
			return -ENOTSOCK;
		if (rc != -EAGAIN && rc != -EINTR)
			return fl__net_error(rc);
		if (fl__is_expired(deadline))
			return -ETIMEDOUT;
		rc = fl_sleep_until(fl__min_deadline(deadline, fl_after(pause)), cancel);
		if (rc != 0)
			return rc;
		pause = pause < unix_file_pause_max ? pause * 2 : pause;
	}
}
