/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes as arguments and results of tasks in processes: each place, each way to make them, deaths,
 * and workers that lie about them.
 */
#include "fl_process_pool_faults.h"
#include "fl_process_pool_sizes.h"

#include "process/base/packet.h"
#include "process/pool/worker.h"

enum { K64 = 64 << 10, MIB = 1 << 20, MIB64 = 64 << 20 };

enum way {
	IN_PLACE,
	GROWN,
	SHRUNK,
	TWICE,    /* allocates the result again */
	MOVED,    /* its first memory is another handle's for a while */
	ASSIGNED, /* made elsewhere */
	ADOPTED,
	BORROWED,
	WAYS
};

enum then { SUCCEEDS, FAILS, KEEPS, DIES };

struct order {
	size_t size;
	uint64_t seed;
	enum way way;
	enum then then;
	int *starts; /* counts them, if not NULL */
};

static void free_adopted(void *data, void *user)
{
	FL_CHECK(user == &free_adopted); /* cast: a mark */
	free(data);
}

static int append_pieces(fl_bytes *b, const unsigned char *bytes, size_t size)
{
	size_t piece = 1;
	int rc = fl_bytes_alloc(b, 0, 1);
	for (size_t at = 0; rc == 0 && at < size; at += piece, piece *= 3) {
		piece = piece < size - at ? piece : size - at;
		rc = fl_bytes_append(b, bytes + at, piece);
	}
	return rc;
}

static int make_bytes(const struct order *o, fl_bytes *result)
{
	fl_bytes other = {0};
	int rc = o->way == IN_PLACE ? fl_bytes_alloc(result, o->size, 1) : 0;
	if (rc == 0 && o->way == IN_PLACE)
		process_pool_grow(result->data, o->size, o->seed);
	if (o->way == IN_PLACE)
		return rc;
	unsigned char *bytes = process_pool_bytes(o->size > 0 ? o->size : 1, o->seed);
	switch (o->way) {
	case GROWN:
		rc = append_pieces(result, bytes, o->size);
		break;
	case SHRUNK:
		rc = fl_bytes_alloc(result, o->size + 1, 2);
		if (rc == 0)
			memcpy(result->data, bytes, o->size);
		if (rc == 0)
			rc = fl_bytes_resize(result, o->size);
		break;
	case MOVED:
		rc = fl_bytes_alloc(result, o->size, 1);
		other = *result;
		*result = (fl_bytes){0};
		break;
	case TWICE:
		rc = fl_bytes_alloc(result, o->size / 2, 1);
		break;
	case ADOPTED:
		/* cast: a mark */
		rc = fl_bytes_adopt(result, bytes, o->size, free_adopted, (void *)(uintptr_t)&free_adopted);
		return rc;
	case BORROWED: {
		static void *lasting;
		free(lasting);
		lasting = bytes;
		*result = (fl_bytes){.data = bytes, .size = o->size};
		return 0;
	}
	default:
		break;
	}
	if (rc == 0 && o->way != GROWN && o->way != SHRUNK) {
		fl_bytes *to = o->way == ASSIGNED ? &other : result;
		rc = fl_bytes_alloc(to, o->size, 1);
		if (rc == 0)
			memcpy(to->data, bytes, o->size);
		if (o->way == ASSIGNED)
			*result = other;
		if (o->way == MOVED)
			fl_bytes_free(&other);
	}
	free(bytes);
	return rc;
}

FL_TASK_STATIC(pool_makes, struct order, fl_bytes)
{
	if (arg->starts)
		process_pool_count(arg->starts);
	int rc = make_bytes(arg, result);
	if (rc == 0 && arg->then == DIES)
		(void)raise(SIGKILL);
	if (rc == 0 && arg->then == KEEPS)
		fl_task_keep_result(ctx);
	return rc != 0 ? rc : arg->then != SUCCEEDS ? -EIO : 0;
}

FL_TASK_STATIC(pool_echoes, fl_bytes, fl_bytes)
{
	if (!arg->data)
		return 0;
	if ((uintptr_t)arg->data % 64 != 0 || ((const char *)arg->data)[arg->size] != 0)
		return -EFAULT;
	return fl_bytes_ref(result, arg);
}

struct page {
	fl_bytes text;
	uint64_t seed;
	char rest[100];
};

FL_TASK_STATIC(pool_copies_pages, struct page, struct page, .drop_arg = FL_BYTES_DROP, .drop_result = FL_BYTES_DROP)
{
	result->seed = arg->seed;
	memcpy(result->rest, arg->rest, sizeof result->rest);
	return fl_bytes_append(&result->text, arg->text.data, arg->text.size);
}

static bool is_bytes(const fl_bytes *b, size_t size, uint64_t seed)
{
	return b->data && b->size == size && (uintptr_t)b->data % 64 == 0 && ((const char *)b->data)[size] == 0 &&
	       process_pool_is_right(b->data, size, seed);
}

static void expect_bytes(fl_bytes *b, size_t size, uint64_t seed)
{
	if (b->size != size)
		print_error("%zu bytes in place of %zu\n", b->size, size);
	assert_true(is_bytes(b, size, seed));
	if (size > 0)
		((char *)b->data)[size - 1] ^= 1; /* may be written */
	fl_bytes_free(b);
}

