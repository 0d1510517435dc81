/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Arguments and results that travel as the descriptor of a memfd, whose content its sender seals. */

/* Writes all of the data at the offset `at`. Returns 0, -ENOMEM, -EFBIG. */
int fl__memfd_write(int fd, uint64_t at, const void *data, size_t size);

/*
 * Fixes size and content. Tries again on -EBUSY: Linux refuses while the kernel itself holds one of
 * the pages, for example to move it, after it has waited 150 ms for the end of that. -EBUSY: also
 * the last try failed, as when a process maps the memory for writing.
 */
int fl__memfd_seal(int fd);

/* Returns its descriptor or an error. */
int fl__sealed_memory(const void *bytes, size_t size);

/*
 * Maps such memory for reading. Returns 0; -EBADMSG: it is not sealed, or not of `size` bytes; or
 * another error.
 */
int fl__sealed_map(int fd, size_t size, void **memory);
