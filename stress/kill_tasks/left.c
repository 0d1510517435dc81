/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The resources of this process and of its fork server: descriptors, threads, children, mappings
 * and pages.
 */
#include "process/start/fork_server.h"
#include "tasks.h"
#include <malloc.h>
#include <time.h>

static const char *const names[RESOURCES] = {
    "descriptors",
    "descriptors of the fork server",
    "children",
    "children of the fork server, zombies too",
    "threads",
    "mappings of shared memory",
    "mappings of shared memory of the fork server",
    "shared memory, KiB",
    "memory of its own, KiB",
    "memory of the fork server's own, KiB",
};
enum { ZOMBIES = 3, OWN = 8 }; /* from OWN on, it is memory, of which the C library keeps some */
enum { OWN_MORE = 16 << 10 };  /* how much the memory may grow, in KiB */

static unsigned lines_with(int pid, const char *file, const char *what)
{
	char line[512];
	unsigned n = 0;
	FILE *f = proc_open(pid, file);
	while (f && fgets(line, sizeof line, f))
		n += strstr(line, what) != NULL;
	if (f)
		fclose(f);
	return n;
}

static struct left look(void)
{
	const int self = getpid(), fork_server = fl__fork_server_pid();
	return (struct left){{proc_entries(self, "fd"), proc_entries(fork_server, "fd"), proc_children(self),
	                      proc_children(fork_server), proc_entries(self, "task"),
	                      lines_with(self, "maps", "/memfd:"), lines_with(fork_server, "maps", "/memfd:"),
	                      proc_status(self, "RssShmem"), proc_status(self, "RssAnon"),
	                      proc_status(fork_server, "RssAnon")}};
}

/*
 * Returns the resources when nothing changes any more, or after five seconds, because the fork
 * server may still have children to reap. What remains then is counted.
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
	} while ((now.amounts[ZOMBIES] > 0 || memcmp(before.amounts, now.amounts, OWN * sizeof now.amounts[0]) != 0) &&
	         time_now() < until);
	return now;
}

bool left_report(const struct left *before, const struct left *after)
{
	bool all_good = true;
	for (int i = 0; i < RESOURCES; i++) {
		const unsigned long b = before->amounts[i], a = after->amounts[i];
		const bool good = i < OWN ? a == b : a <= b + OWN_MORE;
		printf("  %-44s %8lu before, %8lu after%s\n", names[i], b, a, good ? "" : "  LEAKED");
		all_good &= good;
	}
	return all_good;
}
