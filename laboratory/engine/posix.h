/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_POSIX_H
#define STRESS_POSIX_H

/*
 * This header is included before all others, because headers of the C library define some of these
 * functions inline.
 */
#ifndef __NO_INLINE__
#define __NO_INLINE__ 1
#endif

#include "interpose.h"
#include "object.h"
#include <time.h>

/* The place of a call of the running thread. */
static inline struct lab_place lab_here(uintptr_t pc)
{
	return (struct lab_place){lab.self->id, lab_own_place(pc)};
}

/* Returns whether all bytes are 0. */
static inline bool lab_is_zero(const void *memory, size_t size)
{
	const unsigned char *byte = memory;
	while (size > 0 && byte[size - 1] == 0)
		size--;
	return size == 0;
}

/*
 * The model's functions for threads and their objects: posix_*.c defines those of <pthread.h> and
 * <semaphore.h>, and c11_threads.c those of <threads.h>. Each function begins with FORWARD, which
 * passes calls from outside of an execution to the C library.
 *
 * The C library also has an older version of conditions, which dlsym() may find first. So REAL_COND
 * asks for the newer version.
 */
#define REAL_COND(name) (__typeof__(name) *)(dlvsym(RTLD_NEXT, #name, "GLIBC_2.3.2") ?: dlsym(RTLD_NEXT, #name))
#define FORWARD_COND(name, arguments) FORWARD_UNLESS(OURS(), name, REAL_COND(name), arguments)

/*
 * FORWARD for a call that initialises an object as `made` says. If a constructor makes the call,
 * the model remembers the object.
 */
#define FORWARD_INIT_BY(name, real, arguments, made)                                                                   \
	do {                                                                                                           \
		static __typeof__(name) *real_;                                                                        \
		if (OURS())                                                                                            \
			break;                                                                                         \
		if (!real_)                                                                                            \
			real_ = (real);                                                                                \
		const int result_ = real_ arguments;                                                                   \
		if (result_ == 0 && lab_is_constructor(PC))                                                            \
			lab_object_early(made);                                                                        \
		return result_;                                                                                        \
	} while (0)
#define FORWARD_INIT(name, arguments, made) FORWARD_INIT_BY(name, REAL(name), arguments, made)

/*
 * Fills an object that a call has initialised with bytes that no static initialiser leaves, so that
 * a copy of the object is not initialised.
 */
static inline void lab_fill(void *object, size_t size)
{
	memset(object, 0x6c, size);
}

/*
 * Returns the result of a call that ends with `error`: -1, with errno set; or 0 if `error` is 0.
 */
