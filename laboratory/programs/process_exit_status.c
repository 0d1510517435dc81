/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects EXIT STATUS "main returns 3". A status other than 0 is a failure. */
int main(void)
{
	return 3;
}
