/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syscall(): futexes, and the other system calls that the model supports. Any other system call
 * ends the execution with the name of the call.
 */
#include "posix.h"
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

static long futex_result(int result)
{
	return result >= 0 ? result : lab_error(-result);
}

static long futex_call(const long a[6], uintptr_t pc)
{
	const uintptr_t word = (uintptr_t)a[0];
	const int operation = (int)a[1] & FUTEX_CMD_MASK;
	const uint32_t value = (uint32_t)a[2];
	const struct timespec *timeout = (const struct timespec *)a[3];
	int64_t deadline = INT64_MAX;
	const bool waits = operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET,
		   plain = operation == FUTEX_WAIT || operation == FUTEX_WAKE;
	if (waits && timeout)
		deadline = plain
		               ? lab_after(lab.now, timeout)
		               : lab_deadline(timeout, a[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC);
	if (deadline == LAB_INVALID)
		return lab_error(EINVAL);
	if (plain || (uint32_t)a[5] == FUTEX_BITSET_MATCH_ANY) {
		if (waits)
			return futex_result(lab_futex_wait(word, value, deadline, pc));
		if (plain || operation == FUTEX_WAKE_BITSET)
			return futex_result(lab_futex_wake(word, (int)value > 0 ? (int)value : 1, pc)); /* as Linux */
	}
	lab_unmodelled(pc, "calls futex() with the operation %d, which the model does not have", operation);
}

/*
 * The process has registered for private membarriers, either in a constructor or in that execution.
 */
static bool is_registered;
static uint32_t registered_in;

static long membarrier_call(const long a[6], uintptr_t pc)
{
	switch (a[1] ? -1 : a[0]) {
	case MEMBARRIER_CMD_QUERY:
		return MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
		       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
		registered_in = lab.generation;
		return 0;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		if (a[0] != MEMBARRIER_CMD_GLOBAL && !is_registered && registered_in != lab.generation)
			return lab_error(EPERM);
		lab_membarrier(pc);
		return 0;
	default:
		return lab_error(EINVAL);
	}
}

EXPORTED long syscall(long number, ...)
{
	long a[6];
	va_list args;
	va_start(args, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	is_registered |= !lab.active && number == SYS_membarrier && a[0] == MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
	FORWARD(syscall, (number, a[0], a[1], a[2], a[3], a[4], a[5]));
	switch (number) {
	case SYS_futex:
		return futex_call(a, PC);
	case SYS_gettid:
		return lab.self->id + LAB_PID;
	case SYS_getpid:
		return LAB_PID;
	case SYS_getrandom:
	case SYS_epoll_pwait2:
	case SYS_io_uring_setup: /* older kernels do not have it, so the caller has another way */
		return lab_error(ENOSYS);
	case SYS_sched_yield:
		lab_relax(PC);
		return 0;
	case SYS_membarrier:
		return membarrier_call(a, PC);
	default:
		break;
	}
	lab_unmodelled(PC, "makes the system call %ld, which the model does not have", number);
}
