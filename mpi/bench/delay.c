/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gives the network between ranks of one machine a latency, for bench.c: the engine's receive ends
 * only after a message was delayed. FL_MPI_LATENCY in the environment is the latency in
 * microseconds. The delay of a message begins when the receiver looks and MPI has the message, so
 * the latency is at least the requested one, and the figures are on the safe side. Only one thread
 * at a time may call MPI.
 *
 * A delayed receive is not posted. Its request is replaced by a persistent one that is never
 * started.
 */
#include <fairlead/time.h>
#include <mpi.h>
#include <stdbool.h>
#include <stdlib.h>

enum { DELAYED_MAX = 4096 };

struct delayed {
	fl_time due;
	MPI_Message message;
	MPI_Status status;
};

static struct delayed queue[DELAYED_MAX]; /* a ring, in the order of arrival */
static unsigned first, next;

/* Takes all messages that have arrived. */
static void collect(int source, int tag, MPI_Comm comm, int64_t latency)
{
	for (int there = 1; there && next - first < DELAYED_MAX;) {
		struct delayed *d = &queue[next % DELAYED_MAX];
		PMPI_Improbe(source, tag, comm, &there, &d->message, &d->status);
		if (!there)
			return;
		d->due = fl_after(latency);
		next++;
	}
}

/* The one receive that is delayed. */
static struct {
	int64_t latency; /* below 0 until it is read */
	void *buffer;
	int count, tag;
	MPI_Datatype type;
	MPI_Comm comm;
	MPI_Request request;
	bool waits;
} delay = {.latency = -1};

static bool delays(void)
{
	if (delay.latency < 0) {
		const char *text = getenv("FL_MPI_LATENCY");
		delay.latency = text ? strtoll(text, NULL, 10) * FL_US(1) : 0;
	}
	return delay.latency > 0;
}

int MPI_Irecv(void *buffer, int count, MPI_Datatype type, int source, int tag, MPI_Comm comm, MPI_Request *request)
{
	if (source != MPI_ANY_SOURCE || !delays())
		return PMPI_Irecv(buffer, count, type, source, tag, comm, request);
	if (!delay.buffer)
		PMPI_Recv_init(buffer, count, type, source, tag, comm, &delay.request);
	delay.buffer = buffer;
	delay.count = count;
	delay.tag = tag;
	delay.type = type;
	delay.comm = comm;
	delay.waits = true;
	*request = delay.request;
	return MPI_SUCCESS;
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
	if (!delay.waits || *request != delay.request)
		return PMPI_Test(request, flag, status);
	collect(MPI_ANY_SOURCE, delay.tag, delay.comm, delay.latency);
	*flag = first != next && fl_time_is_past(queue[first % DELAYED_MAX].due);
	if (*flag) {
		PMPI_Mrecv(delay.buffer, delay.count, delay.type, &queue[first % DELAYED_MAX].message, status);
		first++;
		*request = MPI_REQUEST_NULL;
		delay.waits = false;
	}
	return MPI_SUCCESS;
}

int MPI_Cancel(MPI_Request *request)
{
	return delay.waits && *request == delay.request ? MPI_SUCCESS : PMPI_Cancel(request);
}
