/* SPDX-License-Identifier: BSD-2-Clause */
/* Streams over pipes, FIFOs, terminals and devices: fl_stream_from_fd(). */
#include "fl_streams.h"

#include <termios.h>

/* Runs a case in a fiber; it leaves no descriptor. */
static void run_case(void (*body)(void))
{
	const unsigned before = fl_test_fds();
	fl_test_body_in_loop(body);
	assert_int_equal(fl_test_fds(), before);
}

static void open_pipe(int ends[2], int flags)
{
	FL_OK(pipe2(ends, O_CLOEXEC | flags));
}

static fl_stream *stream_of(int fd)
{
	fl_stream *s = NULL;
	FL_OK(fl_stream_from_fd(&s, fd));
	FL_CHECK(fl_stream_fd(s) == fd && (fcntl(s->own, F_GETFL) & O_NONBLOCK) && fl_test_is_cloexec(fd) &&
	         fl_test_is_cloexec(s->own));
	return s;
}

FL_TEST_WITH(stream_of_a_pipe_reads_lines, run_case, void)
{
	int ends[2];
	char line[64];
	open_pipe(ends, 0);
	fl_stream *in = stream_of(ends[0]), *out = stream_of(ends[1]);
	FL_RC(fl_stream_read_line_until(in, line, sizeof line, fl_test_soon(), NULL), -ETIMEDOUT);
	FL_OK(fl_stream_write(out, "one\ntwo\nrest", 12));
	FL_RC(fl_stream_read_line(in, line, sizeof line), 4);
	FL_RC(strcmp(line, "one\n"), 0);
	FL_RC(fl_stream_read_line(in, line, sizeof line), 4);
	FL_OK(fl_stream_close_write(out));
	FL_OK(fl_stream_close_write(out)); /* again does nothing */
	FL_RC(fl_stream_fd(out), -1);
	FL_RC(fl_stream_write(out, "x", 1), -EPIPE);
	FL_RC(fl_stream_read_line(in, line, sizeof line), 4);
	FL_RC(strcmp(line, "rest"), 0);
	FL_RC(fl_stream_read_some(in, line, sizeof line), 0);
	fl_stream_free(in);
	fl_stream_free(out);
}

FL_TEST_WITH(stream_of_a_pipe_has_one_direction, run_case, void)
{
	int ends[2];
	char byte;
	fl_address name = {.size = 1};
	open_pipe(ends, O_NONBLOCK);
	fl_stream *in = stream_of(ends[0]), *out = stream_of(ends[1]);
	fl_test_each_write_gives(in, -EBADF);
	FL_RC(fl_stream_close_write(in), -EBADF);
	fl_test_each_read_gives(out, -EBADF);
	FL_OK(fl_stream_local_address(in, &name));
	FL_RC(name.size, 0);
	name.size = 1;
	FL_OK(fl_stream_peer_address(out, &name));
	FL_RC(name.size, 0);
	FL_RC(fl_stream_try_read_some(in, &byte, 1), -EAGAIN);
	FL_RC(fl_stream_try_write(out, "y", 1), 1);
	FL_RC(fl_stream_try_read_some(in, &byte, 1), 1);
	fl_stream_free(in);
	FL_RC(fl_stream_write(out, "x", 1), -EPIPE); /* and no SIGPIPE */
	fl_stream_free(out);
}

enum { MUCH = 4 << 20 };

static char sent[MUCH], got[MUCH];

static int write_much(void *arg)
{
	fl_stream *out = arg;
	const struct iovec parts[] = {{sent, 5}, {sent + 5, 0}, {sent + 5, MUCH - 5}};
	FL_OK(fl_stream_writev(out, parts, 3));
	FL_RC((long)fl_stream_written(out), MUCH);
	FL_OK(fl_stream_close_write(out));
	return 0;
}

FL_TEST_WITH(stream_of_a_pipe_waits_for_room, run_case, void)
{
	int ends[2];
	open_pipe(ends, 0);
	FL_EACH (i, sent)
		sent[i] = (char)(i % 251);
	fl_stream *in = stream_of(ends[0]), *out = stream_of(ends[1]);
	fl_fiber *writer = fl_test_start(write_much, out);
	FL_RC(fl_stream_read_exactly(in, got, MUCH), MUCH);
	FL_RC(memcmp(got, sent, MUCH), 0);
	FL_OK(fl_test_join(writer));
	fl_stream_free(in);
	fl_stream_free(out);
}

static int read_one(void *arg)
{
	char byte;
	FL_RC(fl_stream_read_some(arg, &byte, 1), -ECONNABORTED);
	return 0;
}

static int write_for_ever(void *arg)
{
	int rc;
	do
		rc = fl_stream_write(arg, sent, MUCH);
	while (rc == 0);
	FL_RC(rc, -ECONNABORTED);
	return 0;
}

