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
 * Loops over the children of the entry that `parent` points to. `die` is a variable, which holds
 * the child.
 */
#define LAB_EACH_CHILD(die, parent)                                                                                    \
	for (int more_##die = dwarf_child((parent), &(die)); more_##die == 0;                                          \
	     more_##die = dwarf_siblingof(&(die), &(die)))

/* Loops over the compilation units of the module. `bias` is that of the unit's addresses. */
#define LAB_EACH_UNIT(unit, module, bias)                                                                              \
	for (Dwarf_Die *unit = NULL; ((unit) = dwfl_module_nextcu((module), (unit), &(bias))) != NULL;)

/*
 * Names the static variable of the module at `address`, with elements and fields:
 * "accounts[1].lock". For a thread-local variable (`local`), the address is the offset in the
 * thread's block. Returns false if there is none.
 */
bool lab_variable_name(Dwfl_Module *module, uintptr_t address, bool local, char *text, size_t size);
/*
 * Names the field at `offset` of that structure as the source of a scenario's actor does:
 * "s->flag". Returns false if there is none.
 */
bool lab_field_name(Dwfl_Module *module, const char *structure, uint64_t offset, char *text, size_t size);

typedef bool lab_variable_visitor(Dwarf_Die *variable, const char *name, uint64_t address, void *arg);
/*
 * Calls `visit` for each static variable of the module, or for each thread-local variable
 * (`local`), until `visit` returns true. Returns whether it did. The address has the same meaning
 * as in lab_variable_name().
 */
bool lab_variables(Dwfl_Module *module, bool local, lab_variable_visitor *visit, void *arg);
/* Finds the definition of the structure with that name. Returns false if the module has none. */
bool lab_structure(Dwfl_Module *module, const char *name, Dwarf_Die *type);
/*
 * Finds the type of a variable, a field, an array or a pointer, without qualifiers and typedefs.
 * Returns false if `of` has no type, or an opaque type such as pthread_mutex_t.
 */
bool lab_type_of(Dwarf_Die *of, Dwarf_Die *type);
/*
 * Whether the entry is a field of a structure, or a base class. A base class, or a field without a
 * name, has the name NULL.
 */
bool lab_is_field(Dwarf_Die *member, uint64_t *offset, const char **name);
/* Appends the path to the smallest part of a type at `offset`: ".jobs[1].next". */
void lab_type_parts(Dwarf_Die *type, uint64_t offset, char *text, size_t size);
/*
 * Returns the size of a variable, of a field, of an array type's element, or of what a pointer type
 * points to; 0: unknown.
 */
uint64_t lab_size_of(Dwarf_Die *of);
bool lab_is_local(Dwarf_Die *die); /* a variable of a function, or one of its parameters */
bool lab_variable_is_static(Dwarf_Die *variable);

/*
 * symbol.c: returns the module with the address; NULL if there is none, or it has no debugging
 * information.
 */
Dwfl_Module *lab_symbols(uintptr_t address);
/*
 * Finds the scopes of a return address, innermost first, and returns how many there are. The caller
 * frees them.
 */
int lab_scopes(uintptr_t pc, Dwarf_Die **scopes);

#endif
