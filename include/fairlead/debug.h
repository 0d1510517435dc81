/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_DEBUG_H
#define FAIRLEAD_DEBUG_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Debugging of locks and waits, switched on at run time (docs/debugging.md).
 *
 *     FL_DEBUG=lockorder,waits,contention ./program               // Ctrl-\ prints all waits
 *
 *     rc = fl_debug_enable(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);  // the same by a call
 *
 * A statically linked program must call the function that it needs, or be linked with
 * -Wl,-u,fl_debug_enable or -Wl,-u,fl_trace_enable. There are three modes:
 *   FL_DEBUG_LOCKORDER   reports each cycle of locks that contexts take in different orders, once,
 *                        with the stacks.
 *   FL_DEBUG_WAITS       reports a deadlock as soon as it is complete: what each of its contexts
 *                        (threads and fibers) holds, wants and joins.
 *   FL_DEBUG_CONTENTION  prints a profile to standard error at exit: fl_debug_contention().
 *
 * A report goes to the log handler (fairlead/error.h), in the context that caused it. This context
 * may hold locks of yours, so the handler must not wait for them.
 *
 * The first two modes also report a context that locks again what it already holds. Locks acquired
 * before debugging was switched on cause no report. In each mode the checks of fairlead/defs.h,
 * "Destroy" and "Handles", panic. Objects in shared memory (fl_shm_...) are not recorded, but
 * contexts that wait for them are.
 */
#define FL_DEBUG_LOCKORDER 1u
#define FL_DEBUG_WAITS 2u
#define FL_DEBUG_CONTENTION 4u

/*
 * Switches debugging on in the modes of `modes`, a combination of FL_DEBUG_... bits, and off in all
 * others. If memory runs out later, debugging switches itself off, with one warning.
 *
 * While FL_DEBUG_WAITS is on, SIGQUIT prints to standard error what fl_debug_dump() prints, unless
 * the program handles or ignores SIGQUIT.
 *
 * The environment variable FL_DEBUG switches modes on before main() (docs/security.md). In it,
 * `signal=N` selects another signal than SIGQUIT, but not SIGCHLD or the signal of a fault, and
 * `signal=0` none. Returns 0, or -EINVAL if `modes` has an unknown bit.
 */
FL_API FL_MUST_CHECK int fl_debug_enable(unsigned modes);

/*
 * Prints to the descriptor `fd`, on which it may block, what waits for what: each waiting context
 * with the object, its holder, the duration and the stack; all held locks; for each executor with
 * pending tasks, what its workers do; and for each loop, the fiber that runs. Async-signal-safe.
 *
 * Without FL_DEBUG_WAITS it prints neither loops nor the holders, times and stacks of waits, and
 * held locks only with FL_DEBUG_LOCKORDER.
 */
FL_API void fl_debug_dump(int fd);

/*
 * Prints the contention profile to the descriptor `fd`, on which it may block: for each place in
 * the program and kind of object, the number of calls and waits, and how long the waits and holds
 * took (docs/debugging.md). Allocates memory.
 */
FL_API void fl_debug_contention(int fd);

/*
 * Switches on or, with NULL or "", off the recorder of the last events of each thread (tasks,
 * waits, workers and loops), for fl_trace_write().
 *
 *     rc = fl_trace_enable("ring,exit,file=/tmp/mytrace");    // the file is written at exit
 *
 * `settings` is "ring" and then, after commas, any of:
 *   exit         writes a file when the process ends by exit() or by a return of main().
 *   slow=100ms   writes a file after a wait, or a task's time in the queue, that was longer, but
 *                not if that began before the last of these files was written; at most ten files
 *                (docs/debugging.md).
 *   events=8192  is the number of events kept for each thread, of 32 bytes each, raised to a power
 *                of two from 64 to 1,048,576. The first call decides.
 *   file=PREFIX  is the prefix of the files' names: by default fairlead, in the working directory.
 *   signal=N     writes a file at that signal instead of SIGQUIT, with the rules of FL_DEBUG.
 *
 * The environment variable FL_TRACE has the same form (docs/security.md). A process that ends
 * without having written a file says so on standard error. Worker processes that exist already are
 * not recorded. Returns 0, or:
 *
 *   -ENOMEM  out of memory; or 1,024 threads are recorded already, and none of them has ended
 *   -EINVAL  `settings` is not known; the first time the log says why
 */
FL_API FL_MUST_CHECK int fl_trace_enable(const char *settings);

/*
 * Writes the recorded events to the file `path` or, with NULL, to a new file PREFIX-PID-N.json:
 * JSON for Perfetto and Chrome, with up to 1,024 threads and 256 worker processes. A panic writes
 * such a file, too. May block on the file. Async-signal-safe. Returns 0, -ENOMEM, or:
 *   -EBUSY    a file is being written already, or the recorder is being changed
 *   -ENODATA  the recorder was never switched on
 *   other     an error of open() or write(), perhaps after a part of the events
 */
FL_API int fl_trace_write(const char *path);

FL_END_DECLS

#endif
