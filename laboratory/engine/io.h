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
	int number[2];               /* the descriptors of the reader and of the writer, for reports */
	bool reset;                  /* the writer left unread bytes of its own */
	uint64_t count, room, usual; /* usual: the room, but for a socket that a fault has filled */
	size_t begin;
	char bytes[LAB_IO_ROOM];
};

struct lab_address {
	socklen_t size; /* 0: there is no address */
	struct sockaddr_storage is;
};

/*
 * A call looks at some things before its step, or without one: which file the descriptor is; whether
 * the file blocks, to what it is connected, and the like. Where another thread changes one of them,
 * and neither the look nor the change is ordered before, a real run may have them in an order that the
 * search does not try. So nothing is proved then.
 */
struct lab_looked {
	uint32_t generation; /* the execution of the other fields */
	unsigned changer;
	uint32_t changed;         /* the changer's clock at the last change */
	uint32_t at[LAB_THREADS]; /* each thread's clock at its last look since that change */
};

/* An open file. Descriptors, and calls that wait, refer to it. */
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
	struct lab_looked looked; /* the last field: an execution begins without it */
};

extern struct lab_file lab_io_files[LAB_IO_NUMBERS];
/* The file of a descriptor; NULL: there is none. */
struct lab_file *lab_io_find(int number);
/* For a call that looks at the descriptor and at its file. Without a file it sets errno to EBADF. */
struct lab_file *lab_io_of(int number);
/* The running thread looks at something; it changes something. */
void lab_io_look(struct lab_looked *looked);
void lab_io_change(struct lab_looked *looked);
/* The caller has done a step on LAB_SHARED_FILES. */
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
/* In ns. */
static inline int64_t lab_io_span(const struct timeval *t)
{
	return t->tv_sec * INT64_C(1000000000) + t->tv_usec * INT64_C(1000);
}
int64_t lab_io_deadline(struct lab_file *file, bool writes, bool waits);

/* --- io_poll.c --- */
/* the events that the file has: POLLIN and others */
short lab_io_events(const struct lab_file *file);
/* these events have begun; called before lab_io_changed() */
void lab_io_wake(const struct lab_file *file, unsigned events);
/* Makes the timers that are due expire, in the order of their times. */
void lab_io_pass(void);
/*
 * Whether the running thread comes so late that a timer which is due at that time has expired. That
 * is a choice of the search, as a fault.
 */
bool lab_io_is_late(int64_t due, uintptr_t pc);
/* removes the file from all epoll sets */
void lab_io_forget(const struct lab_file *file);
struct lab_op lab_io_poll_op(uintptr_t pc);
void lab_io_poll_reset(void);

/*
 * Whether the thread waits for an epoll set although a file of the set, the descriptor `number`,
 * has bytes.
 */
bool lab_io_lost(const struct lab_thread *thread, int *number);

/* io_file.c */
/* The running thread uses the stream; false: it is not one of fopen(). */
bool lab_io_use_stream(const FILE *stream);
ssize_t lab_io_file_move(struct lab_file *file, const struct iovec *v, size_t n, bool writes, uintptr_t pc);
void lab_io_file_reset(void);

extern const struct lab_call lab_io_calls[], lab_socket_calls[], lab_poll_calls[], lab_file_calls[];

#endif
