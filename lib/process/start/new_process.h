/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "../base/process_sys.h"
#include <errno.h>
#include <fairlead/process.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * A new process may share its parent's memory. So FL__RAW functions are not instrumented, and call
 * no function that a sanitizer intercepts.
 */
#define FL__RAW __attribute__((no_sanitize("address", "thread", "undefined")))

FL__RAW static inline int fl__raw(long number, long a, long b, long c, long d)
{
	long rc = fl__process_sys.raw(number, a, b, c, d);
	return rc < 0 ? -errno : (int)rc;
}

enum { FL__STREAMS = 3, FL__SETUP_FDS = FL__STREAMS + FL_PROCESS_FDS_MAX };

/* Signal 1 is bit 0. */
struct fl__signal_sets {
	uint64_t blocked; /* without the signals that an fl_signals has blocked */
	uint64_t ignored;
};

/* Returns the signals that this process ignores. */
uint64_t fl__signals_ignored(void);

struct fl__setup {
	int fds[FL__SETUP_FDS]; /* descriptors 0, 1, 2, ...; -1 for one that is closed */
	unsigned n_fds;         /* at least FL__STREAMS */
	bool through_exec;      /* the descriptors from 3 on survive an exec */
	/* keeps the handlers of fault signals and of the C library's own signals */
	bool keep_handlers;
	bool stay_blocked; /* all signals except those of faults stay blocked */
	/* the parent has called fl__new_process_reset_signals() */
	bool has_defaults;
	bool keep_ignored; /* the ignored signals do not change; `signals.ignored` is not used */
	bool group;        /* the process leads a process group */
	int cwd;           /* the new directory, or -1 for the same */
	/* the process dies with this parent, which has one thread; 0 for none */
	int parent;
	/* The process dies with the maker of this pipe. NULL for none. */
	const struct fl__death_pipe *death_pipe;
	struct fl__signal_sets signals;
	struct fl__clock clock; /* of the process that starts this one; not for programs */
	int keep;               /* a descriptor that stays open, at a new number; -1 for none */
};

/*
 * Called in the new process, with all signals blocked, perhaps except those of faults. Closes all
 * descriptors that `setup` does not name, resets the handlers, and ignores and blocks the signals
 * of `setup->signals`; with `stay_blocked` the mask does not change, except that signals of faults
 * are unblocked. If the process with which the new process shall die has already ended, ends the
 * new process. Makes only system calls, because another thread of the parent may have locked the C
 * library. Returns 0; or -ENOTSUP, because a death pipe cannot end the first process of a PID
 * namespace; or another errno.
 */
int fl__new_process_setup(struct fl__setup *setup);

/*
 * Called in a fork server. Calls functions of the C library that running a task calls, so that no
 * process need look them up (lazy binding).
 */
void fl__new_process_rehearse(void);

void fl__new_process_reset_signals(const struct fl__setup *setup);

struct fl__request;

/*
 * Runs the task. First calls `ready`. Its `rc` is 0 if everything is set up, or an error, after
 * which the task does not run; its `fd` is the `keep` of `setup`.
 */
_Noreturn void fl__new_process_run_task(struct fl__request *request, void (*ready)(int fd, int rc));

/*
 * Flushes all stdio streams before an end or a fork. Gives up after a second if another thread
 * keeps stdin, stdout or stderr locked, where fflush(NULL) would wait. Then the contents of the
 * streams are lost at an end, and copied by a fork. As long as another thread keeps another stream
 * locked, the function waits.
 */
void fl__flush_streams(void);

/*
 * Sends the reply to a start over `socket`, and closes it. Exits after an error, or if the parent
 * has given up.
 */
void fl__new_process_reply(int socket, int rc);

/* Called in an exec'd process. Receives a request, runs its task, and exits. */
_Noreturn void fl__new_process_serve(int socket);

void fl__process_set_identity(const char *name, unsigned n_fds);
