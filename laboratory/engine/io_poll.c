/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits for several descriptors, event counters and timers.
 *
 * As in Linux, an epoll set has a list of the watches that may be ready. An event puts a watch into
 * the list. epoll_wait() removes the watches that no longer have an event, and the edge-triggered
 * and one-shot watches whose events it reports. Any other watch whose events it reports goes to the
 * end of the list.
 */
#include "io.h"
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/timerfd.h>

enum { WATCHES = 64 };
static struct watch {
	struct lab_file *set, *file; /* both are NULL if this entry is free */
	int number;
	/*
	 * `events`: the events that the watch reports; none after a one-shot watch (EPOLLONESHOT)
	 * has reported. `asked`: the events that were asked for.
	 */
	uint32_t events, asked;
	epoll_data_t data;
	uint32_t since; /* the number of its entry into the list; 0 if it is not there */
	/*
	 * The thread whose step put the watch into the list, and the thread's clock at that step.
	 */
	unsigned waker;
	uint32_t woken;
} watches[WATCHES];
/* How often a watch was put into the list, and how often a timer was set. */
static uint32_t newest, timers;
static int64_t soonest; /* no timer expires before this time */

/*
 * What each thread waits for: either some files, or an epoll set. poll() holds the files that the
 * descriptors had when it began. If another thread closes a descriptor meanwhile, the file lives
 * on, and the wait does not end because of that.
 */
static struct wait {
	struct pollfd *files;
	nfds_t n;
	struct lab_file *set, *held[LAB_IO_NUMBERS];
	uint32_t timers;
} waits[LAB_THREADS];

void lab_io_poll_reset(void)
{
	memset(watches, 0, sizeof watches);
	newest = 0;
	soonest = INT64_MAX;
}

static unsigned poll_events(const struct watch *w)
{
	return (uint16_t)lab_io_events(w->file) & w->events;
}

/*
 * Puts a watch into the list if it is not in the list and has one of the events. Steps on two
 * channels commute, but the order of the list shows which step came first. So nothing is proved if
 * the step that put another watch there is not ordered with this step. A timer may expire before or
 * after the step of any thread; timers expire in the order of their times.
 */
static void poll_enlist(struct watch *w, unsigned events)
{
	if (w->since || !(poll_events(w) & events))
		return;
	const bool timer = w->file->kind == LAB_IO_TIMER;
	w->since = ++newest;
	w->waker = lab.self->id;
	w->woken = timer ? UINT32_MAX : lab_clock_after(lab.self);
	LAB_EACH (i, watches)
		if (watches[i].set == w->set && watches[i].since && poll_events(&watches[i]) &&
		    (timer ? watches[i].file->kind != LAB_IO_TIMER : !lab_is_known(watches[i].waker, watches[i].woken)))
			lab_met(LAB_MET_DESCRIPTOR);
}

void lab_io_wake(const struct lab_file *file, unsigned events)
{
	LAB_EACH (i, watches)
		if (watches[i].set && watches[i].file == file)
			poll_enlist(&watches[i], events);
}

void lab_io_pass(void)
{
	while (soonest <= lab.now) {
		struct lab_file *f = lab_io_files;
		LAB_EACH (i, lab_io_files)
			if (lab_io_files[i].refs > 0 && (f->refs == 0 || lab_io_files[i].next < f->next))
				f = &lab_io_files[i];
		soonest = f->refs > 0 ? f->next : INT64_MAX;
		if (soonest > lab.now)
			return;
		const int64_t more = f->interval ? (lab.now - soonest) / f->interval + 1 : 1;
		const bool edge = f->in->count == 0; /* Linux's timer runs on when it is read */
		f->in->count += (uint64_t)more;
		f->next = f->interval ? soonest + more * f->interval : INT64_MAX;
		lab_io_wake(f, edge ? LAB_IO_IN : 0);
	}
}

bool lab_io_is_late(int64_t due, uintptr_t pc)
{
	if (due == INT64_MAX || !lab_fault(LAB_FAULT_TIMEOUT))
		return false;
	const struct lab_op op = lab_sync_op(LAB_SYNC_SLEEP, 0, pc);
	lab_sync_event(op, 0)->fault = true;
	lab.now = due;
	lab_io_pass();
	return true;
}

