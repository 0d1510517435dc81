/* SPDX-License-Identifier: BSD-2-Clause */
/* The worker of a process executor, driven by hand: one process, one lane, and no executor. */
#include "fl_process.h"

#include "base/sys.h"
#include "process/fd_sys.h"
#include "process/identity.h"
#include "process/packet.h"
#include "process/worker.h"
#include "shm/os.h"
#include <sys/eventfd.h>
#include <sys/mman.h>

struct parent {
	struct fl__lane lane;
	int fds[FL__WORKER_FDS + 1], n_fds;
	int channel;
	fl_process *process;
};

static int make_memory(size_t size)
{
	int fd = fl__shm_os.memory();
	FL_CHECK(fd >= 0);
	FL_OK(fl__shm_os.resize(fd, size));
	return fd;
}

/* All that a worker is handed; sizes as they should be, or not. */
static void parent_make(struct parent *p, size_t orders, size_t replies)
{
	void *memory[2];
	int ends[2];
	*p = (struct parent){.n_fds = FL__WORKER_FDS};
	p->fds[FL__WORKER_ORDERS] = make_memory(orders);
	p->fds[FL__WORKER_REPLIES] = make_memory(replies);
	FL_OK(fl__shm_os.map(p->fds[FL__WORKER_ORDERS], sizeof(struct fl__orders), true, &memory[0]));
	FL_OK(fl__shm_os.map(p->fds[FL__WORKER_REPLIES], sizeof(struct fl__replies), true, &memory[1]));
	FL_OK(fl__packet_pair(ends));
	p->channel = ends[0];
	p->fds[FL__WORKER_CHANNEL] = ends[1];
	p->fds[FL__WORKER_BELL] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	FL_CHECK(p->fds[FL__WORKER_BELL] >= 0);
	if (orders >= sizeof(struct fl__orders))
		fl__lane_init(&p->lane, memory[0], memory[1]);
	p->lane.orders = memory[0];
	p->lane.replies = memory[1];
}

static void parent_start(struct parent *p)
{
	const struct fl__worker_start start = {.n_regions = (uint32_t)(p->n_fds - FL__WORKER_FDS)};
	FL_OK(fl_process_start(&p->process, &(fl_process_config){.task = &fl__worker_task,
	                                                         .arg = &start,
	                                                         .name = "tested-0",
	                                                         .daemon = true,
	                                                         .err = FL_PROCESS_NULL,
	                                                         .fds = p->fds,
	                                                         .n_fds = (unsigned)p->n_fds}));
}

static void parent_end(struct parent *p)
{
	fl_process_free(p->process);
	FL_CHECK(munmap(p->lane.orders, sizeof *p->lane.orders) == 0);
	FL_CHECK(munmap(p->lane.replies, sizeof *p->lane.replies) == 0);
	FL_CHECK(close(p->channel) == 0);
	fl__fds_close(p->fds, FL__WORKER_FDS);
}

/* A worker that runs, until the end of the block. */
#define PARENT(p)                                                                                                      \
	__attribute__((cleanup(parent_end))) struct parent p;                                                          \
	parent_make(&p, sizeof(struct fl__orders), sizeof(struct fl__replies));                                        \
	parent_start(&p)

static void send_apart(struct parent *p, uint32_t seq, const void *bytes, size_t size, size_t said)
{
	const struct fl__apart head = {FL__APART_MAGIC, seq, said};
	int fd = fl__fd_sys.memory();
	FL_CHECK(fd >= 0 && fl__fd_sys.write_at(fd, bytes, size, 0) == (ssize_t)size);
	FL_OK(fl__fd_sys.seal(fd));
	FL_OK(fl__packet_send(p->channel, &head, sizeof head, &fd, 1, 0));
	FL_CHECK(close(fd) == 0);
}

/* An order for `count` elements, argument in its place, result at the beginning of the arena; not posted yet. */
static struct fl__order *draft(struct parent *p, const fl_task_type *type, const void *args, uint32_t count)
{
	struct fl__task_identity identity;
	struct fl__order *order = fl__lane_place(&p->lane);
	const size_t size = count * type->arg_size;
	const enum fl__place arg = fl__place_of(size, type->arg_align);
	fl__task_identify(type, &identity);
	*order = (struct fl__order){
	    .seq = order->seq, .task = identity.id, .check = fl__task_check(&identity), .count = count};
	if (arg == FL__PLACE_APART) {
		order->flags |= FL__ORDER_ARG_APART;
		send_apart(p, p->lane.next, args, size, size);
	} else if (size > 0) {
		memcpy(arg == FL__PLACE_SLOT ? order->small : p->lane.orders->arena, args, size);
	}
	if (fl__place_of(count * type->result_size, type->result_align) == FL__PLACE_APART)
		order->flags |= FL__ORDER_RESULT_APART;
	return order;
}

