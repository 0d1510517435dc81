/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names a block after the local variable to which its allocation was assigned. The name comes from
 * the source: it is the identifier to which the calling statement assigns the result. The debugging
 * information must contain a local pointer of that name at this place. If a function only returns
 * what malloc() returned, the statement in its caller is used instead.
 */
#include "allocated.h"
#include "reach.h"
#include "variable.h"
#include <ctype.h>
#include <dwarf.h>

enum { CALLS = 4, SITES = 256, BLOCKS = LAB_BLOCKS };

/* The calls that led to an allocation, innermost first. */
struct allocated_site {
	uintptr_t calls[CALLS];
	bool looked_at, is_static; /* is_static: a static variable has this name, too */
	char name[48];             /* the name of the local variable; "": there is none */
	char target[48];           /* the variable or field to which the statement assigns */
	uintptr_t pc;              /* where the variable gets the block */
	Dwarf_Die variable;
};

static struct allocated_site sites[SITES];
static unsigned n_sites;
static struct allocated {
	uint16_t site; /* one more than the index of the site; 0: there is none */
	bool shown;
	size_t element;
} allocated[BLOCKS];

/* --- while the execution is recorded --- */

/* Returns what this execution knows of the block. */
static struct allocated *allocated_of(unsigned block)
{
	static uint32_t generation;
	if (generation != lab.generation) {
		generation = lab.generation;
		n_sites = 0;
		memset(allocated, 0, sizeof allocated);
	}
	return &allocated[block];
}

void lab_allocated(unsigned block, uintptr_t pc)
{
	const struct lab_thread *self = lab.self;
	struct allocated_site site = {.calls = {pc}};
	struct allocated *a = allocated_of(block);
	unsigned depth = self->depth, n = 1;
	while (depth > 0 && n < CALLS) {
		const uintptr_t call = --depth < sizeof self->calls / sizeof self->calls[0] ? self->calls[depth] : 0;
		if (call != 0 && call != pc)
			site.calls[n++] = call;
	}
	unsigned i = 0;
	while (i < n_sites && memcmp(sites[i].calls, site.calls, sizeof site.calls) != 0)
		i++;
	if (i == SITES)
		return;
	if (i == n_sites)
		sites[n_sites++] = site;
	a->site = (uint16_t)(i + 1);
}

void lab_allocated_elements(const void *memory, size_t element)
{
	struct lab_block b;
	if (lab_block_at((uintptr_t)memory, &b))
		allocated_of(b.number)->element = element;
}

size_t lab_allocated_element(const struct lab_block *block)
{
	return allocated_of(block->number)->element;
}

/* --- the statement of the call --- */

static bool allocated_is_in_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Returns the only call of `function` in the line, or NULL if there is none or more than one. */
static const char *allocated_call(const char *line, const char *function)
{
	const char *found = NULL;
	const size_t length = strlen(function);
	for (const char *at = line; (at = strstr(at, function)) != NULL; at += length) {
		if ((at > line && allocated_is_in_name(at[-1])) || at[length + strspn(at + length, " ")] != '(')
			continue;
		if (found)
			return NULL;
		found = at;
	}
	return found;
}

static const char *allocated_call_of_any(const char *line)
{
	static const char *const functions[] = {"malloc", "calloc",   "realloc", "reallocarray", "aligned_alloc",
	                                        "strdup", "memalign", "valloc",  "strndup"};
	const char *found = NULL;
	LAB_EACH (i, functions) {
		const char *at = allocated_call(line, functions[i]);
		if (at && found)
			return NULL;
		found = at ? at : found;
	}
	return found;
}

static size_t allocated_trim(const char *line, size_t length)
{
	while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t'))
		length--;
	return length;
}

/* Returns the length of the text without a cast at its end. */
static size_t allocated_without_cast(const char *line, size_t length)
{
	length = allocated_trim(line, length);
	while (length > 0 && line[length - 1] == ')') {
		unsigned depth = 0;
		size_t at = length;
		do {
			at--;
			depth += line[at] == ')' ? 1u : 0u;
			depth -= line[at] == '(' ? 1u : 0u;
		} while (at > 0 && depth > 0);
		length = allocated_trim(line, at);
	}
	return length;
}

/* Whether the text ends in that word, and not in a longer name that ends in it. */
static bool allocated_ends_in(const char *line, size_t length, const char *word)
{
	const size_t n = strlen(word);
	return length >= n && memcmp(line + length - n, word, n) == 0 &&
	       (length == n || !allocated_is_in_name(line[length - n - 1]));
}

