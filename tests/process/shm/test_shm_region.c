/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_shm.h"

enum { MIB = 1 << 20 };

FL_TEST(shm_create_rounds_up_to_pages)
{
	static const size_t sizes[] = {1, 255, 256, 4096, 4097, 100000, 3 * MIB};
	size_t page = fl__page_size();
	FL_EACH (i, sizes) {
		FL_SCOPED(fl_shm) *region = region_of(sizes[i]);
		assert_int_equal(fl_shm_size(region), (sizes[i] + page - 1) / page * page);
		assert_true(fl_shm_is_writable(region));
		char *block = fl_shm_block_alloc(region, fl_shm_size(region)); /* all of it, as one */
		assert_non_null(block);
		memset(block, 1, fl_shm_size(region));
		assert_null(fl_shm_block_alloc(region, 1));
		fl_shm_block_free(region, block);
	}
}

/*
 * gh-114390 of CPython: a truncated file ends its readers by SIGBUS. This one cannot be truncated,
 * and has its pages.
 */
FL_TEST(shm_ftruncate_then_sigbus)
{
	FL_SCOPED(fl_shm) *region = region_of(MIB);
	struct stat info;
	int seals = fcntl(fl_shm_fd(region), F_GET_SEALS);
	assert_int_equal(seals & (F_SEAL_SHRINK | F_SEAL_GROW), F_SEAL_SHRINK | F_SEAL_GROW);
	assert_int_equal(seals & F_SEAL_SEAL, 0);
	assert_int_equal(ftruncate(fl_shm_fd(region), 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fl_shm_fd(region), 64 * MIB), -1);
	FL_OK(fstat(fl_shm_fd(region), &info));
	/* no holes; the last page may be huge */
	assert_true((uint64_t)info.st_blocks * 512 >= (uint64_t)info.st_size);
	assert_int_equal(fcntl(fl_shm_fd(region), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

FL_TEST(shm_create_refuses_sizes)
{
	fl_shm *region = NULL;
	unsigned files = fl_test_fds();
	FL_RC(fl_shm_create(&region, 0), -EINVAL);
	FL_RC(fl_shm_create(&region, SIZE_MAX), -EFBIG);
	FL_RC(fl_shm_create(&region, SIZE_MAX / 2), -EFBIG);
#if SIZE_MAX > UINT32_MAX
	FL_RC(fl_shm_create(&region, (size_t)1 << 50), -EFBIG);
	FL_RC(fl_shm_create(&region, FL_SHM_SIZE_MAX + 1), -EFBIG);
	uint64_t memory = fl__shm_sys.available(); /* swap may be more than the machine's memory */
	if (memory < FL_SHM_SIZE_MAX / 4)
		FL_RC(fl_shm_create(&region, memory * 2 + 1024 * MIB), -ENOMEM);
#endif
	assert_null(region);
	assert_int_equal(fl_test_fds(), files);
}

/* Over RLIMIT_FSIZE the system would send SIGXFSZ, which ends the process. */
FL_TEST(shm_create_under_rlimit_fsize)
{
	FL_SCOPED(fl_shm) *region = NULL;
	const rlim_t before = fl_test_limit(RLIMIT_FSIZE, MIB);
	int rc = fl_shm_create(&region, 2 * MIB), small = fl_shm_create(&region, MIB / 2);
	(void)fl_test_limit(RLIMIT_FSIZE, before);
	FL_RC(rc, -EFBIG);
	FL_OK(small);
}

FL_TEST(shm_create_under_rlimit_nofile)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	fl_shm *another = NULL;
	const rlim_t before = fl_test_limit(RLIMIT_NOFILE, 0);
	int rc = fl_shm_create(&another, 4096), attach = fl_shm_attach(&another, fl_shm_fd(region));
	(void)fl_test_limit(RLIMIT_NOFILE, before);
	FL_RC(rc, -EMFILE);
	FL_RC(attach, -EMFILE);
	assert_null(another);
}

static void create_under_as(void *arg)
{
	fl_shm *region = NULL;
	struct rlimit limit = {256 * MIB, 256 * MIB};
	unsigned files = fl_test_fds();
	FL_OK(setrlimit(RLIMIT_AS, &limit));
	FL_RC(fl_shm_create(&region, 512 * MIB), -ENOMEM);
	FL_CHECK(fl_test_fds() == files);
}

FL_TEST(shm_create_under_rlimit_as)
{
	FL_NEEDS(FL_TEST_MEMFD);
#if FL_TEST_SANITIZED
	FL_SKIP("a sanitizer's own mappings are larger than any such limit");
#endif
	if (!fl_test_memory_is_limited())
		FL_SKIP(FL_TEST_MEMORY_REASON);
	FL_IN_CHILD(create_under_as, NULL);
}

FL_TEST(shm_free_gives_all_back)
{
	unsigned files = fl_test_fds(), mappings = fl_test_mappings();
	fl_shm_free(NULL);
	for (int i = 0; i < 1000; i++) {
		fl_shm *other = NULL, *region = region_of(i % 3 == 0 ? 1 : 64 * 1024);
		FL_OK(fl_shm_attach(&other, fl_shm_fd(region)));
		fl_shm_free(i % 2 ? region : other);
		fl_shm_free(i % 2 ? other : region);
	}
	{
		FL_SCOPED(fl_shm) *scoped = region_of(1);
		assert_int_equal(fl_test_mappings(), mappings + 1);
		assert_int_equal(fl_test_fds(), files + 1);
		fl_shm *none = NULL;
		FL_RC(fl_shm_attach(&none, -1), -EBADF);
	}
	assert_int_equal(fl_test_mappings(), mappings);
	assert_int_equal(fl_test_fds(), files);
}

/* --- faults of the system: nothing is left behind --- */

static int fault_rc, fault_after;

static int no_memory(void)
{
	return fault_rc;
}

static int no_resize(int fd, uint64_t size)
{
	return fault_rc;
}

static int no_fill(int fd, uint64_t at, uint64_t size)
{
	return fault_after-- > 0 ? fl_test_real_os.fill(fd, at, size) : fault_rc;
}

static int no_seals(int fd, int seals)
{
	return fault_rc;
}

static int no_map(int fd, size_t size, bool writable, void **memory)
{
	return fault_rc;
}

static int no_size(int fd, uint64_t *size)
{
	*size = 0;
	return fault_rc;
}

static int no_flags(int fd)
{
	return fault_rc;
}

static uint64_t little_memory(void)
{
	return MIB;
}

/* Nothing is left of the call, whose result is `rc`. */
static void leaves_nothing(int rc, const fl_shm *other, int expected, unsigned files, unsigned mappings)
{
	FL_RC(rc, expected);
	assert_null(other);
	assert_int_equal(fl_test_fds(), files);
	assert_int_equal(fl_test_mappings(), mappings);
	fl__shm_sys = fl_test_real_os;
	fl__sys = fl_test_real_sys;
}

static void create_fails(int rc)
{
	fl_shm *region = NULL;
	unsigned files = fl_test_fds(), mappings = fl_test_mappings();
	int created = fl_shm_create(&region, 32 * MIB);
	leaves_nothing(created, region, rc, files, mappings);
}

FL_TEST(shm_create_leaks_nothing)
{
	SHM_FAULTS();
	fl__sys.alloc = fl_test_no_memory;
	create_fails(-ENOMEM);
	fl__shm_sys.available = little_memory;
	create_fails(-ENOMEM);
	static const int codes[] = {-ENOSYS, -EMFILE, -ENFILE};
	FL_EACH (i, codes) {
		fl__shm_sys.memory = no_memory;
		fault_rc = codes[i];
		create_fails(codes[i]); /* fl_shm_create() */
	}
	fault_rc = -ENOMEM;
	fl__shm_sys.resize = no_resize;
	create_fails(-ENOMEM);
	FL_BOTH (after) { /* at once, and half-way */
		fault_after = after;
		fault_rc = after ? -ENOMEM : -ENOSPC;
		fl__shm_sys.fill = no_fill;
		create_fails(-ENOMEM);
	}
	fault_rc = -EPERM;
	fl__shm_sys.add_seals = no_seals;
	create_fails(-EPERM);
	fault_rc = -ENOMEM;
	fl__shm_sys.map = no_map;
	create_fails(-ENOMEM);
	assert_int_equal(fl_test_logs, 0);
}

static uint64_t filled, smallest;
static unsigned interruptions;

static int interrupted_fill(int fd, uint64_t at, uint64_t size)
{
	assert_int_equal(at, filled); /* in order, without a gap */
	smallest = size < smallest ? size : smallest;
	if (interruptions > 0 && size > 64 * 1024) {
		interruptions--;
		return -EINTR;
	}
	filled += size;
	return fl_test_real_os.fill(fd, at, size);
}

/*
 * A signal undoes a step of the kernel's: a timer with a shorter period than a step must not keep
 * it from ending.
 */
FL_TEST(shm_create_among_signals)
{
	SHM_FAULTS();
	FL_SCOPED(fl_shm) *region = NULL;
	filled = 0;
	smallest = UINT64_MAX;
	interruptions = 100;
	fl__shm_sys.fill = interrupted_fill;
	FL_OK(fl_shm_create(&region, 20 * MIB));
	assert_int_equal(filled, region->total);
	assert_true(smallest <= 64 * 1024);
}

static void attach_fails(const fl_shm *region, int rc)
{
	fl_shm *other = NULL;
	unsigned files = fl_test_fds(), mappings = fl_test_mappings();
	int attached = fl_shm_attach(&other, fl_shm_fd(region));
	leaves_nothing(attached, other, rc, files, mappings);
}

FL_TEST(shm_attach_leaks_nothing)
{
	SHM_FAULTS();
	FL_SCOPED(fl_shm) *region = region_of(MIB);
	fl__sys.alloc = fl_test_no_memory;
	attach_fails(region, -ENOMEM);
	fault_rc = -EMFILE;
	fl__shm_sys.duplicate = no_flags;
	attach_fails(region, -EMFILE);
	fault_rc = -EBADF;
	fl__shm_sys.seals = no_flags;
	attach_fails(region, -EBADF);
	fl__shm_sys.is_writable = no_flags;
	attach_fails(region, -EBADF);
	fl__shm_sys.size = no_size;
	attach_fails(region, -EBADF);
	fault_rc = -ENOMEM;
	fl__shm_sys.map = no_map;
	attach_fails(region, -ENOMEM);
	assert_int_equal(fl_test_logs, 0);
}

/* The head is `wrong`: an error, and a log that has that text. The head is good again. */
static void head_is_wrong(const fl_shm *region, struct fl__shm_head wrong, int rc, const char *text)
{
	const struct fl__shm_head good = *region->head;
	*region->head = wrong;
	attach_fails(region, rc);
	if (!strstr(fl_test_logged, text))
		fail_msg("the log has no '%s': %s", text, fl_test_logged);
	*region->head = good;
}

FL_TEST(shm_attach_tells_what_is_wrong)
{
	SHM_FAULTS();
	FL_SCOPED(fl_shm) *region = region_of(MIB), *other = NULL;
	const struct fl__shm_head good = *region->head;
	struct fl__shm_head h[6] = {good, good, good, good, good, good};
	char expected[128];
	(void)snprintf(
	    expected, sizeof expected,
	    "fl_shm_attach: descriptor %d: EPROTONOSUPPORT: the version of the layout is 2 (0x2), expected 1 (0x1)",
	    fl_shm_fd(region));
	h[0].magic ^= 1;
	head_is_wrong(region, h[0], -EBADMSG, "magic");
	h[1].version = 2;
	head_is_wrong(region, h[1], -EPROTONOSUPPORT, expected);
	h[2].word_size = 12 - good.word_size;
	head_is_wrong(region, h[2], -EPROTO, "pointer");
	h[3].lock_word += 12;
	head_is_wrong(region, h[3], -EPROTO, "lock");
	h[4].pid_namespace++;
	head_is_wrong(region, h[4], -EPROTO, "PID namespace");
	h[5].total += 4096;
	head_is_wrong(region, h[5], -EBADMSG, "size");
	static const uint64_t units[] = {
	    0, 1, 4095, 4097, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63, UINT64_C(1) << 56};
	FL_EACH (i, units) {
		struct fl__shm_head wrong = good;
		wrong.units = units[i];
		head_is_wrong(region, wrong, -EBADMSG, "units");
	}
	assert_int_equal(fl_test_logs, 6 + sizeof units / sizeof units[0]);
	FL_OK(fl_shm_attach(&other, fl_shm_fd(region)));
}

/* Files of other kinds, and memory that another process could remove. */
FL_TEST(shm_attach_refuses_other_files)
{
	FL_NEEDS(FL_TEST_MEMFD);
	SHM_FAULTS();
	fl_shm *region = NULL;
	int file = fl_test_scratch(), memory = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ends[2] = {-1, -1};
	assert_true(memory >= 0 && pipe(ends) == 0 && ftruncate(memory, 4096) == 0);
	FL_RC(fl_shm_attach(&region, -1), -EBADF);
	FL_RC(fl_shm_attach(&region, 1 << 20), -EBADF);
	assert_int_equal(fl_test_logs, 0);
	FL_RC(fl_shm_attach(&region, file), -EPERM);
	FL_RC(fl_shm_attach(&region, ends[0]), -EPERM);
	char expected[128];
	(void)snprintf(expected, sizeof expected,
	               "fl_shm_attach: EPERM: descriptor %d is no memory made by fl_shm_create(): it cannot be sealed",
	               ends[0]);
	assert_string_equal(fl_test_logged, expected);
	FL_RC(fl_shm_attach(&region, memory), -EPERM);
	fl_test_contains(fl_test_logged, "seals");
	FL_OK(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK));
	FL_RC(fl_shm_attach(&region, memory), -EBADMSG); /* nothing but zeros */
	int empty = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FL_OK(fcntl(empty, F_ADD_SEALS, F_SEAL_SHRINK));
	FL_RC(fl_shm_attach(&region, empty), -EBADMSG);
	assert_int_equal(fl_test_logs, 5);
	FL_SCOPED(fl_shm) *good = region_of(1);
	char path[64];
	FL_TEXT(path, "/proc/self/fd/%d", fl_shm_fd(good));
	int write_only = open(path, O_WRONLY | O_CLOEXEC);
	if (write_only >= 0) {
		FL_RC(fl_shm_attach(&region, write_only), -EACCES);
		FL_OK(close(write_only));
	}
	assert_null(region);
	FL_OK(close(file));
	FL_OK(close(memory));
	FL_OK(close(empty));
	fl_test_close_two(ends);
}

/* --- offsets and root --- */

FL_TEST(shm_at_stays_inside)
{
	FL_SCOPED(fl_shm) *region = region_of(64 * 1024);
	size_t size = fl_shm_size(region);
	char *first = fl_shm_block_alloc(region, size);
	fl_shm_offset start = fl_shm_offset_of(region, first), end = start + size;
	assert_true(start != 0 && start % 4096 == 0);
	assert_ptr_equal(fl_shm_at(region, start, size), first);
	assert_ptr_equal(fl_shm_at(region, start + 8, 0), first + 8);
	assert_ptr_equal(fl_shm_at(region, end - 8, 8), first + size - 8);
	assert_null(fl_shm_at(region, 0, 0));
	assert_null(fl_shm_at(region, 0, 8));
	assert_null(fl_shm_at(region, 64, 8)); /* the head */
	assert_null(fl_shm_at(region, start - 8, 8));
	assert_null(fl_shm_at(region, start, size + 1));
	assert_null(fl_shm_at(region, end - 8, 9));
	assert_null(fl_shm_at(region, end, 0));
	assert_null(fl_shm_at(region, start + 4, 4)); /* alignment */
	assert_null(fl_shm_at(region, start + 8, SIZE_MAX));
	assert_null(fl_shm_at(region, start, SIZE_MAX - start + 1));
	assert_null(fl_shm_at(region, UINT64_MAX - 7, 8));
	assert_null(fl_shm_at(region, UINT64_MAX - 7, SIZE_MAX));
	assert_int_equal(fl_shm_offset_of(region, first + size - 1), end - 1);
	assert_int_equal(fl_shm_offset_of(region, first + size), 0);
	assert_int_equal(fl_shm_offset_of(region, first - 1), 0);
	assert_int_equal(fl_shm_offset_of(region, NULL), 0);
	assert_int_equal(fl_shm_offset_of(region, &size), 0);
	struct wide {
		_Alignas(64) char bytes[64];
	};
	assert_ptr_equal(FL_SHM_AT(region, struct wide, start + 64), first + 64);
	assert_null(FL_SHM_AT(region, struct wide, start + 32));
	assert_ptr_equal(FL_SHM_AT(region, uint32_t, start + 32), first + 32);
}

/* FL_SHM_AT() once refused the offset of a char at an odd place. */
FL_TEST(shm_at_an_offset_that_fits_the_type)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	size_t size = fl_shm_size(region);
	char *first = fl_shm_block_alloc(region, size);
	const fl_shm_offset start = fl_shm_offset_of(region, first), end = start + size;
	for (unsigned i = 0; i < 16; i++) {
		assert_ptr_equal(FL_SHM_AT(region, char, start + i), first + i);
		assert_ptr_equal(FL_SHM_AT(region, uint32_t, start + i), i % 4 == 0 ? first + i : NULL);
		assert_ptr_equal(FL_SHM_AT(region, uint64_t, start + i), i % 8 == 0 ? first + i : NULL);
	}
	assert_ptr_equal(FL_SHM_AT(region, char, end - 1), first + size - 1);
	assert_null(FL_SHM_AT(region, char, end));
	assert_null(FL_SHM_AT(region, char, start - 1));
	assert_null(FL_SHM_AT(region, char, 1));
	assert_null(FL_SHM_AT(region, uint32_t, end - 4 + 1));
	assert_null(FL_SHM_AT(region, char[4], end - 3));
	assert_ptr_equal(FL_SHM_AT(region, char[4], end - 4), first + size - 4);
}

