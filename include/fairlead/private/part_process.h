/* SPDX-License-Identifier: BSD-2-Clause */
/* Private: each header of the part process includes this one, directly or not. */
#include <fairlead/version.h>
#if !FL__HAS_PROCESS
#error "This build of Fairlead lacks the part process: docs/vendoring.md says who has it."
#endif
