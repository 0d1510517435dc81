/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>

/*
 * Each of these attributes makes a function a destructor of the library. Such a function runs at
 * the exit of the process, and when dlclose() unloads the shared object that contains this copy of
 * the library. Destructors of the program without a priority, or with one above 201, run before,
 * and may still call the library. FL__AT_UNLOAD_FIRST is for the destructor that ends the threads
 * of the library (sync/helper.h).
 */
#define FL__AT_UNLOAD_FIRST __attribute__((destructor(201)))
#define FL__AT_UNLOAD __attribute__((destructor(200)))

/*
 * Called by these destructors, by functions that they call, and by the last destructor, which is
 * that of wait/context.c. Returns whether a dlclose() unloads the library. Then no other thread is
 * in a call of the library, so the memory of other threads can be freed. At an exit other threads
 * may still run.
 */
bool fl__is_unloaded(void);

/*
 * Called by other threads. Returns whether the process exits, or a dlclose() has begun to unload
 * the library. At an exit it is true before the first destructor runs. At a dlclose(), and at an
 * exit that the library could not register for (unload.c), it is true before the first function
 * with one of the attributes above. From then on, what these threads need may be gone, such as the
 * types of tasks. Then their failure is no error of the program.
 */
bool fl__is_exiting(void);