static const size_t sizes[] = {0,    1,        8,       63,  64,      65,          100,     4095,     4096,
                               4097, 3 * 4096, K64 - 1, K64, K64 + 1, 2 * K64 - 1, 2 * K64, MIB + 10, 5 * MIB};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static fl_future *send_order(fl_executor *e, struct order o)
{
	return FL_SUBMITTED(pool_makes, e, o);
}

static fl_future *send_bytes(fl_executor *e, size_t size, uint64_t seed, enum way way)
{
	return send_order(e, (struct order){size, seed, way, SUCCEEDS, NULL});
}

static void receive_bytes(fl_future *f, size_t size, uint64_t seed)
{
	fl_bytes b = {0};
	FL_OK(fl_future_wait(f));
	if (fl_future_error(f) != 0)
		print_error("%zu bytes: %s\n", size, fl_future_message(f));
	FL_OK(pool_makes_get(f, &b));
	fl_future_free(f);
	expect_bytes(&b, size, seed);
}

static void made_right(fl_executor *e, size_t size, uint64_t seed, enum way way)
{
	receive_bytes(send_bytes(e, size, seed, way), size, seed);
}

PROCESS_POOL_TEST(process_pool_bytes_of_every_size_made_in_every_way, 1)
{
	for (int way = 0; way < WAYS; way++)
		for (unsigned i = 0; i < 2 * SIZES; i++) {
			const size_t size = sizes[i < SIZES ? i : 2 * SIZES - 1 - i]; /* up, and down */
			made_right(e, size, i, way);
		}
}

/* Large enough to be made where the parent maps them. */
PROCESS_POOL_TEST(process_pool_bytes_of_64_mib, 1)
{
	for (int way = 0; way < WAYS; way++)
		made_right(e, MIB64 - way, way, way);
}

/* Leaves a handle of its result elsewhere, or a copy. */
FL_TASK_STATIC(pool_keeps, size_t, fl_bytes)
{
	static fl_bytes kept;
	fl_bytes_free(&kept);
	const int rc = fl_bytes_alloc(result, *arg, 1);
	if (rc != 0)
		return rc;
	memset(result->data, 'k', *arg);
	if (*arg % 2 == 0)
		return fl_bytes_ref(&kept, result);
	kept = *result;
	*result = (fl_bytes){0};
	return 0;
}

PROCESS_POOL_TEST(process_pool_bytes_kept_by_their_task, 1)
{
	for (int round = 0; round < 3; round++)
		for (size_t size = 15; size < MIB64; size = 4 * (size + 1) - 1) {
			fl_bytes b = {0};
			fl_future *f = FL_SUBMITTED(pool_keeps, e, size + 1); /* a copy */
			FL_OK(pool_keeps_get(f, &b));
			assert_int_equal(b.size, size + 1);
			fl_bytes_free(&b);
			fl_future_free(f);
			FL_OK(pool_keeps_submit(e, size, &f));
			FL_OK(fl_future_wait(f));
			if (fl_future_error(f) != 0)
				process_pool_fails(f, -EBUSY, "has kept a handle");
			else
				fl_future_free(f);
		}
}

PROCESS_POOL_TEST(process_pool_bytes_of_every_size_at_once, 2)
{
	enum { TASKS = 40 * SIZES };
	fl_future *f[TASKS];
	FL_EACH (i, f)
		f[i] = send_bytes(e, sizes[i * 7 % (SIZES - 2)], i, i % WAYS);
	FL_EACH (i, f)
		receive_bytes(f[i], sizes[i * 7 % (SIZES - 2)], i);
}

PROCESS_POOL_TEST(process_pool_bytes_come_and_go, 1)
{
	for (unsigned k = 0; k < 4 * SIZES; k++) { /* soon, in memory that was used before */
		const unsigned i = k * 7 % SIZES;
		unsigned char *bytes = process_pool_bytes(sizes[i] > 0 ? sizes[i] : 1, i);
		fl_bytes got = {0};
		fl_future *f = FL_SUBMITTED(pool_echoes, e, (fl_bytes){.data = bytes, .size = sizes[i]});
		free(bytes); /* it was copied */
		FL_OK(pool_echoes_get(f, &got));
		fl_future_free(f);
		expect_bytes(&got, sizes[i], i);
		FL_OK(pool_echoes_submit(e, (fl_bytes){0}, &f));
		FL_OK(pool_echoes_get(f, &got));
		assert_null(got.data);
		fl_future_free(f);
	}
}

static int busy_seal(int fd)
{
	static unsigned seals;
	return ++seals % 3 ? -EBUSY : fl_test_real_fd_sys.seal(fd);
}

/* The kernel holds a page of the argument's memfd for a while. */
FL_TEST(process_pool_bytes_sealed_at_the_third_try)
{
	FL_NEEDS(FL_TEST_MEMFD);
	PROCESS_POOL_LEAVES_NOTHING();
	FL_FD_FAULTS();
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	unsigned char *bytes = process_pool_bytes(MIB, 1);
	fl_bytes got = {0};
	fl__fd_sys.seal = busy_seal;
	fl_future *f = FL_SUBMITTED(pool_echoes, e, (fl_bytes){.data = bytes, .size = MIB});
	free(bytes);
	FL_OK(pool_echoes_get(f, &got));
	fl_future_free(f);
	expect_bytes(&got, MIB, 1);
}

