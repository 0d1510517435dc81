/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BYTES_H
#define FAIRLEAD_BYTES_H

#include <fairlead/defs.h>
#include <stddef.h>
#include <stdint.h>

FL_BEGIN_DECLS

struct fl__bytes;

/*
 * Bytes: memory of any length, as the argument or the result of a task.
 *
 *     FL_TASK(greet, fl_bytes, fl_bytes)
 *     {
 *             int rc = fl_bytes_append(result, "hello ", 6);
 *             return rc == 0 ? fl_bytes_append(result, arg->data, arg->size) : rc;
 *     }
 *
 *     FL_SCOPED(fl_bytes) text = {0};
 *     rc = greet_submit(pool, fl_bytes_of_text("world"), &f);    // check
 *     rc = greet_get(f, &text);                         // check
 *     puts(text.data);
 *
 * An fl_bytes is a handle. All-zero: no memory. The last free frees the memory. A handle of the
 * program's own, {.data = p, .size = n}, borrows its memory.
 *
 * A struct that begins with an fl_bytes is declared by its hook:
 *
 *     struct page { fl_bytes text; int status; };
 *     FL_TASK(fetch, fl_bytes, struct page, .drop_result = FL_BYTES_DROP)
 *
 * The holder of a handle frees it, once:
 *
 *   fl_submit(), fl_group_submit(),  take a handle of their own, or a copy of borrowed memory. The
 *   fl_imap_create() of an array     caller frees its own; an array's elements must stay until they
 *                                    are submitted. -ENOMEM of a copy ends the iteration.
 *   fl_map()                         uses the caller's argument
 *   a generator (fl_imap_config)     gives its handle away; borrowed memory is copied
 *   a task                           gives its result away; borrowed memory is copied. For its
 *                                    argument: fl_bytes_ref(), not an assignment
 *   fl_future_get()                  stores a further handle. Of what a promise has borrowed, a
 *                                    copy; -ENOMEM: nothing to free
 *   fl_imap_next(), fl_map(),        give the task's handle to the caller. What a map did not run is
 *   groups                           left as it was: zero the array first
 *   fl_promise_set()                 takes the handle over, with FL_BYTES_DROP as `drop`
 *   fl_future_then()                 lends the first future's result
 *
 * The rest is freed with its future; a failed task's result at once, unless it was kept
 * (fl_task_keep_result()).
 *
 * Arguments must not be written, nor memory with several handles. Memory is from the process's
 * allocator, and outlives the executor. Different handles of it may be used, and freed, at the same
 * time. A forked child may use and free its copies. No function waits.
 *
 * Processes. Arguments are copied to the worker. Results are copied to the caller, or mapped if
 * they have more than 64 KiB: a mapping each. A struct with bytes has at most 64 KiB (-E2BIG). What
 * fl_bytes_alloc() makes for the `result` goes with it: a task that keeps it by an assignment
 * fails, -EBUSY (fl_bytes_ref() copies it), and a child that the task forks may free it, but not
 * use it.
 *
 * Results of one chunk from ranks share memory: they are copied when they grow or shrink.
 *
 * fl_process_start() without FL_PROCESS_FORK, and executors with such an initializer, return
 * -EINVAL.
 */
typedef struct fl_bytes {
	void *data; /* unless borrowed or adopted: aligned to 64, with a zero byte after `size` */
	size_t size;
	struct fl__bytes *owner_; /* NULL: borrowed */
	unsigned char rest_[32 - 3 * sizeof(void *)];
} fl_bytes;
FL__ASSERT_SIZE(fl_bytes, 32);

/* Borrows a text, with its zero byte. */
FL_INLINE fl_bytes fl_bytes_of_text(const char *_text)
{
	fl_bytes _b = {(void *)(uintptr_t)_text, __builtin_strlen(_text), NULL, {0}};
	return _b;
}

/* The number of elements. */
#define FL_BYTES_COUNT(T, b) ((b).size / sizeof(T))

/* A loop over them with `T *v`. Evaluates `b` three times. */
#define FL_BYTES_EACH(T, v, b)                                                                                         \
	for (__typeof__(T) *v = (__typeof__(T) *)(b).data, *const _##v##_end = v ? v + FL_BYTES_COUNT(T, b) : v;       \
	     v != _##v##_end; v++)

/*
 * Allocates n * each bytes, not zeroed, and frees what `*b` had. Returns 0, -ENOMEM, or:
 *   -E2BIG            above FL_TASK_SIZE_MAX
 *   -EFBIG, -EMFILE, -ENFILE   a large result in a worker process: its limits
 */
FL_API FL_MUST_CHECK int fl_bytes_alloc(fl_bytes *b, size_t n, size_t each);

/*
 * Changes the size and keeps the contents. New bytes are not zeroed. Memory grows by doubling, and
 * shrinks in place; if it is borrowed, adopted or shared, it is copied. Returns 0, -ENOMEM, or
 * -E2BIG as fl_bytes_alloc().
 */
FL_API FL_MUST_CHECK int fl_bytes_resize(fl_bytes *b, size_t size);

/* Appends a copy of bytes, which may be in `*b`. Otherwise as fl_bytes_resize(). */
FL_API FL_MUST_CHECK int fl_bytes_append(fl_bytes *b, const void *data, size_t size);

/*
 * Makes `*b` a handle of the program's memory, and frees what it had. The last free calls
 * drop(data, user) (NULL: none), on any thread; it must not wait. Returns 0, -ENOMEM, or
 * -E2BIG as fl_bytes_alloc().
 */
FL_API FL_MUST_CHECK int fl_bytes_adopt(fl_bytes *b, void *data, size_t size, void (*drop)(void *data, void *user),
                                        void *user);

/*
 * Makes `*to` a further handle of the memory of `*from`, or of a copy if it is borrowed, and frees
 * what `*to` had. Returns 0, -ENOMEM, or -E2BIG as fl_bytes_alloc().
 */
FL_API FL_MUST_CHECK int fl_bytes_ref(fl_bytes *to, const fl_bytes *from);

/* Frees the handle, and zeroes it. */
FL_API void fl_bytes_free(fl_bytes *b);

/*
 * The drop hook of an object that begins with an fl_bytes, for a task type and a promise. A constant
 * and no function, as SIG_IGN: the same in all programs and shared objects.
 */
#define FL_BYTES_DROP ((void (*)(void *))(uintptr_t)1)

static inline void fl__scoped_fl_bytes(fl_bytes *_b)
{
	fl_bytes_free(_b);
}

FL_END_DECLS

#endif
