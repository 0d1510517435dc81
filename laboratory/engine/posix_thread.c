/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of the program, from pthread_create() to pthread_exit(). A pthread_t is the thread's
 * number plus one.
 */
#include "posix.h"
#include "program.h"
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <unistd.h>

struct posix_thread {
	uint32_t generation;
	void (*start)(void);
	void *arg, *result;
	bool ours; /* it is main, or pthread_create() or thrd_create() has started it */
	bool detached, joined, waited_for;
	struct lab_place joiner;
	__pthread_unwind_buf_t *cleanup; /* the buffer of the innermost pthread_cleanup_push() */
	int cancel_state, cancel_type;   /* what the thread has set; no thread is cancelled */
	uint64_t blocked;                /* the signals that it blocks */
	uint64_t processors;             /* the processors on which it may run; 0: all */
};

static struct posix_thread threads[LAB_THREADS];

static struct posix_thread *thread_info(unsigned id)
{
	struct posix_thread *t = &threads[id];
	if (t->generation != lab.generation)
		*t = (struct posix_thread){.generation = lab.generation};
	return t;
}

static struct posix_thread *thread_self(void)
{
	return thread_info(lab.self->id);
}

unsigned long lab_posix_self(void)
{
	return lab.self->id + 1;
}

/* Indices of the part of the buffer that belongs to the C library. */
enum { CLEANUP_BEFORE, CLEANUP_DEPTH };

static _Noreturn void thread_left_cleanup(uintptr_t pc)
{
	lab_misuse(pc, "goes on after a return between pthread_cleanup_push() and pthread_cleanup_pop()");
}

/*
 * Runs the handlers that are left, each in its own frame, and then ends the thread. The caller's
 * frame is at `frame`; the frames of functions that have returned lie below it.
 */
static _Noreturn void thread_unwind(const void *frame, uintptr_t pc)
{
	struct posix_thread *t = thread_self();
	__pthread_unwind_buf_t *buffer = t->cleanup;
	if (!buffer)
		lab_posix_end(t->result, pc);
	if ((uintptr_t)buffer < (uintptr_t)frame)
		thread_left_cleanup(pc);
	t->cleanup = buffer->__pad[CLEANUP_BEFORE];
	lab.self->depth = (unsigned)(uintptr_t)buffer->__pad[CLEANUP_DEPTH];
	/*
	 * The buffer contains only the head of a jmp_buf, because the rest is for a signal mask.
	 * The volatile pointer hides this from gcc.
	 */
	void *volatile head = buffer->__cancel_jmp_buf;
	_longjmp(head, 1);
}

/*
 * The macros pthread_cleanup_push() and pthread_cleanup_pop() call lab_cleanup_push() and
 * lab_cleanup_pop(), and, after a handler, lab_cleanup_next().
 */
#define FORWARD_CLEANUP(call, symbol)                                                                                  \
	FORWARD_UNLESS(OURS(), call, (__typeof__(call) *)dlsym(RTLD_NEXT, symbol), (buffer))

DECLARED_AS("__pthread_register_cancel", void, lab_cleanup_push, __pthread_unwind_buf_t *buffer)
{
	FORWARD_CLEANUP(lab_cleanup_push, "__pthread_register_cancel");
	struct posix_thread *t = thread_self();
	buffer->__pad[CLEANUP_BEFORE] = t->cleanup;
	buffer->__pad[CLEANUP_DEPTH] = (void *)(uintptr_t)lab.self->depth;
	t->cleanup = buffer;
}

DECLARED_AS("__pthread_unregister_cancel", void, lab_cleanup_pop, __pthread_unwind_buf_t *buffer)
{
	FORWARD_CLEANUP(lab_cleanup_pop, "__pthread_unregister_cancel");
	if (thread_self()->cleanup != buffer)
		thread_left_cleanup(PC);
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is the buffer of the caller */
	thread_self()->cleanup = buffer->__pad[CLEANUP_BEFORE];
}

