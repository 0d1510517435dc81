/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/cancel.h>
#include <fairlead/time.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The identity of a file, under any name. */
struct fl__file {
	uint64_t device, number;
};

/*
 * System calls for the files of Unix sockets. Results are as in lib/core/base/sys.h; errno keeps
 * its value.
 */
struct fl__unix_sys {
	/*
	 * Identifies the file at a path or, with `follow`, the file behind a symbolic link. Returns
	 * -ENOTSOCK if that file is not a socket.
	 */
	int (*socket_file)(const char *path, bool follow, struct fl__file *file);
	int (*unlink)(const char *path);
	int (*set_mode)(const char *path, unsigned mode); /* -ENOTSOCK: not a socket */
	/* Creates and locks `path`.lock. Returns a descriptor for `unlock`, -EWOULDBLOCK, ... */
	int (*lock)(const char *path);
	void (*unlock)(int fd, const char *path); /* also removes the lock file */
};

extern struct fl__unix_sys fl__unix_sys;

/* The file of a bound Unix socket. If the struct is all-zero, there is no file. */
struct fl__unix_file {
	bool exists; /* fl__unix_file_remove() removes the file at `path` */
	struct fl__file file;
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

/* Stores the address of a path or of "@name". Returns its size, -EINVAL or -ENAMETOOLONG. */
int fl__unix_address(struct sockaddr_un *a, const char *path);

/*
 * Opens a socket at a path or at an abstract name. If `path` is NULL, which only datagrams allow,
 * the system chooses a name. Removes a stale file first. `mode` is the mode of the file, or 0 for
 * the system's default. Listens with `backlog`, unless the socket is for datagrams. Returns the
 * descriptor, an error of the system or of fl__unix_address(), or:
 *   -EADDRINUSE  a process has a socket open there, or is about to listen
 *   -ENOTSOCK    the file is not a socket
 *   -EINVAL      `mode` is invalid, or is not 0 although there is no file
 */
int fl__unix_open(struct fl__unix_file *f, int type, const char *path, unsigned mode, int backlog);

/*
 * Removes the file, unless another file has replaced it. Called before the socket is closed,
 * because until then no other file can have the inode number.
 */
void fl__unix_file_remove(struct fl__unix_file *f);

/*
 * Returns the next pause before a retry. No event says when a full Unix socket has room again, so
 * callers retry after 1 ms, 2 ms, and up to 32 ms. `pause` is the last pause, or 0 at first.
 */
static inline int64_t fl__unix_next_pause(int64_t pause)
{
	if (pause == 0)
		return FL_MS(1);
	return pause < FL_MS(32) ? pause * 2 : pause;
}

/*
 * Connects a new socket. Blocks the calling context while the listener's backlog is full. Returns
 * the descriptor, -ETIMEDOUT, -ECANCELED, -ENOTSOCK (the file is not a socket), or an error of the
 * system or of fl__unix_address().
 */
int fl__unix_connect(int type, const char *path, fl_time deadline, fl_cancel_token *cancel);
