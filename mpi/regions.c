/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How the regions of an executor reach the ranks. docs/decisions/mpi-regions.md gives the reasons.
 *
 * A *machine* is identified by its host name, boot, and PID namespace; ranks on one machine can
 * share memory. Each machine has one copy of a region, which belongs to one rank, the *owner*. On
 * rank 0's machine the owner is rank 0, with the user's region. Elsewhere the owner is the first
 * rank that is told about the regions: it makes regions of the same sizes, and fetches their bytes
 * from rank 0. Then rank 0 tells the other ranks of the machine, which map the owner's memory
 * through /proc/PID/fd, and compare device and inode. A rank that cannot map it becomes another
 * owner, whose memory no other rank maps.
 *
 * For each executor, a rank is in one of these states. If the rank dies, each state becomes
 * `failed`.
 *
 *   state   meaning                                                next
 *   unused  the rank was told nothing                              waits, told
 *   waits   the owner of its machine does not have the bytes yet   told
 *   told    REGIONS was sent                                       has, failed, told (as an owner)
 *   has     HAS has come                                           none
 *   failed  HAS has come, with an error; or the rank has died      none
 *
 * Invariants
 *   1. No task begins before all living ranks have the regions, so no task writes to a region that
 *      is still being copied.
 *   2. An owner has at most one piece under way, and asks for the next one by WANT, so it can fail
 *      at any time.
 *   3. An owner's descriptors are open while other ranks may still map its memory, because the
 *      executor is closed on all ranks at once, and not while a rank is in the state "told".
 *
 * A separate thread makes or maps a rank's regions, because a GiB takes a quarter of a second. Only
 * if that thread cannot be started does the leader make or map them itself.
 *
 * The ranks of a machine see each other's writes to a region. Nothing else is promised, and the
 * copies of two machines differ once one of them is written.
 */
#include "regions.h"
#include "engine.h"
#include "internals.h"
#include <errno.h>
#include <fairlead/error.h>
#include <fairlead/thread.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(struct fl__mpi_regions) <= FL__MPI_INLINE, "REGIONS and HAS are never announced");

/* The bytes of one message. Other data can be sent between two such messages. */
#define REGIONS_PIECE ((uint64_t)16 << 20)

uint64_t fl__mpi_machine(const char *host)
{
	char boot[64];
	const uint64_t processes = fl__shm_sys.pid_namespace();
	const int fd = FL__RETRY(FL__SYS_RESULT(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)));
	const ssize_t n = fd < 0 ? fd : FL__RETRY(FL__SYS_RESULT(read(fd, boot, sizeof boot)));
	if (fd >= 0)
		(void)close(fd);
	if (n <= 0 || processes == 0)
		return 0;
	const uint64_t hash = fl__hash(fl__hash(FL__HASH_START, boot, (size_t)n), &processes, sizeof processes);
	return fl__hash(hash, host, strlen(host));
}

static int regions_describe(const fl_shm *region, struct fl__mpi_region *about)
{
	struct stat status;
	const int seals = fl__shm_sys.seals(region->fd);
	if (fstat(region->fd, &status) != 0)
		return -errno;
	*about = (struct fl__mpi_region){
	    .total = region->total,
	    .data = region->data,
	    .device = status.st_dev,
	    .inode = status.st_ino,
	    .fd = region->fd,
	    .writable = region->writable && seals >= 0 && !(seals & (F_SEAL_WRITE | FL__SEAL_FUTURE_WRITE)),
	};
	return 0;
}

/* Rank 0. */

enum sender_state { SENDER_UNUSED, SENDER_WAITS, SENDER_TOLD, SENDER_HAS, SENDER_FAILED };

struct sender_rank {
	enum sender_state state;
	bool owns;  /* the rank is an owner */
	bool alone; /* no other rank maps its memory */
	/* of an owner that has the bytes, as HAS says */
	struct fl__mpi_region memory[FL_REGIONS_MAX];
};

struct fl__mpi_sender {
	fl_shm *const *regions;
	unsigned n;
	uint32_t told;
	uint32_t missing;   /* how many ranks do not have the regions yet */
	uint32_t under_way; /* how many pieces */
	bool stopped, *changed;
	struct fl__mpi_work piece; /* of all pieces that are under way */
	struct sender_rank ranks[];
};

static void sender_sent(void *arg)
{
	struct fl__mpi_sender *s = arg;
	s->under_way--;
	*s->changed = true;
}

struct fl__mpi_sender *fl__mpi_sender_new(fl_shm *const *regions, unsigned n, bool *changed)
{
	struct fl__mpi_sender *s = fl__alloc(1, sizeof *s + (size_t)fl__mpi_world.size * sizeof *s->ranks);
	if (s)
		*s = (struct fl__mpi_sender){
		    .regions = regions, .n = n, .changed = changed, .piece = {.done = sender_sent, .arg = s}};
	return s;
}