void lab_io_forget(const struct lab_file *file)
{
	LAB_EACH (i, watches)
		if (watches[i].file == file || watches[i].set == file)
			watches[i] = (struct watch){0};
}

/* Returns the first watch of the set, in the order of the list, that has an event, or NULL. */
static struct watch *poll_first(const struct lab_file *set, uint32_t to)
{
	struct watch *first = NULL;
	LAB_EACH (i, watches) {
		struct watch *w = &watches[i];
		if (w->set == set && w->since > 0 && w->since <= to && (!first || w->since < first->since) &&
		    poll_events(w))
			first = w;
	}
	return first;
}

short lab_io_events(const struct lab_file *f)
{
	const struct lab_channel *in = f->in, *out = f->out;
	unsigned events = 0;
	if (f->kind == LAB_IO_FILE)
		return LAB_IO_IN | LAB_IO_OUT;
	if (f->kind == LAB_IO_EPOLL)
		return poll_first(f, newest) ? LAB_IO_IN : 0;
	const bool ended = in && !(in->writer && in->reader), broken = out && !out->reader,
		   socket = f->kind == LAB_IO_SOCKET;
	if (in && (in->count > 0 || f->next <= lab.now || (ended && socket)))
		events |= LAB_IO_IN;
	if (ended)
		events |= !socket                                                       ? POLLHUP
		          : !(out && out->writer) || (broken && !lab_io_is_internet(f)) ? POLLRDHUP | POLLHUP
		                                                                        : POLLRDHUP;
	if (broken)
		events |= socket ? LAB_IO_OUT : POLLERR;
	if (out && out->count + (f->kind == LAB_IO_PIPE ? PIPE_BUF : 1) <= out->room)
		events |= LAB_IO_OUT;
	if (in && in->error)
		events |= POLLERR;
	return (short)(socket && !in ? LAB_IO_OUT | POLLHUP : events);
}

/*
 * Stores the events of each file as poll() does. Returns how many files have events. If `held` is
 * not NULL, a descriptor that no longer refers to its file in `held` has no event.
 */
static int poll_scan(struct pollfd *files, nfds_t n, struct lab_file *const *held)
{
	int found = 0;
	for (struct pollfd *p = files; p < files + n; p++) {
		const struct lab_file *f = lab_io_find(p->fd);
		p->revents = f ? (short)(lab_io_events(f) & (p->events | POLLERR | POLLHUP)) : p->fd < 0 ? 0 : POLLNVAL;
		if (held && (unsigned)p->fd < LAB_IO_NUMBERS && held[p->fd] != f)
			p->revents = 0;
		if (p->fd >= 0 && p->fd < LAB_IO_FIRST)
			p->revents = (short)(p->events & (p->fd == 0 ? LAB_IO_IN : LAB_IO_OUT));
		found += p->revents != 0;
	}
	return found;
}

/*
 * Returns whether the wait finds an event. Stores in `*due` when the next timer of the wait will
 * expire.
 */
static bool poll_look(const struct wait *w, int64_t *due)
{
	*due = INT64_MAX;
	lab_io_pass();
	for (nfds_t i = 0; i < (w->set ? WATCHES : w->n); i++) {
		const struct lab_file *f = w->set && watches[i].set != w->set ? NULL
		                           : w->set                           ? watches[i].file
		                                                              : lab_io_find(w->files[i].fd);
		if (f && f->next < *due)
			*due = f->next;
	}
	return w->set ? poll_first(w->set, newest) != NULL : poll_scan(w->files, w->n, w->held) > 0;
}

static bool poll_can(const struct lab_object *o, const struct lab_thread *t)
{
	int64_t due;
	(void)o;
	return waits[t->id].timers != timers || poll_look(&waits[t->id], &due);
}

/*
 * Looks for an event. The thread may come late, so that more timers have expired. A timer with an
 * interval can expire again each time, so there is an execution for each number of faults, and
 * without the bound on faults the search would not end.
 */