/* Whether the text ends in the name of a type, and not in "else" or a condition. */
static bool allocated_is_type(const char *line, size_t length)
{
	while (length > 0 && line[length - 1] == '*')
		length = allocated_trim(line, length - 1);
	return length > 0 && allocated_is_in_name(line[length - 1]) && !allocated_ends_in(line, length, "else") &&
	       !allocated_ends_in(line, length, "do");
}

/* What a statement does with the result of a call. */
struct allocated_use {
	bool returned; /* the statement returns the result */
	char name[48]; /* the variable, or the last field of an expression, that gets the result */
	bool plain;    /* it is a variable */
	bool stars;    /* a star precedes the name, so the statement must declare the variable */
};

/*
 * Finds the identifier to which a text like "struct job *job = " assigns. Returns false if there is
 * none.
 */
static bool allocated_target(const char *line, size_t length, struct allocated_use *use)
{
	if (length == 0 || line[length - 1] != '=')
		return false;
	const size_t end = allocated_trim(line, length - 1);
	size_t from = end;
	while (from > 0 && allocated_is_in_name(line[from - 1]))
		from--;
	const size_t before = allocated_trim(line, from);
	if (from == end || end - from >= sizeof use->name)
		return false;
	use->plain = before == 0 || !strchr(".>", line[before - 1]);
	use->stars = before > 0 && line[before - 1] == '*';
	if (use->stars && !allocated_is_type(line, before))
		return false; /* as in "*place = " */
	snprintf(use->name, sizeof use->name, "%.*s", (int)(end - from), line + from);
	return true;
}

/*
 * Finds what the statement at `pc` does with the result of `function`. If `function` is NULL,
 * malloc() and similar functions are meant. Returns false if neither an identifier nor the caller
 * gets the result.
 */
static bool allocated_statement(uintptr_t pc, const char *function, struct allocated_use *use)
{
	*use = (struct allocated_use){.returned = false};
	char *text = lab_source_at(pc, 0), *before = NULL;
	const char *call = !text ? NULL : function ? allocated_call(text, function) : allocated_call_of_any(text);
	size_t length = call ? allocated_without_cast(text, (size_t)(call - text)) : 0;
	const char *from = text;
	if (call && length == 0) { /* the statement began on the line before */
		before = lab_source_at(pc, 1);
		from = before;
		length = before ? allocated_without_cast(before, strlen(before)) : 0;
	}
	if (call && from)
		use->returned = allocated_ends_in(from, length, "return");
	const bool good = call && from && (use->returned || allocated_target(from, length, use));
	free(text);
	free(before);
	return good;
}

/* --- the variable --- */

/* Whether the statement at `pc` declares the variable, as in "job *job =", and not in "*job =". */
static bool allocated_is_declared(uintptr_t pc, Dwarf_Die *variable)
{
	const char *file, *function;
	int line, declared;
	return dwarf_tag(variable) == DW_TAG_variable && lab_where(pc, &file, &line, &function) &&
	       dwarf_decl_line(variable, &declared) == 0 && declared <= line && declared + 1 >= line;
}

/*
 * Finds the variable of this name that is visible at `pc`. Returns false if no local variable is.
 */
static bool allocated_variable(uintptr_t pc, const char *name, Dwarf_Die *variable)
{
	Dwarf_Die *scopes;
	bool found = false;
	const int n = lab_scopes(pc, &scopes);
	for (int i = 0; i < n && !found && dwarf_tag(&scopes[i]) != DW_TAG_compile_unit; i++) {
		Dwarf_Die die;
		LAB_EACH_CHILD (die, &scopes[i]) {
			const char *called = dwarf_diename(&die);
			if (lab_is_local(&die) && called && strcmp(called, name) == 0) {
				*variable = die;
				found = true;
				break;
			}
		}
	}
	free(scopes);
	return found && !lab_variable_is_static(variable);
}

static bool allocated_is_called(Dwarf_Die *variable, const char *name, uint64_t address, void *wanted)
{
	(void)variable;
	(void)address;
	return strcmp(name, wanted) == 0;
}

/* Finds the local pointer to which the statement at `pc` assigns. */
static bool allocated_pointer(uintptr_t pc, const struct allocated_use *use, Dwarf_Die *variable, Dwarf_Die *type)
{
	return use->plain && allocated_variable(pc, use->name, variable) && lab_type_of(variable, type) &&
	       dwarf_tag(type) == DW_TAG_pointer_type && (!use->stars || allocated_is_declared(pc, variable));
}

