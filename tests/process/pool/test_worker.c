/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker of a process executor: places of arguments and results, chunks, and the environment of
 * tasks.
 */
#include "fl_worker.h"

#include "core/base/sys.h"

struct page {
	unsigned char bytes[4096];
};

FL_TASK(worker_inverts_page, struct page, struct page)
{
	for (size_t i = 0; i < sizeof arg->bytes; i++)
		result->bytes[i] += arg->bytes[i] ^ 0xff;
	return 0;
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

FL_TASK(worker_touches_nothing, struct large, struct large)
{
	return 0;
}

struct footprint {
	/* The latter of shared memory: a sanitizer's own come and go. */
	size_t descriptors, mappings;
};

FL_TASK(worker_measures_itself, void, struct footprint)
{
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof line, maps))
		result->mappings += strstr(line, "/memfd:") != NULL;
	if (maps)
		(void)fclose(maps);
	result->descriptors = fl_test_fds();
	return maps ? 0 : -ENOENT;
}

struct limit {
	int resource;
	rlim_t value;
};

FL_TASK(worker_limits_itself, struct limit, void)
{
	(void)fl_test_limit(arg->resource, arg->value);
	return 0;
}

FL_TASK(worker_looks_around, void, int)
{
	*result = raise(SIGTERM) == 0 && raise(SIGINT) == 0; /* neither ends the worker */
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

/* In large steps: ThreadSanitizer keeps but 65,536 calls. */
FL_TASK(worker_recurses, int, int)
{
	volatile char room[32 << 10];
	fl_future *f = NULL;
	room[0] = 1;
	int rc = fl_submit(fl_executor_current(), fl_task_find("worker_recurses"), &(int){*arg + 1}, &f);
	*result = *arg;
	if (rc == 0)
		rc = fl_future_get(f, result, sizeof *result);
	fl_future_free(f);
	return rc == -EOVERFLOW && room[0] == 1 ? 0 : rc;
}

/* What it does. */

FL_TEST(worker_runs_small)
{
	PARENT(p);
	const uint32_t first = order(&p, &worker_doubles, &(int){21}, 1);
	const uint32_t second = order(&p, &worker_doubles, &(int){5}, 1);
	(void)order(&p, &worker_has_nothing, NULL, 1);
	for (int i = 0; i < 3; i++)
		assert_succeeds(&p, 1);
	assert_int_equal(*(int *)small_result(&p, first), 42);
	assert_int_equal(*(int *)small_result(&p, second), 10);
	for (int i = 0; i < 5 * FL__RINGS_DEPTH; i++) /* what was there before does not count */
		assert_int_equal(int_of(&p, &worker_doubles, i), 2 * i);
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
		struct fl__submission *there = draft(&p, &worker_inverts_page, &page, 1);
		there->result = 64;
		(void)post(&p);
		assert_succeeds(&p, 1);
		assert_true(is_inverse(page.bytes, p.rings.completions->arena + 64, sizeof page));
	}
}

FL_TEST(worker_alignment)
{
	PARENT(p);
	assert_int_equal(fl__place_of(32, 32), FL__PLACE_SLOT);
	assert_int_equal(fl__place_of(33, 1), FL__PLACE_ARENA);
	assert_int_equal(fl__place_of(32, 64), FL__PLACE_ARENA);
	assert_int_equal(fl__place_of(FL__RINGS_INLINE_MOST, 64), FL__PLACE_ARENA);
	assert_int_equal(fl__place_of(FL__RINGS_INLINE_MOST + 1, 1), FL__PLACE_MEMFD);
	(void)order(&p, &worker_is_aligned, &(struct aligned){7}, 1);
	assert_succeeds(&p, 1);
	assert_int_equal(((struct aligned *)(void *)p.rings.completions->arena)->n, 7);
	draft(&p, &worker_is_aligned, &(struct aligned){7}, 1)->result = 32;
	assert_post_fails(&p, -EPROTO, "outside of its arena");
}

static struct footprint footprint(struct parent *p)
{
	struct footprint size;
	const uint32_t seq = order(p, &worker_measures_itself, NULL, 1);
	assert_succeeds(p, 1);
	memcpy(&size, small_result(p, seq), sizeof size);
	return size;
}