FL_TEST_WITH(stream_of_a_pipe_aborts, run_case, void)
{
	int ends[2], other[2];
	open_pipe(ends, 0);
	open_pipe(other, 0);
	fl_stream *in = stream_of(ends[0]), *out = stream_of(other[1]);
	fl_fiber *reader = fl_test_start(read_one, in), *writer = fl_test_start(write_for_ever, out);
	FL_TEST_UNTIL(fl_test_waits(in, FL__IO_IN) && fl_test_waits(out, FL__IO_OUT));
	FL_RC(fl_stream_close_write(out), -EBUSY);
	fl_stream_abort(in);
	fl_stream_abort(out);
	FL_OK(fl_test_join(reader));
	FL_OK(fl_test_join(writer));
	fl_stream_free(in);
	fl_stream_free(out);
	FL_OK(close(ends[1]));
	FL_OK(close(other[0]));
}

/* The process shares its pipe with another: that one's descriptor goes on blocking. */
FL_TEST_WITH(stream_of_a_shared_pipe_leaves_the_others_blocking, run_case, void)
{
	int ends[2];
	open_pipe(ends, 0);
	const int theirs[] = {dup(ends[0]), dup(ends[1])};
	fl_stream *in = stream_of(ends[0]), *out = stream_of(ends[1]);
	const int blocking[] = {theirs[0], theirs[1], fl_stream_fd(in), fl_stream_fd(out)};
	FL_EACH (i, blocking)
		FL_CHECK(!(fcntl(blocking[i], F_GETFL) & O_NONBLOCK));
	FL_OK(fl_stream_write(out, "x", 1));
	char byte;
	FL_CHECK(read(theirs[0], &byte, 1) == 1); /* it is the same pipe */
	fl_stream_free(in);
	fl_stream_free(out);
	fl_test_close_two(theirs);
}

/* Opens both ends of a FIFO, which then has no name. */
static void open_fifo(int ends[2], int flags)
{
	const fl_test_path p = fl_test_path_make();
	FL_OK(mkfifo(p.name, 0600));
	ends[0] = open(p.name, flags | O_CLOEXEC);
	ends[1] = open(p.name, O_WRONLY | O_CLOEXEC);
	FL_CHECK(ends[0] >= 0 && ends[1] >= 0 && unlink(p.name) == 0);
	fl_test_path_end(&p);
}

FL_TEST_WITH(stream_of_a_fifo, run_case, void)
{
	char line[16];
	int ends[2];
	open_fifo(ends, O_RDWR);
	fl_stream *both = stream_of(ends[0]), *out = stream_of(ends[1]);
	FL_OK(fl_stream_write(out, "ab\n", 3));
	FL_RC(fl_stream_read_line(both, line, sizeof line), 3);
	FL_RC(fl_stream_close_write(both), -ENOTSUP);
	fl_stream_free(both);
	FL_RC(fl_stream_write(out, "x", 1), -EPIPE);
	fl_stream_free(out);
}

static void with_terminals(void (*body)(void))
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master < 0)
		FL_SKIP("no terminals here");
	(void)close(master);
	run_case(body);
}

