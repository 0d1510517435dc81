/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the input of a process and reads its output. One loop serves all pipes without waiting,
 * and then waits until a pipe is ready, so that a process that fills its output while its input is
 * full cannot deadlock with the caller. A process that is being stopped is also served, because
 * otherwise it might not end.
 */
#include "base/fd_watcher.h"
#include "core/base/sys.h"
#include "fd/net_sys.h"
#include "fd/try_io.h"
#include "process_stop.h"
#include <errno.h>
#include <fairlead/process_io.h>
#include <string.h>

enum { PROCESS_IO_FIRST_ROOM = 4096 };

struct process_io_output {
	char **bytes;
	size_t *size, *room;
	size_t max;
};

/* Makes room for at least one more byte and a NUL, but at most for max + 1 bytes and a NUL. */
static int process_io_make_room(const struct process_io_output *o)
{
	const size_t most = o->max + 2;
	if (*o->size + 1 < *o->room)
		return 0;
	size_t room = FL__MAX(*o->room, PROCESS_IO_FIRST_ROOM);
	room = room > most / 2 ? most : 2 * room;
	char *bytes = fl__alloc(1, room);
	if (!bytes)
		return -ENOMEM;
	if (*o->size > 0)
		memcpy(bytes, *o->bytes, *o->size);
	fl__free(*o->bytes);
	*o->bytes = bytes;
	*o->room = room;
	return 0;
}

/* Returns -EAGAIN if the pipe is empty, 0 at its end, or another error. */
static int process_io_read(int fd, const struct process_io_output *o)
{
	for (;;) {
		if (*o->size > o->max)
			return -EMSGSIZE;
		int rc = process_io_make_room(o);
		if (rc != 0)
			return rc;
		ssize_t n = fl__try_read(fd, *o->bytes + *o->size, *o->room - *o->size - 1);
		if (n <= 0)
			return (int)n;
		*o->size += (size_t)n;
		(*o->bytes)[*o->size] = '\0';
	}
}

/*
 * Returns -EAGAIN if the pipe is full, 0 if everything is written or there is no reader, or another
 * error.
 */
static int process_io_write(int fd, fl_process_io *io)
{
	while (io->written < io->input_size) {
		const struct iovec part = {(char *)(uintptr_t)io->input + io->written, io->input_size - io->written};
		ssize_t n = fl__try_write(fd, &part, 1);
		if (n == -EPIPE)
			return 0;
		if (n < 0)
			return (int)n;
		io->written += (size_t)n;
	}
	return 0;
}

static size_t process_io_max(size_t max)
{
	return max == 0 ? FL_PROCESS_OUTPUT_MAX : FL__MIN(max, SIZE_MAX - 2);
}

/* Returns -EAGAIN if the pipe is open, 0 if it is closed, or another error. */
static int process_io_step(fl_process *p, fl_process_io *io, int stream)
{
	const struct process_io_output outputs[] = {
	    {&io->out, &io->out_size, &io->out_room_, process_io_max(io->out_max)},
	    {&io->err, &io->err_size, &io->err_room_, process_io_max(io->err_max)}};
	const int fd = fl_process_pipe(p, stream);
	int rc = 0;
	if (fd < 0)
		return 0;
	if (stream == 0)
		rc = process_io_write(fd, io);
	else
		rc = process_io_read(fd, &outputs[stream - 1]);
	if (rc == 0)
		fl__fd_close(fl_process_take_pipe(p, stream));
	return rc;
}

/* Returns 0 if all pipes are closed, -EAGAIN if one is open, or the first other error. */
static int process_io_move(fl_process *p, fl_process_io *io)
{
	int all = 0;
	for (int stream = 0; stream < 3; stream++) {
		const int rc = process_io_step(p, io, stream);
		if (rc != 0 && (all == 0 || all == -EAGAIN))
			all = rc; /* the other pipes are served nevertheless */
	}
	return all;
}

