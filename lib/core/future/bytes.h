/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/bytes.h>
#include <fairlead/task_type.h>
#include <stdbool.h>

/* The drop hook of bytes that are another object's: does nothing. */
void fl__bytes_lent(void *object);

/* Whether the hook declares that the object begins with an fl_bytes. */
static inline bool fl__bytes_declares(void (*drop)(void *object))
{
	return drop == fl_bytes_drop || drop == fl__bytes_lent;
}

static inline bool fl__bytes_are_in(const fl_task_type *type)
{
	return fl__bytes_declares(type->drop_arg) || fl__bytes_declares(type->drop_result);
}

/* Replaces the hooks of a copy of a type. Bytes stay declared. */
static inline void fl__bytes_lend(fl_task_type *type)
{
	type->drop_arg = fl__bytes_declares(type->drop_arg) ? fl__bytes_lent : NULL;
	type->drop_result = fl__bytes_declares(type->drop_result) ? fl__bytes_lent : NULL;
}

/* Makes a copied handle one of its own, with a copy of borrowed memory. 0, -ENOMEM, -E2BIG. */
int fl__bytes_hold(fl_bytes *b);
