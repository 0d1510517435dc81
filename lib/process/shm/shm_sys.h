/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The system calls of regions. The table continues the one in lib/core/base/sys.h, with the same
 * rules. Results are 0 or a descriptor, or a negative errno; errno does not change. Descriptors are
 * close-on-exec.
 */
struct fl__shm_sys {
	int (*memory)(void); /* returns an empty memfd that can be sealed */
	/* resize() and fill() return -EFBIG above RLIMIT_FSIZE. */
	int (*resize)(int fd, uint64_t size);            /* makes a new file one hole */
	int (*fill)(int fd, uint64_t at, uint64_t size); /* allocates memory for holes */
	int (*add_seals)(int fd, int seals);             /* adds F_SEAL_... bits */
	/* returns the seals of the file, or -EINVAL if its file system has none */
	int (*seals)(int fd);
	int (*size)(int fd, uint64_t *size); /* stores the size of the file */
	/* returns 1 or 0, by the mode of the descriptor */
	int (*is_writable)(int fd);
	/* returns a descriptor of the same open file */
	int (*duplicate)(int fd);
	/* Maps the file from its beginning, shared. */
	int (*map)(int fd, size_t size, bool writable, void **memory);
	void (*unmap)(void *memory, size_t size);
	/* unmaps the memory in children, unless the kernel refuses that */
	int (*keep)(void *memory, size_t size);
	/* returns roughly the memory that the system can give */
	uint64_t (*available)(void);
	/*
	 * Returns a number of this process's PID namespace, unique on the machine, or 0 without
	 * /proc.
	 */
	uint64_t (*pid_namespace)(void);
};

extern struct fl__shm_sys fl__shm_sys;

/* The seal against new writable mappings. Linux 5.1 has it; some headers are older. */
#define FL__SEAL_FUTURE_WRITE 0x10

/*
 * Estimates the memory that the system can give, or returns UINT64_MAX if it is unknown. The
 * arguments name the files /proc/meminfo and /proc/thread-self/cgroup and the folder
 * /sys/fs/cgroup, or copies of them in a test.
 */
uint64_t fl__shm_available(const char *meminfo, const char *proc_cgroup, const char *mounts);
