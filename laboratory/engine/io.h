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
 * files. io.c contains the table and moves bytes; io_socket.c, io_poll.c and io_file.c do
 * everything else.
 *
 * A channel carries bytes in one direction. A pipe is one channel, and a connection is two. An
 * event counter, a timer, a listening socket and an epoll set each have one channel. The channel's
 * count is the counter, the number of expirations, or the bytes of the pending connections; for an
 * epoll set it is 0. Each step on an open file is on one channel. A poll is on all channels, so it
 * commutes with no step on an open file. A step that opens or closes a descriptor is on
 * LAB_SHARED_FILES.
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
	int number[2];   /* the descriptors of the reader and of the writer, for reports */
	int error;       /* the error that the reader gets once after the last byte, or 0 */
	unsigned writes; /* how many writes came since the channel was empty */
	/*
	 * `count` bytes of at most `room` are in the channel. `usual` is the value that `room` has
	 * unless a fault has filled the socket.
	 */
	uint64_t count, room, usual;
	size_t begin; /* the index of the first byte in `bytes`, which is a ring */
	char bytes[LAB_IO_ROOM];
};

struct lab_address {
	socklen_t size; /* 0 if there is no address */
	struct sockaddr_storage is;
};

/*
 * Records who has looked at a property of a descriptor, and who changed it last. Some properties
 * are read before the step of a call, or without a step: which file the descriptor refers to,
 * whether the file blocks, to what it is connected, and so on. If another thread changes the
 * property, and neither the look nor the change happens before the other, a real run may order the
 * two in a way that the search does not try. The search then records LAB_MET_DESCRIPTOR, and proves
 * nothing.
 */
struct lab_looked {
	uint32_t generation;      /* the execution that has written the other fields */
	unsigned changer;         /* the thread that made the last change */
	uint32_t changed;         /* the changer's clock at the last change */
	uint32_t at[LAB_THREADS]; /* each thread's clock at its last look since that change */
};

/* The events that poll() reports when the file can be read (LAB_IO_IN) or written (LAB_IO_OUT). */
enum { LAB_IO_IN = POLLIN | POLLRDNORM, LAB_IO_OUT = POLLOUT | POLLWRNORM };

/* An open file. Each of its descriptors, and each call that waits, counts as a reference to it. */
struct lab_file {
	uint8_t kind;
	bool nonblocking, by_one; /* `by_one` is true for an event counter that is a semaphore */
	bool resets;              /* closing this socket resets its connection */
	unsigned refs;
	struct lab_channel *in, *out;
	int64_t timeout[2];           /* the limits of a read and of a write; 0 means none */
	int64_t next, interval;       /* of a timer; `next` is INT64_MAX if it is not set */
	struct lab_address own, peer; /* of a socket */
	uint64_t options;             /* a bit for each option of SOL_SOCKET that is set */
	struct lab_node *node;        /* of a regular file */
	off_t offset;
	int flags;
	/*
	 * This field must be the last one, because all fields before it are cleared when an
	 * execution begins.
	 */
	struct lab_looked looked;
};

extern struct lab_file lab_io_files[LAB_IO_NUMBERS];
/*
 * Returns the file of a descriptor, or NULL if there is none. This does not count as a look at the
 * descriptor.
 */
struct lab_file *lab_io_find(int number);
/*
 * Returns the file of a descriptor, and notes that the running thread has looked at the descriptor
 * and at the file. If there is no file, it sets errno to EBADF and returns NULL.
 */
struct lab_file *lab_io_of(int number);
/* Notes that the running thread changes the property. */
void lab_io_change(struct lab_looked *looked);
/* Makes a file. The caller must have done a step on LAB_SHARED_FILES. */
struct lab_file *lab_io_open(enum lab_io_kind kind, int flags, uintptr_t pc);
/*
 * Makes a channel between two files, or from one file to itself. The channel becomes `reader`->in.
 */
struct lab_channel *lab_io_channel(struct lab_file *reader, struct lab_file *writer, uint64_t room, uintptr_t pc);
/* Gives the file the lowest free descriptor, and returns it. */
int lab_io_number(struct lab_file *file, uintptr_t pc);
/*
 * Drops a reference to the file. When the last reference is dropped, the file's ends of the
 * channels are closed.
 */
