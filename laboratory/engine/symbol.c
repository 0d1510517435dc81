/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds the names, files and lines of addresses, using libdw of elfutils. */
#include "frame.h"
#include "interpose.h"
#include "layout.h"
#include "model.h"
#include "reach.h"
#include "variable.h"
#include <dlfcn.h>
#include <dwarf.h>
#include <link.h>
#include <unwind.h>

static Dwfl *session;

/*
 * Reports a loaded object with all its segments, because libdw itself, when it reads
 * /proc/self/maps, leaves out the pages of .bss that no file backs.
 */
static int symbol_report(struct dl_phdr_info *info, size_t size, void *arg)
{
	const char *path = info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe";
	(void)size;
	(void)arg;
	(void)dwfl_report_elf(session, path, path, -1, info->dlpi_addr, true);
	return 0;
}

static bool open_session(void)
{
	static char *debug_path;
	static const Dwfl_Callbacks callbacks = {
	    .find_elf = dwfl_linux_proc_find_elf,
	    .find_debuginfo = dwfl_standard_find_debuginfo,
	    .debuginfo_path = &debug_path,
	};
	if (session)
		return true;
	session = dwfl_begin(&callbacks);
	if (!session)
		return false;
	(void)dl_iterate_phdr(symbol_report, NULL);
	if (dwfl_report_end(session, NULL, NULL) != 0) {
		dwfl_end(session);
		session = NULL;
	}
	return session != NULL;
}

/* Returns a copy of the first `length` characters of `name`. The copy is never freed. */
static const char *interned(const char *name, size_t length)
{
	static struct kept {
		struct kept *next;
		char name[];
	} * all;
	for (struct kept *k = all; k; k = k->next)
		if (strlen(k->name) == length && memcmp(k->name, name, length) == 0)
			return k->name;
	struct kept *made = lab_needed(calloc(1, sizeof *made + length + 1));
	memcpy(made->name, name, length);
	made->next = all;
	all = made;
	return made->name;
}

/*
 * Returns the name of the actor if a macro of stress.h has made the function, otherwise the
 * function's name.
 */
static const char *plain_name(const char *function)
{
	const char *test = lab_running ? lab_running->test->name : "";
	size_t prefix = strlen(test);
	if (!function || prefix == 0 || strncmp(function, test, prefix) != 0 ||
	    strncmp(function + prefix, "__", 2) != 0)
		return function;
	const char *name = function + prefix + 2, *end = strstr(name, "__call");
	return interned(name, end ? (size_t)(end - name) : strlen(name));
}

/*
 * Returns the C++ name of a symbol, without a function's arguments. If there is none, returns the
 * symbol's own name. The demangler is that of the C++ library in the program.
 */
static const char *symbol_demangled(const char *symbol)
{
	static const struct lab_test *test;
	static char *(*demangle)(const char *symbol, char *buffer, size_t *size, int *status);
	int status = 0;
	if (!symbol || strncmp(symbol, "_Z", 2) != 0 || !lab_running)
		return symbol;
	if (test != lab_running) {
		uintptr_t offset;
		const char *path = lab_module_of((uintptr_t)lab_running->main, &offset);
		void *handle = path ? dlopen(path, RTLD_NOW | RTLD_NOLOAD) : NULL;
		demangle = handle ? (__typeof__(demangle))dlsym(handle, "__cxa_demangle") : NULL;
		test = lab_running;
	}
	const bool active = lab.active;
	lab_activate(false); /* the text is not a block of the program */
	char *text = demangle ? demangle(symbol, NULL, NULL, &status) : NULL, *end = text ? strrchr(text, ')') : NULL;
	lab_activate(active);
	if (!text)
		return symbol;
	for (unsigned depth = 0; end && end > text && !strstr(end, "::"); end--) {
		depth += (*end == ')') - (*end == '(');
		if (depth == 0)
			break;
	}
	const bool function = end && *end == '(';
	const char *name = interned(text, function ? (size_t)(end - text) : strlen(text));
	free(text);
	return name;
}

