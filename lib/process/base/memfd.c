/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes, seals and maps memfds (memfd.h). */
#include "memfd.h"
#include "core/base/sys.h"
#include "process_sys.h"
#include <errno.h>
#include <sys/mman.h>

int fl__memfd_write(int fd, uint64_t at, const void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		const ssize_t n =
		    FL__RETRY(fl__fd_sys.write_at(fd, (const char *)data + done, size - done, (off_t)(at + done)));
		if (n < 0)
			return n == -ENOSPC ? -ENOMEM : (int)n;
		done += (size_t)n;
	}
	return 0;
}

int fl__memfd_seal(int fd)
{
	int rc = -EBUSY;
	for (unsigned tries = 20; rc == -EBUSY && tries > 0; tries--)
		rc = fl__fd_sys.seal(fd);
	return rc;
}

int fl__sealed_memory(const void *bytes, size_t size)
{
	int fd = fl__fd_sys.memfd();
	int rc = fd < 0 ? fd : fl__memfd_write(fd, 0, bytes, size);
	if (rc == 0)
		rc = fl__memfd_seal(fd);
	if (rc == 0)
		return fd;
	fl__fd_close(fd);
	return rc;
}

int fl__sealed_map(int fd, size_t size, void **memory)
{
	int64_t there;
	if (fl__fd_sys.sealed_size(fd, &there) != 0 || there != (int64_t)size)
		return -EBADMSG;
	/*
	 * private, because before Linux 6.7 a memfd that is sealed against writing cannot be mapped
	 * shared
	 */
	return fl__map_file(fd, 0, size, PROT_READ, MAP_PRIVATE, memory);
}
