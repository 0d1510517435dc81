/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes, and the descriptors of standard output and standard error. A pipe holds 64 KiB, as Linux's
 * does. A write of more than PIPE_BUF bytes may be several steps.
 */
#include "posix.h"
#include "program.h"
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

enum { PIPES = 16, ROOM = 64 << 10, FIRST_FILE = 3 };

static struct pipe {
	uint32_t generation; /* the execution that made it; 0: both of its ends are closed */
	bool open[2], nonblocking[2];
	size_t begin; /* of what is in it; the object has the count */
	char bytes[ROOM];
} pipes[PIPES];

/* The pipe of a descriptor, of which `end` 0 reads and 1 writes; NULL: there is none. */
static struct pipe *pipe_of(int file, unsigned *end)
{
	const unsigned index = (unsigned)(file - FIRST_FILE);
	struct pipe *p = index / 2 < PIPES ? &pipes[index / 2] : NULL;
	*end = index % 2;
	return p && p->generation == lab.generation && p->open[*end] ? p : NULL;
}

static int pipe_pipe2(int files[2], int flags)
{
	lab_shared_step(LAB_SHARED_PIPES, PC);
	for (int i = 0; i < PIPES; i++) {
		struct pipe *p = &pipes[i];
		const bool nonblocking = (flags & O_NONBLOCK) != 0;
		if (p->generation == lab.generation)
			continue;
		p->generation = lab.generation;
		p->open[0] = p->open[1] = true;
		p->nonblocking[0] = p->nonblocking[1] = nonblocking;
		p->begin = 0;
		(void)lab_object_init((uintptr_t)p, 8, LAB_PIPE, PC);
		lab_plain((uintptr_t)files, 2 * sizeof *files, true, PC);
		files[0] = FIRST_FILE + 2 * i;
		files[1] = files[0] + 1;
		return 0;
	}
	lab.signature = PC;
	lab_fail(LAB_UNMODELLED, "%s opens more than %d pipes (%s), which is a limit of the laboratory", lab.self->name,
	         PIPES, lab_site_name(PC));
}

static int pipe_pipe(int files[2])
{
	return pipe_pipe2(files, 0);
}

bool lab_pipe_name(uintptr_t address, char *text, size_t size)
{
	const uintptr_t i = (address - (uintptr_t)pipes) / sizeof pipes[0];
	if (i >= PIPES)
		return false;
	snprintf(text, size, "%d to %d", FIRST_FILE + 2 * (int)i + 1, FIRST_FILE + 2 * (int)i);
	return true;
}

/* Its announced step is possible: there are bytes, or none will come. */
static bool pipe_can_read(const struct lab_object *o, const struct lab_thread *thread)
{
	const struct pipe *p = (const struct pipe *)o->address;
	(void)thread;
	return o->count > 0 || !p->open[1];
}

static bool pipe_can_write(const struct lab_object *o, const struct lab_thread *thread)
{
	const struct pipe *p = (const struct pipe *)o->address;
	return o->count + thread->round <= ROOM || !p->open[0];
}

/* The step on the pipe, of which the thread has `size` bytes in mind. False: it would block. */
static bool pipe_step(struct lab_object *o, enum lab_sync what, size_t size, lab_can *can, bool blocks, uintptr_t pc)
{
	const struct lab_op op = lab_sync_op(what, o->address, pc);
	lab.self->round = (unsigned)size;
	const bool possible = lab_object_wait(op, o, can, blocks ? INT64_MAX : 0) == 0;
	if (!((const struct pipe *)o->address)->open[what == LAB_SYNC_WRITE])
		lab_no_file(what == LAB_SYNC_WRITE ? "write" : "read", pc); /* closed meanwhile */
	lab_sync_event(&op, possible ? 0 : EAGAIN);
	return possible;
}

static ssize_t pipe_read(int file, void *to, size_t size)
{
	unsigned end;
	struct pipe *p = pipe_of(file, &end);
	if (!p || end != 0)
		lab_no_file("read", PC);
	if (size == 0)
		return 0;
	struct lab_object *o = lab_object_find((uintptr_t)p);
	if (!pipe_step(o, LAB_SYNC_READ, 0, pipe_can_read, !p->nonblocking[0], PC))
		return lab_error(EAGAIN);
	const size_t n = size < o->count ? size : o->count;
	if (n > 0)
		lab_plain((uintptr_t)to, n, true, PC);
	for (size_t i = 0; i < n; i++)
		((char *)to)[i] = p->bytes[(p->begin + i) % ROOM];
	p->begin = (p->begin + n) % ROOM;
	o->count -= (unsigned)n;
	lab_object_acquire(&o->view);
	lab_object_changed(o);
	return (ssize_t)n;
}

