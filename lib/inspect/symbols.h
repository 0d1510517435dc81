/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A report gets the names of functions and variables, also those that a program does not export,
 * from the symbol tables of the program's files. The files are mapped while the report is made. A
 * file that is unreadable or stripped, or beyond FL__SYMBOL_FILES, gives no names. The functions
 * take no memory and no lock, for signal handlers. symbols_macos.c and backtrace_windows.c have
 * other sources of names.
 */
struct fl__symbol_file {
	const char *path;
	char *bytes;
	size_t size;
	const void *symbols; /* ElfW(Sym) */
	size_t n;
	const char *names; /* NUL-terminated */
	size_t names_size;
	bool fixed; /* true if the symbols are addresses, not offsets */
};

enum { FL__SYMBOL_FILES = 12 };

struct fl__symbols { /* must be zeroed at first */
	struct fl__symbol_file files[FL__SYMBOL_FILES];
	size_t n;
};

/*
 * Writes "symbol+0x12" or "symbol", or else "file(+0x12)", or else nothing. Returns the name or
 * NULL. Async-signal-safe.
 */
const char *fl__symbols_describe(struct fl__symbols *symbols, uintptr_t address, char *text, size_t size);

/* Unmaps the files. Their names become invalid. */
void fl__symbols_end(struct fl__symbols *symbols);