FL_TEST(worker_runs_apart)
{
	PARENT(p);
	static struct large large;
	memset(&large, 3, sizeof large);
	const size_t descriptors = fl_test_fds();
	const struct footprint before = footprint(&p);
	for (int round = 0; round < 20; round++) {
		/* Of a submission that was revoked. */
		send_apart(&p, p.rings.next - 1, "other", 6, 6);
		const uint32_t seq = order(&p, &worker_inverts_large, &large, 1);
		assert_succeeds_apart(&p);
		struct large *inverse = receive_result(&p, seq, sizeof *inverse);
		assert_true(is_inverse(large.bytes, inverse->bytes, sizeof large));
		FL_OK(munmap(inverse, sizeof *inverse));
	}
	large.bytes[0] = 0xff;
	(void)order(&p, &worker_inverts_large, &large, 1);
	assert_replies(&p, -EDOM, 0, 0);
	assert_nothing_received(&p); /* of one task that fails there is no result */
	assert_int_equal(fl_test_fds(), descriptors);
	const struct footprint after = footprint(&p);
	assert_int_equal(after.descriptors, before.descriptors);
	assert_true(before.mappings > 0);
	assert_int_equal(after.mappings, before.mappings);
}

static void assert_apart_fails(struct parent *p, size_t size, size_t said)
{
	struct fl__submission *there = draft(p, &worker_doubles, &(int){1}, 1);
	struct fl__task_identity identity;
	fl__task_identify(&worker_inverts_large, &identity);
	there->task = identity.id;
	there->check = fl__task_check(&identity);
	there->flags = FL__SUBMISSION_ARG_MEMFD | FL__SUBMISSION_RESULT_MEMFD;
	if (size > 0)
		send_apart(p, p->rings.next, &zeros, size, said);
	assert_post_fails(p, -EBADMSG, "the argument does not arrive");
	assert_nothing_received(p);
}

FL_TEST(worker_looks_before_it_maps)
{
	PARENT(p);
	assert_apart_fails(&p, 0, 0); /* nothing came */
	assert_apart_fails(&p, 4096, sizeof(struct large));
	assert_apart_fails(&p, sizeof(struct large), 4096);
	draft(&p, &worker_inverts_page, &(struct page){{0}}, 1)->arg = FL__RINGS_ARENA - 4095;
	assert_post_fails(&p, -EPROTO, "the argument is outside of its arena");
	draft(&p, &worker_inverts_page, &(struct page){{0}}, 1)->result = UINT32_MAX;
	assert_post_fails(&p, -EPROTO, "the result is to be outside of its arena");
	draft(&p, &worker_doubles, &(int){0}, 1)->flags = FL__SUBMISSION_ARG_MEMFD;
	assert_post_fails(&p, -EPROTO, "the argument is where none should be");
	draft(&p, &worker_doubles, &(int){0}, 1)->flags = FL__SUBMISSION_RESULT_MEMFD;
	assert_post_fails(&p, -EPROTO, "the result is to be where none should be");
	draft(&p, &worker_doubles, &(int){0}, 1)->count = UINT32_MAX;
	assert_post_fails(&p, -EPROTO, "too large");
	assert_int_equal(int_of(&p, &worker_doubles, 1), 2); /* it goes on */
}

/* An error comes before the task, and not in the midst of it when there is no memory for a page. */
FL_TEST(worker_has_all_of_a_result_before_the_task)
{
	PARENT(p);
	struct fl__memfd_packet head;
	struct stat info;
	int fd;
	unsigned n = 1;
	size_t size;
	(void)order(&p, &worker_touches_nothing, &zeros, 1);
	assert_succeeds_apart(&p);
	FL_OK(fl__packet_recv(p.channel, &head, sizeof head, &size, &fd, &n, 0));
	FL_OK(fstat(fd, &info));
	FL_OK(close(fd));
	assert_true((size_t)info.st_blocks * 512 >= sizeof zeros);
}

/* More than there is room for in the arena. */
enum { MANY = 1 << 16 };
static const int one_wrong[MANY] = {[MANY / 2] = -1};

