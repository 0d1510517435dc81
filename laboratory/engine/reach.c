/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of blocks of the heap, found by a walk over typed pointers. The walk begins at the state of
 * a scenario and at the static variables, and learns from the debugging information where the
 * pointers are. It goes breadth first, so the first name that it finds for a block is one of the
 * shortest. A region is a piece of memory to which the walk has found a typed pointer: a block, or
 * a part of a block.
 */
#include "reach.h"
#include "allocated.h"
#include "variable.h"
#include <dwarf.h>

/*
 * How well the type of a pointer fits the block to which it leads, from the best fit to the worst.
 *
 *   EXACT    the size of the type is that of the block, or that of the elements for which calloc()
 *            was asked; or the type is a structure that ends with an array without a size
 *   ARRAY    the block is an array of elements of the type, as the allocation tells
 *   PART     the type describes a part of the block, and nothing is known of the rest
 *   UNTYPED  the type is void, is incomplete, or does not fit into the block
 */
enum reach_fit { REACH_EXACT, REACH_ARRAY, REACH_PART, REACH_UNTYPED };

struct reach_type {
	Dwarf_Die die; /* valid if `parts` */
	uint64_t size; /* 0: unknown */
	bool parts;    /* it has fields, elements or a value that reports name */
	bool flexible; /* a structure that ends with an array without a size */
};

struct reach_region {
	uintptr_t address;
	uint64_t count; /* how many elements it has */
	struct reach_type type;
	enum reach_fit fit;
	unsigned block;
	unsigned level; /* how many pointers are on the way to it */
	char text[96];  /* the pointer that leads to it, as the program would write it */
};

enum { REGIONS = 4096, ELEMENTS = 64, NESTING = 8, LEVELS = 6, EASY = 48 };

static struct reach_region regions[REGIONS];
static unsigned n_regions;
static unsigned reach_level; /* the level of the pointers that are followed now */
static Dwfl_Module *reach_module;

/* A name that was shown for a block that is reached through another block. */
static char reach_noted[sizeof regions[0].text];

/* The execution whose regions were found, and when. */
static struct {
	uint32_t generation, steps;
	size_t n_events;
	bool kept;
} reach_found;

/* --- types --- */

static bool reach_is_structure(Dwarf_Die *type)
{
	const int tag = dwarf_tag(type);
	return tag == DW_TAG_structure_type || tag == DW_TAG_class_type;
}

static bool reach_is_flexible(Dwarf_Die *type)
{
	Dwarf_Die member, last, array;
	bool any = false;
	if (!reach_is_structure(type))
		return false;
	LAB_EACH_CHILD (member, type) {
		if (dwarf_tag(&member) != DW_TAG_member)
			continue;
		last = member;
		any = true;
	}
	return any && lab_type_of(&last, &array) && dwarf_tag(&array) == DW_TAG_array_type && lab_size_of(&last) == 0;
}

/* If this file only declares a structure, finds the definition in another file. */
static void reach_define(struct reach_type *type)
{
	Dwarf_Attribute attribute;
	Dwarf_Die definition;
	if (!type->parts || !dwarf_attr(&type->die, DW_AT_declaration, &attribute))
		return;
	type->parts = dwarf_diename(&type->die) && lab_structure(reach_module, dwarf_diename(&type->die), &definition);
	Dwarf_Word size = 0;
	if (!type->parts || dwarf_aggregate_size(&definition, &size) != 0)
		return;
	type->die = definition;
	type->size = size;
}

/* Returns the type that `of` has. */
static struct reach_type reach_type_of(Dwarf_Die *of)
{
	struct reach_type type = {.size = lab_size_of(of)};
	type.parts = lab_type_of(of, &type.die);
	reach_define(&type);
	if (type.parts && dwarf_tag(&type.die) == DW_TAG_subroutine_type)
		return (struct reach_type){.size = 0};
	type.flexible = type.parts && reach_is_flexible(&type.die);
	return type;
}