/* Makes rank 0 the owner of the user's regions. */
static void sender_own(struct fl__mpi_sender *s)
{
	struct sender_rank *here = &s->ranks[0];
	here->owns = true;
	here->state = SENDER_HAS;
	for (unsigned i = 0; i < s->n; i++)
		/* Without an inode no rank can map the region. */
		if (regions_describe(s->regions[i], &here->memory[i]) != 0)
			here->memory[i] =
			    (struct fl__mpi_region){.total = s->regions[i]->total, .data = s->regions[i]->data};
}

/* Returns the owner of the rank's machine, or -1 if there is none yet. */
static int sender_find_owner(const struct fl__mpi_sender *s, int rank)
{
	const struct fl__mpi_hello *peers = fl__mpi_world.peers;
	if (peers[rank].machine == 0 || s->ranks[rank].alone)
		return -1;
	for (int i = 0; i < fl__mpi_world.size; i++)
		if (i != rank && peers[i].machine == peers[rank].machine && s->ranks[i].owns && !s->ranks[i].alone)
			return i;
	return -1;
}

void fl__mpi_sender_tell(struct fl__mpi_sender *s, uint32_t pool, int rank)
{
	struct fl__mpi_head head = {.kind = FL__MPI_REGIONS, .pool = pool, .size = sizeof(struct fl__mpi_regions)};
	struct fl__mpi_regions regions = {.n = s->n};
	if (!s->ranks[0].owns)
		sender_own(s);
	if (s->ranks[rank].state == SENDER_UNUSED)
		s->missing++;
	const int owner = sender_find_owner(s, rank);
	if (owner >= 0 && s->ranks[owner].state != SENDER_HAS) {
		s->ranks[rank].state = SENDER_WAITS;
		return;
	}
	s->ranks[rank].owns = owner < 0;
	if (owner >= 0)
		regions.pid = fl__mpi_world.peers[owner].pid;
	memcpy(regions.at, s->ranks[owner < 0 ? 0 : owner].memory, s->n * sizeof *regions.at);
	fl__mpi_must_send(rank, &head, "", &regions, NULL);
	s->ranks[rank].state = SENDER_TOLD;
	s->told++;
}

/*
 * Returns the size of the piece that the rank wants, or 0 if there is no such piece; then the
 * answer contains no bytes.
 */
static size_t sender_piece_size(const struct fl__mpi_sender *s, const struct fl__mpi_head *want)
{
	if (want->slot >= s->n || want->task >= s->regions[want->slot]->total)
		return 0;
	const uint64_t rest = s->regions[want->slot]->total - want->task;
	return (size_t)(rest < REGIONS_PIECE ? rest : REGIONS_PIECE);
}

void fl__mpi_sender_on_want(struct fl__mpi_sender *s, int from, const struct fl__mpi_head *want)
{
	if (fl__mpi_world.leaving)
		return;
	struct fl__mpi_head head = {.kind = FL__MPI_BYTES, .pool = want->pool, .slot = want->slot, .task = want->task};
	const char *piece = NULL;
	const size_t size = sender_piece_size(s, want);
	if (s->stopped)
		head.error = -ECANCELED;
	else if (size == 0)
		head.error = -EPROTO;
	else
		head.error = fl__mpi_reserve(2);
	if (head.error == 0) {
		head.size = size;
		piece = (const char *)s->regions[want->slot]->head + want->task;
	}
	s->under_way += fl__mpi_must_send(from, &head, "", piece, &s->piece);
}

/* Called when the rank cannot map the memory of its machine. Makes it an owner. */
static void sender_tell_alone(struct fl__mpi_sender *s, int rank, const struct fl__mpi_head *head)
{
	fl__log(FL_LOG_WARNING, "rank %d (%s) cannot map the regions of its machine, and gets a copy of its own: %s",
	        rank, fl__mpi_world.peers[rank].host, fl_error_text(head->error));
	s->ranks[rank].alone = true;
	fl__mpi_sender_tell(s, head->pool, rank);
}

static void sender_tell_others(struct fl__mpi_sender *s, int owner, uint32_t pool)
{
	FL__EACH_RANK (rank)
		if (!s->stopped && s->ranks[rank].state == SENDER_WAITS && sender_find_owner(s, rank) == owner)
			fl__mpi_sender_tell(s, pool, rank);
}