static bool poll_find(const struct wait *w, int64_t *due, uintptr_t pc)
{
	bool found;
	do
		found = poll_look(w, due);
	while (lab_io_is_late(*due, pc));
	return found;
}

/*
 * If the thread comes late before its step, a timer is first in the list of an epoll set. If it
 * comes late after the step, the timer is last.
 */
static void poll_wait(struct wait w, int64_t deadline, uintptr_t pc)
{
	int64_t due;
	(void)poll_find(&w, &due, pc);
	do {
		const struct lab_op op = lab_io_poll_op(pc);
		w.timers = timers;
		waits[lab.self->id] = w;
		const int error =
		    lab_object_wait(op, lab_object_find(op.address), poll_can, due < deadline ? due : deadline);
		lab_sync_event(op, 0);
		if (error)
			lab_looked(op.address, 0);
	} while (!poll_find(&w, &due, pc) && lab.now < deadline);
}

static int64_t poll_deadline(int ms)
{
	return ms < 0 ? INT64_MAX : lab.now + ms * INT64_C(1000000);
}

static int poll_until(struct pollfd *files, nfds_t n, int64_t deadline, uintptr_t pc)
{
	struct wait w = {.files = files, .n = n};
	if (deadline == LAB_INVALID)
		return lab_error(EINVAL);
	lab_writes(files, n * sizeof *files, pc);
	for (nfds_t i = 0; i < n; i++) {
		struct lab_file *f = files[i].fd >= 0 ? lab_io_of(files[i].fd) : NULL;
		if (!f || w.held[files[i].fd])
			continue;
		w.held[files[i].fd] = f;
		f->refs++;
	}
	if (n > 0)
		poll_wait(w, deadline, pc);
	else
		lab_sleep(deadline == INT64_MAX ? -1 : deadline, pc);
	const int found = poll_scan(files, n, NULL);
	for (nfds_t i = 0; i < n; i++)
		if (files[i].revents > 0 && lab_io_find(files[i].fd))
			lab_io_known(lab_io_find(files[i].fd), pc);
	LAB_EACH (i, w.held)
		if (w.held[i])
			lab_io_drop(w.held[i], pc);
	return found;
}

static int poll_poll(struct pollfd *files, nfds_t n, int ms)
{
	return poll_until(files, n, poll_deadline(ms), PC);
}

static int64_t poll_after(const struct timespec *t)
{
	return t ? lab_after(lab.now, t) : INT64_MAX;
}

static int poll_ppoll(struct pollfd *files, nfds_t n, const struct timespec *t)
{
	return poll_until(files, n, poll_after(t), PC);
}

static int poll_select_until(int n, fd_set *sets[3], int64_t deadline, uintptr_t pc)
{
	static const short asked[] = {POLLIN, POLLOUT, POLLPRI},
			   told[] = {POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI};
	struct pollfd files[LAB_IO_NUMBERS] = {0};
	int found = 0;
	for (int i = 0; i < LAB_IO_NUMBERS; i++) {
		for (unsigned s = 0; i < n && s < 3; s++)
			if (sets[s] && FD_ISSET(i, sets[s]))
				files[i].events |= asked[s];
		files[i].fd = files[i].events ? i : -1;
	}
	if (poll_until(files, LAB_IO_NUMBERS, deadline, pc) < 0)
		return -1;
	for (unsigned s = 0; s < 3; s++) {
		if (!sets[s])
			continue;
		lab_writes(sets[s], sizeof *sets[s], pc);
		for (int i = 0; i < n && i < LAB_IO_NUMBERS; i++) {
			if (files[i].revents & POLLNVAL)
				return lab_error(EBADF);
			if (FD_ISSET(i, sets[s]) && files[i].revents & told[s])
				found++;
			else
				FD_CLR(i, sets[s]);
		}
	}
	return found;
}

static int poll_select(int n, fd_set *in, fd_set *out, fd_set *other, struct timeval *t)
{
	return poll_select_until(n, (fd_set *[]){in, out, other}, t ? lab_io_after(lab.now, t) : INT64_MAX, PC);
}

