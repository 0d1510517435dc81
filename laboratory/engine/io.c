/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of descriptors, and reads and writes.
 *
 * A write of more than PIPE_BUF bytes to a pipe may take several steps. What a write sends to a
 * socket may arrive in two parts, so that a read finds only the first byte; if the write does not
 * block, the socket is then full until that byte has been read. This is a fault (LAB_FAULT_PARTIAL)
 * that the search may choose. A read or a write that moves less than was requested has emptied or
 * filled the socket, as epoll(7) says.
 */
#include "io.h"
#include <limits.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { CHANNELS = 30 };
struct lab_file lab_io_files[LAB_IO_NUMBERS];
static struct lab_file *numbers[LAB_IO_NUMBERS];
static struct lab_looked looked[LAB_IO_NUMBERS]; /* who has looked at each descriptor */
static struct lab_channel channels[CHANNELS];
/*
 * The addresses of the steps: first the address of waits for several channels, then one address for
 * each channel.
 */
static uint64_t places[1 + CHANNELS];

static struct lab_object *io_object(size_t place, uintptr_t pc)
{
	return lab_object_use(&places[place], LAB_IO, true, "uses", pc);
}

static struct lab_object *io_object_of(const struct lab_channel *c, uintptr_t pc)
{
	return io_object((size_t)(c - channels) + 1, pc);
}

static const struct lab_channel *io_channel_of(const struct lab_object *o)
{
	return &channels[(const uint64_t *)o->address - places - 1];
}

struct lab_op lab_io_poll_op(uintptr_t pc)
{
	struct lab_op op = lab_sync_op(LAB_SYNC_POLL, io_object(0, pc)->address, pc);
	op.size = sizeof places;
	return op;
}

static bool is_clear; /* no execution has opened a file since the tables were cleared */

void lab_io_reset(void)
{
	if (is_clear)
		return;
	is_clear = true;
	LAB_EACH (i, lab_io_files)
		memset(&lab_io_files[i], 0, offsetof(struct lab_file, looked));
	memset(numbers, 0, sizeof numbers);
	lab_io_poll_reset();
	lab_io_file_reset();
}

bool lab_io_name(uintptr_t address, char *text, size_t size)
{
	static const char *const kinds[] = {"file",    "pipe",    "socket", "listening socket",
	                                    "eventfd", "timerfd", "epoll"};
	const uintptr_t i = (address - (uintptr_t)places) / sizeof places[0];
	if (i > CHANNELS)
		return lab_io_stream_name(address, text, size);
	const struct lab_channel *c = &channels[i - 1];
	if (i == 0)
		snprintf(text, size, "of a poll, select or epoll");
	else if (c->number[0] == c->number[1])
		snprintf(text, size, "%d (%s)", c->number[0], kinds[c->kind]);
	else
		snprintf(text, size, "%d to %d (%s)", c->number[1], c->number[0], kinds[c->kind]);
	return true;
}

static _Noreturn void io_full(const char *what, int most, uintptr_t pc)
{
	lab_unmodelled(pc, "opens more than %d %s, which is a limit of the laboratory", most, what);
}

/* Clears the record if it is from an earlier execution. */
static void io_begin(struct lab_looked *l)
{
	if (l->generation != lab.generation)
		*l = (struct lab_looked){.generation = lab.generation};
}

static void io_look(struct lab_looked *l)
{
	io_begin(l);
	if (!lab_is_known(l->changer, l->changed))
		lab_met(LAB_MET_DESCRIPTOR);
	l->at[lab.self->id] = lab_clock_after(lab.self);
}

void lab_io_change(struct lab_looked *l)
{
	io_begin(l);
	LAB_EACH_THREAD (t)
		if (!lab_is_known(t->id, l->at[t->id]))
			lab_met(LAB_MET_DESCRIPTOR);
	*l = (struct lab_looked){lab.generation, lab.self->id, lab_clock_after(lab.self), {0}};
}

