/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FAIRLEAD_BYTES_H
#define FAIRLEAD_BYTES_H

#include <fairlead/defs.h>
#include <stddef.h>

FL_BEGIN_DECLS

struct fl__bytes;

/*
 * Bytes: memory of any length, as the argument or the result of a task.
 *
 *     FL_TASK(squares, unsigned, fl_bytes)              // returns an array
 *     {
 *             int rc = fl_bytes_alloc(result, *arg, sizeof(unsigned));
 *             unsigned *to = result->data;
 *             for (unsigned i = 0; rc == 0 && i < *arg; i++)
 *                     to[i] = i * i;
 *             return rc;
 *     }
 *
 *     FL_SCOPED(fl_bytes) found = {0};
 *     rc = squares_get(f, &found);                      // check
 *     FL_BYTES_EACH (unsigned, n, found)
 *             printf("%u\n", *n);
 *
 * An fl_bytes is a handle. All-zero: it has no memory. Memory of the library is counted, and has as
 * many handles as fl_bytes_ref() and tasks make. A handle that the program makes as {.data = p,
 * .size = n} has borrowed memory, which it does not free.
 *
 * Tasks. A type declares its bytes: FL_TASK does for an argument or a result that is the word
 * fl_bytes. A struct with an fl_bytes as its first member is declared by the hook fl_bytes_drop:
 *
 *     struct page { fl_bytes text; int status; };
 *     FL_TASK(fetch, fl_bytes, struct page, .drop_result = fl_bytes_drop)
 *
 * Owners. The holder of a handle frees it, once.
 *
 *   fl_submit(), fl_group_submit()   take a handle of their own, or a copy of borrowed memory. Also
 *                                    after an error the caller frees its own.
 *   fl_imap_create()                 the same when it submits the element: until then the array
 *                                    must stay. A generator's handle is the iteration's.
 *   fl_map(), intrusive tasks        use the caller's handles, which must stay
 *   fl_future_get()                  stores a new handle, or a copy of borrowed memory, over
 *                                    whatever `*result` was; -ENOMEM: no result was stored
 *   fl_future_result()               shows the future's handle
 *   fl_imap_next(), fl_map(), groups give their handle to the caller
 *   fl_future_then()                 The second task uses the first future's handle.
 *   fl_promise_set()                 The future takes over the handle; see fl_promise_create().
 *
 * A result that nobody gets is freed with its future, that of a failed task, too. Results of fl_map()
 * and of intrusive tasks are the caller's, whether the task has failed or not.
 *
 * Memory may be written while it has one handle, by its holder, if that is neither an argument nor
 * fl_future_result(). After fl_future_get() it has two until the future is freed.
 *
 * Handles outlive tasks, futures and executors. The memory is of the process's allocator
 * (fairlead/error.h). Different handles of the same memory may be used at the same time, also freed;
 * one handle by one context at a time. A forked child has copies of the memory and its handles,
 * and may use and free them; not those of a call that another thread was in. No function here waits.
 *
 * Process and MPI executors refuse such types with -ENOTSUP for now, and so does
 * fl_process_start(), with -EINVAL, except with FL_PROCESS_FORK. Initializers must not have them
 * (-EINVAL).
 */
typedef struct fl_bytes {
	/* Memory of fl_bytes_alloc() begins at a multiple of 64, and ends with a zero byte, uncounted. */
	void *data;
	size_t size;
	struct fl__bytes *owner_; /* NULL: borrowed */
	unsigned char rest_[32 - 3 * sizeof(void *)];
} fl_bytes;
FL__ASSERT_SIZE(fl_bytes, 32);

/* Borrows a text, with its zero byte. */
FL_INLINE fl_bytes fl_text(const char *_text)
{
	fl_bytes _b = {(void *)_text, __builtin_strlen(_text), NULL, {0}};
	return _b;
}

/* The number of elements of type T. */
#define FL_BYTES_COUNT(T, b) ((b).size / sizeof(T))

/* A loop over the elements: `T *v` points to each. Evaluates `b` three times. */
#define FL_BYTES_EACH(T, v, b)                                                                                         \
	for (__typeof__(T) *v = (__typeof__(T) *)(b).data, *const _##v##_end = v ? v + FL_BYTES_COUNT(T, b) : v;       \
	     v != _##v##_end; v++)

/*
 * Allocates n * each bytes, which are not zeroed, and frees what `*b` had. Returns 0, -ENOMEM, or:
 *   -E2BIG  above FL_TASK_SIZE_MAX
 */
FL_API FL_MUST_CHECK int fl_bytes_alloc(fl_bytes *b, size_t n, size_t each);

/*
 * Changes the size, and keeps the contents up to it; bytes behind them are not zeroed. Memory of
 * this handle alone grows by doubling, and does not move when it shrinks. Borrowed, adopted and
 * shared memory is replaced by a copy. Returns 0, -ENOMEM, or -E2BIG as fl_bytes_alloc().
 */
FL_API FL_MUST_CHECK int fl_bytes_resize(fl_bytes *b, size_t size);

/* Appends a copy of `size` bytes, which may be bytes of `*b`. As fl_bytes_resize(). */
FL_API FL_MUST_CHECK int fl_bytes_append(fl_bytes *b, const void *data, size_t size);

/*
 * Makes `*b` the handle of the caller's memory, and frees what it had. The last free calls
 * drop(data, user) (NULL: nothing), on any thread, also one of the library: it must not wait.
 * Returns 0, -ENOMEM, or -E2BIG as fl_bytes_alloc(). After an error the memory is the caller's.
 */
FL_API FL_MUST_CHECK int fl_bytes_adopt(fl_bytes *b, void *data, size_t size, void (*drop)(void *data, void *user),
                                        void *user);

/*
 * Makes `*to` a handle of the memory of `*from`, or of a copy if it is borrowed, and frees what
 * `*to` had. Returns 0, -ENOMEM, or -E2BIG as fl_bytes_alloc().
 */
FL_API FL_MUST_CHECK int fl_bytes_ref(fl_bytes *to, const fl_bytes *from);

/* Frees the handle (NULL: nothing), and zeroes it. The last one frees the memory. */
FL_API void fl_bytes_free(fl_bytes *b);

/* fl_bytes_free() as a hook, which also declares that the object begins with an fl_bytes. */
FL_API void fl_bytes_drop(void *bytes);

static inline void fl__scoped_fl_bytes(fl_bytes *_b)
{
	fl_bytes_free(_b);
}

FL_END_DECLS

#endif
