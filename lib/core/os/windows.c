/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For Windows 8 and later, with mingw-w64 and winpthreads. There are two limits. A process uses the
 * CPUs of only one processor group, at most 64. And a sleep lasts until a tick of the system's
 * clock, which comes every 15.6 ms unless a program asks for more ticks.
 */
#define WIN32_LEAN_AND_MEAN
#include "../base/atomic.h"
#include "../base/sys.h"
#include "../base/unload.h"
#include "handlers.h"
#include "os.h"
#include <string.h>
#include <windows.h>

/* A declaration. When the block ends, restores the value that GetLastError() returns here. */
#define WINDOWS_KEEPS_ERROR() __attribute__((cleanup(windows_restore_error))) const DWORD last_error = GetLastError()

static void windows_restore_error(const DWORD *error)
{
	SetLastError(*error);
}

static int64_t windows_now(void)
{
	static int64_t frequency;                 /* 0 at first; all threads store the same */
	int64_t f = fl__load_relaxed(&frequency); /* relaxed, as the store: nothing else is published */
	LARGE_INTEGER ticks;
	if (f == 0) {
		(void)QueryPerformanceFrequency(&ticks);
		f = ticks.QuadPart;
		fl__store_relaxed(&frequency, f);
	}
	(void)QueryPerformanceCounter(&ticks);
	return FL_S(ticks.QuadPart / f) + FL_S(ticks.QuadPart % f) / f;
}

static int windows_wait(const uint32_t *word, uint32_t expected, int64_t deadline)
{
	WINDOWS_KEEPS_ERROR();
	DWORD ms = INFINITE;
	if (deadline != FL__NEVER)
		ms = (DWORD)((fl__time_left(deadline, FL_MS(1 << 30)) + FL_MS(1) - 1) / FL_MS(1));
	if (WaitOnAddress(FL__MUTABLE(word), &expected, sizeof expected, ms))
		return fl__load_relaxed(word) == expected ? 0 : -EAGAIN; /* relaxed: the caller checks the word */
	return deadline <= fl__sys.now() ? -ETIMEDOUT : 0;
}

static int windows_wake(const uint32_t *word, int n)
{
	if (n == 1)
		WakeByAddressSingle(FL__MUTABLE(word));
	else
		WakeByAddressAll(FL__MUTABLE(word));
	return n;
}

static void windows_yield(void)
{
	(void)SwitchToThread();
}

static void windows_nap(void)
{
	Sleep(1);
}

static int windows_thread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	size_t stack;
	if (attr && pthread_attr_getstacksize(attr, &stack) == 0 && stack > UINT32_MAX)
		return -EINVAL; /* winpthreads would pass on only 32 bits of it */
	return -pthread_create(thread, attr, start, arg);
}

static void *windows_map(size_t size)
{
	return VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
}

static void windows_unmap(void *memory, size_t size)
{
	(void)size;
	(void)VirtualFree(memory, 0, MEM_RELEASE); /* fails only for foreign addresses */
}

static uint32_t windows_thread_id(void)
{
	return GetCurrentThreadId();
}

static bool windows_thread_exists(uint32_t thread)
{
	WINDOWS_KEEPS_ERROR();
	const HANDLE handle = OpenThread(SYNCHRONIZE, FALSE, thread);
	if (!handle)
		return GetLastError() == ERROR_ACCESS_DENIED;
	const bool exists = WaitForSingleObject(handle, 0) == WAIT_TIMEOUT;
	(void)CloseHandle(handle);
	return exists;
}

static int windows_cpu(void)
{
	return (int)GetCurrentProcessorNumber();
}

static int windows_membarrier(void)
{
	/* Some versions of wine do nothing here. */
	if (GetProcAddress(GetModuleHandleA("ntdll"), "wine_get_version"))
		return -ENOSYS;
	FlushProcessWriteBuffers();
	return 0;
}

struct fl__sys fl__sys = {
    FL__SHARED_ENTRIES,
    .futex_wait = windows_wait,
    .futex_wake = windows_wake,
    .now = windows_now,
    .yield = windows_yield,
    .nap = windows_nap,
    .thread_create = windows_thread_create,
    .map = windows_map,
    .unmap = windows_unmap,
    .thread_id = windows_thread_id,
    .cpu = windows_cpu,
    .thread_exists = windows_thread_exists,
    .membarrier = windows_membarrier,
    .print = fl__write_all,
};

size_t fl__page_size(void)
{
	SYSTEM_INFO info;
	GetSystemInfo(&info);
	return info.dwPageSize;
}

unsigned fl__cpu_affinity_count(void)
{
	DWORD_PTR of_process, of_system;
	if (!GetProcessAffinityMask(GetCurrentProcess(), &of_process, &of_system) || of_process == 0)
		return 1; /* the process has CPUs of several processor groups */
	return (unsigned)__builtin_popcountll(of_process);
}

void fl__name_thread(const char *name)
{
	(void)pthread_setname_np(pthread_self(), name);
}

static DWORD windows_main_thread;
pthread_key_t fl__cleanups;

static void windows_run_cleanups(void *first)
{
	for (struct fl__cleanup *c = first; c; c = c->next)
		c->function(c->arg);
}

/*
 * Runs first, so that this key precedes the key of libgcc that frees thread-local variables,
 * because the cleanup handlers use these variables.
 */
FL__AT_START_FIRST static void windows_start(void)
{
	windows_main_thread = GetCurrentThreadId();
	(void)pthread_key_create(&fl__cleanups, windows_run_cleanups);
}

bool fl__is_main_thread(void)
{
	return GetCurrentThreadId() == windows_main_thread;
}

const char *fl__windows_program(void)
{
	const char *path = __argv && __argv[0] ? __argv[0] : "", *name = strrchr(path, '\\');
	return name ? name + 1 : path;
}

void fl__signals_unblock_faults(sigset_t *signals)
{
	(void)signals;
}

void fl__signals_of_thread(sigset_t *signals)
{
	*signals = 0;
}

void fl__signals_restore(const sigset_t *before)
{
	(void)before;
}

int fl__thread_create_blocked(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	return fl__sys.thread_create(thread, attr, start, arg);
}

/*
 * When the process ends, it runs the destructors, this one first, because it has no priority.
 * Unloading a DLL that contains a copy of the library also counts as an exit, where less is freed.
 */
static bool windows_exits;

__attribute__((destructor)) static void windows_note_exit(void)
{
	fl__store_relaxed(&windows_exits, true); /* relaxed: a flag that publishes nothing */
}

bool fl__is_unloaded(void)
{
	return false;
}

bool fl__is_exiting(void)
{
	return fl__load_relaxed(&windows_exits); /* relaxed: a flag that publishes nothing */
}

void fl__handler_set(struct fl__handler *h, bool wanted)
{
	(void)h, (void)wanted;
}

void fl__handler_pass(struct fl__handler *h, int signal, siginfo_t *info, void *context)
{
	(void)h, (void)signal, (void)info, (void)context;
}
