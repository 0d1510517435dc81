/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of Unix sockets. A path is locked from before bind() until the socket listens or, if it
 * is for datagrams, has its name and mode. So under the lock a file whose socket no process has
 * open is stale, and no other process is about to remove it. If the lock file cannot be created,
 * except for lack of descriptors or memory, bind() is tried without the lock.
 */
#include "unix_file.h"
#include "core/base/sys.h"
#include "net_sys.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UNIX_LOCK_SIZE = sizeof((struct sockaddr_un *)0)->sun_path + sizeof ".lock" };

int fl__unix_address(struct sockaddr_un *a, const char *path)
{
	if (!path || path[0] == '\0')
		return -EINVAL;
	const size_t most = sizeof a->sun_path - 1, length = strnlen(path, most + 1);
	if (length > most)
		return -ENAMETOOLONG;
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(a->sun_path, path, length);
	const bool is_abstract = path[0] == '@';
	if (is_abstract)
		a->sun_path[0] = '\0';
	/* a path includes its NUL; in an abstract name a NUL would be a character */
	return (int)(offsetof(struct sockaddr_un, sun_path) + length + !is_abstract);
}

static int unix_sys_socket_file(const char *path, bool follow, struct fl__file *file)
{
	struct stat st;
	int rc = FL__SYS_RESULT(fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW));
	if (rc != 0)
		return rc;
	*file = (struct fl__file){st.st_dev, st.st_ino};
	return S_ISSOCK(st.st_mode) ? 0 : -ENOTSOCK;
}

static int unix_sys_unlink(const char *path)
{
	return FL__SYS_RESULT(unlink(path));
}

/* Uses a descriptor, because chmod() follows a symbolic link that has replaced the file. */
static int unix_sys_set_mode(const char *path, unsigned mode)
{
	char by_number[40];
	struct stat st;
	FL__UNCANCELLED();
	int fd = FL__RETRY(FL__SYS_RESULT(open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC)));
	if (fd < 0)
		return fd;
	int rc = fstat(fd, &st);
	if (rc == 0 && S_ISSOCK(st.st_mode)) {
		(void)snprintf(by_number, sizeof by_number, "/proc/thread-self/fd/%d", fd);
		rc = chmod(by_number, (mode_t)mode);
	} else if (rc == 0) {
		errno = ENOTSOCK;
		rc = -1;
	}
	rc = rc == 0 ? 0 : -errno;
	fl__fd_close(fd);
	return rc;
}

/* Stores the name of the lock file. `path` fits into a socket's address. */
static void unix_lock_name(char name[static UNIX_LOCK_SIZE], const char *path)
{
	(void)snprintf(name, UNIX_LOCK_SIZE, "%s.lock", path);
}

/*
 * Locks `fd`. Returns -ESTALE if `name` is gone or another file by now, because each owner of the
 * lock removes the lock file.
 */
static int unix_lock_file(int fd, const char *name)
{
	struct stat opened, named;
	const int rc = FL__RETRY(FL__SYS_RESULT(flock(fd, LOCK_EX | LOCK_NB)));
	if (rc != 0)
		return rc;
	if (fstat(fd, &opened) != 0)
		return -errno;
	if (lstat(name, &named) != 0)
		return errno == ENOENT ? -ESTALE : -errno;
	return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino ? 0 : -ESTALE;
}

static int unix_try_lock(const char *name)
{
	int fd = FL__RETRY(FL__SYS_RESULT(open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)));
	if (fd < 0)
		return fd;
	int rc = unix_lock_file(fd, name);
	if (rc == 0)
		return fd;
	fl__fd_close(fd);
	return rc;
}

static int unix_sys_lock(const char *path)
{
	char name[UNIX_LOCK_SIZE];
	FL__UNCANCELLED();
	int rc;
	unix_lock_name(name, path);
	do
		rc = unix_try_lock(name);
	while (rc == -ESTALE);
	return rc;
}

static void unix_sys_unlock(int fd, const char *path)
{
	char name[UNIX_LOCK_SIZE];
	FL__UNCANCELLED();
	unix_lock_name(name, path);
	(void)unlink(name);
	(void)flock(fd, LOCK_UN); /* after close() alone, a forked child would keep the lock */
	fl__fd_close(fd);
}

struct fl__unix_sys fl__unix_sys = {
    .socket_file = unix_sys_socket_file,
    .unlink = unix_sys_unlink,
    .set_mode = unix_sys_set_mode,
    .lock = unix_sys_lock,
    .unlock = unix_sys_unlock,
};

/*
 * Connects, but sends nothing. Returns 0 if no process has the socket open, -EADDRINUSE if one may
 * have it open, or another error.
 */
static int unix_file_probe(int type, const struct sockaddr_un *a, socklen_t size)
{
	int fd = fl__net_sys.socket(AF_UNIX, type, 0);
	if (fd < 0)
		return fd;
	int rc = FL__RETRY(fl__net_sys.connect(fd, (const struct sockaddr *)a, size));
	fl__fd_close(fd);
	if (rc == -EACCES)
		return rc;
	return rc == -ECONNREFUSED || rc == -ENOENT ? 0 : -EADDRINUSE;
}