struct lab_file *lab_io_find(int number)
{
	return (unsigned)number < LAB_IO_NUMBERS ? numbers[number] : NULL;
}

struct lab_file *lab_io_of(int number)
{
	struct lab_file *f = lab_io_find(number);
	if ((unsigned)number < LAB_IO_NUMBERS)
		io_look(&looked[number]);
	if (f)
		io_look(&f->looked);
	else
		errno = EBADF;
	return f;
}

struct lab_file *lab_io_open(enum lab_io_kind kind, int flags, uintptr_t pc)
{
	is_clear = false;
	LAB_EACH (i, lab_io_files) {
		struct lab_file *f = &lab_io_files[i];
		if (f->refs > 0)
			continue;
		*f = (struct lab_file){
		    .kind = (uint8_t)kind, .nonblocking = (flags & O_NONBLOCK) != 0, .refs = 1, .next = INT64_MAX};
		return f;
	}
	io_full("files", LAB_IO_NUMBERS, pc);
}

/*
 * Returns whether an open file refers to the channel. Even after a shutdown, a file refers to its
 * channels until all its descriptors are closed.
 */
static bool io_is_taken(const struct lab_channel *c)
{
	LAB_EACH (i, lab_io_files)
		if (lab_io_files[i].refs > 0 && (lab_io_files[i].in == c || lab_io_files[i].out == c))
			return true;
	return false;
}

struct lab_channel *lab_io_channel(struct lab_file *reader, struct lab_file *writer, uint64_t room, uintptr_t pc)
{
	LAB_EACH (i, channels) {
		struct lab_channel *c = &channels[i];
		if (io_is_taken(c))
			continue;
		memset(c, 0, offsetof(struct lab_channel, bytes));
		c->room = c->usual = room;
		c->kind = reader->kind;
		c->reader = reader;
		c->writer = writer;
		lab_view_clear(&io_object_of(c, pc)->view);
		return reader->in = c;
	}
	io_full("channels of pipes, sockets and their kin", CHANNELS, pc);
}

int lab_io_number(struct lab_file *f, uintptr_t pc)
{
	for (int i = LAB_IO_FIRST; i < LAB_IO_NUMBERS; i++) {
		if (numbers[i])
			continue;
		numbers[i] = f;
		lab_io_change(&looked[i]);
		if (f->in)
			f->in->number[0] = i;
		if (f->out)
			f->out->number[1] = i;
		if (f->in && f->kind >= LAB_IO_LISTENER)
			f->in->number[1] = i;
		return i;
	}
	io_full("descriptors", LAB_IO_NUMBERS, pc);
}

/* --- steps --- */

/*
 * Returns whether a read can go on: there are bytes, or none will come, or a timer was set to an
 * earlier time.
 */
static bool io_can_read(const struct lab_object *o, const struct lab_thread *thread)
{
	const struct lab_channel *c = io_channel_of(o);
	return c->count > 0 || !c->writer || !c->reader || c->reader->next < thread->deadline;
}

static bool io_can_write(const struct lab_object *o, const struct lab_thread *thread)
{
	const struct lab_channel *c = io_channel_of(o);
	return (c->count <= c->room && thread->round <= c->room - c->count) || !c->reader || !c->writer;
}

bool lab_io_step(struct lab_channel *c, enum lab_sync what, size_t size, int64_t deadline, uintptr_t pc)
{
	struct lab_object *o = io_object_of(c, pc);
	const struct lab_op op = lab_sync_op(what, o->address, pc);
	const bool writes = what == LAB_SYNC_WRITE;
	lab.self->round = size;
	const bool possible = lab_object_wait(op, o, writes ? io_can_write : io_can_read, deadline) == 0;
	lab_sync_event(op, possible ? 0 : EAGAIN);
	if (possible && deadline == 0 && !writes && c->reader && lab_io_is_internet(c->reader))
		lab_met(LAB_MET_KERNEL);
	if (!possible)
		lab_looked(o->address, 0); /* a thread that spins runs again when this changes */
	else if (writes)
		lab_object_release(&o->view);
	else
		lab_object_acquire(&o->view);
	return possible;
}