FL_TEST(shm_root)
{
	FL_SCOPED(fl_shm) *region = region_of(4096), *other = NULL;
	FL_OK(fl_shm_attach(&other, fl_shm_fd(region)));
	uint64_t *block = fl_shm_block_alloc(region, 64);
	assert_int_equal(fl_shm_root(region), 0);
	*block = 42;
	FL_OK(fl_shm_set_root(region, fl_shm_offset_of(region, block)));
	assert_int_equal(*FL_SHM_AT(other, uint64_t, fl_shm_root(other)), 42);
	FL_RC(fl_shm_set_root(region, 8), -EINVAL);
	FL_RC(fl_shm_set_root(region, region->total), -EINVAL);
	FL_RC(fl_shm_set_root(region, fl_shm_offset_of(region, block) + 4), -EINVAL);
	assert_int_equal(fl_shm_root(other), fl_shm_offset_of(region, block));
	region->head->root = 8; /* damage */
	assert_int_equal(fl_shm_root(other), 0);
	FL_OK(fl_shm_set_root(other, 0));
	assert_int_equal(fl_shm_root(region), 0);
}

/* --- blocks --- */

FL_TEST(shm_alloc_is_zeroed_and_aligned)
{
	FL_SCOPED(fl_shm) *region = region_of(64 * 1024);
	static const size_t sizes[] = {0, 1, 64, 255, 256, 257, 5000};
	for (int round = 0; round < 20; round++) {
		char *blocks[7];
		FL_EACH (i, blocks) {
			blocks[i] =
			    round % 2 ? fl_shm_block_alloc_raw(region, sizes[i]) : fl_shm_block_alloc(region, sizes[i]);
			assert_non_null(blocks[i]);
			assert_int_equal((uintptr_t)blocks[i] % 64, 0);
			for (size_t b = 0; round % 2 == 0 && b < sizes[i]; b++)
				assert_int_equal(blocks[i][b], 0);
			memset(blocks[i], 0xa5, sizes[i]);
		}
		for (int i = 0; i < 7; i++)
			fl_shm_block_free(region, blocks[(i * 3) % 7]);
	}
	assert_non_null(fl_shm_block_alloc_raw(region, fl_shm_size(region)));
}