DECLARED_AS("__pthread_unwind_next", _Noreturn void, lab_cleanup_next, __pthread_unwind_buf_t *buffer)
{
	if (OURS())
		thread_unwind(__builtin_frame_address(0), PC);
	((__typeof__(lab_cleanup_next) *)dlsym(RTLD_NEXT, "__pthread_unwind_next"))(buffer);
	__builtin_trap();
}

static unsigned thread_count_alive(void)
{
	unsigned n = 0;
	LAB_EACH_THREAD (t)
		n += t->state != LAB_DONE;
	return n;
}

/*
 * For each thread, the last use of its pthread_t by each thread. A pthread_t is valid until the
 * thread has been joined, or is detached and has ended. Uses are not steps, so each of them must
 * happen before that, whichever came first.
 */
static struct thread_uses {
	uint32_t generation;
	struct {
		uint32_t clock;
		uintptr_t pc; /* 0: there is no use */
	} by[LAB_THREADS];
} uses[LAB_THREADS];

/*
 * The pthread_t of the thread becomes invalid, because the running thread does `what` to it, or is
 * the thread and ends.
 */
static void thread_invalid(unsigned id, const char *what, uintptr_t pc)
{
	const struct thread_uses *u = &uses[id];
	for (unsigned i = 0; u->generation == lab.generation && i < lab.n_threads; i++)
		if (u->by[i].pc && !lab_is_known(i, u->by[i].clock))
			lab_misuse(pc, "%s%s, but the use of its pthread_t by %s at %s is not ordered before", what,
			           id == lab.self->id ? "" : lab.threads[id].name, lab.threads[i].name,
			           lab_site_name(u->by[i].pc));
}

_Noreturn void lab_posix_end(void *result, uintptr_t pc)
{
	lab_keys_end(pc);
	thread_self()->result = result;
	if (thread_self()->detached)
		thread_invalid(lab.self->id, "ends", pc);
	lab_objects_left(pc);
	lab_tls_end(pc);
	if (lab.program && thread_count_alive() == 1)
		lab_program_last(pc);
	lab_thread_leave();
}

void lab_threads_keep(void)
{
	LAB_EACH_THREAD (t)
		if (t->next.kind == LAB_START)
			lab_heap_keep((uintptr_t)thread_info(t->id)->arg, NULL);
}

static void *thread_run(void *arg)
{
	struct posix_thread *t = arg;
	void *result = (void *)lab_call_back(t->start, (uintptr_t)t->arg, 0, 0);
	if (t->cleanup)
		thread_left_cleanup(lab.self->returned_at);
	lab_posix_end(result, lab.self->returned_at);
}

void lab_posix_create(unsigned long *to, void (*start)(void), void *arg, bool detached, uintptr_t pc)
{
	lab_writes(to, sizeof *to, pc);
	lab_point((struct lab_op){.kind = LAB_SPAWN, .pc = pc});
	struct posix_thread *t = thread_info(lab.n_threads % LAB_THREADS);
	struct lab_thread *thread = lab_thread_spawn(thread_run, t);
	const struct posix_thread *self = thread_self();
	*t = (struct posix_thread){.generation = lab.generation,
	                           .start = start,
	                           .arg = arg,
	                           .ours = true,
	                           .detached = detached,
	                           .blocked = self->blocked,
	                           .processors = self->processors};
	(void)lab_event((struct lab_op){LAB_SPAWN, 0, 0, thread->id, pc});
	*to = thread->id + 1;
	lab_thread_start(thread, pc);
}

/* As lab_posix_thread(), for a call that ends the use of the pthread_t, and so is no use itself. */
static unsigned thread_valid(unsigned long thread, const char *what, uintptr_t pc)
{
	if (thread == 0 || thread > lab.n_threads)
		lab_misuse(pc, "%s a thread that does not exist", what);
	const unsigned id = (unsigned)thread - 1;
	const struct posix_thread *t = thread_info(id);
	if (t->joined)
		lab_misuse(pc, "%s %s, which %s has joined at %s", what, lab.threads[id].name,
		           lab.threads[t->joiner.thread].name, lab_site_name(t->joiner.pc));
	if (t->detached && lab.threads[id].state == LAB_DONE)
		lab_misuse(pc, "%s %s, which is detached and has ended", what, lab.threads[id].name);
	return id;
}