FL_TEST(worker_cannot_send_a_result)
{
	PARENT(p);
	FL_OK(shutdown(p.channel, SHUT_RD));
	const uint32_t seq = order(&p, &worker_inverts_large, &zeros, 1);
	FL_WAIT_FOR(fl__load_acquire(&p.rings.completions->entry[slot_of(seq)].done) == seq);
	assert_int_equal(p.rings.completions->entry[slot_of(seq)].count, 0);
	assert_fails(&p, -EPIPE, "the result cannot be sent");
	/* Even of a failed one only as many elements run as arrive. */
	(void)order(&p, &worker_doubles, one_wrong, MANY);
	assert_replies(&p, -ERANGE, FL__COMPLETION_MESSAGE, 0);
}

FL_TEST(worker_out_of_memory_and_descriptors)
{
	PARENT(p);
	const struct {
		struct limit limit;
		int error;
		const char *message;
	} rows[] = {{{RLIMIT_FSIZE, 4096}, -EFBIG, "no memory for the result"},
	            {{RLIMIT_NOFILE, 0}, -EMFILE, "the argument does not arrive"}};
	FL_EACH (i, rows) {
		(void)order(&p, &worker_limits_itself, &rows[i].limit, 1);
		assert_succeeds(&p, 1);
		(void)order(&p, &worker_inverts_large, &zeros, 1);
		assert_fails(&p, rows[i].error, rows[i].message);
		assert_nothing_received(&p);
		assert_int_equal(int_of(&p, &worker_doubles, 1), 2);
	}
}

FL_TEST(worker_runs_chunks)
{
	PARENT(p);
	int args[100], results[100];
	for (int i = 0; i < 100; i++)
		args[i] = i;
	(void)order(&p, &worker_doubles, args, 100);
	assert_succeeds(&p, 100);
	memcpy(results, p.rings.completions->arena, sizeof results);
	for (int i = 0; i < 100; i++)
		assert_int_equal(results[i], 2 * i);
	args[50] = -1;
	(void)order(&p, &worker_doubles, args, 100);
	assert_replies(&p, -ERANGE, FL__COMPLETION_MESSAGE, 50);
	assert_string_equal(p.rings.completions->message[slot_of(p.rings.first - 1)], "-1 is negative");
	memcpy(results, p.rings.completions->arena, sizeof results);
	assert_int_equal(results[49], 98);
	assert_int_equal(results[50], -2); /* what it left there */
	assert_int_equal(results[51], 0);
}

FL_TASK_STATIC(worker_keeps, int, int)
{
	*result = -*arg;
	fl_task_keep_result(ctx);
	return *arg < 0 ? -ERANGE : 0;
}

FL_TASK_STATIC(worker_keeps_large, int, struct large)
{
	memset(result, *arg, sizeof *result);
	fl_task_keep_result(ctx);
	return -ERANGE;
}

FL_TEST(worker_says_that_a_result_is_kept)
{
	PARENT(p);
	const int args[3] = {1, 2, -3}, fill = 7;
	uint32_t seq = order(&p, &worker_keeps, args, 3);
	assert_replies(&p, -ERANGE, FL__COMPLETION_KEPT, 2);
	assert_int_equal(((const int *)small_result(&p, seq))[2], 3);
	(void)order(&p, &worker_keeps, args, 2);
	assert_succeeds(&p, 2); /* a success keeps nothing */
	seq = order(&p, &worker_keeps_large, &fill, 1);
	assert_replies(&p, -ERANGE, FL__COMPLETION_KEPT | FL__COMPLETION_MEMFD, 0);
	struct large *large = receive_result(&p, seq, sizeof *large);
	assert_int_equal(large->bytes[sizeof large->bytes - 1], 7);
	FL_OK(munmap(large, sizeof *large));
}

FL_TEST(worker_chunk_apart_that_fails)
{
	PARENT(p);
	const uint32_t seq = order(&p, &worker_doubles, one_wrong, MANY);
	assert_replies(&p, -ERANGE, FL__COMPLETION_MESSAGE | FL__COMPLETION_MEMFD, MANY / 2);
	int *results = receive_result(&p, seq, sizeof one_wrong);
	assert_int_equal(results[MANY / 2], -2);
	FL_OK(munmap(results, sizeof one_wrong));
}

