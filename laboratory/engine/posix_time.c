/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The model's time. It passes when a wait times out, and when a thread sleeps. Reading a clock adds
 * a microsecond, and each further read adds twice as much as the last one while the thread does
 * nothing else. So a loop that polls a clock ends.
 *
 * A timeout is a choice of the search. However, no program expects a deadline such as the year 2096
 * to pass, so a wait for more than a YEAR has no deadline.
 */
#include "posix.h"
#include "steer.h"
#include <sys/time.h>
#include <threads.h>
#include <unistd.h>

#define NS INT64_C(1000000000)
#define EPOCH (INT64_C(1700000000) * NS) /* CLOCK_REALTIME at the time 0 of the model */
#define YEAR (INT64_C(365) * 24 * 3600 * NS)

static bool time_is_real(int clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI;
}

/* The model's time as a clock of the system shows it, in ns. */
static int64_t time_shown(int clock)
{
	return time_is_real(clock) ? lab.now + EPOCH : lab.now;
}

/* The sum cannot overflow: thread.c ends an execution after a century of the model's time. */
int64_t lab_after(int64_t from, const struct timespec *t)
{
	if (t->tv_nsec < 0 || t->tv_nsec >= NS)
		return LAB_INVALID;
	if (t->tv_sec >= INT64_MAX / NS)
		return INT64_MAX;
	const int64_t ns = t->tv_sec < 0 ? 0 : t->tv_sec * NS + t->tv_nsec;
	return ns - (lab.now - from) > YEAR ? INT64_MAX : from + ns;
}

int64_t lab_deadline(const struct timespec *t, int clock)
{
	return lab_after(lab.now - time_shown(clock), t);
}

/* To read a clock is a step, because the value depends on the time that other threads let pass. */
static int64_t time_read(int clock, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	const struct lab_op op = lab_sync_op(LAB_SYNC_TIME, 0, pc);
	lab_point(op);
	const unsigned again = self->clock_ops + 1 == self->ops && self->clock_looks < 30 ? self->clock_looks + 1 : 0;
	self->clock_ops = self->ops;
	self->clock_looks = again;
	lab.now += INT64_C(1000) << again;
	lab_met(LAB_MET_INPUT);
	lab_sync_event(op, 0);
	return time_shown(clock);
}

bool lab_never(const struct lab_object *o, const struct lab_thread *thread)
{
	(void)o;
	(void)thread;
	return false;
}

static void time_doze(enum lab_sync what, int64_t deadline, uintptr_t pc)
{
	struct lab_thread *self = lab.self;
	const struct lab_op op = lab_sync_op(what, 0, pc);
	self->expires = self->dozes = deadline >= 0;
	self->deadline = deadline - lab.now < YEAR ? deadline : lab.now + YEAR;
	lab_thread_await(op, NULL, lab_never);
	self->dozes = false;
	lab_sync_event(op, 0);
}

/*
 * Sleeps until the deadline. Other threads may do anything, or nothing, before the thread goes on.
 * If the deadline is negative, the thread never goes on.
 */
void lab_sleep(int64_t deadline, uintptr_t pc)
{
	if (lab.steered && deadline >= 0)
		lab_relax(pc); /* sleeping orders nothing, and no step of a graph reads the clock */
	else
		time_doze(LAB_SYNC_SLEEP, deadline, pc);
}

int lab_sleep_after(int64_t from, const struct timespec *t, uintptr_t pc)
{
	const int64_t deadline = lab_after(from, t);
	if (deadline == LAB_INVALID || t->tv_sec < 0)
		return EINVAL;
	lab_sleep(deadline < 0 ? 0 : deadline, pc);
	return 0;
}

/* Ending the program while other threads could run is a choice of the search. */
void lab_sleep_before_exit(uintptr_t pc)
{
	if (lab.steered) {
		lab_steer_exit();
		return;
	}
	LAB_EACH_THREAD (t) {
		if (t == lab.self || t->state == LAB_DONE)
			continue;
		time_doze(LAB_SYNC_EXIT, lab.now, pc);
		break;
	}
}

EXPORTED int clock_gettime(clockid_t clock, struct timespec *t)
{
	FORWARD(clock_gettime, (clock, t));
	const int64_t now = time_read(clock, PC);
	LAB_STORE(t, PC, (struct timespec){now / NS, now % NS});
	return 0;
}

EXPORTED int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	FORWARD(gettimeofday, (t, zone));
	const int64_t now = time_read(CLOCK_REALTIME, PC);
	LAB_STORE(t, PC, (struct timeval){now / NS, now % NS / 1000});
	return 0;
}

EXPORTED time_t time(time_t *t)
{
	FORWARD(time, (t));
	const time_t now = time_read(CLOCK_REALTIME, PC) / NS;
	if (t)
		LAB_STORE(t, PC, now);
	return now;
}

EXPORTED clock_t clock(void)
{
	FORWARD(clock, ());
	return time_read(CLOCK_PROCESS_CPUTIME_ID, PC) / (NS / CLOCKS_PER_SEC);
}

EXPORTED int timespec_get(struct timespec *t, int base)
{
	FORWARD(timespec_get, (t, base));
	const int64_t now = time_read(CLOCK_REALTIME, PC);
	LAB_STORE(t, PC, (struct timespec){now / NS, now % NS});
	return base;
}

EXPORTED unsigned sleep(unsigned seconds)
{
	FORWARD(sleep, (seconds));
	lab_sleep(lab.now + seconds * NS, PC);
	return 0;
}

EXPORTED int usleep(useconds_t us)
{
	FORWARD(usleep, (us));
	lab_sleep(lab.now + (int64_t)us * 1000, PC);
	return 0;
}

EXPORTED int nanosleep(const struct timespec *t, struct timespec *rest)
{
	FORWARD(nanosleep, (t, rest));
	return lab_error(lab_sleep_after(lab.now, t, PC));
}

EXPORTED int clock_nanosleep(clockid_t clock, int flags, const struct timespec *t, struct timespec *rest)
{
	FORWARD(clock_nanosleep, (clock, flags, t, rest));
	return lab_sleep_after(flags & TIMER_ABSTIME ? lab.now - time_shown(clock) : lab.now, t, PC);
}
