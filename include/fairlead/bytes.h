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
 * An fl_bytes is a handle of memory, or of none if it is all-zero. Several handles may have the
 * same memory, which the last free frees. You may fill in a handle yourself,
 * {.data = p, .size = n}: it borrows your memory, and nothing frees it.
 *
 * Whoever holds a handle frees it, once:
 *
 * - An argument stays yours: a submit takes a further handle of it, or a copy of borrowed memory.
 *   fl_imap_create() does so when it submits an element of the array. fl_executor_map() uses your
 *   handles.
 * - What a task or a generator (fl_imap_config) makes, it gives away; borrowed memory is copied. To
 *   return its argument, a task uses fl_bytes_ref(), not an assignment.
 * - A result becomes yours. fl_future_get() stores a further handle, and fl_imap_next(),
 *   fl_executor_map() and groups pass on the task's. Zero the results of a map first, because those
 *   of tasks that were not run stay unchanged.
 * - fl_promise_set() takes the handle over, if the `drop` of the promise is FL_BYTES_DROP. If it
 *   borrows its memory, fl_future_get() stores a copy.
 * - fl_future_then() lends the first future's result to the chained task.
 *
 * All other handles are freed with their future. The result of a failed task is freed at once,
 * unless the task has kept it (fl_task_keep_result()).
 *
 * A task must not write to its argument, and nobody may write to memory that has several handles.
 * Different handles may be used and freed at the same time, even after the executor was freed.
 *
 * A struct may begin with an fl_bytes. Its task type then needs the hook FL_BYTES_DROP:
 *
 *     struct page { fl_bytes text; int status; };
 *     FL_TASK(fetch, fl_bytes, struct page, .drop_result = FL_BYTES_DROP)
 *
 * Process executors copy arguments and results, except that a result above 64 KiB is mapped. A
 * struct that begins with an fl_bytes may have at most 64 KiB (-E2BIG). In a worker process, a task
 * that keeps the memory of its result by an assignment, not by fl_bytes_ref(), fails with -EBUSY.
 * Initializers, and fl_process_start() without FL_PROCESS_FORK, take no fl_bytes (-EINVAL).
 */
typedef struct fl_bytes {
	/*
	 * The library's memory is aligned to 64 bytes, and a zero byte follows its `size` bytes.
	 * Neither holds for borrowed and adopted memory.
	 */
	void *data;
	size_t size;              /* in bytes */
	struct fl__bytes *owner_; /* NULL if the memory is borrowed */
	unsigned char rest_[32 - 3 * sizeof(void *)];
} fl_bytes;
FL__ASSERT_SIZE(fl_bytes, 32);

/* Returns a handle that borrows a text, without its terminating zero byte. */
FL_INLINE fl_bytes fl_bytes_of_text(const char *_text)
{
	fl_bytes _b = {(void *)(uintptr_t)_text, __builtin_strlen(_text), NULL, {0}};
	return _b;
}

/* The number of elements of type `T` in the bytes `b`. */
#define FL_BYTES_COUNT(T, b) ((b).size / sizeof(T))

/*
 * FL_BYTES_EACH(T, v, b) begins a loop in which `T *v` points to each element in turn. It may
 * evaluate `b` twice.
 *
 *     FL_BYTES_EACH (struct page, page, found)
 *             puts(page->title);
 */
#define FL_BYTES_EACH(T, v, b)                                                                                         \
	for (__typeof__(T) *v = FL__CAST_POINTER(__typeof__(T) *, (b).data), *const _##v##_end =                       \
	                                                                         v ? v + FL_BYTES_COUNT(T, b) : v;     \
	     v != _##v##_end; v++)

/*
 * Allocates n * each bytes for `*b`, which are not zeroed, and frees what `*b` had. Returns 0,
 * -ENOMEM, or:
 *   -E2BIG            the size is above FL_TASK_SIZE_MAX
 *   -EFBIG            in a worker process: a large result is above the limit RLIMIT_FSIZE
 *   -EMFILE, -ENFILE  in a worker process, for a large result: too many descriptors
 */
FL_API FL_MUST_CHECK int fl_bytes_alloc(fl_bytes *b, size_t n, size_t each);

/*
 * Changes the size of `*b`, and keeps the contents. New bytes are not zeroed. The library's memory
 * grows by doubling and shrinks in place; memory that is borrowed, adopted or shared is copied.
 * Returns 0, -ENOMEM, or -E2BIG if the size is above FL_TASK_SIZE_MAX.
 */
FL_API FL_MUST_CHECK int fl_bytes_resize(fl_bytes *b, size_t size);

/*
 * Appends a copy of `size` bytes, which may lie in `*b` itself. Grows as fl_bytes_resize() does.
 * Returns 0, -ENOMEM, or -E2BIG if the size would be above FL_TASK_SIZE_MAX.
 */
FL_API FL_MUST_CHECK int fl_bytes_append(fl_bytes *b, const void *data, size_t size);

/*
 * Makes `*b` a handle of your memory, and frees what `*b` had. The last free of the memory calls
 * drop(data, user), unless `drop` is NULL, on any thread, so `drop` must not wait. Returns 0,
 * -ENOMEM, or -E2BIG if `size` is above FL_TASK_SIZE_MAX.
 */
FL_API FL_MUST_CHECK int fl_bytes_adopt(fl_bytes *b, void *data, size_t size, void (*drop)(void *data, void *user),
                                        void *user);

/*
 * Makes `*to` a further handle of the memory of `*from`, or of a copy if `*from` borrows it, and
 * frees what `*to` had. Returns 0, -ENOMEM, or -E2BIG if the copy would be above FL_TASK_SIZE_MAX.
 */
FL_API FL_MUST_CHECK int fl_bytes_ref(fl_bytes *to, const fl_bytes *from);

/* Frees the handle, and makes it all-zero. */
FL_API void fl_bytes_free(fl_bytes *b);

/*
 * The drop hook of an object that begins with an fl_bytes: a constant like SIG_IGN, not a function.
 */
#define FL_BYTES_DROP FL__CAST_ADDRESS(void (*)(void *), 1)

static inline void fl__scoped_fl_bytes(fl_bytes *_b)
{
	fl_bytes_free(_b);
}

FL_END_DECLS

#endif