void lab_io_point(struct lab_channel *c, enum lab_sync what, uintptr_t pc)
{
	struct lab_object *o = io_object_of(c, pc);
	lab_sync_event(lab_object_point(what, o, pc), 0);
	lab_object_release(&o->view);
}

void lab_io_changed(struct lab_channel *c, uintptr_t pc)
{
	lab_object_changed(io_object_of(c, pc));
	lab_object_changed(io_object(0, pc));
}

void lab_io_known(const struct lab_file *f, uintptr_t pc)
{
	if (lab_io_is_internet(f))
		lab_met(LAB_MET_KERNEL);
	if (f->in)
		lab_object_acquire(&io_object_of(f->in, pc)->view);
}

int64_t lab_io_deadline(struct lab_file *f, bool writes, bool waits)
{
	io_look(&f->looked);
	return !waits || f->nonblocking ? 0 : f->timeout[writes] ? lab.now + f->timeout[writes] : INT64_MAX;
}

/* --- closing --- */

void lab_io_shut(struct lab_file *f, bool in, bool out, uintptr_t pc)
{
	struct lab_channel *const ends[] = {in ? f->in : NULL, out ? f->out : NULL};
	bool resets = false;
	LAB_EACH (i, ends) {
		struct lab_channel *c = ends[i];
		if (!c)
			continue;
		lab_io_point(c, LAB_SYNC_CLOSE, pc);
		if (f->refs == 1)
			lab_io_forget(f);
		if (resets) {
			c->error = ECONNRESET;
			ends[0]->writer = NULL;
		}
		resets = f->refs == 1 && f->kind == LAB_IO_SOCKET && (f->resets || c->count > 0);
		if (c->reader == f)
			c->reader = NULL;
		if (c->writer == f)
			c->writer = NULL;
		lab_io_wake(f, ~0u);
		lab_io_wake(c->reader ?: c->writer, ~0u);
		lab_io_changed(c, pc);
	}
}

void lab_io_drop(struct lab_file *f, uintptr_t pc)
{
	if (--f->refs > 0)
		return;
	struct lab_channel *in = f->in;
	if (f->kind == LAB_IO_LISTENER)
		for (; in->count > 0; in->count -= sizeof f, in->begin += sizeof f)
			lab_io_drop(*(struct lab_file **)&in->bytes[in->begin % LAB_IO_ROOM], pc);
	/*
	 * The file must not count as free while other threads run. lab_io_shut() would treat a
	 * greater number as a shutdown.
	 */
	f->refs = 1;
	lab_io_shut(f, true, true, pc);
	lab_io_forget(f);
	f->refs = 0;
}

int lab_io_close(int number, uintptr_t pc)
{
	lab_shared_step(LAB_SHARED_FILES, pc);
	struct lab_file *f = lab_io_find(number);
	if (!f)
		return lab_error(number < LAB_IO_FIRST && number >= 0 ? 0 : EBADF);
	numbers[number] = NULL;
	lab_io_change(&looked[number]);
	lab_io_drop(f, pc);
	return 0;
}

static int io_close(int number)
{
	return lab_io_close(number, PC);
}

static int io_dup(int number)
{
	lab_shared_step(LAB_SHARED_FILES, PC);
	struct lab_file *f = lab_io_find(number);
	if (!f && number >= 0 && number < LAB_IO_FIRST)
		lab_no_file("dup", PC);
	if (!f)
		return lab_error(EBADF);
	f->refs++;
	return lab_io_number(f, PC);
}

