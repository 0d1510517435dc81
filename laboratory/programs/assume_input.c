/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. An execution is not a failure if an assumption excludes its input. */
#include <assert.h>
#include <fairlead/stress.h>

int main(void)
{
	const unsigned input = fl_stress_choose(4);
	fl_stress_assume(input != 3);
	assert(input < 3);
	return 0;
}