int fl__mpi_sender_on_has(struct fl__mpi_sender *s, int from, const struct fl__mpi_head *head, const char *data)
{
	struct sender_rank *rank = &s->ranks[from];
	if (rank->state != SENDER_TOLD || (head->error == 0 && head->size != sizeof(struct fl__mpi_regions)))
		fl__mpi_abort("rank %d has answered for regions that it was not sent", from);
	if (fl__mpi_world.leaving)
		return -EAGAIN;
	s->told--;
	rank->state = head->error == 0 ? SENDER_HAS : SENDER_FAILED;
	if (head->error != 0 && (head->flags & FL__MPI_UNREACHED) && !s->stopped) {
		sender_tell_alone(s, from, head);
		return -EAGAIN;
	}
	if (head->error != 0)
		return head->error == -EAGAIN ? -EIO : head->error;
	s->missing--;
	if (rank->owns) {
		memcpy(rank->memory, data + offsetof(struct fl__mpi_regions, at), s->n * sizeof *rank->memory);
		sender_tell_others(s, from, head->pool);
	}
	return 0;
}

void fl__mpi_sender_on_death(struct fl__mpi_sender *s, uint32_t pool, int rank)
{
	if (!s)
		return;
	struct sender_rank *dead = &s->ranks[rank];
	const bool told = dead->state == SENDER_TOLD;
	s->told -= told;
	s->missing -= told || dead->state == SENDER_WAITS;
	dead->state = SENDER_FAILED;
	dead->owns = false;
	sender_tell_others(s, -1, pool);
}

bool fl__mpi_sender_is_complete(const struct fl__mpi_sender *s)
{
	return !s || s->missing == 0;
}

bool fl__mpi_sender_is_busy(const struct fl__mpi_sender *s)
{
	return s && (s->told > 0 || s->under_way > 0);
}

void fl__mpi_sender_stop(struct fl__mpi_sender *s)
{
	if (s)
		s->stopped = true;
}

struct receiver {
	struct fl__mpi_received received; /* first, because fl__mpi_receiver_take() returns it */
	struct fl__mpi_work work;         /* of the maker, and then of each piece */
	struct receiver *next, **link;
	uint32_t pool;
	unsigned at;
	uint64_t offset;
	size_t piece; /* how many bytes are being received */
	struct fl__mpi_regions told;
	fl_thread *maker; /* makes or maps the regions */
	bool has_maker;
	int error;      /* the maker's result */
	uint32_t flags; /* for HAS */
};

/* The receivers of pools that have not got OPEN yet. The engine lock guards the list. */
static struct receiver *receivers;

void fl__mpi_received_free(struct fl__mpi_received *received)
{
	for (unsigned i = 0; received && i < received->n; i++)
		fl_shm_free(received->regions[i]);
	fl__free(received);
}

static struct receiver *receiver_find(uint32_t pool)
{
	struct receiver *r = receivers;
	while (r && r->pool != pool)
		r = r->next;
	return r;
}

struct fl__mpi_received *fl__mpi_receiver_take(uint32_t pool)
{
	struct receiver *r = receiver_find(pool);
	if (!r)
		return NULL;
	FL__LIST_REMOVE(r);
	return &r->received;
}

/*
 * Tells rank 0 that the rank cannot `verb` (make, map, fetch or use) this region. Frees the
 * receiver.
 */
static void receiver_fail(struct receiver *r, int error, const char *verb, unsigned at)
{
	char text[FL_MESSAGE_MAX];
	const struct fl__mpi_region *about = &r->told.at[at];
	(void)snprintf(text, sizeof text, "cannot %s region %u of %zu bytes: %s", verb, at,
	               (size_t)(about->total - about->data), fl_error_text(error));
	const struct fl__mpi_head head = {
	    .kind = FL__MPI_HAS, .flags = r->flags, .pool = r->pool, .text = (uint32_t)strlen(text), .error = error};
	FL__LIST_REMOVE(r);
	fl__mpi_received_free(&r->received);
	fl__mpi_must_send(0, &head, text, NULL, NULL);
}

static void receiver_succeed(const struct receiver *r)
{
	struct fl__mpi_regions regions = {.n = r->told.n, .pid = (int32_t)getpid()};
	const struct fl__mpi_head head = {.kind = FL__MPI_HAS, .pool = r->pool, .size = sizeof regions};
	for (unsigned i = 0; i < r->told.n; i++) {
		regions.at[i] = r->told.at[i];
		/* Without an inode, no other rank can map the region. */
		if (regions_describe(r->received.regions[i], &regions.at[i]) != 0)
			regions.at[i].inode = 0;
	}
	fl__mpi_must_send(0, &head, "", &regions, NULL);
}

/*
 * Opens a region of another process, or returns an error. Compares before it opens, because opening
 * a file that is not the region could have effects.
 */
static int receiver_open(const struct fl__mpi_region *about, int pid)
{
	char path[64];
	struct stat status;
	(void)snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, about->fd);
	if (stat(path, &status) != 0)
		return -errno;
	if (status.st_dev != about->device || status.st_ino != about->inode)
		return -ESTALE;
	return FL__RETRY(FL__SYS_RESULT(open(path, (about->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC)));
}

