/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_FRAME_H
#define STRESS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Names of local variables on the stacks of a program's threads, such as "i of run in thread-b".
 * While the execution is recorded, frames are kept, with the events between which each frame
 * existed. There are such names on x86-64 alone.
 */

/*
 * The running thread enters a function. `inside` is an address in its code. `frame` is what its
 * frame pointer seems to be. `caller` is where the function returns to.
 */
void lab_frame_enter(uintptr_t inside, uintptr_t frame, uintptr_t caller);
void lab_frame_leave(void);
/*
 * Returns whether `frame` is the value of a frame pointer. The return address behind it, which is
 * then `caller`, tells.
 */
bool lab_frame_is_good(uintptr_t frame, uintptr_t caller);
/*
 * Returns whether the byte at `address` is known to live no longer than a statement. That is so if
 * the function was compiled without optimisation, and the compiler, or a macro of <stdatomic.h>,
 * keeps something there. The byte is neither in a variable of the source, nor does it hold a
 * register of the function's caller, which lives longer. `written` says that the program wrote the
 * byte by an access. Then the byte may be in a compound literal or come from alloca(), so only a
 * variable of such a macro counts. `frame` is the frame pointer. `from_top` is how far the byte is
 * from the top of the stack, where the engine has saved rbx and r12 to r15, in this order.
 */
bool lab_frame_is_temporary(uintptr_t pc, uintptr_t frame, uintptr_t address, size_t from_top, bool written);
/*
 * Writes the name of the variable that had the byte at `address` when that event came. Returns
 * false if none is known.
 */
bool lab_frame_name(uintptr_t address, size_t event, char *text, size_t size);

#endif
