/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

/* Defines names of Linux by what macOS has. Otherwise macOS uses posix.c and unix.c unchanged. */
#include <string.h>
#include <unistd.h>

#define secure_getenv(name) (issetugid() ? NULL : getenv(name))
#define program_invocation_short_name getprogname()
#define pthread_setname_np(thread, name) pthread_setname_np(name) /* the calling thread's */
#define SIGRTMAX (NSIG - 1)
/* The result is a constant string, like that of musl's strerror(). */
#define strerror(number) ((number) < sys_nerr ? sys_errlist[number] : "Unknown error")