/* --- where pointers lead --- */

/*
 * Returns whether the block is an array of elements of the type. For this, it is not enough that
 * the size of the block is a multiple of the type's size, because the type may be that of the first
 * field of a structure. The allocation tells (allocated.c). Any block may be an array of bytes.
 */
static bool reach_is_array(const struct lab_block *b, const struct reach_type *type, const char *pointer)
{
	const uint64_t local = lab_allocated_size(b);
	return b->size % type->size == 0 &&
	       (type->size == 1 || local == type->size || (local == 0 && lab_allocated_to(b, pointer)));
}

/*
 * Stores in `*to` how the type of a pointer to the byte `offset` fits the block, and how many
 * elements the region has. `to->text` has the name of the pointer already.
 */
static void reach_fit_of(const struct lab_block *b, uint64_t offset, const struct reach_type *type,
                         struct reach_region *to)
{
	const uint64_t element = lab_allocated_element(b);
	const uint64_t left = b->size - offset;
	/* A pointer with a tag in its low bits is not a pointer to the type. */
	const uint64_t power = type->size & -type->size, alignment = power < 8 ? power : 8;
	to->count = 1;
	if (type->size == 0 || type->size > left || offset % alignment != 0)
		to->fit = REACH_UNTYPED;
	else if (offset > 0)
		to->fit = REACH_PART;
	else if (type->size == b->size || type->flexible || element == type->size)
		to->fit = REACH_EXACT;
	else
		to->fit = reach_is_array(b, type, to->text) ? REACH_ARRAY : REACH_PART;
	if (to->fit <= REACH_ARRAY && !type->flexible)
		to->count = b->size / type->size;
}

/*
 * Returns whether the walk already has the region. If its name there has the same level, the region
 * keeps the shorter of the two names.
 */
static bool reach_has(const struct reach_region *r)
{
	for (unsigned i = 0; i < n_regions; i++) {
		struct reach_region *o = &regions[i];
		if (o->address != r->address || o->fit != r->fit || o->type.size != r->type.size)
			continue;
		if (o->level == r->level && strlen(r->text) < strlen(o->text))
			memcpy(o->text, r->text, sizeof o->text);
		return true;
	}
	return false;
}

/*
 * Called for each pointer that the walk finds: adds the region to which the pointer leads. `text`
 * is the pointer's name in the program; the other arguments are its value and the type to which it
 * points.
 */
static void reach_follow(uintptr_t value, const struct reach_type *type, const char *text)
{
	struct lab_block b;
	struct reach_region r = {.address = value, .type = *type, .level = reach_level};
	if (n_regions == REGIONS || strlen(text) >= sizeof r.text || !lab_is_heap(value) || !lab_block_at(value, &b))
		return;
	snprintf(r.text, sizeof r.text, "%s", text);
	reach_fit_of(&b, value - b.address, type, &r);
	if (r.fit == REACH_UNTYPED && value != b.address)
		return;
	r.block = b.number;
	if (!reach_has(&r))
		regions[n_regions++] = r;
}

static void reach_visit(Dwarf_Die *type, uintptr_t address, const char *text, unsigned depth);

/* Appends a field or an index to a name. "*job" gets parentheses before it. */
static void reach_join(char *to, size_t size, const char *text, const char *between, const char *name)
{
	if (text[0] == '*')
		snprintf(to, size, "(%s)%s%s", text, between, name);
	else
		snprintf(to, size, "%s%s%s", text, between, name);
}

/* Whether the type has fields. */
static bool reach_has_fields(Dwarf_Die *type)
{
	return reach_is_structure(type) || dwarf_tag(type) == DW_TAG_union_type;
}

/* Finds the type of a field. Returns whether it can hold a pointer. */
static bool reach_has_pointer(Dwarf_Die *member, Dwarf_Die *type)
{
	return lab_type_of(member, type) && (reach_has_fields(type) || dwarf_tag(type) == DW_TAG_pointer_type ||
	                                     dwarf_tag(type) == DW_TAG_array_type);
}

