/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes that never wait and raise no SIGPIPE: as this system has them, and in a child
 * for which preadv2() and pwritev2(), or their flags, are missing.
 */
#include "fl_denials.h"

#include "fd/try_io.h"

static ssize_t write_one(int fd, const char *data, size_t size)
{
	const struct iovec part = {(void *)(uintptr_t)data, size};
	return fl__try_write(fd, &part, 1);
}

/* Of a pipe: empty, full, closed on either side. */
static void read_and_write(int flags)
{
	static char zeros[1 << 17];
	char got[8];
	int ends[2];
	ssize_t n;
	FL_OK(pipe2(ends, flags | O_CLOEXEC));
	errno = 77;
	FL_CHECK(fl__try_read(ends[0], got, sizeof got) == -EAGAIN);
	FL_CHECK(write_one(ends[1], "abc", 3) == 3);
	FL_CHECK(fl__try_read(ends[0], got, sizeof got) == 3 && memcmp(got, "abc", 3) == 0);
	const struct iovec parts[] = {{got, 0}, {got, 1}, {got + 1, 2}};
	FL_CHECK((n = fl__try_write(ends[1], parts, 3)) > 0);
	FL_CHECK(fl__try_read(ends[0], got, sizeof got) == n);
	while ((n = write_one(ends[1], zeros, sizeof zeros)) > 0)
		;
	FL_CHECK(n == -EAGAIN);
	while ((n = fl__try_read(ends[0], zeros, sizeof zeros)) > 0)
		;
	FL_CHECK(n == -EAGAIN);
	FL_CHECK(fl__try_read(ends[1], got, 1) == -EBADF && write_one(ends[0], got, 1) == -EBADF);
	FL_OK(close(ends[0]));
	FL_RC(write_one(ends[1], "x", 1), -EPIPE); /* SIGPIPE would end this process */
	FL_OK(close(ends[1]));
	FL_CHECK(fl__try_read(ends[0], got, 1) == -EBADF && write_one(ends[1], got, 1) == -EBADF);
	FL_OK(pipe2(ends, flags | O_CLOEXEC));
	FL_OK(close(ends[1]));
	FL_CHECK(fl__try_read(ends[0], got, 1) == 0);
	FL_OK(close(ends[0]));
	FL_CHECK(errno == 77);
}

static void read_and_write_file(void)
{
	char got[8];
	int file = fl_test_scratch();
	FL_CHECK(write_one(file, "abc", 3) == 3 && lseek(file, 0, SEEK_SET) == 0);
	FL_CHECK(fl__try_read(file, got, sizeof got) == 3);
	FL_CHECK(fl__try_read(file, got, sizeof got) == 0);
	FL_OK(close(file));
}

/*
 * A SIGPIPE that the thread has blocked, and that is pending, stays so; another one is not added.
 */
static void keep_pending(void)
{
	const struct timespec at_once = {0, 0};
	sigset_t pipe_only, before;
	int ends[2];
	FL_OK(pipe2(ends, O_CLOEXEC));
	FL_OK(close(ends[0]));
	(void)sigemptyset(&pipe_only);
	(void)sigaddset(&pipe_only, SIGPIPE);
	FL_OK(sigprocmask(SIG_BLOCK, &pipe_only, &before));
	FL_RC(write_one(ends[1], "x", 1), -EPIPE);
	FL_CHECK(sigtimedwait(&pipe_only, NULL, &at_once) < 0 && errno == EAGAIN);
	FL_OK(raise(SIGPIPE));
	FL_RC(write_one(ends[1], "x", 1), -EPIPE);
	FL_CHECK(sigtimedwait(&pipe_only, NULL, &at_once) == SIGPIPE);
	FL_OK(sigprocmask(SIG_SETMASK, &before, NULL));
	FL_OK(close(ends[1]));
}

/* The kernel may call a terminal ready that has room for a single byte. */
static void fill_terminal(void)
{
	static const char zeros[4096];
	const int other = posix_openpt(O_RDWR | O_NOCTTY);
	FL_OK(grantpt(other) + unlockpt(other));
	const int terminal = open(ptsname(other), O_RDWR | O_NOCTTY); // NOLINT(concurrency-mt-unsafe)
	ssize_t n;
	while ((n = write_one(terminal, zeros, sizeof zeros)) > 0)
		;
	FL_CHECK(n == -EAGAIN);
	FL_OK(close(terminal) + close(other));
}

static void everything(void *unused)
{
	fill_terminal();
	read_and_write(0);
	read_and_write(O_NONBLOCK);
	read_and_write_file();
	keep_pending();
}

FL_TEST(try_io_as_it_is)
{
	everything(NULL);
}

static void without(void *error)
{
	fl_test_deny(SYS_preadv2, error);
	fl_test_deny(SYS_pwritev2, error);
	everything(NULL);
}

FL_TEST(try_io_without_the_calls_or_their_flags)
{
	FL_WITHOUT(without, ENOSYS, EOPNOTSUPP, EINVAL);
}
