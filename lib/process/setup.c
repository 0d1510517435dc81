/* SPDX-License-Identifier: BSD-2-Clause */
#include "setup.h"
#include "raw.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Exits if the parent ended before the prctl(): the kernel would send no signal. */
FL__RAW static int die_with(int parent)
{
	int rc = fl__raw(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
	if (rc == 0 && fl__raw(SYS_getppid, 0, 0, 0, 0) != parent)
		for (;;)
			(void)fl__raw(SYS_exit_group, 127, 0, 0, 0);
	return rc;
}

/* Moves `*fd` to `floor` or above, so that place() overwrites no descriptor in use. */
FL__RAW static int lift(int *fd, unsigned floor)
{
	if (*fd < 0)
		return 0;
	int rc = fl__raw(SYS_fcntl, *fd, F_DUPFD_CLOEXEC, (long)floor, 0);
	if (rc < 0)
		return rc;
	*fd = rc;
	return 0;
}

FL__RAW static int place(const struct fl__setup *setup, unsigned i)
{
	if (setup->fds[i] < 0) {
		(void)fl__raw(SYS_close, (long)i, 0, 0, 0);
		return 0;
	}
	bool open = i < FL__STREAMS || setup->through_exec;
	int rc = fl__raw(SYS_dup3, setup->fds[i], (long)i, open ? 0 : O_CLOEXEC, 0);
	return rc < 0 ? rc : 0;
}

FL__RAW static int move_fds(struct fl__setup *setup)
{
	int rc = lift(&setup->keep, setup->n_fds);
	for (unsigned i = 0; rc == 0 && i < setup->n_fds; i++)
		rc = lift(&setup->fds[i], setup->n_fds);
	for (unsigned i = 0; rc == 0 && i < setup->n_fds; i++)
		rc = place(setup, i);
	return rc;
}

/* Supported kernels have close_range(). An emulator or a seccomp filter may not. */
FL__RAW static void close_between(long first, long last)
{
	enum { CLOSE_RANGE = 436 }; /* on all architectures */
	if (first > last || fl__raw(CLOSE_RANGE, first, last, 0, 0) == 0)
		return;
	struct rlimit limit = {0, 0};
	(void)fl__raw(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&limit);
	for (long fd = first; fd <= last && fd < (long)limit.rlim_cur; fd++)
		(void)fl__raw(SYS_close, fd, 0, 0, 0);
}

FL__RAW static void close_others(const struct fl__setup *setup)
{
	const long all = 0x7fffffff;
	if (setup->keep < 0) {
		close_between((long)setup->n_fds, all);
		return;
	}
	close_between((long)setup->n_fds, setup->keep - 1);
	close_between(setup->keep + 1, all);
}

FL__RAW static bool is_fault(int signal)
{
	return signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL || signal == SIGTRAP ||
	       signal == SIGSYS || signal == SIGABRT;
}

/*
 * Zeros are the default action, and the empty set, in the kernel's layout. The C library keeps two
 * real-time signals to itself. Before an exec these are reset too: only the new program's C library
 * uses them.
 */
FL__RAW static void reset_signals(const struct fl__setup *setup)
{
	enum { SIGNALS = 64, SET_SIZE = 8, LIBRARY_FIRST = 32, LIBRARY_LAST = 34 };
	static const uint64_t zero[8];
	for (int signal = 1; signal <= SIGNALS; signal++) {
		bool library = signal >= LIBRARY_FIRST && signal < LIBRARY_LAST;
		if (!setup->keep_handlers || (!is_fault(signal) && !library))
			(void)fl__raw(SYS_rt_sigaction, signal, (long)zero, 0, SET_SIZE);
	}
	if (!setup->stay_blocked)
		(void)fl__raw(SYS_rt_sigprocmask, SIG_SETMASK, (long)zero, 0, SET_SIZE);
}

FL__RAW int fl__setup(struct fl__setup *setup)
{
	int rc = setup->parent ? die_with(setup->parent) : 0;
	if (rc == 0 && setup->cwd >= 0)
		rc = fl__raw(SYS_fchdir, setup->cwd, 0, 0, 0);
	if (rc == 0)
		rc = move_fds(setup);
	if (rc != 0)
		return rc;
	close_others(setup);
	reset_signals(setup);
	return 0;
}
