/* SPDX-License-Identifier: BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A report takes the names of functions and variables, even of those that a program does not
 * export, from the symbol tables of the program's files. The files are mapped while the report is
 * made. A file that is unreadable, stripped, or beyond FL__SYMBOL_FILES gives no names. Because
 * signal handlers call the functions, they allocate no memory and take no lock. symbols_macos.c and
 * backtrace_windows.c use other sources of names.
 */
struct fl__symbol_file {
	const char *path;
	char *bytes;
	size_t size;
	const void *symbols; /* ElfW(Sym) */
	size_t n;
	const char *names; /* NUL-terminated */
	size_t names_size;
	bool fixed; /* true if the symbols are addresses instead of offsets */
};

enum { FL__SYMBOL_FILES = 12 };

struct fl__symbols { /* must be zeroed at first */
	struct fl__symbol_file files[FL__SYMBOL_FILES];
	size_t n;
};

/*
 * Writes "symbol+0x12" or "symbol"; if the symbol is unknown, "file(+0x12)"; if the file is too,
 * nothing. Returns the name or NULL. Async-signal-safe.
 */
const char *fl__symbols_describe(struct fl__symbols *symbols, uintptr_t address, char *text, size_t size);

/* Unmaps the files. Their names become invalid. */
void fl__symbols_end(struct fl__symbols *symbols);
