/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_SHM_H
#define FAIRLEAD_SHM_H

#include <fairlead/defs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

FL_BEGIN_DECLS

/*
 * Region: memory that processes share, with an allocator. A block is passed on by its offset.
 *
 *     FL_SCOPED(fl_shm) *region = NULL;
 *     rc = fl_shm_create(&region, 64 << 20);                        // check
 *     struct frame *f = fl_shm_alloc(region, sizeof *f);            // NULL: full
 *     send(fl_shm_offset_of(region, f));
 *
 *     rc = fl_shm_attach(&region, fd);                              // the other process; check
 *     struct frame *f = FL_SHM_AT(region, struct frame, offset);    // NULL: not in the region
 *     fl_shm_free_block(region, f);                                 // any process may
 *
 * A region is a file without a name. The kernel frees the memory with the last descriptor and
 * mapping. Another process inherits or receives the descriptor, or connects to an endpoint
 * (fairlead/endpoint.h). It finds the contents by the root, an offset that any process may set.
 * Processes map a region at different addresses, so it contains offsets, never pointers. All memory
 * is allocated when fl_shm_create() returns, and the size is sealed: no access raises SIGBUS.
 *
 * If a process is killed, offsets, root and allocator stay valid, no process waits for it, and its
 * blocks stay allocated until another process frees them. If another process damages the region,
 * the functions of this header may return an error or a wrong value, but never access memory
 * outside the region. An allocation waits for other allocations: ten seconds at most, if a process
 * is stopped (SIGSTOP) or memory is damaged.
 *
 *   Processes  All processes that share a region are in one PID namespace. fl_shm_attach() refuses
 *              others, where both have /proc.
 *   Fork       A child may use and free the parent's handle.
 *
 *   Limits     FL_SHM_SIZE_MAX. The bookkeeping takes 1.6 % of the size in addition.
 *
 * Memory order: the context that allocates a block sees all accesses before the block was freed.
 * What passes an offset on (a queue, a lock, the root) also orders the contents of the block.
 */
typedef struct fl_shm fl_shm;

/* A place in a region, equal in all processes. 0: none. */
typedef uint64_t fl_shm_offset;

#define FL_SHM_SIZE_MAX (UINT64_C(511) << 30)

/*
 * Makes a region from which `size` bytes, rounded up to pages, can be allocated. Filling the region
 * with zeroed memory takes about a second for 4 GiB. Returns 0, -EMFILE, -ENFILE, or:
 *   -EINVAL  `size` is 0
 *   -EFBIG   above FL_SHM_SIZE_MAX, the address space, or the limit for files (RLIMIT_FSIZE)
 *   -ENOMEM  above what the machine or the control group has left, or above RLIMIT_AS
 *   -ENOSYS  the system has no memfd_create(), or a sandbox forbids it or fallocate()
 */
FL_API FL_MUST_CHECK int fl_shm_create(fl_shm **region, size_t size);

/*
 * Maps the region of the descriptor `fd`. The handle keeps a duplicate: `fd` stays the caller's.
 * The mapping is read-only if the descriptor is, or after fl_shm_seal(). A refusal is logged.
 * Returns 0, -EMFILE, -ENOMEM, or:
 *   -EBADF            `fd` is no open descriptor
 *   -EPERM            the memory is not sealed against shrinking
 *   -EBADMSG          fl_shm_create() has not made the memory, or its size is not the recorded size
 *   -EPROTONOSUPPORT  the region was made by a version of Fairlead with another layout
 *   -EPROTO           made by a process with another word size, in another PID namespace, or with
 *                     another layout of locks in the C library
 *   -EACCES           `fd` is write-only
 */
FL_API FL_MUST_CHECK int fl_shm_attach(fl_shm **region, int fd);

/* Unmaps `region` and closes its descriptor. Other processes keep their mappings. */
FL_API void fl_shm_free(fl_shm *region);

/* The descriptor of `region`, to pass on. `region` keeps it; it is close-on-exec. */
FL_API int fl_shm_fd(const fl_shm *region);

/* How many bytes can be allocated in all. */
FL_API size_t fl_shm_size(const fl_shm *region);

/*
 * Makes all later attaches read-only, for ever. Existing mappings stay as they are. May be called
 * again. Returns 0, or -EPERM: the descriptor is not writable, or other seals forbid the seal.
 */
FL_API FL_MUST_CHECK int fl_shm_seal(fl_shm *region);

/*
 * Whether this process may write. If not, only offsets, root, and the gets of fl_shm_value work;
 * other accesses raise SIGSEGV.
 */
FL_API bool fl_shm_is_writable(const fl_shm *region);

/*
 * Returns a block of at least `size` bytes, at a multiple of 64. fl_shm_alloc() zeroes the block;
 * the raw form is for a large block that the caller overwrites. NULL: no free block is that large,
 * `region` is read-only, or, as an error in the log says, it is damaged or its allocator was not
 * available for ten seconds.
 *
 * A block takes a multiple of 256 bytes. The call takes time in proportion to the number of blocks.
 */
FL_API FL_MUST_CHECK void *fl_shm_alloc_raw(fl_shm *region, size_t size);
FL_INLINE FL_MUST_CHECK void *fl_shm_alloc(fl_shm *_region, size_t _size)
{
	void *_block = fl_shm_alloc_raw(_region, _size);
	if (_block)
		__builtin_memset(_block, 0, _size);
	return _block;
}

/*
 * Frees a block, of any process. Panics if no block can begin at `block`, or if the region is
 * read-only here. If no allocated block begins there, only logs an error.
 */
FL_API void fl_shm_free_block(fl_shm *region, void *block);

/* The offset of an address in a block; 0 if the address is not in the blocks of `region`. */
FL_API fl_shm_offset fl_shm_offset_of(const fl_shm *region, const void *address);

/*
 * The address of `offset`, which must be a multiple of 8. Returns NULL unless `size` bytes from
 * there lie in the region's blocks. Does not check that they are allocated.
 */
FL_API void *fl_shm_at(const fl_shm *region, fl_shm_offset offset, size_t size);

/*
 * FL_SHM_AT(region, struct frame, offset): returns the address of `offset`, as fl_shm_at(), with a
 * type. NULL also if the alignment does not fit.
 */
#define FL_SHM_AT(region, type, offset)                                                                                \
	((__typeof__(type) *)fl__shm_at_aligned((region), (offset), sizeof(type), __alignof__(type)))

/*
 * Sets the root; 0: none. Releases what was written before. Returns 0, or:
 *   -EINVAL  `root` is outside the blocks, or no multiple of 8
 *   -EROFS   the region is read-only in this process
 */
FL_API FL_MUST_CHECK int fl_shm_set_root(fl_shm *region, fl_shm_offset root);

/* The root; 0: none. Acquires what was written before the root was set. */
FL_API fl_shm_offset fl_shm_root(const fl_shm *region);

static inline void *fl__shm_at_aligned(const fl_shm *_region, fl_shm_offset _offset, size_t _size, size_t _align)
{
	return _offset % _align == 0 ? fl_shm_at(_region, _offset, _size) : NULL;
}

FL__SCOPED(fl_shm, fl_shm_free)

FL_END_DECLS

#endif
