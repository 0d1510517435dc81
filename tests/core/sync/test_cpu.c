/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_child.h"
#include "fl_tree.h"

#include "core/os/cgroup.h"

/*
 * Writes `text` to the file `path` of the tree; then there are `cpus` of `most` CPUs, of a process
 * in the groups `proc`. A row without `most` or `proc` has that of the row before.
 */
typedef struct row {
	const char *path, *text;
	unsigned cpus, most;
	const char *proc;
} row;

static void expect_limits(const row *rows, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned most = 0;
		TREE(rows[i].proc);
		do {
			if (rows[i].path)
				put(rows[i].path, rows[i].text);
			if (rows[i].most)
				most = rows[i].most;
			assert_int_equal(fl__cpu_limit(tree.cgroup, tree.root, most), rows[i].cpus);
		} while (++i < n && !rows[i].proc);
	}
}

#define EXPECT_LIMITS(rows) expect_limits((rows), sizeof(rows) / sizeof *(rows))

FL_TEST(cpu_group_v2)
{
	static const row rows[] = {
	    /* A quota is rounded up. */
	    {"user/me/cpu.max", "100000 100000\n", 1, 8, "0::/user/me\n"},
	    {"user/me/cpu.max", "100001 100000\n", 2},
	    {"user/me/cpu.max", "150000 100000\n", 2},
	    {"user/me/cpu.max", "200000 100000\n", 2},
	    {"user/me/cpu.max", "1000 100000\n", 1},
	    {"user/me/cpu.max", "1 1\n", 1},
	    {"user/me/cpu.max", "50000 20000\n", 3},
	    {"user/me/cpu.max", "900000 100000\n", 8},
	    /* Max is no limit. */
	    {"user/me/cpu.max", "max 100000\n", 8},
	    {NULL, NULL, 1, 1},
	    /* The groups above count, too. */
	    {"a/b/c/cpu.max", "max 100000\n", 16, 16, "0::/a/b/c\n"},
	    {"a/b/cpu.max", "400000 100000\n", 4},
	    {"a/cpu.max", "250000 100000\n", 3},
	    {"a/b/c/cpu.max", "200000 100000\n", 2},
	    {"cpu.max", "100000 100000\n", 1},
	    /* The groups beside and below do not. */
	    {"a/b2/cpu.max", "100000 100000\n", 16, 16, "0::/a/b\n"},
	    {"a2/cpu.max", "100000 100000\n", 16},
	    {"b/cpu.max", "100000 100000\n", 16},
	    {"a/b/c/cpu.max", "100000 100000\n", 16},
	    /* At the root. */
	    {NULL, NULL, 16, 16, "0::/\n"},
	    {"cpu.max", "500000 100000\n", 5},
	};
	EXPECT_LIMITS(rows);
}

FL_TEST(cpu_group_v1)
{
	static const row rows[] = {
	    {"cpu,cpuacct/jobs/one/cpu.cfs_period_us", "100000\n", 16, 16,
	     "12:cpuset:/jobs\n4:cpu,cpuacct:/jobs/one\n1:name=systemd:/init\n"},
	    {"cpu,cpuacct/jobs/one/cpu.cfs_quota_us", "250000\n", 3},
	    {"cpu,cpuacct/jobs/cpu.cfs_period_us", "50000\n", 3},
	    {"cpu,cpuacct/jobs/cpu.cfs_quota_us", "100000\n", 2},
	    {"cpu,cpuacct/jobs/cpu.cfs_quota_us", "-1\n", 3},
	    {"cpu,cpuacct/jobs/one/cpu.cfs_quota_us", "-1\n", 16},
	    /* Without a period there is no limit. */
	    {"cpu/jobs/cpu.cfs_quota_us", "100000\n", 16, 16, "4:cpu:/jobs\n"},
	    {"cpu/jobs/cpu.cfs_period_us", "0\n", 16},
	    {"cpu/jobs/cpu.cfs_period_us", "100000\n", 1},
	    /* Of both versions, the less counts. */
	    {"cpu/jobs/cpu.cfs_period_us", "100000\n", 16, 16, "4:cpu:/jobs\n0::/jobs\n"},
	    {"cpu/jobs/cpu.cfs_quota_us", "300000\n", 3},
	    {"jobs/cpu.max", "200000 100000\n", 2},
	    {"jobs/cpu.max", "400000 100000\n", 3},
	};
	EXPECT_LIMITS(rows);
}

