/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network with a latency and a bandwidth, between the ranks of one machine: MPI_Improbe() returns
 * a message only when its time has come. FL_MPI_LATENCY in the environment has the latency in
 * microseconds, FL_MPI_BANDWIDTH the bandwidth in MB/s, per receiver. A message's time begins when
 * MPI has it ready at the receiver. So it also takes the time up to that poll: figures are on the
 * safe side. For one thread, as fairlead-mpi's engine is.
 */
#include <fairlead/time.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdlib.h>

enum { DELAYED_MAX = 4096 };

struct delayed {
	int64_t due;
	MPI_Message message;
	MPI_Status status;
};

static struct delayed queue[DELAYED_MAX]; /* a ring, in the order of arrival */
static unsigned first, next;
static int64_t free_at; /* the receiver's link */

static int64_t number(const char *variable)
{
	const char *text = getenv(variable);
	return text ? strtoll(text, NULL, 10) : 0;
}

/* Takes all that has arrived. */
static void collect(int source, int tag, MPI_Comm comm, int64_t latency, int64_t bandwidth)
{
	for (int there = 1; there && next - first < DELAYED_MAX;) {
		struct delayed *d = &queue[next % DELAYED_MAX];
		int size = 0;
		PMPI_Improbe(source, tag, comm, &there, &d->message, &d->status);
		if (!there)
			return;
		PMPI_Get_count(&d->status, MPI_BYTE, &size);
		const int64_t now = fl_now(), begins = free_at > now ? free_at : now;
		free_at = begins + (bandwidth > 0 ? size * (int64_t)1000 / bandwidth : 0);
		d->due = free_at + latency;
		next++;
	}
}

/* The engine probes on one communicator, with one source and one tag. */
int MPI_Improbe(int source, int tag, MPI_Comm comm, int *flag, MPI_Message *message, MPI_Status *status)
{
	static int64_t latency = -1, bandwidth;
	if (latency < 0) {
		latency = number("FL_MPI_LATENCY") * FL_US(1);
		bandwidth = number("FL_MPI_BANDWIDTH");
	}
	if (latency == 0 && bandwidth == 0)
		return PMPI_Improbe(source, tag, comm, flag, message, status);
	collect(source, tag, comm, latency, bandwidth);
	*flag = first != next && queue[first % DELAYED_MAX].due <= fl_now();
	if (*flag) {
		*message = queue[first % DELAYED_MAX].message;
		*status = queue[first % DELAYED_MAX].status;
		first++;
	}
	return MPI_SUCCESS;
}