/*
 * Returns whether it is known which field of an object of this type is in use. For a union it is
 * not known, unless only one of its fields can hold a pointer.
 */
static bool reach_is_clear(Dwarf_Die *type)
{
	unsigned n = 0;
	Dwarf_Die member, inner;
	if (dwarf_tag(type) != DW_TAG_union_type)
		return true;
	LAB_EACH_CHILD (member, type)
		n += dwarf_tag(&member) == DW_TAG_member && reach_has_pointer(&member, &inner);
	return n == 1;
}

/*
 * Follows the pointers in the fields. `between` is "." after an object, and "->" after a pointer.
 */
static void reach_visit_fields(Dwarf_Die *type, uintptr_t address, const char *text, const char *between,
                               unsigned depth)
{
	Dwarf_Die member, inner;
	if (!reach_is_clear(type))
		return;
	LAB_EACH_CHILD (member, type) {
		uint64_t offset;
		const char *name;
		char path[128];
		if (!lab_is_field(&member, &offset, &name) || !reach_has_pointer(&member, &inner))
			continue;
		if (name) {
			reach_join(path, sizeof path, text, between, name);
			reach_visit(&inner, address + offset, path, depth + 1);
		} else if (reach_has_fields(&inner)) {
			/* its fields have the name of the object */
			reach_visit_fields(&inner, address + offset, text, between, depth + 1);
		}
	}
}

/* Follows the pointers in `count` objects of this type. */
static void reach_visit_each(Dwarf_Die *type, uint64_t size, uint64_t count, uintptr_t address, const char *text,
                             unsigned depth)
{
	for (unsigned i = 0; i < ELEMENTS && i < count; i++) {
		char path[128], index[24];
		snprintf(index, sizeof index, "[%u]", i);
		reach_join(path, sizeof path, text, index, "");
		reach_visit(type, address + i * size, path, depth);
	}
}

static void reach_visit_elements(Dwarf_Die *array, uintptr_t address, const char *text, unsigned depth)
{
	Dwarf_Word whole = 0;
	Dwarf_Die range;
	const struct reach_type element = reach_type_of(array);
	Dwarf_Die inner = element.die;
	unsigned dimensions = 0;
	LAB_EACH_CHILD (range, array)
		dimensions += dwarf_tag(&range) == DW_TAG_subrange_type;
	if (element.parts && dimensions == 1 && element.size > 0 && dwarf_aggregate_size(array, &whole) == 0)
		reach_visit_each(&inner, element.size, whole / element.size, address, text, depth + 1);
}

/* Follows the pointers in an object of this type. */
static void reach_visit(Dwarf_Die *type, uintptr_t address, const char *text, unsigned depth)
{
	if (depth > NESTING || strlen(text) >= sizeof regions[0].text)
		return;
	if (reach_has_fields(type)) {
		reach_visit_fields(type, address, text, ".", depth);
	} else if (dwarf_tag(type) == DW_TAG_array_type) {
		reach_visit_elements(type, address, text, depth);
	} else if (dwarf_tag(type) == DW_TAG_pointer_type) {
		const struct reach_type to = reach_type_of(type);
		uintptr_t value;
		memcpy(&value, (const void *)address, sizeof value);
		reach_follow(value, &to, text);
	}
}

/* Follows the pointers in a region. */
static void reach_expand(const struct reach_region *r)
{
	const struct reach_region from = *r; /* a copy, since a shorter name may take its place */
	Dwarf_Die type = from.type.die;
	char path[128];
	if (from.fit == REACH_UNTYPED || !from.type.parts)
		return;
	snprintf(path, sizeof path, "*%s", from.text);
	if (from.count != 1)
		reach_visit_each(&type, from.type.size, from.count, from.address, from.text, 0);
	else if (reach_has_fields(&type))
		reach_visit_fields(&type, from.address, from.text, "->", 0);
	else
		reach_visit(&type, from.address, path, 0);
}

