/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_REACH_H
#define STRESS_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Names of blocks of the heap in a report. At the end of the execution, a walk follows the
 * program's pointers, from the state of a scenario and from the static variables. A block has the
 * name of the shortest expression that leads to it ("queue->head->next"), if the type of the
 * pointer fits the size of the block and the expression is not long. Otherwise the block has the
 * name of the local variable that got the allocation ("job#2": the second block that `job` got), if
 * the type of that variable fits better. Names exist only for the execution that is reported.
 */

/*
 * Names the byte at `address`: "queue->head->value". Returns false if no block is there, or if
 * nothing is reported.
 */
bool lab_reach_name(uintptr_t address, char *text, size_t size);
/*
 * Names a pointer to the beginning of a block: "queue->head". Returns false if `address` is no such
 * pointer, or if nothing is reported.
 */
bool lab_reach_pointer(uintptr_t address, char *text, size_t size);
/*
 * Names the block by the local variable, or by the line, that got the allocation. Returns false if
 * `address` is not the beginning of a block, or if nothing is reported.
 */
bool lab_reach_made(uintptr_t address, char *text, size_t size);
/*
 * Called when the reported execution ends, before the globals are restored. From then on the names
 * do not change.
 */
void lab_reach_keep(void);
/*
 * Adds a line to the details if the report contains names of blocks that are reached through other
 * blocks.
 */
void lab_reach_explain(void);

#endif
