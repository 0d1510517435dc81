/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_TREE_H
#define FL_TREE_H

/*
 * A private tree of control groups, in a separate folder: a file `cgroup` that stands for
 * /proc/self/cgroup, and mounts next to it.
 *
 *     TREE("0::/user/me\n");              // until the end of the block; NULL: without the file
 *     put("user/me/cpu.max", "1 1\n");
 *
 * Only one source file of a program may include this header, with one tree at a time, because
 * everything here is static.
 */
#include "fl_test.h"

#include <ftw.h>

static struct {
	char root[64], cgroup[80];
} tree;

static int tree_remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
	return remove(path);
}

static void tree_fell(const bool *planted)
{
	FL_OK(nftw(tree.root, tree_remove_one, 16, FTW_DEPTH | FTW_PHYS));
}

/* Writes the file `path` of the tree, with the folders above it. */
static void put(const char *path, const char *text)
{
	char whole[256];
	FL_TEXT(whole, "%s/%s", tree.root, path);
	for (char *at = whole + strlen(tree.root) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		FL_CHECK(mkdir(whole, 0700) == 0 || errno == EEXIST);
		*at = '/';
	}
	FILE *f = fopen(whole, "w");
	FL_CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static bool tree_plant(const char *cgroup)
{
	FL_TEXT(tree.root, "/tmp/fairlead-tree-XXXXXX");
	FL_CHECK(mkdtemp(tree.root) != NULL);
	FL_TEXT(tree.cgroup, "%s/cgroup", tree.root);
	if (cgroup)
		put("cgroup", cgroup);
	return true;
}

#define TREE(cgroup)                                                                                                   \
	__attribute__((cleanup(tree_fell), unused)) const bool FL__UNIQUE(tree_planted_) = tree_plant(cgroup)

#endif
