#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes what the unit tests link with in place of the parts process and loop, where the library has the core alone: `absent.py FILE`.

Each function that a header of these parts declares ends the case that calls it, and tests/run counts that case as skipped. An event
in shared memory, by which tasks of the conformance suite tell how far they are, is an event of this process.

For Windows, `absent.py FILE HEADER` also has the functions of POSIX that it lacks, and writes fairlead.h with all parts to HEADER.
"""
import re
import sys
from os.path import join

import check_layers

HEAD = """#include "fl_test.h"
#include "loop/fiber/scheduler.h"

#ifdef __APPLE__
#define PREFIX "_"
#else
#define PREFIX
#endif

_Thread_local struct fl__sched *fl__sched_current;
const fl_on_type fl__on_pipe, fl__on_process, fl__on_shm_event;

_Noreturn void fl_test_absent(const char *why);
_Noreturn void fl_test_absent(const char *why)
{
	(void)dprintf(STDOUT_FILENO, "\\n# absent %s\\n", why);
#ifdef _WIN32
	_exit(0);
#endif
	for (;;)
		(void)kill(0, SIGKILL);
}

static void absent_table(void)
{
	fl_test_absent("the library has the core alone: no other table of system calls");
}

void (*fl__poller_sys[64])(void) = {[0 ... 63] = absent_table}, (*fl__shm_sys[64])(void) = {[0 ... 63] = absent_table};

void fl_process_main(int argc, char **argv)
{
	(void)argc, (void)argv;
}

fl_loop *fl_loop_current(void)
{
	return NULL;
}

static fl_event *event_of(fl_shm_event *e)
{
	return (fl_event *)(void *)&e->word_;
}

int fl_shm_event_set(fl_shm_event *e)
{
	fl_event_set(event_of(e));
	return 0;
}

void fl_shm_event_reset(fl_shm_event *e)
{
	fl_event_reset(event_of(e));
}

/* Sleeps so short that no stand-in replaces the worker: for a wait in shared memory there is none. */
int fl_shm_event_wait_until(fl_shm_event *e, fl_time deadline, fl_cancel_token *cancel)
{
	int rc;
	do
		rc = fl_event_wait_until(event_of(e), fl__earlier(deadline, fl_after(FL_MS(1))), cancel);
	while (rc == -ETIMEDOUT && !fl_time_is_past(deadline));
	return rc;
}
"""
# The function that a header of the core declares, and the part loop has.
ELSEWHERE = {"fl_group_start_with"}
NOT_ON_WINDOWS = """CPU_SET CPU_ZERO WEXITSTATUS WIFEXITED WIFSIGNALED WTERMSIG eventfd fork getauxval getrlimit kill madvise malloc_usable_size
    memfd_create pause pipe pipe2 posix_spawnp pthread_getattr_np pthread_setaffinity_np sched_getcpu setresuid setrlimit setuid sigaddset
    sigemptyset sigpending sysconf waitpid""".split()
NUMBERS = """AT_SECURE CLONE_NEWNS EFD_CLOEXEC EFD_NONBLOCK FD_CLOEXEC F_SETFD MADV_DONTFORK MAP_ANONYMOUS MAP_PRIVATE MAP_SHARED MFD_CLOEXEC
    MS_PRIVATE MS_REC PROT_NONE PROT_READ PROT_WRITE PR_SET_PDEATHSIG RLIMIT_AS RLIMIT_FSIZE SIGALRM SIGHUP SIGKILL SIGPIPE SIGRTMIN SIGUSR1
    SIGUSR2 SIGXFSZ SYS_clock_gettime SYS_futex SYS_gettid SYS_preadv2 SYS_tgkill WNOHANG _SC_PAGESIZE""".split()
# The cases of which Windows lacks what is no function, and why.
SKIPPED_ON_WINDOWS = {
    **dict.fromkeys("""debug_contention_counts_a_submit_at_its_caller debug_contention_counts_each_wait debug_contention_counts_one_of_16_for_16
        debug_contention_counts_waits_at_their_callers debug_dump_names_conditions_semaphores_and_queues debug_dump_names_each_kind_of_wait
        debug_dump_names_static_objects debug_dump_names_waiters_and_owners debug_dump_says_what_the_timers_wait_for
        debug_dump_without_debugging_names_objects debug_inversion_is_reported_with_four_stacks
        debug_inversion_of_static_locks_names_them debug_relock_by_the_owner_is_reported debug_waits_reports_philosophers
        trace_has_a_wait_and_the_thread_that_wakes_it""".split(), "Windows: functions and objects are files and offsets"),
    **dict.fromkeys("""debug_waits_have_the_signal_while_they_are_on helper_in_use_goes_on helper_is_ended_and_starts_again
        trace_catches_a_signal_only_while_it_is_wanted trace_signals_of_two_threads""".split(), "Windows has no signals that a thread could block or catch"),
    "blocking_has_a_bound": "4,096 threads take minutes under wine, and 4 GiB, since each has 1 MiB in memory",
    "interface_structs_have_their_size": "Windows has no structs of processes",
    "sys_futex_wakes": "Windows does not tell how many sleepers a wake has found",
    "thread_names": "Windows does not cut a thread's name",
    **dict.fromkeys("test_cpu test_denied test_fork test_signal_storm test_unload".split(),
                    "Windows has no control groups, filters of system calls, fork(), signals and dlclose()"),
}


def names_in(paths):
    return {name for path in paths for name in re.findall(r"\b(fl__?\w+)\(", check_layers.COMMENT.sub("", check_layers.text_of(path)))}


def main(path, header=None):
    headers = check_layers.Layers().headers
    of = {part: [name for name in check_layers.files_of(join(check_layers.LIB, part)) if name.endswith(".h")]
          for part in ("core", "inspect", "fd", "process", "loop")}
    for name, layer in headers.items():
        of[layer.split("/")[0]].append(join(check_layers.INCLUDE, name))
    private = [name for name in check_layers.files_of(join(check_layers.INCLUDE, "private")) if "/shm_" not in name]
    names = names_in(of["fd"] + of["process"] + of["loop"]) - names_in(of["core"] + of["inspect"] + private) | ELSEWHERE
    reasons = {name: f"{name}() is of a part that this build of the library lacks" for name in names if not re.search(rf"\b{name}\(", HEAD)}
    if header:
        reasons.update({name: f"Windows has no {name}()" for name in NOT_ON_WINDOWS})
        with open(header, "w", encoding="utf-8") as file:
            file.write(check_layers.text_of(join(check_layers.INCLUDE, "../fairlead.h")).replace(
                "#if FL__HAS_PROCESS", f"enum {{FL_TEST_NUMBERS = 100, {', '.join(NUMBERS)}}};\n#if 1"))
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD)
        for name, why in sorted(reasons.items()):
            file.write(f"void absent_{name}(void) __asm__(PREFIX \"{name}\");\nvoid absent_{name}(void)\n{{\n\tfl_test_absent(\"{why}\");\n}}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
