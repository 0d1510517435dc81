/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include "os.h"

/* The entries of fl__sys that linux.c and posix.c share. */
#define FL__UNIX_ENTRIES                                                                                               \
	FL__SHARED_ENTRIES, .now = fl__unix_now, .clock_number = fl__unix_clock_number, .yield = fl__unix_yield,       \
			    .thread_create = fl__unix_thread_create, .map = fl__unix_map, .unmap = fl__unix_unmap,     \
			    .print = fl__unix_print

int64_t fl__unix_now(void);
uint64_t fl__unix_clock_number(void);
void fl__unix_yield(void);
int fl__unix_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
void *fl__unix_map(size_t size);
void fl__unix_unmap(void *memory, size_t size);
int fl__unix_print(int fd, const char *text, size_t size);
