/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BYTES_H
#define FAIRLEAD_BYTES_H

#include <fairlead/defs.h>

FL_BEGIN_DECLS

struct fl__bytes;

/*
 * Memory of any length, as the argument or the result of a task.
 *
 *     FL_TASK(greet, fl_bytes, fl_bytes)
 *     {
 *             int rc = fl_bytes_append(result, "hello ", 6);
 *             return rc == 0 ? fl_bytes_append(result, arg->data, arg->size) : rc;
 *     }
 *
 *     FL_SCOPED(fl_bytes) text = {0};
 *     rc = greet_submit(pool, fl_bytes_of_text("world"), &f);    // check
 *     rc = greet_get(f, &text);                                  // check
 *     puts(text.data);
 *
 * An fl_bytes is a handle of memory. All-zero is a handle without memory. Several handles may have
 * the same memory; the last free frees it. A handle that the program fills in itself, {.data = p,
 * .size = n}, borrows the program's memory, and nothing frees it.
 *
 * A struct may begin with an fl_bytes and have further members. Its task type then needs the hook
 * FL_BYTES_DROP:
 *
 *     struct page { fl_bytes text; int status; };
 *     FL_TASK(fetch, fl_bytes, struct page, .drop_result = FL_BYTES_DROP)
 *
 * The holder of a handle frees it, once. Handles change their holder as follows:
 *
 * - fl_executor_submit() and fl_group_submit() make a handle of their own for the argument, or a
 *   copy if its memory is borrowed. The caller still frees its own handle.
 * - fl_imap_create() of an array does the same with each element when it submits the element, so
 *   the elements must stay until then. If there is no memory for a copy, -ENOMEM ends the
 *   iteration.
 * - fl_executor_map() uses the handles of the caller, and takes none of its own.
 * - A generator (fl_imap_config) gives its handle away. Borrowed memory is copied.
 * - A task gives its result away. Borrowed memory is copied. To return its argument, a task uses
 *   fl_bytes_ref() and not an assignment.
 * - fl_future_get() stores a further handle of the result. If a promise was set with borrowed
 *   memory, fl_future_get() stores a copy; after -ENOMEM there is nothing to free.
 * - fl_imap_next(), fl_executor_map() and groups give the task's handle to the caller. An element
 *   that a map did not run is unchanged, so zero the array of results first.
 * - fl_promise_set() takes the handle over, if the `drop` of the promise is FL_BYTES_DROP.
 * - fl_future_then() lends the first future's result to the chained task.
 *
 * All other handles are freed with their future. The result of a failed task is freed at once,
 * unless the task has kept it (fl_task_keep_result()).
 *
 * A task must not write to its argument, and nobody may write to memory that has several handles.
 * The memory comes from the process's allocator, and may outlive the executor. Different handles of
 * the same memory may be used and freed at the same time. No function of this header waits.
 *
 * Process executors copy arguments to the worker, and results to the caller. A result of more than
 * 64 KiB is mapped instead, with one mapping for each result. A struct that begins with an fl_bytes
 * may have at most 64 KiB (-E2BIG). In a worker process, memory that fl_bytes_alloc() makes for
 * `result` goes to the caller with the result. So a task that keeps this memory for itself by an
 * assignment fails with -EBUSY; fl_bytes_ref() makes a copy for it.
 *
 * Results of one chunk from ranks of MPI share memory; they are copied when they grow or shrink.
 *
 * fl_process_start() without FL_PROCESS_FORK takes no fl_bytes, and an executor takes no
 * initializer with one: they return -EINVAL.
 */
typedef struct fl_bytes {
	/*
	 * Memory that the library has allocated is aligned to 64 bytes, and a zero byte follows
	 * after `size` bytes. Neither holds for borrowed and adopted memory.
	 */
	void *data;
	size_t size;              /* in bytes */
	struct fl__bytes *owner_; /* NULL if the memory is borrowed */
	unsigned char rest_[32 - 3 * sizeof(void *)];
} fl_bytes;
FL__ASSERT_SIZE(fl_bytes, 32);

/*
 * Returns a handle that borrows a text, including its terminating zero byte. The size of the handle
 * does not count the zero byte.
 */