static uint32_t post(struct parent *p)
{
	uint32_t seq = fl__lane_post(&p->lane);
	fl__lane_flush(&p->lane);
	return seq;
}

static uint32_t order(struct parent *p, const fl_task_type *type, const void *args, uint32_t count)
{
	(void)draft(p, type, args, count);
	return post(p);
}

static unsigned slot_of(uint32_t seq)
{
	return seq % FL__LANE_DEPTH;
}

/* Waits for the reply to the oldest order, and passes over it. */
static struct fl__reply await(struct parent *p)
{
	struct fl__reply reply = {.done = 0};
	enum fl__lane_sight seen;
	FL_WAIT_FOR((seen = fl__lane_look(&p->lane, &reply)) != FL__LANE_NONE);
	assert_int_equal(seen, FL__LANE_ENDED);
	fl__lane_pass(&p->lane);
	return reply;
}

/* The reply is a failure with that message. */
static void assert_fails(struct parent *p, int error, const char *text)
{
	const char *message = p->lane.replies->message[slot_of(p->lane.first)];
	struct fl__reply reply = await(p);
	assert_int_equal(reply.error, error);
	assert_int_equal(reply.flags, FL__REPLY_MESSAGE);
	if (!strstr(message, text))
		fail_msg("the message is '%s', not '%s'", message, text);
}

static void assert_succeeds(struct parent *p, uint32_t count)
{
	struct fl__reply reply = await(p);
	assert_int_equal(reply.error, 0);
	assert_int_equal(reply.flags, 0);
	assert_int_equal(reply.count, count);
}

static void assert_skipped(struct parent *p)
{
	struct fl__reply reply = await(p);
	assert_int_equal(reply.error, 0);
	assert_int_equal(reply.flags, FL__REPLY_SKIPPED);
	assert_int_equal(reply.count, 0);
}

static void *small_result(struct parent *p, uint32_t seq)
{
	return p->lane.replies->reply[slot_of(seq)].small;
}

/* The result that comes over the channel, mapped. */
static void *receive_result(struct parent *p, uint32_t seq, size_t size)
{
	struct fl__apart head;
	int fd;
	unsigned n = 1;
	size_t received;
	int64_t there;
	FL_OK(fl__packet_recv(p->channel, &head, sizeof head, &received, &fd, &n, 0));
	assert_int_equal(received, sizeof head);
	assert_int_equal(n, 1);
	assert_int_equal(head.magic, FL__APART_MAGIC);
	assert_int_equal(head.seq, seq);
	assert_int_equal(head.size, size);
	FL_OK(fl__fd_sys.sealed_size(fd, &there));
	assert_int_equal(there, size);
	void *memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	FL_CHECK(memory != MAP_FAILED && close(fd) == 0);
	return memory;
}

static void assert_nothing_received(struct parent *p)
{
	char byte;
	size_t size;
	FL_RC(fl__packet_recv(p->channel, &byte, 1, &size, NULL, NULL, 0), -ETIMEDOUT);
}

/* The tasks. */

FL_TASK(worker_doubles, int, int)
{
	*result += 2 * *arg;
	return *arg < 0 ? fl_task_fail(ctx, -ERANGE, "%d is negative", *arg) : 0;
}

struct page {
	unsigned char bytes[4096];
};

struct large {
	unsigned char bytes[(size_t)1 << 20];
};

FL_TASK(worker_inverts_page, struct page, struct page)
{
	for (size_t i = 0; i < sizeof arg->bytes; i++)
		result->bytes[i] += arg->bytes[i] ^ 0xff;
	return 0;
}

FL_TASK(worker_inverts_large, struct large, struct large)
{
	for (size_t i = 0; i < sizeof arg->bytes; i++)
		result->bytes[i] += arg->bytes[i] ^ 0xff;
	return arg->bytes[0] == 0xff ? -EDOM : 0;
}

