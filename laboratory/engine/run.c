/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs one execution: the setup, the actors and the outcome of a test, or the main() of a program.
 * A failure, a crash or a hang ends it early.
 */
#include "choice.h"
#include "lin_run.h"
#include "program.h"
#include "reach.h"
#include "steer.h"
#include <signal.h>
#include <stdarg.h>
#include <sys/single_threaded.h>
#include <sys/time.h>
#include <unwind.h>

struct lab_execution lab;
struct lab_config lab_config;
const struct lab_test *lab_running;

static _Alignas(16) uint8_t contexts[LAB_THREADS][512];

/* --- the end --- */

void lab_end(void)
{
	lab_activate(false);
	fl__switch_to_plain(&lab.self->flow, &lab.home);
	__builtin_trap();
}

void lab_detail(const char *format, ...)
{
	size_t used = strlen(lab.details);
	va_list args;
	va_start(args, format);
	vsnprintf(lab.details + used, sizeof lab.details - used, format, args);
	va_end(args);
}

void lab_fail(enum lab_verdict verdict, const char *format, ...)
{
	va_list args;
	if (lab.steered)
		lab_steer_fail();
	va_start(args, format);
	vsnprintf(lab.message, sizeof lab.message, format, args);
	va_end(args);
	lab.failed = !lab.pruned;
	lab.verdict = verdict;
	lab_hash((uint64_t)verdict);
	lab_end();
}

void lab_prune(void)
{
	lab.pruned = true;
	lab_end();
}

/* --- crashes and hangs: a signal ends the execution like any other failure --- */

static uint32_t seen_steps;
static uint64_t seen_generation;
static unsigned quiet_ticks;
static int64_t seen_cpu; /* the CPU time of this process when it made its last step */

static _Unwind_Reason_Code place_in_program(struct _Unwind_Context *frame, void *place)
{
	const uintptr_t pc = _Unwind_GetIP(frame);
	if (!lab_is_module_code(pc))
		return _URC_NO_REASON;
	*(uintptr_t *)place = pc;
	return _URC_END_OF_STACK;
}

/*
 * Returns the place in the program at which the signal came, in the form of a return address. The
 * signal may have come in a function that the program has called: in the engine, which accesses
 * memory on the program's behalf, or in the C library. Or it came at an address without code,
 * because a pointer to a function was wild.
 */
static uintptr_t interrupted_at(const void *context)
{
	/* a search is under way; a damaged stack may end it by another signal */
	static bool searches;
	const ucontext_t *at = context;
#ifdef __x86_64__
	uintptr_t place = (uintptr_t)at->uc_mcontext.gregs[REG_RIP] + 1;
	const uintptr_t *caller = (const uintptr_t *)at->uc_mcontext.gregs[REG_RSP];
#else
	uintptr_t place = (uintptr_t)at->uc_mcontext.pc + 1;
	const uintptr_t *caller = (const uintptr_t *)&at->uc_mcontext.regs[30];
#endif
	if (lab_is_module_code(place) || searches)
		return place;
	searches = true;
	if (!lab_module_at(place))
		place = *caller;
	else
		(void)_Unwind_Backtrace(place_in_program, &place);
	searches = false;
	return place;
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
	/* the write to a protected page is done again */
	if (lab_globals_thaw((uintptr_t)info->si_addr))
		return;
	if (!lab.active) { /* not from the model: it comes again, with its default action */
		struct sigaction plain = {.sa_handler = SIG_DFL};
		(void)sigaction(signal, &plain, NULL);
		return;
	}
	char place[80] = "";
	if (signal == SIGSEGV && lab_is_guard((uintptr_t)info->si_addr))
		snprintf(place, sizeof place, ": the stack overflows");
	else if (signal == SIGSEGV || signal == SIGBUS)
		snprintf(place, sizeof place, " at %p", info->si_addr);
	lab.unsettled = 0; /* a write that crashes is not made */
	if (signal == SIGABRT)
		lab_fail(LAB_CRASH, "%s%s in %s", strsignal(signal), place, lab.self->name);
	lab.signature = interrupted_at(context);
	lab_fail(LAB_CRASH, "%s%s in %s at %s", strsignal(signal), place, lab.self->name, lab_site_name(lab.signature));
}

