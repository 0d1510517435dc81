/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names an address as the source does: the variable, its elements and its fields. The names come
 * from the debugging information.
 */
#include "variable.h"
#include "lab.h"
#include <dwarf.h>
#include <inttypes.h>

__attribute__((format(printf, 3, 4))) static void variable_append(char *text, size_t size, const char *format, ...)
{
	const size_t used = strlen(text);
	va_list args;
	va_start(args, format);
	vsnprintf(text + used, size - used, format, args);
	va_end(args);
}

/* Types whose fields reports do not name. */
static bool variable_is_opaque(const char *name)
{
	static const char *const names[] = {"sem_t", "mtx_t", "cnd_t", "once_flag"};
	LAB_EACH (i, names)
		if (name && strcmp(name, names[i]) == 0)
			return true;
	return name && strncmp(name, "pthread_", 8) == 0;
}

bool lab_type_of(Dwarf_Die *of, Dwarf_Die *type)
{
	Dwarf_Attribute attribute;
	if (!dwarf_formref_die(dwarf_attr_integrate(of, DW_AT_type, &attribute), type))
		return false;
	for (;;) {
		switch (dwarf_tag(type)) {
		case DW_TAG_typedef:
			if (variable_is_opaque(dwarf_diename(type)))
				return false;
			break;
		case DW_TAG_const_type:
		case DW_TAG_volatile_type:
		case DW_TAG_restrict_type:
		case DW_TAG_atomic_type:
			break;
		default:
			return true;
		}
		Dwarf_Die inner = *type;
		if (!dwarf_formref_die(dwarf_attr_integrate(&inner, DW_AT_type, &attribute), type))
			return false;
	}
}

uint64_t lab_size_of(Dwarf_Die *of)
{
	Dwarf_Attribute attribute;
	Dwarf_Die type;
	Dwarf_Word size = 0;
	if (!dwarf_formref_die(dwarf_attr_integrate(of, DW_AT_type, &attribute), &type) ||
	    dwarf_aggregate_size(&type, &size) != 0)
		return 0;
	return size;
}

bool lab_is_field(Dwarf_Die *member, uint64_t *offset, const char **name)
{
	const int tag = dwarf_tag(member);
	Dwarf_Attribute attribute;
	Dwarf_Word from = 0;
	if (dwarf_attr(member, DW_AT_data_member_location, &attribute))
		(void)dwarf_formudata(&attribute, &from);
	*offset = from;
	*name = tag == DW_TAG_member ? dwarf_diename(member) : NULL;
	return tag == DW_TAG_member || tag == DW_TAG_inheritance;
}

/* Returns the size of the array's elements, or 0 if `of` has another type. */
static uint64_t variable_element_size(Dwarf_Die *of)
{
	Dwarf_Die type;
	return lab_type_of(of, &type) && dwarf_tag(&type) == DW_TAG_array_type ? lab_size_of(&type) : 0;
}

/* Goes on to the field at `offset`. Returns false if there is none. */
static bool variable_enter_field(Dwarf_Die *type, uint64_t *offset, char *text, size_t size)
{
	Dwarf_Die member;
	LAB_EACH_CHILD (member, type) {
		uint64_t from;
		const char *name;
		if (!lab_is_field(&member, &from, &name))
			continue;
		const uint64_t width = lab_size_of(&member);
		const bool flexible = width == 0 && variable_element_size(&member) > 0;
		if (*offset < from || (!flexible && *offset >= from + width))
			continue;
		if (name)
			variable_append(text, size, ".%s", name);
		*offset -= from;
		return lab_type_of(&member, type);
	}
	return false;
}

static bool variable_enter_element(Dwarf_Die *type, uint64_t *offset, char *text, size_t size)
{
	Dwarf_Word whole = 0;
	Dwarf_Die range, array = *type;
	const uint64_t element = lab_size_of(&array);
	const bool bounded = dwarf_aggregate_size(&array, &whole) == 0 && whole != 0;
	if (!bounded && element > 0) {
		variable_append(text, size, "[%" PRIu64 "]", *offset / element);
		*offset %= element;
		return lab_type_of(&array, type);
	}
	if (whole == 0)
		return false;
	LAB_EACH_CHILD (range, &array) {
		Dwarf_Attribute attribute;
		Dwarf_Word n = 0;
		if (dwarf_tag(&range) != DW_TAG_subrange_type)
			continue;
		if (dwarf_attr(&range, DW_AT_upper_bound, &attribute) && dwarf_formudata(&attribute, &n) == 0)
			n++;
		else if (dwarf_attr(&range, DW_AT_count, &attribute))
			(void)dwarf_formudata(&attribute, &n);
		if (n == 0 || whole / n == 0)
			return false;
		whole /= n;
		variable_append(text, size, "[%" PRIu64 "]", *offset / whole);
		*offset %= whole;
	}
	return lab_type_of(&array, type);
}

