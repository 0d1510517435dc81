/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Passes bytes between the parent and a worker, which share no pointers and no locks. Arguments and
 * results are arrays of structs. The sender writes each handle in the array as a struct
 * fl__bytes_wire, and the receiver makes a handle of a private copy. The bytes are in the
 * submission's *room*, which is the memory after the array in the arena. Bytes that do not fit are
 * in a memfd. For each submission, each side makes at most one memfd.
 *
 *   bytes                     written by                       the receiver
 *   of arguments              the parent, all to one place     borrows them while they last
 *   of results, in the room   the task, after fl_bytes_alloc;  copies them to its heap
 *                             or the worker, after the element
 *   of results, in the memfd  the worker, after the element;   copies up to INLINE_MOST bytes;
 *                             above SLICE_ABOVE, the task,     maps more, private
 *                             after fl_bytes_alloc
 *
 * The parent frees the room with the submission. The worker closes the last descriptor of an
 * argument's memfd, and the parent the last descriptor of a result's memfd.
 *
 * Invariants
 *   1. Before `progress` or `done` covers an element, the worker has written the element's result
 *      to the array, and has sent the memfd if the handle has a place there. So the elements that
 *      ended before a worker's death keep their bytes.
 *   2. The parent decodes a private copy: either all handles of a submission, or none.
 *   3. The parent maps a memfd only when it is sealed, so that no access raises SIGBUS and nobody
 *      can change the memory. The parent itself seals the memfd of a dead worker.
 *   4. The task has at most one place in the room or the memfd, and only until the element ends. So
 *      no writable mapping is left that would prevent the seal. A child of the task gets no place,
 *      and does not inherit such a mapping.
 */
#include "pool_bytes.h"
#include "../base/memfd.h"
#include "../base/packet.h"
#include "../base/process_sys.h"
#include "../shm/shm_region.h"
#include "../shm/shm_sys.h"
#include "core/base/sys.h"
#include "core/exec/map.h"
#include "process_pool.h"
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

_Static_assert(sizeof(struct fl__bytes_wire) == sizeof(fl_bytes), "in the handle's place");

#define BYTES_POPULATE_WRITE 23 /* MADV_POPULATE_WRITE, which some headers lack */

/* The sender. */

struct bytes_out {
	unsigned char *room;
	size_t size, used; /* both of the room */
	int fd;            /* the memfd, or -1 while there is none */
	uint64_t end;      /* the end of the bytes in the memfd */
	/* The rest is used for results only. */
	int channel;
	uint32_t seq;
	bool sent;
	/* memory after `used` or `end` that the running element uses, or NULL */
	void *lent;
	size_t lent_mapped; /* 0 if that memory is in the room */
};

int fl__memfd_recv(int channel, const uint32_t *seq, uint64_t *size, bool *ready)
{
	/* the limit is for a worker that floods the channel */
	for (unsigned i = 0; i < 2 * FL__RINGS_DEPTH && (seq || !*ready); i++) {
		struct fl__memfd_packet head = {0, 0, 0};
		struct iovec part = {&head, sizeof head};
		int fds[FL__PACKET_FDS];
		struct fl__packet packet = {.parts = &part, .n_parts = 1, .fds = fds};
		int rc = fl__packet_try_recv(channel, &packet, 0);
		/* the sender sends the packet before its submission or completion */
		if (rc != 0)
			return rc == -EAGAIN || rc == -EPIPE ? -EBADMSG : rc;
		*ready |= head.magic == FL__READY_MAGIC;
		const bool ours =
		    seq && packet.size == sizeof head && head.magic == FL__MEMFD_MAGIC && head.seq == *seq;
		const bool lost = seq && packet.lost;
		if (ours && !lost && packet.n_fds == 1) {
			*size = head.size;
			return fds[0];
		}
		fl__fds_close(fds, packet.n_fds);
		if (ours || lost)
			return lost ? -EMFILE : -EBADMSG;
	}
	return -EBADMSG;
}

static int bytes_open(struct bytes_out *o)
{
	if (o->fd < 0)
		o->fd = fl__fd_sys.memfd();
	return o->fd < 0 ? o->fd : 0;
}

static uint64_t bytes_need(const fl_bytes *b)
{
	/* bytes_put() refuses a larger size */
	return b->data ? FL__ROUND_UP((uint64_t)FL__MIN(b->size, FL_TASK_SIZE_MAX) + 1, FL__BYTES_UNIT) : 0;
}

