/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Says what a hanging process waits for. It learns this from /proc, which describes the process's
 * threads, and from the process itself.
 */
#include "tool.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { TOLD_MOST = 40 };

/* Reads the first bytes of a file in /proc; "" if it cannot be read. */
static void read_task(pid_t pid, const char *tid, const char *file, char *to, size_t size)
{
	char path[128];
	snprintf(path, sizeof path, "/proc/%d/task/%s/%s", (int)pid, tid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, to, size - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	to[n > 0 ? n : 0] = '\0';
	to[strcspn(to, "\n")] = '\0';
}

/* Returns the letter with which /proc describes the state of a thread. */
static char state_of(pid_t pid, const char *tid)
{
	char stat[512];
	read_task(pid, tid, "stat", stat, sizeof stat);
	/* The name in front of the last parenthesis may have any characters. */
	const char *after = strrchr(stat, ')');
	return after && after[1] == ' ' ? after[2] : '?';
}

static bool word_of(pid_t pid, uintptr_t address, uint32_t *word)
{
	struct iovec here = {word, sizeof *word}, there = {(void *)address, sizeof *word};
	return process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof *word;
}

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "runs";
	case 'S':
		return "sleeps";
	case 'D':
		return "sleeps uninterruptibly";
	case 'T':
	case 't':
		return "is stopped";
	case 'Z':
	case 'X':
		return "has ended";
	default:
		return "?";
	}
}

static void tell_futex(FILE *to, pid_t pid, const char *call)
{
	uint32_t word = 0;
	/*
	 * The file has a text like "202 0x7f.. 0x89 0x2 ...". For a thread outside of system calls
	 * it has "running", and without permission it has nothing.
	 */
	char *end = NULL;
	const unsigned long number = strtoul(call, &end, 10);
	if (end == call || number != SYS_futex)
		return;
	const unsigned long address = strtoul(end, &end, 16), operation = strtoul(end, &end, 16);
	const uint32_t expected = (uint32_t)strtoul(end, &end, 16);
	enum { COMMAND = 0x7f, WAIT = 0, WAIT_BITSET = 9 };
	if ((operation & COMMAND) != WAIT && (operation & COMMAND) != WAIT_BITSET)
		return;
	fprintf(to, " on the futex %#lx, which held %u", address, expected);
	if (word_of(pid, address, &word))
		fprintf(to, word == expected ? " and still does" : " and holds %u now: a wake is missing", word);
}

/*
 * Returns whether the thread is idle, which means that it does not run an actor. An actor that has
 * returned waits for the others, and so does the main thread.
 */
static bool is_idle(const struct job *job, const char *tid, const char **name)
{
	const struct native_live *live = &job->shared->live;
	int number = (int)strtol(tid, NULL, 10);
	*name = NULL;
	for (unsigned i = 0; i < live->n_actors && i < NATIVE_THREADS; i++) {
		if (atomic_load(&live->actors[i].tid) == number) {
			*name = live->actors[i].name;
			return atomic_load(&live->actors[i].at) == UINT32_MAX;
		}
	}
	return number == job->pid && live->n_actors > 0;
}

static void tell_thread(FILE *to, const struct job *job, const char *tid)
{
	pid_t pid = job->pid;
	const char *actor;
	bool idle = is_idle(job, tid, &actor);
	if (idle && !actor)
		return;
	if (idle) {
		fprintf(to, "%.31s has returned\n", actor);
		return;
	}
	char name[64], channel[64], call[256];
	read_task(pid, tid, "comm", name, sizeof name);
	read_task(pid, tid, "wchan", channel, sizeof channel);
	read_task(pid, tid, "syscall", call, sizeof call);
	const char state = state_of(pid, tid);
	if (strcmp(name, "stress-watch") == 0)
		return;
	fprintf(to, "%s %s", actor ? actor : name, state_name(state));
	if (state != 'R' && channel[0] != '\0' && strcmp(channel, "0") != 0 && !strstr(channel, "futex"))
		fprintf(to, " in the kernel's %s", channel);
	tell_futex(to, pid, call);
	fputc('\n', to);
}

/*
 * Asks the process what it waits for. A thread of the process answers, within half a second unless
 * the process cannot run at all.
 */
static void ask(const struct job *job)
{
	struct native_live *live = &job->shared->live;
	atomic_store(&live->asked, 1);
	native_shared_wake(&live->asked);
	for (int i = 0; i < 50 && atomic_load(&live->answered) == 0; i++)
		(void)usleep(10000);
}

static void tell_threads(FILE *to, const struct job *job)
{
	unsigned told = 0, more = 0;
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", (int)job->pid);
	DIR *threads = opendir(path);
	for (const struct dirent *d; threads && (d = readdir(threads)) != NULL;) { // NOLINT(concurrency-mt-unsafe)
		if (d->d_name[0] == '.')
			continue;
		if (told++ < TOLD_MOST)
			tell_thread(to, job, d->d_name);
		else
			more++;
	}
	if (threads)
		closedir(threads);
	if (more > 0)
		fprintf(to, "and %u threads more\n", more);
}

bool stuck_could_run(const struct job *job)
{
	bool could = false;
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/task", (int)job->pid);
	DIR *threads = opendir(path);
	for (const struct dirent *d;
	     threads && !could && (d = readdir(threads)) != NULL;) // NOLINT(concurrency-mt-unsafe)
		could = d->d_name[0] != '.' && state_of(job->pid, d->d_name) == 'R';
	if (threads)
		closedir(threads);
	return could;
}

char *stuck_report(const struct job *job)
{
	char *text = NULL;
	size_t size;
	FILE *to = open_memstream(&text, &size);
	if (!to)
		return NULL;
	tell_threads(to, job);
	if (job->shared->live.n_actors > 0) { /* real threads have begun */
		ask(job);
		fprintf(to, "%.*s", NATIVE_ANSWER - 1, job->shared->live.answer);
	}
	fclose(to);
	return text;
}
