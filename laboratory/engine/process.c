/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process has besides threads: a locale, processors, actions for signals, memory that it
 * maps, and the like. Each execution begins with the same state.
 */
#include "posix.h"
#include "program.h"
#include "unknown.h"
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* There is only one locale. */
static char *process_setlocale(int category, const char *locale)
{
	static char c[] = "C";
	(void)category;
	return !locale || !*locale || strcmp(locale, c) == 0 || strcmp(locale, "POSIX") == 0 ? c : NULL;
}

/* --- processors: a program has two --- */

static long process_sysconf(int name)
{
	return name == _SC_NPROCESSORS_CONF || name == _SC_NPROCESSORS_ONLN ? LAB_PROCESSORS : sysconf(name);
}

static int process_get_nprocs(void)
{
	return LAB_PROCESSORS;
}

/* A process has no privileges, and its threads all have the usual policy. */
static int process_set_policy(int policy, const struct sched_param *param)
{
	return policy != SCHED_OTHER && policy != SCHED_BATCH && policy != SCHED_IDLE ? EPERM
	       : param->sched_priority != 0                                           ? EINVAL
	                                                                              : 0;
}

static int process_pthread_setschedparam(pthread_t thread, int policy, const struct sched_param *param)
{
	(void)lab_posix_thread(thread, "schedules", PC);
	return process_set_policy(policy, param);
}

static int process_pthread_getschedparam(pthread_t thread, int *policy, struct sched_param *param)
{
	(void)lab_posix_thread(thread, "looks at", PC);
	LAB_STORE(policy, PC, SCHED_OTHER);
	LAB_STORE(param, PC, (struct sched_param){0});
	return 0;
}

static int process_pthread_setschedprio(pthread_t thread, int priority)
{
	(void)lab_posix_thread(thread, "schedules", PC);
	return priority == 0 ? 0 : EINVAL;
}

static int process_sched_setscheduler(pid_t pid, int policy, const struct sched_param *param)
{
	(void)pid;
	return lab_error(process_set_policy(policy, param));
}

static int process_sched_getscheduler(pid_t pid)
{
	(void)pid;
	return SCHED_OTHER;
}

/* --- signals: a program may set their actions, but no signal is delivered --- */

static struct action {
	uint32_t generation; /* the execution that has set it */
	struct sigaction action;
} actions[NSIG];

static const char *const shared_names[] = {
    [LAB_SHARED_EXITS] = "functions of atexit()", [LAB_SHARED_KEYS] = "keys",
    [LAB_SHARED_NAMES] = "names of threads",      [LAB_SHARED_FILES] = "numbers of descriptors",
    [LAB_SHARED_SETS] = "processors of threads",
};
static uint64_t shared[LAB_SHAREDS]; /* only their addresses are used */

static void process_step(const void *place, uintptr_t pc)
{
	if (lab.n_threads == 1)
		return; /* every later thread begins after this call */
	const struct lab_op op = lab_sync_op(LAB_SYNC_USE, (uintptr_t)place, pc);
	lab_point(op);
	lab_sync_event(op, 0);
}

const void *lab_shared_place(enum lab_shared what)
{
	return &shared[what];
}

void lab_shared_step(enum lab_shared what, uintptr_t pc)
{
	process_step(lab_shared_place(what), pc);
}

static struct sigaction *process_action(int number, bool set, uintptr_t pc)
{
	if (number <= 0 || number >= NSIG || (set && (number == SIGKILL || number == SIGSTOP))) {
		errno = EINVAL;
		return NULL;
	}
	struct action *a = &actions[number];
	process_step(a, pc);
	if (a->generation != lab.generation)
		*a = (struct action){.generation = lab.generation, .action.sa_handler = SIG_DFL};
	return &a->action;
}

bool lab_process_name(uintptr_t address, char *text, size_t size)
{
	const uintptr_t what = (address - (uintptr_t)shared) / sizeof shared[0];
	const uintptr_t number = (address - (uintptr_t)actions) / sizeof actions[0];
	if (what >= LAB_SHAREDS && number >= NSIG)
		return false;
	if (what < LAB_SHAREDS)
		snprintf(text, size, "%s", what < LAB_SHARED_NODE ? shared_names[what] : "a file");
	else
		snprintf(text, size, "the action of SIG%s", sigabbrev_np((int)number) ?: "RT");
	return true;
}

static int process_sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction *now = process_action(number, action != NULL, PC);
	if (!now)
		return -1;
	const struct sigaction before = *now;
	if (action) {
		lab_reads(action, sizeof *action, PC);
		*now = *action;
	}
	if (old)
		LAB_STORE(old, PC, before);
	return 0;
}

static sighandler_t process_signal(int number, sighandler_t handler)
{
	struct sigaction *now = process_action(number, true, PC);
	const sighandler_t before = now ? now->sa_handler : SIG_ERR;
	if (now)
		*now = (struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART};
	return before;
}

/* Sends a signal, which must have no effect. Returns 0, or -1 if there is no such signal. */
static int process_send(int number, const char *name, uintptr_t pc)
{
	const struct sigaction *action = number == 0 ? NULL : process_action(number, false, pc);
	const bool ignored = number == SIGCHLD || number == SIGURG || number == SIGWINCH || number == SIGCONT;
	if (!action)
		return number == 0 ? 0 : -1;
	if (action->sa_handler == SIG_IGN || (action->sa_handler == SIG_DFL && ignored))
		return 0;
	lab_unmodelled(pc, "sends %s by %s(), and the model delivers no signals",
	               strsignal(number), // NOLINT(concurrency-mt-unsafe)
	               name);
}