/*
 * Writes the bytes, followed by a zero byte. In a memfd the next bytes or a resize make the zero
 * byte. Stores the place in *wire. Returns its enum fl__bytes_place, or an error.
 */
static int bytes_put(struct bytes_out *o, const fl_bytes *b, struct fl__bytes_wire *wire)
{
	wire->size = b->size;
	wire->place = FL__BYTES_NONE;
	if (!b->data)
		return FL__BYTES_NONE;
	if (b->size > FL_TASK_SIZE_MAX)
		return -E2BIG;
	if (bytes_need(b) <= o->size - o->used) {
		unsigned char *const to = o->room + o->used;
		if (b->data != to)
			memmove(to, b->data, b->size);
		to[b->size] = 0;
		wire->at = o->used;
		o->used += (size_t)bytes_need(b);
		return (int)(wire->place = FL__BYTES_ROOM);
	}
	const uint64_t at = wire->at = FL__ROUND_UP(o->end, fl__page_size());
	int rc = bytes_open(o);
	if (rc == 0 && b->data != o->lent)
		rc = fl__memfd_write(o->fd, at, b->data, b->size);
	o->end = at + b->size + 1;
	return rc == 0 ? (int)(wire->place = FL__BYTES_MEMFD) : rc;
}

/* Arguments, in the parent. */

uint64_t fl__bytes_arg_size(const fl_future *f)
{
	uint64_t size = 0;
	for (uint32_t i = 0; i < f->count; i++)
		size += bytes_need(fl__element(f->arg, i, f->type->arg_size));
	return size;
}

int64_t fl__bytes_write_args(const fl_future *f, unsigned char *array, unsigned char *room, size_t size, int *fd)
{
	struct bytes_out o = {.room = room, .size = size, .fd = -1};
	const size_t each = f->type->arg_size;
	int rc = 0;
	for (uint32_t i = 0; rc >= 0 && i < f->count; i++)
		rc = bytes_put(&o, fl__element(f->arg, i, each), fl__element(array, i, each));
	*fd = o.fd;
	if (rc >= 0 && o.fd >= 0)
		rc = fl__shm_sys.resize(o.fd, o.end);
	if (rc >= 0 && o.fd >= 0)
		rc = fl__memfd_seal(o.fd);
	return rc >= 0 ? (int64_t)o.end : rc;
}

/* Arguments, in the worker. */

int fl__bytes_read_args(void *args, uint32_t count, size_t each, struct fl__bytes_part room,
                        struct fl__bytes_part memfd)
{
	for (uint32_t i = 0; i < count; i++) {
		fl_bytes *b = fl__element(args, i, each);
		struct fl__bytes_wire wire;
		memcpy(&wire, b, sizeof wire);
		*b = (fl_bytes){0};
		if (wire.place == FL__BYTES_NONE)
			continue;
		const struct fl__bytes_part *part = wire.place == FL__BYTES_ROOM ? &room : &memfd;
		if (wire.at >= part->size || wire.size >= part->size - wire.at)
			return -EPROTO;
		b->data = (void *)(uintptr_t)(part->data + wire.at);
		b->size = (size_t)wire.size;
	}
	return 0;
}

/* Results, in the worker. */

static struct bytes_out bytes_out = {.fd = -1};

/* The result of the running element. */
static union {
	_Alignas(FL_TASK_ALIGN_MAX) unsigned char memory[FL__RINGS_INLINE_MOST];
	fl_bytes bytes;
} bytes_result;

void fl__bytes_begin(int channel, uint32_t seq, unsigned char *room, size_t size)
{
	bytes_out = (struct bytes_out){.fd = -1, .channel = channel, .seq = seq, .room = room, .size = size};
}

void *fl__bytes_run(size_t size)
{
	return memset(bytes_result.memory, 0, size);
}

int fl__bytes_map(size_t size, void **memory)
{
	struct bytes_out *o = &bytes_out;
	const uint64_t at = FL__ROUND_UP(o->end, fl__page_size());
	void *made = NULL;
	int rc = bytes_open(o);
	if (rc == 0)
		rc = fl__shm_fill(o->fd, at, at + size);
	if (rc == 0)
		rc = fl__map_file(o->fd, at, size, PROT_READ | PROT_WRITE, MAP_SHARED, &made);
	if (rc == 0)
		rc = fl__shm_sys.keep(made, size);
	if (rc == 0) {
		/* saves faults, from Linux 5.14 on */
		(void)madvise(made, size, BYTES_POPULATE_WRITE);
		*memory = made;
	} else if (made) {
		fl__shm_sys.unmap(made, size);
	}
	return rc;
}

