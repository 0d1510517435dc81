/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/*
 * This file defines names of Linux by what macOS has. macOS has nothing else of its own here: it
 * uses posix.c and unix.c.
 */
#include <string.h>
#include <unistd.h>

#define secure_getenv(name) (issetugid() ? NULL : getenv(name))
#define program_invocation_short_name getprogname()
#define pthread_setname_np(thread, name) pthread_setname_np(name) /* of the calling thread */
#define SIGRTMAX (NSIG - 1)
/* The result is a constant string, as that of musl's strerror() is. */
#define strerror(number) ((number) < sys_nerr ? sys_errlist[number] : "Unknown error")
