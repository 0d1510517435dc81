/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_FRAME_H
#define STRESS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Names of local variables on the stacks of a program's threads: "i of run in thread-b". While the
 * execution is recorded, frames are kept, with the events between which each frame existed. On
 * other machines than x86-64 there are no such names.
 */

/*
 * The running thread enters a function. `inside`: an address in its code. `frame`: what its frame
 * pointer seems to be. `caller`: where the function returns to.
 */
void lab_frame_enter(uintptr_t inside, uintptr_t frame, uintptr_t caller);
void lab_frame_leave(void);
/*
 * Of a function that was compiled without optimisation: whether the byte holds nothing that the
 * source names. What the compiler, or a macro of <stdatomic.h>, keeps there lives no longer than a
 * statement. What the function's caller has in a register lives longer. `written`: the program wrote
 * there by an access, so that it may be a compound literal or from alloca(). `frame` is the frame
 * pointer. `from_top`: how far the byte is from the top of the stack, where the engine has saved rbx
 * and r12 to r15, in this order.
 */
bool lab_frame_is_temporary(uintptr_t pc, uintptr_t frame, uintptr_t address, size_t from_top, bool written);
/* The variable with the byte at `address` when that event came. False: none is known. */
bool lab_frame_name(uintptr_t address, size_t event, char *text, size_t size);

#endif
