/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks, by the unwinder of exceptions, which allocates no memory, and takes no lock that a signal
 * handler could have interrupted. The loaded files are recorded outside of signal handlers, since
 * that calls the loader. `backtrace_modules` only grows: functions of unloaded files keep their
 * names.
 */
#include "backtrace.h"
#include "core/base/atomic.h"
#include "core/base/sys.h"
#include <link.h>
#include <stdio.h>
#include <unwind.h>

struct backtrace_taking {
	struct fl__backtrace *stack;
	int skip, n;
};

static _Unwind_Reason_Code backtrace_take_frame(struct _Unwind_Context *context, void *arg)
{
	struct backtrace_taking *t = arg;
	const uintptr_t at = (uintptr_t)_Unwind_GetIP(context);
	if (t->skip > 0) {
		t->skip--;
		return _URC_NO_REASON;
	}
	if (at == 0)
		return _URC_END_OF_STACK;
	t->stack->at[t->n++] = at;
	return t->n < FL__BACKTRACE_FRAMES ? _URC_NO_REASON : _URC_END_OF_STACK;
}

FL__NOINLINE void fl__backtrace_take(struct fl__backtrace *stack, int skip)
{
	struct backtrace_taking t = {stack, skip + 1, 0};
	(void)_Unwind_Backtrace(backtrace_take_frame, &t);
	if (t.n < FL__BACKTRACE_FRAMES)
		stack->at[t.n] = 0;
}

/* From `low` to `high` lie all segments of the file, and nothing else. */
struct backtrace_module {
	uintptr_t base, low;
	uintptr_t high;   /* stored last; 0: the entry is not complete */
	const char *path; /* the loader's; "": the program */
};

/*
 * A thread that adds an entry first takes its index from backtrace_n_modules, which may count
 * beyond the end: musl calls dl_iterate_phdr()'s function concurrently. Two entries of a module do
 * no harm.
 */
enum { BACKTRACE_MODULES = 128 };
static struct backtrace_module backtrace_modules[BACKTRACE_MODULES];
static uint32_t backtrace_n_modules;

static const struct backtrace_module *backtrace_module_of(uintptr_t address)
{
	uint32_t i = fl__load_relaxed(&backtrace_n_modules); /* `high` publishes an entry */
	for (i = FL__MIN(i, BACKTRACE_MODULES); i-- > 0;) {
		const struct backtrace_module *m = &backtrace_modules[i];
		/* pairs with backtrace_learn_module() */
		if (address < fl__load_acquire(&m->high) && address >= m->low)
			return m;
	}
	return NULL;
}

static int backtrace_learn_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	uintptr_t low = UINTPTR_MAX, high = 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		const uintptr_t begin = (uintptr_t)(info->dlpi_addr + p->p_vaddr);
		if (p->p_type != PT_LOAD)
			continue;
		low = FL__MIN(begin, low);
		high = FL__MAX(begin + p->p_memsz, high);
	}
	const struct backtrace_module *known = backtrace_module_of(low);
	if (high == 0 ||
	    (known && known->base == info->dlpi_addr && known->low == low && known->path == info->dlpi_name))
		return 0;
	/* `high` publishes the entry */
	if (fl__load_relaxed(&backtrace_n_modules) >= BACKTRACE_MODULES)
		return 0;
	const uint32_t at = fl__add_relaxed(&backtrace_n_modules, 1);
	if (at >= BACKTRACE_MODULES)
		return 0;
	struct backtrace_module *m = &backtrace_modules[at];
	m->base = info->dlpi_addr;
	m->low = low;
	m->path = info->dlpi_name;
	fl__store_release(&m->high, high); /* pairs with backtrace_module_of() */
	return 0;
}

void fl__backtrace_learn_modules(void)
{
	(void)dl_iterate_phdr(backtrace_learn_module, NULL);
}

/* Writes "symbol+0x12" or "symbol", else "file(+0x12)", else nothing. Returns the name or NULL. */
static const char *backtrace_describe_place(struct fl__symbols *symbols, uintptr_t address, char *text, size_t size)
{
	const struct backtrace_module *m = backtrace_module_of(address);
	uintptr_t into = 0;
	const char *name = m ? fl__symbol_of(symbols, m->path, m->base, address, &into) : NULL;
	*text = '\0';
	if (name && into == 0)
		(void)snprintf(text, size, "%s", name);
	else if (name)
		(void)snprintf(text, size, "%s+%#lx", name, (unsigned long)into);
	else if (m)
		(void)snprintf(text, size, "%s(+%#lx)", *m->path ? m->path : "the program",
		               (unsigned long)(address - m->base));
	return name;
}

/* `at` is the address after the call instruction. */
void fl__backtrace_describe(struct fl__symbols *symbols, uintptr_t at, char *text, size_t size, const char **function)
{
	*function = backtrace_describe_place(symbols, at - 1, text, size);
	if (!*text)
		(void)snprintf(text, size, "%#lx", (unsigned long)at);
}

void fl__backtrace_describe_object(struct fl__symbols *symbols, const void *object, char *text, size_t size)
{
	char place[96];
	(void)backtrace_describe_place(symbols, (uintptr_t)object, place, sizeof place);
	(void)snprintf(text, size, "%s%s%p", place, *place ? " at " : "", object);
}