/* Both ends of a terminal; raw: without its work on the bytes. */
static void open_terminal(int *master, int *slave, bool raw)
{
	struct termios mode;
	*master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	FL_CHECK(*master >= 0 && grantpt(*master) == 0 && unlockpt(*master) == 0);
	*slave = open(ptsname(*master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	FL_CHECK(*slave >= 0 && tcgetattr(*slave, &mode) == 0);
	mode.c_lflag &= ~(tcflag_t)ECHO;
	if (raw)
		cfmakeraw(&mode);
	FL_OK(tcsetattr(*slave, TCSANOW, &mode));
}

FL_TEST_WITH(stream_of_a_terminal, with_terminals, void)
{
	char line[64];
	int master_fd, slave_fd;
	open_terminal(&master_fd, &slave_fd, false);
	const int theirs = dup(slave_fd);
	fl_stream *master = stream_of(master_fd), *slave = stream_of(slave_fd);
	FL_CHECK(!(fcntl(theirs, F_GETFL) & O_NONBLOCK) && !(fcntl(slave_fd, F_GETFL) & O_NONBLOCK));
	FL_OK(close(theirs));
	FL_OK(fl_stream_write(master, "typed\n", 6));
	FL_RC(fl_stream_read_line(slave, line, sizeof line), 6);
	FL_RC(strcmp(line, "typed\n"), 0);
	FL_OK(fl_stream_write(slave, "shown\n", 6));
	FL_RC(fl_stream_read_line(master, line, sizeof line), 7); /* the terminal adds a carriage return */
	FL_RC(strcmp(line, "shown\r\n"), 0);
	fl_stream_free(slave);
	FL_RC(fl_stream_read_some(master, line, sizeof line), 0); /* not -EIO */
	fl_stream_free(master);
}

FL_TEST_WITH(stream_of_what_has_no_events, run_case, void)
{
	static const char *const paths[] = {"/dev/null", "/etc/passwd", "/"};
	fl_stream *s;
	FL_EACH (i, paths) {
		const int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		FL_CHECK(fd >= 0);
		FL_RC(fl_stream_from_fd(&s, fd), -EPERM);
		FL_CHECK(!(fcntl(fd, F_GETFL) & O_NONBLOCK) && close(fd) == 0);
	}
	const int path = open("/etc/passwd", O_PATH | O_CLOEXEC);
	FL_RC(fl_stream_from_fd(&s, path), -EBADF);
	FL_RC(fl_stream_from_fd(&s, -1), -EBADF);
	FL_OK(close(path));
	int ends[2];
	open_pipe(ends, 0);
	fl_stream *in = stream_of(ends[0]);
	FL_RC(fl_stream_from_fd(&s, ends[0]), -EEXIST);
	fl_stream_free(in);
	FL_OK(close(ends[1]));
}

/*
 * Peers that send nothing, one byte at a time, or garbage, and that vanish in the midst of a line.
 */

enum { GARBAGE = 70000 /* more than FL_STREAM_LIMIT, and than a pipe holds */ };

/* The peer's end never makes the thread wait. */
typedef struct hostile_peer {
	int fd;
	const char *bytes;
	size_t size, piece;
} hostile_peer;

static int send_hostile(void *arg)
{
	const hostile_peer *p = arg;
	for (size_t done = 0; done < p->size;) {
		const size_t rest = p->size - done;
		const ssize_t n = fl_fd_write_some(p->fd, p->bytes + done, rest < p->piece ? rest : p->piece);
		FL_CHECK(n > 0);
		done += (size_t)n;
		fl_fiber_yield();
	}
	return 0;
}

static void meet_hostile_peer(int own, int fd, bool keeps_rest)
{
	char line[64], *garbage = malloc(GARBAGE), *back = malloc(GARBAGE);
	fl_stream *s = stream_of(own);
	FL_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
	/* nothing */
	FL_RC(fl_stream_try_read_some(s, line, sizeof line), -EAGAIN);
	FL_RC(fl_stream_read_some_until(s, line, sizeof line, fl_test_soon(), NULL), -ETIMEDOUT);
	/* one byte at a time */
	hostile_peer p = {fd, "slow\nline\n", 10, 1};
	fl_fiber *f = fl_test_start(send_hostile, &p);
	FL_RC(fl_stream_read_line(s, line, sizeof line), 5);
	FL_RC(fl_stream_read_exactly(s, line, 5), 5);
	FL_RC(memcmp(line, "line\n", 5), 0);
	FL_OK(fl_test_join(f));
	/* garbage: each byte but the end of a line */
	for (size_t i = 0; i < GARBAGE; i++)
		garbage[i] = (char)(i % 256 == '\n' ? 0 : i);
	p = (hostile_peer){fd, garbage, GARBAGE, 1000};
	f = fl_test_start(send_hostile, &p);
	FL_RC(fl_stream_read_line(s, line, sizeof line), -EMSGSIZE);
	FL_RC(fl_stream_read_line(s, back, GARBAGE), -EMSGSIZE);
	FL_RC(fl_stream_read_exactly(s, back, GARBAGE), GARBAGE);
	FL_RC(memcmp(back, garbage, GARBAGE), 0);
	FL_OK(fl_test_join(f));
	/* an end in the midst of a line, while a fiber waits for the rest of it */
	p = (hostile_peer){fd, "half", 4, 4};
	FL_OK(send_hostile(&p));
	FL_OK(close(fd));
	const ssize_t rest = fl_stream_read_line(s, line, sizeof line);
	FL_CHECK(rest == 4 || (!keeps_rest && rest == 0));
	FL_RC(fl_stream_read_some(s, line, sizeof line), 0);
	FL_RC(fl_stream_read_line(s, line, sizeof line), 0);
	fl_stream_free(s);
	free(garbage);
	free(back);
}

FL_TEST_WITH(stream_of_a_pipe_and_hostile_peers, run_case, void)
{
	int ends[2];
	open_pipe(ends, 0);
	meet_hostile_peer(ends[0], ends[1], true);
	open_fifo(ends, O_RDONLY | O_NONBLOCK);
	meet_hostile_peer(ends[0], ends[1], true);
}

FL_TEST_WITH(stream_of_a_terminal_and_hostile_peers, with_terminals, void)
{
	int master, slave;
	open_terminal(&master, &slave, true);
	meet_hostile_peer(master, slave, true);
	open_terminal(&master, &slave, true);
	meet_hostile_peer(slave, master, false); /* the end of its master empties a terminal */
}
