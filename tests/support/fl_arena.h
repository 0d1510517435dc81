/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TEST_ARENA_H
#define FL_TEST_ARENA_H

/*
 * Memory at one address in this program and in every process that it starts or forks. The arguments
 * of tasks may point into it, wherever the tasks run.
 *
 *     struct tally *tally = FL_IN_ARENA(struct tally, 1);     // zeroed; never freed
 *
 * The program makes the arena before main(), and stores its place in the environment. If a program
 * finds an arena there, the library has started it. Only one source file of a program may include
 * this header, because everything here is static.
 */
#include "fl_child.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { FL_TEST_ARENA_SIZE = 4 << 20, FL_TEST_ARENA_ALIGN = 64 };

static const char fl_test_arena_variable[] = "FL_TEST_ARENA";
static unsigned char *fl_test_arena;
static size_t fl_test_arena_used;

/* Returns false if something else is at that address, or if there is no such address. */
static inline bool fl_test_arena_map(int fd, uint64_t address)
{
	if (address > UINTPTR_MAX)
		return false;
	void *wanted = (void *)(uintptr_t)address; /* cast: an address of our choice */
	void *got = mmap(wanted, FL_TEST_ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
	if (got == wanted)
		fl_test_arena = got;
	else if (got != MAP_FAILED)
		FL_OK(munmap(got, FL_TEST_ARENA_SIZE));
	return got == wanted;
}

static inline void fl_test_arena_make(void)
{
	/*
	 * Addresses in areas without random mappings. ThreadSanitizer allows few places, and ends
	 * the program at others.
	 */
#if defined(FL__TSAN) && defined(__aarch64__)
	static const uint64_t places[] = {0xffff10000000};
#elif defined(FL__TSAN)
	static const uint64_t places[] = {0x7e9000000000};
#else
	/* for 47 bits of address, and 48; for 39; for 32 */
	static const uint64_t places[] = {0x300000000000, 0x3000000000, 0x60000000};
#endif
	enum { PLACES = sizeof places / sizeof places[0] };
	char text[96];
	size_t i = 0;
	/*
	 * Stays open as long as the program runs, because the other processes find it here. Not a
	 * memfd, which a system may lack.
	 */
	int fd = fl_test_scratch();
	FL_CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && ftruncate(fd, FL_TEST_ARENA_SIZE) == 0);
	while (i < PLACES && !fl_test_arena_map(fd, places[i]))
		i++;
	FL_CHECK(i < PLACES);
	FL_TEXT(text, "%llx /proc/%d/fd/%d", (unsigned long long)places[i], (int)getpid(), fd);
	FL_OK(setenv(fl_test_arena_variable, text, 1));
}

static inline void fl_test_arena_join(const char *text)
{
	char path[80];
	unsigned long long address;
	FL_CHECK(sscanf(text, "%llx %79s", &address, path) == 2);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	FL_CHECK(fd >= 0 && fl_test_arena_map(fd, address));
	FL_OK(close(fd));
	fl_test_arena_used = FL_TEST_ARENA_SIZE; /* only the maker allocates from the arena */
}

__attribute__((constructor)) static void fl_test_arena_begin(void)
{
	const char *text = getenv(fl_test_arena_variable);
	if (text)
		fl_test_arena_join(text);
	else
		fl_test_arena_make();
}

/* Only for the thread that runs the cases, in the program that made the arena. */
static inline void *fl_test_arena_take(size_t n, size_t size)
{
	size_t at = fl_test_arena_used;
	FL_CHECK(n * size <= FL_TEST_ARENA_SIZE - at);
	fl_test_arena_used += (n * size + FL_TEST_ARENA_ALIGN - 1) / FL_TEST_ARENA_ALIGN * FL_TEST_ARENA_ALIGN;
	return fl_test_arena + at;
}

#define FL_IN_ARENA(type, n) ((type *)fl_test_arena_take((n), sizeof(type)))

#endif
