/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_WORKER_H
#define FL_TEST_WORKER_H

/*
 * The worker of a process executor, driven by hand: a parent that has one process and one pair of
 * rings, and no executor. Only one source file of a program may include this header, because
 * everything here is static.
 *
 *     PARENT(p);                              // a worker that runs until the end of the block
 *     assert_int_equal(int_of(&p, &worker_doubles, 21), 42);
 */
#include "fl_process.h"

#include "process/base/identity.h"
#include "process/base/memfd.h"
#include "process/base/packet.h"
#include "process/pool/worker.h"
#include "process/shm/shm_sys.h"

FL_ALL_NEED(FL_TEST_PROCESS_POOLS)

#define WORKER_FN __attribute__((unused)) static

struct parent {
	struct fl__rings rings;
	int fds[FL__WORKER_FDS + 1], n_fds;
	int channel;
	fl_process *process;
};

WORKER_FN int make_memory(size_t size)
{
	int fd = fl__shm_sys.memory();
	FL_CHECK(fd >= 0);
	FL_OK(fl__shm_sys.resize(fd, size));
	return fd;
}

/* Everything that is passed to a worker. The sizes may be right or wrong. */
WORKER_FN void parent_make(struct parent *p, size_t orders, size_t replies)
{
	void *memory[2];
	int ends[2];
	*p = (struct parent){.n_fds = FL__WORKER_FDS};
	p->fds[FL__WORKER_SUBMISSIONS] = make_memory(orders);
	p->fds[FL__WORKER_COMPLETIONS] = make_memory(replies);
	FL_OK(fl__shm_sys.map(p->fds[FL__WORKER_SUBMISSIONS], sizeof(struct fl__submission_ring), true, &memory[0]));
	FL_OK(fl__shm_sys.map(p->fds[FL__WORKER_COMPLETIONS], sizeof(struct fl__completion_ring), true, &memory[1]));
	FL_OK(fl__fd_sys.pair(ends));
	p->channel = ends[0];
	p->fds[FL__WORKER_CHANNEL] = ends[1];
	p->fds[FL__WORKER_DOORBELL] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	FL_CHECK(p->fds[FL__WORKER_DOORBELL] >= 0);
	if (orders >= sizeof(struct fl__submission_ring))
		fl__rings_init(&p->rings, memory[0], memory[1]);
	p->rings.submissions = memory[0];
	p->rings.completions = memory[1];
}

WORKER_FN void parent_start(struct parent *p)
{
	const struct fl__worker_start start = {.n_regions = (uint32_t)(p->n_fds - FL__WORKER_FDS)};
	p->process = PROCESS_STARTED(.task = &fl__worker_task, .arg = &start, .name = "tested-0", .daemon = true,
	                             .err = FL_PROCESS_NULL, .fds = p->fds, .n_fds = (unsigned)p->n_fds);
}

/* The first message that the worker sends, once it is ready. */
WORKER_FN void parent_hear(struct parent *p)
{
	struct fl__memfd_packet head;
	size_t size;
	unsigned n = 0;
	FL_OK(fl__packet_recv(p->channel, &head, sizeof head, &size, NULL, &n, fl_after(FL_S(60))));
	assert_int_equal(size, sizeof head);
	assert_int_equal(head.magic, FL__READY_MAGIC);
	assert_int_equal(fl__load_acquire(&p->rings.completions->state), FL__WORKER_READY);
}

WORKER_FN void parent_end(struct parent *p)
{
	fl_process_free(p->process);
	FL_OK(munmap(p->rings.submissions, sizeof *p->rings.submissions));
	FL_OK(munmap(p->rings.completions, sizeof *p->rings.completions));
	FL_OK(close(p->channel));
	fl__fds_close(p->fds, FL__WORKER_FDS);
}

/* A worker that runs until the end of the block. */
#define PARENT(p)                                                                                                      \
	__attribute__((cleanup(parent_end))) struct parent p;                                                          \
	parent_make(&p, sizeof(struct fl__submission_ring), sizeof(struct fl__completion_ring));                       \
	parent_start(&p);                                                                                              \
	parent_hear(&p)

WORKER_FN void send_apart(struct parent *p, uint32_t seq, const void *bytes, size_t size, size_t said)
{
	const struct fl__memfd_packet head = {FL__MEMFD_MAGIC, seq, said};
	int fd = fl__fd_sys.memfd();
	FL_CHECK(fd >= 0 && fl__fd_sys.write_at(fd, bytes, size, 0) == (ssize_t)size);
	FL_OK(fl__fd_sys.seal(fd));
	FL_OK(fl__packet_send(p->channel, &head, sizeof head, &fd, 1, FL_NO_WAIT));
	FL_OK(close(fd));
}

/*
 * A submission for `count` elements, with the argument in its entry and the result at the start of
 * the arena; not posted yet.
 */
