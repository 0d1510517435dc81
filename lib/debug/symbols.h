/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef FL_DEBUG_SYMBOLS_H
#define FL_DEBUG_SYMBOLS_H

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Names of functions, also of those that a program does not export: from the symbol tables of its files, which are mapped for as
 * long as a report takes. A file that cannot be read, or was stripped, has no names. Takes no memory and no lock, for reports
 * from signal handlers: of more files than have room here there are no names.
 */
struct fl__symbol_file {
	const char *path; /* the loader's */
	const char *bytes;
	size_t size;
	const ElfW(Sym) * symbols;
	size_t n;
	const char *names; /* ends with a NUL */
	size_t names_size;
	bool fixed; /* symbols are addresses, not offsets */
};

enum { FL__SYMBOL_FILES = 12 };

struct fl__symbols { /* all-zero at first */
	struct fl__symbol_file files[FL__SYMBOL_FILES];
	size_t n;
};

/* The name of the function at `address`, and how far into it that is; NULL: unknown. `file` was loaded at `base`. */
const char *fl__symbol_of(struct fl__symbols *symbols, const char *file, uintptr_t base, uintptr_t address,
                          uintptr_t *into);

/* Names are not valid any more. */
void fl__symbols_end(struct fl__symbols *symbols);

#endif
