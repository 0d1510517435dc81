/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects NOT MODELLED "fesetround() of libm.so". The rounding mode would outlive the execution. */
#include <fenv.h>

int main(void)
{
	return fesetround(FE_UPWARD);
}