FL_TASK(worker_has_nothing, void, void)
{
	return arg || result ? -EINVAL : 0;
}

struct aligned {
	_Alignas(64) int n;
};

FL_TASK(worker_is_aligned, struct aligned, struct aligned)
{
	*result = *arg;
	return ((uintptr_t)arg | (uintptr_t)result) % 64 == 0 ? 0 : -EFAULT;
}

FL_TASK(worker_sleeps, void, int)
{
	fl__store_release(result, 1); /* the test sees it at once: it is in memory that both have */
	return fl_sleep_until(FL_FOREVER, NULL);
}

/* A chunk of these: the first waits to be asked. */
FL_TASK(worker_ends_when_asked, char, char)
{
	fl__store_release(result, 1);
	while (!fl_task_cancelled(ctx))
		fl__sys.yield();
	return 0;
}

FL_TASK(worker_dies, int, void)
{
	static int *volatile nowhere;
	if (*arg == SIGSEGV)
		*nowhere = 1;
	_exit(*arg);
}

FL_TASK(worker_writes_its_argument, int, void)
{
	*(volatile int *)(uintptr_t)arg = 1; /* cast: away with const */
	return 0;
}

FL_TASK(worker_looks_around, void, int)
{
	sigset_t set;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &set);
	*result = sigismember(&set, SIGTERM) && sigismember(&set, SIGINT) && sigismember(&set, SIGUSR1);
	if (strcmp(fl_thread_current_name(), "tested-0") != 0 || strcmp(fl_process_current_name(), "tested-0") != 0)
		return fl_task_fail(ctx, -EINVAL, "the name is %s", fl_thread_current_name());
	return fl_process_fd_count() == 0 && fl_process_fd(0) == -EBADF ? 0 : -EBADF;
}

FL_TASK(worker_reads_region, void, int)
{
	const int *there = FL_SHM_AT(fl_task_region(ctx, 0), int, fl_shm_root(fl_task_region(ctx, 0)));
	*result = there ? *there : 0;
	return fl_task_region(ctx, 1) ? -EINVAL : 0;
}

FL_TASK(worker_requests_itself, void, void)
{
	fl_cancel_request(fl_task_token(ctx));
	return 0;
}

FL_TASK(worker_leaves_a_child, void, void)
{
	static fl_cancel child;
	fl_cancel_init(&child, fl_task_token(ctx), FL_FOREVER);
	return 0;
}

static int nested_double(int n, int *doubled)
{
	fl_future *f = NULL;
	int rc = worker_doubles_submit(fl_executor_current(), n, &f);
	if (rc == 0)
		rc = worker_doubles_get(f, doubled);
	fl_future_free(f);
	return rc;
}

FL_TASK(worker_nests, int, int)
{
	fl_executor *e = fl_executor_current();
	if (!e || strcmp(fl_executor_kind(e), "sequential") != 0 || fl_executor_join(e) != -EDEADLK)
		return fl_task_fail(ctx, -EINVAL, "the current executor is not what it should be");
	int doubled = 0, rc = nested_double(*arg, &doubled);
	*result = 2 * doubled;
	return rc;
}

FL_TASK(worker_recurses, int, int)
{
	fl_future *f = NULL;
	int rc = fl_submit(fl_executor_current(), fl_task_find("worker_recurses"), &(int){*arg + 1}, &f);
	*result = *arg;
	if (rc == 0)
		rc = fl_future_get(f, result, sizeof *result);
	fl_future_free(f);
	return rc == -EOVERFLOW ? 0 : rc;
}

/* What it does. */

FL_TEST(worker_runs_small)
{
	PARENT(p);
	const uint32_t first = order(&p, &worker_doubles, &(int){21}, 1);
	const uint32_t second = order(&p, &worker_doubles, &(int){5}, 1);
	(void)order(&p, &worker_has_nothing, NULL, 1);
	assert_succeeds(&p, 1);
	assert_int_equal(*(int *)small_result(&p, first), 42);
	assert_succeeds(&p, 1);
	assert_int_equal(*(int *)small_result(&p, second), 10);
	assert_succeeds(&p, 1);
	for (int i = 0; i < 5 * FL__LANE_DEPTH; i++) { /* what was there before does not count */
		const uint32_t seq = order(&p, &worker_doubles, &i, 1);
		assert_succeeds(&p, 1);
		assert_int_equal(*(int *)small_result(&p, seq), 2 * i);
	}
	assert_int_equal(fl__load_acquire(&p.lane.replies->state), FL__LANE_READY);
	assert_nothing_received(&p);
}