/* Finds the line by asking each unit, because clang writes no index of addresses. */
static bool ask_units(Dwfl_Module *module, Dwarf_Addr pc, const char **file, int *line)
{
	Dwarf_Addr bias = 0;
	LAB_EACH_UNIT (unit, module, bias) {
		if (dwarf_haspc(unit, pc - bias) != 1)
			continue;
		Dwarf_Line *at = dwarf_getsrc_die(unit, pc - bias);
		*file = at ? dwarf_linesrc(at, NULL, NULL) : NULL;
		return *file && dwarf_lineno(at, line) == 0;
	}
	return false;
}

static bool symbol_is_library(const char *file)
{
	return strstr(file, "/include/") && strstr(file, "/c++/");
}

/*
 * If the compiler has inlined functions of the C++ library into the user's, finds the line of the
 * call.
 */
static void symbol_find_call(Dwfl_Module *module, Dwarf_Addr pc, const char **file, int *line)
{
	Dwarf_Addr bias = 0;
	LAB_EACH_UNIT (unit, module, bias) {
		Dwarf_Die *scopes = NULL, *around = NULL;
		Dwarf_Files *files;
		if (dwarf_haspc(unit, pc - bias) != 1 || dwarf_getsrcfiles(unit, &files, NULL) != 0)
			continue;
		/*
		 * For an inlined function, dwarf_getscopes() continues with the scopes of its
		 * declaration.
		 */
		const int n = dwarf_getscopes(unit, pc - bias, &scopes) > 0 ? dwarf_getscopes_die(scopes, &around) : 0;
		for (int i = 0; i < n && symbol_is_library(*file); i++) {
			Dwarf_Attribute attribute;
			Dwarf_Word number, at;
			const char *by = NULL;
			if (dwarf_tag(&around[i]) == DW_TAG_inlined_subroutine &&
			    dwarf_formudata(dwarf_attr(&around[i], DW_AT_call_file, &attribute), &number) == 0 &&
			    dwarf_formudata(dwarf_attr(&around[i], DW_AT_call_line, &attribute), &at) == 0)
				by = dwarf_filesrc(files, number, NULL, NULL);
			if (by && !symbol_is_library(by)) {
				*file = by;
				*line = (int)at;
			}
		}
		free(scopes);
		free(around);
		return;
	}
}

/* Returns the text of a line of a file, without leading and trailing blanks. */
static char *source_line(const char *file, int line)
{
	FILE *f = fopen(file, "re");
	if (!f)
		return NULL;
	char buffer[512];
	char *found = NULL;
	for (int n = 1; fgets(buffer, sizeof buffer, f); n++) {
		if (n != line)
			continue;
		char *from = buffer + strspn(buffer, " \t");
		from[strcspn(from, "\n")] = '\0';
		found = strdup(from);
		break;
	}
	fclose(f);
	return found;
}

bool lab_where(uintptr_t pc, const char **file, int *line, const char **function)
{
	*file = *function = NULL;
	*line = 0;
	if (pc == 0 || !open_session())
		return false;
	/* A return address may belong to the next line; the byte before it belongs to the call. */
	Dwfl_Module *module = dwfl_addrmodule(session, pc - 1);
	if (!module)
		return false;
	*function = plain_name(dwfl_module_addrname(module, pc - 1));
	if (*function && strncmp(*function, "_Z", 2) == 0 && lab_inlined(pc))
		/* In C++ this is the name of the function without the types of its arguments. */
		*function = lab_inlined(pc);
	*function = symbol_demangled(*function);
	Dwfl_Line *at = dwfl_module_getsrc(module, pc - 1);
	*file = at ? dwfl_lineinfo(at, NULL, line, NULL, NULL, NULL) : NULL;
	if (at ? !*file : !ask_units(module, pc - 1, file, line))
		return false;
	if (symbol_is_library(*file))
		symbol_find_call(module, pc - 1, file, line);
	return true;
}

/*
 * What is remembered of a return address: whether it has a line of the user's code, a hash of the
 * line, and whether it lies in a destructor. The hash is 0 for the whole C++ library, and the address
 * itself for code without lines.
 */
