/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_INTERPOSE_H
#define STRESS_INTERPOSE_H

#include "model.h"
#include <dlfcn.h>
#include <stdarg.h>

/* What the functions that replace those of the C library have in common. */

/* For functions that replace those of the C library: the address in the caller. */
#define PC ((uintptr_t)__builtin_return_address(0))
/* Such a function is never inlined, since its return address identifies the caller. */
#define EXPORTED __attribute__((visibility("default"), used, noinline))
/*
 * Begins the definition of a function that no header declares. DECLARED_AS() gives it another name
 * for the linker.
 */
#define DECLARED_AS(symbol, result, name, ...)                                                                         \
	EXPORTED result name(__VA_ARGS__) __asm__(symbol);                                                             \
	result name(__VA_ARGS__)
#define DECLARED(result, name, ...) DECLARED_AS(#name, result, name, __VA_ARGS__)
/* A function that does nothing here, whatever its arguments are. */
#define IGNORED(name)                                                                                                  \
	DECLARED(void, name, void)                                                                                     \
	{                                                                                                              \
	}

/*
 * Whether a model thread called the function from a module. The engine's own calls come from the
 * program.
 */
#define OURS() (__builtin_expect(lab.active, 0) && (lab_is_module_code(PC) || lab_calls_back(PC)))

/*
 * Calls a function of the program, which takes at most three integers or pointers. The function may
 * end with a jump to a function of the model, which then returns to lab_call_back(). So the code of
 * lab_call_back() counts as the program's.
 */
uintptr_t lab_call_back(void (*function)(void), uintptr_t a, uintptr_t b, uintptr_t c);
bool lab_calls_back(uintptr_t pc);

/*
 * A loop may use this call to wait. Therefore the caller's registers that survive calls are saved
 * just below the frame, together with the caller's frame pointer and return address. The caller's
 * stack lies behind them.
 */
#ifdef __x86_64__
#define LOOP()                                                                                                         \
	do {                                                                                                           \
		__asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15");                                            \
		lab.expected = 0;                                                                                      \
		lab.frame = (uintptr_t)__builtin_frame_address(0) - 40;                                                \
		lab.caller = *(const uintptr_t *)__builtin_frame_address(0);                                           \
	} while (0)
#else
#define LOOP() ((void)0)
#endif

/* The function of that name in the C library. */
#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

/* The functions of the C library whose addresses must be known before anything calls them. */
#define LAB_EACH_REAL(what)                                                                                            \
	what(memmove) what(memset) what(memcmp) what(strlen) what(strnlen) what(strcpy) what(strncpy) what(strcat)     \
	    what(strcmp) what(strncmp) what(strchr) what(vsnprintf) what(vasprintf)
#define LAB_POINTER(name) __typeof__(name) *(name);
extern struct lab_real {
	LAB_EACH_REAL(LAB_POINTER)
} lab_real;

/* The result of the call, to which the arguments behind `format` are passed as `args`. */
#define LAB_WITH_ARGUMENTS(call)                                                                                       \
	({                                                                                                             \
		va_list args;                                                                                          \
		va_start(args, format);                                                                                \
		const int result_ = call;                                                                              \
		va_end(args);                                                                                          \
		result_;                                                                                               \
	})

/*
 * Tells the model that printf() reads the format and the strings among the arguments. `args` stays
 * as it is.
 */
void lab_format(const char *format, va_list args, uintptr_t pc);

/*
 * Allocates memory for the program or its constructor, or from the C library if the call is not
 * ours.
 */
void *lab_allocate(size_t alignment, size_t size, bool ours, uintptr_t pc);

/* Begins a replacement: if the call is not ours, passes it on to the C library and returns. */
#define FORWARD_UNLESS(ours, name, real, arguments)                                                                    \
	do {                                                                                                           \
		static __typeof__(name) *real_;                                                                        \
		if (ours) {                                                                                            \
			LOOP();                                                                                        \
			break;                                                                                         \
		}                                                                                                      \
		if (!real_)                                                                                            \
			real_ = (real);                                                                                \
		return real_ arguments;                                                                                \
	} while (0)
#define FORWARD(name, arguments) FORWARD_UNLESS(OURS(), name, REAL(name), arguments)

#endif