static ssize_t pipe_write(int file, const void *from, size_t size)
{
	unsigned end;
	struct pipe *p = pipe_of(file, &end);
	if (size > 0)
		lab_plain((uintptr_t)from, size, false, PC);
	if (file == STDOUT_FILENO || file == STDERR_FILENO) {
		lab_print(from, size);
		return (ssize_t)size;
	}
	if (!p || end != 1)
		lab_no_file("write", PC);
	struct lab_object *o = lab_object_find((uintptr_t)p);
	for (size_t done = 0, n; done < size; done += n) {
		n = size - done < ROOM ? size - done : ROOM;
		if (!pipe_step(o, LAB_SYNC_WRITE, size > PIPE_BUF ? 1 : n, pipe_can_write, !p->nonblocking[1], PC))
			return done > 0 ? (ssize_t)done : lab_error(EAGAIN);
		if (!p->open[0] && lab_process_ignores(SIGPIPE, PC))
			return done > 0 ? (ssize_t)done : lab_error(EPIPE);
		if (!p->open[0])
			lab_misuse(PC, "writes to %s, which is closed for reading",
			           lab_object_name(o->address, LAB_PIPE));
		n = n < ROOM - o->count ? n : ROOM - o->count;
		for (size_t i = 0; i < n; i++)
			p->bytes[(p->begin + o->count + i) % ROOM] = ((const char *)from)[done + i];
		o->count += (unsigned)n;
		lab_object_release(&o->view);
		lab_object_changed(o);
	}
	return (ssize_t)size;
}

/* Whether a thread has announced a step on it. */
static bool pipe_is_awaited(const struct lab_object *o)
{
	LAB_EACH_THREAD (t)
		if (t->object == o)
			return true;
	return false;
}

static int pipe_close(int file)
{
	unsigned end;
	struct pipe *p = pipe_of(file, &end);
	if (!p)
		lab_no_file("close", PC);
	struct lab_object *o = lab_object_find((uintptr_t)p);
	const struct lab_op op = lab_sync_op(LAB_SYNC_CLOSE, o->address, PC);
	lab_object_point(op, o);
	if (!p->open[end])
		lab_no_file("close", PC);
	lab_sync_event(&op, 0);
	p->open[end] = false;
	lab_object_release(&o->view);
	lab_object_changed(o);
	if (!p->open[!end] && !pipe_is_awaited(o)) {
		o->live = false;
		o->ender = (struct lab_place){lab.self->id, PC};
		lab_shared_step(LAB_SHARED_PIPES, PC);
		p->generation = 0;
	}
	return 0;
}

/* Of a pipe: whether it blocks. */
static int pipe_fcntl(int file, int command, unsigned long flags)
{
	unsigned end;
	struct pipe *p = pipe_of(file, &end);
	if (!p || (command != F_GETFL && command != F_SETFL && command != F_GETFD && command != F_SETFD))
		lab_no_file("fcntl", PC);
	const struct lab_object *o = lab_object_find((uintptr_t)p);
	const struct lab_op op = lab_sync_op(LAB_SYNC_USE, o->address, PC);
	lab_object_point(op, o);
	lab_sync_event(&op, 0);
	if (command == F_SETFL && lab.n_threads > 1)
		lab_met(LAB_MET_FCNTL);
	if (command == F_SETFL)
		p->nonblocking[end] = (flags & O_NONBLOCK) != 0;
	return command != F_GETFL ? 0 : (int)end | (p->nonblocking[end] ? O_NONBLOCK : 0);
}

/* Without descriptors: a sleep. */
static int pipe_poll(struct pollfd *files, nfds_t n, int ms)
{
	(void)files;
	if (n > 0)
		lab_no_file("poll", PC);
	lab_sleep(ms < 0 ? -1 : lab.now + ms * INT64_C(1000000), PC);
	return 0;
}

const struct lab_call lab_pipe_calls[] = {
    LAB_CALL("poll", pipe_poll),   LAB_CALL("pipe", pipe_pipe),     LAB_CALL("pipe2", pipe_pipe2),
    LAB_CALL("read", pipe_read),   LAB_CALL("write", pipe_write),   LAB_CALL("close", pipe_close),
    LAB_CALL("fcntl", pipe_fcntl), LAB_CALL("fcntl64", pipe_fcntl), {NULL, NULL},
};
