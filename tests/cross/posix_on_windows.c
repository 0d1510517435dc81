/* SPDX-License-Identifier: BSD-2-Clause */
#include <fairlead.h>
#include <windows.h>

#include <shlwapi.h>

int fnmatch(const char *pattern, const char *name, int flags)
{
	return !PathMatchSpecA(name, pattern);
}

void *fl_test_mmap(void *at, size_t size)
{
	void *memory = VirtualAlloc(at, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
	return memory ? memory : MAP_FAILED;
}

int fl_test_munmap(void *at)
{
	return !VirtualFree(at, 0, MEM_RELEASE);
}

ssize_t pread(int fd, void *to, size_t size, long long at)
{
	return lseek(fd, at, SEEK_SET) < 0 ? -1 : read(fd, to, size);
}

long syscall(long number, clockid_t clock, struct timespec *t)
{
	LARGE_INTEGER now, second;
	if (number != SYS_clock_gettime)
		fl_test_absent("Windows has no syscall()");
	QueryPerformanceCounter(&now);
	QueryPerformanceFrequency(&second);
	*t = (struct timespec){now.QuadPart / second.QuadPart,
	                       now.QuadPart % second.QuadPart * 1000000000 / second.QuadPart};
	return 0;
}

void *fl_test_opendir(const char *path)
{
	fl_test_absent("Windows has no /proc");
	return NULL;
}

int fl_test_sigaction(int signal)
{
	if (signal >= NSIG)
		fl_test_absent("Windows has no sigaction()");
	return 0;
}
