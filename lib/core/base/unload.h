/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the library ends: its destructors, and how they tell an exit of the process from a dlclose().
 */
#pragma once

#include <stdbool.h>

/*
 * These attributes make a function a destructor of the library. It runs when the process exits, and
 * when dlclose() unloads the shared object that contains this copy of the library. Destructors of
 * the program without a priority, or with one above 201, run earlier, and may still call the
 * library. FL__AT_UNLOAD_FIRST is for the destructor that ends the threads of the library
 * (sync/helper.h).
 */
#define FL__AT_UNLOAD_FIRST __attribute__((destructor(201)))
#define FL__AT_UNLOAD __attribute__((destructor(200)))

/*
 * Called by these destructors and the functions that they call, and by the last destructor, which
 * is in wait/context.c. Returns whether dlclose() is unloading the library. Then no other thread is
 * inside a call of the library, so the memory of other threads can be freed. At an exit other
 * threads may still run.
 */
bool fl__is_unloaded(void);

/*
 * Called by other threads. Returns whether the process is exiting, or dlclose() has begun to unload
 * the library. At an exit this is true before the first destructor runs. At a dlclose(), or at an
 * exit for which unload.c failed to register, it is true before the first function with one of the
 * attributes above. From then on, what these threads need may be gone, such as the types of tasks,
 * so if they fail, this is not an error of the program.
 */
bool fl__is_exiting(void);