static void variable_parts(Dwarf_Die *type, bool more, uint64_t offset, char *text, size_t size)
{
	while (more) {
		switch (dwarf_tag(type)) {
		case DW_TAG_structure_type:
		case DW_TAG_class_type:
		case DW_TAG_union_type:
			more = variable_enter_field(type, &offset, text, size);
			break;
		case DW_TAG_array_type:
			more = variable_enter_element(type, &offset, text, size);
			break;
		default:
			more = false;
			break;
		}
	}
	if (offset > 0)
		variable_append(text, size, "+%" PRIu64, offset);
}

void lab_type_parts(Dwarf_Die *type, uint64_t offset, char *text, size_t size)
{
	Dwarf_Die part = *type;
	variable_parts(&part, true, offset, text, size);
}

/* Finds where a variable of the file lies. Returns true if its address is fixed. */
static bool variable_place(Dwarf_Die *variable, bool local, uint64_t *place)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *operations;
	size_t n;
	if (!dwarf_attr(variable, DW_AT_location, &attribute) || dwarf_getlocation(&attribute, &operations, &n) != 0)
		return false;
	*place = n > 0 ? operations[0].number : 0;
	if (!local)
		return n == 1 && operations[0].atom == DW_OP_addr;
	return n == 2 &&
	       (operations[1].atom == DW_OP_GNU_push_tls_address || operations[1].atom == DW_OP_form_tls_address);
}

static bool variable_visit(Dwarf_Die *parent, bool local, Dwarf_Addr bias, lab_variable_visitor *visit, void *arg)
{
	Dwarf_Die die;
	LAB_EACH_CHILD (die, parent) {
		const int tag = dwarf_tag(&die);
		const char *name = dwarf_diename(&die);
		uint64_t place;
		if ((tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block || tag == DW_TAG_namespace) &&
		    variable_visit(&die, local, bias, visit, arg))
			return true;
		if (tag == DW_TAG_variable && name && variable_place(&die, local, &place) &&
		    visit(&die, name, place + bias, arg))
			return true;
	}
	return false;
}

bool lab_variables(Dwfl_Module *module, bool local, lab_variable_visitor *visit, void *arg)
{
	Dwarf_Addr bias = 0;
	LAB_EACH_UNIT (unit, module, bias)
		if (variable_visit(unit, local, local ? 0 : bias, visit, arg))
			return true;
	return false;
}

/* An address, and where its name goes. */
struct variable_named {
	uint64_t address;
	char *text;
	size_t size;
};

static bool variable_say(Dwarf_Die *variable, const char *name, uint64_t place, void *arg)
{
	const struct variable_named *to = arg;
	Dwarf_Die type;
	if (to->address < place || to->address - place >= lab_size_of(variable))
		return false;
	snprintf(to->text, to->size, "%s", name);
	const bool known = lab_type_of(variable, &type);
	variable_parts(&type, known, to->address - place, to->text, to->size);
	return true;
}

bool lab_variable_name(Dwfl_Module *module, uintptr_t address, bool local, char *text, size_t size)
{
	return lab_variables(module, local, variable_say, &(struct variable_named){address, text, size});
}

bool lab_is_local(Dwarf_Die *die)
{
	return dwarf_tag(die) == DW_TAG_variable || dwarf_tag(die) == DW_TAG_formal_parameter;
}

bool lab_variable_is_static(Dwarf_Die *variable)
{
	uint64_t place;
	return variable_place(variable, false, &place) || variable_place(variable, true, &place);
}

bool lab_structure(Dwfl_Module *module, const char *name, Dwarf_Die *type)
{
	Dwarf_Addr bias = 0;
	LAB_EACH_UNIT (unit, module, bias)
		for (int more = dwarf_child(unit, type); more == 0; more = dwarf_siblingof(type, type))
			if (dwarf_tag(type) == DW_TAG_structure_type && dwarf_diename(type) &&
			    strcmp(dwarf_diename(type), name) == 0 && dwarf_haschildren(type) == 1)
				return true;
	return false;
}

bool lab_field_name(Dwfl_Module *module, const char *structure, uint64_t offset, char *text, size_t size)
{
	static char latest[128]; /* the structure of the previous search */
	static Dwarf_Die type;
	static bool found;
	char parts[160] = "";
	if (strncmp(latest, structure, sizeof latest - 1) != 0) {
		snprintf(latest, sizeof latest, "%s", structure);
		found = lab_structure(module, structure, &type);
	}
	if (found)
		lab_type_parts(&type, offset, parts, sizeof parts);
	if (!found || parts[0] != '.')
		return false;
	snprintf(text, size, "s->%s", parts + 1);
	return true;
}
