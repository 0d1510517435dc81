/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

/*
 * Reads and writes that do not wait and raise no SIGPIPE, on a descriptor of any kind, blocking or
 * not, with two exceptions. A call for a regular file or a block device may wait for the disk. If
 * the kernel lacks RWF_NOWAIT for this kind of file (pipes before Linux 6.4), a call for a blocking
 * descriptor waits if another thread drains or fills it between the poll and the call. Both
 * functions return a count, 0 at the end of the input, or a negative errno, which may be -EAGAIN
 * but not -EINTR. errno keeps its value.
 */
ssize_t fl__try_read(int fd, void *buffer, size_t size);
ssize_t fl__try_write(int fd, const struct iovec *parts, int n);