void lab_io_drop(struct lab_file *file, uintptr_t pc);
/*
 * Makes a step that reads from the channel, or writes at least `size` bytes to it, as soon as that
 * is possible. Returns false if the deadline came first.
 */
bool lab_io_step(struct lab_channel *c, enum lab_sync what, size_t size, int64_t deadline, uintptr_t pc);
/* Makes a step on the channel that is always possible. */
void lab_io_point(struct lab_channel *c, enum lab_sync what, uintptr_t pc);
/* Tells the threads that wait for the channel that its state has changed. */
void lab_io_changed(struct lab_channel *c, uintptr_t pc);
/* Returns the error of the channel, which then has none. */
int lab_io_take_error(struct lab_channel *c);
/* Closes the file's end of its input, of its output, or of both. */
void lab_io_shut(struct lab_file *file, bool in, bool out, uintptr_t pc);
/* Reads or writes, and returns the result of the call. `flags` are those of send() and recv(). */
ssize_t lab_io_move(int number, const struct iovec *v, size_t n, int flags, bool writes, uintptr_t pc);
int lab_io_close(int number, uintptr_t pc);
/*
 * Called when the running thread reports events of the file: makes known to this thread what
 * happened before these events.
 */
void lab_io_known(const struct lab_file *file, uintptr_t pc);
/* Returns the time that is `t` after `from`. INT64_MAX means never. */
static inline int64_t lab_io_after(int64_t from, const struct timeval *t)
{
	return lab_after(from, &(struct timespec){t->tv_sec, t->tv_usec * 1000});
}
/* Returns whether the file is a socket of the internet, whose bytes may be on their way. */
static inline bool lab_io_is_internet(const struct lab_file *f)
{
	return f->own.is.ss_family > AF_UNIX;
}
/*
 * Returns the deadline of a read or a write: 0 if the call must not wait, and INT64_MAX if it may
 * wait for ever.
 */
int64_t lab_io_deadline(struct lab_file *file, bool writes, bool waits);

/* --- io_poll.c --- */
/* Returns the events that the file has now: LAB_IO_IN and others. */
short lab_io_events(const struct lab_file *file);
/*
 * Tells epoll sets that those of the events have begun which the file now has. `file` may be NULL.
 * The caller calls lab_io_changed() afterwards.
 */
void lab_io_wake(const struct lab_file *file, unsigned events);
/* Makes the timers that are due expire, in the order of their times. */
void lab_io_pass(void);
/*
 * Returns whether the running thread comes so late that a timer which is due at that time has
 * expired. That is a choice of the search, as a fault.
 */
bool lab_io_is_late(int64_t due, uintptr_t pc);
/* Removes the file from all epoll sets. */
void lab_io_forget(const struct lab_file *file);
/*
 * Returns the step of a wait for several channels. It does not commute with steps on any of them.
 */
struct lab_op lab_io_poll_op(uintptr_t pc);
void lab_io_poll_reset(void);

/*
 * Returns whether the thread waits for an epoll set although a file of the set has bytes. Then
 * `*number` is the descriptor of that file.
 */
bool lab_io_lost(const struct lab_thread *thread, int *number);

/* --- io_file.c --- */
/*
 * Makes a step on the file of the stream. The use of a stream after fclose() is misuse. Returns
 * false if the stream is not one of fopen().
 */
bool lab_io_use_stream(const FILE *stream, uintptr_t pc);
/*
 * The caller uses what is inside the stream. A call such as putc_unlocked(), for which the stream
 * is not locked, races with every other use that is not ordered with it.
 */
void lab_io_in_stream(const FILE *stream, bool locked, uintptr_t pc);
bool lab_io_stream_name(uintptr_t address, char *text, size_t size);
/* Writes what the streams of fopen() still hold: the effect of fflush(NULL). */
void lab_io_flush(uintptr_t pc);
/*
 * Reads from a regular file, or writes to it, and returns the result of the call. It makes a step
 * on the file, unless `pc` is 0.
 */
ssize_t lab_io_file_move(struct lab_file *file, const struct iovec *v, size_t n, bool writes, uintptr_t pc);
void lab_io_file_reset(void);

#endif