FL_TEST(shm_alloc_answers_null_when_full)
{
	SHM_FAULTS();
	FL_SCOPED(fl_shm) *region = region_of(16 * 1024);
	void *blocks[64];
	assert_null(fl_shm_block_alloc(region, fl_shm_size(region) + 1));
	assert_null(fl_shm_block_alloc_raw(region, SIZE_MAX));
	FL_EACH (i, blocks)
		assert_non_null(blocks[i] = fl_shm_block_alloc_raw(region, 256));
	assert_null(fl_shm_block_alloc(region, 0));
	for (int i = 0; i < 64; i += 2)
		fl_shm_block_free(region, blocks[i]);
	assert_null(fl_shm_block_alloc(region, 257)); /* fragmented */
	fl_shm_block_free(region, blocks[7]);
	assert_ptr_equal(fl_shm_block_alloc(region, 3 * 256), blocks[6]);
	fl_shm_block_free(region, NULL);
	assert_int_equal(fl_test_logs, 0);
}

FL_TEST(shm_alloc_tells_of_damage)
{
	SHM_FAULTS();
	FL_SCOPED(fl_shm) *region = region_of(4096);
	uint32_t *word = fl__shm_word(&region->head->arena.lock);
	void *block = fl_shm_block_alloc(region, 1);
	*word = fl__sys.thread_id();
	assert_null(fl_shm_block_alloc(region, 1));
	fl_test_contains(fl_test_logged, "damaged");
	*word = 1;
	fl_test_no_patience();
	assert_null(fl_shm_block_alloc_raw(region, 1));
	fl_test_contains(fl_test_logged, "stopped");
	fl_shm_block_free(region, block); /* does without the lock */
	*word = 0;
	region->arena.map[0] = 0;
	region->head->arena.next = 0;
	assert_null(fl_shm_block_alloc(region, 1));
	assert_int_equal(fl_test_logs, 3);
}

