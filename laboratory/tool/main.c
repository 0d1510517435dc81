/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main(): reads the options, loads modules, and performs the requested action. With --watch, it
 * runs again whenever an input changes.
 */
#include "tool.h"
#include <ftw.h>
#include <libgen.h>
#include <sys/inotify.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Starts the program again without address randomisation, so that a replay has the same addresses.
 * If randomisation cannot be switched off, replays are inexact only in steps that depend on
 * addresses.
 */
static void keep_addresses(char **argv)
{
	static const char again[] = "FAIRLEAD_STRESS_AGAIN";
	int now = personality(0xffffffff);
	bool second = getenv(again) != NULL; // NOLINT(concurrency-mt-unsafe)
	(void)unsetenv(again);               // NOLINT(concurrency-mt-unsafe)
	if (now == -1 || (now & ADDR_NO_RANDOMIZE) || second)
		return;
	if (personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1)
		return;
	(void)setenv(again, "1", 1); // NOLINT(concurrency-mt-unsafe)
	(void)execv("/proc/self/exe", argv);
}

static int run(const struct options *o)
{
	if (o->action == DO_LITMUS)
		return run_litmus(o);
	if (!modules_load(o)) {
		report_not_built(o);
		return STATUS_USAGE;
	}
	switch (o->action) {
	case DO_LIST:
		text_list(o);
		return STATUS_OK;
	case DO_SELF_TEST:
		return run_self_test(o);
	case DO_MUTANTS:
		return run_mutants(o);
	case DO_TRAFFIC:
		return run_traffic(o);
	default:
		return run_tests(o);
	}
}

static int inotify;

/*
 * Waits until a source, a header, an object or a library in one of the folders has been written, or
 * has been replaced by a new file, as editors do.
 */
static void await_change(void)
{
	_Alignas(struct inotify_event) char events[8192];
	for (bool changed = false; !changed;) {
		const ssize_t n = read(inotify, events, sizeof events);
		for (const char *at = events; at < events + n;) {
			const struct inotify_event *event = (const struct inotify_event *)at;
			changed = changed || matches(event->name, "*.@(c|cc|cpp|cxx|h|hh|hpp|hxx|o|a|so)");
			at += sizeof *event + event->len;
		}
	}
}

static int watch_folder(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)at;
	if (type == FTW_D)
		inotify_add_watch(inotify, path, IN_CLOSE_WRITE | IN_MOVED_TO);
	return 0;
}

/*
 * Returns -1 in a new process for each run. In the first process it does not return; Ctrl-C ends
 * that process.
 */
static int watch(const struct options *o)
{
	inotify = inotify_init1(IN_CLOEXEC);
	if (inotify < 0)
		return complain("cannot watch files") + STATUS_FAILED;
	char **const lists[] = {o->loads, o->sources, o->inputs};
	LAB_EACH (i, lists) {
		for (char **word = lists[i]; *word; word++) {
			char *file = strdup(*word);
			watch_folder(dirname(file), NULL, FTW_D, NULL);
			free(file);
		}
	}
	for (char **word = o->flags; *word; word++) /* folders of headers: `-Iinclude`, `-I include` */
		nftw(*word + (strncmp(*word, "-I", 2) == 0 ? 2 : 0), watch_folder, 16, FTW_PHYS);
	for (pid_t pid; (pid = fork()) != 0;) {
		waitpid(pid, NULL, 0);
		complain("waiting for a change of a source; Ctrl-C ends");
		await_change();
	}
	return -1;
}

int main(int argc, char **argv)
{
	struct options o;
	keep_addresses(argv);
	int status = options_read(&o, argc, argv);
	if (status < 0 && o.watch)
		status = watch(&o);
	if (status < 0) {
		status = run(&o);
		compile_clean();
	}
	if (fflush(stdout) != 0 && status == STATUS_OK)
		status = STATUS_FAILED;
	return status;
}