/* Structs that begin with bytes; their images and their rooms cross each boundary. */
FL_TEST(process_pool_bytes_of_chunks)
{
	enum { N = 3000 };
	PROCESS_POOL_LEAVES_NOTHING();
	static const size_t chunks[] = {1, 2, 7, 64, 500, 0};
	static const size_t mixes[][4] = {{0, 1, 2, 3}, {64, 64, 64, 64}, {100, 4000, 7, 900}, {K64 + 1, 10, 300, 1}};
	FL_SCOPED(fl_executor) *e = process_pool_with(2);
	struct page *in = calloc(N, sizeof *in), *out = calloc(N, sizeof *out);
	FL_CHECK(in && out);
	FL_EACH (k, chunks)
		FL_EACH (m, mixes) {
			const size_t n = m == 3 ? 100 : N;
			for (size_t i = 0; i < n; i++) {
				const size_t size = mixes[m][i % 4];
				in[i] = (struct page){.seed = i};
				memset(in[i].rest, (int)i, sizeof in[i].rest);
				in[i].text = (fl_bytes){.data = process_pool_bytes(size + 1, i), .size = size};
			}
			FL_OK(pool_copies_pages_map(e, in, n, out, &(fl_map_config){.chunk = chunks[k]}));
			for (size_t i = 0; i < n; i++) {
				assert_int_equal(out[i].seed, i);
				assert_memory_equal(out[i].rest, in[i].rest, sizeof in[i].rest);
				free(in[i].text.data);
				if (mixes[m][i % 4] > 0 || out[i].text.data)
					expect_bytes(&out[i].text, mixes[m][i % 4], i);
			}
		}
	free(in);
	free(out);
}

/* Only the element that keeps its memory fails; none of the memfds that were sent is left. */
PROCESS_POOL_TEST(process_pool_bytes_kept_in_chunks, 1)
{
	const size_t orders[2] = {2 * K64, 20 * MIB + 1};
	for (int round = 0; round < 3 * FL__RINGS_DEPTH; round++) {
		fl_bytes made[2] = {0};
		fl_map_error error;
		FL_RC(pool_keeps_map(e, orders, 2, made, &(fl_map_config){.chunk = 2, .error = &error}), FL_ETASK);
		assert_int_equal(error.index, 1);
		assert_int_equal(error.error, -EBUSY);
		assert_int_equal(made[0].size, orders[0]);
		fl_bytes_free(&made[0]);
		assert_null(made[1].data);
	}
}

FL_TASK_STATIC(pool_measures, fl_bytes, size_t)
{
	*result = arg->size;
	return 0;
}

/* The array of handles has a bound. */
PROCESS_POOL_TEST(process_pool_bytes_of_long_chunks, 1)
{
	enum { N = 5000 };
	fl_bytes *in = calloc(N, sizeof *in);
	size_t *out = calloc(N, sizeof *out);
	FL_CHECK(in && out);
	for (size_t i = 0; i < N; i++)
		in[i] = (fl_bytes){.data = out, .size = i % 9};
	FL_OK(pool_measures_map(e, in, N, out, &(fl_map_config){.chunk = N}));
	for (size_t i = 0; i < N; i++)
		assert_int_equal(out[i], i % 9);
	free(in);
	free(out);
}

struct line {
	char bytes[64];
};

FL_TASK_STATIC(pool_fills_a_line, void, struct line)
{
	memset(result, 'l', sizeof *result);
	return 0;
}

/* The largest array and its room, when the arena is empty and its head in the midst. */
PROCESS_POOL_TEST(process_pool_bytes_in_the_midst_of_the_arena, 1)
{
	enum { N = K64 / sizeof(fl_bytes), LINES = FL__RINGS_ARENA / 2 / sizeof(struct line) };
	struct order *orders = calloc(N, sizeof *orders);
	fl_bytes *made = calloc(N, sizeof *made);
	FL_CHECK(orders && made);
	for (unsigned i = 0; i < N; i++)
		orders[i] = (struct order){40, i, IN_PLACE, SUCCEEDS, NULL};
	receive_bytes(send_order(e, orders[0]), 40, 0); /* a room of one line */
	for (size_t i = 1; i < LINES; i++)
		process_pool_call(e, &pool_fills_a_line, NULL, &(struct line){{0}});
	FL_OK(pool_makes_map(e, orders, N, made, &(fl_map_config){.chunk = N}));
	for (unsigned i = 0; i < N; i++)
		expect_bytes(&made[i], 40, i);
	free(orders);
	free(made);
}

/* Sizes whose sum overflows. */
PROCESS_POOL_TEST(process_pool_bytes_of_bogus_sizes, 1)
{
	unsigned char *bytes = process_pool_bytes(4 * K64, 1);
	for (size_t less = 4 * K64 - MIB / 1024; less < 4 * K64 + MIB / 1024; less += 64) {
		const fl_bytes in[2] = {{.data = bytes, .size = 4 * K64}, {.data = bytes, .size = SIZE_MAX - less}};
		size_t out[2];
		fl_map_error error;
		FL_RC(pool_measures_map(e, in, 2, out, &(fl_map_config){.chunk = 2, .error = &error}), FL_ETASK);
		assert_int_equal(error.error, -E2BIG);
	}
	free(bytes);
	process_pool_works(e);
}

