/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine of the executor over MPI. It makes the calls of MPI for the leader of a rank, and puts
 * the threads of a rank to sleep. "How it works" in mpi/README.md gives the reasons, and links the
 * decisions on doorbells and sleeps.
 *
 * How a round receives. Each call of MPI costs as much as a short task, so a round makes few of
 * them. One receive is posted, for the longest message, because its test costs less than a probe,
 * which takes MPI's locks. Most rounds take one MPI message, and do not test for another one. Such
 * a round leaves the next receive to the next round, which posts it when the answers of this round
 * have left. But if the first test of a round finds a message and the previous round also had one,
 * messages come faster than rounds. Then the round takes up to ENGINE_RECEIVES_AT_ONCE further
 * messages, and posts the receive for each of them at once.
 *
 * How a round sends. Messages to one rank are appended to a buffer, which a flush sends as one MPI
 * message. Open MPI is done with up to ENGINE_SENT_AT_ONCE bytes when MPI_Isend() returns, so the
 * flush tests such a small send at once, and reuses the buffer. Larger buffers wait in `requests`.
 * Because testing the requests costs as much as a message, only every ENGINE_BUSY_ROUNDS-th round
 * with a message tests them, but each round without a message does.
 *
 *   state          guarded by
 *   engine         fl__mpi_lock
 *   doorbells      fl__mpi_lock; a sleeper polls their descriptor without it
 *   handed_over    its own lock
 *   sleeper        its own lock, the last in the order; an fl__lock(), because a wake must not park
 *
 * Errors of MPI end the job, because it is not known what a failed call leaves undone, with two
 * exceptions. If a spawn fails, the caller of fl__mpi_spawn() gets the text of the error. If MPI
 * tolerates the death of a worker rank (`survives`), the job goes on without that rank. Then rank 0
 * knows each rank in one of these states:
 *
 *   state   meaning                                              next
 *   living  the rank is neither lost nor dead                    lost
 *   lost    the rank's doorbell is closed, or MPI says that the  dead
 *           rank has failed
 *   dead    no message of the rank is handled any more. A        none
 *           transfer with it ends at once if MPI has no piece
 *           of it; otherwise it ends when MPI has ended its
 *           pieces by an error
 *
 * A round learns of deaths after it has received what had arrived before, but at most
 * ENGINE_RECEIVES_AT_ONCE messages. fl__mpi_look_for_deaths() receives nothing before. Open MPI's
 * receive from any rank hangs if it takes the first part of a message whose sender then dies.
 * Therefore a worker rank sends only eager messages to that receive, and `ended_inline` limits the
 * data in an ENDED message.
 *
 * If MPI tolerates deaths, large data between ranks that do not share memory are offered, and sent
 * as eager messages of ENGINE_PIECE bytes. A longer message over TCP would not be safe, because
 * when the peer dies, Open MPI 5.0.7 frees the request while lists and fragments under way still
 * point to it.
 *
 * Invariants of the transfers in pieces
 *   1. Sender and receiver cut the data at the same places, and a queue passes its transfers to MPI
 *      one after another. So the n-th receive from a peer gets the n-th piece. A piece of cut data
 *      is sent only after MORE, which the receiver sends when it has posted the receive.
 *   2. A transfer with bytes `left` is in a queue. In a queue only the first transfer has pieces
 *      under way.
 *   3. A transfer ends, once, when nothing is `left` and no piece is under way. Until then MPI may
 *      use its memory. When the peer dies, `left` becomes 0, and MPI ends the pieces under way.
 */
#include "engine.h"
#include "doorbell.h"
#include "image.h"
#include "internals.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/time.h>
#include <mpi.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#ifdef OPEN_MPI
#include <mpi-ext.h>
#endif

struct fl__mpi_world fl__mpi_world = {.refusal = "fl_process_main() was not called as the first line of main()"};

fl_mutex fl__mpi_lock = FL_MUTEX_INIT;

/*
 * Exists only in Open MPI. Sets whether a test that finds nothing yields, and returns the previous
 * setting.
 */
extern bool opal_progress_set_yield_when_idle(bool yields) __attribute__((weak));

enum { ENGINE_RECEIVES_AT_ONCE = 64, ENGINE_LAST_WORDS_MS = 100, ENGINE_BUFFER = 4000, ENGINE_FREE_MAX = 64 };
enum { ENGINE_PIECE = 60 << 10, ENGINE_PIECES = 16 };
enum { ENGINE_SENT_AT_ONCE = 256, ENGINE_BUSY_ROUNDS = 8 };

struct engine_buffer {
	struct fl__mpi_work sent;
	struct engine_buffer *next; /* in `engine.free` */
	size_t used, room;
	unsigned char bytes[];
};

/* Data that were offered and wait for FETCH, or that are under way, perhaps in pieces. */
struct engine_transfer {
	struct engine_transfer *next; /* in an engine_queue */
	struct fl__mpi_work piece, *work;
	struct engine_queue *queue;
	int peer;
	unsigned under_way;    /* how many pieces */
	size_t left;           /* bytes that MPI has not got yet */
	unsigned char *memory; /* where received bytes go; NULL in a sender */
	int n, *sizes;         /* the number and sizes of the parts to send; each padding is a part */
	MPI_Aint *at;
};

struct engine_queue {
	struct engine_transfer *first, *last;
	uint32_t more; /* pieces to send that the receiver has asked for */
};

struct engine_peer {
	uint64_t sent; /* how many MPI messages were sent to the rank */
	bool sleeps, lost, dead;
	bool cuts;                 /* whether data to and from the rank are cut */
	struct engine_buffer *out; /* not flushed yet; NULL if nothing waits */
	struct engine_queue offers, sends, receives;
};

static struct {
	bool open; /* whether there are other ranks */
	MPI_Comm control, data;
	MPI_Datatype unit; /* FL__IMAGE_UNIT bytes */
	MPI_Comm spawned;  /* connects the spawned ranks, if `spawns` */
	bool spawns;
	/* Both arrays have `n` of `room` entries. */
	MPI_Request *requests;
	struct fl__mpi_work **works;
	size_t n, room;
	MPI_Request receive;       /* into `incoming`, or MPI_REQUEST_NULL */
	unsigned char *incoming;   /* FL__MPI_MESSAGE_MAX bytes */
	struct engine_peer *peers; /* by rank; a worker rank has only the entry of rank 0 */
	int *unflushed;            /* the ranks with `out` */
	int n_unflushed;
	size_t n_transfers; /* how many struct engine_transfer exist */
	struct engine_buffer *free;
	int n_free;
	uint64_t received;     /* how many MPI messages have come; SLEEPS tells rank 0 */
	bool dozes;            /* whether SLEEPS was sent, and no message has come since */
	unsigned busy_rounds;  /* how many rounds had a message */
	bool yields;           /* Open MPI's own setting, which the end restores */
	bool found;            /* whether the last round had a message */
	bool learns;           /* whether engine_learn() must look for deaths */
	uint64_t ended_inline; /* the most bytes of data in an ENDED */
} engine;

