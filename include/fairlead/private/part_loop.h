/* SPDX-License-Identifier: BSD-2-Clause */
/* Private: each header of the part loop includes this one, directly or not. */
#include <fairlead/version.h>
#if !FL__HAS_LOOP
#error "This build of Fairlead lacks the part loop: docs/vendoring.md says who has it."
#endif
