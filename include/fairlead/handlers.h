/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_HANDLERS_H
#define FAIRLEAD_HANDLERS_H

#include <fairlead/defs.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * The allocator and the log handler of the process. Set the allocator before any other call: memory
 * is freed by the allocator that is set at the time of the free. Queues, executors and loops may
 * have an allocator of their own (`allocator` of fl_queue_config, fl_executor_config,
 * fl_loop_config).
 *
 *     static const fl_allocator mine = { my_alloc, my_free, &arena };
 *     fl_set_allocator(&mine);
 */
typedef struct fl_allocator {
	void *(*alloc)(size_t size, void *user); /* aligned as by malloc(); NULL: out of memory */
	void (*free)(void *memory, void *user);  /* never called with NULL */
	void *user;
} fl_allocator;

/*
 * Replaces malloc() and free(); NULL restores them. `allocator` must stay valid. No other thread
 * may call the library at the same time. Never waits.
 */
FL_API void fl_set_allocator(const fl_allocator *allocator);

typedef enum fl_log_level { FL_LOG_ERROR, FL_LOG_WARNING, FL_LOG_INFO } fl_log_level;

/*
 * `message` is one line without a newline, valid during the call. Any thread may call the handler,
 * also in the middle of an unlock. So the handler must not wait, and must not call fl_shm_*
 * functions.
 */
typedef void fl_log_handler(fl_log_level level, const char *message);

/*
 * Replaces the log handler; NULL restores the default, which prints errors and warnings to standard
 * error. Returns the replaced handler. Never waits.
 */
FL_API fl_log_handler *fl_set_log_handler(fl_log_handler *handler);

FL_END_DECLS

#endif