static int receiver_map(struct receiver *r, unsigned at)
{
	const int fd = receiver_open(&r->told.at[at], r->told.pid);
	if (fd < 0 && fd != -EMFILE && fd != -ENFILE && fd != -ENOMEM)
		r->flags = FL__MPI_UNREACHED;
	if (fd < 0)
		return fd;
	int rc = fl_shm_attach(&r->received.regions[at], fd);
	(void)close(fd);
	return rc;
}

static int receiver_make(fl_shm **region, const struct fl__mpi_region *about)
{
	int rc = fl_shm_create(region, (size_t)(about->total - about->data));
	if (rc != 0)
		return rc;
	if ((*region)->total == about->total && (*region)->data == about->data)
		return 0;
	fl_shm_free(*region);
	*region = NULL;
	return -EPROTO; /* the page size here is different */
}

/* Makes the region read-only if rank 0's is. */
static int receiver_complete(fl_shm **region, const struct fl__mpi_region *about)
{
	fl_shm *checked = NULL;
	int rc = about->writable ? 0 : fl_shm_seal(*region);
	if (rc == 0)
		rc = fl_shm_attach(&checked, fl_shm_fd(*region));
	if (rc != 0)
		return rc;
	fl_shm_free(*region);
	*region = checked;
	return 0;
}

static void receiver_want(const struct receiver *r)
{
	const struct fl__mpi_head head = {.kind = FL__MPI_WANT, .pool = r->pool, .slot = r->at, .task = r->offset};
	fl__mpi_must_send(0, &head, "", NULL, NULL);
}

static void receiver_got(void *arg)
{
	struct receiver *r = arg;
	r->offset += r->piece;
	if (r->offset == r->told.at[r->at].total) {
		int rc = receiver_complete(&r->received.regions[r->at], &r->told.at[r->at]);
		if (rc != 0) {
			receiver_fail(r, rc, "use", r->at);
			return;
		}
		r->at++;
		r->offset = 0;
	}
	if (r->at < r->told.n)
		receiver_want(r);
	else
		receiver_succeed(r);
}

/* The function of the maker's thread. */
static int receiver_make_all(void *arg)
{
	struct receiver *r = arg;
	FL__UNCANCELLED();
	while (r->error == 0 && r->received.n < r->told.n) {
		const unsigned at = r->received.n;
		r->error =
		    r->told.pid != 0 ? receiver_map(r, at) : receiver_make(&r->received.regions[at], &r->told.at[at]);
		r->received.n += r->error == 0;
	}
	fl__mpi_hand_over(&r->work);
	return 0;
}

static void receiver_made(void *arg)
{
	struct receiver *r = arg;
	if (r->has_maker)
		FL_IGNORE(fl_thread_join(r->maker, NULL));
	r->work.done = receiver_got;
	if (r->error != 0)
		receiver_fail(r, r->error, r->told.pid != 0 ? "map" : "make", r->received.n);
	else if (r->told.pid != 0)
		receiver_succeed(r);
	else
		receiver_want(r);
}

void fl__mpi_receiver_on_regions(const struct fl__mpi_head *head, const char *data)
{
	const fl_thread_config config = {.name = "mpi-regions", .block_signals = true};
	struct receiver *r = fl__alloc(1, sizeof *r);
	if (!r)
		fl__mpi_abort("rank %d has no memory for an executor", fl__mpi_world.rank);
	r->pool = head->pool;
	FL__LIST_ADD(&receivers, r);
	if (head->size == sizeof r->told)
		memcpy(&r->told, data, sizeof r->told);
	if (head->size != sizeof r->told || r->told.n > FL_REGIONS_MAX)
		fl__mpi_abort("rank %d got a damaged message", fl__mpi_world.rank);
	r->work = (struct fl__mpi_work){.done = receiver_made, .arg = r};
	r->has_maker = fl_thread_start(&r->maker, receiver_make_all, r, &config) == 0;
	if (!r->has_maker)
		(void)receiver_make_all(r);
}

void fl__mpi_receiver_on_bytes(const struct fl__mpi_head *head, const char *data)
{
	struct receiver *r = receiver_find(head->pool);
	if (!r)
		fl__mpi_abort("rank %d got a region that it did not ask for", fl__mpi_world.rank);
	if (head->error != 0) {
		receiver_fail(r, head->error, "fetch", r->at);
		return;
	}
	r->piece = (size_t)head->size;
	if (head->slot != r->at || head->task != r->offset || r->piece == 0 ||
	    r->piece > r->told.at[r->at].total - r->offset)
		fl__mpi_abort("rank %d got a region that it did not ask for", fl__mpi_world.rank);
	if (!fl__mpi_take_data(0, head, data, (char *)r->received.regions[r->at]->head + r->offset, &r->work))
		receiver_got(r);
}