static int io_pipe2(int two[2], int flags)
{
	if (flags & O_DIRECT)
		lab_no_file("pipe2", PC);
	lab_shared_step(LAB_SHARED_FILES, PC);
	struct lab_file *reader = lab_io_open(LAB_IO_PIPE, flags, PC), *writer = lab_io_open(LAB_IO_PIPE, flags, PC);
	writer->out = lab_io_channel(reader, writer, LAB_IO_ROOM, PC);
	writer->flags = O_WRONLY;
	lab_writes(two, 2 * sizeof *two, PC);
	two[0] = lab_io_number(reader, PC);
	two[1] = lab_io_number(writer, PC);
	return 0;
}

static int io_pipe(int two[2])
{
	return io_pipe2(two, 0);
}

/* --- reads and writes --- */

static void io_touch(const struct iovec *v, size_t size, bool write, uintptr_t pc)
{
	for (; size > 0; size -= v++->iov_len < size ? v[-1].iov_len : size)
		if (v->iov_len > 0)
			lab_plain((uintptr_t)v->iov_base, FL__MIN(v->iov_len, size), write, pc);
}

/*
 * Copies `n` bytes between the ring of the channel, from the byte `from`, and the vector, from the
 * byte `at`.
 */
static void io_copy(struct lab_channel *c, size_t from, const struct iovec *v, size_t at, size_t n, bool writes)
{
	for (size_t part; n > 0; from += part, at += part, n -= part) {
		for (; at >= v->iov_len; v++)
			at -= v->iov_len;
		char *ring = c->bytes + from % LAB_IO_ROOM, *own = (char *)v->iov_base + at;
		const size_t left = (size_t)(c->bytes + LAB_IO_ROOM - ring), more = v->iov_len - at;
		part = FL__MIN(n, FL__MIN(left, more));
		memcpy(writes ? ring : own, writes ? own : ring, part);
	}
}

int lab_io_take_error(struct lab_channel *c)
{
	const int error = c->error;
	c->error = 0;
	return error;
}

static ssize_t io_get(struct lab_file *f, const struct iovec *v, size_t size, int flags, uintptr_t pc)
{
	struct lab_channel *c = f->in;
	size_t done = 0, n;
	do {
		const int64_t deadline = lab_io_deadline(f, false, !(flags & MSG_DONTWAIT));
		const bool possible = lab_io_step(c, LAB_SYNC_READ, 0, deadline < f->next ? deadline : f->next, pc);
		lab_io_pass();
		/* for a wait for a single event, a late thread is the same as a waiting one */
		while ((f->interval || deadline == 0) && lab_io_is_late(f->next, pc))
			;
		if (f->kind == LAB_IO_TIMER && c->count == 0 && lab.now < deadline)
			return io_get(f, v, size, flags, pc); /* another thread has set the timer anew */
		if (!possible && c->count == 0)
			return done > 0 ? (ssize_t)done : lab_error(EAGAIN);
		if (c->count == 0 && c->error && c->error != EPIPE && done == 0)
			return lab_error(lab_io_take_error(c));
		const uint64_t value = f->by_one && c->count > 0 ? 1 : c->count;
		const bool counts = f->kind >= LAB_IO_EVENT,
			   was_full = c->writer && !(lab_io_events(c->writer) & POLLOUT);
		n = counts ? sizeof value : FL__MIN(value, size - done);
		const bool drops = flags & MSG_TRUNC; /* The bytes of a TCP connection are dropped (tcp(7)). */
		io_touch(v, drops ? 0 : done + n, true, pc);
		if (counts) /* its bytes are in no ring */
			memcpy(c->bytes, &value, sizeof value);
		io_copy(c, counts ? 0 : c->begin, v, done, drops ? 0 : n, false);
		done += n;
		if (flags & MSG_PEEK)
			break;
		c->begin = (c->begin + n) % LAB_IO_ROOM;
		c->count -= counts ? value : n;
		c->room = c->usual;
		/*
		 * a counter wakes its writers each time, a local socket when the memory of a
		 * message is freed
		 */
		if (was_full || f->kind == LAB_IO_EVENT || (c->count == 0 && f->own.is.ss_family == AF_UNIX))
			lab_io_wake(c->writer, LAB_IO_OUT);
		lab_io_changed(c, pc);
	} while (flags & MSG_WAITALL && done < size && n > 0);
	return (ssize_t)done;
}