/* Returns 0 if the path is free. */
static int unix_file_remove_stale(const char *path, int type, const struct sockaddr_un *a, socklen_t size)
{
	struct fl__file file;
	int rc = fl__unix_sys.socket_file(path, false, &file);
	if (rc == 0)
		rc = unix_file_probe(type, a, size);
	if (rc == 0)
		rc = fl__unix_sys.unlink(path);
	return rc == -ENOENT ? 0 : rc;
}

void fl__unix_file_remove(struct fl__unix_file *f)
{
	struct fl__file file;
	const bool exists = f->exists;
	f->exists = false; /* once the socket is closed, another file may get the number */
	if (!exists || fl__unix_sys.socket_file(f->path, false, &file) != 0)
		return;
	if (file.device == f->file.device && file.number == f->file.number) {
		(void)fl__unix_sys.unlink(f->path); /* the next socket at this path removes a stale file */
	}
}

static int unix_file_bind(struct fl__unix_file *f, int fd, int type, const char *path, const struct sockaddr_un *a,
                          socklen_t size)
{
	int rc = fl__net_sys.bind(fd, (const struct sockaddr *)a, size);
	if (!path || path[0] == '@')
		return rc;
	if (rc == -EADDRINUSE) {
		rc = unix_file_remove_stale(path, type, a, size);
		if (rc == 0)
			rc = fl__net_sys.bind(fd, (const struct sockaddr *)a, size);
	}
	if (rc == 0) {
		memcpy(f->path, path, strlen(path));
		f->exists = fl__unix_sys.socket_file(path, false, &f->file) == 0; /* if not, the file is gone */
	}
	return rc;
}

static int unix_file_bind_and_listen(struct fl__unix_file *f, int type, const char *path, const struct sockaddr_un *a,
                                     socklen_t size, unsigned mode, int backlog)
{
	const int fd = fl__net_sys.socket(AF_UNIX, type, 0);
	if (fd < 0)
		return fd;
	int rc = unix_file_bind(f, fd, type, path, a, size);
	if (rc == 0 && mode != 0)
		rc = fl__unix_sys.set_mode(path, mode); /* before listen: nothing can connect */
	if (rc == 0 && type != SOCK_DGRAM)
		rc = fl__net_sys.listen(fd, backlog);
	if (rc == 0)
		return fd;
	fl__unix_file_remove(f);
	fl__fd_close(fd);
	return rc;
}

int fl__unix_open(struct fl__unix_file *f, int type, const char *path, unsigned mode, int backlog)
{
	enum { MODE_MAX = 0777 };
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const bool chosen = !path && type == SOCK_DGRAM;
	const int size = chosen ? (int)sizeof a.sun_family : fl__unix_address(&a, path);
	if (size < 0)
		return size;
	const bool has_file = path && path[0] != '@';
	if (mode > MODE_MAX || (mode != 0 && !has_file))
		return -EINVAL;
	const int lock = has_file ? fl__unix_sys.lock(path) : -ENOENT;
	if (lock == -EWOULDBLOCK)
		return -EADDRINUSE;
	if (lock == -EMFILE || lock == -ENFILE || lock == -ENOMEM)
		return lock; /* after any other error, bind() decides */
	const int fd = unix_file_bind_and_listen(f, type, path, &a, (socklen_t)size, mode, backlog);
	if (lock >= 0)
		fl__unix_sys.unlock(lock, path);
	return fl__net_error(fd);
}

static int unix_connect(int fd, const struct sockaddr_un *a, socklen_t size, fl_time deadline, fl_cancel_token *cancel)
{
	for (int64_t pause = 0;;) {
		struct fl__file file;
		int rc = fl__net_sys.connect(fd, (const struct sockaddr *)a, size);
		if (rc == -ECONNREFUSED && a->sun_path[0] != '\0' &&
		    fl__unix_sys.socket_file(a->sun_path, true, &file) == -ENOTSOCK)
			return -ENOTSOCK;
		if (rc != -EAGAIN && rc != -EINTR)
			return fl__net_error(rc);
		if (fl__is_expired(deadline))
			return -ETIMEDOUT;
		pause = fl__unix_next_pause(pause);
		rc = fl_sleep_until(fl__earlier(deadline, fl_after(pause)), cancel);
		if (rc != 0)
			return rc;
	}
}

int fl__unix_connect(int type, const char *path, fl_time deadline, fl_cancel_token *cancel)
{
	struct sockaddr_un a;
	const int size = fl__unix_address(&a, path);
	if (size < 0)
		return size;
	const int fd = fl__net_sys.socket(AF_UNIX, type, 0);
	if (fd < 0)
		return fl__net_error(fd);
	const int rc = unix_connect(fd, &a, (socklen_t)size, deadline, cancel);
	if (rc == 0)
		return fd;
	fl__fd_close(fd);
	return rc;
}