FL_TEST(worker_unknown_tasks)
{
	PARENT(p);
	draft(&p, &worker_doubles, &(int){1}, 1)->task++;
	assert_post_fails(&p, -ENOENT, "not registered");
	draft(&p, &worker_doubles, &(int){1}, 1)->check++;
	assert_post_fails(&p, -EPROTO, "worker_doubles of the worker is of another version or build");
	send_apart(&p, p.rings.next, "12345678", 8, 8); /* its memory does not stay */
	draft(&p, &worker_doubles, &(int){1}, 1)->task++;
	p.rings.submissions->entry[slot_of(p.rings.next)].flags = FL__SUBMISSION_ARG_MEMFD;
	assert_post_fails(&p, -ENOENT, "not registered");
	assert_int_equal(fl__fd_waiting(p.fds[FL__WORKER_CHANNEL]), 0);
	assert_int_equal(int_of(&p, &worker_doubles, 1), 2);
}

/* Around it. */

FL_TEST(worker_is_as_a_thread_to_its_tasks)
{
	PARENT(p);
	assert_int_equal(int_of(&p, &worker_looks_around, 0), 1);
}

FL_TEST(worker_attaches_regions)
{
	FL_SCOPED(fl_shm) *region = NULL;
	FL_OK(fl_shm_create(&region, 4096));
	int *there = fl_shm_alloc(region, sizeof *there);
	*there = 4711;
	FL_OK(fl_shm_set_root(region, fl_shm_offset_of(region, there)));
	__attribute__((cleanup(parent_end))) struct parent p;
	parent_make(&p, sizeof(struct fl__submission_ring), sizeof(struct fl__completion_ring));
	p.fds[p.n_fds++] = fl_shm_fd(region);
	parent_start(&p);
	parent_hear(&p);
	assert_int_equal(int_of(&p, &worker_reads_region, 0), 4711);
}

FL_TEST(worker_runs_nested_tasks_at_once)
{
	PARENT(p);
	assert_int_equal(int_of(&p, &worker_nests, 10), 40);
	assert_true(int_of(&p, &worker_recurses, 1) > 10);
}

FL_TEST(worker_rings_when_armed)
{
	PARENT(p);
	uint64_t ring_count = 0;
	fl__rings_arm(&p.rings, 1);
	(void)order(&p, &worker_has_nothing, NULL, 1);
	assert_true(process_readable(p.fds[FL__WORKER_DOORBELL], 60000));
	FL_CHECK(read(p.fds[FL__WORKER_DOORBELL], &ring_count, sizeof ring_count) == sizeof ring_count);
	assert_int_equal(ring_count, 1);
	assert_succeeds(&p, 1);
}

FL_TEST(worker_says_when_it_began)
{
	PARENT(p);
	const int64_t before = fl_now();
	draft(&p, &worker_doubles, &(int){1}, 1)->flags |= FL__SUBMISSION_TIMED;
	(void)post(&p);
	struct fl__completion reply = await(&p);
	assert_true(reply.began >= before && reply.began <= fl_now());
}

static int (*real_fill)(int fd, uint64_t at, uint64_t size);

/* As older kernels on a thread that signals interrupt often: each signal undoes the call. */
static int fill_little(int fd, uint64_t at, uint64_t size)
{
	return size > 64 << 10 ? -EINTR : real_fill(fd, at, size);
}

FL_TEST(worker_memory_is_allocated_in_steps)
{
	FL_NEEDS(FL_TEST_MEMFD);
	const int fd = fl__shm_sys.memory();
	uint64_t size = 0;
	assert_true(fd >= 0);
	real_fill = fl__shm_sys.fill;
	fl__shm_sys.fill = fill_little;
	const int rc = fl__memfd_allocate(fd, 1 << 20);
	fl__shm_sys.fill = real_fill;
	FL_OK(rc);
	FL_OK(fl__shm_sys.size(fd, &size));
	assert_int_equal(size, 1 << 20);
	FL_OK(close(fd));
}