static struct {
	fl_mutex lock;
	struct fl__mpi_work *first, **end; /* `first` is also read without the lock */
} engine_handed_over = {.lock = FL_MUTEX_INIT, .end = &engine_handed_over.first};

/*
 * What a sleeper and its wakers share. The lock guards everything except `doorbell`, which is an
 * eventfd of this rank and not a doorbell between ranks (doorbell.h).
 */
struct engine_sleeper {
	uint32_t lock;
	bool pending;  /* a wake has come since the last sleep */
	bool sleeping; /* the sleeper sleeps, or is about to */
	bool naps;     /* the sleep is a nap, which a lazy wake does not end */
	bool rung;     /* a wake has written to `doorbell` since the last sleep */
	int doorbell;
};
static struct engine_sleeper engine_sleepers[FL__MPI_SLEEPERS] = {{.doorbell = -1}, {.doorbell = -1}};

/* Returns whether mpirun was started with fault tolerance. */
static bool engine_mpi_survives(void)
{
	int *value = NULL, found = 0;
#ifdef OMPI_HAVE_MPIX_COMM_ACK_FAILED
	(void)MPI_Comm_get_attr(MPI_COMM_WORLD, MPIX_FT, (void *)&value, &found);
#endif
	return found && *value;
}

/* Returns whether an error of an MPI with fault tolerance says that a rank has died. */
static bool engine_is_death(int code)
{
	(void)MPI_Error_class(code, &code);
#ifdef OMPI_HAVE_MPIX_COMM_ACK_FAILED
	return code == MPIX_ERR_PROC_FAILED || code == MPIX_ERR_PROC_FAILED_PENDING;
#else
	return false;
#endif
}

/* Marks the ranks that MPI has found dead as lost, so that receives from any rank go on. */
static void engine_acknowledge(void)
{
#ifdef OMPI_HAVE_MPIX_COMM_ACK_FAILED
	MPI_Group all, failed;
	int n = 0, rank;
	(void)MPIX_Comm_get_failed(engine.control, &failed);
	(void)MPI_Comm_group(engine.control, &all);
	(void)MPI_Group_size(failed, &n);
	(void)MPIX_Comm_ack_failed(engine.control, n, &rank);
	for (int i = 0; i < n; i++) {
		(void)MPI_Group_translate_ranks(failed, 1, &i, all, &rank);
		engine.peers[rank].lost = true;
	}
	(void)MPI_Group_free(&failed);
	(void)MPI_Group_free(&all);
#endif
}

/*
 * Ends this process without MPI. If `dead` is above 0, rank 0 lives, and the job goes on without
 * this rank. Then the rank kills itself, so that mpirun does not adopt its status. Otherwise the
 * job ends. Because the mpirun of Open MPI 5 may hang if many ranks exit at once, each rank first
 * waits for a time that grows with its number, so that mpirun ends the others after the first
 * rank's exit.
 */
static _Noreturn void engine_end_alone(int dead)
{
	enum { RANKS_MAX = 20 };
	if (dead > 0)
		(void)kill(getpid(), SIGKILL);
	if (fl__mpi_world.rank > 0 && fl__mpi_world.leaving)
		_exit(0); /* rank 0 may have left first, at the end of the job */
	(void)poll(NULL, 0, ENGINE_LAST_WORDS_MS * (fl__mpi_world.rank < RANKS_MAX ? fl__mpi_world.rank : RANKS_MAX));
	_exit(1);
}

void fl__mpi_abort(const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof text, format, args);
	va_end(args);
	fl__log(FL_LOG_ERROR, "%s", text);
	fl__flush_streams();
	int started = 0, ended = 0;
	(void)MPI_Initialized(&started);
	(void)MPI_Finalized(&ended);
	/* With fault tolerance, mpirun would hang after MPI_Abort(). */
	if (started && !ended && !engine_mpi_survives()) {
		/*
		 * MPICH's launcher drops what it has not read when the abort arrives, so this gives
		 * it time to read the text.
		 */
		(void)poll(NULL, 0, ENGINE_LAST_WORDS_MS);
		(void)MPI_Abort(engine.open ? engine.control : MPI_COMM_WORLD, 1);
	}
	/*
	 * With fault tolerance only the worker rank dies, except during the start, when the job
	 * ends.
	 */
	engine_end_alone(fl__mpi_world.survives ? fl__mpi_world.rank : 0);
}

/* Writes the text of an error to `why`, on one line. */
static void engine_explain(int code, char *why, size_t size)
{
	char text[MPI_MAX_ERROR_STRING];
	int length = 0;
	if (MPI_Error_string(code, text, &length) != MPI_SUCCESS)
		(void)snprintf(text, sizeof text, "error %d", code);
	/* The last line of MPICH's text is the cause. */
	const char *last = strrchr(text, '\n');
	(void)snprintf(why, size, "%s", last ? last + 1 : text);
}

static void engine_try_end(struct engine_transfer *t)
{
	const struct fl__mpi_work *w = t->work;
	if (t->left > 0 || t->under_way > 0)
		return;
	fl__free(t);
	engine.n_transfers--;
	w->done(w->arg);
}

/* Ends the queue's transfers. A transfer of which MPI has pieces ends with its last piece. */
static void engine_drop(struct engine_queue *q)
{
	FL__EACH_SAFE (struct engine_transfer, t, q->first) {
		t->left = 0;
		engine_try_end(t);
	}
	q->first = NULL;
}

static void engine_reap_rank(int rank)
{
	struct engine_peer *peer = &engine.peers[rank];
	struct fl__mpi_hello *about = &fl__mpi_world.peers[rank];
	peer->dead = true;
	fl__mpi_bell_shut(rank);
	/* relaxed: the engine lock orders it for leaders; for others it is a hint */
	fl__store_relaxed(&about->cpus, 0);
	fl__store_relaxed(&fl__mpi_world.deaths, fl__mpi_world.deaths + 1);
	if (!fl__mpi_world.leaving)
		fl__log(FL_LOG_WARNING, "rank %d (%s, process %d) has died: the job goes on without it", rank,
		        about->host, about->pid);
	/* This comes before the drops, because a task must have failed before its transfer ends. */
	fl__mpi_on_death(rank);
	engine_drop(&peer->offers);
	engine_drop(&peer->sends);
	engine_drop(&peer->receives);
}

