/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_test.h"

#include "process/shm/shm_sys.h"
#include <ftw.h>

/* A tree of our own: meminfo, a file as /proc/self/cgroup, and control groups. */
static char root[64];

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
	return remove(path);
}

static void plant(void)
{
	(void)snprintf(root, sizeof root, "/tmp/fairlead-memory-XXXXXX");
	FL_CHECK(mkdtemp(root) != NULL);
}

static void fell(void)
{
	FL_OK(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS));
}

/* Writes the file `path` of the tree, with the folders above it. */
static void put(const char *path, const char *text)
{
	char whole[256];
	(void)snprintf(whole, sizeof whole, "%s/%s", root, path);
	for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		FL_CHECK(mkdir(whole, 0700) == 0 || errno == EEXIST);
		*at = '/';
	}
	FILE *f = fopen(whole, "w");
	FL_CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static uint64_t available(void)
{
	char meminfo[96], cgroup[96];
	(void)snprintf(meminfo, sizeof meminfo, "%s/meminfo", root);
	(void)snprintf(cgroup, sizeof cgroup, "%s/cgroup", root);
	return fl__shm_available(meminfo, cgroup, root);
}

static const char meminfo_text[] = "MemTotal:        9999 kB\nMemFree:         10 kB\nMemAvailable:    4000 kB\n"
				   "HugePages_Total:       0\nSwapTotal:       900 kB\nSwapFree:        96 kB\n";

FL_TEST(shm_available_of_the_machine)
{
	plant();
	assert_true(available() == UINT64_MAX); /* nothing is known */
	put("meminfo", meminfo_text);
	assert_int_equal(available(), 4096 * 1024);
	put("meminfo", "MemAvailable: 18446744073709551615 kB\nSwapFree: 5 kB\n");
	assert_true(available() == UINT64_MAX);
	put("meminfo", "nonsense\n\nMemAvailable:\nMemAvailable: kB\n");
	assert_true(available() == UINT64_MAX);
	fell();
}

FL_TEST(shm_available_in_version_2_groups)
{
	plant();
	put("meminfo", meminfo_text);
	put("cgroup", "0::/outer/inner\n");
	assert_int_equal(available(), 4096 * 1024);
	put("outer/inner/memory.max", "max\n");
	put("outer/inner/memory.current", "5000\n");
	assert_int_equal(available(), 4096 * 1024);
	put("outer/memory.max", "300000\n");
	assert_int_equal(available(), 4096 * 1024); /* how much is used is not known */
	put("outer/memory.current", "250000\n");
	assert_int_equal(available(), 50000);
	put("outer/memory.stat", "anon 100\ninactive_file 30000\nfile 70000\nactive_file 20000\n");
	assert_int_equal(available(), 100000); /* its caches can go */
	put("outer/inner/memory.max", "10000\n");
	assert_int_equal(available(), 5000);
	put("outer/inner/memory.current", "20000\n");
	assert_int_equal(available(), 0);
	put("memory.max", "100\n"); /* the root of a container's tree */
	put("memory.current", "10\n");
	put("cgroup", "0::/\n");
	assert_int_equal(available(), 90);
	fell();
}

FL_TEST(shm_available_in_version_1_groups)
{
	plant();
	put("meminfo", meminfo_text);
	put("cgroup", "9:name=systemd:/\n4:cpu,memory:/a\n3:memory_not:/a\nbroken\n0::/\n");
	put("cpu,memory/a/memory.limit_in_bytes", "9223372036854771712\n");
	put("cpu,memory/a/memory.usage_in_bytes", "7000\n");
	assert_int_equal(available(), 4096 * 1024);
	put("cpu,memory/memory.limit_in_bytes", "9000\n");
	put("cpu,memory/memory.usage_in_bytes", "7000\n");
	assert_int_equal(available(), 2000);
	put("cpu,memory/memory.stat", "inactive_file 7\ntotal_inactive_file 100\ntotal_active_file 23\n");
	assert_int_equal(available(), 2123);
	fell();
}

FL_TEST(shm_available_here)
{
	uint64_t bytes = fl__shm_sys.available();
	assert_true(bytes > 0);
	assert_true(bytes == UINT64_MAX || bytes < UINT64_C(1) << 50);
}
