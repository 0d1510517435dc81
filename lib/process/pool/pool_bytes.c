/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes between the parent and a worker: no pointer and no lock is shared. The sender rewrites each
 * handle as a struct fl__bytes_wire; the receiver, in private memory, as a handle again.
 *
 * Arguments. The parent writes an image into its arena, or a memfd if it has more than
 * FL__RINGS_INLINE_MOST bytes. The worker's handles borrow it until the submission's end.
 *
 * Results. The parent reserves room in the completion ring's arena, by the sizes of the worker's
 * earlier results. The worker allocates a result that grows above FL__BYTES_SHARED_ABOVE bytes in
 * the submission's memfd: a *slice*, at a page boundary. Other results are on its heap.
 *
 *   a result that ended          where                    the parent
 *   fits into the rest of the    copied to the room       copies it to its heap
 *   room
 *   is a slice                   there                    maps its part of the memfd, private;
 *   other                        written to the memfd     copies up to INLINE_MOST bytes
 *
 *   word              written by     meaning                                  read by
 *   submission.room   parent         units reserved behind the result array   worker
 *   handle, rewritten worker, after  where the element's bytes are            parent, after a copy
 *                     the element    (struct fl__bytes_wire)                  of the array
 *
 *   memory                      freed by
 *   an image                    arena: the parent with the submission; memfd: the worker, at the
 *                               end, or when it skips the submission
 *   the room                    the parent with the submission
 *   the memfd, before its send  the worker; the kernel, if it dies
 *   after its send              the parent, which closes it at the end or with the channel
 *   a mapping in the parent     the handle's owner
 *
 * Invariants
 *   1. The worker rewrites an element's handle before `progress` or `done` covers the element, and
 *      sends the memfd before it rewrites the first handle with a place there. So the elements that
 *      a dead worker has ended keep their bytes.
 *   2. The parent decodes a private copy: each handle is in the form of the wire, or decoded, and
 *      all of a submission are or none.
 *   3. The parent maps or reads a memfd only when it is sealed: no access raises SIGBUS, and nobody
 *      changes it. A memfd of a dead worker the parent seals itself.
 *   4. No child that a task forks has a slice, which would prevent the seal.
 */
#include "pool_bytes.h"
#include "../packet.h"
#include "../process_sys.h"
#include "../request.h"
#include "../shm/shm_region.h"
#include "../shm/shm_sys.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/exec/map.h"
#include "process_pool.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Static_assert(sizeof(struct fl__bytes_wire) <= sizeof(fl_bytes), "in the handle's place");

/* Arguments. */

static uint64_t bytes_structs_size(uint32_t count, size_t each)
{
	return FL__ROUND_UP((uint64_t)count * each, FL__BYTES_UNIT);
}

/* With the zero byte. */
static uint64_t bytes_image_part(const fl_bytes *b)
{
	return b->data ? FL__ROUND_UP((uint64_t)b->size + 1, FL__BYTES_UNIT) : 0;
}

int64_t fl__bytes_image_size(const void *args, uint32_t count, size_t each, size_t most)
{
	uint64_t size = bytes_structs_size(count, each);
	for (uint32_t i = 0; i < count; i++) {
		const fl_bytes *b = fl__element(args, i, each);
		if (b->size > most)
			return -E2BIG;
		size += bytes_image_part(b);
	}
	return size <= PTRDIFF_MAX ? (int64_t)size : -E2BIG;
}

static int bytes_put(unsigned char *image, int fd, uint64_t at, const void *data, size_t size)
{
	if (!image)
		return fl__memfd_write(fd, at, data, size);
	memcpy(image + at, data, size);
	return 0;
}

/* To memory, or to the memfd. */
static int bytes_image_put(const void *args, uint32_t count, size_t each, unsigned char *image, int fd)
{
	uint64_t at = bytes_structs_size(count, each);
	int rc = bytes_put(image, fd, 0, args, count * each);
	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		const fl_bytes *b = fl__element(args, i, each);
		const struct fl__bytes_wire wire = {at, b->size, b->data ? FL__BYTES_IMAGE : FL__BYTES_NONE, 0};
		rc = bytes_put(image, fd, (uint64_t)i * each, &wire, sizeof wire);
		if (rc != 0 || !b->data)
			continue;
		rc = bytes_put(image, fd, at, b->data, b->size);
		if (image)
			image[at + b->size] = 0; /* in a memfd it is one */
		at += bytes_image_part(b);
	}
	return rc;
}

