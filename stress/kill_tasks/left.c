/* SPDX-License-Identifier: BSD-2-Clause */
/* The resources of this process and of its fork server: descriptors, threads, children, pages. */
#include "process/fork_server.h"
#include "tasks.h"
#include <malloc.h>
#include <time.h>

/* Private memory of a process, of which the C library keeps some: the allowed growth. */
enum { OWN_MORE = 4 << 10 }; /* KiB */

static unsigned lines_with(int pid, const char *file, const char *what)
{
	char path[64], line[512];
	unsigned n = 0;
	snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		n += strstr(line, what) != NULL;
	if (f)
		fclose(f);
	return n;
}

static struct left look(void)
{
	const int self = getpid(), fork_server = fl__fork_server_pid();
	return (struct left){.fds = proc_entries(self, "fd"),
	                     .fork_server_fds = proc_entries(fork_server, "fd"),
	                     .children = proc_children(self),
	                     .fork_server_children = proc_children(fork_server),
	                     .threads = proc_entries(self, "task"),
	                     .mappings = lines_with(self, "maps", "/memfd:"),
	                     .fork_server_mappings = lines_with(fork_server, "maps", "/memfd:"),
	                     .shared = proc_status(self, "RssShmem"),
	                     .own = proc_status(self, "RssAnon"),
	                     .fork_server_own = proc_status(fork_server, "RssAnon")};
}

static bool is_same(const struct left *a, const struct left *b)
{
	return a->fds == b->fds && a->fork_server_fds == b->fork_server_fds && a->children == b->children &&
	       a->fork_server_children == b->fork_server_children && a->threads == b->threads &&
	       a->mappings == b->mappings && a->fork_server_mappings == b->fork_server_mappings &&
	       a->shared == b->shared;
}

/*
 * Waits until nothing changes any more: the fork server may have children to reap. What stays is
 * counted.
 */
struct left left_now(void)
{
	(void)malloc_trim(0);
	struct left now = look(), before;
	const int64_t until = time_now() + FL_S(5);
	do {
		before = now;
		pause_for(FL_MS(50));
		now = look();
	} while ((now.fork_server_children > 0 || !is_same(&before, &now)) && time_now() < until);
	return now;
}

static bool same(const char *what, unsigned long before, unsigned long after)
{
	printf("  %-44s %8lu before, %8lu after%s\n", what, before, after, after == before ? "" : "  LEAKED");
	return after == before;
}

static bool about(const char *what, unsigned long before, unsigned long after)
{
	const bool good = after <= before + OWN_MORE;
	printf("  %-44s %8lu before, %8lu after%s\n", what, before, after, good ? "" : "  LEAKED");
	return good;
}

bool left_report(const struct left *b, const struct left *a)
{
	bool good = same("descriptors", b->fds, a->fds);
	good &= same("descriptors of the fork server", b->fork_server_fds, a->fork_server_fds);
	good &= same("children", b->children, a->children);
	good &= same("children of the fork server, zombies too", b->fork_server_children, a->fork_server_children);
	good &= same("threads", b->threads, a->threads);
	good &= same("mappings of shared memory", b->mappings, a->mappings);
	good &= same("mappings of shared memory of the fork server", b->fork_server_mappings, a->fork_server_mappings);
	good &= same("shared memory, KiB", b->shared, a->shared);
	good &= about("memory of its own, KiB", b->own, a->own);
	good &= about("memory of the fork server's own, KiB", b->fork_server_own, a->fork_server_own);
	return good;
}