unsigned lab_posix_thread(unsigned long thread, const char *what, uintptr_t pc)
{
	const unsigned id = thread_valid(thread, what, pc);
	struct thread_uses *u = &uses[id];
	if (u->generation != lab.generation)
		*u = (struct thread_uses){.generation = lab.generation};
	u->by[lab.self->id].clock = lab_clock_after(lab.self);
	u->by[lab.self->id].pc = pc;
	return id;
}

/*
 * Returns the number of a thread that the caller joins or detaches. This is not a step, because to
 * join a thread twice, or to join and to detach it, is misuse in either order. However, a join that
 * does not wait may come before another join.
 */
static unsigned thread_id(unsigned long thread, const char *what, uintptr_t pc)
{
	const unsigned id = thread_valid(thread, what, pc);
	const struct posix_thread *t = thread_info(id);
	if (t->detached)
		lab_misuse(pc, "%s %s, which is detached", what, lab.threads[id].name);
	if (t->waited_for)
		lab_misuse(pc, "%s %s, which another thread is joining", what, lab.threads[id].name);
	return id;
}

int lab_posix_join(unsigned long thread, void **result, int64_t deadline, uintptr_t pc)
{
	if (deadline != INT64_MAX)
		/* the thread may have ended */
		lab_point((struct lab_op){.kind = LAB_RELAX, .pc = pc});
	const unsigned id = thread_id(thread, "joins", pc);
	struct posix_thread *t = thread_info(id);
	if (id == lab.self->id)
		return EDEADLK;
	if (lab.threads[id].state != LAB_DONE && deadline <= lab.now)
		return deadline == LAB_TRY ? EBUSY : ETIMEDOUT;
	t->waited_for = true;
	/* If a try goes on, the thread has ended, so the graphs contain the join. */
	const bool late = lab_join(&lab.threads[id], deadline == LAB_TRY ? INT64_MAX : deadline, pc) != 0;
	t->waited_for = false;
	if (late)
		return ETIMEDOUT;
	thread_invalid(id, "joins ", pc);
	t->joined = true;
	t->joiner = lab_here(pc);
	(void)lab_event((struct lab_op){LAB_JOIN, 0, 0, (uintptr_t)&lab.threads[id], pc});
	if (result)
		LAB_STORE(result, pc, t->result);
	return 0;
}

int lab_posix_detach(unsigned long thread, uintptr_t pc)
{
	const unsigned id = thread_id(thread, "detaches", pc);
	struct thread_uses *u = &uses[id];
	thread_info(id)->detached = true;
	if (lab.threads[id].state == LAB_DONE)
		thread_invalid(id, "detaches ", pc);
	for (unsigned i = 0; u->generation == lab.generation && i < lab.n_threads; i++)
		if (lab_is_known(i, u->by[i].clock))
			u->by[i].pc = 0; /* The use came before the thread was detached. */
	return 0;
}

/* A thread that a constructor starts would run beside the executions, so it is refused. */
void (*lab_at_refusal)(void);

void lab_posix_refuse(uintptr_t pc)
{
	if (!lab_is_constructor(pc))
		return;
	fprintf(stderr, "fairlead-stress: a constructor starts a thread, which the model does not have\n");
	if (lab_at_refusal)
		lab_at_refusal();
	_exit(2);
}

EXPORTED int pthread_create(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
                            void *(*start)(void *), void *restrict arg)
{
	lab_posix_refuse(PC);
	FORWARD(pthread_create, (thread, attributes, start, arg));
	int detached = PTHREAD_CREATE_JOINABLE;
	if (attributes)
		(void)pthread_attr_getdetachstate(attributes, &detached);
	lab_posix_create(thread, (void (*)(void))start, arg, detached == PTHREAD_CREATE_DETACHED, PC);
	return 0;
}

EXPORTED int pthread_join(pthread_t thread, void **result)
{
	FORWARD(pthread_join, (thread, result));
	return lab_posix_join(thread, result, INT64_MAX, PC);
}

EXPORTED int pthread_tryjoin_np(pthread_t thread, void **result)
{
	FORWARD(pthread_tryjoin_np, (thread, result));
	return lab_posix_join(thread, result, LAB_TRY, PC);
}

