/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks signals and receives them through a signalfd. */
#include "signals.h"
#include "base/fd_watcher.h"
#include "base/process_sys.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include "core/hooks.h"
#include <errno.h>
#include <fairlead/signals.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Takes a pending signal. Returns -EAGAIN if there is none. */
static int signals_take(int fd)
{
	struct signalfd_siginfo info;
	const ssize_t n = FL__RETRY(FL__SYS_RESULT(read(fd, &info, sizeof info)));
	return n < 0 ? (int)n : (int)info.ssi_signo;
}

/* For each signal, the number of fl_signals objects that have blocked it. */
static uint32_t signals_users[NSIG];

static void signals_count(const sigset_t *set, uint32_t more)
{
	for (int signal = 1; signal < NSIG; signal++)
		if (sigismember(set, signal) == 1)
			/* relaxed: each number stands for itself */
			fl__add_relaxed(&signals_users[signal], more);
}

uint64_t fl__signals_blocked(bool for_task)
{
	sigset_t blocked;
	uint64_t set = 0;
	(void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (for_task)
		fl__signals_unblock_faults(&blocked);
	for (int signal = 1; signal < NSIG; signal++)
		/* relaxed: each number stands for itself */
		if (sigismember(&blocked, signal) == 1 && fl__load_relaxed(&signals_users[signal]) == 0)
			set |= UINT64_C(1) << (signal - 1);
	return set;
}

struct fl_signals {
	int fd;
	sigset_t blocked; /* the signals that fl_signals_create() has blocked */
};

static int signals_fill_set(sigset_t *set, const int *signals, size_t n)
{
	(void)sigemptyset(set);
	for (size_t i = 0; i < n; i++)
		if (signals[i] == SIGKILL || signals[i] == SIGSTOP || sigaddset(set, signals[i]) != 0)
			return -EINVAL;
	return n > 0 ? 0 : -EINVAL;
}

static void signals_keep_new(sigset_t *set, const sigset_t *before, const int *signals, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (sigismember(before, signals[i]) == 1)
			(void)sigdelset(set, signals[i]);
}

int fl_signals_create(fl_signals **made, const int *signals, size_t n)
{
	sigset_t set, before;
	FL__KEEPS_ERRNO();
	int rc = signals_fill_set(&set, signals, n);
	if (rc != 0)
		return rc;
	fl_signals *s = fl__alloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	rc = s->fd = fl__process_sys.signalfd(&set);
	if (rc >= 0)
		rc = fl__process_sys.mask(SIG_BLOCK, &set, &before);
	if (rc != 0) {
		fl__fd_close(s->fd);
		fl__free(s);
		return rc;
	}
	signals_keep_new(&set, &before, signals, n);
	s->blocked = set;
	signals_count(&set, 1);
	*made = s;
	return 0;
}

void fl_signals_free(fl_signals *s)
{
	if (!s)
		return;
	fl__hook_ends(s);
	fl__fd_close(s->fd);
	/* fails only for bad arguments */
	(void)fl__process_sys.mask(SIG_UNBLOCK, &s->blocked, NULL);
	signals_count(&s->blocked, UINT32_MAX); /* adding UINT32_MAX subtracts 1 */
	fl__free(s);
}

int fl_signals_try_wait(fl_signals *s)
{
	return signals_take(s->fd);
}

int fl_signals_wait_until(fl_signals *s, fl_time deadline, fl_cancel_token *cancel)
{
	return FL__CALL_OR_WAIT(signals_take(s->fd), fl__fd_wait(s->fd, POLLIN, deadline, cancel));
}

int fl_signals_fd(const fl_signals *s)
{
	return s->fd;
}