void fl__bytes_image_write(const void *args, uint32_t count, size_t each, unsigned char *image)
{
	(void)bytes_image_put(args, count, each, image, -1);
}

int fl__bytes_image_memfd(const void *args, uint32_t count, size_t each, uint64_t size)
{
	const int fd = fl__fd_sys.memfd();
	if (fd < 0)
		return fd;
	int rc = fl__shm_sys.resize(fd, size);
	if (rc == 0)
		rc = bytes_image_put(args, count, each, NULL, fd);
	if (rc == 0)
		rc = fl__fd_sys.seal(fd);
	if (rc == 0)
		return fd;
	fl__fd_close(fd);
	return rc;
}

int fl__bytes_read_image(void *args, uint32_t count, size_t each, const unsigned char *image, size_t size)
{
	for (uint32_t i = 0; i < count; i++) {
		fl_bytes *b = (fl_bytes *)(void *)((char *)args + i * each);
		struct fl__bytes_wire wire;
		memcpy(&wire, b, sizeof wire);
		*b = (fl_bytes){0};
		if (wire.place == FL__BYTES_NONE)
			continue;
		if (wire.place != FL__BYTES_IMAGE || wire.at >= size || wire.size >= size - wire.at)
			return -EPROTO;
		b->data = (void *)(uintptr_t)(image + wire.at);
		b->size = (size_t)wire.size;
	}
	return 0;
}

/* Results: the worker. */

static fl_bytes *bytes_running; /* the running element's result; NULL: none */

static struct bytes_out {
	int channel, fd; /* fd -1: no memfd */
	uint32_t seq;
	bool sent;
	unsigned char *room;
	size_t left;
	uint64_t offset; /* of `room` in the submission's */
	uint64_t end;    /* of the memfd's bytes in use; the slice begins here */
	void *slice;     /* NULL: none */
	size_t slice_size;
} bytes_out = {.fd = -1};

static int bytes_out_memfd(struct bytes_out *o)
{
	if (o->fd < 0)
		o->fd = fl__fd_sys.memfd();
	return o->fd < 0 ? o->fd : 0;
}

struct bytes_slice {
	struct fl__bytes head;
	void *memory;
};

static void bytes_out_slice_drop(void *data, void *slice)
{
	(void)data;
	const struct bytes_slice *s = slice;
	if (s->memory == bytes_out.slice)
		bytes_out.slice = NULL;
	fl__shm_sys.unmap(s->memory, s->head.room + 1);
}

/*
 * The slice has a handle that is no longer the result's. A private copy takes its place, at the
 * same address. Without memory for that the seal fails.
 */
static void bytes_out_leave_slice(struct bytes_out *o)
{
	const size_t size = o->slice_size;
	void *copy =
	    o->slice ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
	if (copy != MAP_FAILED) {
		memcpy(copy, o->slice, size);
		(void)mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, o->slice);
	} else if (o->slice) {
		o->end += size;
	}
	o->slice = NULL;
}

static int bytes_out_map(struct bytes_out *o, size_t size, void **memory)
{
	enum { ASKED = 16 << 20 };
	const uint64_t at = FL__ROUND_UP(o->end, fl__page_size());
	int rc = size >= ASKED && size > fl__shm_sys.available() ? -ENOMEM : bytes_out_memfd(o);
	if (rc == 0)
		rc = fl__shm_fill(o->fd, at + (o->slice ? o->slice_size : 0), at + size);
	if (rc != 0)
		return rc;
	void *made = o->slice ? mremap(o->slice, o->slice_size, size, MREMAP_MAYMOVE)
	                      : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, (off_t)at);
	if (made == MAP_FAILED)
		return -errno;
	if (!o->slice)
		rc = fl__shm_sys.keep(made, size);
	if (rc != 0) {
		fl__shm_sys.unmap(made, size);
		return rc;
	}
	o->end = at;
	*memory = made;
	return 0;
}

