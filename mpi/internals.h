/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * Everything that fairlead-mpi uses of the library's hidden parts. No other file of mpi includes a
 * header of lib. The lists below name each hidden function, type, variable and macro that a file of
 * mpi uses, under the header that declares it. tests/check_layers.py compares the lists with the
 * files, and allows this header only the core and the parts for descriptors (fd) and processes.
 */

/*
 *   fl__load_relaxed(), fl__store_relaxed(),     words that several threads of a rank share
 *   fl__load_acquire(), fl__store_release(),
 *   fl__swap_relaxed(), fl__swap_acquire(),
 *   fl__fence_seq_cst()
 *   fl__add_relaxed(), fl__add_acquire(),        counters and gates in the memory that the ranks of
 *   fl__add_release(), fl__sub_acq_rel(),        a test share
 *   fl__cas_weak_relaxed()
 *   FL__COLD                                     marks functions that run rarely
 */
#include "core/base/atomic.h"

/*
 *   FL__EACH(), FL__EACH_SAFE(), FL__APPEND(),   lists of jobs, transfers, executors, regions
 *   FL__LIST_ADD(), FL__LIST_REMOVE(),
 *   FL__QUEUE_ADD(), FL__QUEUE_REMOVE()
 */
#include "core/base/list.h"

/*
 *   fl__log()                                    warnings, and why a rank ends
 *   fl__panic(), FL__ENDS_THREAD                 a task ends its thread
 */
#include "core/base/panic.h"

/*
 *   fl__sys                                      the clock; pauses, yields and naps between two
 *                                                calls of MPI
 *   fl__may_poll()                               whether a wait may poll
 *   fl__yields_are_barred()                      whether a thread should sleep and not yield
 *   fl__ring()                                   wakes a thread that sleeps in poll()
 *   FL__UNCANCELLED()                            encloses the calls of MPI and of the C library
 *                                                that may be cancellation points
 *   FL__SYS_RESULT(), FL__RETRY()                system calls, which a signal may interrupt
 *   fl__signals_restore()                        restores the signal mask after a rank has
 *                                                made its executor
 *   fl__alloc(), fl__free()                      memory of the process
 *   fl__align(), FL__ROUND_UP()                  places of arguments and results in a message
 *   FL__COUNT(), FL__OR_DEFAULTS()               arrays, and configs that are NULL
 *   FL__AT_START                                 marks the constructor that sets fl__main_hook
 */
#include "core/base/sys.h"

/*
 *   fl__net_sys                                  the two ends of a doorbell's connection
 */
#include "fd/net_sys.h"

/*
 *   fl__hook_event(), fl__trace_kind,            events of tasks that go to another rank and come
 *   FL__TRACE_POST, FL__TRACE_TAKEN,             back
 *   FL__TRACE_START, FL__TRACE_END,
 *   FL__TRACE_RANK
 *   fl__hook_exit()                              writes the events before a rank ends
 *   fl__trace_rank                               the number of this rank in its events
 *   FL__DEBUG_TASK                               what the manager of an executor waits for, in a
 *                                                dump
 */
#include "core/hooks.h"

/*
 *   fl__ctx, fl__ctx_get()                       the calling thread or fiber
 *   fl__thread_parker                            tells a thread from a fiber, on whose stack no
 *                                                call of MPI is made
 *   fl__worker_ops                               tells a rank that a task which its runner calls
 *                                                begins or ends to block
 *   fl__fork_count, fl__is_forked()              a forked child makes no call of MPI
 *   FL__AWAITS()                                 names what the manager of an executor waits for
 */
#include "core/wait/context.h"

/*
 *   fl__lock, fl__lock(), fl__unlock(),          locks of sleepers, and of the list of ready pools:
 *   FL__LOCKED()                                 a wake or a stop takes them, and must not park
 */
#include "core/wait/lock.h"

/*
 *   fl__cancel_init()                            the token of a task that the runner calls
 */
#include "core/wait/cancel.h"

/*
 *   FL__HELD(), fl__mutex_hold()                 the engine lock, and locks of executors
 */
#include "core/sync/mutex.h"

/*
 *   fl__bytes, fl__bytes_new()                   a result's bytes, which MPI writes to their place
 *   fl__bytes_declares()                         whether an argument or a result has bytes
 *   fl__bytes_lend()                             a type whose tasks leave the bytes to the job
 */
#include "core/future/bytes.h"

/*
 * The members of the structs fl_executor, fl_future and fl_task_ctx, and:
 *
 *   fl__executor_ops                             the operations of the kind "mpi"
 *   fl__executor_may_have()                      checks the number of workers
 *   fl__executor_break()                         refuses tasks when all worker ranks have died
 *   fl__submit()                                 submits a chunk to the executor of a rank
 *   fl__run, fl__run_enter(), fl__run_leave(),   the frame of a task that the runner calls
 *   fl__run_block()
 *   fl__task_take_message()                      the message of a task that has failed
 *   FL__TASK_OF_POINTER()                        the type under which a rank queues a job
 *   fl__task_block, fl__task_block_of(),         a task, and how it was asked to stop
 *   FL__STOP_BETWEEN, FL__STOP_EXPIRED
 *   fl__task_list, fl__task_list_add_first()     queues a task again, for another rank
 *   fl__future_has_expired(),                    how a task has ended
 *   fl__future_keep_result(),
 *   fl__future_keeps_result()
 *   fl__message_format(), fl__message_free()     messages of failures
 */
#include "core/exec/executor.h"

/*
 *   fl__element()                                an argument or a result of a chunk
 *   fl__elements_run()                           runs a chunk
 *   fl__chunk_detach_type()                      the type of a chunk ends before its future
 */
#include "core/exec/map.h"

/*
 *   fl__thread_pool                              its size: a test lets the allocation of a rank's
 *                                                executor fail
 */
#include "core/thread_pool/thread_pool.h"

/*
 *   fl__build_id, fl__build_id_of_program(),     whether all ranks run the same program
 *   fl__build_id_text(), FL__BUILD_ID_TEXT,
 *   fl__registry_digest, fl__registry_digest()
 *   fl__task_identity, fl__task_identify(),      a task's type in another rank
 *   fl__types_known, fl__types_find_id(),
 *   fl__type_known
 *   fl__hash(), FL__HASH_START                   a number for each machine
 */
#include "process/base/identity.h"

/*
 *   fl__main_hook                                gives a process that a launcher of MPI has started
 *                                                its role, in fl_process_main()
 */
#include "process/start/main_hook.h"

/*
 *   fl__flush_streams()                          before a rank ends without exit()
 */
#include "process/start/new_process.h"

/*
 *   fl__nested_make(), fl__nested_reopen()       the executor that a task finds as its own
 */
#include "process/remote/nested.h"

/*
 *   fl__remote, fl__remote_transport,            the remote core, of which MPI is a transport
 *   FL__REMOTE_OPS, fl__remote_init(),
 *   fl__remote_fini(), fl__remote_queue(),
 *   fl__remote_dispatch(), fl__remote_unpost(),
 *   fl__remote_complete(), fl__remote_end(),
 *   fl__remote_end_cancelled(),
 *   fl__remote_end_failed(),
 *   fl__remote_config_is_valid()
 */
#include "process/remote/remote.h"

/*
 * The members of the struct fl_shm: the descriptor of a region, and whether it may be written.
 */
#include "process/shm/shm_region.h"

/*
 *   fl__shm_sys, FL__SEAL_FUTURE_WRITE           the seals of a region, and the PID namespace
 */
#include "process/shm/shm_sys.h"