static bool is_inverse(const unsigned char *a, const unsigned char *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((a[i] ^ b[i]) != 0xff)
			return false;
	return true;
}

FL_TEST(worker_runs_in_the_arena)
{
	PARENT(p);
	struct page page;
	for (int round = 1; round < 3; round++) {
		memset(&page, round, sizeof page);
		struct fl__order *there = draft(&p, &worker_inverts_page, &page, 1);
		there->result = 64;
		(void)post(&p);
		assert_succeeds(&p, 1);
		assert_true(is_inverse(page.bytes, p.lane.replies->arena + 64, sizeof page));
	}
}

FL_TEST(worker_alignment)
{
	PARENT(p);
	assert_int_equal(fl__place_of(32, 32), FL__PLACE_SLOT);
	assert_int_equal(fl__place_of(33, 1), FL__PLACE_ARENA);
	assert_int_equal(fl__place_of(32, 64), FL__PLACE_ARENA);
	assert_int_equal(fl__place_of(FL__LANE_INLINE_MOST, 64), FL__PLACE_ARENA);
	assert_int_equal(fl__place_of(FL__LANE_INLINE_MOST + 1, 1), FL__PLACE_APART);
	(void)order(&p, &worker_is_aligned, &(struct aligned){7}, 1);
	assert_succeeds(&p, 1);
	assert_int_equal(((struct aligned *)(void *)p.lane.replies->arena)->n, 7);
	draft(&p, &worker_is_aligned, &(struct aligned){7}, 1)->result = 32;
	(void)post(&p);
	assert_fails(&p, -EPROTO, "outside of its arena");
}

FL_TEST(worker_runs_apart)
{
	PARENT(p);
	struct large *large = malloc(sizeof *large);
	memset(large, 3, sizeof *large);
	const size_t descriptors = process_fds();
	for (int round = 0; round < 20; round++) {
		send_apart(&p, p.lane.next - 1, "other", 6, 6); /* of an order that was revoked */
		const uint32_t seq = order(&p, &worker_inverts_large, large, 1);
		assert_succeeds(&p, 1);
		struct large *inverse = receive_result(&p, seq, sizeof *inverse);
		assert_true(is_inverse(large->bytes, inverse->bytes, sizeof *large));
		FL_CHECK(munmap(inverse, sizeof *inverse) == 0);
	}
	large->bytes[0] = 0xff;
	(void)order(&p, &worker_inverts_large, large, 1);
	struct fl__reply reply = await(&p);
	assert_int_equal(reply.error, -EDOM);
	assert_int_equal(reply.flags, 0);
	assert_nothing_received(&p); /* of one task that fails there is no result */
	assert_int_equal(process_fds(), descriptors);
	free(large);
}

static void assert_apart_fails(struct parent *p, size_t size, size_t said)
{
	struct large *large = calloc(1, sizeof *large);
	struct fl__order *there = draft(p, &worker_doubles, &(int){1}, 1);
	struct fl__task_identity identity;
	fl__task_identify(&worker_inverts_large, &identity);
	there->task = identity.id;
	there->check = fl__task_check(&identity);
	there->flags = FL__ORDER_ARG_APART | FL__ORDER_RESULT_APART;
	if (size > 0)
		send_apart(p, p->lane.next, large, size, said);
	(void)post(p);
	assert_fails(p, -EBADMSG, "the argument does not arrive");
	assert_nothing_received(p);
	free(large);
}

FL_TEST(worker_looks_before_it_maps)
{
	PARENT(p);
	assert_apart_fails(&p, 0, 0); /* nothing came */
	assert_apart_fails(&p, 4096, sizeof(struct large));
	assert_apart_fails(&p, sizeof(struct large), 4096);
	draft(&p, &worker_inverts_page, &(struct page){{0}}, 1)->arg = FL__LANE_ARENA - 4095;
	(void)post(&p);
	assert_fails(&p, -EPROTO, "the argument is outside of its arena");
	draft(&p, &worker_inverts_page, &(struct page){{0}}, 1)->result = UINT32_MAX;
	(void)post(&p);
	assert_fails(&p, -EPROTO, "the result is to be outside of its arena");
	draft(&p, &worker_doubles, &(int){0}, 1)->flags = FL__ORDER_RESULT_APART;
	(void)post(&p);
	assert_fails(&p, -EPROTO, "the result is to be where none should be");
	draft(&p, &worker_doubles, &(int){0}, 1)->count = UINT32_MAX;
	(void)post(&p);
	assert_fails(&p, -EPROTO, "too large");
	(void)order(&p, &worker_doubles, &(int){1}, 1);
	assert_succeeds(&p, 1); /* it goes on */
}

