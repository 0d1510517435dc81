/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_LAYOUT_H
#define STRESS_LAYOUT_H

#include "clock.h"
#include <stddef.h>

/*
 * The fixed addresses of the memory of an execution. They are fixed so that a replay sees the same
 * ones.
 */
#define LAB_BASE ((uintptr_t)0x2a0000000000)
#define LAB_STATE_SIZE ((size_t)4 << 20)
#define LAB_STACK_SIZE ((size_t)2 << 20)
#define LAB_GUARD ((size_t)512 << 10)    /* larger than what a frame may jump over */
#define LAB_PART_SIZE ((size_t)32 << 20) /* the heap of a thread: what one thread may allocate */
#define LAB_STACKS (LAB_BASE + LAB_STATE_SIZE)
#define LAB_PARTS (LAB_STACKS + LAB_THREADS * LAB_STACK_SIZE)
#define LAB_END (LAB_PARTS + LAB_THREADS * LAB_PART_SIZE)
#define LAB_MAPPED LAB_END /* pages that the library maps for the stacks of fibers */
#define LAB_MAPPED_SIZE ((size_t)64 << 20)
/* The robust lists of the threads, each in a cache line of its own. */
#define LAB_LISTS (LAB_MAPPED + LAB_MAPPED_SIZE)
#define LAB_LIST_SIZE ((size_t)64)
#define LAB_LISTS_END (LAB_LISTS + LAB_THREADS * LAB_LIST_SIZE)
#define LAB_TLS LAB_LISTS_END /* the thread-locals of a program's threads */
#define LAB_TLS_SIZE ((size_t)64 << 10)
#define LAB_TLS_END (LAB_TLS + LAB_THREADS * LAB_TLS_SIZE)
#define LAB_EARLY LAB_TLS_END /* what constructors of modules allocate */
#define LAB_EARLY_SIZE ((size_t)64 << 20)
#define LAB_EARLY_END (LAB_EARLY + LAB_EARLY_SIZE)

#endif
