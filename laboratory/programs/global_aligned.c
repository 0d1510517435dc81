/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects a pass. Before variables with a large alignment the loader leaves a hole. */
static int before = 1;
static _Alignas(1 << 21) int page[1024];

int main(void)
{
	return before++ != 1 || page[1]++ != 0;
}
