/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_DEBUG_H
#define FAIRLEAD_DEBUG_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Debugging of locks and waits, switched on at run time: docs/debugging.md.
 *
 *     FL_DEBUG=lockorder,waits,contention ./program               // Ctrl-\ prints all waits
 *
 *     rc = fl_debug_enable(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);  // the same by a call
 *
 * A static program must call a function of this header, or be linked with -Wl,-u,fl_debug_enable.
 *
 * Reports go to the log handler (fairlead/error.h), one line each, in the context that caused the
 * report, which may hold locks of the program: the handler must not wait for these.
 *
 *   FL_DEBUG_LOCKORDER   A context that holds A and waits for B orders A before B. Each new edge
 *                        that closes a cycle is reported once, with the stacks at which each edge's
 *                        locks were taken and wanted.
 *   FL_DEBUG_WAITS       Reports a deadlock when its last context begins to wait: what each context
 *                        holds and wants, across threads and fibers, and which context joins which.
 *   FL_DEBUG_CONTENTION  For each place in the program, how long it waits for locks and holds them,
 *                        and how long it waits for conditions, semaphores and queues. Of the
 *                        acquisitions that do not wait, one in 16 is measured, and counts as 16.
 *                        Printed to standard error at exit.
 *
 * The first two modes also report a context that locks a lock again that it holds. A lock that was
 * acquired before causes no report. In each mode the destroy of an object that a context holds or
 * waits for panics: fairlead/defs.h, "Destroy".
 *
 * A try, and a wait with a deadline, cause no deadlock. A lock is known by its address until its
 * init or destroy: without either, a new lock there inherits the order of the old lock.
 *
 * Objects in shared memory (fl_shm_...) are not recorded, but their waiters are.
 */
#define FL_DEBUG_LOCKORDER 1u
#define FL_DEBUG_WAITS 2u
#define FL_DEBUG_CONTENTION 4u

/*
 * Switches on the modes of `modes` and all others off. 0 switches all off, and forgets all records.
 * While FL_DEBUG_WAITS is on, SIGQUIT prints a dump to standard error, unless the program handles
 * or ignores SIGQUIT. If memory runs out later, debugging switches itself off, with one warning.
 * Returns 0, or:
 *   -EINVAL  an unknown mode; nothing has changed
 *
 * The environment variable FL_DEBUG is read before main(): names of modes, separated by commas.
 * `signal=N` selects another signal than SIGQUIT, but not SIGCHLD; `signal=0` none. Each copy of the
 * library that has FL_DEBUG_WAITS on answers the signal.
 */
FL_API FL_MUST_CHECK int fl_debug_enable(unsigned modes);

/*
 * Prints all waits to the descriptor `fd`: the waiting context, the object, the holder, how long,
 * and the stack; all held locks; for each executor with pending tasks what its workers do; and
 * which fiber has the thread of a loop. A signalled waiter of a condition waits for the mutex.
 * Without FL_DEBUG_WAITS it prints the waiters in wait queues, without holder, time and stack; the
 * executors; and, with FL_DEBUG_LOCKORDER, all held locks. Waits for the descriptor. Allocates no
 * memory. Async-signal-safe. Records that other threads are changing are left out; the last line
 * says so.
 */
FL_API void fl_debug_dump(int fd);

/*
 * Prints the contention profile to `fd`, one line for each place in the program and kind of object:
 * calls, waits, total and longest wait, and how long they held; the longest total first. The wait
 * for a condition ends when its mutex is locked. Waits for the descriptor, and for memory.
 */
FL_API void fl_debug_contention(int fd);

/*
 * Records what tasks, waits, workers and loops do: the last events of each thread, in memory that
 * fl_trace_write() writes. `settings` is as the environment variable FL_TRACE, which is read before
 * main(): "ring", then after commas
 *
 *     exit         writes a file when the process ends: by exit(), or a return of main()
 *     slow=100ms   writes a file, at most ten, when a wait, or a time in the queue, was longer
 *     events=8192  of each thread, of 32 bytes; the first call decides
 *     file=PREFIX  of the files' names; default: fairlead, in the working directory
 *     signal=N     that writes a file; default SIGQUIT, unless the program handles or ignores it;
 *                  0: none
 *
 * A process that ends without any file written says on standard error how many events are lost,
 * unless the program has forked it, as daemon() does.
 *
 * NULL or "": records no more. Worker processes that exist already are not recorded. A static
 * program must call the function, or be linked with -Wl,-u,fl_trace_enable. Returns 0, -ENOMEM, or:
 *   -EINVAL  unknown settings; logged
 */
FL_API FL_MUST_CHECK int fl_trace_enable(const char *settings);

/*
 * Writes the events to the file `path`; NULL: to a new file PREFIX-PID-N.json. JSON for Perfetto
 * and Chrome: all threads and fibers of this process, and its worker processes, also dead ones.
 * A panic does so, too. After an error the file may have a part. Async-signal-safe. Returns 0, an
 * error of open() or write(), or:
 *   -EBUSY    a file is being written
 *   -ENODATA  the recorder was never switched on
 *   -ENOMEM
 */
FL_API int fl_trace_write(const char *path);

FL_END_DECLS

#endif
