/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Regions of shared memory. Because other processes may overwrite a region at any time,
 * fl_shm_attach() checks the head once, and keeps the values in private memory. `root` and the
 * arena are checked at each use.
 *
 * A region is a memfd. It has no name in a file system, and is passed on as a descriptor. It is
 * sealed against shrinking, and its memory is allocated before its first use, so that a lack of
 * memory is an error and not a SIGBUS. It contains offsets instead of pointers, except the links of
 * robust lists, which no process reads from it. Its head contains magic, version and size. Each
 * value that is read from it is read once and checked, so that a damaged region is an error and not
 * a crash.
 */
#include "shm_region.h"
#include "core/base/atomic.h"
#include "core/base/panic.h"
#include "core/hooks.h"
#include "fd/net_sys.h"
#include "shm_sys.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <fcntl.h>
#include <string.h>

/*
 * Computes the layout of a region of `units` units. Returns false if no region can have that
 * many.
 */
static bool shm_region_lay_out(fl_shm *r, uint64_t units)
{
	if (units == 0 || units > FL_SHM_SIZE_MAX / FL__SHM_UNIT)
		return false;
	r->data = FL__ROUND_UP(FL__SHM_HEAD + units * sizeof(uint32_t), fl__page_size());
	r->total = r->data + units * FL__SHM_UNIT;
	r->arena.units = (uint32_t)units;
	return r->total <= PTRDIFF_MAX;
}

static int shm_region_map(fl_shm *r)
{
	void *memory = NULL;
	int rc = fl__shm_sys.map(r->fd, (size_t)r->total, r->writable, &memory);
	if (rc != 0)
		return rc;
	r->head = memory;
	r->arena.head = &r->head->arena;
	r->arena.map = (uint32_t *)(void *)((char *)memory + FL__SHM_HEAD);
	return 0;
}

/*
 * A signal that interrupts the system call undoes what the call has done. Therefore each call fills
 * only a step, and steps get shorter after each signal.
 */
int fl__shm_fill(int fd, uint64_t at, uint64_t end)
{
	const uint64_t page = fl__page_size();
	uint64_t step = FL__ROUND_UP(UINT64_C(16) << 20, page);
	while (at < end) {
		uint64_t n = FL__MIN(end - at, step);
		int rc = fl__shm_sys.fill(fd, at, n);
		if (rc == 0)
			at += n;
		else if (rc != -EINTR)
			return rc == -ENOSPC ? -ENOMEM : rc;
		else if (step > page)
			step = FL__ROUND_UP(step / 2, page);
	}
	return 0;
}

int fl__shm_make(uint64_t size, int *fd)
{
	*fd = fl__shm_sys.memory();
	if (*fd < 0)
		return *fd;
	int rc = fl__shm_sys.resize(*fd, size);
	if (rc == 0)
		rc = fl__shm_fill(*fd, 0, size);
	if (rc == 0)
		rc = fl__shm_sys.add_seals(*fd, F_SEAL_SHRINK | F_SEAL_GROW);
	return rc == -ENOSPC ? -ENOMEM : rc;
}

static void shm_region_write_head(const fl_shm *r)
{
	/* relaxed, all stores: no other process has the memory yet */
	struct fl__shm_head *h = r->head;
	fl__store_relaxed(&h->magic, FL__SHM_MAGIC);
	fl__store_relaxed(&h->version, FL__SHM_VERSION);
	fl__store_relaxed(&h->word_size, (uint32_t)sizeof(void *));
	fl__store_relaxed(&h->lock_word, (int64_t)fl__shm_word_offset());
	fl__store_relaxed(&h->total, r->total);
	fl__store_relaxed(&h->units, (uint64_t)r->arena.units);
	fl__store_relaxed(&h->pid_namespace, fl__shm_sys.pid_namespace());
	fl__shm_arena_init(&r->arena);
}

int fl_shm_create(fl_shm **region, size_t size)
{
	const uint64_t bytes = size;
	fl_shm layout;
	if (bytes == 0)
		return -EINVAL;
	if (bytes > FL_SHM_SIZE_MAX ||
	    !shm_region_lay_out(&layout, FL__ROUND_UP(bytes, fl__page_size()) / FL__SHM_UNIT))
		return -EFBIG;
	if (layout.total > fl__shm_sys.available())
		return -ENOMEM;
	fl_shm *r = fl__alloc(1, sizeof *r);
	if (!r)
		return -ENOMEM;
	r->writable = shm_region_lay_out(r, layout.arena.units);
	int rc = fl__shm_make(r->total, &r->fd);
	if (rc == 0)
		rc = shm_region_map(r);
	if (rc != 0) {
		fl_shm_free(r);
		return rc;
	}
	shm_region_write_head(r);
	*region = r;
	return 0;
}

