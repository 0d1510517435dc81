/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef STRESS_VARIABLE_H
#define STRESS_VARIABLE_H

#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each child of the entry that `parent` points to. `die` is a variable, which holds the child. */
#define LAB_EACH_CHILD(die, parent)                                                                                    \
	for (int more_##die = dwarf_child((parent), &(die)); more_##die == 0;                                          \
	     more_##die = dwarf_siblingof(&(die), &(die)))

/* Each compilation unit of the module, with the bias of its addresses. */
#define LAB_EACH_UNIT(unit, module, bias)                                                                              \
	for (Dwarf_Die *unit = NULL; ((unit) = dwfl_module_nextcu((module), (unit), &(bias))) != NULL;)

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

typedef void lab_variable_visitor(Dwarf_Die *variable, const char *name, uintptr_t address);
/* Calls `visit` for each static variable of the module. */
void lab_variables(Dwfl_Module *module, lab_variable_visitor *visit);
/* The definition of the structure with that name. False: the module has none. */
bool lab_structure(Dwfl_Module *module, const char *name, Dwarf_Die *type);
/*
 * The type of a variable, a field, an array or a pointer, without qualifiers and typedefs. False:
 * `of` has no type, or an opaque type such as pthread_mutex_t.
 */
bool lab_type_of(Dwarf_Die *of, Dwarf_Die *type);
/* Appends the path to the smallest part at `offset` of a type: ".jobs[1].next". */
void lab_type_parts(Dwarf_Die *type, uint64_t offset, char *text, size_t size);
/* Bytes of a variable, a field, an element of an array type, or what a pointer type points to; 0: unknown. */
uint64_t lab_size_of(Dwarf_Die *of);
bool lab_variable_is_static(Dwarf_Die *variable);

/* symbol.c: the module with the address; NULL: none, or it has no debugging information. */
Dwfl_Module *lab_symbols(uintptr_t address);
/* The scopes of a return address, the innermost first; to be freed. Returns how many there are. */
int lab_scopes(uintptr_t pc, Dwarf_Die **scopes);

#endif
