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
 * Region: memory that processes share, and an allocator in it, so that a large block is handed over by its offset and
 * never copied.
 *
 *     FL_SCOPED(fl_shm) *region = NULL;
 *     rc = fl_shm_create(&region, 64 << 20);                          // check; pass fl_shm_fd(region) on
 *     struct frame *f = fl_shm_alloc(region, sizeof *f);              // NULL: full
 *     send(fl_shm_offset_of(region, f));
 *
 *     rc = fl_shm_attach(&region, fd);                                // the other process; check
 *     struct frame *f = FL_SHM_AT(region, struct frame, offset);      // NULL: not in the region
 *     fl_shm_dealloc(region, f);                                      // any process may
 *
 * A region has no name in the file system and needs no /dev/shm: it is a descriptor, and is gone when nobody has it any
 * more. A process gets it by fork(), over a socket, or over exec, and finds its way from the root, an offset that
 * anybody sets. Each process maps it elsewhere: what lies in it are offsets and never pointers.
 *
 * All memory is there when fl_shm_create() returns, and the size is sealed: no access ends in SIGBUS.
 *
 * Processes: may be killed at any time. Offsets, root and allocator stay good, and no process waits for a dead one.
 * Blocks of a process that was killed stay allocated until somebody frees them who knows their offsets, or the region
 * is gone. Whoever attaches trusts the others with what the region holds, but not with its own life: whatever they
 * write into it, the functions here answer an error or wrong values, and never touch memory outside it. A call that
 * needs the allocator waits for those who are inside it, at most ten seconds; only a stopped process (SIGSTOP), or
 * damaged memory, keeps it that long. All who share a region are in one PID namespace.
 *
 * Fork: the child has the parent's handle and mapping, and may use and free its own. Threads: all functions but
 * fl_shm_free() may be called at once. Limits: FL_SHM_SIZE_MAX; the bookkeeping takes 1.6 % more. Memory order: who
 * allocates a block sees what was done with it before it was freed; what passes an offset on (a queue, a lock, a root)
 * orders what is in the block.
 */
typedef struct fl_shm fl_shm;

/* A place in a region, the same for all processes; 0: none. */
typedef uint64_t fl_shm_offset;

#define FL_SHM_SIZE_MAX (UINT64_C(511) << 30)

/*
 * Makes a region from which `size` bytes, rounded up to pages, can be allocated. Fills it with
 * zeroed memory, which takes about a second for 4 GiB; otherwise never waits. Returns 0; -EINVAL:
 * `size` is 0; -EFBIG: above FL_SHM_SIZE_MAX, the address space, or the limit for files
 * (RLIMIT_FSIZE); -ENOMEM: more than the machine, or the control group, has left, or than RLIMIT_AS
 * allows; -EMFILE, -ENFILE: no descriptors; -ENOSYS: a system without memfd_create(), or a sandbox
 * that forbids it.
 */
FL_API FL_MUST_CHECK int fl_shm_create(fl_shm **region, size_t size);

/*
 * Maps the region of the descriptor `fd`, of which the handle keeps a copy: `fd` stays the caller's. Read-only when the
 * descriptor is, or after fl_shm_seal(). Never waits. What was found and what was expected goes to the log. Returns
 *   0
 *   -EBADF            `fd` is no open descriptor
 *   -EPERM            no memory that is sealed against shrinking: others could take it away under this process
 *   -EBADMSG          not made by fl_shm_create(), or of another size than it says
 *   -EPROTONOSUPPORT  made by a version of Fairlead with another layout
 *   -EPROTO           made by a process with another word size, or another C library, which places locks elsewhere
 *   -EACCES           open for writing alone
 *   -EMFILE, -ENOMEM
 */
FL_API FL_MUST_CHECK int fl_shm_attach(fl_shm **region, int fd);

/* Unmaps `region` and closes its descriptor; NULL does nothing. Other processes keep theirs. Never waits. */
FL_API void fl_shm_free(fl_shm *region);