int fl__bytes_share_result(const fl_bytes *of, size_t room, fl_bytes *made)
{
	FL__KEEPS_ERRNO();
	struct bytes_out *o = &bytes_out;
	if (of != fl__load_relaxed(&bytes_running)) /* relaxed: only the task has its handle */
		return 1;
	const bool grows = o->slice && of->data == o->slice;
	/* its first member */
	struct bytes_slice *s = grows ? (void *)of->owner_ : fl__alloc_raw_from(NULL, sizeof *s);
	const size_t size = FL__ROUND_UP(room + 1, fl__page_size());
	void *memory;
	if (!s)
		return -ENOMEM;
	if (!grows)
		bytes_out_leave_slice(o);
	const int rc = bytes_out_map(o, size, &memory);
	if (rc != 0) {
		if (!grows)
			fl__free_to(NULL, s);
		return rc;
	}
	o->slice = memory;
	o->slice_size = size;
	*s = (struct bytes_slice){{.refs = 1, .room = size - 1, .drop = bytes_out_slice_drop, .user = s}, memory};
	*made = (fl_bytes){.data = memory, .owner_ = &s->head};
	return 0;
}

void fl__bytes_begin(int channel, uint32_t seq, unsigned char *room, size_t size)
{
	bytes_out = (struct bytes_out){.channel = channel, .fd = -1, .seq = seq, .room = room, .left = size};
}

void fl__bytes_run(fl_bytes *result)
{
	fl__store_relaxed(&bytes_running, result);
}

static int bytes_out_send(struct bytes_out *o)
{
	const struct fl__memfd_packet head = {FL__MEMFD_MAGIC, o->seq, 0};
	const int rc = o->sent ? 0 : fl__packet_send(o->channel, &head, sizeof head, &o->fd, 1, FL_FOREVER);
	o->sent |= rc == 0;
	return rc;
}

static int bytes_out_place(struct bytes_out *o, const fl_bytes *b, struct fl__bytes_wire *wire)
{
	const size_t need = FL__ROUND_UP(b->size, FL__BYTES_UNIT);
	int rc = 0;
	if (!b->data)
		return 0;
	if (need <= o->left) {
		memcpy(o->room + o->offset, b->data, b->size);
		*wire = (struct fl__bytes_wire){o->offset, b->size, FL__BYTES_ROOM, 0};
		o->offset += need;
		o->left -= need;
		return 0;
	}
	if (b->data != o->slice) {
		o->end = FL__ROUND_UP(o->end, fl__page_size());
		rc = bytes_out_memfd(o);
		if (rc == 0)
			rc = fl__memfd_write(o->fd, o->end, b->data, b->size);
	}
	*wire = (struct fl__bytes_wire){o->end, b->size, FL__BYTES_MEMFD, 0};
	o->end += b->size + 1;
	if (rc == 0)
		rc = fl__shm_sys.resize(o->fd, o->end);
	return rc != 0 ? rc : bytes_out_send(o);
}

int fl__bytes_publish(fl_bytes *result, bool keep)
{
	struct bytes_out *o = &bytes_out;
	struct fl__bytes_wire wire = {0};
	fl__bytes_run(NULL);
	if (o->slice && result->data != o->slice)
		bytes_out_leave_slice(o);
	const int rc = keep ? bytes_out_place(o, result, &wire) : 0;
	fl_bytes_free(result);
	if (rc == 0)
		memcpy(result, &wire, sizeof wire);
	bytes_out_leave_slice(o);
	return rc;
}

int fl__bytes_finish(void)
{
	struct bytes_out *o = &bytes_out;
	const int rc = o->sent ? fl__fd_sys.seal(o->fd) : 0;
	fl__fd_close(o->fd);
	o->fd = -1;
	return rc;
}

/* Results: the parent. */

uint32_t fl__bytes_room(const struct fl__process_pool_worker *w, uint32_t count)
{
	const uint64_t wanted = (uint64_t)count * w->bytes_each;
	uint32_t room = FL__BYTES_UNIT;
	while (room < wanted && room < FL__RINGS_INLINE_MOST)
		room *= 2;
	return room;
}

/* What one submission says about the next ones: up at once, down slowly. */
static void bytes_learn(struct fl__process_pool_worker *w, uint64_t used, uint32_t n)
{
	enum { SLOWLY = 64 };
	const uint32_t each = (uint32_t)(used / n);
	if (each > w->bytes_each)
		w->bytes_each = each;
	else
		w->bytes_each -= (w->bytes_each - each) / SLOWLY;
}