static bool child_succeeds(pid_t child)
{
	int status = -1;
	return waitpid(child, &status, 0) == child && status == 0;
}

/* A child of a task makes bytes of its own, before and after the task has made its result. */
static bool child_makes(size_t size)
{
	fl_bytes own = {0};
	const pid_t child = fork();
	if (child == 0) {
		if (fl_bytes_alloc(&own, size, 1) != 0)
			_exit(1);
		memset(own.data, 'c', size);
		fl_bytes_free(&own);
		_exit(0);
	}
	return child_succeeds(child);
}

FL_TASK_STATIC(pool_forks, struct order, fl_bytes)
{
	if (!child_makes(arg->size))
		return -ECHILD;
	const int rc = make_bytes(arg, result);
	return rc == 0 && !child_makes(arg->size) ? -ECHILD : rc;
}

FL_TEST(process_pool_bytes_of_a_child_are_its_own)
{
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	static const size_t lengths[] = {100, 20000, 20 * MIB};
	FL_EACH (i, lengths) {
		fl_future *f = FL_SUBMITTED(pool_forks, e, ((struct order){lengths[i], 0, IN_PLACE, SUCCEEDS, NULL}));
		receive_bytes(f, lengths[i], 0);
	}
}

struct lower {
	int resource;
	rlim_t to;
};

FL_TASK_STATIC(pool_lowers, struct lower, void)
{
	(void)fl_test_limit(arg->resource, arg->to);
	return 0;
}

/* Asks for much, which leaves what there was. */
FL_TASK_STATIC(pool_asks_for_much, int, fl_bytes)
{
	const int rc = fl_bytes_append(result, "kept", 4);
	return rc != 0 ? rc : fl_bytes_alloc(result, 20 * MIB, 1) == *arg ? 0 : -EILSEQ;
}

/* The errors of fl_bytes_alloc(). */
PROCESS_POOL_TEST(process_pool_bytes_stay_when_there_are_no_more, 1)
{
	static const int errors[] = {-EFBIG, -EMFILE, -ENFILE, -ENOMEM};
	process_pool_works(e);
	FL_EACH (i, errors) {
		fl_bytes b = {0};
		process_pool_fail(i == 0 ? PROCESS_POOL_FILL : PROCESS_POOL_MESSAGE_MEMORY, PROCESS_POOL_IN_WORKER, 0,
		                  1, errors[i]);
		fl_future *f = FL_SUBMITTED(pool_asks_for_much, e, errors[i]);
		FL_OK(pool_asks_for_much_get(f, &b));
		(void)process_pool_heal();
		assert_string_equal(b.data, "kept");
		fl_bytes_free(&b);
		fl_future_free(f);
	}
}

static int (*sealed_size_before)(int fd, int64_t *size);
static int64_t largest_memfd;

static int note_sealed_size(int fd, int64_t *size)
{
	const int rc = sealed_size_before(fd, size);
	if (rc == 0 && *size > largest_memfd)
		largest_memfd = *size;
	return rc;
}

/* A memfd has no memory of results that came to nothing. */
FL_TEST(process_pool_bytes_shrink_their_memfd)
{
	PROCESS_POOL_LEAVES_NOTHING();
	const struct order orders[2] = {{2 * K64, 1, IN_PLACE, SUCCEEDS, NULL}, {20 * MIB, 2, IN_PLACE, FAILS, NULL}};
	fl_bytes made[2] = {0};
	sealed_size_before = fl__fd_sys.sealed_size;
	fl__fd_sys.sealed_size = note_sealed_size;
	fl_executor *e = process_pool_with(1);
	FL_RC(pool_makes_map(e, orders, 2, made, &(fl_map_config){.chunk = 2}), FL_ETASK);
	fl_executor_free(e);
	fl__fd_sys.sealed_size = sealed_size_before;
	assert_int_equal(largest_memfd, 2 * K64 + 1);
	expect_bytes(&made[0], 2 * K64, 1);
}

static int (*memfd_before)(void);
static int memfds;

static int note_memfd(void)
{
	fl__add_relaxed(&memfds, 1);
	return memfd_before();
}

/* Few of them wait for the worker in memory of their own. */
FL_TEST(process_pool_bytes_wait_without_copies)
{
	PROCESS_POOL_LEAVES_NOTHING();
	fl_future *f[FL__RINGS_DEPTH];
	memfd_before = fl__fd_sys.memfd;
	fl__fd_sys.memfd = note_memfd;
	fl_executor *e = process_pool_with(1);
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *held = process_pool_hold(e, gate);
	void *bytes = process_pool_bytes(2 * MIB, 1);
	FL_EACH (i, f)
		FL_OK(pool_echoes_submit(e, (fl_bytes){.data = bytes, .size = 2 * MIB}, &f[i]));
	FL_IN_RANGE(fl__load_relaxed(&memfds), 1, 2);
	process_pool_open(gate);
	process_pool_let_go(gate, held);
	FL_EACH (i, f)
		receive_bytes(f[i], 2 * MIB, 1);
	fl_executor_free(e);
	fl__fd_sys.memfd = memfd_before;
	assert_int_equal(memfds, FL__RINGS_DEPTH);
	free(bytes);
}