/* Called when MPI has ended the request. Removes the request, and calls the `done` of its work. */
static inline void engine_end_request(size_t at)
{
	const struct fl__mpi_work *w = engine.works[at];
	engine.n--;
	engine.requests[at] = engine.requests[engine.n];
	engine.works[at] = engine.works[engine.n];
	w->done(w->arg);
}

/* Ends the failed requests. MPI has made them null. */
static void engine_end_failed(void)
{
	for (size_t i = engine.n; i-- > 0;)
		if (engine.requests[i] == MPI_REQUEST_NULL)
			engine_end_request(i);
}

static void engine_learn(void)
{
	bool news = engine.learns;
	engine.learns = false;
	for (int rank; (rank = fl__mpi_bell_take()) >= 0; news = true)
		engine.peers[rank].lost = true;
	if (!news)
		return;
	engine_acknowledge();
	FL__EACH_RANK (rank)
		if (engine.peers[rank].lost && !engine.peers[rank].dead)
			engine_reap_rank(rank);
	engine_end_failed();
}

/* Handles an error of any communicator. MPI declares such a handler as variadic. */
static void engine_failed(MPI_Comm *comm, int *code, ...)
{
	char why[MPI_MAX_ERROR_STRING];
	(void)comm;
	if (fl__mpi_world.survives && engine_is_death(*code)) {
		if (fl__mpi_world.rank > 0)
			engine_end_alone(fl__mpi_bell_take());
		engine.learns = true;
		return;
	}
	engine_explain(*code, why, sizeof why);
	fl__mpi_abort("MPI has failed in rank %d, perhaps because a rank has died: %s", fl__mpi_world.rank, why);
}

const char *fl__mpi_version(void)
{
	static char text[MPI_MAX_LIBRARY_VERSION_STRING];
	int length = 0;
	if (MPI_Get_library_version(text, &length) != MPI_SUCCESS)
		return "an unknown MPI";
	text[strcspn(text, ",\n")] = '\0';
	for (char *c = text; *c; c++)
		if (*c == '\t')
			*c = ' ';
	return text;
}

static void engine_handle_errors(MPI_Comm comm)
{
	MPI_Errhandler handler;
	(void)MPI_Comm_create_errhandler(engine_failed, &handler);
	(void)MPI_Comm_set_errhandler(comm, handler);
	(void)MPI_Errhandler_free(&handler);
}

static void engine_allocate(void)
{
	const bool first = fl__mpi_world.rank == 0;
	const size_t peers = first ? (size_t)fl__mpi_world.size : 1;
	engine.incoming = fl__alloc(1, FL__MPI_MESSAGE_MAX);
	engine.peers = fl__alloc(peers, sizeof *engine.peers);
	engine.unflushed = fl__alloc(peers, sizeof *engine.unflushed);
	if (first)
		fl__mpi_world.peers = fl__alloc(peers, sizeof *fl__mpi_world.peers);
	bool whole = engine.incoming && engine.peers && engine.unflushed && (!first || fl__mpi_world.peers) &&
	             fl__mpi_reserve(ENGINE_RECEIVES_AT_ONCE) == 0;
	for (int i = 0; i < FL__MPI_SLEEPERS; i++) {
		engine_sleepers[i].doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		whole &= engine_sleepers[i].doorbell >= 0;
	}
	if (!whole)
		fl__mpi_abort("rank %d has no memory, or no descriptor, for messages", fl__mpi_world.rank);
}

static bool engine_is_on_one_host(void)
{
	bool same = true;
	FL__EACH_RANK (rank)
		same &= strcmp(fl__mpi_world.peers[rank].host, fl__mpi_world.peers[0].host) == 0;
	return same;
}

/*
 * Returns whether ranks on one machine exchange messages through shared memory. If OMPI_MCA_btl is
 * a list of transports to exclude (it begins with `^`), always returns false.
 */
static bool engine_shares_memory(void)
{
	const char *transports = secure_getenv("OMPI_MCA_btl");
	return !transports || (*transports != '^' && strstr(transports, "sm"));
}

/* Connects the doorbells, and decides which ranks' data are cut. All ranks call it together. */
static void engine_connect(uint64_t machine)
{
	struct fl__mpi_address address = {.machine = engine_shares_memory() ? machine : 0};
	struct fl__mpi_bell own = {.fd = -1}, *all = NULL;
	if (fl__mpi_world.rank == 0) {
		memcpy(address.host, fl__mpi_world.peers[0].host, sizeof address.host);
		all = fl__mpi_bell_listen(&address, fl__mpi_world.size, engine_is_on_one_host());
	}
	(void)MPI_Bcast(&address, (int)sizeof address, MPI_BYTE, 0, engine.control);
	const bool tolerates = !engine.spawns && engine_mpi_survives(), far = address.machine == 0;
	engine.peers[0].cuts = tolerates && (far || address.machine != machine);
	if (fl__mpi_world.rank == 0)
		FL__EACH_RANK (rank)
			engine.peers[rank].cuts =
			    tolerates && (far || address.machine != fl__mpi_world.peers[rank].machine);
	if (address.port == 0)
		return;
	if (fl__mpi_world.rank > 0)
		own = fl__mpi_bell_connect(&address);
	(void)MPI_Gather(&own, (int)sizeof own, MPI_BYTE, all, (int)sizeof own, MPI_BYTE, 0, engine.control);
	if (fl__mpi_world.rank == 0)
		fl__mpi_bell_accept();
	(void)MPI_Scatter(all, (int)sizeof own, MPI_BYTE, &own, (int)sizeof own, MPI_BYTE, 0, engine.control);
	if (own.fd < 0)
		fl__mpi_bell_give_up();
}

static void engine_post_receive(void)
{
	const int source = fl__mpi_world.rank > 0 ? 0 : MPI_ANY_SOURCE;
	(void)MPI_Irecv(engine.incoming, (int)FL__MPI_MESSAGE_MAX, MPI_BYTE, source, 0, engine.control,
	                &engine.receive);
}

static void engine_on_broken_pipe(int number)
{
	(void)number;
}