static int64_t cpu_ns(void)
{
	struct timespec t = {0, 0};
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/*
 * There are two kinds of hangs. The first is that the process makes no step in 2 s of its own CPU
 * time; real time would be wrong here, because a busy machine may let the process wait. The second
 * is that it makes no step in 30 s of real time, because a call that blocks takes no CPU time.
 */
static void on_tick(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)info;
	if (!lab.active || lab.steps != seen_steps || lab.generation != seen_generation) {
		seen_steps = lab.steps;
		seen_generation = lab.generation;
		seen_cpu = cpu_ns();
		quiet_ticks = 0;
		return;
	}
	if (++quiet_ticks < 30 && cpu_ns() - seen_cpu < INT64_C(2000000000))
		return;
	/* The execution is not repeated for the report, because that would take as long again. */
	lab.recording = true;
	lab_fail(LAB_HANG, "%s makes no step any more, at %s: a loop without atomic operations, or a call that blocks",
	         lab.self->name, lab_site_name(interrupted_at(context)));
}

void lab_watch(bool on)
{
	static _Alignas(16) char stack[64 << 10];
	static bool installed;
	if (!installed) {
		installed = true;
		const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
		(void)sigaltstack(&alternate, NULL);
		static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
		struct sigaction crash = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
		LAB_EACH (i, crashes)
			(void)sigaction(crashes[i], &crash, NULL);
		struct sigaction tick = {.sa_sigaction = on_tick,
		                         .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
		(void)sigaction(SIGALRM, &tick, NULL);
	}
	const struct itimerval each = {{on, 0}, {on, 0}};
	(void)setitimer(ITIMER_REAL, &each, NULL);
}

/* --- the course of an execution --- */

static void *run_actor(void *arg)
{
	const struct fl_stress_function *actor = arg;
	actor->call(lab.state);
	const struct lab_door *door = lab_door_of(lab_running->module);
	if (door)
		door->leave();
	return NULL;
}

/*
 * The actors have the numbers from 1 on, whatever threads the setup starts. Main makes their
 * contexts before they start, so that this is no step of theirs.
 */
static unsigned make_actors(const struct lab_door *door, const struct fl_stress_function *actors)
{
	unsigned n = 0;
	for (; actors[n].call; n++) {
		(void)lab_thread_new(actors[n].name, run_actor, (void *)&actors[n]);
		if (lab.processes)
			lab.threads[1 + n].process = (uint8_t)(1 + n);
		if (!door)
			continue;
		lab_tls_save(0);
		door->enter(contexts[1 + n], actors[n].name);
		lab_tls_save(1 + n);
		lab_tls_load(0);
	}
	return n;
}

static void main_body(void)
{
	const struct fl_stress_test *test = lab_running->test;
	const struct lab_door *door = lab_door_of(lab_running->module);
	const unsigned n = lab.program ? 0 : make_actors(door, test->actors);
	if (door)
		door->enter(contexts[0], "main");
	if (lab.program)
		lab_program_main();
	if (test->lin)
		lab_lin_setup(lab.state);
	else if (lab_running->setup)
		lab_running->setup(lab.state);
	for (unsigned i = 0; i < n; i++)
		lab_thread_start(&lab.threads[1 + i], 0);
	lab.acting = true;
	lab.killable = lab.processes && lab_config.kills > 0;
	for (unsigned i = 0; i < n; i++)
		(void)lab_join(&lab.threads[1 + i], INT64_MAX, 0);
	lab.acting = lab.killable = false;
	lab.judging = true;
	lab.n_acted = lab.n_events;
	lab.outcome = NULL;
	test->outcome.call(lab.state);
	if (!lab.outcome)
		lab_fail(LAB_FORBIDDEN, "an outcome that no macro lists");
	for (unsigned i = 1; i < lab.n_threads; i++)
		(void)lab_join(&lab.threads[i], INT64_MAX, 0);
	if (door)
		door->leave();
	lab_heap_leaks();
}

void lab_execute(void)
{
	lab.generation++;
	lab.n_threads = 0;
	lab.details[0] = lab.message[0] = '\0';
	memset(&lab.steps, 0, sizeof lab - offsetof(struct lab_execution, steps));
	lab.hash = 0xcbf29ce484222325u;
	lab.now = 1000 * (int64_t)1000000000;
	lab.processes = lab_running->test->processes;
	lab.program = lab_running->main != NULL;
	lab.errno_at = (uintptr_t)&errno;
	lab_heap_reset();
	size_t size = lab.program ? lab_program_size() : lab_state_size(lab_running);
	lab.state = lab_state_place(size);
	memset(lab.state, 0, size);
	if (lab.program)
		lab_program_reset();
	/*
	 * Otherwise libstdc++ would use no atomic operations. This comes after the reset, which
	 * restores variables of the C library.
	 */
	__libc_single_threaded = 0;
	lab_order_begin();
	lab_begin(main_body);
	lab_order_end();
	if (lab.awaits && !lab.failed)
		lab.pruned = true;
	if (lab.program)
		lab_program_show();
	if (lab.recording) {
		lab_event_settle();
		lab_reach_keep();
	}
	lab_globals_reset();
}