static int poll_pselect(int n, fd_set *in, fd_set *out, fd_set *other, const struct timespec *t)
{
	return poll_select_until(n, (fd_set *[]){in, out, other}, poll_after(t), PC);
}

/* --- epoll --- */

/* Returns the file of the descriptor. If it is not of that kind, sets errno and returns NULL. */
static struct lab_file *poll_of(int number, enum lab_io_kind kind)
{
	struct lab_file *f = lab_io_of(number);
	if (!f || f->kind == (uint8_t)kind)
		return f;
	errno = EINVAL;
	return NULL;
}

/* Makes a file that has a channel of its own. */
static struct lab_file *poll_new(enum lab_io_kind kind, int flags, uintptr_t pc)
{
	lab_shared_step(LAB_SHARED_FILES, pc);
	struct lab_file *f = lab_io_open(kind, flags, pc);
	(void)lab_io_channel(f, f, UINT64_MAX - 1, pc);
	return f;
}

/* Neither the size of epoll_create() nor the flags of epoll_create1() have an effect here. */
static int poll_epoll_create(int ignored)
{
	(void)ignored;
	return lab_io_number(poll_new(LAB_IO_EPOLL, 0, PC), PC);
}

static int poll_epoll_ctl(int number, int command, int of, const struct epoll_event *event)
{
	struct lab_file *file = lab_io_of(of), *set = poll_of(number, LAB_IO_EPOLL);
	struct watch *w = NULL, *unused = NULL;
	if (!set || !file)
		return -1;
	if (!event && command != EPOLL_CTL_DEL)
		return lab_error(EFAULT);
	if (file->kind == LAB_IO_FILE)
		return lab_error(EPERM);
	if (file->kind == LAB_IO_EPOLL)
		lab_unmodelled(PC, "watches an epoll descriptor by another one");
	if (event)
		lab_reads(event, sizeof *event, PC);
	lab_io_point(set->in, LAB_SYNC_USE, PC);
	LAB_EACH (i, watches)
		if (!watches[i].set)
			unused = &watches[i];
		else if (watches[i].set == set && watches[i].file == file && watches[i].number == of)
			w = &watches[i];
	if ((command == EPOLL_CTL_ADD) == (w != NULL))
		return lab_error(w ? EEXIST : ENOENT);
	w = w ?: unused;
	if (!w)
		return lab_error(ENOSPC);
	if (command == EPOLL_CTL_DEL)
		*w = (struct watch){0};
	else {
		w->set = set;
		w->file = file;
		w->number = of;
		w->events = event->events | EPOLLERR | EPOLLHUP;
		w->asked = event->events;
		w->data = event->data;
		poll_enlist(w, ~0u);
	}
	lab_io_changed(set->in, PC);
	return 0;
}

static int poll_epoll(int number, struct epoll_event *events, int most, int64_t deadline, uintptr_t pc)
{
	struct lab_file *set = poll_of(number, LAB_IO_EPOLL);
	int n = 0;
	if (!set || most <= 0 || deadline == LAB_INVALID)
		return set ? lab_error(EINVAL) : -1;
	set->refs++;
	poll_wait((struct wait){.set = set}, deadline, pc);
	lab_io_known(set, pc);
	const uint32_t end = newest;
	for (struct watch *w; n < most && (w = poll_first(set, end)); n++) {
		lab_writes(&events[n], sizeof *events, pc);
		events[n].events = poll_events(w);
		events[n].data = w->data;
		lab_io_known(w->file, pc);
		w->since = w->asked & (EPOLLET | EPOLLONESHOT) ? 0 : ++newest;
		if (w->asked & EPOLLONESHOT)
			w->events = 0;
	}
	LAB_EACH (i, watches)
		if (watches[i].set == set && !poll_events(&watches[i]))
			watches[i].since = 0;
	lab_io_drop(set, pc);
	return n;
}

static int poll_epoll_wait(int number, struct epoll_event *events, int most, int ms)
{
	return poll_epoll(number, events, most, poll_deadline(ms), PC);
}

static int poll_epoll_pwait2(int number, struct epoll_event *events, int most, const struct timespec *t)
{
	return poll_epoll(number, events, most, poll_after(t), PC);
}