/* Waits for the pipes, and for `end_fd` unless it is -1. */
static int process_io_wait(fl_process *p, int end_fd, fl_time deadline, fl_cancel_token *cancel)
{
	struct pollfd open[4];
	unsigned n = 0;
	if (end_fd >= 0)
		open[n++] = (struct pollfd){.fd = end_fd, .events = POLLIN};
	for (int stream = 0; stream < 3; stream++) {
		const int fd = fl_process_pipe(p, stream);
		if (fd >= 0)
			open[n++] = (struct pollfd){.fd = fd, .events = stream == 0 ? POLLOUT : POLLIN};
	}
	return fl__process_wait(p, open, n, deadline, cancel);
}

static bool process_io_is_valid(const fl_process_io *io)
{
	return io->input || io->input_size == 0;
}

int fl_process_communicate_until(fl_process *p, fl_process_io *io, fl_process_status *status, fl_time deadline,
                                 fl_cancel_token *cancel)
{
	if (!io || !process_io_is_valid(io))
		return -EINVAL;
	const int rc = FL__CALL_OR_WAIT(process_io_move(p, io), process_io_wait(p, -1, deadline, cancel));
	return rc == 0 ? fl_process_join_until(p, status, deadline, cancel) : rc;
}

/* Reads and discards. Returns -EAGAIN while the pipe is open, 0 at its end, or another error. */
static int process_io_discard(int fd)
{
	char bytes[4096];
	const ssize_t n = fl__try_read(fd, bytes, sizeof bytes);
	return n > 0 ? -EAGAIN : (int)n;
}

/*
 * Serves the pipes of a process that is being stopped. `full` says for each stream whether its
 * output has reached its limit or could not be stored for lack of memory. Further bytes of such a
 * stream are discarded, so that the bytes in the buffer have no gap. After any other error the pipe
 * is closed.
 */
static void process_io_move_stopping(fl_process *p, fl_process_io *io, bool full[3])
{
	for (int stream = 0; stream < 3; stream++) {
		int rc = full[stream] ? -EMSGSIZE : process_io_step(p, io, stream);
		if (rc == -EMSGSIZE || rc == -ENOMEM) {
			full[stream] = true;
			rc = process_io_discard(fl_process_pipe(p, stream));
		}
		if (rc != -EAGAIN)
			fl__fd_close(fl_process_take_pipe(p, stream));
	}
}

static int process_io_stop(fl_process *p, fl_process_io *io, fl_duration grace, fl_process_status *status)
{
	const fl_time deadline = fl_after(grace);
	bool full[3] = {false, false, false};
	int rc = fl__process_stop_begin(p);
	do
		process_io_move_stopping(p, io, full);
	while (rc == 0 && fl_process_is_alive(p) && !fl__is_expired(deadline) &&
	       process_io_wait(p, fl__process_end_fd(p), deadline, FL_SHIELDED) == 0);
	if (rc == 0)
		rc = fl__process_stop_end(p, deadline, status);
	process_io_move_stopping(p, io, full); /* moves what was written since the last call */
	return rc;
}

int fl_process_run_until(const fl_process_config *config, fl_process_io *io, fl_process_status *status,
                         fl_time deadline, fl_cancel_token *cancel)
{
	fl_process *p;
	fl_process_config mine = *FL__OR_DEFAULTS(config);
	FL_SCOPED(fl_process_io) none = {NULL};
	const int outputs = io ? FL_PROCESS_PIPE : 0;
	io = io ? io : &none;
	if (!process_io_is_valid(io))
		return -EINVAL;
	if (mine.in == 0)
		mine.in = io->input_size > 0 ? FL_PROCESS_PIPE : FL_PROCESS_NULL;
	mine.out = mine.out == 0 ? outputs : mine.out;
	mine.err = mine.err == 0 ? outputs : mine.err;
	int rc = fl_process_start(&p, &mine);
	if (rc != 0)
		return rc;
	rc = fl_process_communicate_until(p, io, status, deadline, cancel);
	if (rc != 0 && rc != -EOWNERDEAD && rc != -ECHILD)
		/* `rc` keeps the first error */
		FL_IGNORE(process_io_stop(p, io, FL_PROCESS_GRACE, status));
	fl_process_free(p);
	return rc;
}

void fl_process_io_free(fl_process_io *io)
{
	fl__free(io->out);
	fl__free(io->err);
	io->out = io->err = NULL;
	io->out_size = io->err_size = io->out_room_ = io->err_room_ = 0;
}