/* The descriptor of `region`, which keeps it: to pass on. Close-on-exec. Never waits. */
FL_API int fl_shm_fd(const fl_shm *region);

/* The bytes that can be allocated in all. Never waits. */
FL_API size_t fl_shm_size(const fl_shm *region);

/*
 * Who attaches from now on may read and not write, for ever: for a region that its maker fills and others look at.
 * Mappings that are there stay as they are, those of forked children too. Again: nothing. Never waits. Returns 0, or
 * -EPERM: not writable here, or other seals forbid it.
 */
FL_API FL_MUST_CHECK int fl_shm_seal(fl_shm *region);

/*
 * Whether this process may write. If not, offsets, root, and the gets of fl_shm_value work; locks and whatever else
 * changes the region must not be used: that raises SIGSEGV. Never waits.
 */
FL_API bool fl_shm_is_writable(const fl_shm *region);

/*
 * A block of at least `size` bytes, zeroed, at an address that is a multiple of 64. NULL: no free piece is that large;
 * or `region` is read-only; or, after a line in the log, the region is damaged, or was not to be had for ten seconds.
 * Blocks take multiples of 256 bytes, and the call as much time as there are blocks to look at: for large things, and
 * few.
 */
FL_INLINE FL_MUST_CHECK void *fl_shm_alloc(fl_shm *region, size_t size);

/* The same, with what was there before: for a large block that is going to be overwritten. */
FL_API FL_MUST_CHECK void *fl_shm_alloc_raw(fl_shm *region, size_t size);

/*
 * Frees a block, of whichever process; NULL does nothing. Never waits. Panics when no block can begin at `block`, or the
 * region is read-only here. One that was freed already is left alone, with a line in the log: it may as well be that
 * another process has damaged the region.
 */
FL_API void fl_shm_dealloc(fl_shm *region, void *block);

/* The offset of an address in a block; 0 when it is not in the blocks of `region`. Never waits. */
FL_API fl_shm_offset fl_shm_offset_of(const fl_shm *region, const void *address);

/*
 * The address of `offset`, a multiple of 8; NULL unless `size` bytes from there lie in the region's blocks. That they
 * are allocated is not looked at. Never waits.
 */
FL_API void *fl_shm_at(const fl_shm *region, fl_shm_offset offset, size_t size);

/* The same with a type: also NULL where its alignment does not fit. FL_SHM_AT(region, struct frame, offset) */
#define FL_SHM_AT(region, type, offset)                                                                                \
	((type *)fl__shm_at_aligned((region), (offset), sizeof(type), FL__ALIGN_OF(type)))

/*
 * Sets where others find their way in; 0: nowhere. Never waits. Releases what was written before.
 * Returns 0; -EINVAL: outside the blocks, or no multiple of 8; -EROFS: read-only here.
 */
FL_API FL_MUST_CHECK int fl_shm_set_root(fl_shm *region, fl_shm_offset root);

/* What was set last; 0: nothing. Never waits. Acquires what was written before it was set. */
FL_API fl_shm_offset fl_shm_root(const fl_shm *region);

#ifdef __cplusplus
#define FL__ALIGN_OF(type) alignof(type)
#else
#define FL__ALIGN_OF(type) _Alignof(type)
#endif

static inline void *fl__shm_at_aligned(const fl_shm *_region, fl_shm_offset _offset, size_t _size, size_t _align)
{
	return _offset % _align == 0 ? fl_shm_at(_region, _offset, _size) : NULL;
}

static inline void fl__scoped_fl_shm(fl_shm **_region)
{
	fl_shm_free(*_region);
}

/* The inline functions. */

FL_INLINE void *fl_shm_alloc(fl_shm *_region, size_t _size)
{
	void *_block = fl_shm_alloc_raw(_region, _size);
	if (_block)
		memset(_block, 0, _size);
	return _block;
}

FL_END_DECLS

#endif
