/* SPDX-License-Identifier: BSD-2-Clause */
#include "shm_os.h"
#include "../base/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The result of a call, or its negative errno. Restores errno to `before`. */
static int result(int rc, int before)
{
	int r = rc >= 0 ? rc : -errno;
	errno = before;
	return r;
}

/* MFD_NOEXEC_SEAL: the file cannot be executed. Linux 6.3; some systems require the flag. */
enum { NOEXEC_SEAL = 8 };

static int os_memory(void)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int before = errno;
	int fd = memfd_create("fairlead", flags | NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("fairlead", flags);
	return fl__known(result(fd, before));
}

static int os_resize(int fd, uint64_t size)
{
	int before = errno;
	return result(ftruncate(fd, (off_t)size), before);
}

static int os_fill(int fd, uint64_t at, uint64_t size)
{
	int before = errno;
	return result(fallocate(fd, 0, (off_t)at, (off_t)size), before);
}

static int os_add_seals(int fd, int seals)
{
	int before = errno;
	return result(fcntl(fd, F_ADD_SEALS, seals), before);
}

static int os_seals(int fd)
{
	int before = errno;
	return result(fcntl(fd, F_GET_SEALS), before);
}

static int os_size(int fd, uint64_t *size)
{
	struct stat info = {0};
	int before = errno;
	int rc = result(fstat(fd, &info), before);
	*size = (uint64_t)info.st_size;
	return rc;
}

static int os_is_writable(int fd)
{
	int before = errno;
	int flags = result(fcntl(fd, F_GETFL), before);
	return flags < 0 ? flags : (flags & O_ACCMODE) == O_RDWR;
}

static int os_duplicate(int fd)
{
	int before = errno;
	int rc = result(fcntl(fd, F_DUPFD_CLOEXEC, 0), before);
	return rc == -EINVAL ? -EMFILE : rc; /* RLIMIT_NOFILE is 0: no descriptor is allowed */
}

static void os_close(int fd)
{
	int before = errno;
	(void)close(fd); /* Linux releases the descriptor in any case */
	errno = before;
}

static int os_map(int fd, size_t size, bool writable, void **memory)
{
	int before = errno;
	void *at = mmap(NULL, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
	int rc = result(at == MAP_FAILED ? -1 : 0, before);
	if (rc == 0)
		*memory = at;
	return rc;
}

static int os_map_sealed(int fd, size_t size, void **memory)
{
	int before = errno;
	/* private: before Linux 6.7, memory sealed against writing cannot be mapped shared */
	void *at = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	int rc = result(at == MAP_FAILED ? -1 : 0, before);
	if (rc == 0)
		*memory = at;
	return rc;
}

static void os_unmap(void *memory, size_t size)
{
	int before = errno;
	(void)munmap(memory, size); /* fails only for an address that was not mapped here */
	errno = before;
}

static int os_keep(void *memory, size_t size)
{
	int before = errno;
	return result(madvise(memory, size, MADV_DONTFORK), before);
}

static uint64_t os_largest_file(void)
{
	struct rlimit limit;
	int before = errno;
	bool known = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
	errno = before;
	return known ? limit.rlim_cur : UINT64_MAX;
}

static uint64_t os_available(void)
{
	int before = errno;
	uint64_t bytes = fl__shm_available("/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup");
	errno = before;
	return bytes;
}

struct fl__shm_os fl__shm_os = {
    .memory = os_memory,
    .resize = os_resize,
    .fill = os_fill,
    .add_seals = os_add_seals,
    .seals = os_seals,
    .size = os_size,
    .is_writable = os_is_writable,
    .duplicate = os_duplicate,
    .close = os_close,
    .map = os_map,
    .map_sealed = os_map_sealed,
    .unmap = os_unmap,
    .keep = os_keep,
    .largest_file = os_largest_file,
    .available = os_available,
};
