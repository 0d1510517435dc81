/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_DEBUG_H
#define FAIRLEAD_DEBUG_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

/*
 * Debugging of locks and waits, which is switched on at run time. docs/debugging.md shows reports
 * and how to read them.
 *
 *     FL_DEBUG=lockorder,waits,contention ./program               // Ctrl-\ prints all waits
 *
 *     rc = fl_debug_enable(FL_DEBUG_LOCKORDER | FL_DEBUG_WAITS);  // the same by a call
 *
 * A statically linked program must call a function of this header, or be linked with
 * -Wl,-u,fl_debug_enable.
 *
 * There are three modes:
 *   FL_DEBUG_LOCKORDER
 *                   A context that holds lock A and waits for lock B orders A before B. When a new
 *                   order closes a cycle, one report tells, for each order of the cycle, the stacks
 *                   at which its two locks were taken and wanted.
 *   FL_DEBUG_WAITS  When the last context of a deadlock begins to wait, a report tells what each of
 *                   its contexts holds and wants, across threads and fibers, and which context
 *                   joins which.
 *   FL_DEBUG_CONTENTION
 *                   At exit, a profile is printed to standard error. It tells for each place in the
 *                   program how long it waits for locks and holds them, and how long it waits for
 *                   conditions, semaphores and queues. Of the acquisitions that do not wait, one in
 *                   16 is measured, and counts as 16.
 *
 * A report goes to the log handler (fairlead/error.h) in messages of one line each. The handler is
 * called in the context that caused the report. That context may hold locks of the program, so the
 * handler must not wait for these locks.
 *
 * The first two modes also report a context that locks again a lock that it already holds. Tries,
 * and waits with a deadline, cause no deadlock. A lock that was acquired before debugging was
 * switched on causes no report. In each mode the destroy of an object that a context holds or waits
 * for panics (fairlead/defs.h, "Destroy"), and so does a second free, join or detach of a handle
 * (fairlead/defs.h, "Handles").
 *
 * A lock is known by its address until its init or destroy. If neither is called, a new lock at the
 * same address inherits the order of the old lock. Objects in shared memory (fl_shm_...) are not
 * recorded, but contexts that wait for them are.
 */
#define FL_DEBUG_LOCKORDER 1u
#define FL_DEBUG_WAITS 2u
#define FL_DEBUG_CONTENTION 4u

/*
 * Switches debugging modes on and off. The modes in `modes`, a combination of FL_DEBUG_... bits,
 * are on afterwards, and all other modes are off. Without FL_DEBUG_WAITS it forgets the recorded
 * waits, and with 0 all records.
 *
 * While FL_DEBUG_WAITS is on, SIGQUIT prints what fl_debug_dump() prints, to standard error, unless
 * the program handles or ignores SIGQUIT. If memory runs out later, debugging switches itself off,
 * with one warning.
 *
 * The environment variable FL_DEBUG switches modes on before main(), unless the program runs with
 * more rights than its user (set-user-ID, say). It has the names of modes, separated by commas.
 * `signal=N` in it selects another signal than SIGQUIT, but neither SIGCHLD nor a signal of a
 * fault, such as SIGSEGV; `signal=0` selects none. Each copy of the library that has FL_DEBUG_WAITS
 * on answers the signal. Returns:
 *   0        the modes are switched
 *   -EINVAL  `modes` has an unknown bit; nothing has changed
 */
FL_API FL_MUST_CHECK int fl_debug_enable(unsigned modes);

/*
 * Prints what waits for what, to the descriptor `fd`. It prints four things:
 *
 * - each wait: the waiting context, the object, the object's holder, how long the wait lasts, and
 *   the stack;
 * - all held locks;
 * - for each executor with pending tasks, what its workers do;
 * - for each loop, the fiber that runs.
 *
 * A waiter of a condition that was signalled is shown as waiting for the mutex. Without
 * FL_DEBUG_WAITS it prints the waiters in wait queues, without holder, time and stack; the
 * executors; and, with FL_DEBUG_LOCKORDER, all held locks. Records that other threads are changing
 * are left out, and then the last line says so.
 *
 * The call may block on the descriptor. It allocates no memory, and is async-signal-safe.
 */
FL_API void fl_debug_dump(int fd);

/*
 * Prints the contention profile to the descriptor `fd`. There is one line for each place in the
 * program and kind of object, with the longest total wait first: the number of calls and of waits,
 * the total and the longest wait, and how long the object was held. The wait for a condition ends
 * when its mutex is locked. The call may block on the descriptor, and allocates memory.
 */
FL_API void fl_debug_contention(int fd);

/*
 * Switches on the recorder of events. For each thread, the recorder keeps in memory the last events
 * of tasks, waits, workers and loops. fl_trace_write() writes them to a file.
 *
 *     rc = fl_trace_enable("ring,exit,file=/tmp/mytrace");    // the file is written at exit
 *
 * `settings` is "ring" and then, after commas, any of:
 *   exit         A file is written when the process ends by exit() or by a return of main().
 *   slow=100ms   A file is written when a wait, or a task's time in the queue, was longer than this
 *                time. Some waits do not count: sleeps, waits for timers, descriptors and
 *                connections, and the wait of an idle worker for a task. No file is written for a
 *                time that began before the last of these files, nor while another file is being
 *                written. At most ten files are written.
 *   events=8192  The number of events that are kept for each thread, at most 1,048,576. It is
 *                raised to a power of two, 64 or more. An event has 32 bytes. The first call
 *                decides.
 *   file=PREFIX  The prefix of the files' names. By default it is fairlead, in the working
 *                directory.
 *   signal=N     The signal that writes a file. By default it is SIGQUIT. A signal that the program
 *                handles or ignores writes no file. 0 means none. SIGCHLD and the signals of
 *                faults, such as SIGSEGV, cannot be chosen. A signal that nobody can catch, such as
 *                SIGKILL, is only logged.
 *
 * With NULL or "" the recorder is switched off. The environment variable FL_TRACE has the same
 * form, and is read before main(), unless the program runs with more rights than its user. If a
 * process ends and no file was written, it says on standard error how many events are lost, unless
 * the program has forked the process, as daemon() does.
 *
 * Worker processes that exist already are not recorded. A statically linked program must call this
 * function, or be linked with -Wl,-u,fl_trace_enable. Returns:
 *   0        the settings are in force
 *   -ENOMEM  out of memory; or 1,024 threads are recorded already, and none of them has ended
 *   -EINVAL  `settings` is not known; the first call with this result logs why
 */
FL_API FL_MUST_CHECK int fl_trace_enable(const char *settings);

/*
 * Writes the recorded events to the file `path`. With NULL it writes them to a new file
 * PREFIX-PID-N.json. The file is JSON for Perfetto and Chrome. It has the threads and fibers of
 * this process and of its worker processes, up to 1,024 threads and 256 worker processes. A thread
 * that has ended, or a worker process that has died, is in the file until another thread or worker
 * process gets the memory of its events. While the recorder is on, a panic writes such a file, too.
 * After an error the file may have a part of the events. The call may block on the file. It is
 * async-signal-safe. Returns:
 *   0         the file is written
 *   -EBUSY    a file is being written already, or another thread changes the recorder's settings or
 *             its list of worker processes
 *   -ENODATA  the recorder was never switched on
 *   -ENOMEM   out of memory
 *   other     an error of open() or write()
 */
FL_API int fl_trace_write(const char *path);

FL_END_DECLS

#endif