/* Futures and handles; the executor goes first. */
FL_TEST(process_pool_bytes_outlive_their_executor)
{
	PROCESS_POOL_LEAVES_NOTHING();
	fl_executor *e = process_pool_with(1);
	fl_future *f[2 * SIZES];
	fl_bytes b[SIZES] = {0};
	FL_EACH (i, f)
		f[i] = send_bytes(e, sizes[i / 2], i / 2, IN_PLACE);
	FL_EACH (i, b)
		FL_OK(pool_makes_get(f[2 * i], &b[i]));
	fl_executor_free(e);
	FL_EACH (i, f) {
		if (i % 2 == 0)
			expect_bytes(&b[i / 2], sizes[i / 2], i / 2);
		fl_future_free(f[i]); /* one in two was not taken */
	}
}

PROCESS_POOL_TEST(process_pool_bytes_of_tasks_that_fail, 1)
{
	FL_EACH (i, sizes) {
		fl_bytes b = {0};
		process_pool_fails(send_order(e, (struct order){sizes[i], i, i % WAYS, FAILS, NULL}), -EIO, NULL);
		fl_future *f = send_order(e, (struct order){sizes[i], i, i % WAYS, KEEPS, NULL});
		FL_RC(pool_makes_get(f, &b), FL_ETASK);
		fl_future_free(f);
		expect_bytes(&b, sizes[i], i);
	}
}

/* In a chunk: the elements before the failed or killed one keep their bytes. */
PROCESS_POOL_TEST(process_pool_bytes_of_chunks_that_break, 1)
{
	enum { N = 20 };
	for (int then = FAILS; then <= DIES; then++)
		for (unsigned bad = 0; bad < N; bad += 3) {
			struct order orders[N];
			fl_imap *it = NULL;
			FL_EACH (i, orders)
				orders[i] = (struct order){sizes[(i * 5 + bad) % SIZES], i, i % WAYS,
				                           i == bad ? (enum then)then : SUCCEEDS, NULL};
			FL_OK(pool_makes_imap(e, orders, N, &it, &(fl_imap_config){.chunk = 10}));
			FL_EACH (i, orders) {
				fl_bytes b = {0};
				const int rc = pool_makes_imap_next(it, NULL, &b);
				const bool fails = i >= bad && i / 10 == bad / 10;
				FL_RC(rc, fails ? FL_ETASK : 0);
				if (!fails || (i == bad && then == KEEPS))
					expect_bytes(&b, orders[i].size, i);
			}
			fl_imap_free(it);
		}
}

static fl_task_type pool_makes_again; /* with attempts */
static fl_task_entry again_entry = {&pool_makes_again, 0};

__attribute__((constructor(FL__TASK_PRIORITY))) static void register_again(void)
{
	pool_makes_again = pool_makes;
	pool_makes_again.name = "pool_makes_again";
	pool_makes_again.max_attempts = 3;
	fl_task_register(&again_entry);
}

/* The second element dies three times; each attempt's first result is freed. */
FL_TEST(process_pool_bytes_of_attempts)
{
	PROCESS_POOL_LEAVES_NOTHING();
	for (size_t size = 10; size < 2 * MIB; size *= 100) {
		int *starts = process_pool_counters(1);
		const struct order orders[] = {{size, 1, IN_PLACE, SUCCEEDS, starts},
		                               {size, 2, IN_PLACE, DIES, starts}};
		FL_SCOPED(fl_executor) *e = process_pool_with(1);
		fl_imap *it = NULL;
		fl_bytes b = {0};
		FL_OK(fl_imap_create(&it, e, &pool_makes_again, orders, 2, &(fl_imap_config){.chunk = 2}));
		FL_OK(fl_imap_next(it, NULL, &b));
		expect_bytes(&b, size, 1);
		FL_RC(fl_imap_next(it, NULL, &b), FL_ETASK);
		fl_imap_free(it);
		assert_int_equal(process_pool_counted(starts), 6);
	}
}

/* A worker that is killed while it makes them, or while they are on their way. */
PROCESS_POOL_TEST(process_pool_bytes_of_workers_that_are_killed, 2)
{
	enum { AT_ONCE = 12 };
	for (unsigned round = 0; round < fl_test_scaled(200); round++) {
		fl_future *f[AT_ONCE];
		int pids[2];
		FL_EACH (i, f)
			f[i] = send_bytes(e, sizes[(i * 5 + round) % SIZES], i, i % WAYS);
		for (unsigned i = 0; i < round % 50; i++)
			sched_yield();
		if (fl_process_executor_pids(e, pids, 2) > round % 2)
			(void)kill(pids[round % 2], SIGKILL);
		FL_EACH (i, f) {
			FL_OK(fl_future_wait(f[i]));
			if (fl_future_error(f[i]) == 0)
				receive_bytes(f[i], sizes[(i * 5 + round) % SIZES], i);
			else
				process_pool_fails(f[i], -EOWNERDEAD, "killed by SIGKILL");
		}
	}
}

/* Bounds and shortages. */

