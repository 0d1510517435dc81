/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_IO_H
#define STRESS_IO_H

#include "posix.h"
#include "program.h"
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

/*
 * The descriptors of a program: pipes, sockets, event counters, timers, epoll sets, and regular
 * files. io.c has the table, and moves bytes; io_socket.c, io_poll.c and io_file.c have the rest.
 *
 * A channel carries bytes in one direction. A pipe is one channel, and a connection is two. An
 * event counter, a timer, a listening socket and an epoll set have a channel of their own, whose
 * count is the counter, the expirations, or the bytes of the pending connections. Each step of a
 * thread is on one channel. A poll is on all channels, so that it commutes with no other step on
 * descriptors.
 */
enum lab_io_kind { LAB_IO_FILE, LAB_IO_PIPE, LAB_IO_SOCKET, LAB_IO_LISTENER, LAB_IO_EVENT, LAB_IO_TIMER, LAB_IO_EPOLL };

/*
 * A pipe holds 64 KiB, as in Linux. A socket holds 4 KiB, unless SO_SNDBUF or SO_RCVBUF says
 * otherwise.
 */
enum { LAB_IO_ROOM = 64 << 10, LAB_IO_SOCKET_ROOM = 4 << 10, LAB_IO_FIRST = 3, LAB_IO_NUMBERS = 64 };

struct lab_channel {
	struct lab_file *reader, *writer; /* an end that is closed is NULL */
	enum lab_io_kind kind;
	int number[2]; /* the descriptors of the reader and of the writer, for reports */
	/* reset: the writer has closed, and left bytes unread that were for it */
	bool taken, reset;
	/* usual: the room that it has unless a fault has filled the socket */
	uint64_t count, room, usual;
	size_t begin;
	char bytes[LAB_IO_ROOM];
};

struct lab_address {
	socklen_t size; /* 0: there is no address */
	struct sockaddr_storage is;
};

/* An open file. Descriptors refer to it, and so do calls that wait. */
struct lab_file {
	uint8_t kind;
	bool nonblocking, by_one; /* by_one: an event counter that is a semaphore */
	unsigned refs;
	struct lab_channel *in, *out;
	int64_t timeout[2];           /* for reads, and for writes; 0: none */
	int64_t next, interval;       /* for a timer; INT64_MAX: it is not set */
	struct lab_address own, peer; /* for a socket */
	struct lab_node *node;        /* for a regular file */
	off_t offset;
	int flags;
};

extern struct lab_file lab_io_files[LAB_IO_NUMBERS];
/* Returns NULL with EBADF in errno if there is none. */
struct lab_file *lab_io_of(int number);
/* The caller must have done a step on LAB_SHARED_FILES. */
struct lab_file *lab_io_open(enum lab_io_kind kind, int flags, uintptr_t pc);
struct lab_channel *lab_io_channel(struct lab_file *reader, struct lab_file *writer, uint64_t room, uintptr_t pc);
/* gives the file the lowest free descriptor */
int lab_io_number(struct lab_file *file, uintptr_t pc);
void lab_io_drop(struct lab_file *file, uintptr_t pc); /* drops a reference */
/*
 * A step that reads or writes as soon as the channel lets it. Returns false if the deadline came
 * first.
 */
bool lab_io_step(struct lab_channel *c, enum lab_sync what, size_t size, int64_t deadline, uintptr_t pc);
/* A step that is always possible. */
void lab_io_point(struct lab_channel *c, enum lab_sync what, uintptr_t pc);
void lab_io_changed(struct lab_channel *c, uintptr_t pc);
void lab_io_shut(struct lab_file *file, bool in, bool out, uintptr_t pc);
/* Reads or writes, and returns the result of the call. `flags` are MSG_... */
ssize_t lab_io_move(int number, const struct iovec *v, size_t n, int flags, bool writes, uintptr_t pc);
int lab_io_close(int number, uintptr_t pc);
/* The running thread learns what happened before the events of the file. */
void lab_io_known(const struct lab_file *file, uintptr_t pc);
int64_t lab_io_deadline(const struct lab_file *file, bool writes, bool waits);

/* --- io_poll.c --- */
/* the events that the file has: POLLIN and others */
short lab_io_events(const struct lab_file *file);
/* these events have begun; called before lab_io_changed() */
void lab_io_wake(const struct lab_file *file, unsigned events);
/* makes a timer expire that is due */
void lab_io_tick(struct lab_file *file);
/* removes the file from all epoll sets */
void lab_io_forget(const struct lab_file *file);
struct lab_op lab_io_poll_op(uintptr_t pc);
void lab_io_poll_reset(void);

/*
 * Whether the thread waits for an epoll set although a file of the set, the descriptor `number`,
 * has bytes.
 */
bool lab_io_lost(const struct lab_thread *thread, int *number);

/* --- io_file.c --- */
bool lab_io_is_stream(const FILE *stream); /* whether fopen() has made the stream */
ssize_t lab_io_file_move(struct lab_file *file, const struct iovec *v, size_t n, bool writes, uintptr_t pc);
void lab_io_file_reset(void);

extern const struct lab_call lab_io_calls[], lab_socket_calls[], lab_poll_calls[], lab_file_calls[];

#endif
