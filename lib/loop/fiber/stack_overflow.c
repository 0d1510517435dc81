/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reports stack overflows of fibers. A fiber that runs out of stack touches the guard below its
 * stack, which raises SIGSEGV. The handler runs on the thread's signal stack, and panics with the
 * fiber's name. Any other fault goes to the previous handler. A frame larger than the guard can
 * jump over it, unless the compiler touches each page (-fstack-clash-protection).
 *
 * A thread without a signal stack gets one, and keeps it until the thread ends, because the host
 * may save this signal stack and restore it after the end of the loop. The host may also remove it.
 * So after each enter, the first fl__sched_turn() that runs a fiber asks the system which signal
 * stack is set.
 */
#include "core/base/anew.h"
#include "core/base/atomic.h"
#include "core/base/panic.h"
#include "core/base/sys.h"
#include "core/base/unload.h"
#include "core/os/handlers.h"
#include "core/wait/lock.h"
#include "scheduler.h"
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static void overflow_on_fault(int signal, siginfo_t *info, void *context);

static struct fl__handler overflow_handler = {
    .own = {.sa_sigaction = overflow_on_fault, .sa_flags = FL__HANDLER | SA_ONSTACK}, .signal = SIGSEGV};

static struct {
	uint32_t lock;
	uint32_t ready;    /* set under the lock, after `key` and the handler */
	pthread_key_t key; /* the thread's signal stack */
} overflow_stacks;

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
	/* A signal that was sent, for example by kill(), does not recur by itself. */
	bool sent = info->si_code <= 0;
	if (sent && overflow_handler.previous.sa_handler == SIG_IGN)
		return;
	struct sigaction standard = {.sa_handler = SIG_DFL};
	(void)sigaction(signal, &standard, NULL);
	if (sent)
		(void)raise(signal); /* the signal takes effect when this handler returns */
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
	/* this handler runs with the signal blocked, so the signal is unblocked here */
	if (previous.sa_flags & SA_NODEFER) {
		sigset_t own;
		(void)sigemptyset(&own);
		(void)sigaddset(&own, signal);
		(void)pthread_sigmask(SIG_UNBLOCK, &own, NULL);
	}
	/* the mask holds until this handler returns */
	(void)pthread_sigmask(SIG_BLOCK, &previous.sa_mask, NULL);
	if (previous.sa_flags & SA_SIGINFO)
		previous.sa_sigaction(signal, info, context);
	else
		previous.sa_handler(signal);
}

static void overflow_on_fault(int signal, siginfo_t *info, void *context)
{
	if (!info) {
		fl__handler_pass(&overflow_handler, signal, info, context);
		return;
	}
	FL__KEEPS_ERRNO();
	const struct fl__fiber *f = fl__fiber_self();
	if (f && info->si_code > 0 && overflow_hits_guard(f, info->si_addr))
		overflow_panic(f);
	overflow_pass_on(signal, info, context);
}

/*
 * Returns the size of a signal stack, which must hold the kernel's frame and a panic handler.
 * The frame grows with the CPU's registers.
 */
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

/* Called at the end of the thread. */
static void overflow_free_signal_stack(void *stack)
{
	const stack_t none = {.ss_flags = SS_DISABLE};
	stack_t now;
	unsigned char *first_round_done = stack;
	/* frees in the second round, since destructors of the host may still restore the stack */
	if (!*first_round_done) {
		*first_round_done = 1;
		if (pthread_setspecific(overflow_stacks.key, stack) == 0)
			return;
	}
	/*
	 * With musl, pthread_exit() may run in a handler on this stack. Then the call returns
	 * EPERM, and the stack stays.
	 */
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == stack && sigaltstack(&none, NULL) != 0)
		return;
	fl__sys.unmap(stack, overflow_signal_stack_size());
}

static int overflow_install(void)
{
	/* acquire: pairs with the release store at the end of this function */
	if (fl__load_acquire(&overflow_stacks.ready))
		return 0;
	FL__LOCKED(&overflow_stacks.lock);
	if (overflow_stacks.ready)
		return 0;
	if (pthread_key_create(&overflow_stacks.key, overflow_free_signal_stack) != 0)
		return -ENOMEM;
	fl__handler_set(&overflow_handler, true);
	/* release: pairs with the acquire loads of `ready` */
	fl__store_release(&overflow_stacks.ready, 1);
	return 0;
}

FL__AT_UNLOAD static void overflow_uninstall(void)
{
	/* acquire: pairs with the release in overflow_install() */
	if (!fl__load_acquire(&overflow_stacks.ready))
		return;
	/* threads keep their signal stacks, which a later copy of the library uses */
	if (fl__is_unloaded())
		(void)pthread_key_delete(overflow_stacks.key);
	fl__handler_set(&overflow_handler, false);
}

static void overflow_make_anew(void)
{
	fl__store_relaxed(&overflow_stacks.lock, 0); /* relaxed: the child has one thread */
}

FL__MAKES_ANEW(overflow_make_anew)

/* Gives the thread a signal stack, unless it has one. Returns 0 or -ENOMEM. */
static int overflow_give_signal_stack(void)
{
	stack_t stack;
	if (sigaltstack(NULL, &stack) != 0 || !(stack.ss_flags & SS_DISABLE))
		return 0;
	const size_t size = overflow_signal_stack_size();
	void *own = pthread_getspecific(overflow_stacks.key);
	if (!own) {
		own = fl__sys.map(size);
		if (!own)
			return -ENOMEM;
		if (pthread_setspecific(overflow_stacks.key, own) != 0) {
			fl__sys.unmap(own, size);
			return -ENOMEM;
		}
	}
	stack = (stack_t){.ss_sp = own, .ss_size = size};
	(void)sigaltstack(&stack, NULL);
	return 0;
}

int fl__overflow_prepare(void)
{
	const int rc = overflow_install();
	return rc == 0 ? overflow_give_signal_stack() : rc;
}
