/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_ALLOCATED_H
#define STRESS_ALLOCATED_H

#include "model.h"
#include <elfutils/libdw.h>

/*
 * Names of blocks by the place of their allocation, for blocks that no expression of the program
 * reaches.
 */

/* Called while the execution is recorded: the block was just allocated. */
void lab_allocated(unsigned block, uintptr_t pc);
/* Called while the execution is recorded: calloc() has made the block, of elements of this size. */
void lab_allocated_elements(const void *memory, size_t element);

/* Returns the size of an element that calloc() was given; 0: another function made the block. */
size_t lab_allocated_element(const struct lab_block *block);
/*
 * Returns a name like "job#2": the second block that the local variable `job` got. `*variable` gets
 * the variable, which is a pointer. Returns NULL if no local variable got the block.
 */
const char *lab_allocated_name(const struct lab_block *block, Dwarf_Die *variable);
/* Returns the size of what that variable points to; 0: unknown. */
size_t lab_allocated_size(const struct lab_block *block);
/* Whether the allocation was assigned to the variable or field at the end of this expression. */
bool lab_allocated_to(const struct lab_block *block, const char *pointer);
/* Writes a name like "block 2 of queue.c:12": the second block from that line. */
void lab_allocated_place(const struct lab_block *block, char *text, size_t size);
/* The report has the name of the block, so lab_allocated_explain() will say what it is. */
void lab_allocated_shown(const struct lab_block *block);
/* Adds a line to the details for each variable that has given such a name. */
void lab_allocated_explain(void);

#endif
