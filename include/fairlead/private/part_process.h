/* SPDX-License-Identifier: BSD-2-Clause */
/* Each header of the part process includes this private header, directly or through another. */
#include <fairlead/version.h>
#if !FL__HAS_PROCESS
#error "This build of Fairlead lacks the part process: docs/platforms.md says who has it."
#endif
