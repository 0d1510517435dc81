/* SPDX-License-Identifier: BSD-2-Clause */
/* Stacks on Windows, as files and offsets, which addr2line or a debugger turns into names. */
#include "backtrace.h"
#include <stdio.h>
#include <string.h>
#include <windows.h>

FL__NOINLINE void fl__backtrace_take(struct fl__backtrace *stack, int skip)
{
	void *frames[FL__BACKTRACE_FRAMES];
	const unsigned n = CaptureStackBackTrace((DWORD)skip + 1, FL__BACKTRACE_FRAMES, frames, NULL);
	for (unsigned i = 0; i < n; i++)
		stack->at[i] = (uintptr_t)frames[i];
	if (n < FL__BACKTRACE_FRAMES)
		stack->at[n] = 0;
}

void fl__backtrace_learn_modules(void)
{
}

/* There are no symbols. Writes "file(+0x12)", or nothing if the file is unknown. */
const char *fl__symbols_describe(struct fl__symbols *symbols, uintptr_t address, char *text, size_t size)
{
	char path[MAX_PATH] = "";
	HMODULE module;
	(void)symbols;
	*text = '\0';
	if (!GetModuleHandleExA(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
	                        (const char *)address, &module))
		return NULL;
	(void)GetModuleFileNameA(module, path, sizeof path);
	const char *name = strrchr(path, '\\');
	(void)snprintf(text, size, "%s(+%#llx)", name ? name + 1 : path,
	               (unsigned long long)(address - (uintptr_t)module));
	return NULL;
}

void fl__symbols_end(struct fl__symbols *symbols)
{
	(void)symbols;
}