static void bytes_out_drop(void *memory, void *mapped)
{
	if (memory == bytes_out.lent)
		bytes_out.lent = NULL;
	if (mapped)
		fl__shm_sys.unmap(memory, (size_t)(uintptr_t)mapped);
}

static int bytes_share(fl_bytes *b, size_t size)
{
	/* below this size, faults cost more than a copy */
	enum { SLICE_ABOVE = 16 << 20 };
	FL__KEEPS_ERRNO();
	struct bytes_out *o = &bytes_out;
	void *memory = o->room + o->used;
	size_t left = o->size - o->used, mapped = 0;
	int rc = 0;
	fl_bytes made;
	if (size > FL_TASK_SIZE_MAX || o->lent || (size >= left && size <= SLICE_ABOVE))
		return 1;
	if (size >= left) {
		left = mapped = size + 1;
		rc = mapped > fl__shm_sys.available() ? -ENOMEM : fl__bytes_map(mapped, &memory);
	}
	if (rc != 0)
		return rc;
	rc = fl__bytes_new(
	    &made, size,
	    (struct fl__bytes){
		.room = left - 1, .drop = bytes_out_drop, .data = memory, .user = (void *)(uintptr_t)mapped});
	if (rc != 0) {
		bytes_out_drop(memory, (void *)(uintptr_t)mapped);
		return rc;
	}
	((char *)memory)[size] = 0;
	o->lent = memory;
	o->lent_mapped = mapped;
	fl_bytes_free(b);
	*b = made;
	return 0;
}

void fl__bytes_init(void)
{
	fl__bytes_running = &bytes_result.bytes;
	fl__bytes_share = bytes_share;
}

static int bytes_send(struct bytes_out *o)
{
	const struct fl__memfd_packet head = {FL__MEMFD_MAGIC, o->seq, 0};
	const int rc = o->sent ? 0 : fl__packet_send(o->channel, &head, sizeof head, &o->fd, 1, FL_FOREVER);
	o->sent |= rc == 0;
	return rc;
}

/*
 * Returns true if the task has moved its result's memory to another handle. If that memory is a
 * slice of the memfd, it becomes private memory.
 */
static bool bytes_leave(struct bytes_out *o)
{
	const uint64_t at = FL__ROUND_UP(o->end, fl__page_size());
	if (!o->lent || o->lent == bytes_result.bytes.data)
		return false;
	if (o->lent_mapped > 0) {
		(void)!mmap(o->lent, o->lent_mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, o->fd, (off_t)at);
		o->end = at + o->lent_mapped;
	}
	return true;
}

int fl__bytes_publish(void *result, size_t size, bool keep)
{
	struct bytes_out *o = &bytes_out;
	struct fl__bytes_wire *wire = result;
	const bool busy = bytes_leave(o);
	if (!keep || busy)
		fl_bytes_free(&bytes_result.bytes);
	int rc = bytes_put(o, &bytes_result.bytes, wire);
	fl_bytes_free(&bytes_result.bytes);
	o->lent = NULL;
	if (busy)
		rc = -EBUSY;
	if (rc == FL__BYTES_MEMFD) {
		rc = fl__shm_sys.resize(o->fd, o->end);
		if (rc == 0)
			rc = bytes_send(o);
	}
	if (rc < 0)
		wire->place = FL__BYTES_NONE;
	memcpy(wire + 1, bytes_result.memory + sizeof *wire, size - sizeof *wire);
	return rc < 0 ? rc : 0;
}

int fl__bytes_finish(bool sends, bool *sent)
{
	struct bytes_out *o = &bytes_out;
	int rc = 0;
	if (o->fd < 0)
		return 0;
	if (!sends && o->sent)
		/* the file becomes smaller if a slice was not published */
		rc = fl__shm_sys.resize(o->fd, o->end);
	if (rc == 0 && (sends || o->sent))
		rc = fl__memfd_seal(o->fd);
	if (rc == 0 && sends)
		rc = bytes_send(o);
	*sent = o->sent;
	fl__fd_close(o->fd);
	o->fd = -1;
	return rc;
}

/* Results, in the parent. */

