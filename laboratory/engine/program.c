/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program as a test: its arguments, its output, and how it ends. Between two executions, module.c
 * restores the globals, and heap.c, location.c and object.c start again without blocks, locations
 * and objects. A new thread begins with the initial values of its thread-locals.
 */
#include "program.h"
#include "layout.h"
#include "posix.h"
#include "unknown.h"
#include <unistd.h>

/* --- output --- */

enum { PRINTED = 1 << 16 };
static char printed[PRINTED];
static size_t n_printed;

void lab_print(const char *text, size_t size)
{
	if (!lab.recording)
		return;
	const size_t room = PRINTED - n_printed, n = size < room ? size : room;
	memcpy(printed + n_printed, text, n);
	n_printed += n;
}

static char **tools_environment; /* the environment of the tool, between executions */

void lab_program_show(void)
{
	environ = tools_environment;
	for (size_t done = 0; done < n_printed;) {
		const ssize_t n = write(STDOUT_FILENO, printed + done, n_printed - done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	n_printed = 0;
}

/* --- functions of atexit() --- */

struct at_exit {
	void (*function)(void); /* it may take the argument */
	void *arg;
	uintptr_t pc; /* of the call that registered it */
};

static struct at_exits {
	struct at_exit *of;
	size_t n, room;
} at_exits, early; /* early: those that constructors registered, including destructors of globals */

static void program_add(struct at_exits *to, struct at_exit function)
{
	to->of = lab_grown(to->of, to->n, &to->room, sizeof *to->of);
	to->of[to->n++] = function;
}

static int program_add_at_exit(struct at_exit function)
{
	lab_shared_step(LAB_SHARED_EXITS, function.pc);
	program_add(&at_exits, function);
	lab.self->changes++;
	return 0;
}

DECLARED(int, __cxa_atexit, void (*function)(void *), void *arg, void *module)
{
	const struct at_exit f = {(void (*)(void))function, arg, PC};
	if (lab_is_constructor(PC)) {
		program_add(&early, f);
		return 0;
	}
	FORWARD_UNLESS(OURS() && lab.program, __cxa_atexit, REAL(__cxa_atexit), (function, arg, module));
	return program_add_at_exit(f);
}

EXPORTED int atexit(void (*function)(void))
{
	FORWARD_UNLESS(OURS() && lab.program, __cxa_atexit, REAL(__cxa_atexit),
	               ((void (*)(void *))function, NULL, NULL));
	return program_add_at_exit((struct at_exit){function, NULL, PC});
}

/* --- the end --- */

static void program_keep_stack(unsigned id)
{
	size_t size;
	const uintptr_t low = (uintptr_t)lab_stack_of(id, &size);
#ifdef FL__SWITCH_UCONTEXT
	const uintptr_t from = low;
#else
	const uintptr_t from =
	    &lab.threads[id] == lab.self ? (uintptr_t)__builtin_frame_address(0) : (uintptr_t)lab.threads[id].flow.sp;
#endif
	if (from < low || from > low + size)
		return;
	for (uintptr_t at = (from + 7) & ~(uintptr_t)7; at + 8 <= low + size; at += 8)
		lab_heap_keep(*(const uintptr_t *)at, NULL);
}

/*
 * A block is not lost if mapped memory contains its address, or if a thread that still runs reaches
 * it by its stack, its thread-locals, its values of keys, or the argument with which it has not
 * begun yet.
 */
void lab_program_keep(void)
{
	LAB_EACH_THREAD (t) {
		if (t->state == LAB_DONE)
			continue;
		program_keep_stack(t->id);
		lab_tls_visit(t->id, lab_heap_keep, NULL);
	}
	lab_keys_visit(lab_heap_keep, NULL);
	lab_threads_keep();
	lab_process_keep();
}

/* Ends the program as _exit() does, without the functions of atexit(). */
static _Noreturn void program_end(int status, uintptr_t pc)
{
	status &= 0xff;
	if (status != 0) {
		lab.signature = (uintptr_t)status;
		if (pc)
			lab_fail(LAB_EXIT_STATUS, "%s ends the program with status %d (%s)", lab.self->name, status,
			         lab_site_name(lab_own_place(pc)));
		lab_fail(LAB_EXIT_STATUS, "main returns %d", status);
	}
	lab_sleep_before_exit(pc);
	lab_objects_cycle();
	if (!lab_config.no_leaks)
		lab_heap_leaks();
	lab_end();
}

/* Meanwhile other threads run on, and may call atexit(). */
static void program_run_at_exits(uintptr_t pc)
{
	while (at_exits.n > 0) {
		const struct at_exit f = at_exits.of[--at_exits.n];
		(void)lab_call_back(f.function, (uintptr_t)f.arg, 0, 0);
		if (!lab.steered) /* the graphs do not support atexit() beside other threads */
			lab_shared_step(LAB_SHARED_EXITS, pc);
	}
}

/*
 * A second thread that calls exit() waits for the end of the process, as in glibc since version
 * 2.41.
 */
_Noreturn void lab_program_exit(int status, uintptr_t pc)
{
	struct lab_object *o = lab_object_use(lab_shared_place(LAB_SHARED_EXITS), LAB_MUTEX, true, "locks", pc);
	if (o->owner == (int)lab.self->id)
		lab_misuse(pc, "calls exit() while exit() runs already");
	(void)lab_mutex_lock(o, INT64_MAX, pc);
	lab_variables_end();
	program_run_at_exits(pc);
	program_end(status, pc);
}

_Noreturn void lab_program_last(uintptr_t pc)
{
	LAB_EACH_THREAD (t) {
		if (t == lab.self)
			continue;
		if (at_exits.n > 0 && !lab_is_known(t->id, lab_clock_after(t)))
			lab_met(LAB_MET_LAST); /* the thread was not joined */
		(void)lab_join(t, INT64_MAX, pc);
	}
	program_run_at_exits(pc);
	program_end(0, pc);
}

EXPORTED _Noreturn void exit(int status)
{
	if (OURS() && lab.program)
		lab_program_exit(status, PC);
	REAL(exit)(status);
	__builtin_trap();
}

EXPORTED _Noreturn void _exit(int status)
{
	if (OURS() && lab.program)
		program_end(status, PC);
	REAL(_exit)(status);
	__builtin_trap();
}

EXPORTED _Noreturn void _Exit(int status) __attribute__((alias("_exit")));

EXPORTED _Noreturn void quick_exit(int status)
{
	if (OURS() && lab.program)
		program_end(status, PC);
	REAL(quick_exit)(status);
	__builtin_trap();
}

EXPORTED _Noreturn void abort(void)
{
	if (OURS()) {
		lab.signature = PC;
		lab_fail(LAB_CRASH, "%s calls abort() (%s)", lab.self->name, lab_site_name(lab_own_place(PC)));
	}
	REAL(abort)();
	__builtin_trap();
}

/* --- the begin --- */

void lab_program_reset(void)
{
	n_printed = 0;
	at_exits.n = 0;
	/* exit() runs them last, as the C library does */
	for (size_t i = 0; i < lab_running->n_destructors; i++)
		program_add(&at_exits, (struct at_exit){.function = lab_running->destructors[i]});
	for (size_t i = 0; i < early.n; i++)
		if (lab_is_module_code(early.of[i].pc))
			program_add(&at_exits, early.of[i]);
	if (lab_drawn_early)
		lab_met(LAB_MET_INPUT);
	lab_io_reset();
	lab_process_reset();
	lab_unknown_reset();
}

/*
 * The arguments and the environment: their two arrays, and then the strings. Before each execution
 * they are copied to the state, since the program may change them. The pointers in the image point
 * into that copy.
 */
static char **image;
static size_t image_size;

/* Returns the source of an element of the two arrays. */
static const char *program_text(size_t i)
{
	const size_t argc = lab_config.argc;
	return i < argc ? lab_config.argv[i] : i == argc ? NULL : tools_environment[i - argc - 1];
}

size_t lab_program_size(void)
{
	const char *text;
	size_t n = 0;
	if (image)
		return image_size;
	tools_environment = environ;
	for (; (text = program_text(n)) || n <= lab_config.argc; n++)
		image_size += text ? strlen(text) + 1 : 0;
	const size_t pointers = (n + 1) * sizeof *image;
	image_size += pointers;
	image = lab_needed(calloc(1, image_size));
	char *at = (char *)image + pointers;
	for (size_t i = 0; i < n; i++) {
		text = program_text(i);
		if (!text)
			continue;
		image[i] = (char *)LAB_BASE + (at - (char *)image);
		at = stpcpy(at, text) + 1;
	}
	return image_size;
}

_Noreturn void lab_program_main(void)
{
	char **argv = memcpy(lab.state, image, image_size);
	environ = argv + lab_config.argc + 1;
	lab.acting = true;
	const int status =
	    (int)lab_call_back((void (*)(void))lab_running->main, lab_config.argc, (uintptr_t)argv, (uintptr_t)environ);
	lab.returned = true;
	lab_program_exit(status, 0);
}
