/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>

/*
 * Destructors of the library, at the exit of the process, and when dlclose() unloads the shared
 * object with this copy. The program's destructors run before, and may still call the library.
 * FIRST ends the threads of the library (sync/helper.h).
 */
#define FL__AT_UNLOAD_FIRST __attribute__((destructor(201)))
#define FL__AT_UNLOAD __attribute__((destructor(200)))

/*
 * For these destructors: whether a dlclose() unloads the library. Then no other thread is inside,
 * so the memory of other threads can be freed. At an exit other threads may still run.
 */
bool fl__is_unloaded(void);

/*
 * Whether the process exits, from before the first destructor on: for other threads. What they need
 * may be gone, such as the types of tasks, and then their failure is no error of the program.
 */
bool fl__is_exiting(void);
