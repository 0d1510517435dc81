/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The driver of the campaign. It forks the victims, kills some of them, reaps them all, and watches
 * that the survivors make progress.
 */
#include "kill.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

struct campaign campaign = {.kills = 20000, .time = 300, .seed = 1, .capacity = 5, .victims = 4};
struct board *board;
fl_shm_queue *queue;
struct fl__shm_ring *ring;
uintptr_t region_begin, region_end;

static uint64_t lives, by_step, by_driver;
static pid_t survivors[2];

void *share(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		fail("no memory: %s", strerror(errno));
	return memory;
}

/* --- victims --- */

static void begin_life(struct slot *slot, uint64_t *seed)
{
	memset(slot, 0, sizeof *slot);
	slot->life = (uint32_t)lives++;
	switch (draw(seed) % 8) {
	case 0:
		slot->kind = BY_DRIVER;
		slot->kill_at = time_now() + (int64_t)(draw(seed) % FL_US(400));
		break;
	case 1:
	case 2:
	case 3:
		slot->kind = AT_STEP;
		slot->steps = (uint32_t)(draw(seed) % 600);
		break;
	default:
		slot->kind = AT_SITE;
		slot->steps = 4000;
		slot->site = rare_site(board->sites, draw(seed));
	}
	uint64_t own = draw(seed);
	pid_t pid = fork();
	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid == 0)
		live_and_die(slot, own);
	slot->pid = pid;
}

static struct slot *slot_of(pid_t pid)
{
	for (unsigned i = 0; i < campaign.victims; i++)
		if (board->slots[i].pid == pid)
			return &board->slots[i];
	return NULL;
}

/* Reaps a process. Returns whether there was a dead one. */
static bool reap(int flags)
{
	int status;
	pid_t pid = waitpid(-1, &status, flags);
	if (pid <= 0)
		return false;
	struct slot *slot = slot_of(pid);
	if (!slot)
		fail("a survivor ended: status %x", (unsigned)status);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("a victim ended by itself: status %x", (unsigned)status);
	bury(slot);
	*(slot->kind == BY_DRIVER ? &by_driver : &by_step) += 1;
	slot->pid = 0;
	return true;
}

/*
 * In nanoseconds. A victim that is older sleeps and does not reach its step, so the driver kills
 * it.
 */
enum { OLD = 30000000 };

static void kill_who_is_due(int64_t now)
{
	for (unsigned i = 0; i < campaign.victims; i++) {
		struct slot *slot = &board->slots[i];
		if (!slot->pid)
			continue;
		if (slot->kind != BY_DRIVER && slot->kill_at == 0)
			slot->kill_at = now + OLD;
		if (slot->kill_at > now)
			continue;
		slot->kind = BY_DRIVER;
		(void)kill(slot->pid, SIGKILL);
	}
}

/* --- the watch --- */

static bool hangs(int64_t now)
{
	static uint64_t puts, gets;
	static int64_t put_at, got_at;
	if (board->puts != puts || put_at == 0) {
		puts = board->puts;
		put_at = now;
	}
	if (board->gets != gets || got_at == 0) {
		gets = board->gets;
		got_at = now;
	}
	return now - put_at > FL_S(10) || now - got_at > FL_S(10);
}

static void give_up(const char *what)
{
	uint64_t kills = by_step + by_driver;
	printf("HANG: %s, after %lu kills\n", what, kills);
	dump_queue();
	fflush(stdout);
	for (int i = 0; i < 2; i++)
		(void)kill(survivors[i], SIGKILL);
	_exit(3);
}

static void run(void)
{
	uint64_t seed = campaign.seed;
	int64_t begin = time_now(), now = begin;
	while (by_step + by_driver < campaign.kills && now - begin < FL_S((int64_t)campaign.time)) {
		for (unsigned i = 0; i < campaign.victims && lives < campaign.kills + SLOTS; i++)
			if (!board->slots[i].pid)
				begin_life(&board->slots[i], &seed);
		if (!reap(WNOHANG))
			pause_for(FL_US(20));
		while (reap(WNOHANG))
			;
		now = time_now();
		kill_who_is_due(now);
		fl__store_relaxed(&board->phase, (uint32_t)((now - begin) / FL_MS(20)));
		if (hangs(now))
			give_up("a survivor does not get on");
	}
	for (unsigned i = 0; i < campaign.victims; i++)
		if (board->slots[i].pid) {
			board->slots[i].kind = BY_DRIVER;
			(void)kill(board->slots[i].pid, SIGKILL);
		}
	for (unsigned i = 0; i < campaign.victims; i++)
		while (board->slots[i].pid)
			(void)reap(0);
}

static void end_survivor(pid_t pid, const char *name)
{
	int status;
	for (int64_t end = time_now() + FL_S(10); waitpid(pid, &status, WNOHANG) == 0;) {
		if (time_now() > end)
			give_up(name);
		pause_for(FL_MS(1));
	}
	if (status != 0)
		fail("%s ended with status %x", name, (unsigned)status);
}

/* --- main --- */

static void open_queue(void)
{
	fl_shm *region = NULL;
	fl_shm_queue_config config = {.item_size = sizeof(struct item), .capacity = campaign.capacity};
	if (campaign.frames)
		config = (fl_shm_queue_config){.frame_bytes = campaign.capacity * (size_t)37};
	if (fl_shm_create(&region, 1 << 16) != 0 || fl_shm_queue_create(&queue, region, &config) != 0)
		fail("cannot make the queue");
	ring = fl_shm_at(region, fl_shm_queue_offset(queue), sizeof *ring);
	region_begin = (uintptr_t)ring;
	region_end = region_begin + sizeof *ring + fl_shm_queue_capacity(queue) * sizeof(struct item);
}

static pid_t start(int (*body)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(body());
	}
	return pid;
}

static const struct argument arguments[] = {
    {"kills", &campaign.kills, 0, UINT32_MAX - SLOTS - 1},
    {"time", &campaign.time, 1, 1000000},
    {"frames", &campaign.frames, 0, 0},
    {"capacity", &campaign.capacity, 1, UINT32_MAX},
    {"victims", &campaign.victims, 1, SLOTS},
    {"seed", &campaign.seed, 0, UINT64_MAX},
    {"quiet", &campaign.quiet, 0, 0},
    {NULL, NULL, 0, 0},
};

int main(int argc, char **argv)
{
	read_arguments(argc, argv,
	               "Usage: fairlead-kill [--kills N] [--time SECONDS] [--frames] [--capacity N] [--victims N] "
	               "[--seed N] [--quiet]\n",
	               arguments);
	board = share(sizeof *board);
	ledger_open(campaign.kills + SLOTS);
	open_queue();
	steps_open();
	int64_t begin = time_now();
	survivors[0] = start(survive_putting);
	survivors[1] = start(survive_getting);
	run();
	int64_t took = time_now() - begin;
	fl__store_relaxed(&board->stop, 1);
	end_survivor(survivors[0], "the survivor that puts");
	if (fl_shm_queue_close(queue) != 0)
		fail("close failed");
	end_survivor(survivors[1], "the survivor that gets");
	struct balance b = ledger_close();
	bool enough = report(&b, by_step, by_driver, took);
	open_queue();
	bool idle = check_idle();
	bool good = b.lost == 0 && b.duplicates == 0 && b.wrong == 0 && b.counts_agree && enough && idle;
	printf("%s\n", good ? "passed" : "FAILED");
	return good ? 0 : 1;
}
