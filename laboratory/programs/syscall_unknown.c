/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects NOT MODELLED "system call". A system call that the model does not have. */
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	return syscall(SYS_getppid) < 0;
}
