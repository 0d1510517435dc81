/* SPDX-License-Identifier: BSD-2-Clause */
/* Expects NOT MODELLED "system call". The model does not have this system call. */
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	return syscall(SYS_getppid) < 0;
}
