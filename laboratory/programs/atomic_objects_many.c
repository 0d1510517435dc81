/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects NOT MODELLED "more than 4096 atomic objects in one execution, which is a limit". */
#include <stdatomic.h>

static atomic_int objects[4097];

int main(void)
{
	for (int i = 0; i < 4097; i++)
		objects[i] = i;
	return 0;
}
