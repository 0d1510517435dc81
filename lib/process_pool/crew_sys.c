/* SPDX-License-Identifier: BSD-2-Clause */
#include "crew_sys.h"
#include "../process/launch.h"
#include "../process/zygote.h"
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

static bool may_start(void)
{
	return fl__may_start_again() || fl__zygote_pid() > 0;
}

static void ring(int bell)
{
	const uint64_t one = 1;
	int before = errno;
	(void)!write(bell, &one, sizeof one);
	errno = before;
}

static void silence(int bell)
{
	uint64_t rings;
	struct iovec part = {&rings, sizeof rings};
	int before = errno;
	/*
	 * The worker may have changed its doorbell's flags, so this call asks not to block.
	 * Emulators lack it.
	 */
	if (preadv2(bell, &part, 1, -1, RWF_NOWAIT) < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
		(void)!read(bell, &rings, sizeof rings);
	errno = before;
}

struct fl__crew_sys fl__crew_sys = {
    .may_start = may_start,
    .start = fl_process_start,
    .free = fl_process_free,
    .kill = fl_process_kill,
    .try_join = fl_process_try_join,
    .is_alive = fl_process_is_alive,
    .sentinel = fl_process_sentinel,
    .pid = fl_process_pid,
    .name = fl_process_name,
    .ring = ring,
    .silence = silence,
};
