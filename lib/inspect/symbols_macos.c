/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names from the loader, which knows the functions of each loaded file that was not stripped. A
 * signal handler may also ask it, because its lock is recursive.
 */
#include "backtrace.h"
#ifdef __APPLE__
#include <dlfcn.h>
#include <stdio.h>

void fl__backtrace_learn_modules(void)
{
}

const char *fl__symbols_describe(struct fl__symbols *symbols, uintptr_t address, char *text, size_t size)
{
	Dl_info info;
	(void)symbols;
	*text = '\0';
	if (!dladdr((const void *)address, &info))
		return NULL;
	if (info.dli_sname)
		(void)snprintf(text, size, "%s+%#lx", info.dli_sname, address - (uintptr_t)info.dli_saddr);
	else
		(void)snprintf(text, size, "%s(+%#lx)", info.dli_fname, address - (uintptr_t)info.dli_fbase);
	return info.dli_sname;
}

void fl__symbols_end(struct fl__symbols *symbols)
{
	(void)symbols;
}
#endif
