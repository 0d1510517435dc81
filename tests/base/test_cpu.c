/* SPDX-License-Identifier: BSD-2-Clause */
#include "fl_test.h"

#include "base/cpu.h"
#include <ftw.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A private tree of control groups: a folder with a file `cgroup` as /proc/self/cgroup, and mounts
 * beside it.
 */
typedef struct tree {
	char root[64], proc[80];
} tree;

static tree plant(const char *proc_cgroup);
static void put(const tree *t, const char *path, const char *text);

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
	(void)s;
	(void)type;
	(void)at;
	return remove(path);
}

static void fell(tree *t)
{
	FL_CHECK(nftw(t->root, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

#define TREE(name, proc) __attribute__((cleanup(fell))) tree name = plant(proc)

static tree plant(const char *proc_cgroup)
{
	tree t = {"/tmp/fairlead-cpu-XXXXXX", ""};
	FL_CHECK(mkdtemp(t.root) != NULL);
	(void)snprintf(t.proc, sizeof t.proc, "%s/cgroup", t.root);
	put(&t, "cgroup", proc_cgroup);
	return t;
}

/* Writes the file `path` of the tree, with the folders above it. */
static void put(const tree *t, const char *path, const char *text)
{
	char whole[256];
	(void)snprintf(whole, sizeof whole, "%s/%s", t->root, path);
	for (char *at = whole + strlen(t->root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		FL_CHECK(mkdir(whole, 0700) == 0 || errno == EEXIST);
		*at = '/';
	}
	FILE *f = fopen(whole, "w");
	FL_CHECK(f != NULL);
	FL_CHECK(fputs(text, f) >= 0);
	FL_CHECK(fclose(f) == 0);
}

static unsigned limit(const tree *t, unsigned most)
{
	return fl__cpu_limit(t->proc, t->root, most);
}

FL_TEST(cpu_group_v2_quota_rounds_up)
{
	static const struct {
		const char *max;
		unsigned cpus;
	} rows[] = {
	    {"100000 100000\n", 1}, {"100001 100000\n", 2}, {"150000 100000\n", 2}, {"200000 100000\n", 2},
	    {"1000 100000\n", 1},   {"1 1\n", 1},           {"50000 20000\n", 3},   {"900000 100000\n", 8},
	};
	TREE(t, "0::/user/me\n");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		put(&t, "user/me/cpu.max", rows[i].max);
		assert_int_equal(limit(&t, 8), rows[i].cpus);
	}
}

FL_TEST(cpu_group_v2_max_is_no_limit)
{
	TREE(t, "0::/user\n");
	put(&t, "user/cpu.max", "max 100000\n");
	assert_int_equal(limit(&t, 8), 8);
	assert_int_equal(limit(&t, 1), 1);
}

FL_TEST(cpu_group_v2_is_bound_by_those_above)
{
	TREE(t, "0::/a/b/c\n");
	put(&t, "a/b/c/cpu.max", "max 100000\n");
	put(&t, "a/b/cpu.max", "400000 100000\n");
	assert_int_equal(limit(&t, 16), 4);
	put(&t, "a/cpu.max", "250000 100000\n");
	assert_int_equal(limit(&t, 16), 3);
	put(&t, "a/b/c/cpu.max", "200000 100000\n");
	assert_int_equal(limit(&t, 16), 2);
	put(&t, "cpu.max", "100000 100000\n");
	assert_int_equal(limit(&t, 16), 1);
}

FL_TEST(cpu_group_v2_does_not_look_beside)
{
	TREE(t, "0::/a/b\n");
	put(&t, "a/b2/cpu.max", "100000 100000\n");
	put(&t, "a2/cpu.max", "100000 100000\n");
	put(&t, "b/cpu.max", "100000 100000\n");
	put(&t, "a/b/c/cpu.max", "100000 100000\n");
	assert_int_equal(limit(&t, 16), 16);
}

FL_TEST(cpu_group_v2_at_the_root)
{
	TREE(t, "0::/\n");
	assert_int_equal(limit(&t, 16), 16);
	put(&t, "cpu.max", "500000 100000\n");
	assert_int_equal(limit(&t, 16), 5);
}

FL_TEST(cpu_group_v1_quota)
{
	TREE(t, "12:cpuset:/jobs\n4:cpu,cpuacct:/jobs/one\n1:name=systemd:/init\n");
	put(&t, "cpu,cpuacct/jobs/one/cpu.cfs_period_us", "100000\n");
	put(&t, "cpu,cpuacct/jobs/one/cpu.cfs_quota_us", "250000\n");
	assert_int_equal(limit(&t, 16), 3);
	put(&t, "cpu,cpuacct/jobs/cpu.cfs_period_us", "50000\n");
	put(&t, "cpu,cpuacct/jobs/cpu.cfs_quota_us", "100000\n");
	assert_int_equal(limit(&t, 16), 2);
	put(&t, "cpu,cpuacct/jobs/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(limit(&t, 16), 3);
}

FL_TEST(cpu_group_v1_minus_one_is_no_limit)
{
	TREE(t, "4:cpu:/jobs\n");
	put(&t, "cpu/jobs/cpu.cfs_period_us", "100000\n");
	put(&t, "cpu/jobs/cpu.cfs_quota_us", "-1\n");
	assert_int_equal(limit(&t, 16), 16);
}

FL_TEST(cpu_group_v1_without_a_period_is_no_limit)
{
	TREE(t, "4:cpu:/jobs\n");
	put(&t, "cpu/jobs/cpu.cfs_quota_us", "100000\n");
	assert_int_equal(limit(&t, 16), 16);
	put(&t, "cpu/jobs/cpu.cfs_period_us", "0\n");
	assert_int_equal(limit(&t, 16), 16);
	put(&t, "cpu/jobs/cpu.cfs_period_us", "100000\n");
	assert_int_equal(limit(&t, 16), 1);
}

FL_TEST(cpu_group_other_controllers_are_not_asked)
{
	static const char *const names[] = {"cpuset", "cpuacct", "xcpu", "memory", "cpuacct,xcpu"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char line[64], path[64];
		(void)snprintf(line, sizeof line, "4:%s:/jobs\n", names[i]);
		TREE(t, line);
		(void)snprintf(path, sizeof path, "%s/jobs/cpu.cfs_period_us", names[i]);
		put(&t, path, "100000\n");
		(void)snprintf(path, sizeof path, "%s/jobs/cpu.cfs_quota_us", names[i]);
		put(&t, path, "100000\n");
		assert_int_equal(limit(&t, 16), 16);
	}
	TREE(last, "4:cpuacct,cpu:/jobs\n");
	put(&last, "cpuacct,cpu/jobs/cpu.cfs_period_us", "100000\n");
	put(&last, "cpuacct,cpu/jobs/cpu.cfs_quota_us", "100000\n");
	assert_int_equal(limit(&last, 16), 1);
}

FL_TEST(cpu_group_of_both_versions_takes_the_less)
{
	TREE(t, "4:cpu:/jobs\n0::/jobs\n");
	put(&t, "cpu/jobs/cpu.cfs_period_us", "100000\n");
	put(&t, "cpu/jobs/cpu.cfs_quota_us", "300000\n");
	put(&t, "jobs/cpu.max", "200000 100000\n");
	assert_int_equal(limit(&t, 16), 2);
	put(&t, "jobs/cpu.max", "400000 100000\n");
	assert_int_equal(limit(&t, 16), 3);
}

FL_TEST(cpu_group_nonsense_is_no_limit)
{
	static const char *const texts[] = {"",         "\n",        "nonsense\n", "0 100000\n", "-5 100000\n",
	                                    "100000\n", "100000 0\n"};
	TREE(t, "0::/jobs\n");
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		put(&t, "jobs/cpu.max", texts[i]);
		assert_int_equal(limit(&t, 16), 16);
	}
	put(&t, "jobs/cpu.max", "9223372036854775807 100000\n");
	assert_int_equal(limit(&t, 16), 16);
}

FL_TEST(cpu_group_file_of_nonsense_is_no_limit)
{
	static const char *const texts[] = {"", "\n", "0\n", "0:\n", "::\n", "0::\n", "no colon at all\n"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		TREE(t, texts[i]);
		assert_int_equal(limit(&t, 16), 16);
	}
	assert_int_equal(fl__cpu_limit("/nowhere/at/all", "/nowhere", 7), 7);
}

FL_TEST(cpu_count_is_of_the_affinity_mask)
{
	cpu_set_t before, one;
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	unsigned all = (unsigned)CPU_COUNT(&before);
	unsigned usable = fl__cpu_limit("/proc/self/cgroup", "/sys/fs/cgroup", all);
	assert_int_equal(fl_cpu_count(), usable);
	FL_IN_RANGE(fl_cpu_count(), 1, all);

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &before))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
		unsigned count = fl_cpu_count();
		assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
		assert_int_equal(count, 1);
	}
}