/* Returns twice what earlier results needed. The room grows at once, but shrinks slowly. */
uint32_t fl__bytes_result_room(const struct fl__process_pool_worker *w, uint32_t count, size_t begin)
{
	const uint64_t room = FL__ROUND_UP(2 * (uint64_t)count * w->bytes_each, FL__BYTES_UNIT) + FL__BYTES_UNIT;
	const uint64_t most = FL__MIN(FL__RINGS_INLINE_MOST + FL__BYTES_UNIT, FL__RINGS_ARENA / 2 - begin);
	return (uint32_t)FL__MIN(room, most);
}

static void bytes_in_drop(void *data, void *size)
{
	fl__shm_sys.unmap(data, (size_t)(uintptr_t)size);
}

/* Makes a handle of bytes in the memfd. Copies few bytes, and maps more. */
static int bytes_in_map(fl_bytes *made, const struct fl__bytes_wire *wire, int fd)
{
	const size_t size = (size_t)wire->size, mapped = size + 1;
	const bool copies = size <= FL__RINGS_INLINE_MOST;
	void *at;
	/* private, because the handle's owner may write */
	int rc = fl__map_file(fd, wire->at, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE, &at);
	if (rc != 0)
		/* -EINVAL: the place is not at the beginning of a page */
		return rc == -EINVAL ? -EBADMSG : rc;
	((char *)at)[size] = 0;
	rc = copies ? fl_bytes_append(made, at, size)
	            : fl_bytes_adopt(made, at, size, bytes_in_drop, (void *)(uintptr_t)mapped);
	if (copies || rc != 0)
		fl__shm_sys.unmap(at, mapped);
	return rc;
}

struct bytes_in {
	struct fl__process_pool_worker *w;
	const struct fl__task_block *block;
	struct fl__bytes_part room;
	int fd; /* -1 while it is not received */
	int64_t fd_size;
	uint64_t used; /* the size of the results that could have been in the room */
};

static int bytes_in_memfd(struct bytes_in *in)
{
	if (in->fd >= 0)
		return 0;
	uint64_t unused;
	in->fd = fl__memfd_recv(in->w->channel, &in->block->seq, &unused, &in->w->ready);
	if (in->fd < 0)
		return in->fd;
	/* if the worker lives, it has sealed the memfd already */
	(void)fl__memfd_seal(in->fd);
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
		in->used += wire.size + FL__BYTES_UNIT;
	if (wire.place == FL__BYTES_ROOM)
		return wire.at > in->room.size || wire.size > in->room.size - wire.at
		           ? -EBADMSG
		           : fl_bytes_append(b, in->room.data + wire.at, (size_t)wire.size);
	int rc = wire.place == FL__BYTES_MEMFD ? bytes_in_memfd(in) : -EBADMSG;
	if (rc == 0 && (wire.at >= (uint64_t)in->fd_size || wire.size >= (uint64_t)in->fd_size - wire.at))
		rc = -EBADMSG;
	if (rc != 0)
		return rc;
	return bytes_in_map(b, &wire, in->fd);
}

int fl__bytes_take_results(struct fl__process_pool_worker *w, struct fl__task_block *block, uint32_t n, bool sent)
{
	const struct fl__submission *submission = &w->rings.submissions->entry[block->seq % FL__RINGS_DEPTH];
	const fl_future *f = &block->future;
	const size_t each = f->type->result_size;
	enum { SLOWLY = 64 };
	struct bytes_in in = {.w = w, .block = block, .fd = -1};
	int rc = 0;
	in.room.size = (size_t)submission->room * FL__BYTES_UNIT;
	in.room.data =
	    w->rings.completions->arena + submission->result + fl__room_begin(f->count * each, f->type->result_align);
	for (uint32_t i = 0; i < f->count; i++)
		if (i < n && rc == 0)
			rc = bytes_in_decode(&in, fl__element(f->result, i, each), w->pool->base.bytes_max);
		else
			*(fl_bytes *)fl__element(f->result, i, each) = (fl_bytes){0};
	if (sent && in.fd < 0)
		/* removes the memfd from the channel, so that none pile up */
		(void)bytes_in_memfd(&in);
	fl__fd_close(in.fd);
	if (n > 0)
		w->bytes_each = FL__MAX((uint32_t)(in.used / n), w->bytes_each - w->bytes_each / SLOWLY);
	for (uint32_t i = 0; rc != 0 && i < f->count; i++)
		fl_bytes_free(fl__element(f->result, i, each));
	return rc;
}