FL_TEST(shm_free_block_panics)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	char *block = fl_shm_block_alloc(region, 1000), local;
	FL_PANICS(fl_shm_block_free(region, block + 8));
	FL_PANICS(fl_shm_block_free(region, &local));
	FL_PANICS(fl_shm_block_free(region, region->head));
	FL_PANICS(fl_shm_block_free(region, block + 4096));
	assert_string_equal(fl_test_panic.function, "fl_shm_block_free");
	assert_ptr_equal(fl_test_panic.object, block + 4096);
	fl_shm_block_free(region, block);
	assert_non_null(fl_shm_block_alloc(region, 4096));
}

FL_TEST(shm_free_block_leaves_alone_what_is_free)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	char *block = fl_shm_block_alloc(region, 1000);
	SHM_FAULTS();
	fl_shm_block_free(region, block + 256);
	assert_int_equal(fl_test_logs, 1);
	fl_test_contains(fl_test_logged, "was freed before, no block begins there, or the region");
	fl_shm_block_free(region, block);
	fl_shm_block_free(region, block);
	assert_int_equal(fl_test_logs, 2);
	assert_non_null(fl_shm_block_alloc(region, 4096));
}

/* --- sealed and read-only --- */

FL_TEST(shm_seal)
{
	SHM_FAULTS();
	FL_SCOPED(fl_shm) *region = region_of(4096), *reader = NULL, *early = NULL;
	uint64_t *block = fl_shm_block_alloc(region, 64);
	FL_OK(fl_shm_set_root(region, fl_shm_offset_of(region, block)));
	FL_OK(fl_shm_attach(&early, fl_shm_fd(region)));
	FL_OK(fl_shm_seal(region));
	FL_OK(fl_shm_seal(region)); /* again: nothing */
	FL_OK(fl_shm_seal(early));
	FL_OK(fl_shm_attach(&reader, fl_shm_fd(region)));
	assert_true(fl_shm_is_writable(region) && fl_shm_is_writable(early));
	assert_false(fl_shm_is_writable(reader));
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fl_shm_fd(region), 0), MAP_FAILED);
	*block = 7;
	assert_int_equal(*FL_SHM_AT(reader, uint64_t, fl_shm_root(reader)), 7);
	assert_null(fl_shm_block_alloc(reader, 1));
	assert_null(fl_shm_block_alloc_raw(reader, 1));
	FL_RC(fl_shm_set_root(reader, 0), -EROFS);
	FL_RC(fl_shm_set_root(reader, 8), -EINVAL);
	FL_PANICS(fl_shm_block_free(reader, FL_SHM_AT(reader, uint64_t, fl_shm_root(reader))));
	assert_non_null(fl_shm_block_alloc(early, 1)); /* an earlier opener continues */
	assert_int_equal(fl_test_logs, 0);
}

FL_TEST(shm_attach_read_only_descriptor)
{
	FL_SCOPED(fl_shm) *region = region_of(4096), *reader = NULL;
	char path[64];
	FL_TEXT(path, "/proc/self/fd/%d", fl_shm_fd(region));
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	FL_OK(fl_shm_attach(&reader, fd));
	FL_OK(close(fd)); /* the handle has its own */
	assert_false(fl_shm_is_writable(reader));
	FL_RC(fl_shm_seal(reader), -EPERM);
	assert_int_equal(fl_shm_size(reader), fl_shm_size(region));
	FL_OK(fcntl(fl_shm_fd(region), F_ADD_SEALS, F_SEAL_SEAL));
	FL_RC(fl_shm_seal(region), -EPERM);
}