FL_TEST(worker_runs_chunks)
{
	PARENT(p);
	int args[100], results[100];
	for (int i = 0; i < 100; i++)
		args[i] = i;
	(void)order(&p, &worker_doubles, args, 100);
	assert_succeeds(&p, 100);
	memcpy(results, p.lane.replies->arena, sizeof results);
	for (int i = 0; i < 100; i++)
		assert_int_equal(results[i], 2 * i);
	args[50] = -1;
	(void)order(&p, &worker_doubles, args, 100);
	struct fl__reply reply = await(&p);
	assert_int_equal(reply.error, -ERANGE);
	assert_int_equal(reply.count, 50);
	assert_int_equal(reply.flags, FL__REPLY_MESSAGE);
	assert_string_equal(p.lane.replies->message[slot_of(p.lane.first - 1)], "-1 is negative");
	memcpy(results, p.lane.replies->arena, sizeof results);
	assert_int_equal(results[49], 98);
	assert_int_equal(results[50], -2); /* what it left there */
	assert_int_equal(results[51], 0);
}

FL_TEST(worker_chunk_apart_that_fails)
{
	PARENT(p);
	enum { N = 1 << 16 };
	int *args = calloc(N, sizeof *args);
	args[N / 2] = -1;
	const uint32_t seq = order(&p, &worker_doubles, args, N);
	struct fl__reply reply = await(&p);
	assert_int_equal(reply.error, -ERANGE);
	assert_int_equal(reply.count, N / 2);
	int *results = receive_result(&p, seq, N * sizeof *results);
	assert_int_equal(results[N / 2], -2);
	FL_CHECK(munmap(results, N * sizeof *results) == 0);
	free(args);
}

FL_TEST(worker_unknown_tasks)
{
	PARENT(p);
	draft(&p, &worker_doubles, &(int){1}, 1)->task++;
	(void)post(&p);
	assert_fails(&p, -ENOENT, "not registered");
	draft(&p, &worker_doubles, &(int){1}, 1)->check++;
	(void)post(&p);
	assert_fails(&p, -EPROTO, "task worker_doubles of the worker is of another version or build");
	send_apart(&p, p.lane.next, "12345678", 8, 8); /* its memory does not stay */
	draft(&p, &worker_doubles, &(int){1}, 1)->task++;
	p.lane.orders->order[slot_of(p.lane.next)].flags = FL__ORDER_ARG_APART;
	(void)post(&p);
	assert_fails(&p, -ENOENT, "not registered");
	(void)order(&p, &worker_doubles, &(int){1}, 1);
	assert_succeeds(&p, 1);
}

/* Stopping. */

static void wait_until_inside(struct parent *p, uint32_t seq)
{
	const char *inside = small_result(p, seq);
	FL_WAIT_FOR(fl__load_acquire(inside) != 0); /* pairs with the task's store */
}

FL_TEST(worker_stops_when_asked)
{
	PARENT(p);
	for (int round = 0; round < 100; round++) {
		memset(small_result(&p, p.lane.next), 0, FL__LANE_SMALL);
		const uint32_t seq = order(&p, &worker_sleeps, NULL, 1);
		const uint32_t next = order(&p, &worker_doubles, &(int){1}, 1);
		if (round % 2 == 0)
			wait_until_inside(&p, seq);
		fl__lane_ask(&p.lane, seq);
		struct fl__reply reply = await(&p);
		if (round % 2 == 0 || reply.flags != FL__REPLY_SKIPPED)
			assert_int_equal(reply.error, -ECANCELED);
		assert_succeeds(&p, 1); /* the request was not for this one */
		assert_int_equal(*(int *)small_result(&p, next), 2);
	}
}

