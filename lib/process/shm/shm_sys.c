/* SPDX-License-Identifier: BSD-2-Clause */
/* The system calls of regions (shm_sys.h), and an estimate of the available memory. */
#include "shm_sys.h"
#include "core/base/sys.h"
#include "core/os/cgroup.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * MFD_NOEXEC_SEAL makes the file not executable. It exists since Linux 6.3, and some systems
 * require it.
 */
enum { SHM_SYS_NOEXEC_SEAL = 8 };

static int shm_sys_memory(void)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = FL__SYS_RESULT(memfd_create("fairlead", flags | SHM_SYS_NOEXEC_SEAL));
	if (fd == -EINVAL)
		fd = FL__SYS_RESULT(memfd_create("fairlead", flags));
	return fl__eperm_to_enosys(fd);
}

static int shm_sys_resize(int fd, uint64_t size)
{
	const int rc = fl__check_file_size(size);
	return rc == 0 ? FL__RETRY(FL__SYS_RESULT(ftruncate(fd, (off_t)size))) : rc;
}

static int shm_sys_fill(int fd, uint64_t at, uint64_t size)
{
	const int rc = fl__check_file_size(at + size);
	return rc == 0 ? fl__eperm_to_enosys(FL__SYS_RESULT(fallocate(fd, 0, (off_t)at, (off_t)size))) : rc;
}

static int shm_sys_add_seals(int fd, int seals)
{
	return FL__SYS_RESULT(fcntl(fd, F_ADD_SEALS, seals));
}

static int shm_sys_seals(int fd)
{
	return FL__SYS_RESULT(fcntl(fd, F_GET_SEALS));
}

static int shm_sys_size(int fd, uint64_t *size)
{
	struct stat info = {0};
	int rc = FL__SYS_RESULT(fstat(fd, &info));
	*size = (uint64_t)info.st_size;
	return rc;
}

static int shm_sys_is_writable(int fd)
{
	int flags = FL__SYS_RESULT(fcntl(fd, F_GETFL));
	return flags < 0 ? flags : (flags & O_ACCMODE) == O_RDWR;
}

static int shm_sys_duplicate(int fd)
{
	int rc = FL__SYS_RESULT(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	return rc == -EINVAL ? -EMFILE : rc; /* RLIMIT_NOFILE is 0, so no descriptor is allowed */
}

static int shm_sys_map(int fd, size_t size, bool writable, void **memory)
{
	return fl__map_file(fd, 0, size, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, memory);
}

static void shm_sys_unmap(void *memory, size_t size)
{
	/* fails only for an address that was not mapped here */
	(void)FL__SYS_RESULT(munmap(memory, size));
}

static int shm_sys_keep(void *memory, size_t size)
{
	const int rc = fl__eperm_to_enosys(FL__SYS_RESULT(madvise(memory, size, MADV_DONTFORK)));
	/* without it, children also have the memory */
	return rc == -ENOSYS ? 0 : fl__eagain_to_enomem(rc);
}

/*
 * The functions below estimate how much memory a region may have, because the kernel kills
 * processes if a file in memory is too large. The estimate counts page caches and swap as free, so
 * it only rejects absurd sizes.
 */

/*
 * Adds up the numbers of two names in a file with lines "name number". Returns false if neither
 * name is there.
 */
static bool shm_sys_read_sum(const char *path, const char *first, const char *second, uint64_t *sum)
{
	char line[256], name[128];
	uint64_t number;
	bool found = false;
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	for (*sum = 0; fgets(line, sizeof line, f);) {
		if (sscanf(line, "%127s %" SCNu64, name, &number) != 2)
			continue;
		if (strcmp(name, first) != 0 && strcmp(name, second) != 0)
			continue;
		if (__builtin_add_overflow(*sum, number, sum))
			*sum = UINT64_MAX;
		found = true;
	}
	(void)fclose(f);
	return found;
}

/*
 * Returns the memory that a control group can still use, or `most` if that is less. The group's
 * own caches count as free.
 */
static uint64_t shm_sys_group_available(const char *folder, bool v2, uint64_t most)
{
	char path[2 * 4096 + 64];
	uint64_t caches = 0;
	int64_t limit[2] = {-1, 0}, usage[2] = {-1, 0}; /* negative while there is no number */
	fl__cgroup_read(folder, v2 ? "memory.max" : "memory.limit_in_bytes", limit);
	fl__cgroup_read(folder, v2 ? "memory.current" : "memory.usage_in_bytes", usage);
	if (limit[0] < 0 || usage[0] < 0)
		return most;
	(void)snprintf(path, sizeof path, "%s/memory.stat", folder);
	if (!shm_sys_read_sum(path, v2 ? "inactive_file" : "total_inactive_file",
	                      v2 ? "active_file" : "total_active_file", &caches))
		caches = 0;
	const uint64_t room = (uint64_t)limit[0], used = (uint64_t)usage[0];
	const uint64_t kept = used - FL__MIN(used, caches), left = room - FL__MIN(room, kept);
	return FL__MIN(most, left);
}

static void shm_sys_visit_group(const char *folder, bool v2, void *most)
{
	*(uint64_t *)most = shm_sys_group_available(folder, v2, *(uint64_t *)most);
}

uint64_t fl__shm_available(const char *meminfo, const char *proc_cgroup, const char *mounts)
{
	uint64_t kilobytes, most = UINT64_MAX;
	FL__UNCANCELLED();
	if (shm_sys_read_sum(meminfo, "MemAvailable:", "SwapFree:", &kilobytes) && kilobytes <= UINT64_MAX / 1024)
		most = kilobytes * 1024;
	fl__cgroup_visit(proc_cgroup, mounts, "memory", shm_sys_visit_group, &most);
	return most;
}

static uint64_t shm_sys_available(void)
{
	return fl__shm_available("/proc/meminfo", "/proc/thread-self/cgroup", "/sys/fs/cgroup");
}

static uint64_t shm_sys_pid_namespace(void)
{
	struct stat info;
	return FL__SYS_RESULT(stat("/proc/thread-self/ns/pid", &info)) == 0 ? info.st_ino : 0;
}

struct fl__shm_sys fl__shm_sys = {
    .memory = shm_sys_memory,
    .resize = shm_sys_resize,
    .fill = shm_sys_fill,
    .add_seals = shm_sys_add_seals,
    .seals = shm_sys_seals,
    .size = shm_sys_size,
    .is_writable = shm_sys_is_writable,
    .duplicate = shm_sys_duplicate,
    .map = shm_sys_map,
    .unmap = shm_sys_unmap,
    .keep = shm_sys_keep,
    .available = shm_sys_available,
    .pid_namespace = shm_sys_pid_namespace,
};
