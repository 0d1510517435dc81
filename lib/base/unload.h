/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_BASE_UNLOAD_H
#define FL_BASE_UNLOAD_H

#include <stdbool.h>

/*
 * Destructors of the library. These run at the exit of the process, and when dlclose() unloads the
 * shared object that has this copy of the library; in both cases after the destructors of the
 * object's user, which may still call the library. The threads of the library end first
 * (sync/helper.h), so that the other destructors find none of them.
 */
#define FL__AT_UNLOAD_FIRST __attribute__((destructor(201)))
#define FL__AT_UNLOAD __attribute__((destructor(200)))

/*
 * For those destructors: whether dlclose() unloads the library. Then no other thread is inside the
 * library, and none will call it again, so the memory that it keeps for other threads can be freed.
 * At the exit of the process other threads go on.
 */
bool fl__is_unloaded(void);

#endif