static inline int lab_error(int error)
{
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

/*
 * A function that replaces a function of the C library in programs. unknown.c redirects the calls.
 */
struct lab_call {
	const char *name;
	void (*function)(void);
};
#define LAB_CALL(name, function)                                                                                       \
	{                                                                                                              \
		(name), (void (*)(void))(function)                                                                     \
	}
/*
 * Begins the list of a file. The lists of all files form one array in a section; the linker tells
 * unknown.c where this section begins and ends.
 */
#define LAB_CALLS                                                                                                      \
	__attribute__((section("replacements"), used,                                                                  \
	               aligned(sizeof(struct lab_call)))) static const struct lab_call calls[]

/* The process and its first thread have the ID LAB_PID. Other threads have the IDs after it. */
enum { LAB_PROCESSORS = 2, LAB_PID = 1000 };

/* --- process.c --- */
/*
 * The things that a process has only once. Two steps on the same one do not commute, because other
 * threads can tell which of the two came first.
 */
enum { LAB_SHARED_NODES = 64 };
enum lab_shared {
	LAB_SHARED_EXITS,
	LAB_SHARED_KEYS,
	LAB_SHARED_NAMES,
	LAB_SHARED_FILES,
	LAB_SHARED_SETS,
	LAB_SHARED_NODE, /* the first regular file; the others follow */
	LAB_SHAREDS = LAB_SHARED_NODE + LAB_SHARED_NODES
};
void lab_shared_step(enum lab_shared what, uintptr_t pc);
const void *lab_shared_place(enum lab_shared what); /* the address of these steps */

/* --- posix_time.c --- */
/*
 * lab_deadline() converts the deadline `t` of a clock to the model's time. lab_after() returns the
 * time that is `t` after `from`. INT64_MAX means never. LAB_INVALID means that the nanoseconds are
 * negative, or a second and more; a call with such a time fails with EINVAL.
 */
#define LAB_INVALID INT64_MIN
int64_t lab_deadline(const struct timespec *t, int clock);
int64_t lab_after(int64_t from, const struct timespec *t);
lab_can lab_never; /* returns false: for a step that only a signal or time makes possible */
void lab_sleep(int64_t deadline, uintptr_t pc);
/* Sleeps until `t` after `from`, and returns 0, or EINVAL. */
int lab_sleep_after(int64_t from, const struct timespec *t, uintptr_t pc);
void lab_sleep_before_exit(uintptr_t pc);

/* --- posix_mutex.c --- */
/* <threads.h> uses these functions, too. Their results are those of pthread_mutex_...(). */
enum { LAB_MUTEX_NORMAL, LAB_MUTEX_RECURSIVE, LAB_MUTEX_ERRORCHECK };
struct lab_object *lab_mutex_of(const pthread_mutex_t *mutex, const char *what, uintptr_t pc);
int lab_mutex_lock(struct lab_object *o, int64_t deadline, uintptr_t pc);
int lab_mutex_unlock(struct lab_object *o, uintptr_t pc);
/* Makes the running thread the owner of the free mutex, unless no owner can make it consistent. */
int lab_mutex_taken(struct lab_object *o, uintptr_t pc);
/* The running thread, which is the owner of the mutex, unlocks it. */
void lab_mutex_release(struct lab_object *o);
lab_can lab_mutex_can; /* returns whether no thread owns the object, which may also be a once */

/* --- posix_cond.c --- */
int lab_cond_wait(struct lab_object *o, struct lab_object *mutex, int64_t deadline, uintptr_t pc);
/*
 * Waits, and returns when the thread has the mutex again. lab_cond_wait() calls this function after
 * its checks.
 */
int lab_cond_begin(struct lab_object *o, struct lab_object *mutex, int64_t deadline, uintptr_t pc);
/* Makes a waiter that was woken compete for the mutex. */
void lab_cond_woken(struct lab_object *o, struct lab_thread *waiter);
void lab_cond_wake(struct lab_object *o, bool all, uintptr_t pc);

/* --- posix_rwlock.c --- */
bool lab_rwlock_has_writer(const struct lab_object *o); /* whether a writer waits for it */

/* --- posix_thread.c --- */
/* Ends the process with a message if the constructor of a module makes the call at `pc`. */
void lab_posix_refuse(uintptr_t pc);
/*
 * Returns a hash. Equal values mean that the thread has the same errno, signal mask, and settings
 * of cancellation.
 */
uint64_t lab_thread_settings(void);
bool lab_thread_blocks(int number); /* whether the running thread blocks the signal */
/*
 * Starts a thread of the program, which runs `start` with the argument. The result is a pointer, or
 * an int for <threads.h>. lab_posix_end() ends the thread. `*thread` gets the thread's
 * number plus one before the thread runs, as in glibc.
 */
void lab_posix_create(unsigned long *thread, void (*start)(void), void *arg, bool detached, uintptr_t pc);
_Noreturn void lab_posix_end(void *result, uintptr_t pc);
int lab_posix_join(unsigned long thread, void **result, int64_t deadline, uintptr_t pc);
int lab_posix_detach(unsigned long thread, uintptr_t pc);
/*
 * Returns the number of a thread from its pthread_t, for a call that does `what` to it. The call is
 * misuse if the thread does not exist, or has been joined.
 */
unsigned lab_posix_thread(unsigned long thread, const char *what, uintptr_t pc);
unsigned long lab_posix_self(void);

/* --- posix_once.c: once and keys --- */
void lab_once(const void *once, void (*function)(void), uintptr_t pc);
/*
 * Begins a once. If it returns true, the caller runs the function and then calls lab_once_end().
 * `done` says whether the function has returned.
 */
bool lab_once_begin(const void *once, const char *what, uintptr_t pc);
void lab_once_end(const void *once, bool done);
int lab_key_create(unsigned *key, void (*destroy)(void *), uintptr_t pc);
int lab_key_delete(unsigned key, uintptr_t pc);
void *lab_key_get(unsigned key, uintptr_t pc);
int lab_key_set(unsigned key, const void *value, uintptr_t pc);
/* Notes a key that the C library has made, if a constructor asked for it. */
void lab_key_made(unsigned key, void (*destroy)(void *), uintptr_t pc);
void lab_keys_end(uintptr_t pc); /* calls the destructors of the running thread's variables and values */
void lab_variables_end(void);    /* those of its variables */
/* Calls `visit` for each value of a thread that runs. The search for leaks needs this. */
/* A thread that has not begun yet keeps what its argument points to. */
void lab_threads_keep(void);
void lab_keys_visit(void (*visit)(uintptr_t value, void *arg), void *arg);

#endif
