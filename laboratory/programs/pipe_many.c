/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects NOT MODELLED "opens more than 30 channels". Pipes that stay open have a limit. */
#include <unistd.h>

int main(void)
{
	int ends[2], failed = 0;
	for (int i = 0; i < 31; i++)
		failed += pipe(ends);
	return failed;
}
