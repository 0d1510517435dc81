/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_HANDLERS_H
#define FAIRLEAD_HANDLERS_H

#include <fairlead/defs.h>
#include <stddef.h>

FL_BEGIN_DECLS

/*
 * Where the library gets its memory, and where it says what nobody else hears. Set both before the first other call:
 * memory is given back to the allocator that is set at that time.
 *
 *     static const fl_allocator mine = { my_alloc, my_free, &arena };
 *     fl_set_allocator(&mine);
 */
typedef struct fl_allocator {
	void *(*alloc)(size_t size, void *user); /* aligned as malloc() does; NULL when out of memory */
	void (*free)(void *memory, void *user);  /* never called with NULL */
	void *user;
} fl_allocator;

/* Replaces malloc and free; NULL brings them back. `allocator` must stay valid. Never blocks. Not while others allocate. */
FL_API void fl_set_allocator(const fl_allocator *allocator);

typedef enum fl_log_level { FL_LOG_ERROR, FL_LOG_WARNING, FL_LOG_INFO } fl_log_level;

/* `message` is one line without a newline, valid during the call. May be called from any thread of the library. */
typedef void fl_log_handler(fl_log_level level, const char *message);

/*
 * Replaces the log handler; NULL brings back the default, which prints errors and warnings to standard error.
 * Returns the handler that was replaced. Never blocks.
 */
FL_API fl_log_handler *fl_set_log_handler(fl_log_handler *handler);

FL_END_DECLS

#endif