FL_TEST(process_pool_bytes_above_the_bound)
{
	FL_SCOPED(fl_executor) *e = FL_TEST_EXECUTOR(process, .workers = 1, .bytes_max = K64 + 10);
	for (size_t size = K64 + 9; size <= K64 + 11; size++) {
		fl_future *f = send_bytes(e, size, 1, IN_PLACE), *g = NULL;
		void *bytes = process_pool_bytes(size, 1);
		FL_OK(pool_echoes_submit(e, (fl_bytes){.data = bytes, .size = size}, &g));
		if (size <= K64 + 10) {
			receive_bytes(f, size, 1);
			receive_bytes(g, size, 1);
		} else {
			process_pool_fails(f, -E2BIG, NULL);
			process_pool_fails(g, -E2BIG, NULL);
		}
		free(bytes);
	}
}

struct huge {
	fl_bytes text;
	char rest[K64];
};

FL_TASK_STATIC(pool_makes_huge, void, struct huge, .drop_result = FL_BYTES_DROP)
{
	return fl_bytes_alloc(&result->text, 1, 1);
}

PROCESS_POOL_TEST(process_pool_bytes_in_a_struct_that_is_too_large, 1)
{
	fl_future *f = FL_SUBMITTED(pool_makes_huge, e);
	process_pool_fails(f, -E2BIG, NULL);
	process_pool_works(e);
}

/* Waits; whether the task failed, with that error (0: any). */
static bool bytes_failed(fl_future *f, size_t size, uint64_t seed, int error)
{
	FL_OK(fl_future_wait(f));
	if (fl_future_error(f) == 0) {
		receive_bytes(f, size, seed);
		return false;
	}
	process_pool_fails(f, error != 0 ? error : fl_future_error(f), NULL);
	return true;
}

/* The largest size that works under each limit needs no file, or fits. */
FL_TEST(process_pool_bytes_with_limits_in_the_worker)
{
	static const struct {
		struct lower lower;
		size_t good, bad;
		int error;
	} ways[] = {{{RLIMIT_FSIZE, 0}, K64, K64 + 64, -EFBIG},    {{RLIMIT_FSIZE, 4096}, K64, K64 + 64, -EFBIG},
	            {{RLIMIT_FSIZE, K64}, K64, 2 * K64, -EFBIG},   {{RLIMIT_FSIZE, MIB}, MIB - 1, MIB, -EFBIG},
	            {{RLIMIT_FSIZE, MIB}, MIB - 1, MIB64, -EFBIG}, {{RLIMIT_NOFILE, 3}, K64, K64 + 64, -EMFILE},
	            {{RLIMIT_NOFILE, 3}, K64, MIB64, -EMFILE},     {{RLIMIT_AS, MIB}, K64, 8 * MIB, -ENOMEM},
	            {{RLIMIT_AS, MIB}, K64, MIB64, -ENOMEM}};
	PROCESS_POOL_LEAVES_NOTHING();
	FL_EACH (i, ways) {
		if (ways[i].lower.resource == RLIMIT_AS && (FL_TEST_SANITIZED || !fl_test_memory_is_limited()))
			continue;
		FL_SCOPED(fl_executor) *e = process_pool_with(1);
		for (int round = 0; round < 2; round++) /* the room is learnt */
			made_right(e, K64, 1, IN_PLACE);
		process_pool_call(e, &pool_lowers, &ways[i].lower, NULL);
		for (int round = 0; round < 3; round++) {
			const size_t good = ways[i].good, bad = ways[i].bad;
			made_right(e, good, 2, IN_PLACE);
			fl_future *f = send_bytes(e, bad, 3, IN_PLACE);
			assert_true(bytes_failed(f, bad, 3, ways[i].error));
		}
	}
}

/* The argument of a task that fails; the next is right. */
FL_TEST(process_pool_bytes_with_a_limit_of_files_here)
{
	static const struct {
		rlim_t limit;
		size_t good, bad;
	} ways[] = {{0, K64 - 64, K64}, {4096, K64 - 64, K64}, {K64, K64 - 1, K64}, {MIB, MIB - 1, MIB}};
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	unsigned char *bytes = process_pool_bytes(MIB, 4);
	process_pool_works(e);
	FL_EACH (i, ways) {
		const rlim_t before = fl_test_limit(RLIMIT_FSIZE, ways[i].limit);
		fl_future *bad = NULL, *good = NULL;
		FL_OK(pool_echoes_submit(e, (fl_bytes){.data = bytes, .size = ways[i].bad}, &bad));
		FL_OK(pool_echoes_submit(e, (fl_bytes){.data = bytes, .size = ways[i].good}, &good));
		FL_OK(fl_future_wait(bad));
		FL_OK(fl_future_wait(good));
		(void)fl_test_limit(RLIMIT_FSIZE, before);
		process_pool_fails(bad, -EFBIG, NULL);
		FL_OK(fl_future_error(good));
		fl_future_free(good);
	}
	free(bytes);
}

/* With a mount namespace of its own, which the executor's threads inherit. */
static int without_dev_shm(void *unused)
{
	if (fl_test_own_mounts() != 0)
		return 77;
	if (mount("none", "/dev/shm", "tmpfs", MS_RDONLY, NULL) != 0)
		return -errno;
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	FL_EACH (i, sizes)
		made_right(e, sizes[i], i, i % WAYS);
	assert_int_equal(fl_test_entries("/dev/shm"), 0);
	return 0;
}

