/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects NOT MODELLED "fopen". Files are named. */
#include <stdio.h>

int main(void)
{
	FILE *file = fopen("/dev/null", "r");
	return file == NULL;
}
