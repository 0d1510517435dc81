/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Large arguments and results travel as the descriptor of a memfd, whose content the sender seals.
 * These functions write, seal and map such a memfd.
 */

/* Writes all of the data at the offset `at`. Returns 0, -ENOMEM, -EFBIG, or another error. */
int fl__memfd_write(int fd, uint64_t at, const void *data, size_t size);

/*
 * Fixes the size and the content. While the kernel itself holds one of the pages, for example to
 * move it, Linux waits 150 ms and then refuses with -EBUSY. So the function tries several times. It
 * returns -EBUSY if even the last try failed, for example because a process maps the memory for
 * writing.
 */
int fl__memfd_seal(int fd);

/* Makes a sealed memfd with these bytes. Returns its descriptor or an error. */
int fl__sealed_memory(const void *bytes, size_t size);

/*
 * Maps a sealed memfd for reading. Returns 0; or -EBADMSG if it is not sealed, or not of `size`
 * bytes; or another error.
 */
int fl__sealed_map(int fd, size_t size, void **memory);
