/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps the stack frames of the program's functions, and finds the names of the variables in them.
 */
#include "frame.h"
#include "model.h"
#include "variable.h"
#include <dwarf.h>

struct frame {
	uintptr_t inside, base; /* base: the canonical frame address */
	unsigned thread, depth;
	size_t outer;      /* the frame of the same thread that called this one, counted from 1; 0: none */
	size_t begin, end; /* indices of events; end: SIZE_MAX while the function runs */
};

static struct frame *frames;
static size_t room_frames;

/*
 * Ends the frames of the running thread from this depth on, and all frames below `base`: a
 * longjmp() may leave several of these.
 */
static void frame_end(unsigned depth, uintptr_t base)
{
	size_t *at = &lab.self->innermost;
	while (*at > 0) {
		struct frame *f = &frames[*at - 1];
		if (f->depth < depth && f->base > base)
			break;
		f->end = lab.n_events;
		*at = f->outer;
	}
	/* A spin that is not a step may call functions forever, but no event needs their frames. */
	while (lab.frames > 0 && frames[lab.frames - 1].end == frames[lab.frames - 1].begin)
		lab.frames--;
}

bool lab_frame_is_good(uintptr_t frame, uintptr_t caller)
{
#ifdef __x86_64__
	return lab_is_stack(frame) && !lab_is_guard(frame) && frame % 8 == 0 && ((const uintptr_t *)frame)[1] == caller;
#else
	(void)frame;
	(void)caller;
	return false;
#endif
}

void lab_frame_enter(uintptr_t inside, uintptr_t frame, uintptr_t caller)
{
	/* the base is behind the frame pointer and the return address */
	enum { MOST = 1 << 20, TO_BASE = 16 };
	if (!lab.program || !lab_frame_is_good(frame, caller) || lab.frames == MOST)
		return;
	frame_end(lab.self->depth, frame + TO_BASE);
	frames = lab_grown(frames, lab.frames, &room_frames, sizeof *frames);
	frames[lab.frames++] = (struct frame){
	    inside, frame + TO_BASE, lab.self->id, lab.self->depth, lab.self->innermost, lab.n_events, SIZE_MAX};
	lab.self->innermost = lab.frames;
}

void lab_frame_leave(void)
{
	frame_end(lab.self->depth, 0);
}

static bool frame_is_canonical(Dwarf_Die *function)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *operations;
	size_t n;
	return dwarf_attr(function, DW_AT_frame_base, &attribute) &&
	       dwarf_getlocation(&attribute, &operations, &n) == 0 && n == 1 &&
	       operations[0].atom == DW_OP_call_frame_cfa;
}

/*
 * Finds where a variable lies, from the base of the frame. Returns false if it is not in one place
 * all the time.
 */
static bool frame_offset(Dwarf_Die *variable, int64_t *offset)
{
	Dwarf_Attribute attribute;
	Dwarf_Op *operations;
	size_t n;
	if (!dwarf_attr(variable, DW_AT_location, &attribute) || dwarf_whatform(&attribute) == DW_FORM_sec_offset ||
	    dwarf_whatform(&attribute) == DW_FORM_loclistx || dwarf_getlocation(&attribute, &operations, &n) != 0 ||
	    n != 1 || operations[0].atom != DW_OP_fbreg)
		return false;
	*offset = (int64_t)operations[0].number;
	return true;
}

/* Counts the variables that contain the byte, and writes the name of the last one. */
static unsigned frame_find(Dwarf_Die *scope, uintptr_t base, uintptr_t address, char *text, size_t size)
{
	unsigned found = 0;
	Dwarf_Die die;
	LAB_EACH_CHILD (die, scope) {
		const char *name = dwarf_diename(&die);
		int64_t offset;
		if (dwarf_tag(&die) == DW_TAG_lexical_block)
			found += frame_find(&die, base, address, text, size);
		if (!name || !lab_is_local(&die) || !frame_offset(&die, &offset))
			continue;
		const uint64_t inside = address - (base + (uintptr_t)offset);
		Dwarf_Die type;
		if (inside >= lab_size_of(&die))
			continue;
		found++;
		snprintf(text, size, "%s", name);
		if (lab_type_of(&die, &type))
			lab_type_parts(&type, inside, text, size);
	}
	return found;
}