/*
 * Returns the error of a write that writes nothing because the other side has closed the channel or
 * the connection. If the other side closed without a reset, its kernel answers the first write with
 * a reset. Therefore that write succeeds, and this function returns 0.
 */
static int io_broken(struct lab_file *f, int flags, uintptr_t pc)
{
	struct lab_channel *c = f->out;
	if (lab_io_is_internet(f)) {
		lab_io_point(f->in, LAB_SYNC_USE, pc);
		lab_met(LAB_MET_KERNEL);
		const int error = lab_io_take_error(f->in);
		/* There is no error while the other side is closing one channel after the other. */
		if ((error && error != EPIPE) || (c->writer && f->in->writer))
			return error;
		if (c->writer) {
			c->writer = NULL;
			f->in->error = EPIPE;
			lab_io_wake(f, ~0u);
			lab_io_changed(c, pc);
			return 0;
		}
	}
	if (!(flags & MSG_NOSIGNAL) && !lab_process_survives(SIGPIPE, pc))
		lab_misuse(pc, "writes to %s, which is closed for reading", lab_object_name(io_object_of(c, pc)));
	return EPIPE;
}

static ssize_t io_put(struct lab_file *f, const struct iovec *v, size_t size, int flags, uintptr_t pc)
{
	struct lab_channel *c = f->out;
	const bool counts = f->kind == LAB_IO_EVENT;
	uint64_t value = 0;
	if (counts) {
		io_copy(c, 0, v, 0, sizeof value, true);
		memcpy(&value, c->bytes, sizeof value);
	}
	if (value == UINT64_MAX)
		return lab_error(EINVAL);
	const size_t least = counts ? value : f->kind == LAB_IO_PIPE && size <= PIPE_BUF ? size : 1;
	for (size_t done = 0, n; done < size; done += n) {
		const int64_t deadline = lab_io_deadline(f, true, !(flags & MSG_DONTWAIT));
		if (!lab_io_step(c, LAB_SYNC_WRITE, least, deadline, pc))
			return done > 0 ? (ssize_t)done : lab_error(EAGAIN);
		if (!c->reader || !c->writer) {
			const int error = done > 0 && f->kind == LAB_IO_SOCKET ? 0 : io_broken(f, flags, pc);
			return done > 0 ? (ssize_t)done : error ? lab_error(error) : (ssize_t)size;
		}
		n = counts || size - done < c->room - c->count ? size - done : (size_t)(c->room - c->count);
		if (f->kind == LAB_IO_SOCKET && n > 1 && lab_fault(LAB_FAULT_PARTIAL)) {
			n = 1;
			c->room = deadline == 0 ? c->count + 1 : c->room;
		}
		io_copy(c, c->begin + c->count, v, done, counts ? 0 : n, true);
		/* Linux gives a pipe 16 pages, and a local socket memory for 278 short messages. */
		c->writes = c->count > 0 ? c->writes + 1 : 1;
		if (f->kind == LAB_IO_PIPE ? c->count > 0 && c->count + n > LAB_IO_ROOM / 2
		                           : c->writes > 278 && !counts)
			lab_met(LAB_MET_KERNEL);
		c->count += counts ? value : n;
		lab_io_wake(c->reader, LAB_IO_IN);
		lab_io_changed(c, pc);
		if (deadline == 0)
			return (ssize_t)(done + n);
	}
	return (ssize_t)size;
}