/*
 * If a thread sleeps in epoll_wait() although a file of the set has bytes, the reason is that the
 * edge was reported before.
 */
bool lab_io_lost(const struct lab_thread *t, int *number)
{
	LAB_EACH (i, watches) {
		const struct watch *w = &watches[i];
		*number = w->number;
		if (t->next.order == LAB_SYNC_POLL && w->set && w->set == waits[t->id].set &&
		    (uint16_t)lab_io_events(w->file) & w->asked & LAB_IO_IN)
			return true;
	}
	return false;
}

/* --- event counters, timers --- */

static int poll_eventfd(unsigned value, int flags)
{
	struct lab_file *f = poll_new(LAB_IO_EVENT, flags, PC);
	f->by_one = flags & EFD_SEMAPHORE;
	f->out = f->in;
	f->in->count = value;
	return lab_io_number(f, PC);
}

static int poll_eventfd_read(int number, eventfd_t *value)
{
	return lab_io_move(number, &(struct iovec){value, sizeof *value}, 1, 0, false, PC) < 0 ? -1 : 0;
}

static int poll_eventfd_write(int number, eventfd_t value)
{
	return lab_io_move(number, &(struct iovec){&value, sizeof value}, 1, 0, true, PC) < 0 ? -1 : 0;
}

static int poll_timerfd_create(int clock, int flags)
{
	struct lab_file *f = poll_new(LAB_IO_TIMER, flags, PC);
	f->flags = clock;
	return lab_io_number(f, PC);
}

static struct timespec poll_span(int64_t ns)
{
	return (struct timespec){ns / 1000000000, ns % 1000000000};
}

static void poll_tell(const struct lab_file *f, struct itimerspec *is, uintptr_t pc)
{
	lab_met(LAB_MET_INPUT);
	LAB_STORE(is, pc,
	          (struct itimerspec){poll_span(f->interval), poll_span(f->next == INT64_MAX ? 0 : f->next - lab.now)});
}

/* A step on a timer. Returns NULL if the descriptor is no timer. */
static struct lab_file *poll_timer(int number, uintptr_t pc)
{
	struct lab_file *f = poll_of(number, LAB_IO_TIMER);
	if (!f)
		return NULL;
	lab_io_point(f->in, LAB_SYNC_USE, pc);
	lab_io_pass();
	return f;
}

static bool poll_is_span(const struct timespec *t)
{
	return t->tv_sec >= 0 && lab_after(0, t) != LAB_INVALID;
}

static int poll_timerfd_settime(int number, int flags, const struct itimerspec *to, struct itimerspec *was)
{
	lab_reads(to, sizeof *to, PC);
	if (!poll_is_span(&to->it_value) || !poll_is_span(&to->it_interval))
		return lab_error(EINVAL);
	struct lab_file *f = poll_timer(number, PC);
	if (!f)
		return -1;
	if (was)
		poll_tell(f, was, PC);
	const bool off = lab_is_zero(&to->it_value, sizeof to->it_value);
	f->next = off                         ? INT64_MAX
	          : flags & TFD_TIMER_ABSTIME ? lab_deadline(&to->it_value, f->flags)
	                                      : lab_after(lab.now, &to->it_value);
	f->interval = lab_after(0, &to->it_interval);
	f->in->count = 0;
	soonest = f->next < soonest ? f->next : soonest;
	timers++;
	lab_io_changed(f->in, PC);
	return 0;
}

static int poll_timerfd_gettime(int number, struct itimerspec *is)
{
	const struct lab_file *f = poll_timer(number, PC);
	if (!f)
		return -1;
	poll_tell(f, is, PC);
	return 0;
}

#define CALL(name) LAB_CALL(#name, poll_##name)
LAB_CALLS = {
    CALL(poll),
    CALL(ppoll),
    CALL(select),
    CALL(pselect),
    LAB_CALL("epoll_create1", poll_epoll_create),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_create),
    LAB_CALL("epoll_pwait", poll_epoll_wait),
    CALL(epoll_pwait2),
    CALL(eventfd),
    CALL(eventfd_read),
    CALL(eventfd_write),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(timerfd_gettime),
};
