/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_H
#define FAIRLEAD_SHM_H

#include <fairlead/defs.h>
#include <fairlead/private/part_process.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * A region is memory that processes share. It has an allocator, and its blocks are passed on by
 * their offsets.
 *
 *     FL_SCOPED(fl_shm) *region = NULL; // one process
 *     int rc = fl_shm_create(&region, 64 << 20);
 *     struct frame *f = rc == 0 ? fl_shm_block_alloc(region, sizeof *f) : NULL;
 *     if (f) // otherwise no block is free
 *             send_offset(fl_shm_offset_of(region, f));
 *
 *     rc = fl_shm_attach(&region, fd); // the other process
 *     f = rc == 0 ? FL_SHM_AT(region, struct frame, offset) : NULL;
 *     if (f)
 *             fl_shm_block_free(region, f); // any process may free it
 *
 * The kernel frees a region with its last descriptor and mapping. Another process gets the
 * descriptor by inheritance, through a pipe, or from an endpoint (fairlead/endpoint.h), and finds
 * the contents by the root. It maps the region at another address, so a region must contain offsets
 * and never pointers.
 *
 * Deaths, stops and damage
 *
 * If a process is killed, the region stays valid, no allocation waits for the dead process, and its
 * blocks stay allocated until another process frees them. If a process is stopped (SIGSTOP) inside
 * a call on an object in shared memory (fl_shm_...), calls of other processes on that object
 * usually block until it continues or is killed (docs/guide/dead-owners.md, also about emulators).
 * If a process overwrites the region, functions return errors or wrong values, or block, but never
 * access memory outside of it (docs/security.md).
 *
 * Processes, fork and limits
 *
 * All processes that share memory must be in one PID namespace. A forked child may use the objects
 * in the region, and may use and free its parent's handles. A region has at most FL_SHM_SIZE_MAX
 * bytes, and its bookkeeping takes another 1.6 %.
 *
 * Memory order
 *
 * All accesses to a block before its free happen before the allocation that returns it again. What
 * passes an offset on, such as a queue, a lock or the root, also orders the contents of the block.
 */
typedef struct fl_shm fl_shm;

/* A place in a region, which is equal in all processes. 0 means none. */
typedef uint64_t fl_shm_offset;

#define FL_SHM_SIZE_MAX (UINT64_C(511) << 30)

/*
 * Makes a region from which `size` bytes, rounded up to pages, can be allocated. It is zeroed,
 * which takes about a second for 4 GiB. Returns 0, -EMFILE, -ENFILE, or:
 *   -EINVAL  `size` is 0
 *   -EFBIG   `size` is above FL_SHM_SIZE_MAX, the address space, or RLIMIT_FSIZE
 *   -ENOMEM  `size` is above what the machine or the control group has left, or RLIMIT_AS
 *   -ENOSYS  memfd_create() is missing, or a sandbox forbids it or fallocate()
 */
FL_API FL_MUST_CHECK int fl_shm_create(fl_shm **region, size_t size);

/*
 * Maps the region of the descriptor `fd`, of which the handle keeps a duplicate. The mapping is
 * read-only if the descriptor is, or after fl_shm_seal(). After -EPERM, -EBADMSG, -EPROTONOSUPPORT
 * and -EPROTO the log has the reason. Returns 0, -EMFILE, -ENOMEM, or:
 *   -EBADF            `fd` is not open
 *   -EPERM            the memory is not sealed against shrinking, as files never are
 *   -EBADMSG          fl_shm_create() has not made the memory, or not in this size
 *   -EPROTONOSUPPORT  a version of Fairlead with another layout has made the region
 *   -EPROTO           its maker has another word size, PID namespace, or layout of locks
 *   -EACCES           `fd` is write-only
 */
FL_API FL_MUST_CHECK int fl_shm_attach(fl_shm **region, int fd);

/* Unmaps the region and closes its descriptor. Other processes keep their mappings. */
FL_API void fl_shm_free(fl_shm *region);