FL_INLINE fl_bytes fl_bytes_of_text(const char *_text)
{
	fl_bytes _b = {(void *)(uintptr_t)_text, __builtin_strlen(_text), NULL, {0}};
	return _b;
}

/* The number of elements of type `T` in the bytes `b`. */
#define FL_BYTES_COUNT(T, b) ((b).size / sizeof(T))

/*
 * FL_BYTES_EACH(T, v, b) begins a loop over the elements of type `T` in the bytes `b`. The variable
 * `T *v` points to each element in turn. The macro evaluates `b` twice, or once if `b` has no
 * memory.
 */
#define FL_BYTES_EACH(T, v, b)                                                                                         \
	for (__typeof__(T) *v = FL__CAST_POINTER(__typeof__(T) *, (b).data), *const _##v##_end =                       \
	                                                                         v ? v + FL_BYTES_COUNT(T, b) : v;     \
	     v != _##v##_end; v++)

/*
 * Allocates memory of n * each bytes for `*b`, and frees what `*b` had. The memory is not zeroed.
 * Returns:
 *   0        `*b` has the memory
 *   -ENOMEM  out of memory
 *   -E2BIG   the size is above FL_TASK_SIZE_MAX
 *   -EFBIG   in a worker process, for a large result: above the process's limit of the size of
 *            files
 *   -EMFILE  in a worker process, for a large result: the process has too many descriptors
 *   -ENFILE  in a worker process, for a large result: the system has too many descriptors
 */
FL_API FL_MUST_CHECK int fl_bytes_alloc(fl_bytes *b, size_t n, size_t each);

/*
 * Changes the size of `*b`, and keeps the contents. New bytes are not zeroed. Memory grows by
 * doubling, and shrinks in place. Memory that is borrowed, adopted or shared with another handle is
 * copied. Returns:
 *   0        `*b` has the new size
 *   -ENOMEM  out of memory
 *   -E2BIG   the size is above FL_TASK_SIZE_MAX
 */
FL_API FL_MUST_CHECK int fl_bytes_resize(fl_bytes *b, size_t size);

/*
 * Appends a copy of `size` bytes to `*b`. The bytes at `data` may lie in `*b` itself. Memory grows
 * by doubling; memory that is borrowed, adopted or shared with another handle is copied. Returns:
 *   0        the bytes are appended
 *   -ENOMEM  out of memory
 *   -E2BIG   the size would be above FL_TASK_SIZE_MAX
 */
FL_API FL_MUST_CHECK int fl_bytes_append(fl_bytes *b, const void *data, size_t size);

/*
 * Makes `*b` a handle of memory that the program has allocated itself, and frees what `*b` had. The
 * last free of the memory calls drop(data, user), unless `drop` is NULL. It may do so on any
 * thread, so `drop` must not wait. Returns:
 *   0        `*b` has the memory
 *   -ENOMEM  out of memory
 *   -E2BIG   `size` is above FL_TASK_SIZE_MAX
 */
FL_API FL_MUST_CHECK int fl_bytes_adopt(fl_bytes *b, void *data, size_t size, void (*drop)(void *data, void *user),
                                        void *user);

/*
 * Makes `*to` a further handle of the memory of `*from`, and frees what `*to` had. If `*from`
 * borrows its memory, `*to` gets a copy. Returns:
 *   0        `*to` has the memory or a copy
 *   -ENOMEM  out of memory
 *   -E2BIG   the copy would be above FL_TASK_SIZE_MAX
 */
FL_API FL_MUST_CHECK int fl_bytes_ref(fl_bytes *to, const fl_bytes *from);

/* Frees the handle, and makes it all-zero. */
FL_API void fl_bytes_free(fl_bytes *b);

/*
 * The drop hook of an object that begins with an fl_bytes, for a task type or a promise. Like
 * SIG_IGN, it is a constant and not a function, so that it is the same in all programs and shared
 * objects.
 */
#define FL_BYTES_DROP FL__CAST_ADDRESS(void (*)(void *), 1)

static inline void fl__scoped_fl_bytes(fl_bytes *_b)
{
	fl_bytes_free(_b);
}

FL_END_DECLS

#endif
