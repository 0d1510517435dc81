/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fiber that runs out of stack touches the guard below it. The handler of that signal, on the
 * thread's signal stack, panics in the fiber's name; any other fault goes to the previous handler.
 * A turn in which no fiber runs does not change the signal stack: each change is a system call. A
 * frame larger than the guard can jump over it, unless the compiler touches each page
 * (-fstack-clash-protection).
 */
#include "core/base/atomic.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/base/unload.h"
#include "core/wait/lock.h"
#include "scheduler.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static struct {
	uint32_t lock;
	uint32_t installed;        /* set under the lock, after `previous` */
	struct sigaction previous; /* written under the lock, before the handler is installed */
} overflow_handler;

static bool overflow_hits_guard(const struct fl__fiber *f, const void *address)
{
	uintptr_t low = (uintptr_t)f->stack.low, at = (uintptr_t)address;
	return at < low && low - at <= f->sched->stacks.guard;
}

static _Noreturn void overflow_panic(const struct fl__fiber *f)
{
	char reason[96];
	(void)snprintf(reason, sizeof reason, "fiber %s needs more stack than its %zu bytes", f->name, f->stack.size);
	fl__panic("fl__fiber_run", f, reason);
}

static void overflow_do_default(int signal, const siginfo_t *info)
{
	/* by kill() and the like: the signal does not recur by itself */
	bool sent = info->si_code <= 0;
	if (sent && overflow_handler.previous.sa_handler == SIG_IGN)
		return;
	struct sigaction standard = {.sa_handler = SIG_DFL};
	(void)sigaction(signal, &standard, NULL);
	if (sent)
		(void)raise(signal); /* takes effect when this handler returns */
}

static void overflow_pass_on(int signal, siginfo_t *info, void *context)
{
	struct sigaction previous = overflow_handler.previous;
	if (!(previous.sa_flags & SA_SIGINFO) && (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN)) {
		overflow_do_default(signal, info);
		return;
	}
	if (previous.sa_flags & SA_RESETHAND)
		overflow_handler.previous = (struct sigaction){.sa_handler = SIG_DFL};
	if (previous.sa_flags & SA_NODEFER)
		(void)sigdelset(&previous.sa_mask, signal);
	else
		(void)sigaddset(&previous.sa_mask, signal);
	sigset_t own;
	(void)sigemptyset(&own);
	(void)sigaddset(&own, signal);
	(void)pthread_sigmask(SIG_UNBLOCK, &own, NULL);
	/* until this handler returns */
	(void)pthread_sigmask(SIG_BLOCK, &previous.sa_mask, NULL);
	if (previous.sa_flags & SA_SIGINFO)
		previous.sa_sigaction(signal, info, context);
	else
		previous.sa_handler(signal);
}

static void overflow_on_fault(int signal, siginfo_t *info, void *context)
{
	FL__KEEPS_ERRNO();
	const struct fl__fiber *f = fl__fiber_self();
	if (f && info->si_code > 0 && overflow_hits_guard(f, info->si_addr))
		overflow_panic(f);
	overflow_pass_on(signal, info, context);
}

static void overflow_install(void)
{
	if (fl__load_acquire(&overflow_handler.installed)) /* pairs with the store below */
		return;
	fl__lock(&overflow_handler.lock);
	if (!overflow_handler.installed) {
		struct sigaction ours = {.sa_sigaction = overflow_on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
		(void)sigemptyset(&ours.sa_mask);
		/* fails only for signals that do not exist */
		(void)sigaction(SIGSEGV, NULL, &overflow_handler.previous);
		(void)sigaction(SIGSEGV, &ours, NULL);
		fl__store_release(&overflow_handler.installed, 1); /* pairs with the load above */
	}
	fl__unlock(&overflow_handler.lock);
}

FL__AT_UNLOAD static void overflow_uninstall(void)
{
	struct sigaction now;
	if (overflow_handler.installed && sigaction(SIGSEGV, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
	    now.sa_sigaction == overflow_on_fault)
		(void)sigaction(SIGSEGV, &overflow_handler.previous, NULL);
}

/* For the kernel's frame, which grows with the CPU's registers, and a panic handler. */
static size_t overflow_signal_stack_size(void)
{
	enum { HANDLER = 64 * 1024 };
	long frame = 0;
#ifdef _SC_MINSIGSTKSZ
	frame = sysconf(_SC_MINSIGSTKSZ);
#endif
	size_t page = fl__page_size();
	return (HANDLER + (frame > 0 ? (size_t)frame : 0) + page - 1) / page * page;
}

int fl__overflow_prepare(struct fl__sched *s)
{
	if (!s->signal_stack)
		s->signal_stack = fl__sys.map(overflow_signal_stack_size());
	if (!s->signal_stack)
		return -ENOMEM;
	overflow_install();
	return 0;
}

void fl__overflow_watch(struct fl__sched *s)
{
	const stack_t ours = {.ss_sp = s->signal_stack, .ss_size = overflow_signal_stack_size()};
	stack_t before = {.ss_flags = SS_DISABLE};
	s->watched = true;
	s->signal_stacked = sigaltstack(&ours, &before) == 0;
	if (!(before.ss_flags & SS_DISABLE)) {
		(void)sigaltstack(&before, NULL);
		s->signal_stacked = false;
	}
}

void fl__overflow_unwatch(struct fl__sched *s)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	stack_t now = {.ss_flags = SS_DISABLE};
	s->watched = false;
	if (!s->signal_stacked)
		return;
	s->signal_stacked = false;
	/* unless a fiber has given the thread another */
	(void)sigaltstack(&none, &now);
	if (now.ss_sp != s->signal_stack && !(now.ss_flags & SS_DISABLE))
		(void)sigaltstack(&now, NULL);
}

void fl__overflow_end(struct fl__sched *s)
{
	if (s->signal_stack)
		fl__sys.unmap(s->signal_stack, overflow_signal_stack_size());
}