struct symbol {
	uintptr_t pc, hash;
	bool own, destructor;
};

/* The mangled names of a destructor end with D0, D1 or D2, and with v, since it has no arguments. */
static bool symbol_destroys(uintptr_t pc)
{
	Dwfl_Module *module = dwfl_addrmodule(session, pc - 1);
	const char *name = module ? dwfl_module_addrname(module, pc - 1) : NULL;
	const size_t length = name ? strlen(name) : 0;
	return length > 6 && strncmp(name, "_Z", 2) == 0 && name[length - 4] == 'D' &&
	       strchr("012", name[length - 3]) && strcmp(name + length - 2, "Ev") == 0;
}

static const struct symbol *symbol_kept(uintptr_t pc)
{
	enum { KEPT = 1024 };
	static struct symbol kept[KEPT];
	struct symbol *s = &kept[pc * 31 % KEPT];
	const char *file, *function;
	int line;
	if (s->pc == pc)
		return s;
	*s = (struct symbol){.pc = pc, .hash = pc};
	if (!lab_where(pc, &file, &line, &function))
		return s;
	s->destructor = symbol_destroys(pc);
	s->own = !symbol_is_library(file);
	s->hash = s->own ? (unsigned)line : 0;
	while (s->own && *file)
		s->hash = (s->hash ^ (uint8_t)*file++) * 0x100000001b3u;
	return s;
}

/* The same during an execution. What libdw allocates is its own. */
static const struct symbol *symbol_of_access(uintptr_t pc)
{
	const bool active = lab.active;
	lab_activate(false);
	const struct symbol *s = symbol_kept(pc);
	lab_activate(active);
	return s;
}

uintptr_t lab_line_hash(uintptr_t pc)
{
	return symbol_of_access(pc)->hash;
}

bool lab_is_destructor(uintptr_t pc)
{
	return symbol_of_access(pc)->destructor;
}

struct search {
	uintptr_t pc, found;
	bool inside;
};

static _Unwind_Reason_Code symbol_visit(struct _Unwind_Context *frame, void *arg)
{
	struct search *search = arg;
	const uintptr_t at = _Unwind_GetIP(frame);
	search->inside |= at == search->pc;
	if (!search->inside || !lab_is_module_code(at) || !symbol_kept(at)->own)
		return _URC_NO_REASON;
	search->found = at;
	return _URC_END_OF_STACK;
}

uintptr_t lab_own_place(uintptr_t pc)
{
	struct search search = {pc, pc, false};
	const bool active = lab.active;
	const bool called_back = lab_calls_back(pc);
	if (!lab.recording || !(called_back || lab_is_module_code(pc)))
		return pc;
	lab_activate(false); /* what libdw allocates is its own */
	if (called_back || !symbol_kept(pc)->own)
		(void)_Unwind_Backtrace(symbol_visit, &search);
	lab_activate(active);
	return search.found;
}

char *lab_source_at(uintptr_t pc, int before)
{
	const char *file, *function, *folder = NULL;
	char path[1024];
	int line;
	if (!lab_where(pc, &file, &line, &function))
		return NULL;
	Dwfl_Module *module = dwfl_addrmodule(session, pc - 1);
	Dwfl_Line *at = module ? dwfl_module_getsrc(module, pc - 1) : NULL;
	if (at && file[0] != '/')
		folder = dwfl_line_comp_dir(at);
	const int n = snprintf(path, sizeof path, "%s%s%s", folder ? folder : "", folder ? "/" : "", file);
	return n < (int)sizeof path && line > before ? source_line(path, line - before) : NULL;
}

Dwfl_Module *lab_symbols(uintptr_t address)
{
	return address != 0 && open_session() ? dwfl_addrmodule(session, address) : NULL;
}

int lab_scopes(uintptr_t pc, Dwarf_Die **scopes)
{
	Dwarf_Addr bias = 0;
	Dwarf_Die *unit = pc != 0 && open_session() ? dwfl_addrdie(session, pc - 1, &bias) : NULL;
	*scopes = NULL;
	return unit ? dwarf_getscopes(unit, pc - 1 - bias, scopes) : 0;
}

