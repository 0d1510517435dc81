/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_LOOP_SYMBOLS_H
#define FL_LOOP_SYMBOLS_H

#include <stdint.h>

/*
 * Names of functions, also of those that a program does not export: from the symbol tables of its files, which are mapped for as
 * long as a report takes. A file that cannot be read, or was stripped, has no names.
 */
struct fl__symbols {
	struct fl__symbol_file *files; /* NULL at first */
};

/* The name of the function at `address`, and how far into it that is; NULL: unknown. `file` was loaded at `base`. */
const char *fl__symbol_of(struct fl__symbols *symbols, const char *file, uintptr_t base, uintptr_t address,
                          uintptr_t *into);

/* Names are not valid any more. */
void fl__symbols_end(struct fl__symbols *symbols);

#endif