FL_TEST(worker_skips_what_was_asked_before)
{
	PARENT(p);
	const uint32_t first = order(&p, &worker_sleeps, NULL, 1);
	struct large *large = calloc(1, sizeof *large);
	const uint32_t second = order(&p, &worker_inverts_large, large, 1);
	const uint32_t third = order(&p, &worker_inverts_large, large, 1);
	wait_until_inside(&p, first);
	fl__lane_ask(&p.lane, second);
	fl__lane_ask(&p.lane, first);
	assert_int_equal(await(&p).error, -ECANCELED);
	assert_skipped(&p);
	assert_succeeds(&p, 1);
	FL_CHECK(munmap(receive_result(&p, third, sizeof *large), sizeof *large) == 0);
	assert_nothing_received(&p);
	free(large);
}

FL_TEST(worker_stops_a_chunk_between_two)
{
	PARENT(p);
	const char args[3] = {0};
	const uint32_t seq = order(&p, &worker_ends_when_asked, args, 3);
	wait_until_inside(&p, seq);
	fl__lane_ask(&p.lane, seq);
	struct fl__reply reply = await(&p);
	assert_int_equal(reply.error, -ECANCELED);
	assert_int_equal(reply.count, 1);
	assert_memory_equal(small_result(&p, seq), "\1\0\0", 3);
}

FL_TEST(worker_deadlines)
{
	PARENT(p);
	const int64_t deadlines[] = {1, fl_now(), fl_after(FL_MS(20)), fl_after(FL_S(3600)), 1};
	for (size_t i = 0; i < 5; i++) {
		const fl_task_type *type = i == 2 ? &worker_sleeps : &worker_doubles;
		p.lane.orders->deadline[slot_of(p.lane.next)] = deadlines[i];
		draft(&p, type, &(int){1}, 1)->flags |= FL__ORDER_DEADLINE;
		(void)post(&p);
	}
	(void)order(&p, &worker_doubles, &(int){1}, 1); /* the deadline before was not for this one */
	assert_skipped(&p);
	assert_skipped(&p);
	struct fl__reply reply = await(&p); /* while it slept, or before */
	assert_true(reply.error == -ECANCELED || reply.flags == FL__REPLY_SKIPPED);
	assert_succeeds(&p, 1);
	assert_skipped(&p);
	assert_succeeds(&p, 1);
}

FL_TEST(worker_says_when_it_began)
{
	PARENT(p);
	const int64_t before = fl_now();
	draft(&p, &worker_doubles, &(int){1}, 1)->flags |= FL__ORDER_TIMED;
	(void)post(&p);
	struct fl__reply reply = await(&p);
	assert_true(reply.began >= before && reply.began <= fl_now());
}

/* A token that a task has used up is not the next one's. */
FL_TEST(worker_tasks_have_fresh_tokens)
{
	PARENT(p);
	const int args[2] = {1, 2};
	(void)order(&p, &worker_requests_itself, NULL, 1);
	(void)order(&p, &worker_doubles, args, 2);
	assert_succeeds(&p, 1);
	assert_succeeds(&p, 2);
}

/* Around it. */

FL_TEST(worker_is_as_a_thread_to_its_tasks)
{
	PARENT(p);
	const uint32_t seq = order(&p, &worker_looks_around, NULL, 1);
	assert_succeeds(&p, 1);
	assert_int_equal(*(int *)small_result(&p, seq), 1);
}

FL_TEST(worker_attaches_regions)
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_OK(fl_shm_create(&region, 4096));
	int *there = fl_shm_alloc(region, sizeof *there);
	*there = 4711;
	FL_OK(fl_shm_set_root(region, fl_shm_offset_of(region, there)));
	__attribute__((cleanup(parent_end))) struct parent p;
	parent_make(&p, sizeof(struct fl__orders), sizeof(struct fl__replies));
	p.fds[p.n_fds++] = fl_shm_fd(region);
	parent_start(&p);
	const uint32_t seq = order(&p, &worker_reads_region, NULL, 1);
	assert_succeeds(&p, 1);
	assert_int_equal(*(int *)small_result(&p, seq), 4711);
}

FL_TEST(worker_runs_nested_tasks_at_once)
{
	PARENT(p);
	const uint32_t seq = order(&p, &worker_nests, &(int){10}, 1);
	assert_succeeds(&p, 1);
	assert_int_equal(*(int *)small_result(&p, seq), 40);
	const uint32_t deep = order(&p, &worker_recurses, &(int){1}, 1);
	assert_succeeds(&p, 1);
	assert_true(*(int *)small_result(&p, deep) > 10);
}