/* Returns the region's descriptor, which is close-on-exec, to be passed to another process. */
FL_API int fl_shm_fd(const fl_shm *region);

/* Returns how many bytes can be allocated in all. */
FL_API size_t fl_shm_size(const fl_shm *region);

/*
 * Makes all later attaches read-only, forever. Existing mappings stay as they are. Returns 0, or:
 *   -EPERM   the descriptor is not writable, or other seals forbid this seal
 *   -EINVAL  the system is older than Linux 5.1
 */
FL_API FL_MUST_CHECK int fl_shm_seal(fl_shm *region);

/*
 * Returns whether this process may write to the region. Otherwise it can only use offsets and the
 * root, read blocks, and get an fl_shm_value; most other calls raise SIGSEGV.
 */
FL_API bool fl_shm_is_writable(const fl_shm *region);

/*
 * Allocates a block of at least `size` bytes, and returns its address, a multiple of 64. A block
 * takes a multiple of 256 bytes. fl_shm_block_alloc() zeroes it. Both search for free memory, at
 * worst through all blocks. Returns:
 *   a pointer  the block
 *   NULL       no free block is that large, or `region` is read-only; or, with an error in the log,
 *              the region is damaged, or a stopped process has kept the allocator for ten seconds
 */
FL_API FL_MUST_CHECK void *fl_shm_block_alloc_raw(fl_shm *region, size_t size);
FL_INLINE FL_MUST_CHECK void *fl_shm_block_alloc(fl_shm *_region, size_t _size)
{
	void *_block = fl_shm_block_alloc_raw(_region, _size);
	if (_block)
		__builtin_memset(_block, 0, _size);
	return _block;
}

/*
 * Frees a block, which any process may have allocated; NULL has no effect. Panics if no block can
 * begin at `block`, or if the region is read-only. A second free only logs an error, unless a new
 * block has been allocated there: then it frees the new block.
 */
FL_API void fl_shm_block_free(fl_shm *region, void *block);

/* Returns the offset of an address in the blocks of `region`, or 0 if it is elsewhere. */
FL_API fl_shm_offset fl_shm_offset_of(const fl_shm *region, const void *address);

/*
 * Returns the address of `offset`, or NULL unless `offset` is a multiple of 8 and `size` bytes from
 * there lie in the region's blocks, allocated or not.
 */
FL_API void *fl_shm_at(const fl_shm *region, fl_shm_offset offset, size_t size);

/*
 * FL_SHM_AT(region, struct frame, offset) returns the address of `offset` as a pointer to the type,
 * or NULL unless the object lies in the region's blocks and the offset fits the type's alignment.
 */
#define FL_SHM_AT(region, type, offset)                                                                                \
	FL__CAST_POINTER(__typeof__(type) *, fl__shm_at_aligned((region), (offset), sizeof(type), __alignof__(type)))

/*
 * Sets the root, by which other processes find the contents of the region. 0 means none. Memory
 * order: release. Returns 0, or:
 *   -EINVAL  `root` is outside the blocks, or is not a multiple of 8
 *   -EROFS   the region is read-only
 */
FL_API FL_MUST_CHECK int fl_shm_set_root(fl_shm *region, fl_shm_offset root);

/* Returns the root, or 0 if none was set. Memory order: acquire. */
FL_API fl_shm_offset fl_shm_root(const fl_shm *region);

static inline void *fl__shm_at_aligned(const fl_shm *_region, fl_shm_offset _offset, size_t _size, size_t _align)
{
	const size_t _in_word = _offset % 8; /* fl_shm_at() takes multiples of 8 only */
	char *_word = _offset % _align == 0 ? (char *)fl_shm_at(_region, _offset - _in_word, _in_word + _size) : NULL;
	return _word ? _word + _in_word : NULL;
}

FL__SCOPED(fl_shm, fl_shm_free)

FL_END_DECLS

#endif