FL_TEST(cpu_group_other_controllers_are_not_asked)
{
	static const char *const names[] = {"cpuset", "cpuacct", "xcpu", "memory", "cpuacct,xcpu"};
	FL_EACH (i, names) {
		char line[64], path[64];
		FL_TEXT(line, "4:%s:/jobs\n", names[i]);
		TREE(line);
		FL_TEXT(path, "%s/jobs/cpu.cfs_period_us", names[i]);
		put(path, "100000\n");
		FL_TEXT(path, "%s/jobs/cpu.cfs_quota_us", names[i]);
		put(path, "100000\n");
		assert_int_equal(fl__cpu_limit(tree.cgroup, tree.root, 16), 16);
	}
	TREE("4:cpuacct,cpu:/jobs\n");
	put("cpuacct,cpu/jobs/cpu.cfs_period_us", "100000\n");
	put("cpuacct,cpu/jobs/cpu.cfs_quota_us", "100000\n");
	assert_int_equal(fl__cpu_limit(tree.cgroup, tree.root, 16), 1);
}

FL_TEST(cpu_group_nonsense_is_no_limit)
{
	static const row rows[] = {
	    {"jobs/cpu.max", "", 16, 16, "0::/jobs\n"},
	    {"jobs/cpu.max", "\n", 16},
	    {"jobs/cpu.max", "nonsense\n", 16},
	    {"jobs/cpu.max", "0 100000\n", 16},
	    {"jobs/cpu.max", "-5 100000\n", 16},
	    {"jobs/cpu.max", "100000\n", 16},
	    {"jobs/cpu.max", "100000 0\n", 16},
	    {"jobs/cpu.max", "9223372036854775807 100000\n", 16},
	    {NULL, NULL, 16, 16, ""},
	    {NULL, NULL, 16, 16, "\n"},
	    {NULL, NULL, 16, 16, "0\n"},
	    {NULL, NULL, 16, 16, "0:\n"},
	    {NULL, NULL, 16, 16, "::\n"},
	    {NULL, NULL, 16, 16, "0::\n"},
	    {NULL, NULL, 16, 16, "no colon at all\n"},
	};
	EXPECT_LIMITS(rows);
	assert_int_equal(fl__cpu_limit("/nowhere/at/all", "/nowhere", 7), 7);
}

FL_TEST(cpu_count_is_of_the_affinity_mask)
{
	cpu_set_t before, one;
	FL_NOT_ON_POSIX("an affinity mask is not in POSIX");
	FL_OK(sched_getaffinity(0, sizeof before, &before));
	unsigned all = (unsigned)CPU_COUNT(&before);
	unsigned usable = fl__cpu_limit("/proc/self/cgroup", "/sys/fs/cgroup", all);
	assert_int_equal(fl_cpu_count(), usable);
	FL_IN_RANGE(fl_cpu_count(), 1, all);

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		FL_OK(sched_setaffinity(0, sizeof one, &one));
		unsigned count = fl_cpu_count();
		FL_OK(sched_setaffinity(0, sizeof before, &before));
		assert_int_equal(count, 1);
	}
}

/* Run by the restarted program of the case below; in a run of all cases it does nothing. */
FL_TEST(cpu_limit_body)
{
	if (!getenv("FL_TEST_CPUS"))
		return;
	const unsigned first = fl_cpu_count();
	FL_OK(setenv("FL_CPUS", "1", 1)); /* too late */
	FL_CHECK(fprintf(stderr, "cpus %u %u;", first, fl_cpu_count()) > 0);
}

static void start_with_limit(void *cpus)
{
	FL_OK(setenv("FL_CPUS", cpus, 1));
	FL_OK(setenv("FL_TEST_CPUS", "", 1));
	FL_CHECK(freopen("/dev/null", "w", stdout) != NULL); /* it reports cases, too */
	(void)execl("/proc/self/exe", "test_cpu", "cpu_limit_body", (char *)NULL);
	FL_CHECK(!"not executed");
}

FL_TEST(cpu_limit_of_the_environment)
{
	static char text[1 << 12];
	static struct row {
		char limit[24];
		unsigned most;
		bool warns;
	} rows[] = {
	    {"1", 1, false},
	    {"2", 2, false},
	    {"1000000", UINT_MAX, false},
	    {"99999999999999999999", UINT_MAX, false},
	    {"0", UINT_MAX, true},
	    {"", UINT_MAX, true},
	    {"-1", UINT_MAX, true},
	    {"2x", UINT_MAX, true},
	    {"two", UINT_MAX, true},
	};
	FL_OK(unsetenv("FL_CPUS"));
	const unsigned usable = fl_cpu_count();
	FL_EACH (i, rows) {
		const unsigned expected = rows[i].most < usable ? rows[i].most : usable;
		char found[48];
		FL_IN_RANGE(snprintf(found, sizeof found, "cpus %u %u;", expected, expected), 1, sizeof found - 1);
		FL_RC(fl_test_child(start_with_limit, rows[i].limit, text, sizeof text), 0);
		fl_test_contains(text, found);
		assert_int_equal(strstr(text, "is not a number of CPUs") != NULL, rows[i].warns);
	}
}