static bool frame_say(const struct frame *f, uintptr_t address, char *text, size_t size)
{
	Dwarf_Die *scopes;
	const int n = lab_scopes(f->inside, &scopes);
	const char *function = NULL;
	char name[120] = "";
	for (int i = 0; i < n && !function; i++)
		if (dwarf_tag(&scopes[i]) == DW_TAG_subprogram && frame_is_canonical(&scopes[i]) &&
		    frame_find(&scopes[i], f->base, address, name, sizeof name) == 1)
			function = dwarf_diename(&scopes[i]);
	free(scopes);
	if (!function)
		return false;
	const char *thread = lab.threads[f->thread].name;
	if (strcmp(function, thread) == 0)
		snprintf(text, size, "%s of %s", name, function);
	else
		snprintf(text, size, "%s of %s in %s", name, function, thread);
	return true;
}

bool lab_frame_name(uintptr_t address, size_t event, char *text, size_t size)
{
	if (!lab.recording || !lab_is_stack(address))
		return false;
	for (size_t i = lab.frames; i-- > 0;)
		if (event >= frames[i].begin && event < frames[i].end && frame_say(&frames[i], address, text, size))
			return true;
	return false;
}

/*
 * Whether a variable contains the byte at that offset: a variable of the macros of <stdatomic.h>,
 * or of the source.
 */
static bool frame_names(Dwarf_Die *scope, int64_t at, bool macros)
{
	Dwarf_Die die;
	LAB_EACH_CHILD (die, scope) {
		Dwarf_Attribute attribute;
		int64_t offset;
		if (dwarf_tag(&die) == DW_TAG_lexical_block && frame_names(&die, at, macros))
			return true;
		if (!lab_is_local(&die) || !dwarf_attr(&die, DW_AT_location, &attribute))
			continue;
		const char *name = dwarf_diename(&die);
		if ((name && strncmp(name, "__atomic_", 9) == 0) != macros)
			continue;
		if (!frame_offset(&die, &offset) || (uint64_t)(at - offset) < lab_size_of(&die))
			return true;
	}
	return false;
}

/*
 * Whether the function was compiled without optimisation, which gcc notes among its options in the
 * debugging information.
 */
static bool frame_is_unoptimised(Dwarf_Die *scope)
{
	Dwarf_Die unit;
	Dwarf_Attribute attribute;
	const char *producer = dwarf_diecu(scope, &unit, NULL, NULL)
	                           ? dwarf_formstring(dwarf_attr(&unit, DW_AT_producer, &attribute))
	                           : NULL;
	const char *last = NULL;
	while (producer && (producer = strstr(producer, " -O")) != NULL)
		last = producer += 3;
	return last && *last == '0';
}

/*
 * Whether the byte belongs to a register that the function's caller uses: either the function has
 * saved the register there, or the function does not use the register, and the byte is in the
 * register's slot at the top of the stack.
 */
static bool frame_keeps(uintptr_t pc, int64_t at, size_t slot)
{
	static const int kept[] = {3, 12, 13, 14, 15}; /* rbx, and r12 to r15, by DWARF's numbers */
	Dwarf_Addr bias;
	Dwarf_CFI *rules = dwfl_module_eh_cfi(lab_symbols(pc), &bias);
	Dwarf_Frame *frame;
	bool keeps = false;
	if (!rules || dwarf_cfi_addrframe(rules, pc - bias, &frame) != 0)
		return true;
	LAB_EACH (i, kept) {
		Dwarf_Op memory[3], *place;
		size_t n = 0;
		/* The offset from the base of the frame; 0: the value is still in the register. */
		const int64_t saved = dwarf_frame_register(frame, kept[i], memory, &place, &n) == 0 && n == 2
		                          ? (int64_t)place[1].number
		                          : 0;
		keeps |= i == slot ? saved == 0 : (uint64_t)(at - saved) < sizeof(uint64_t);
	}
	free(frame);
	return keeps;
}

