/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_tree.h"

#include "process/shm/shm_sys.h"

/* The tree also has a file as /proc/meminfo. */
static uint64_t available(void)
{
	char meminfo[96];
	FL_TEXT(meminfo, "%s/meminfo", tree.root);
	return fl__shm_available(meminfo, tree.cgroup, tree.root);
}

static const char meminfo_text[] = "MemTotal:        9999 kB\nMemFree:         10 kB\nMemAvailable:    4000 kB\n"
				   "HugePages_Total:       0\nSwapTotal:       900 kB\nSwapFree:        96 kB\n";

FL_TEST(shm_available_of_the_machine)
{
	TREE(NULL);
	assert_true(available() == UINT64_MAX); /* nothing is known */
	put("meminfo", meminfo_text);
	assert_int_equal(available(), 4096 * 1024);
	put("meminfo", "MemAvailable: 18446744073709551615 kB\nSwapFree: 5 kB\n");
	assert_true(available() == UINT64_MAX);
	put("meminfo", "nonsense\n\nMemAvailable:\nMemAvailable: kB\n");
	assert_true(available() == UINT64_MAX);
}

FL_TEST(shm_available_in_version_2_groups)
{
	TREE("0::/outer/inner\n");
	put("meminfo", meminfo_text);
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
}

FL_TEST(shm_available_in_version_1_groups)
{
	TREE("9:name=systemd:/\n4:cpu,memory:/a\n3:memory_not:/a\nbroken\n0::/\n");
	put("meminfo", meminfo_text);
	put("cpu,memory/a/memory.limit_in_bytes", "9223372036854771712\n");
	put("cpu,memory/a/memory.usage_in_bytes", "7000\n");
	assert_int_equal(available(), 4096 * 1024);
	put("cpu,memory/memory.limit_in_bytes", "9000\n");
	put("cpu,memory/memory.usage_in_bytes", "7000\n");
	assert_int_equal(available(), 2000);
	put("cpu,memory/memory.stat", "inactive_file 7\ntotal_inactive_file 100\ntotal_active_file 23\n");
	assert_int_equal(available(), 2123);
}

FL_TEST(shm_available_here)
{
	uint64_t bytes = fl__shm_sys.available();
	assert_true(bytes > 0);
	assert_true(bytes == UINT64_MAX || bytes < UINT64_C(1) << 50);
}