ssize_t lab_io_move(int number, const struct iovec *v, size_t n, int flags, bool writes, uintptr_t pc)
{
	struct lab_file *f = lab_io_of(number);
	size_t size = 0;
	ssize_t result;
	if (n > IOV_MAX)
		return lab_error(EINVAL);
	for (size_t i = 0; i < n; i++)
		size += v[i].iov_len;
	if (writes)
		io_touch(v, size, false, pc);
	if (!f && number >= 0 && number < LAB_IO_FIRST) { /* standard input is empty */
		for (size_t i = 0; writes && i < n; i++)
			lab_print(v[i].iov_base, v[i].iov_len);
		return writes ? (ssize_t)size : 0;
	}
	if (!f)
		return -1;
	if (f->kind == LAB_IO_FILE)
		return lab_io_file_move(f, v, n, writes, pc);
	if (!(writes ? f->out : f->in) || f->kind == LAB_IO_LISTENER || f->kind == LAB_IO_EPOLL)
		return lab_error(f->kind == LAB_IO_SOCKET ? ENOTCONN : f->kind > LAB_IO_SOCKET ? EINVAL : EBADF);
	if (flags & MSG_OOB || (flags & MSG_TRUNC && (writes || f->own.is.ss_family == AF_UNIX)))
		lab_no_file(writes ? "send" : "recv", pc);
	if (f->kind >= LAB_IO_EVENT && (size < sizeof(uint64_t) || (writes && size > sizeof(uint64_t))))
		return lab_error(EINVAL);
	if (size == 0)
		return 0;
	f->refs++;
	result = writes ? io_put(f, v, size, flags, pc) : io_get(f, v, size, flags, pc);
	lab_io_drop(f, pc);
	return result;
}

static ssize_t io_read(int number, void *to, size_t size)
{
	return lab_io_move(number, &(struct iovec){to, size}, 1, 0, false, PC);
}

static ssize_t io_write(int number, const void *from, size_t size)
{
	return lab_io_move(number, &(struct iovec){(void *)from, size}, 1, 0, true, PC);
}

static ssize_t io_readv(int number, const struct iovec *v, int n)
{
	return lab_io_move(number, v, (size_t)n, 0, false, PC);
}

static ssize_t io_writev(int number, const struct iovec *v, int n)
{
	return lab_io_move(number, v, (size_t)n, 0, true, PC);
}

/*
 * Answers fcntl() where it reads or sets the flags of a descriptor. Only O_NONBLOCK has an effect.
 * Nothing depends on FD_CLOEXEC, since programs of the model call no exec().
 */
static int io_control(int number, int command, unsigned long flags, uintptr_t pc)
{
	struct lab_file *f = lab_io_of(number);
	if (!f && (number < 0 || number >= LAB_IO_FIRST))
		return -1;
	if (command != F_GETFL && command != F_SETFL && command != F_GETFD && command != F_SETFD)
		lab_no_file("fcntl", pc);
	if (!f)
		return 0;
	if (f->in || f->out)
		lab_io_point(f->in ?: f->out, LAB_SYNC_USE, pc);
	if (command == F_SETFL) {
		lab_io_change(&f->looked);
		f->nonblocking = (flags & O_NONBLOCK) != 0;
	}
	return command != F_GETFL ? 0 : f->flags | (f->nonblocking ? O_NONBLOCK : 0);
}

static int io_fcntl(int number, int command, unsigned long flags)
{
	return io_control(number, command, flags, PC);
}

static int io_ioctl(int number, unsigned long request, int *value)
{
	if (request == FIONBIO) {
		lab_reads(value, sizeof *value, PC);
		return io_control(number, F_SETFL, *value ? O_NONBLOCK : 0, PC);
	}
	if (!lab_io_of(number))
		return -1;
	if (request == SIOCOUTQ)
		*value = 0; /* all bytes that were written have arrived */
	else if (request != FIOCLEX)
		lab_no_file("ioctl", PC);
	return 0;
}

#define CALL(name) LAB_CALL(#name, io_##name)
LAB_CALLS = {
    CALL(pipe),   CALL(pipe2), CALL(read), CALL(write), CALL(readv),
    CALL(writev), CALL(close), CALL(dup),  CALL(fcntl), LAB_CALL("fcntl64", io_fcntl),
    CALL(ioctl),
};
