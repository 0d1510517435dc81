/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The system calls of regions: a continuation of the table in lib/core/base/sys.h, with the same
 * rules. Results are 0 or a descriptor, or a negative errno; errno does not change. Descriptors are
 * close-on-exec.
 */
struct fl__shm_sys {
	int (*memory)(void); /* an empty memfd that can be sealed */
	/* Both return -EFBIG above RLIMIT_FSIZE. */
	int (*resize)(int fd, uint64_t size);            /* the whole file is a hole */
	int (*fill)(int fd, uint64_t at, uint64_t size); /* real memory in place of holes */
	int (*add_seals)(int fd, int seals);             /* F_SEAL_... */
	int (*seals)(int fd);                            /* its seals; -EINVAL: not a memfd */
	int (*size)(int fd, uint64_t *size);             /* the size of the file */
	int (*is_writable)(int fd);                      /* 1 or 0: the mode of the descriptor */
	int (*duplicate)(int fd);                        /* a descriptor of the same open file */
	/* A shared mapping from the beginning of the file. */
	int (*map)(int fd, size_t size, bool writable, void **memory);
	void (*unmap)(void *memory, size_t size);
	int (*keep)(void *memory, size_t size); /* unmaps the memory in forked children */
	uint64_t (*available)(void);            /* roughly the memory that the system can give */
	/* A number of this process's PID namespace, unique on the machine; 0: there is no /proc. */
	uint64_t (*pid_namespace)(void);
};

extern struct fl__shm_sys fl__shm_sys;

/* The seal against new writable mappings: Linux 5.1, newer than some headers. */
#define FL__SEAL_FUTURE_WRITE 0x10

/*
 * An estimate of the memory that the system can give, from the files /proc/meminfo and
 * /proc/thread-self/cgroup and the folder /sys/fs/cgroup, or such as these. UINT64_MAX: unknown.
 */
uint64_t fl__shm_available(const char *meminfo, const char *proc_cgroup, const char *mounts);