/*
 * Keeps SIGPIPE from ending the rank, because Open MPI writes to the sockets of ranks that have
 * ended. The handler does nothing. SIG_IGN would be inherited by programs that a rank starts.
 */
static void engine_survive_broken_pipes(void)
{
	struct sigaction now;
	const struct sigaction ours = {.sa_handler = engine_on_broken_pipe, .sa_flags = SA_RESTART};
	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		(void)sigaction(SIGPIPE, &ours, NULL);
}

/* Opens the engine for the ranks of `all`, which call it together. */
static void engine_open(MPI_Comm all, const struct fl__mpi_hello *hello)
{
	int size = 0;
	engine_survive_broken_pipes();
	(void)MPI_Comm_rank(all, &fl__mpi_world.rank);
	fl__trace_rank = fl__mpi_world.rank;
	(void)MPI_Comm_size(all, &size);
	/* relaxed: in other threads only fl_mpi_ranks() may read it now */
	fl__store_relaxed(&fl__mpi_world.size, size);
	engine_handle_errors(all); /* the copies below inherit the handler */
	(void)MPI_Comm_dup(all, &engine.control);
	(void)MPI_Comm_dup(all, &engine.data);
	(void)MPI_Type_contiguous(FL__IMAGE_UNIT, MPI_BYTE, &engine.unit);
	(void)MPI_Type_commit(&engine.unit);
	engine.open = true;
	engine_allocate();
	(void)MPI_Gather(hello, (int)sizeof *hello, MPI_BYTE, fl__mpi_world.peers, (int)sizeof *hello, MPI_BYTE, 0,
	                 engine.control);
	engine_connect(hello->machine);
	engine.ended_inline = FL__MPI_INLINE;
	engine.receive = MPI_REQUEST_NULL;
	/*
	 * With more ranks than CPUs, each test that finds nothing would yield under the engine
	 * lock.
	 */
	if (opal_progress_set_yield_when_idle)
		engine.yields = opal_progress_set_yield_when_idle(false);
}

/*
 * Opens the engine for rank 0 and the ranks that it has spawned, which call it together. `low` is
 * true in rank 0, so that its number in the merged communicator is 0.
 */
static void engine_open_spawned(MPI_Comm spawned, bool low, const struct fl__mpi_hello *hello)
{
	MPI_Comm all;
	engine_handle_errors(spawned);
	engine.spawned = spawned;
	engine.spawns = true;
	(void)MPI_Intercomm_merge(spawned, !low, &all);
	engine_open(all, hello);
	(void)MPI_Comm_free(&all);
}

void fl__mpi_start(int *argc, char ***argv, struct fl__mpi_hello *hello)
{
	int level = MPI_THREAD_SINGLE;
	MPI_Comm parent;
	/* An error ends the process. */
	(void)MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &level);
	/* The standard orders the levels, but does not fix their numbers. */
	hello->level = level >= MPI_THREAD_SERIALIZED;
	(void)MPI_Comm_get_parent(&parent);
	(void)MPI_Comm_size(MPI_COMM_WORLD, &fl__mpi_world.size);
	if (parent != MPI_COMM_NULL)
		engine_open_spawned(parent, false, hello);
	else if (fl__mpi_world.size > 1)
		engine_open(MPI_COMM_WORLD, hello);
	fl__mpi_world.survives = parent == MPI_COMM_NULL && engine.open && engine_mpi_survives();
	if (fl__mpi_world.survives)
		engine.ended_inline = ENGINE_BUFFER - sizeof(struct fl__mpi_head) - FL_MESSAGE_MAX;
}

bool fl__mpi_spawn(char *program, char **args, int n, const struct fl__mpi_hello *hello, char *why, size_t size)
{
	MPI_Comm spawned;
	(void)MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
	const int rc = MPI_Comm_spawn(program, args, n, MPI_INFO_NULL, 0, MPI_COMM_SELF, &spawned, MPI_ERRCODES_IGNORE);
	if (rc == MPI_SUCCESS)
		engine_open_spawned(spawned, true, hello);
	else
		engine_explain(rc, why, size);
	return rc == MPI_SUCCESS;
}

/* Closes the communicators. All ranks call it together. */
static void engine_close(void)
{
	MPI_Status status;
	if (engine.receive != MPI_REQUEST_NULL)
		(void)MPI_Cancel(&engine.receive);
	(void)MPI_Wait(&engine.receive, &status);
	(void)MPI_Comm_free(&engine.control);
	(void)MPI_Comm_free(&engine.data);
	(void)MPI_Type_free(&engine.unit);
	/* Disconnects of `control` and `data` would hang in Open MPI 4.1. */
	if (engine.spawns)
		(void)MPI_Comm_disconnect(&engine.spawned);
}

static void engine_free(void)
{
	fl__mpi_bell_close();
	for (int i = 0; i < FL__MPI_SLEEPERS; i++) {
		if (engine_sleepers[i].doorbell >= 0)
			(void)close(engine_sleepers[i].doorbell);
		engine_sleepers[i].doorbell = -1;
	}
	FL__EACH_SAFE (struct engine_buffer, b, engine.free)
		fl__free(b);
	fl__free(engine.incoming);
	fl__free(engine.requests);
	fl__free(engine.works);
	fl__free(engine.peers);
	fl__free(engine.unflushed);
	fl__free(fl__mpi_world.peers);
	memset(&engine, 0, sizeof engine);
}

/*
 * Leaves the job, with fault tolerance. No rank calls MPI_Finalize(), because it hangs if a rank
 * dies in it or has died unnoticed, and because Open MPI accepts an exit() without it as an orderly
 * end. When a worker rank has got EXIT, it ends its transfers and tasks, closes its doorbell, and
 * exits. Rank 0 waits until all doorbells are closed, but at most for FL__MPI_PATIENCE.
 */
static void engine_leave(void)
{
	const fl_time until = fl_after(FL__MPI_PATIENCE);
	while (fl__mpi_bell_any() && !fl_time_is_past(until)) {
		engine_learn();
		(void)fl__mpi_progress(NULL, 1);
		fl__sys.nap();
	}
}

void fl__mpi_finish(void)
{
	FL__UNCANCELLED();
	if (fl__mpi_world.survives) {
		engine_leave();
		(void)MPI_Type_free(&engine.unit);
	} else {
		if (engine.open && opal_progress_set_yield_when_idle)
			(void)opal_progress_set_yield_when_idle(engine.yields);
		if (engine.open)
			engine_close();
		(void)MPI_Finalize();
	}
	/*
	 * This comes last, because a rank that has not got EXIT takes a closed doorbell for a
	 * death.
	 */
	engine_free();
	fl__mpi_world = (struct fl__mpi_world){.refusal = "MPI has ended"};
}