/* --- the walk --- */

static bool reach_variable(Dwarf_Die *variable, const char *name, uint64_t address, void *arg)
{
	(void)arg;
	Dwarf_Die type;
	if (lab_type_of(variable, &type))
		reach_visit(&type, address, name, 0);
	return false;
}

static void reach_state(void)
{
	Dwarf_Die type;
	if (!lab.program && lab_running->test->state_size > 0 &&
	    lab_structure(reach_module, lab_running->test->name, &type))
		reach_visit_fields(&type, (uintptr_t)lab.state, "s", "->", 0);
}

/*
 * Makes the walk. Freed blocks are followed last, because a name that leads through live blocks is
 * better.
 */
static void reach_walk(void)
{
	n_regions = 0;
	reach_level = 1;
	reach_state();
	(void)lab_variables(reach_module, false, reach_variable, NULL);
	for (unsigned freed = 0; freed < 2; freed++) {
		for (unsigned i = 0; i < n_regions; i++) {
			struct lab_block b;
			if (regions[i].level >= LEVELS || !lab_block_at(regions[i].address, &b) || b.freed != freed)
				continue;
			reach_level = regions[i].level + 1;
			reach_expand(&regions[i]);
		}
	}
}

static bool reach_update(void)
{
	if (!lab.recording || !lab_running)
		return false;
	const bool same = reach_found.generation == lab.generation;
	if (same && (reach_found.kept || (reach_found.steps == lab.steps && reach_found.n_events == lab.n_events)))
		return true;
	reach_module = lab_symbols(lab_running->main ? (uintptr_t)lab_running->main : (uintptr_t)lab_running->test);
	if (!same)
		reach_noted[0] = '\0';
	reach_found.generation = lab.generation;
	reach_found.steps = lab.steps;
	reach_found.n_events = lab.n_events;
	reach_found.kept = false;
	if (reach_module)
		reach_walk();
	return reach_module != NULL;
}

void lab_reach_keep(void)
{
	reach_found.n_events = SIZE_MAX; /* the last step may have changed a pointer */
	reach_found.kept = reach_update();
}

/* --- names --- */

static bool reach_covers(const struct reach_region *r, uintptr_t address)
{
	return r->fit != REACH_PART || address - r->address < r->type.size;
}

/*
 * Returns the region with the best fit that covers the byte. If no region covers it, returns one
 * that begins before the byte, so that the block keeps its name. Returns NULL if there is neither.
 */
static const struct reach_region *reach_best(const struct lab_block *b, uintptr_t address)
{
	const struct reach_region *best = NULL, *before = NULL;
	for (unsigned i = 0; i < n_regions; i++) {
		const struct reach_region *r = &regions[i];
		if (r->block != b->number)
			continue;
		if (reach_covers(r, address) && (!best || r->fit < best->fit))
			best = r;
		else if (!before && r->address <= address)
			before = r;
	}
	return best ? best : before;
}

/*
 * Stores in `*local` what the allocation says of the block, as a region. Returns false if it says
 * nothing.
 */
static bool reach_local(const struct lab_block *b, struct reach_region *local)
{
	Dwarf_Die variable, pointer;
	const char *name = lab_allocated_name(b, &variable);
	*local = (struct reach_region){.address = b->address, .block = b->number};
	if (!name || !lab_type_of(&variable, &pointer))
		return false;
	snprintf(local->text, sizeof local->text, "%s", name);
	local->type = reach_type_of(&pointer);
	reach_fit_of(b, 0, &local->type, local);
	return true;
}

/*
 * Stores in `*chosen` the region after which the byte is named, and in `*made` whether this is the
 * region of the allocation. Returns false if there is no region.
 */
