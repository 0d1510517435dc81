/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_UNIX_FILE_H
#define FL_LOOP_UNIX_FILE_H

#include <fairlead/cancel.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { FL__MODE_MAX = 0777 }; /* the mode of a socket's file */

/* The identity of a file, under any name. */
struct fl__file {
	uint64_t device, number;
};

/* For files of Unix sockets. Results as in lib/core/base/sys.h; errno keeps its value. */
struct fl__unix_sys {
	/* Identifies a socket's file. `follow`: that behind a symbolic link. -ENOTSOCK: no socket */
	int (*socket_file)(const char *path, bool follow, struct fl__file *file);
	int (*unlink)(const char *path);
	int (*set_mode)(const char *path, unsigned mode); /* of a socket file; -ENOTSOCK */
	/*
	 * Creates the file `path`.lock, and locks it against other processes. Returns a descriptor,
	 * for `unlock`; -EWOULDBLOCK.
	 */
	int (*lock)(const char *path);
	void (*unlock)(int fd, const char *path); /* removes the file of the lock, too */
};

extern struct fl__unix_sys fl__unix_sys;

/* The file of a bound Unix socket. All-zero: no file. */
struct fl__unix_file {
	bool exists; /* fl__unix_file_remove() removes the file at `path` */
	struct fl__file file;
	int lock; /* a descriptor + 1; 0: none */
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

/*
 * Stores the address of a path, or of an abstract name, which begins with '@'. Returns the size, or
 * -EINVAL, -ENAMETOOLONG.
 */
int fl__unix_address(struct sockaddr_un *a, const char *path);

/*
 * `a`: the address of a path or an abstract name. First removes a stale file at the path. Locks the
 * path against other processes, up to fl__unix_file_settle(). Returns 0, or what the system says;
 * -EADDRINUSE: a process has a socket open there, or is about to listen; -ENOTSOCK: the file is no
 * socket.
 */
int fl__unix_file_bind(struct fl__unix_file *f, int fd, int type, const char *path, const struct sockaddr_un *a,
                       socklen_t size);

/*
 * Called when the socket listens, or when it never will: until then it looks like the stale file of
 * a dead process.
 */
void fl__unix_file_settle(struct fl__unix_file *f);

/*
 * Unless another file has replaced it. Called before the socket is closed: until then no other file
 * gets its inode number.
 */
void fl__unix_file_remove(struct fl__unix_file *f);

/*
 * No event says that a full Unix socket has room: a caller tries again after 1 ms, 2 ms, up to
 * 32 ms. `pause`: the last; 0: none.
 */
static inline int64_t fl__unix_next_pause(int64_t pause)
{
	if (pause == 0)
		return FL_MS(1);
	return pause < FL_MS(32) ? pause * 2 : pause;
}

/*
 * Blocks the calling context while the listener's backlog is full. Returns 0, -ETIMEDOUT,
 * -ECANCELED, -ENOTSOCK (the file is no socket), or the error of the system.
 */
int fl__unix_connect(int fd, const struct sockaddr_un *a, socklen_t size, int64_t deadline, fl_cancel_token *cancel);

#endif