/* Messages. */

int fl__mpi_reserve(size_t n)
{
	if (engine.room - engine.n >= n)
		return 0;
	const size_t room = 2 * (engine.n + n);
	MPI_Request *requests = fl__alloc(room, sizeof *requests);
	struct fl__mpi_work **works = fl__alloc(room, sizeof *works);
	if (!requests || !works || room > INT32_MAX) {
		fl__free(requests);
		fl__free(works);
		return -ENOMEM;
	}
	if (engine.n > 0) {
		memcpy(requests, engine.requests, engine.n * sizeof *requests);
		memcpy(works, engine.works, engine.n * sizeof *works);
	}
	fl__free(engine.requests);
	fl__free(engine.works);
	engine.requests = requests;
	engine.works = works;
	engine.room = room;
	return 0;
}

size_t fl__mpi_under_way(void)
{
	return engine.n + (size_t)engine.n_unflushed + engine.n_transfers;
}

static _Noreturn void engine_lacks_memory(void)
{
	fl__mpi_abort("rank %d (%s) has no memory for a message", fl__mpi_world.rank, fl__mpi_world.host);
}

static MPI_Request *engine_add(struct fl__mpi_work *w)
{
	if (fl__mpi_reserve(1) != 0)
		engine_lacks_memory();
	engine.works[engine.n] = w;
	return &engine.requests[engine.n++];
}

static void engine_buffer_free(void *buffer)
{
	struct engine_buffer *b = buffer;
	if (b->room > ENGINE_BUFFER || engine.n_free == ENGINE_FREE_MAX) {
		fl__free(b);
		return;
	}
	b->next = engine.free;
	engine.free = b;
	engine.n_free++;
}

/* Returns a buffer for at least `size` bytes, or NULL if there is no memory. */
static struct engine_buffer *engine_buffer_new(size_t size)
{
	struct engine_buffer *b = engine.free;
	const size_t room = size > ENGINE_BUFFER ? size : ENGINE_BUFFER;
	if (b && room == ENGINE_BUFFER) {
		engine.free = b->next;
		engine.n_free--;
	} else {
		b = fl__alloc(1, sizeof *b + room);
	}
	if (b)
		*b = (struct engine_buffer){.sent = {.done = engine_buffer_free, .arg = b}, .room = room};
	return b;
}

static void engine_flush_peer(int to)
{
	struct engine_peer *peer = &engine.peers[to];
	struct engine_buffer *b = peer->out;
	MPI_Request *request = engine_add(&b->sent);
	MPI_Status status;
	int sent = 0;
	peer->out = NULL;
	(void)MPI_Isend(b->bytes, (int)b->used, MPI_BYTE, to, 0, engine.control, request);
	if (b->used <= ENGINE_SENT_AT_ONCE)
		(void)MPI_Test(request, &sent, &status);
	if (sent) {
		engine.n--; /* the request was added as the last one */
		engine_buffer_free(b);
	}
	peer->sent++;
	if (peer->sleeps)
		fl__mpi_bell_ring(to);
	peer->sleeps = false;
}

void fl__mpi_flush(void)
{
	while (engine.n_unflushed > 0)
		engine_flush_peer(engine.unflushed[--engine.n_unflushed]);
}

/* Returns the rank's buffer with space for `size` bytes, or NULL if there is no memory. */
static struct engine_buffer *engine_make_room(int to, size_t size)
{
	struct engine_peer *peer = &engine.peers[to];
	const bool listed = peer->out != NULL;
	if (listed && peer->out->room - peer->out->used >= size)
		return peer->out;
	/* Flushing each buffer needs a request, and so does a transfer of the message itself. */
	struct engine_buffer *b = fl__mpi_reserve((size_t)engine.n_unflushed + 2) == 0 ? engine_buffer_new(size) : NULL;
	if (!b)
		return NULL;
	if (listed)
		engine_flush_peer(to);
	else
		engine.unflushed[engine.n_unflushed++] = to;
	peer->out = b;
	return b;
}

/* MPI counts the bytes of a message by an `int`, and FL_TASK_SIZE_MAX fits into an `int`. */
_Static_assert(FL_TASK_SIZE_MAX <= INT32_MAX, "data are one message");

/*
 * Copies a part to `image`, and returns where the next part goes. If `image` is NULL, adds the part
 * to the transfer, and returns NULL.
 */
static unsigned char *engine_add_part(struct engine_transfer *t, unsigned char *image, const void *part, size_t size,
                                      size_t padded)
{
	static const unsigned char zeros[FL__IMAGE_UNIT];
	if (image) {
		memcpy(image, part, size);
		memcpy(image + size, zeros, padded - size);
		return image + padded;
	}
	(void)MPI_Get_address(part, &t->at[t->n]);
	t->sizes[t->n++] = (int)size;
	(void)MPI_Get_address(zeros, &t->at[t->n]);
	t->sizes[t->n++] = (int)(padded - size);
	return NULL;
}

static void engine_add_parts(struct engine_transfer *t, unsigned char *image, const void *structs, uint32_t count,
                             size_t each)
{
	image = engine_add_part(t, image, structs, count * each, fl__image_structs(count, each));
	for (uint32_t i = 0; i < count; i++) {
		const fl_bytes *b = fl__element(structs, i, each);
		if (b->data)
			image = engine_add_part(t, image, b->data, b->size, fl__image_part(b));
	}
}

/*
 * Passes the next `size` bytes of the transfer to MPI. If the data are not cut, these are all of
 * its bytes.
 */
static void engine_pass_piece(struct engine_transfer *t, size_t size)
{
	MPI_Request *request = engine_add(&t->piece);
	MPI_Datatype parts;
	size_t sum = 0;
	int n = 0;
	t->under_way++;
	t->left -= size;
	if (t->memory) {
		(void)MPI_Irecv(t->memory, (int)size, MPI_BYTE, t->peer, true, engine.data, request);
		t->memory += size;
		return;
	}
	while (sum < size)
		sum += (size_t)t->sizes[n++];
	/* how much of the last part follows in the next piece */
	const int rest = (int)(sum - size);
	t->at += n - 1;
	t->sizes += n - 1;
	*t->sizes -= rest;
	(void)MPI_Type_create_hindexed(n, t->sizes - (n - 1), t->at - (n - 1), MPI_BYTE, &parts);
	(void)MPI_Type_commit(&parts);
	(void)MPI_Isend(MPI_BOTTOM, 1, parts, t->peer, true, engine.data, request);
	(void)MPI_Type_free(&parts);
	*t->at += *t->sizes;
	*t->sizes = rest;
}