static int shm_region_refuse(int rc, int fd, const char *what, int64_t found, int64_t expected)
{
	fl__log(FL_LOG_ERROR, "fl_shm_attach: descriptor %d: %s: %s is %lld (0x%llx), expected %lld (0x%llx)", fd,
	        fl_error_name(rc), what, (long long)found, (unsigned long long)found, (long long)expected,
	        (unsigned long long)expected);
	return rc;
}

/* Reads each number once. */
static int shm_region_check_head(fl_shm *r, int fd)
{
	/* relaxed, all loads: the transfer of the descriptor has ordered them */
	const struct fl__shm_head *h = r->head;
	uint64_t magic = fl__load_relaxed(&h->magic), total = fl__load_relaxed(&h->total);
	uint64_t units = fl__load_relaxed(&h->units);
	uint32_t version = fl__load_relaxed(&h->version), word_size = fl__load_relaxed(&h->word_size);
	int64_t lock_word = fl__load_relaxed(&h->lock_word);
	const uint64_t maker = fl__load_relaxed(&h->pid_namespace), here = fl__shm_sys.pid_namespace();
	fl_shm layout;
	const struct {
		int rc;
		const char *what;
		int64_t found, expected;
	} checks[] = {
	    {-EBADMSG, "the magic number", (int64_t)magic, FL__SHM_MAGIC},
	    {-EPROTONOSUPPORT, "the version of the layout", version, FL__SHM_VERSION},
	    {-EPROTO, "the size of a pointer", word_size, sizeof(void *)},
	    {-EPROTO, "the place of a lock's word", lock_word, fl__shm_word_offset()},
	    /*
	     * a lock's word contains its owner's TID, and in two namespaces two threads can have
	     * the same TID
	     */
	    {-EPROTO, "the PID namespace of the maker", (int64_t)maker, (int64_t)(maker && here ? here : maker)},
	    {-EBADMSG, "the recorded size", (int64_t)total, (int64_t)r->total},
	};
	for (size_t i = 0; i < FL__COUNT(checks); i++)
		if (checks[i].found != checks[i].expected)
			return shm_region_refuse(checks[i].rc, fd, checks[i].what, checks[i].found, checks[i].expected);
	if (!shm_region_lay_out(&layout, units) || layout.total != r->total)
		return shm_region_refuse(-EBADMSG, fd, "the number of units", (int64_t)units,
		                         (int64_t)(r->total / FL__SHM_UNIT));
	r->data = layout.data;
	r->arena.units = layout.arena.units;
	return 0;
}

/* Checks the file, and fills in `total` and `writable`. `fd` is the number that the log shows. */
static int shm_region_check_file(fl_shm *r, int fd)
{
	int seals = fl__shm_sys.seals(r->fd);
	if (seals < 0 && seals != -EINVAL)
		return seals;
	if (seals < 0) {
		fl__log(FL_LOG_ERROR,
		        "fl_shm_attach: EPERM: descriptor %d is no memory made by fl_shm_create(): it cannot be sealed",
		        fd);
		return -EPERM;
	}
	if (!(seals & F_SEAL_SHRINK))
		return shm_region_refuse(-EPERM, fd, "the set of seals", seals, F_SEAL_SHRINK);
	int writable = fl__shm_sys.is_writable(r->fd);
	if (writable < 0)
		return writable;
	int rc = fl__shm_sys.size(r->fd, &r->total);
	if (rc != 0)
		return rc;
	if (r->total < FL__SHM_HEAD || r->total > PTRDIFF_MAX)
		return shm_region_refuse(-EBADMSG, fd, "the size", (int64_t)r->total, FL__SHM_HEAD);
	r->writable = writable && !(seals & (F_SEAL_WRITE | FL__SEAL_FUTURE_WRITE));
	return 0;
}

static int shm_region_open(fl_shm *r, int fd)
{
	r->fd = fl__shm_sys.duplicate(fd);
	if (r->fd < 0)
		return r->fd;
	int rc = shm_region_check_file(r, fd);
	if (rc == 0)
		rc = shm_region_map(r);
	if (rc == 0)
		rc = shm_region_check_head(r, fd);
	return rc;
}

int fl_shm_attach(fl_shm **region, int fd)
{
	fl_shm *r = fl__alloc(1, sizeof *r);
	if (!r)
		return -ENOMEM;
	int rc = shm_region_open(r, fd);
	if (rc != 0) {
		fl_shm_free(r);
		return rc;
	}
	*region = r;
	return 0;
}