/*
 * Returns the innermost function of the scopes, or NULL if the places of its variables are not known
 * for all of its code.
 */
static Dwarf_Die *frame_function(Dwarf_Die *scopes, int n)
{
	int i = 0;
	while (i < n && dwarf_tag(&scopes[i]) != DW_TAG_subprogram)
		i++;
	return i < n && frame_is_canonical(&scopes[i]) && frame_is_unoptimised(&scopes[i]) ? &scopes[i] : NULL;
}

static bool frame_has_temporary(uintptr_t pc, int64_t at, size_t slot, bool written)
{
	Dwarf_Die *scopes;
	const int n = lab_scopes(pc, &scopes);
	Dwarf_Die *function = frame_function(scopes, n);
	const bool temporary = function && frame_names(function, at, written) == written && !frame_keeps(pc, at, slot);
	free(scopes);
	return temporary;
}

/*
 * Looks for variables that contain the byte at that offset. `blocks` are the scopes that contain
 * the thread's place. Returns 1 if such a variable is in one of these scopes, -1 if all of them are
 * in other blocks, and 0 if there is none.
 */
static int frame_scope_of(Dwarf_Die *scope, int64_t at, Dwarf_Die *blocks, int n)
{
	int found = 0;
	bool inside = false;
	Dwarf_Die die;
	for (int i = 0; i < n; i++)
		inside |= dwarf_dieoffset(&blocks[i]) == dwarf_dieoffset(scope);
	LAB_EACH_CHILD (die, scope) {
		int64_t offset;
		int here = 0;
		if (dwarf_tag(&die) == DW_TAG_lexical_block)
			here = frame_scope_of(&die, at, blocks, n);
		else if (lab_is_local(&die) && frame_offset(&die, &offset) &&
		         (uint64_t)(at - offset) < lab_size_of(&die))
			here = inside ? 1 : -1;
		found = here == 1 || found == 0 ? here : found;
		if (found == 1)
			return 1;
	}
	return found;
}

static bool frame_is_over(uintptr_t pc, int64_t at)
{
	Dwarf_Die *scopes;
	const int n = lab_scopes(pc, &scopes);
	Dwarf_Die *function = frame_function(scopes, n);
	const bool over = function && frame_scope_of(function, at, scopes, (int)(function - scopes) + 1) == -1;
	free(scopes);
	return over;
}

bool lab_frame_block_is_over(uintptr_t pc, uintptr_t frame, uintptr_t address)
{
	enum { KEPT = 256, TO_BASE = 16 };
	static struct {
		uintptr_t pc;
		int64_t at;
		bool over;
	} kept[KEPT];
	const int64_t at = (int64_t)(address - frame - TO_BASE);
	const size_t slot = (pc * 31 + (uint64_t)at) % KEPT;
	if (kept[slot].pc != pc || kept[slot].at != at) {
		const bool active = lab.active;
		lab_activate(false); /* what libdw allocates is its own */
		kept[slot].over = frame_is_over(pc, at);
		lab_activate(active);
		kept[slot].pc = pc;
		kept[slot].at = at;
	}
	return kept[slot].over;
}

bool lab_frame_is_temporary(uintptr_t pc, uintptr_t frame, uintptr_t address, size_t from_top, bool written)
{
	enum { KEPT = 1024, TO_BASE = 16 };
	static struct {
		uintptr_t pc;
		int64_t at;
		bool written, temporary;
	} kept[KEPT];
	const int64_t at = (int64_t)(address - frame - TO_BASE);
	if (at >= -TO_BASE)
		return false; /* the frame pointer, the return address, or the frame of a caller */
	const size_t slot = (pc * 31 + (uint64_t)at) % KEPT;
	if (kept[slot].pc != pc || kept[slot].at != at || kept[slot].written != written) {
		const bool active = lab.active;
		lab_activate(false); /* what libdw allocates is its own */
		kept[slot].temporary = frame_has_temporary(pc, at, from_top / sizeof(uint64_t), written);
		lab_activate(active);
		kept[slot].pc = pc;
		kept[slot].at = at;
		kept[slot].written = written;
	}
	return kept[slot].temporary;
}