bool lab_process_survives(int number, uintptr_t pc)
{
	const sighandler_t handler = process_action(number, false, pc)->sa_handler;
	if (handler != SIG_IGN)
		lab_met(LAB_MET_KERNEL); /* no handler runs, and no signal waits until it is unblocked */
	return handler != SIG_DFL || lab_thread_blocks(number);
}

static int process_raise(int number)
{
	return process_send(number, "raise", PC);
}

static int process_kill(pid_t pid, int number)
{
	if (pid != 0 && pid != LAB_PID)
		return lab_error(ESRCH);
	return process_send(number, "kill", PC);
}

static int process_pthread_kill(pthread_t thread, int number)
{
	(void)lab_posix_thread(thread, "sends a signal to", PC);
	return process_send(number, "pthread_kill", PC) == 0 ? 0 : EINVAL;
}

/* --- random bytes, which are the same in each execution --- */

static void process_random(unsigned char *to, size_t size, uintptr_t pc)
{
	lab_writes(to, size, pc);
	for (size_t i = 0; i < size; i++)
		to[i] = (unsigned char)lab_random();
}

static ssize_t process_getrandom(void *to, size_t size, unsigned flags)
{
	(void)flags;
	process_random(to, size, PC);
	return (ssize_t)size;
}

static int process_getentropy(void *to, size_t size)
{
	if (size > 256)
		return lab_error(EIO);
	process_random(to, size, PC);
	return 0;
}

static void process_arc4random_buf(void *to, size_t size)
{
	process_random(to, size, PC);
}

static uint32_t process_arc4random(void)
{
	return (uint32_t)lab_random();
}

static uint32_t process_arc4random_uniform(uint32_t bound)
{
	return bound ? (uint32_t)(lab_random() % bound) : 0;
}

/* --- memory that is mapped: a block of the heap that counts as no leak --- */

enum { MAPPINGS = 256, PAGE = 4096 };
static struct mapping {
	uintptr_t at;
	size_t size;
} mappings[MAPPINGS];
static unsigned n_mappings;

static void *process_mmap(void *at, size_t size, int protection, int flags, int file, off_t offset)
{
	(void)protection;
	(void)offset;
	const size_t room = (size + PAGE - 1) / PAGE * PAGE;
	if (!(flags & MAP_ANONYMOUS) || flags & MAP_FIXED || n_mappings == MAPPINGS)
		lab_unmodelled(PC, "calls mmap() of %s, which the model does not have",
		               file >= 0 && !(flags & MAP_ANONYMOUS) ? "a file"
		               : n_mappings == MAPPINGS              ? "more than 256 places"
		                                                     : "a fixed place");
	(void)at;
	void *memory = size > 0 ? lab_alloc_aligned(PAGE, room, PC) : NULL;
	if (!memory) {
		errno = size > 0 ? ENOMEM : EINVAL;
		return MAP_FAILED;
	}
	memset(memory, 0, room);
	mappings[n_mappings++] = (struct mapping){(uintptr_t)memory, room};
	return memory;
}

static struct mapping *process_mapping(const void *at)
{
	for (unsigned i = 0; i < n_mappings; i++)
		if ((uintptr_t)at - mappings[i].at < mappings[i].size)
			return &mappings[i];
	return NULL;
}

static int process_munmap(void *at, size_t size)
{
	struct mapping *m = process_mapping(at);
	if (m && m->at == (uintptr_t)at && size + PAGE > m->size) {
		*m = mappings[--n_mappings];
		lab_free(at, PC);
	} else {
		lab_unknown_is_partial("munmap"); /* the memory stays accessible */
	}
	return 0;
}

/* The memory stays accessible. */
static int process_mprotect(void *at, size_t size, int protection)
{
	(void)at;
	(void)size;
	if ((protection & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE))
		lab_unknown_is_partial("mprotect");
	return 0;
}

static int process_advise(void *at, size_t size, int advice)
{
	if (advice == MADV_DONTNEED && process_mapping(at)) {
		lab_writes(at, size, PC);
		memset(at, 0, size);
	}
	return 0;
}

/* Calls about huge pages and locked memory succeed, and have no effect. */
static int process_succeed(void)
{
	return 0;
}

void lab_process_keep(void)
{
	for (unsigned i = 0; i < n_mappings; i++)
		lab_heap_keep(mappings[i].at, NULL);
}

void lab_process_reset(void)
{
	n_mappings = 0;
}

#define CALL(name) LAB_CALL(#name, process_##name)
LAB_CALLS = {
    CALL(setlocale),
    CALL(sysconf),
    LAB_CALL("__sysconf", process_sysconf),
    CALL(get_nprocs),
    LAB_CALL("get_nprocs_conf", process_get_nprocs),
    CALL(pthread_setschedparam),
    CALL(pthread_getschedparam),
    CALL(pthread_setschedprio),
    CALL(sched_setscheduler),
    CALL(sched_getscheduler),
    CALL(sigaction),
    CALL(signal),
    CALL(raise),
    CALL(kill),
    CALL(pthread_kill),
    CALL(getrandom),
    CALL(getentropy),
    CALL(arc4random),
    CALL(arc4random_buf),
    CALL(arc4random_uniform),
    CALL(mmap),
    LAB_CALL("mmap64", process_mmap),
    CALL(munmap),
    LAB_CALL("madvise", process_advise),
    CALL(mprotect),
    LAB_CALL("mlock", process_succeed),
    LAB_CALL("munlock", process_succeed),
    LAB_CALL("__register_atfork", process_succeed), /* pthread_atfork(): the model has no fork() */
};