static bool reach_choose(const struct lab_block *b, uintptr_t address, struct reach_region *chosen, bool *made)
{
	const struct reach_region *best = reach_best(b, address);
	struct reach_region local;
	const bool has_local = reach_local(b, &local);
	const bool easy = best && best->fit == REACH_EXACT && strlen(best->text) <= EASY;
	*made = has_local && !easy &&
	        (!best || !reach_covers(best, address) || local.fit < best->fit || local.fit == REACH_EXACT);
	if (*made)
		*chosen = local;
	else if (best)
		*chosen = *best;
	return *made || best;
}

static void reach_say(const struct reach_region *r, uintptr_t address, char *text, size_t size)
{
	char parts[128] = "", index[24];
	uint64_t offset = address - r->address;
	if (r->fit == REACH_UNTYPED || !reach_covers(r, address)) {
		snprintf(text, size, offset > 0 ? "*%s+%zu" : "*%s", r->text, (size_t)offset);
		return;
	}
	const uint64_t at = r->count > 1 && r->type.size > 0 ? offset / r->type.size : 0;
	offset -= at * r->type.size;
	Dwarf_Die type = r->type.die;
	if (r->type.parts)
		lab_type_parts(&type, offset, parts, sizeof parts);
	else if (offset > 0)
		snprintf(parts, sizeof parts, "+%zu", (size_t)offset);
	snprintf(index, sizeof index, "[%zu]", (size_t)at);
	if (r->count > 1)
		reach_join(text, size, r->text, index, parts);
	else if (parts[0] == '.')
		reach_join(text, size, r->text, "->", parts + 1);
	else if (parts[0] == '[')
		snprintf(text, size, "(*%s)%s", r->text, parts);
	else
		snprintf(text, size, "*%s%s", r->text, parts);
}

static void reach_say_site(const struct lab_block *b, uintptr_t address, char *text, size_t size)
{
	char place[80];
	lab_allocated_place(b, place, sizeof place);
	if (address > b->address)
		snprintf(text, size, "%s, byte %zu", place, (size_t)(address - b->address));
	else
		snprintf(text, size, "%s", place);
}

static void reach_note(const struct reach_region *r)
{
	if (r->level > 1)
		memcpy(reach_noted, r->text, sizeof reach_noted);
}

/*
 * Brings the walk up to date, and finds the block that has the byte. Returns false if there is
 * none.
 */
static bool reach_block(uintptr_t address, struct lab_block *b)
{
	return lab_is_heap(address) && reach_update() && lab_block_at(address, b);
}

bool lab_reach_name(uintptr_t address, char *text, size_t size)
{
	struct lab_block b;
	struct reach_region r;
	bool made;
	if (!reach_block(address, &b))
		return false;
	if (!reach_choose(&b, address, &r, &made)) {
		reach_say_site(&b, address, text, size);
		return true;
	}
	if (made)
		lab_allocated_shown(&b);
	else
		reach_note(&r);
	reach_say(&r, address, text, size);
	return true;
}

bool lab_reach_made(uintptr_t address, char *text, size_t size)
{
	struct lab_block b;
	struct reach_region local;
	if (!reach_block(address, &b) || b.address != address)
		return false;
	if (!reach_local(&b, &local)) {
		reach_say_site(&b, address, text, size);
		return true;
	}
	lab_allocated_shown(&b);
	snprintf(text, size, "%s", local.text);
	return true;
}

bool lab_reach_pointer(uintptr_t address, char *text, size_t size)
{
	struct lab_block b;
	struct reach_region r;
	bool made;
	if (!reach_block(address, &b) || b.address != address)
		return false;
	if (!reach_choose(&b, address, &r, &made) || made)
		return lab_reach_made(address, text, size);
	reach_note(&r);
	snprintf(text, size, "%s", r.text);
	return true;
}

void lab_reach_explain(void)
{
	if (reach_noted[0])
		lab_detail("  the name of a block is a pointer that leads to it at the end, such as %s\n", reach_noted);
}