/*
 * Passes cut data to MPI in pieces, and other data as a whole. A sender passes the pieces for which
 * the receiver has asked. A receiver posts receives, of which at most ENGINE_PIECES are under way,
 * and asks by MORE for a piece for each receive. Both follow the order of their queue, because the
 * receiver cannot tell transfers apart.
 */
static void engine_pass_pieces(struct engine_queue *q)
{
	struct fl__mpi_head more = {.kind = FL__MPI_MORE};
	int peer = 0;
	for (struct engine_transfer *t; (t = q->first); q->first = t->next) {
		const bool cuts = engine.peers[t->peer].cuts;
		const size_t most = cuts ? ENGINE_PIECE : t->left;
		peer = t->peer;
		while (t->left > 0 && (t->memory ? t->under_way < ENGINE_PIECES : !cuts || q->more > 0)) {
			more.count += t->memory != NULL;
			q->more -= cuts && !t->memory;
			engine_pass_piece(t, t->left < most ? t->left : most);
		}
		if (t->left > 0)
			break;
	}
	if (more.count > 0)
		fl__mpi_must_send(peer, &more, "", NULL, NULL);
}

static void engine_on_piece(void *transfer)
{
	struct engine_transfer *t = transfer;
	t->under_way--;
	if (t->left > 0 && t->memory && t->under_way <= ENGINE_PIECES / 2)
		engine_pass_pieces(t->queue);
	engine_try_end(t);
}

/*
 * Returns a transfer of `size` bytes, or NULL if there is no memory. A transfer to send has up to
 * `parts` parts.
 */
static struct engine_transfer *engine_transfer_new(int peer, size_t size, size_t parts, struct fl__mpi_work *w)
{
	struct engine_transfer *t = fl__alloc(1, sizeof *t + parts * (sizeof *t->at + sizeof *t->sizes));
	if (!t)
		return NULL;
	*t = (struct engine_transfer){
	    .piece = {.done = engine_on_piece, .arg = t}, .work = w, .peer = peer, .left = size};
	t->at = (MPI_Aint *)(t + 1);
	t->sizes = (int *)(t->at + parts);
	engine.n_transfers++;
	return t;
}

static void engine_begin(struct engine_transfer *t)
{
	struct engine_peer *peer = &engine.peers[t->peer];
	t->queue = t->memory ? &peer->receives : &peer->sends;
	FL__APPEND(t->queue->first, t->queue->last, t, next);
	if (t->queue->first == t)
		engine_pass_pieces(t->queue);
}

static void engine_on_fetch(int from, int error)
{
	struct engine_transfer *t = engine.peers[from].offers.first;
	if (!t)
		fl__mpi_abort("rank %d was asked for data that it does not have", fl__mpi_world.rank);
	engine.peers[from].offers.first = t->next;
	if (error == 0) {
		engine_begin(t);
		return;
	}
	t->left = 0;
	engine_try_end(t);
}

/* Returns how many bytes of data follow the head in the same message. */
static size_t engine_inlined(const struct fl__mpi_head *head)
{
	const uint64_t most = head->kind == FL__MPI_ENDED ? engine.ended_inline : FL__MPI_INLINE;
	return head->size > most ? 0 : (size_t)head->size;
}

int fl__mpi_send(int to, const struct fl__mpi_head *head, const char *text, const void *data, struct fl__mpi_work *w)
{
	const size_t inlined = engine_inlined(head);
	const bool image = head->flags & FL__MPI_IMAGE, whole = inlined == head->size;
	const bool offers = !whole && (image || engine.peers[to].cuts);
	struct engine_queue *q = &engine.peers[to].offers;
	struct engine_transfer *t =
	    offers ? engine_transfer_new(to, head->size, image ? 2 * ((size_t)head->count + 1) : 2, w) : NULL;
	struct engine_buffer *b = t || !offers ? engine_make_room(to, sizeof *head + head->text + inlined) : NULL;
	if (!b) {
		engine.n_transfers -= t != NULL;
		fl__free(t);
		return -ENOMEM;
	}
	memcpy(b->bytes + b->used, head, sizeof *head);
	b->used += sizeof *head;
	if (head->text > 0)
		memcpy(b->bytes + b->used, text, head->text);
	b->used += head->text;
	if (image)
		engine_add_parts(t, t ? NULL : b->bytes + b->used, data, head->count, w->each);
	else if (t)
		(void)engine_add_part(t, NULL, data, head->size, head->size);
	else if (inlined > 0)
		memcpy(b->bytes + b->used, data, inlined);
	b->used += inlined;
	if (whole)
		return 0;
	if (t)
		FL__APPEND(q->first, q->last, t, next);
	else
		(void)MPI_Isend(data, (int)head->size, MPI_BYTE, to, 0, engine.data, engine_add(w));
	return 1;
}

bool fl__mpi_must_send(int to, const struct fl__mpi_head *head, const char *text, const void *data,
                       struct fl__mpi_work *w)
{
	const int rc = fl__mpi_send(to, head, text, data, w);
	if (rc < 0)
		engine_lacks_memory();
	return rc > 0;
}

bool fl__mpi_take_data(int from, const struct fl__mpi_head *head, const void *data, void *memory,
                       struct fl__mpi_work *w)
{
	const size_t inlined = engine_inlined(head);
	const bool offered = (head->flags & FL__MPI_IMAGE) || engine.peers[from].cuts;
	if (inlined > 0 && memory)
		memcpy(memory, data, inlined);
	if (inlined == head->size)
		return false;
	if (offered) {
		const struct fl__mpi_head fetch = {.kind = FL__MPI_FETCH, .error = memory ? 0 : -ENOMEM};
		fl__mpi_must_send(from, &fetch, "", NULL, NULL);
	}
	if (!memory)
		return false;
	if (!engine.peers[from].cuts) {
		(void)MPI_Irecv(memory, (int)(offered ? head->size / FL__IMAGE_UNIT : head->size),
		                offered ? engine.unit : MPI_BYTE, from, offered, engine.data, engine_add(w));
		return true;
	}
	struct engine_transfer *t = engine_transfer_new(from, head->size, 0, w);
	if (!t)
		engine_lacks_memory();
	t->memory = memory;
	engine_begin(t);
	return true;
}

