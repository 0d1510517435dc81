/* SPDX-License-Identifier: BSD-2-Clause */
/* Reports to the watcher: fatal signals, and on request what the threads wait for. */
#include "../engine/door.h"
#include "native.h"
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <ucontext.h>

enum { ANSWERS_MOST = 40 };

static struct native_live *live;
static size_t used; /* how many bytes of live->answer are used */

__attribute__((format(printf, 1, 2))) static void answer(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(live->answer + used, NATIVE_ANSWER - used, format, args);
	va_end(args);
	if (n > 0)
		used = used + (size_t)n < NATIVE_ANSWER ? used + (size_t)n : NATIVE_ANSWER - 1;
}

static void answer_waiter(const void *key, const void *wait, const uint32_t *futex, const char *name, void *arg)
{
	(void)wait;
	unsigned *told = arg;
	if (++*told > ANSWERS_MOST)
		return;
	answer("%s waits in the lot for %p (its futex: %p = %u)\n", name ? name : "?", key, (const void *)futex,
	       __atomic_load_n(futex, __ATOMIC_RELAXED));
}

static void *answer_run(void *arg)
{
	while (atomic_load(&live->asked) == 0)
		native_shared_wait(&live->asked, 0);
	for (unsigned i = 0; i < live->n_actors; i++) {
		uint32_t at = atomic_load_explicit(&live->actors[i].at, memory_order_relaxed);
		if (at != UINT32_MAX)
			answer("%s is in sample %u of its batch; the state is at %p, %zu bytes\n", live->actors[i].name,
			       at, native_team_state(i, at), native_test->test->state_size);
	}
	unsigned told = 0;
	const struct lab_door *door = lab_door_of(native_test->module);
	if (door)
		door->waiters(answer_waiter, &told);
	atomic_store(&live->answered, 1);
	return arg;
}

static uintptr_t program_counter(const ucontext_t *context)
{
#if defined(__x86_64__)
	return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return (uintptr_t)context->uc_mcontext.pc;
#else
	(void)context;
	return 0;
#endif
}

/*
 * Records the signal, and sends it again with its default action. The signal is blocked until the
 * handler returns, so the action follows only then.
 */
static void on_fatal(int signal, siginfo_t *info, void *context)
{
	int none = 0;
	if (atomic_load(&live->signal) == 0) {
		live->pc = program_counter(context);
		live->address = (uintptr_t)info->si_addr;
		(void)prctl(PR_GET_NAME, live->crashed);
		(void)atomic_compare_exchange_strong(&live->signal, &none, signal);
	}
	struct sigaction plain = {.sa_handler = SIG_DFL};
	(void)sigaction(signal, &plain, NULL);
	(void)raise(signal);
}

void native_watch_thread(void)
{
	enum { STACK = 64 * 1024 };
	/* The handler must run even when the thread's own stack is full. */
	stack_t stack = {.ss_sp = malloc(STACK), .ss_size = STACK};
	if (stack.ss_sp)
		(void)sigaltstack(&stack, NULL);
}

void native_watch_start(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
	live = native_config->live;
	struct sigaction action = {.sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	LAB_EACH (i, fatal)
		(void)sigaction(fatal[i], &action, NULL);
	pthread_t thread;
	if (pthread_create(&thread, NULL, answer_run, NULL) == 0) {
		(void)pthread_setname_np(thread, "stress-watch");
		(void)pthread_detach(thread);
	}
}
