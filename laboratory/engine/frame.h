/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_FRAME_H
#define STRESS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Names of local variables on the stacks of a program's threads, such as "i of run in thread-b".
 * While the execution is recorded, each frame is kept, with the events between which it existed.
 * Such names exist only on x86-64.
 */

/*
 * The running thread enters a function. `inside` is an address in the function's code, `frame` is
 * what its frame pointer seems to be, and `caller` is the address to which it returns.
 */
void lab_frame_enter(uintptr_t inside, uintptr_t frame, uintptr_t caller);
void lab_frame_leave(void);
/*
 * Returns whether `frame` is the value of a frame pointer: the return address behind a frame
 * pointer must be `caller`.
 */
bool lab_frame_is_good(uintptr_t frame, uintptr_t caller);
/*
 * Returns whether the byte at `address` is known to live no longer than a statement. This is so if
 * the function was compiled without optimisation, and the compiler, or a macro of <stdatomic.h>,
 * keeps something there. The byte must not be in a variable of the source, and must not hold a
 * register of the function's caller, because those live longer. `written` says that the program
 * wrote the byte by an access. In that case the byte may be in a compound literal or come from
 * alloca(), so only a variable of such a macro counts. `frame` is the frame pointer. `from_top` is
 * how far the byte is from the top of the stack, where the engine has saved rbx and r12 to r15, in
 * this order.
 */
bool lab_frame_is_temporary(uintptr_t pc, uintptr_t frame, uintptr_t address, size_t from_top, bool written);
/*
 * Returns whether the byte at `address` belongs to a variable of a block that the thread has left,
 * although the function still runs. `frame` is the function's frame pointer, and `pc` the address
 * in it to which the thread returns. The function must have been compiled without optimisation.
 */
bool lab_frame_block_is_over(uintptr_t pc, uintptr_t frame, uintptr_t address);
/*
 * Writes the name of the variable that contained the byte at `address` when that event came.
 * Returns false if no such variable is known.
 */
bool lab_frame_name(uintptr_t address, size_t event, char *text, size_t size);

#endif