FL_TEST(process_pool_bytes_without_dev_shm)
{
	fl_thread *t;
	int rc;
	fl_test_go(&t, without_dev_shm, NULL);
	FL_OK(fl_thread_join(t, &rc));
	if (rc == 77)
		FL_SKIP(FL_TEST_MOUNTS_REASON);
	if (rc == -ENOENT)
		FL_SKIP("no /dev/shm");
	FL_OK(rc);
}

/* Descriptors and addresses run out where the result arrives. */
PROCESS_POOL_TEST(process_pool_bytes_without_descriptors, 1)
{
	process_pool_works(e);
	for (int i = 0; i < 3; i++) {
		void *bytes = process_pool_bytes(2 * MIB, 4);
		fl_future *in = NULL;
		const rlim_t limit = fl_test_limit_fds(0);
		fl_future *out = send_bytes(e, 2 * MIB, 3, IN_PLACE);
		const bool out_failed = bytes_failed(out, 2 * MIB, 3, -EMFILE);
		const int rc = pool_echoes_submit(e, (fl_bytes){.data = bytes, .size = 2 * MIB}, &in);
		const bool in_failed = rc == 0 && bytes_failed(in, 2 * MIB, 4, -EMFILE);
		fl_test_unlimit_fds(limit);
		assert_true(out_failed && in_failed);
		free(bytes);
		made_right(e, 2 * MIB, 3, IN_PLACE);
	}
}

FL_TEST(process_pool_bytes_without_room)
{
	if (FL_TEST_SANITIZED || !fl_test_memory_is_limited())
		FL_SKIP(FL_TEST_MEMORY_REASON);
	PROCESS_POOL_LEAVES_NOTHING();
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	struct process_pool_gate *gate = process_pool_gate();
	fl_future *held = process_pool_hold(e, gate);
	fl_future *f = send_bytes(e, 2 * MIB, 3, IN_PLACE);
	const rlim_t before = fl_test_limit(RLIMIT_AS, MIB);
	process_pool_open(gate);
	const bool has_failed = bytes_failed(f, 2 * MIB, 3, -ENOMEM);
	(void)fl_test_limit(RLIMIT_AS, before);
	assert_true(has_failed);
	process_pool_let_go(gate, held);
	made_right(e, 2 * MIB, 4, IN_PLACE);
}

/* One fault at each call for a task with much in and much out. */
static int bytes_fault(int call, int role, int skip)
{
	unsigned char *bytes = process_pool_bytes(2 * MIB, 1);
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	fl_future *it = NULL, *behind = NULL;
	process_pool_works(e);
	process_pool_fail(call, role, skip, 1, call == PROCESS_POOL_FILL ? -ENOSPC : -ENOMEM);
	FL_IGNORE(pool_echoes_submit(e, (fl_bytes){.data = bytes, .size = 2 * MIB}, &it));
	FL_IGNORE(pool_makes_submit(e, ((struct order){MIB, 2, GROWN, SUCCEEDS, NULL}), &behind));
	if (it)
		(void)bytes_failed(it, 2 * MIB, 1, 0);
	if (behind)
		(void)bytes_failed(behind, MIB, 2, 0);
	const int struck = process_pool_heal();
	assert_true(struck > 0 || (it && behind));
	made_right(e, MIB, 2, ASSIGNED);
	free(bytes);
	return struck;
}

FL_TEST(process_pool_bytes_with_a_fault_here)
{
	process_pool_sweep(PROCESS_POOL_HERE, bytes_fault);
}

FL_TEST(process_pool_bytes_with_a_fault_in_the_worker)
{
	process_pool_sweep(PROCESS_POOL_IN_WORKER, bytes_fault);
}

/* More than a receiver passes over: it has closed those of results that did not arrive. */
FL_TEST(process_pool_bytes_of_results_that_do_not_arrive)
{
	enum { MANY = 3 * FL__RINGS_DEPTH };
	PROCESS_POOL_LEAVES_NOTHING();
	PROCESS_LOG();
	FL_SCOPED(fl_executor) *e = process_pool_with(1);
	process_pool_works(e);
	process_pool_fail(PROCESS_POOL_SEAL, PROCESS_POOL_IN_WORKER, 0, MANY, -ENOMEM);
	for (int i = 0; i < MANY; i++)
		process_pool_fails(send_bytes(e, 2 * K64, 1, IN_PLACE), -ENOMEM, "the result cannot be sent");
	(void)process_pool_heal();
	made_right(e, 2 * K64, 2, IN_PLACE);
}

/* Workers that lie. */

enum lie_fd { NO_FD, OTHER_SEQ, PIPE, SOUND };

struct lie {
	uint64_t at, size;
	uint32_t place;
	enum lie_fd fd;
};