FL_TEST(worker_rings_when_armed)
{
	PARENT(p);
	uint64_t rings = 0;
	fl__lane_arm(&p.lane, 1);
	(void)order(&p, &worker_has_nothing, NULL, 1);
	assert_true(process_readable(p.fds[FL__WORKER_BELL], 60000));
	FL_CHECK(read(p.fds[FL__WORKER_BELL], &rings, sizeof rings) == sizeof rings);
	assert_int_equal(rings, 1);
	assert_succeeds(&p, 1);
}

/* Ending. */

static fl_process_status end_of(struct parent *p)
{
	fl_process_status status = {77, 77};
	FL_OK(fl_process_join(p->process, &status));
	return status;
}

FL_TEST(worker_leaves_when_told)
{
	PARENT(p);
	(void)order(&p, &worker_doubles, &(int){1}, 1);
	*fl__lane_place(&p.lane) = (struct fl__order){.flags = FL__ORDER_LEAVE};
	(void)post(&p);
	assert_succeeds(&p, 1);
	assert_int_equal(end_of(&p).code, 0);
}

FL_TEST(worker_dies_alone)
{
	const struct {
		const fl_task_type *type;
		int arg, signal, code;
	} rows[] = {{&worker_dies, SIGSEGV, SIGSEGV, -1},
	            {&worker_dies, 3, 0, 3},
	            {&worker_writes_its_argument, 0, SIGSEGV, -1},
	            {&worker_leaves_a_child, 0, SIGABRT, -1}};
	PARENT(other);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		PARENT(p);
		(void)order(&p, &worker_doubles, &(int){4}, 1);
		const uint32_t fatal = order(&p, rows[i].type, &rows[i].arg, 1);
		const uint32_t queued = order(&p, &worker_doubles, &(int){5}, 1);
		fl_process_status status = end_of(&p);
		assert_int_equal(status.signal, rows[i].signal);
		assert_int_equal(status.code, rows[i].code);
		assert_succeeds(&p, 1);
		struct fl__reply reply;
		assert_int_equal(fl__lane_look(&p.lane, &reply), FL__LANE_NONE);
		assert_int_equal(fl__lane_fate(&p.lane, fatal), FL__LANE_STARTED);
		assert_int_equal(fl__lane_fate(&p.lane, queued), FL__LANE_QUEUED);
		(void)order(&other, &worker_doubles, &(int){6}, 1);
		assert_succeeds(&other, 1);
	}
}

/* What it cannot begin with. */

static void assert_unfit(struct parent *p, int error)
{
	parent_start(p);
	assert_int_equal(end_of(p).code, 1);
	assert_int_equal(fl__load_acquire(&p->lane.replies->state), FL__LANE_UNFIT);
	assert_int_equal(p->lane.replies->error, error);
	parent_end(p);
}

FL_TEST(worker_unfit_memory)
{
	struct parent p;
	parent_make(&p, sizeof(struct fl__orders) - 4096, sizeof(struct fl__replies));
	assert_unfit(&p, -EBADMSG);
	parent_make(&p, sizeof(struct fl__orders) + 4096, sizeof(struct fl__replies));
	assert_unfit(&p, -EBADMSG);
	parent_make(&p, sizeof(struct fl__orders), sizeof(struct fl__replies));
	p.lane.orders->magic++;
	assert_unfit(&p, -EPROTO);
	parent_make(&p, sizeof(struct fl__orders), sizeof(struct fl__replies));
	p.lane.orders->size++;
	assert_unfit(&p, -EPROTO);
	parent_make(&p, sizeof(struct fl__orders), sizeof(struct fl__replies));
	p.fds[p.n_fds++] = p.fds[FL__WORKER_ORDERS]; /* no region */
	assert_unfit(&p, -EPERM);
}

FL_TEST(worker_unfit_replies)
{
	struct parent p;
	parent_make(&p, sizeof(struct fl__orders), sizeof(struct fl__replies) - 4096);
	parent_start(&p);
	assert_int_equal(end_of(&p).code, 1);
	parent_end(&p);
	parent_make(&p, sizeof(struct fl__orders), sizeof(struct fl__replies));
	p.n_fds--; /* no bell */
	parent_start(&p);
	assert_int_equal(end_of(&p).code, 1);
	parent_end(&p);
}
