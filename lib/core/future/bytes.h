/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reference-counted memory (bytes.c), and the hooks by which a task type declares that its argument
 * or result begins with an fl_bytes.
 */
#pragma once

#include <fairlead/bytes.h>
#include <fairlead/task_type.h>

/* The head of counted memory. bytes.c explains its words. */
struct fl__bytes {
	uint32_t refs;
	size_t room; /* size for the data, without the zero byte */
	void (*drop)(void *data, void *user);
	void *data, *user;
};

/*
 * Allocates counted memory with the given head, and makes `*b` its first handle, without freeing
 * what `*b` held before. The data follows the head in the same allocation, unless head.data points
 * to other memory. Returns 0, -ENOMEM or -E2BIG.
 */
int fl__bytes_new(fl_bytes *b, size_t size, struct fl__bytes head);

/*
 * fl__bytes_running is the result of the running task, in a worker process that gives it shared
 * memory; otherwise NULL. fl__bytes_share() frees what `*b` held, and allocates memory where the
 * parent finds it. Returns 0, an error, or 1 if the caller must use the heap.
 */
extern const fl_bytes *fl__bytes_running;
extern int (*fl__bytes_share)(fl_bytes *b, size_t size);

/* Replaces FL_BYTES_DROP for bytes that belong to another object. Calling it does nothing. */
#define FL__BYTES_LENT ((void (*)(void *))(uintptr_t)2)

/* Returns whether the hook declares that the object begins with an fl_bytes. */
static inline bool fl__bytes_declares(void (*drop)(void *object))
{
	return (uintptr_t)drop - 1 <= 1;
}

/* Returns whether the type is too small for the fl_bytes that its hook declares. */
static inline bool fl__bytes_are_short(void (*drop)(void *object), size_t size)
{
	return fl__bytes_declares(drop) && size < sizeof(fl_bytes);
}

/* Calls the hook, which may be FL_BYTES_DROP or FL__BYTES_LENT. */
static inline void fl__drop(void (*drop)(void *object), void *object)
{
	if (drop == FL_BYTES_DROP)
		fl_bytes_free(object);
	else if (drop != FL__BYTES_LENT)
		drop(object);
}

/* Returns whether the type has a hook that the program wrote. */
static inline bool fl__type_has_hooks(const fl_task_type *type)
{
	return (type->drop_arg && !fl__bytes_declares(type->drop_arg)) ||
	       (type->drop_result && !fl__bytes_declares(type->drop_result));
}

static inline bool fl__bytes_are_in(const fl_task_type *type)
{
	return fl__bytes_declares(type->drop_arg) || fl__bytes_declares(type->drop_result);
}

/* Replaces the hooks of a copy of a type; bytes stay declared. */
static inline void fl__bytes_lend(fl_task_type *type)
{
	type->drop_arg = fl__bytes_declares(type->drop_arg) ? FL__BYTES_LENT : NULL;
	type->drop_result = fl__bytes_declares(type->drop_result) ? FL__BYTES_LENT : NULL;
}

/*
 * Makes *b a handle for what *from has, and copies borrowed memory. `b` may be `from`. Returns 0,
 * -ENOMEM or -E2BIG; after an error *b only borrows.
 */
int fl__bytes_hold(fl_bytes *b, const fl_bytes *from);