static const struct lie lies[] = {
    {0, 10, 77, NO_FD},
    {0, 10, FL__BYTES_MEMFD + 1, NO_FD},
    {0, UINT64_MAX, FL__BYTES_ROOM, NO_FD},
    {UINT64_MAX, 10, FL__BYTES_ROOM, NO_FD},
    {UINT64_MAX - 5, 10, FL__BYTES_ROOM, NO_FD},
    {0, FL__RINGS_ARENA, FL__BYTES_ROOM, NO_FD},
    {FL__RINGS_ARENA, 1, FL__BYTES_ROOM, NO_FD},
    {0, 10, FL__BYTES_MEMFD, NO_FD},
    {0, MIB, FL__BYTES_MEMFD, NO_FD},
    {0, 100 * K64, FL__BYTES_MEMFD, SOUND},
    {0, 4 * K64, FL__BYTES_MEMFD, SOUND},
    {4096, 4 * K64 - 4096, FL__BYTES_MEMFD, SOUND},
    {UINT64_MAX, 2 * K64, FL__BYTES_MEMFD, SOUND},
    {UINT64_MAX - 4095, 2 * K64, FL__BYTES_MEMFD, SOUND},
    {5, 2 * K64, FL__BYTES_MEMFD, SOUND},
    {0, 2 * K64, FL__BYTES_MEMFD, OTHER_SEQ},
    {0, 2 * K64, FL__BYTES_MEMFD, PIPE},
    {0, 10, FL__BYTES_MEMFD, PIPE},
};

static int find_channel(void)
{
	char path[64], link[256];
	for (int fd = 3; fd < 64; fd++) {
		FL_TEXT(path, "/proc/self/fd/%d", fd);
		const ssize_t n = readlink(path, link, sizeof link - 1);
		if (n > 0 && strncmp(link, "socket:", 7) == 0)
			return fd;
	}
	return -1;
}

static void send_lie(enum lie_fd how, uint32_t seq)
{
	int fds[2] = {-1, -1};
	const struct fl__memfd_packet head = {FL__MEMFD_MAGIC, how == OTHER_SEQ ? seq - 1 : seq, 0};
	if (how == NO_FD)
		return;
	if (how == PIPE)
		FL_OK(pipe(fds));
	else
		fds[0] = fl__fd_sys.memfd();
	if (how != PIPE)
		FL_OK(ftruncate(fds[0], 4 * K64));
	if (how != PIPE)
		FL_OK(fl__fd_sys.seal(fds[0]));
	FL_OK(fl__packet_send(find_channel(), &head, sizeof head, fds, 1, FL_NO_WAIT));
}

/* Ends its own submission, and dies. */
FL_TASK_STATIC(pool_lies, struct lie, fl_bytes)
{
	struct fl__completion *reply = NULL;
	const uint32_t seq = order_under_way(&reply);
	const struct fl__bytes_wire wire = {arg->at, arg->size, arg->place, 0};
	send_lie(arg->fd, seq);
	memcpy(reply->small, &wire, sizeof wire);
	reply->error = 0;
	reply->flags = 0;
	reply->count = 1;
	fl__store_release(&reply->done, seq); /* as the worker does */
	(void)raise(SIGKILL);
	return 0;
}

PROCESS_POOL_TEST(process_pool_bytes_of_workers_that_lie, 1)
{
	FL_EACH (i, lies) {
		fl_future *f = NULL, *g = NULL;
		FL_OK(pool_lies_submit(e, lies[i], &f));
		FL_OK(pool_makes_submit(e, ((struct order){100, 1, IN_PLACE, SUCCEEDS, NULL}), &g));
		FL_OK(fl_future_wait(f));
		if (fl_future_error(f) != -EBADMSG)
			print_error("lie %u: %d %s\n", (unsigned)i, fl_future_error(f), fl_future_message(f));
		process_pool_fails(f, lies[i].size == UINT64_MAX ? -E2BIG : -EBADMSG, "the result does not arrive");
		receive_bytes(g, 100, 1);
	}
}

/* Ends its chunk with an error of the first element, and leaves handles where none count. */
FL_TASK_STATIC(pool_lies_behind, struct lie, fl_bytes)
{
	struct fl__completion *reply = NULL;
	const uint32_t seq = order_under_way(&reply);
	const struct fl__submission_ring *orders = find_memory("r--s", sizeof *orders);
	struct fl__completion_ring *replies = find_memory("rw-s", sizeof *replies);
	struct fl__bytes_wire *array = (void *)(replies->arena + orders->entry[seq % FL__RINGS_DEPTH].result);
	for (int i = 0; i < 2; i++)
		array[i] = (struct fl__bytes_wire){arg->at, 10, arg->at, 0}; /* no place, and no pointer */
	reply->error = -EIO;
	reply->flags = 0;
	reply->count = (uint32_t)arg->size;
	fl__store_release(&reply->done, seq);
	(void)raise(SIGKILL);
	return 0;
}

PROCESS_POOL_TEST(process_pool_bytes_of_workers_that_lie_behind_their_count, 1)
{
	for (unsigned count = 0; count < 2; count++) {
		const struct lie lie[2] = {{0x1000, count, 0, NO_FD}, {0x1000, count, 0, NO_FD}};
		fl_bytes made[2] = {0};
		fl_map_error error;
		FL_RC(pool_lies_behind_map(e, lie, 2, made, &(fl_map_config){.chunk = 2, .error = &error}), FL_ETASK);
		assert_int_equal(error.error, count == 0 ? -EIO : -EBADMSG);
		assert_int_equal(error.index, 0);
		FL_EACH (i, made)
			assert_null(made[i].data);
	}
}