static void allocated_look(struct allocated_site *site)
{
	struct allocated_use use;
	const char *function = NULL;
	site->looked_at = true;
	for (unsigned i = 0; i < CALLS && site->calls[i] != 0; i++) {
		const uintptr_t pc = site->calls[i];
		Dwarf_Die variable, type;
		if (!allocated_statement(pc, function, &use))
			break;
		if (!use.returned) {
			memcpy(site->target, use.name, sizeof site->target);
			if (!allocated_pointer(pc, &use, &variable, &type))
				break;
			memcpy(site->name, use.name, sizeof site->name);
			site->variable = variable;
			site->pc = pc;
			if (lab_size_of(&type) > 0)
				break;
		}
		/*
		 * Looks at the caller next. It gets the result unchanged, or it may assign it to a
		 * typed pointer where this function only has a void pointer.
		 */
		function = lab_inlined(pc);
		if (!function)
			break;
	}
	site->is_static =
	    site->name[0] && lab_variables(lab_symbols(site->calls[0]), false, allocated_is_called, site->name);
}

static struct allocated_site *allocated_site_of(const struct lab_block *block)
{
	const unsigned number = allocated_of(block->number)->site;
	struct allocated_site *site = number > 0 ? &sites[number - 1] : NULL;
	if (site && !site->looked_at)
		allocated_look(site);
	return site;
}

bool lab_allocated_to(const struct lab_block *block, const char *pointer)
{
	const struct allocated_site *site = allocated_site_of(block);
	const size_t length = strlen(pointer);
	size_t from = length;
	while (from > 0 && allocated_is_in_name(pointer[from - 1]))
		from--;
	return site && from < length && strcmp(pointer + from, site->target) == 0;
}

size_t lab_allocated_size(const struct lab_block *block)
{
	const struct allocated_site *site = allocated_site_of(block);
	Dwarf_Die type;
	if (!site || !site->name[0])
		return 0;
	Dwarf_Die variable = site->variable;
	return lab_type_of(&variable, &type) ? lab_size_of(&type) : 0;
}

/* --- names --- */

/*
 * Returns the number of the block among the blocks of the same name, or, with `line`, among the
 * blocks of the same line.
 */
static unsigned allocated_number(const struct lab_block *block, bool line)
{
	const struct allocated_site *site = allocated_site_of(block);
	unsigned number = 1;
	struct lab_block other;
	for (unsigned i = 0; i < block->number && lab_block_number(i, &other); i++) {
		const struct allocated_site *o = allocated_site_of(&other);
		number += line ? other.pc == block->pc : o && site && strcmp(o->name, site->name) == 0;
	}
	return number;
}

const char *lab_allocated_name(const struct lab_block *block, Dwarf_Die *variable)
{
	static char name[80];
	const struct allocated_site *site = allocated_site_of(block);
	if (!site || !site->name[0])
		return NULL;
	const unsigned number = allocated_number(block, false);
	*variable = site->variable;
	if (number > 1 || site->is_static)
		snprintf(name, sizeof name, "%s#%u", site->name, number);
	else
		snprintf(name, sizeof name, "%s", site->name);
	return name;
}

void lab_allocated_place(const struct lab_block *block, char *text, size_t size)
{
	const char *file, *function;
	int line;
	if (!lab_where(block->pc, &file, &line, &function)) {
		snprintf(text, size, "block %u", block->number + 1);
		return;
	}
	snprintf(text, size, "block %u of %s:%d", allocated_number(block, true), basename(file), line);
}

void lab_allocated_shown(const struct lab_block *block)
{
	allocated_of(block->number)->shown = true;
}

/* Counts those blocks of a site that the report names. `*first` gets one of these blocks. */
static unsigned allocated_count_shown(const struct allocated_site *site, struct lab_block *first)
{
	unsigned n = 0;
	struct lab_block b;
	for (unsigned i = 0; lab_block_number(i, &b); i++) {
		if (!allocated_of(i)->shown || allocated_site_of(&b) != site)
			continue;
		*first = n == 0 ? b : *first;
		n++;
	}
	return n;
}

void lab_allocated_explain(void)
{
	(void)allocated_of(0); /* The sites are those of this execution. */
	for (const struct allocated_site *site = sites; site < sites + n_sites; site++) {
		struct lab_block b = {.size = 0};
		Dwarf_Die variable;
		char pointer[120];
		const unsigned n = allocated_count_shown(site, &b);
		const char *name = n > 0 ? lab_allocated_name(&b, &variable) : NULL;
		if (!name)
			continue;
		const char *place = lab_site_name(site->pc);
		if (n > 1) {
			lab_detail("  %s#N: the N-th block that was allocated for the variable %s (%s)\n", site->name,
			           site->name, place);
			continue;
		}
		lab_detail("  %s: %zu bytes that %s allocated for the variable %s (%s)", name, b.size,
		           lab.threads[b.thread].name, site->name, place);
		if (lab_reach_pointer(b.address, pointer, sizeof pointer) && strcmp(pointer, name) != 0)
			lab_detail("; %s leads to it at the end", pointer);
		lab_detail("\n");
	}
}