void fl_shm_free(fl_shm *r)
{
	if (!r)
		return;
	fl__hook_ends(r);
	if (r->head)
		fl__shm_sys.unmap(r->head, (size_t)r->total);
	fl__fd_close(r->fd);
	fl__free(r);
}

int fl_shm_fd(const fl_shm *r)
{
	return r->fd;
}

size_t fl_shm_size(const fl_shm *r)
{
	return (size_t)(r->total - r->data);
}

bool fl_shm_is_writable(const fl_shm *r)
{
	return r->writable;
}

int fl_shm_seal(fl_shm *r)
{
	int seals = fl__shm_sys.seals(r->fd);
	if (seals >= 0 && (seals & FL__SEAL_FUTURE_WRITE))
		return 0;
	return fl__shm_sys.add_seals(r->fd, FL__SEAL_FUTURE_WRITE | F_SEAL_SEAL);
}

/* The comparisons are correct for all values of `offset` and `size`. */
static bool shm_region_contains(const fl_shm *r, uint64_t offset, uint64_t size)
{
	return offset >= r->data && offset < r->total && size <= r->total - offset;
}

void *fl_shm_at(const fl_shm *r, fl_shm_offset offset, size_t size)
{
	return offset % 8 == 0 && shm_region_contains(r, offset, size) ? (char *)r->head + offset : NULL;
}

fl_shm_offset fl_shm_offset_of(const fl_shm *r, const void *address)
{
	/* If the address is before the region, the offset wraps to a large number. */
	uint64_t offset = (uintptr_t)address - (uintptr_t)r->head;
	return shm_region_contains(r, offset, 0) ? offset : 0;
}

int fl_shm_set_root(fl_shm *r, fl_shm_offset root)
{
	if (root != 0 && !fl_shm_at(r, root, 0))
		return -EINVAL;
	if (!r->writable)
		return -EROFS;
	/* release: pairs with the acquire in fl_shm_root() */
	fl__store_release(&r->head->root, root);
	return 0;
}

fl_shm_offset fl_shm_root(const fl_shm *r)
{
	/* acquire: pairs with the release in fl_shm_set_root() */
	fl_shm_offset root = fl__load_acquire(&r->head->root);
	return fl_shm_at(r, root, 0) ? root : 0;
}

int fl__shm_try_alloc(fl_shm *r, size_t size, void **block)
{
	if (!r->writable)
		return -EROFS;
	if (size > r->total - r->data)
		return -ENOMEM;
	uint32_t first = 0, n = size == 0 ? 1 : (uint32_t)(((uint64_t)size + FL__SHM_UNIT - 1) / FL__SHM_UNIT);
	int rc = fl__shm_arena_alloc(&r->arena, n, fl_after(FL__SHM_MONITOR_TIMEOUT), &first);
	if (rc == 0)
		*block = (char *)r->head + r->data + (uint64_t)first * FL__SHM_UNIT;
	return rc;
}

/*
 * Returns 0, or -EINVAL if no block can begin at the address or the region is read-only, or
 * -EBADMSG if no block begins there.
 */
static int shm_region_try_free(const fl_shm *r, const void *block)
{
	uint64_t offset = fl_shm_offset_of(r, block);
	uint64_t from = offset - r->data;
	if (!r->writable || offset == 0 || from % FL__SHM_UNIT != 0)
		return -EINVAL;
	return fl__shm_arena_free(&r->arena, (uint32_t)(from / FL__SHM_UNIT)) == 0 ? 0 : -EBADMSG;
}

void *fl_shm_block_alloc_raw(fl_shm *r, size_t size)
{
	void *block = NULL;
	int rc = fl__shm_try_alloc(r, size, &block);
	if (rc == -ETIMEDOUT || rc == -EBADMSG)
		fl__log(FL_LOG_ERROR, "fl_shm_block_alloc: the region %p is %s", (void *)r,
		        rc == -EBADMSG ? "damaged" : "held by a stopped process, or damaged");
	return block;
}

void fl_shm_block_free(fl_shm *r, void *block)
{
	int rc = block ? shm_region_try_free(r, block) : 0;
	if (rc == -EINVAL)
		fl__panic("fl_shm_block_free", block,
		          r->writable ? "no block of the region begins here" : "the region is read-only here");
	if (rc != 0) /* no panic: another process may have overwritten the map */
		fl__log(FL_LOG_ERROR,
		        "fl_shm_block_free: %p was freed before, no block begins there, or the region %p is damaged",
		        block, (void *)r);
}
