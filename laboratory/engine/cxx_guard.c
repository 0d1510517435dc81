/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guards of a C++ function's static variables. When a program is linked, the functions of this
 * file take the place of those of the C++ runtime (option --wrap), because the runtime is not
 * instrumented.
 */
#include "posix.h"

/* The first byte of a guard is 1 after the initialisation. The compiler's code reads that byte. */

/*
 * Returns 1 if the caller must initialise the variable. The caller then calls the release or the
 * abort function, which ends the initialisation.
 */
DECLARED_AS("__wrap___cxa_guard_acquire", int, lab_guard_acquire, uint8_t *guard)
{
	if (!OURS())
		return *guard == 0;
	return lab_once_begin(guard, "initialises the static variable of", PC);
}

DECLARED_AS("__wrap___cxa_guard_release", void, lab_guard_release, uint8_t *guard)
{
	if (!OURS()) {
		*guard = 1;
		return;
	}
	lab_atomic_store((uintptr_t)guard, 1, 1, __ATOMIC_RELEASE, PC);
	lab_once_end(guard, true);
}

DECLARED_AS("__wrap___cxa_guard_abort", void, lab_guard_abort, uint8_t *guard)
{
	if (OURS())
		lab_once_end(guard, false);
}