WORKER_FN struct fl__submission *draft(struct parent *p, const fl_task_type *type, const void *args, uint32_t count)
{
	struct fl__task_identity identity;
	struct fl__submission *order = fl__rings_next_entry(&p->rings);
	const size_t size = count * type->arg_size;
	const enum fl__place arg = fl__place_of(size, type->arg_align);
	fl__task_identify(type, &identity);
	*order = (struct fl__submission){
	    .seq = order->seq, .task = identity.id, .check = fl__task_check(&identity), .count = count};
	if (arg == FL__PLACE_MEMFD) {
		order->flags |= FL__SUBMISSION_ARG_MEMFD;
		send_apart(p, p->rings.next, args, size, size);
	} else if (size > 0) {
		memcpy(arg == FL__PLACE_SLOT ? order->small : p->rings.submissions->arena, args, size);
	}
	return order;
}

WORKER_FN uint32_t post(struct parent *p)
{
	uint32_t seq = fl__rings_post(&p->rings);
	fl__rings_flush(&p->rings);
	return seq;
}

WORKER_FN uint32_t order(struct parent *p, const fl_task_type *type, const void *args, uint32_t count)
{
	(void)draft(p, type, args, count);
	return post(p);
}

WORKER_FN unsigned slot_of(uint32_t seq)
{
	return seq % FL__RINGS_DEPTH;
}

/* Waits for the completion of the oldest submission, and then skips it. */
WORKER_FN struct fl__completion await(struct parent *p)
{
	struct fl__completion reply = {.done = 0};
	enum fl__rings_peeked seen;
	FL_WAIT_FOR((seen = fl__rings_peek(&p->rings, &reply)) != FL__RINGS_NONE);
	assert_int_equal(seen, FL__RINGS_ENDED);
	fl__rings_release(&p->rings);
	return reply;
}

/* Checks that the completion is a failure with that message. */
WORKER_FN void assert_fails(struct parent *p, int error, const char *text)
{
	const char *message = p->rings.completions->message[slot_of(p->rings.first)];
	struct fl__completion reply = await(p);
	assert_int_equal(reply.error, error);
	assert_int_equal(reply.flags, FL__COMPLETION_MESSAGE);
	if (!strstr(message, text))
		fail_msg("the message is '%s', not '%s'", message, text);
}

WORKER_FN void assert_replies(struct parent *p, int error, uint32_t flags, uint32_t count)
{
	struct fl__completion reply = await(p);
	assert_int_equal(reply.error, error);
	assert_int_equal(reply.flags, flags);
	assert_int_equal(reply.count, count);
}

WORKER_FN void assert_succeeds(struct parent *p, uint32_t count)
{
	assert_replies(p, 0, 0, count);
}

WORKER_FN void assert_skipped(struct parent *p)
{
	assert_replies(p, 0, FL__COMPLETION_SKIPPED, 0);
}

WORKER_FN void *small_result(struct parent *p, uint32_t seq)
{
	return p->rings.completions->entry[slot_of(seq)].small;
}

/* Returns the small result, an int, of a task that succeeds. */
WORKER_FN int int_of(struct parent *p, const fl_task_type *type, int arg)
{
	const uint32_t seq = order(p, type, &arg, 1);
	assert_succeeds(p, 1);
	return *(int *)small_result(p, seq);
}

/* Posts the draft, and checks that it fails with that message. */
WORKER_FN void assert_post_fails(struct parent *p, int error, const char *text)
{
	(void)post(p);
	assert_fails(p, error, text);
}

/* Maps the result that comes over the channel. */
WORKER_FN void *receive_result(struct parent *p, uint32_t seq, size_t size)
{
	struct fl__memfd_packet head;
	int fd;
	unsigned n = 1;
	size_t received;
	void *memory;
	FL_OK(fl__packet_recv(p->channel, &head, sizeof head, &received, &fd, &n, FL_NO_WAIT));
	assert_int_equal(received, sizeof head);
	assert_int_equal(n, 1);
	assert_int_equal(head.magic, FL__MEMFD_MAGIC);
	assert_int_equal(head.seq, seq);
	FL_OK(fl__sealed_map(fd, size, &memory));
	FL_OK(close(fd));
	return memory;
}

WORKER_FN void assert_nothing_received(struct parent *p)
{
	char byte;
	size_t size;
	FL_RC(fl__packet_recv(p->channel, &byte, 1, &size, NULL, NULL, FL_NO_WAIT), -ETIMEDOUT);
}

/* Tasks. */

FL_TASK_STATIC(worker_doubles, int, int)
{
	*result += 2 * *arg;
	return *arg < 0 ? fl_task_fail(ctx, -ERANGE, "%d is negative", *arg) : 0;
}

struct large {
	unsigned char bytes[(size_t)1 << 20];
};

static struct large zeros;

FL_TASK_STATIC(worker_inverts_large, struct large, struct large)
{
	for (size_t i = 0; i < sizeof arg->bytes; i++)
		result->bytes[i] += arg->bytes[i] ^ 0xff;
	return arg->bytes[0] == 0xff ? -EDOM : 0;
}

#endif