static void bytes_in_drop(void *data, void *size)
{
	fl__shm_sys.unmap(data, (size_t)(uintptr_t)size);
}

static int bytes_in_map(fl_bytes *made, const struct fl__bytes_wire *wire, int fd)
{
	const size_t size = (size_t)wire->size, mapped = size + 1;
	void *at;
	/* private: the handle's owner may write */
	int rc = FL__SYS_RESULT(
	    (at = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, (off_t)wire->at)) == MAP_FAILED ? -1 : 0);
	if (rc != 0)
		return rc == -EINVAL ? -EBADMSG : rc; /* not at a page */
	((char *)at)[size] = 0;
	const bool copies = size <= FL__RINGS_INLINE_MOST;
	rc = copies ? fl_bytes_append(made, at, size)
	            : fl_bytes_adopt(made, at, size, bytes_in_drop, (void *)(uintptr_t)mapped);
	if (copies || rc != 0)
		fl__shm_sys.unmap(at, mapped);
	return rc;
}

struct bytes_in {
	struct fl__process_pool_worker *w;
	const struct fl__task_block *block;
	const unsigned char *room;
	size_t room_size;
	int fd; /* -1: not received yet */
	int64_t fd_size;
	uint64_t used;
};

static int bytes_in_memfd(struct bytes_in *in)
{
	if (in->fd >= 0)
		return 0;
	in->fd = fl__process_pool_recv(in->w, in->block);
	if (in->fd < 0)
		return in->fd;
	(void)fl__fd_sys.seal(in->fd); /* the worker has, unless it died */
	return fl__fd_sys.sealed_size(in->fd, &in->fd_size);
}

static int bytes_in_decode(struct bytes_in *in, fl_bytes *b, size_t most)
{
	struct fl__bytes_wire wire;
	memcpy(&wire, b, sizeof wire);
	*b = (fl_bytes){0};
	if (wire.place == FL__BYTES_NONE)
		return 0;
	if (wire.size > most)
		return -E2BIG;
	if (wire.size <= FL__RINGS_INLINE_MOST)
		in->used += FL__ROUND_UP(wire.size, FL__BYTES_UNIT);
	if (wire.place == FL__BYTES_ROOM) {
		if (wire.at > in->room_size || wire.size > in->room_size - wire.at)
			return -EBADMSG;
		return fl_bytes_append(b, in->room + wire.at, (size_t)wire.size);
	}
	int rc = wire.place == FL__BYTES_MEMFD ? bytes_in_memfd(in) : -EBADMSG;
	if (rc == 0 && (wire.at >= (uint64_t)in->fd_size || wire.size >= (uint64_t)in->fd_size - wire.at))
		rc = -EBADMSG;
	return rc != 0 ? rc : bytes_in_map(b, &wire, in->fd);
}

static fl_bytes *bytes_result(const struct fl__task_block *block, uint32_t i)
{
	return (fl_bytes *)(void *)((char *)block->future.result + i * block->future.type->result_size);
}

void fl__bytes_free_results(struct fl__task_block *block)
{
	for (uint32_t i = 0; i < block->future.count; i++)
		fl_bytes_free(bytes_result(block, i));
}

int fl__bytes_take_results(struct fl__process_pool_worker *w, struct fl__task_block *block, uint32_t n)
{
	const struct fl__submission *submission = &w->rings.submissions->entry[block->seq % FL__RINGS_DEPTH];
	struct bytes_in in = {.w = w, .block = block, .fd = -1};
	int rc = 0;
	in.room_size = (size_t)submission->room * FL__BYTES_UNIT;
	in.room =
	    w->rings.completions->arena + submission->result +
	    fl__room_begin(block->future.count * block->future.type->result_size, block->future.type->result_align);
	for (uint32_t i = 0; i < block->future.count; i++)
		if (i < n && rc == 0)
			rc = bytes_in_decode(&in, bytes_result(block, i), w->pool->base.bytes_max);
		else
			*bytes_result(block, i) = (fl_bytes){0};
	fl__fd_close(in.fd);
	if (rc != 0)
		fl__bytes_free_results(block);
	else if (n > 0)
		bytes_learn(w, in.used, n);
	return rc;
}
