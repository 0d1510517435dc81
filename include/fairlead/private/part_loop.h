/* SPDX-License-Identifier: BSD-2-Clause */
/* Each header of the part loop includes this private header, directly or through another. */
#include <fairlead/version.h>
#if !FL__HAS_LOOP
#error "This build of Fairlead lacks the part loop: docs/platforms.md says who has it."
#endif
