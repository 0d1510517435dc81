/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_UNIX_FILE_H
#define FL_LOOP_UNIX_FILE_H

#include "loop/net/net_resolve.h"
#include <stdbool.h>

enum { FL__MODE_MAX = 0777 }; /* the mode of a socket's file */

/* The file of a bound Unix socket. All-zero: no file. */
struct fl__unix_file {
	bool exists; /* fl__unix_file_remove() removes the file at `path` */
	struct fl__file file;
	int lock; /* a descriptor + 1; 0: none */
	char path[sizeof((struct sockaddr_un *)0)->sun_path];
};

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
 * Blocks the calling context while the listener's backlog is full. Returns 0, -ETIMEDOUT,
 * -ECANCELED, -ENOTSOCK (the file is no socket), or the error of the system.
 */
int fl__unix_connect(int fd, const struct sockaddr_un *a, socklen_t size, int64_t deadline, fl_cancel_token *cancel);

#endif
