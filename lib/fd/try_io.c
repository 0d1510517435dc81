/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes that do not wait (try_io.h), by preadv2() and pwritev2(), or after a poll if the
 * kernel lacks their flags.
 */
#include "try_io.h"
#include "core/base/sys.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* The values of <linux/fs.h>, because the headers of a C library may lack them. */
enum { TRY_IO_NOWAIT = 0x8, TRY_IO_NOSIGNAL = 0x100 };

/* Returns whether the error says that the kernel lacks a flag, for this kind of file or at all. */
static bool try_io_is_unknown(ssize_t rc)
{
	return rc == -EOPNOTSUPP || fl__eperm_to_enosys((int)rc) == -ENOSYS || rc == -EINVAL;
}

/*
 * Returns whether `fd` is a regular file or a block device. Their calls may return -EAGAIN for data
 * that are not in memory, which no poll waits for.
 */
static bool try_io_is_file(int fd)
{
	struct stat info;
	return FL__SYS_RESULT(fstat(fd, &info)) == 0 && (S_ISREG(info.st_mode) || S_ISBLK(info.st_mode));
}

/*
 * Calls preadv2() or pwritev2(), for which musl has no functions, at the descriptor's position. If
 * the kernel does not accept the flags, calls `otherwise`.
 */
static ssize_t try_io_call(long number, int flags, int fd, const struct iovec *parts, int n,
                           ssize_t (*otherwise)(int fd, const struct iovec *parts, int n))
{
	const ssize_t rc = FL__QUICK_RESULT(syscall(number, fd, parts, (long)n, -1L, -1L, flags));
	return try_io_is_unknown(rc) || (rc == -EAGAIN && try_io_is_file(fd)) ? otherwise(fd, parts, n) : rc;
}

/* Returns whether a call without RWF_NOWAIT would succeed or fail at once. */
static bool try_io_is_ready(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	/* A signal handler interrupts even a poll that does not wait. */
	if (FL__RETRY(FL__SYS_RESULT(poll(&p, 1, 0))) != 0)
		return true;
	/* if `fd` is not open in this direction, the call returns -EBADF */
	const int flags = FL__SYS_RESULT(fcntl(fd, F_GETFL));
	return flags < 0 || (flags & O_ACCMODE) == (events == POLLIN ? O_WRONLY : O_RDONLY);
}

static ssize_t try_io_read_polled(int fd, const struct iovec *parts, int n)
{
	return try_io_is_ready(fd, POLLIN) ? FL__SYS_RESULT(readv(fd, parts, n)) : -EAGAIN;
}

/*
 * Writes to a blocking descriptor only as many bytes as surely fit: PIPE_BUF bytes into a ready
 * pipe, one byte to a ready terminal.
 */
static ssize_t try_io_write_polled(int fd, const struct iovec *parts, int n)
{
	const int flags = FL__SYS_RESULT(fcntl(fd, F_GETFL));
	if (!try_io_is_ready(fd, POLLOUT))
		return -EAGAIN;
	if (flags < 0 || (flags & O_NONBLOCK))
		return FL__SYS_RESULT(writev(fd, parts, n));
	while (n > 1 && parts->iov_len == 0) {
		parts++;
		n--;
	}
	const size_t room = FL__SYS_RESULT(isatty(fd)) ? 1 : PIPE_BUF;
	return FL__SYS_RESULT(write(fd, parts->iov_base, FL__MIN(parts->iov_len, room)));
}

ssize_t fl__try_read(int fd, void *buffer, size_t size)
{
	const struct iovec part = {buffer, size};
	return FL__RETRY(try_io_call(SYS_preadv2, TRY_IO_NOWAIT, fd, &part, 1, try_io_read_polled));
}

static ssize_t try_io_write(int fd, const struct iovec *parts, int n)
{
	return try_io_call(SYS_pwritev2, TRY_IO_NOWAIT, fd, parts, n, try_io_write_polled);
}

/*
 * For kernels without RWF_NOSIGNAL (Linux 6.18): blocks SIGPIPE, and removes it if this write
 * raised it.
 */
static ssize_t try_io_write_masked(int fd, const struct iovec *parts, int n)
{
	const struct timespec at_once = {0, 0};
	sigset_t pipe, before, pending;
	(void)sigemptyset(&pipe);
	(void)sigaddset(&pipe, SIGPIPE);
	(void)sigpending(&pending);
	(void)pthread_sigmask(SIG_BLOCK, &pipe, &before);
	const ssize_t rc = try_io_write(fd, parts, n);
	if (rc == -EPIPE && !sigismember(&pending, SIGPIPE))
		(void)FL__RETRY(FL__SYS_RESULT(sigtimedwait(&pipe, NULL, &at_once)));
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

ssize_t fl__try_write(int fd, const struct iovec *parts, int n)
{
	return FL__RETRY(try_io_call(SYS_pwritev2, TRY_IO_NOWAIT | TRY_IO_NOSIGNAL, fd, parts, n, try_io_write_masked));
}
