/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_DEBUG_H
#define FAIRLEAD_DEBUG_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Finds deadlocks, those that happen and those that might; says who waits for what; measures where locks are waited for. Off, it
 * costs an uncontended lock nothing: it is switched at run time, by a call or from outside.
 *
 *     FL_DEBUG=lockorder,waits,contention ./program        // and Ctrl-\ prints who waits for what
 *
 *     rc = fl_debug_enable(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);       // check
 *     ...
 *     fl_debug_dump(STDERR_FILENO);
 *
 * Reports are errors and warnings to the log handler (fairlead/handlers.h), one line each, names of functions where a file was not
 * stripped. The handler is called by the context that found the fault, which may hold locks: it must not wait for one of those.
 *
 * FL_DEBUG_LOCKORDER: whoever holds A and wants B puts A before B. When that closes a cycle, the program can deadlock, even if it
 *     never did: each edge is reported with where A was taken and where B was wanted. Once for each edge that closes one.
 * FL_DEBUG_WAITS: a deadlock is reported when its last edge closes, before the program hangs: who holds what and wants what, across
 *     threads and fibers, and who joins whom.
 * FL_DEBUG_CONTENTION: how long each place in the program waits for locks and holds them, and how
 *     long it waits for conditions, semaphores and queues. Every wait is measured. Of the
 *     acquisitions of locks that did not wait, one in 16 is measured, and counts for 16; calls of
 *     semaphores and queues that did not wait are not counted. Printed at exit to standard error.
 *
 * With the first two, what is held is known: a lock that its owner locks again, and a destroy of one that is held, are reported. Locks
 * that were taken before have no known owner, and lead to no report.
 *
 * What can give up (a try, or a wait with a deadline) is no cause of a deadlock; what it has taken is held like all else. A lock is
 * known by its address until its init or destroy: memory that holds another lock later without either keeps the order of the
 * first. So does one that begins as FL_MUTEX_INIT on the stack.
 *
 * Objects in shared memory (fl_shm_...) are not recorded.
 */
#define FL_DEBUG_LOCKORDER 1u
#define FL_DEBUG_WAITS 2u
#define FL_DEBUG_CONTENTION 4u

/*
 * Switches on what `modes` names and the rest off; 0: all off, and all that was recorded is forgotten. At any time, by any thread.
 * Never waits. Returns 0, or -EINVAL (no such mode) and nothing changes. When there is no memory later on, recording stops, with one
 * warning, and the program goes on.
 *
 * The environment's FL_DEBUG is read before main(): modes by name, with commas between. With `waits`, the signal
 * SIGQUIT prints a dump, unless the program has another use for it; `signal=N` asks for another number, 0 for none.
 */
FL_API FL_MUST_CHECK int fl_debug_enable(unsigned modes);

/* The modes that are on. Never waits. */
FL_API unsigned fl_debug_modes(void);

/*
 * Prints to the descriptor `fd` who waits, for what and since when, who holds it, and stacks; also
 * what is held. Locks, ends of contexts, conditions, semaphores and queues are named; any other
 * wait is one for "something". A waiter of a condition that was signalled waits for the mutex.
 * Without FL_DEBUG_WAITS the dump has the waiters that are in wait queues, each with an address
 * alone. Waits for nothing but the descriptor, takes no memory, and may be called from a signal
 * handler; what another thread is changing at that moment is then left out, and that is said.
 */
FL_API void fl_debug_dump(int fd);

/*
 * Has `signal` print a dump to standard error. Never waits. Returns 0, -EINVAL (no such signal, or one that cannot be caught), -EBUSY
 * (the program handles or ignores it).
 */
FL_API FL_MUST_CHECK int fl_debug_dump_on(int signal);

/*
 * Prints the contention profile to the descriptor `fd`: for each place in the program that locks or
 * waits, and each kind of thing there, how often, how often it waited, how long in all and at most,
 * how long it held; the longest waits first. A wait begins when the call finds that it cannot go on
 * at once. That of a condition ends with its mutex locked. Waits for nothing but the descriptor.
 */
FL_API void fl_debug_contention(int fd);

FL_END_DECLS

#endif