/*
 * Handles SLEEPS. If rank 0 has sent more messages than the rank had received, it rings the rank's
 * doorbell now, otherwise with its next message.
 */
static void engine_on_sleeps(int from, uint64_t received)
{
	if (fl__mpi_world.rank > 0)
		return;
	engine.peers[from].sleeps = engine.peers[from].sent == received;
	if (!engine.peers[from].sleeps)
		fl__mpi_bell_ring(from);
}

/*
 * Ends the requests that MPI has ended. Returns whether there were any. The number of tests is
 * limited, because a `done` may begin new transfers, whose pieces could otherwise keep the loop
 * going forever.
 */
static bool engine_test(void)
{
	MPI_Status status; /* no MPI_STATUS_IGNORE: gcc warns of MPICH's address 1 */
	bool some = false;
	int at = 0, ended = 0;
	for (size_t most = engine.n; most > 0; most--, some = true) {
		if (MPI_Testany((int)engine.n, engine.requests, &at, &ended, &status) != MPI_SUCCESS || !ended ||
		    at == MPI_UNDEFINED)
			break;
		engine_end_request((size_t)at);
	}
	return some;
}

static bool engine_take_handed_over(void)
{
	struct fl__mpi_work *first;
	/*
	 * relaxed: a stale NULL does no harm, because fl__mpi_hand_over() wakes a leader after its
	 * store
	 */
	if (!fl__load_relaxed(&engine_handed_over.first) || fl__mpi_world.leaving)
		return false;
	{
		FL__HELD(&engine_handed_over.lock);
		first = engine_handed_over.first;
		fl__store_relaxed(&engine_handed_over.first, NULL);
		engine_handed_over.end = &engine_handed_over.first;
	}
	FL__EACH_SAFE (struct fl__mpi_work, w, first)
		w->done(w->arg);
	return true;
}

/* Returns the length of the message with this head, or 0 if no message of ours has such a head. */
static size_t engine_size_of(const struct fl__mpi_head *head)
{
	if (head->text > FL_MESSAGE_MAX || head->size > PTRDIFF_MAX)
		return 0;
	return sizeof *head + head->text + engine_inlined(head);
}

static void engine_take_apart(int from, size_t size, fl__mpi_handler *handle)
{
	struct fl__mpi_head head;
	char text[FL_MESSAGE_MAX + 1];
	for (size_t at = 0, length; at < size; at += length) {
		length = 0;
		if (size - at >= sizeof head) {
			memcpy(&head, engine.incoming + at, sizeof head);
			length = engine_size_of(&head);
		}
		if (length == 0 || length > size - at)
			fl__mpi_abort("rank %d got a damaged message from rank %d", fl__mpi_world.rank, from);
		if (head.kind == FL__MPI_SLEEPS) {
			engine_on_sleeps(from, head.task);
			continue;
		}
		if (head.kind == FL__MPI_FETCH) {
			engine_on_fetch(from, head.error);
			continue;
		}
		if (head.kind == FL__MPI_MORE) {
			engine.peers[from].sends.more += head.count;
			engine_pass_pieces(&engine.peers[from].sends);
			continue;
		}
		const unsigned char *rest = engine.incoming + at + sizeof head;
		memcpy(text, rest, head.text);
		text[head.text] = '\0';
		if (handle)
			handle(from, &head, text, (const char *)rest + head.text);
		/*
		 * Without a handler nobody takes the message. Its data are refused, because the
		 * sender of an offer waits for an answer.
		 */
		else
			(void)fl__mpi_take_data(from, &head, NULL, NULL, NULL);
	}
}

/*
 * Called when MPI_Test() has failed or found nothing. Returns whether there is a message
 * nevertheless, because a whole message may come with the error of a death that was noticed before.
 * In that case Open MPI 5 keeps the request, and this function frees it.
 */
static bool engine_has_received(bool there)
{
	if (!there || engine.receive == MPI_REQUEST_NULL)
		return false;
	(void)MPI_Request_free(&engine.receive);
	return true;
}

static bool engine_receive(fl__mpi_handler *handle)
{
	MPI_Status status;
	int there = 0, size = 0;
	if (engine.receive == MPI_REQUEST_NULL)
		engine_post_receive();
	const int rc = MPI_Test(&engine.receive, &there, &status);
	if ((rc | !there) != 0 && !engine_has_received(there))
		return false;
	(void)MPI_Get_count(&status, MPI_BYTE, &size);
	if (size <= 0)
		fl__mpi_abort("rank %d got an empty message from rank %d, which is none of ours", fl__mpi_world.rank,
		              status.MPI_SOURCE);
	engine.received++;
	engine.dozes = false;
	if (!engine.peers[status.MPI_SOURCE].dead)
		engine_take_apart(status.MPI_SOURCE, (size_t)size, handle);
	return true;
}

/* Receives until a test finds nothing, but at most ENGINE_RECEIVES_AT_ONCE messages. */
static void engine_drain(fl__mpi_handler *handle)
{
	for (int i = 0; i < ENGINE_RECEIVES_AT_ONCE && engine_receive(handle); i++)
		;
}

bool fl__mpi_progress(fl__mpi_handler *handle, unsigned tests)
{
	bool some = engine_receive(handle);
	if (some && engine.found)
		engine_drain(handle); /* messages come faster than rounds */
	while (!some && --tests > 0)
		some = engine_receive(handle);
	engine.found = some;
	if (!some || ++engine.busy_rounds % ENGINE_BUSY_ROUNDS == 0)
		some |= engine_test();
	if (engine.learns) {
		engine_drain(handle);
		engine_learn();
	}
	if (!handle)
		fl__mpi_flush();
	return engine_take_handed_over() || some;
}

/* Sleep. */

static void engine_wake(struct engine_sleeper *s, bool lazily)
{
	FL__LOCKED(&s->lock);
	const bool ring = s->sleeping && !s->rung && !(lazily && s->naps);
	s->pending = true;
	s->rung |= ring;
	if (ring)
		/*
		 * Rings under the lock, so that the sleeper cannot go on, and fl__mpi_finish()
		 * cannot close the doorbell, before this call has returned.
		 */
		fl__ring(s->doorbell);
}

void fl__mpi_wake(unsigned sleeper)
{
	engine_wake(&engine_sleepers[sleeper], false);
}

void fl__mpi_wake_lazily(unsigned sleeper)
{
	engine_wake(&engine_sleepers[sleeper], true);
}

