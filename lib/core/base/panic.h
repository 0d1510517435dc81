/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <fairlead/error.h>

/* The reason where `whom`, which the caller should have joined, still uses what is to be freed. */
#define FL__IN_USE(whom)                                                                                               \
	whom " uses it. Join that first; after a cancel under FL_SHIELDED, else the join returns -ECANCELED at once"

/*
 * Calls the panic handler, then aborts. The handler may longjmp: the caller holds no lock of the
 * library, and leaves the object as before.
 */
_Noreturn void fl__panic(const char *function, const void *object, const char *reason);

/* A function of the user has left by pthread_exit() or pthread_cancel(). */
#define FL__ENDS_THREAD "ends its thread, by pthread_exit() or pthread_cancel()"

/* Logs one line, cut at 255 bytes. */
void fl__log(fl_log_level level, const char *format, ...) FL_PRINTF(2, 3);
