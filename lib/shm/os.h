/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_SHM_OS_H
#define FL_SHM_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What regions ask of the system: the continuation of lib/base/sys.h's table, with the same rules. Results are 0 or a
 * descriptor, or a negative errno; errno stays as it is. All descriptors are made close-on-exec.
 */
struct fl__shm_os {
	int (*memory)(void);                             /* an empty memfd that can be sealed */
	int (*resize)(int fd, uint64_t size);            /* all holes */
	int (*fill)(int fd, uint64_t at, uint64_t size); /* real memory in place of holes */
	int (*add_seals)(int fd, int seals);             /* F_SEAL_... */
	int (*seals)(int fd);                            /* those that it has; -EINVAL: it is no memory file */
	int (*size)(int fd, uint64_t *size);             /* of the file */
	int (*is_writable)(int fd);                      /* 1 or 0: how it was opened */
	int (*duplicate)(int fd);                        /* of the same open file */
	void (*close)(int fd);                           /* Linux has released the number whatever it answers */
	int (*map)(int fd, size_t size, bool writable, void **memory); /* shared, from its beginning */
	int (*map_sealed)(int fd, size_t size,
	                  void **memory); /* to be read; of memory that nobody can write any more */
	void (*unmap)(void *memory, size_t size);
	int (*keep)(void *memory, size_t size); /* from the children of a fork: they have nothing there */
	uint64_t (*largest_file)(void);         /* RLIMIT_FSIZE; above it `resize` and `fill` raise SIGXFSZ */
	uint64_t (*available)(void);            /* memory that the system can give, roughly */
};

extern struct fl__shm_os fl__shm_os;

/* The seal against new writable mappings; Linux 5.1, younger than some headers. */
#define FL__SEAL_FUTURE_WRITE 0x10

/*
 * The bytes that the system can give, at best: what the file `meminfo` (as /proc/meminfo) tells, and the limits of the
 * control groups that `proc_cgroup` (as /proc/self/cgroup) names, under the folder `mounts` (as /sys/fs/cgroup).
 * UINT64_MAX: unknown.
 */
uint64_t fl__shm_available(const char *meminfo, const char *proc_cgroup, const char *mounts);

#endif