void fl__mpi_hand_over(struct fl__mpi_work *w)
{
	w->next = NULL;
	{
		FL__HELD(&engine_handed_over.lock);
		/*
		 * relaxed: the lock orders it for the leader that takes the list; the wakes follow
		 */
		fl__store_relaxed(engine_handed_over.end, w);
		engine_handed_over.end = &w->next;
	}
	fl__mpi_wake(FL__MPI_SECOND);
	/*
	 * The wake is lazy, because while the runner leads, the main thread may nap, and then it
	 * should sleep on.
	 */
	fl__mpi_wake_lazily(FL__MPI_FIRST);
}

static void engine_take_bells(void)
{
	FL__HELD(&fl__mpi_lock);
	if (fl__mpi_world.survives && fl__mpi_world.rank == 0) {
		engine.learns = true;
		return;
	}
	const int dead = fl__mpi_bell_take();
	if (dead < 0 || fl__mpi_world.leaving)
		return;
	if (fl__mpi_world.rank > 0)
		engine_end_alone(dead);
	fl__mpi_abort("rank %d (%s, process %d) has died: the job ends", dead, fl__mpi_world.peers[dead].host,
	              fl__mpi_world.peers[dead].pid);
}

void fl__mpi_look_for_deaths(void)
{
	if (!fl__mpi_world.survives) /* `survives` does not change after the start */
		return;
	FL__HELD(&fl__mpi_lock);
	FL__UNCANCELLED(); /* MPI's calls are cancellation points */
	engine.learns = true;
	engine_learn();
}

/*
 * Sleeps for `ns`, or until a wake, or until another rank's doorbell rings or closes (doorbell.h).
 * Returns whether another rank's doorbell has ended the sleep. With `naps`, neither a lazy wake nor
 * another rank's doorbell ends it.
 */
static bool engine_sleep(struct engine_sleeper *s, int64_t ns, bool naps)
{
	uint64_t rings;
	/* poll() ignores descriptors below 0. */
	struct pollfd fds[] = {{.fd = s->doorbell, .events = POLLIN},
	                       {.fd = naps ? -1 : fl__mpi_bell_fd(), .events = POLLIN}};
	const struct timespec time = {.tv_sec = (time_t)(ns / FL_S(1)), .tv_nsec = (long)(ns % FL_S(1))};
	fl__lock(&s->lock);
	s->sleeping = !s->pending;
	s->naps = naps;
	fl__unlock(&s->lock);
	const bool rung = s->sleeping && /* only this thread writes `sleeping` */
	                  ppoll(fds, 2, ns == FL_DURATION_MAX ? NULL : &time, NULL) > 0 && fds[1].revents != 0;
	fl__lock(&s->lock);
	if (s->rung)
		(void)!read(s->doorbell, &rings, sizeof rings);
	s->pending = s->sleeping = s->naps = s->rung = false;
	fl__unlock(&s->lock);
	if (!rung)
		return false;
	engine_take_bells();
	for (unsigned i = 0; i < FL__MPI_SLEEPERS; i++)
		if (&engine_sleepers[i] != s)
			fl__mpi_wake_lazily(i); /* the doorbell was for both sleepers */
	return true;
}

void fl__mpi_nap(int64_t ns)
{
	(void)engine_sleep(&engine_sleepers[FL__MPI_FIRST], ns, true);
}

/*
 * Lets a worker rank without a task sleep, in two calls. The first call sends SLEEPS. If no message
 * has come since, the second call, and each later one, sleeps until rank 0 rings the doorbell or
 * until a wake, but at most for a tenth of a second, because MPI may have other work. Returns
 * false, and does nothing, if there is no doorbell, if something is under way, or if there is no
 * memory for SLEEPS.
 */
static bool engine_doze(struct fl__mpi_pace *pace)
{
	static const int64_t longest = FL_MS(100);
	{
		FL__HELD(&fl__mpi_lock);
		const struct fl__mpi_head head = {.kind = FL__MPI_SLEEPS, .task = engine.received};
		if (!fl__mpi_bell_is_there() || fl__mpi_under_way() > 0)
			return false;
		if (!engine.dozes) {
			engine.dozes = fl__mpi_send(0, &head, "", NULL, NULL) == 0;
			fl__mpi_flush();
			return engine.dozes;
		}
	}
	if (engine_sleep(&engine_sleepers[pace->sleeper], longest, false))
		pace->found = fl__sys.now(); /* the message follows the ring */
	return true;
}

/*
 * Pauses between two rounds, depending on how long the rank has been idle. At first the rank
 * relaxes, and then it yields. Later it sleeps for an eighth of the idle time, between `shortest`
 * and `longest`; docs/decisions/mpi-idle.md says why an eighth. However, a rank that expects data
 * yields for longer, and then sleeps for `shortest`; a rank that expects nothing sleeps until a
 * wake or a doorbell; and a worker rank that expects tasks dozes after `awake`, if it can.
 *
 * While polling is off, the rank neither relaxes nor yields at first, unless it expects data, which
 * move only while the rank calls MPI: then it still yields.
 */
void fl__mpi_pause(struct fl__mpi_pace *pace, bool some, enum fl__mpi_expects expects)
{
	static const int64_t relaxed = FL_US(2), spin = FL_US(50), shortest = FL_US(10), longest = FL_MS(1),
			     awake = FL_MS(10), patience = FL_S(1);
	enum { PART = 8 };
	if (some || pace->found == 0) {
		pace->found = fl__sys.now();
		return;
	}
	const int64_t now = fl__sys.now(), idle = now - pace->found;
	const bool polls = fl__may_poll();
	if (idle < relaxed && polls) {
		fl__sys.relax();
		return;
	}
	const bool moves = expects == FL__MPI_EXPECTS_DATA;
	/*
	 * While yields are barred, other programs compute, so a yield returns late, and a spin
	 * wastes time.
	 */
	if (((idle < spin && polls) || (moves && idle < patience)) && !fl__yields_are_barred(now)) {
		(void)fl__sys.give_way(now);
		return;
	}
	if (idle > awake && expects == FL__MPI_EXPECTS_TASKS && engine_doze(pace))
		return;
	const int64_t part = moves || idle / PART < shortest ? shortest : idle / PART;
	const int64_t ns = expects == FL__MPI_EXPECTS_NOTHING ? FL_DURATION_MAX : part < longest ? part : longest;
	(void)engine_sleep(&engine_sleepers[pace->sleeper], ns, false);
}