const char *lab_inlined(uintptr_t pc)
{
	const char *name = NULL;
	Dwarf_Die *scopes;
	const int n = lab_scopes(pc, &scopes);
	for (int i = 0; i < n && !name; i++) {
		const int tag = dwarf_tag(&scopes[i]);
		if (tag == DW_TAG_inlined_subroutine || tag == DW_TAG_subprogram)
			name = dwarf_diename(&scopes[i]);
	}
	free(scopes);
	return name;
}

char *lab_name_buffer(void)
{
	static char buffers[16][LAB_NAME];
	static unsigned turn;
	return buffers[turn++ % 16];
}

const char *lab_site_name(uintptr_t pc)
{
	char *text = lab_name_buffer();
	const char *file, *function = NULL;
	int line;
	/* Only the execution that is reported needs names, not thousands of other failures. */
	if (lab_calls_back(pc))
		snprintf(text, LAB_NAME, "a call by the C library"); /* such as free(), as a destructor */
	else if (lab.recording && lab_where(pc, &file, &line, &function))
		snprintf(text, LAB_NAME, "%s:%d (%s)", basename(file), line, function ? function : "?");
	else if (pc == 0)
		snprintf(text, LAB_NAME, "the end of the thread, in the kernel");
	else if (lab.recording && function)
		snprintf(text, LAB_NAME, "%s", function);
	else
		snprintf(text, LAB_NAME, "0x%lx", (unsigned long)pc);
	return text;
}

const char *lab_address_name(uintptr_t address)
{
	char *text = lab_name_buffer();
	lab_name_address(address, text, LAB_NAME);
	return text;
}

/* Names a thread-local variable of a program. */
static bool name_thread_local(uintptr_t address, char *text, size_t size)
{
	char name[120];
	if (address < LAB_TLS || address >= LAB_TLS_END || !lab.recording)
		return false;
	const unsigned thread = (unsigned)((address - LAB_TLS) / LAB_TLS_SIZE);
	Dwfl_Module *module = lab_symbols((uintptr_t)lab_running->main);
	if (!module || !lab_variable_name(module, (address - LAB_TLS) % LAB_TLS_SIZE, true, name, sizeof name))
		return false;
	snprintf(text, size, "thread-local %s of %s", name, lab.threads[thread].name);
	return true;
}

/* Names a field of a scenario's state. */
static bool name_field(uintptr_t address, char *text, size_t size)
{
	if (lab.program || !lab_running || address - LAB_BASE >= lab_running->test->state_size || !lab.recording)
		return false;
	Dwfl_Module *module = lab_symbols((uintptr_t)lab_running->test);
	return module && lab_field_name(module, lab_running->test->name, address - LAB_BASE, text, size);
}

void lab_name_address(uintptr_t address, char *text, size_t size)
{
	lab_name_address_at(address, lab.n_events, text, size);
}

void lab_name_address_at(uintptr_t address, size_t event, char *text, size_t size)
{
	if (lab_frame_name(address, event, text, size) || name_thread_local(address, text, size) ||
	    name_field(address, text, size) || lab_reach_name(address, text, size) ||
	    lab_name_memory(address, text, size) || lab_unknown_name(address, text, size) ||
	    lab_io_name(address, text, size) || lab_process_name(address, text, size))
		return;
	if (address == 0) {
		snprintf(text, size, "at NULL");
		return;
	}
	if (address < 4096) {
		snprintf(text, size, "at NULL+%lu", (unsigned long)address);
		return;
	}
	GElf_Off offset = 0;
	GElf_Sym symbol;
	Dwfl_Module *module = lab.recording ? lab_symbols(address) : NULL;
	if (module && lab_variable_name(module, address, false, text, size))
		return;
	const char *name =
	    symbol_demangled(module ? dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL) : NULL);
	if (name && offset == 0)
		snprintf(text, size, "%s", name);
	else if (name)
		snprintf(text, size, "%s+%lu", name, (unsigned long)offset);
	else
		snprintf(text, size, "0x%lx", (unsigned long)address);
}
