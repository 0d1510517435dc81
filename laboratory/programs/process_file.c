/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects NOT MODELLED "regular files". A file that is not regular is named. */
#include <stdio.h>

int main(void)
{
	FILE *file = fopen("/dev/tty", "r");
	return file == NULL;
}