EXPORTED int pthread_timedjoin_np(pthread_t thread, void **result, const struct timespec *until)
{
	FORWARD(pthread_timedjoin_np, (thread, result, until));
	return lab_posix_join(thread, result, lab_deadline(until, CLOCK_REALTIME), PC);
}

EXPORTED int pthread_detach(pthread_t thread)
{
	FORWARD(pthread_detach, (thread));
	return lab_posix_detach(thread, PC);
}

EXPORTED pthread_t pthread_self(void)
{
	FORWARD(pthread_self, ());
	return lab_posix_self();
}

EXPORTED int pthread_equal(pthread_t one, pthread_t other)
{
	return one == other;
}

EXPORTED _Noreturn void pthread_exit(void *result)
{
	if (OURS()) {
		thread_self()->result = result;
		thread_unwind(__builtin_frame_address(0), PC);
	}
	REAL(pthread_exit)(result);
	__builtin_trap();
}

static int thread_set_name(pthread_t thread, const char *name, uintptr_t pc)
{
	lab_reads(name, strnlen(name, 15) + 1, pc);
	lab_shared_step(LAB_SHARED_NAMES, pc);
	if (lab.program)
		snprintf(lab.threads[lab_posix_thread(thread, "names", pc)].name, sizeof lab.threads[0].name, "%.15s",
		         name);
	return 0;
}

EXPORTED int pthread_setname_np(pthread_t thread, const char *name)
{
	FORWARD(pthread_setname_np, (thread, name));
	return thread_set_name(thread, name, PC);
}

/* Returns the stack of a model thread. */
EXPORTED int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	FORWARD(pthread_getattr_np, (thread, attributes));
	size_t size;
	void *low = lab_stack_of(lab_posix_thread(thread, "looks at", PC), &size);
	(void)pthread_attr_init(attributes);
	return pthread_attr_setstack(attributes, low, size);
}

static int thread_get_name(pthread_t thread, char *name, size_t size, uintptr_t pc)
{
	lab_shared_step(LAB_SHARED_NAMES, pc);
	const unsigned id = lab_posix_thread(thread, "looks at", pc);
	if (size < 16)
		return ERANGE;
	snprintf(name, size, "%.15s", lab.threads[id].name);
	lab_writes(name, strlen(name) + 1, pc);
	return 0;
}

EXPORTED int pthread_getname_np(pthread_t thread, char *name, size_t size)
{
	FORWARD(pthread_getname_np, (thread, name, size));
	return thread_get_name(thread, name, size, PC);
}

/* Only the names of threads are modelled. */
EXPORTED int prctl(int option, ...)
{
	unsigned long a[4];
	va_list args;
	va_start(args, option);
	for (unsigned i = 0; i < 4; i++)
		a[i] = va_arg(args, unsigned long);
	va_end(args);
	FORWARD(prctl, (option, a[0], a[1], a[2], a[3]));
	if (option == PR_SET_NAME)
		return thread_set_name(lab.self->id + 1, (const char *)a[0], PC);
	if (option == PR_GET_NAME)
		return thread_get_name(lab.self->id + 1, (char *)a[0], 16, PC);
	lab_unmodelled(PC, "calls prctl(%d), which the model does not have", option);
}

/* --- what a thread may set, and read again --- */

static int thread_exchange(int *place, int value, int *old, uintptr_t pc)
{
	if (value != 0 && value != 1)
		return EINVAL;
	if (old)
		LAB_STORE(old, pc, *place);
	*place = value;
	return 0;
}

uint64_t lab_thread_settings(void)
{
	const struct posix_thread *t = thread_self();
	const unsigned cancel = (unsigned)t->cancel_state << 1 | (unsigned)t->cancel_type;
	return t->blocked * 0x9e3779b97f4a7c15u ^ ((uint64_t)(uint32_t)errno << 2 | cancel);
}

static int thread_setcancelstate(int state, int *old)
{
	return thread_exchange(&thread_self()->cancel_state, state, old, PC);
}

