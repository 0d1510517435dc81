/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_ALLOCATED_H
#define STRESS_ALLOCATED_H

#include "model.h"
#include <elfutils/libdw.h>

/* Names blocks by where they were allocated, if no expression of the program reaches them. */

/* Called while the execution is recorded: the block was just allocated. */
void lab_allocated(unsigned block, uintptr_t pc);
/*
 * Called while the execution is recorded: calloc() has allocated the block for elements of this
 * size.
 */
void lab_allocated_elements(const void *memory, size_t element);

/*
 * Returns the element size that was passed to calloc(), or 0 if another function allocated the
 * block.
 */
size_t lab_allocated_element(const struct lab_block *block);
/*
 * Returns a name like "job#2": the second block that the local variable `job` got. `*variable` gets
 * the variable, which is a pointer. Returns NULL if no local variable got the block.
 */
const char *lab_allocated_name(const struct lab_block *block, Dwarf_Die *variable);
/* Returns the size of what that variable points to, or 0 if it is unknown. */
size_t lab_allocated_size(const struct lab_block *block);
/* Whether the allocation was assigned to the variable or field at the end of this expression. */
bool lab_allocated_to(const struct lab_block *block, const char *pointer);
/* Writes a name like "block 2 of queue.c:12": the second block from that line. */
void lab_allocated_place(const struct lab_block *block, char *text, size_t size);
/*
 * Called when the report names the block, so that lab_allocated_explain() says what the name means.
 */
void lab_allocated_shown(const struct lab_block *block);
/* Adds a line to the details for each variable after which a block was named. */
void lab_allocated_explain(void);

#endif
