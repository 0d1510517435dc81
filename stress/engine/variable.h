/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_VARIABLE_H
#define STRESS_VARIABLE_H

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The static variable of the module at `address`, with elements and fields: "accounts[1].lock". For
 * a thread-local variable (`local`) the address is its offset in the block. False: there is none.
 */
bool lab_variable_name(Dwfl_Module *module, uintptr_t address, bool local, char *text, size_t size);
/*
 * The field of that structure at `offset`, as in the source of a scenario's actor: "s->flag".
 * False: there is none.
 */
bool lab_field_name(Dwfl_Module *module, const char *structure, uint64_t offset, char *text, size_t size);

#endif