static int thread_setcanceltype(int type, int *old)
{
	return thread_exchange(&thread_self()->cancel_type, type, old, PC);
}

static int thread_set_mask(int how, const sigset_t *set, sigset_t *old, uintptr_t pc)
{
	uint64_t *blocked = &thread_self()->blocked, before = *blocked;
	if (set) {
		lab_reads(set, sizeof *set, pc);
		const uint64_t bits = set->__val[0];
		if (how != SIG_BLOCK && how != SIG_UNBLOCK && how != SIG_SETMASK)
			return EINVAL;
		*blocked = how == SIG_BLOCK ? before | bits : how == SIG_UNBLOCK ? before & ~bits : bits;
	}
	if (old)
		LAB_STORE(old, pc, (sigset_t){{before}});
	return 0;
}

bool lab_thread_blocks(int number)
{
	return thread_self()->blocked >> (number - 1) & 1;
}

static int thread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return thread_set_mask(how, set, old, PC);
}

static int thread_sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	return lab_error(thread_set_mask(how, set, old, PC));
}

enum { ALL_PROCESSORS = (1 << LAB_PROCESSORS) - 1 };

static uint64_t thread_processors(unsigned id, uintptr_t pc)
{
	lab_shared_step(LAB_SHARED_SETS, pc);
	const uint64_t set = thread_info(id)->processors;
	return set ? set : ALL_PROCESSORS;
}

static int thread_set_processors(unsigned id, size_t size, const cpu_set_t *set, uintptr_t pc)
{
	if (size < sizeof(uint64_t) || id >= lab.n_threads)
		return id >= lab.n_threads ? ESRCH : EINVAL;
	lab_reads(set, sizeof(uint64_t), pc);
	if ((set->__bits[0] & ALL_PROCESSORS) == 0)
		return EINVAL;
	lab_shared_step(LAB_SHARED_SETS, pc);
	thread_info(id)->processors = set->__bits[0] & ALL_PROCESSORS;
	return 0;
}

static int thread_get_processors(unsigned id, size_t size, cpu_set_t *set, uintptr_t pc)
{
	if (size < sizeof(uint64_t) || id >= lab.n_threads)
		return id >= lab.n_threads ? ESRCH : EINVAL;
	lab_writes(set, size, pc);
	memset(set, 0, size);
	set->__bits[0] = thread_processors(id, pc);
	return 0;
}

static int thread_setaffinity(pthread_t thread, size_t size, const cpu_set_t *set)
{
	return thread_set_processors(lab_posix_thread(thread, "moves", PC), size, set, PC);
}

static int thread_getaffinity(pthread_t thread, size_t size, cpu_set_t *set)
{
	return thread_get_processors(lab_posix_thread(thread, "looks at", PC), size, set, PC);
}

/* Returns the thread whose number gettid() returns; 0: the caller. */
static unsigned thread_of_pid(pid_t pid)
{
	return pid ? (unsigned)pid - LAB_PID : lab.self->id;
}

static int thread_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	return lab_error(thread_set_processors(thread_of_pid(pid), size, set, PC));
}

static int thread_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	return lab_error(thread_get_processors(thread_of_pid(pid), size, set, PC));
}

/* A thread may move to another processor at any time. */
static int thread_getcpu(void)
{
	const uint64_t set = thread_processors(lab.self->id, PC);
	return (set & (set - 1)) == 0 ? __builtin_ctzll(set) : (int)lab_input(LAB_PROCESSORS, PC);
}

LAB_CALLS = {
    LAB_CALL("pthread_setcancelstate", thread_setcancelstate),
    LAB_CALL("pthread_setcanceltype", thread_setcanceltype),
    LAB_CALL("pthread_sigmask", thread_sigmask),
    LAB_CALL("sigprocmask", thread_sigprocmask),
    LAB_CALL("pthread_setaffinity_np", thread_setaffinity),
    LAB_CALL("pthread_getaffinity_np", thread_getaffinity),
    LAB_CALL("sched_setaffinity", thread_sched_setaffinity),
    LAB_CALL("sched_getaffinity", thread_sched_getaffinity),
    LAB_CALL("sched_getcpu", thread_getcpu),
};
