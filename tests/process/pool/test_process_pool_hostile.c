/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Workers that attack their executor by the channel and the doorbell. Each may spoil its own tasks;
 * the executor and other workers are not affected. test_process_pool_scribble.c has the shared
 * memory.
 */
#include "fl_process_pool_sizes.h"

#include "fd/passed_fds.h"

#include "process/pool/worker.h"

enum { APART = (64 << 10) + 64 };

PROCESS_POOL_SIZED(fine, 500, 1, 700, 1);
PROCESS_POOL_SIZED(fine_large, 8, 8, APART, 8);

/* In a worker: the descriptor with such a prefix in /proc/self/fd. */
static int find_fd(const char *name)
{
	char path[64], link[256];
	for (int fd = 3; fd < 64; fd++) {
		FL_TEXT(path, "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, link, sizeof link - 1);
		if (n > 0 && strncmp(link, name, strlen(name)) == 0)
			return fd;
	}
	return -1;
}

static int find_doorbell(void)
{
	return find_fd("anon_inode:[eventfd]");
}

static int find_channel(void)
{
	return find_fd("socket:");
}

/*
 * Two executors: the tasks of `good` must succeed whatever the tasks of `bad` do. The workers of
 * one executor share a doorbell.
 */
static void others_end_well(fl_executor *e, unsigned n)
{
	enum { AT_ONCE = 8 };
	fl_future *f[AT_ONCE];
	for (unsigned round = 0; round < n; round++) {
		FL_EACH (i, f)
			f[i] = process_pool_send(e, i % 2 ? &fine : &fine_large, round * AT_ONCE + i);
		FL_EACH (i, f) {
			/*
			 * As a context that only waits, and fetches nothing: the manager thread
			 * must be woken.
			 */
			FL_OK(FL_WAIT_ANY(FL_ON_FUTURE(f[i])));
			process_pool_receive(f[i], i % 2 ? &fine : &fine_large, round * AT_ONCE + i);
		}
	}
}

/* The doorbell. */

enum doorbell { RINGS, READS, BLOCKS_AND_FILLS, BLOCKS_AND_READS, CLOSES, DOORBELLS };

struct hostile {
	struct process_pool_gate *gate;
	int how;
};

static void abuse_doorbell(int doorbell, int how)
{
	uint64_t most = UINT64_MAX - 1, one = 1, n;
	switch (how) {
	case RINGS:
		FL_IGNORE(write(doorbell, &one, sizeof one));
		break;
	case BLOCKS_AND_FILLS: /* other writers would sleep */
		(void)fcntl(doorbell, F_SETFL, O_NONBLOCK);
		FL_IGNORE(write(doorbell, &most, sizeof most));
		(void)fcntl(doorbell, F_SETFL, 0);
		break;
	case BLOCKS_AND_READS: /* other readers would sleep */
		(void)fcntl(doorbell, F_SETFL, O_NONBLOCK);
		FL_IGNORE(read(doorbell, &n, sizeof n));
		(void)fcntl(doorbell, F_SETFL, 0);
		break;
	case CLOSES:
		(void)close(doorbell);
		break;
	default:
		FL_IGNORE(read(doorbell, &n, sizeof n));
	}
}

FL_TASK(process_pool_abuses_its_doorbell, struct hostile, int)
{
	const int doorbell = find_doorbell();
	FL_CHECK(doorbell >= 0);
	process_pool_enter(arg->gate);
	for (unsigned i = 0; !fl_shm_event_is_set(&arg->gate->open); i++) {
		abuse_doorbell(doorbell, arg->how);
		if (i % 16 == 0)
			sched_yield();
	}
	*result = 1;
	return 0;
}

static void with_doorbell(int how)
{
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = process_pool_with(2);
	struct process_pool_gate *gate = process_pool_gate();
	int unused;
	fl_future *f = FL_SUBMITTED(process_pool_abuses_its_doorbell, e, (struct hostile){gate, how});
	(void)process_pool_await(gate);
	others_end_well(e, fl_test_scaled(100));
	process_pool_open(gate);
	FL_OK(process_pool_abuses_its_doorbell_get(f, &unused));
	fl_future_free(f);
	others_end_well(e, 2);
}

FL_TEST(process_pool_hostile_rings)
{
	with_doorbell(RINGS);
}

FL_TEST(process_pool_hostile_takes_the_rings_of_others)
{
	with_doorbell(READS);
}

FL_TEST(process_pool_hostile_fills_a_doorbell_that_blocks)
{
	with_doorbell(BLOCKS_AND_FILLS);
}

FL_TEST(process_pool_hostile_empties_a_doorbell_that_blocks)
{
	if (!fl_test_reads_without_waiting())
		FL_SKIP(FL_TEST_READS_REASON);
	with_doorbell(BLOCKS_AND_READS);
}

/* As a task does that closes all it does not know. */
FL_TEST(process_pool_hostile_closes_its_doorbell)
{
	with_doorbell(CLOSES);
}

struct reopened {
	char path[64];
};

/* As a daemon that closes all descriptors, and then opens its file. */
FL_TASK(process_pool_reopens_its_doorbell, struct reopened, int)
{
	const int doorbell = find_doorbell(), file = open(arg->path, O_RDWR | O_CLOEXEC);
	*result = file;
	FL_CHECK(doorbell >= 0 && file >= 0 && dup2(file, doorbell) == doorbell);
	return 0;
}

FL_TEST(process_pool_writes_no_wake_into_a_file)
{
	PROCESS_POOL_LEAVES_NOTHING();
	struct reopened file = {"/tmp/fairlead-doorbell-XXXXXX"};
	const int fd = mkstemp(file.path);
	FL_CHECK(fd >= 0);
	fl_executor *e = process_pool_with(1);
	for (int i = 0; i < 3; i++) {
		fl_future *f = FL_SUBMITTED(process_pool_reopens_its_doorbell, e, file);
		FL_OK(FL_WAIT_ANY(FL_ON_FUTURE(f))); /* the manager thread sleeps until a wake */
		fl_future_free(f);
	}
	others_end_well(e, 2);
	fl_executor_free(e);
	FL_OK(lseek(fd, 0, SEEK_END));
	FL_OK(close(fd));
	FL_OK(unlink(file.path));
}

/* The channel. */

static void send_packet(int channel, const void *data, size_t size, const int *fds, unsigned n_fds, int flags)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(253 * sizeof(int))];
	} control;
	struct iovec part = {(void *)(uintptr_t)data, size}; /* cast: only read */
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (n_fds > 0) {
		memset(&control, 0, sizeof control);
		control.head = (struct cmsghdr){
		    .cmsg_len = CMSG_LEN(n_fds * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
		memcpy(CMSG_DATA(&control.head), fds, n_fds * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	FL_IGNORE(fl__passed_fds_send(channel, &message, flags | MSG_NOSIGNAL));
}

static int memory_of(size_t size, int seals)
{
	int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FL_CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

/* What is sent before the result, instead of it. */
enum forged {
	UNSEALED,
	NOT_AGAINST_WRITING,
	NOT_AGAINST_SHRINKING,
	TOO_SMALL,
	TOO_LARGE,
	EMPTY,
	A_FILE,
	A_FOLDER,
	A_PIPE,
	ZEROS_FOR_EVER,
	NO_FD,
	TWO_FDS,
	MANY_FDS,
	FORGED
};

static int forge(int how)
{
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	int ends[2], fd;
	switch (how) {
	case UNSEALED:
		return memory_of(APART, 0);
	case NOT_AGAINST_WRITING:
		return memory_of(APART, F_SEAL_SHRINK | F_SEAL_GROW);
	case NOT_AGAINST_SHRINKING:
		return memory_of(APART, F_SEAL_WRITE | F_SEAL_GROW);
	case TOO_SMALL:
		return memory_of(APART - 1, all);
	case TOO_LARGE:
		return memory_of(APART + 1, all);
	case EMPTY:
		return memory_of(0, all);
	case A_FILE:
		fd = fl_test_scratch();
		FL_OK(ftruncate(fd, APART));
		return fd;
	case A_FOLDER:
		return open("/", O_RDONLY | O_CLOEXEC);
	case A_PIPE:
		FL_OK(pipe2(ends, O_CLOEXEC));
		return ends[0];
	case ZEROS_FOR_EVER:
		return open("/dev/zero", O_RDONLY | O_CLOEXEC);
	default:
		return memory_of(APART, all);
	}
}

struct apart {
	unsigned char bytes[APART];
};

FL_TASK_STATIC(forges, int, struct apart)
{
	const struct fl__memfd_packet head = {FL__MEMFD_MAGIC, order_under_way(NULL), sizeof *result};
	const int fd = forge(*arg);
	int fds[253];
	FL_EACH (i, fds)
		fds[i] = fd;
	FL_CHECK(head.seq != 0);
	send_packet(find_channel(), &head, sizeof head, fds,
	            *arg == NO_FD      ? 0
	            : *arg == TWO_FDS  ? 2
	            : *arg == MANY_FDS ? 253
	                               : 1,
	            0);
	if (*arg == UNSEALED || *arg == NOT_AGAINST_SHRINKING)
		(void)ftruncate(fd, 0);
	(void)close(fd);
	return 0;
}

PROCESS_POOL_TEST(process_pool_hostile_forges_a_result, 1)
{
	for (int how = 0; how < FORGED; how++) {
		print_message("%d\n", how);
		fl_future *f = FL_SUBMITTED(forges, e, how);
		process_pool_fails(f, -EBADMSG, NULL);
		others_end_well(e, 1);
	}
}

/*
 * Invalid packets: of all sizes, with and without descriptors, for submissions that do not exist.
 */
static void send_junk(int channel, unsigned n)
{
	struct fl__memfd_packet head = {n % 3 == 0 ? FL__MEMFD_MAGIC : n, n % 5 == 0 ? order_under_way(NULL) + 1 : n,
	                                n};
	unsigned char large[4096] = {0};
	int fds[253];
	FL_EACH (i, fds)
		fds[i] = n % 2 ? channel : 0;
	memcpy(large, &head, sizeof head);
	const size_t sizes[] = {1, sizeof head - 1, sizeof head, sizeof head + 1, sizeof large};
	send_packet(channel, large, sizes[n % 5], fds, n % 7 == 0 ? 253 : n % 7, MSG_DONTWAIT);
}

FL_TASK_STATIC(sends_junk, unsigned, struct apart)
{
	const int channel = find_channel();
	FL_CHECK(channel >= 0);
	for (unsigned i = 0; i < 10; i++)
		send_junk(channel, *arg * 10 + i);
	process_pool_grow(result->bytes, sizeof result->bytes, *arg);
	return 0;
}

PROCESS_POOL_TEST(process_pool_hostile_sends_junk, 1)
{
	for (unsigned i = 0; i < 60; i++) {
		fl_future *f = FL_SUBMITTED(sends_junk, e, i);
		FL_OK(fl_future_wait(f));
		FL_RC(fl_future_error(f), 0); /* the result comes behind it */
		assert_true(process_pool_is_right(fl_future_result(f), APART, i));
		fl_future_free(f);
	}
}

/*
 * Threads that continue to send when the task has ended. A following result may come or not; or its
 * worker waits for space that it has taken itself, which only a timeout ends.
 */
static int flood(void *arg)
{
	for (unsigned i = 0;; i++)
		send_junk(*(int *)arg, i);
	return 0;
}

FL_TASK_STATIC(floods, int, struct apart)
{
	static int channel;
	channel = find_channel();
	/* The kernel counts the descriptors of the user's messages: all would go to this flood. */
	FL_OK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){64, 64}));
	for (int i = 0; i < *arg; i++) {
		fl_thread *thread;
		fl_test_go(&thread, flood, &channel);
		fl_thread_detach(thread);
	}
	return 0;
}

FL_TEST(process_pool_hostile_floods)
{
	PROCESS_POOL_LEAVES_NOTHING();
	for (int round = 0; round < 5; round++) {
		fl_executor *bad = FL_TEST_EXECUTOR(process, .workers = 1, .task_timeout = FL_MS(50));
		fl_executor *good = process_pool_with(1);
		fl_future *f = FL_SUBMITTED(floods, bad, 2);
		FL_OK(fl_future_wait(f));
		fl_future_free(f);
		for (unsigned i = 0; i < 20; i++) {
			f = process_pool_send(bad, &fine_large, i);
			FL_OK(fl_future_wait(f)); /* it ends, be it as it may */
			if (fl_future_error(f) == 0)
				assert_true(process_pool_is_right(fl_future_result(f), APART, i));
			fl_future_free(f);
			others_end_well(good, 1);
		}
		(void)fl_executor_terminate(bad);
		fl_executor_free(bad);
		fl_executor_free(good);
	}
}

FL_TASK_STATIC(closes_its_channel, void, struct apart)
{
	(void)close(find_channel());
	return 0;
}

FL_TEST(process_pool_hostile_closes_its_channel)
{
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .max_tasks = 3);
	fl_future *f = FL_SUBMITTED(closes_its_channel, e);
	FL_OK(fl_future_wait(f));
	assert_int_not_equal(fl_future_error(f), 0);
	fl_future_free(f);
	f = process_pool_send(e, &fine_large, 1); /* nothing large comes through any more */
	FL_OK(fl_future_wait(f));
	assert_int_not_equal(fl_future_error(f), 0);
	fl_future_free(f);
	process_pool_works(e);
	others_end_well(e, 1); /* the next worker */
}

FL_TASK_STATIC(keeps_without_a_channel, void, struct apart)
{
	(void)close(find_channel());
	fl_task_keep_result(ctx);
	return fl_task_fail(ctx, -EDOM, "kept");
}

/* A kept result that the worker cannot send is lost; the failure is not. */
FL_TEST(process_pool_hostile_loses_what_it_keeps)
{
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .max_tasks = 1);
	fl_future *f = FL_SUBMITTED(keeps_without_a_channel, e);
	process_pool_fails(f, -EDOM, "kept");
	process_pool_works(e);
}
