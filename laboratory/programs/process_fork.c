/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects NOT MODELLED "fork()". fork() is named. */
#include <unistd.h>

int main(void)
{
	return fork() > 0;
}
