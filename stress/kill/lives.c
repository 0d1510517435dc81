/* SPDX-License-Identifier: BSD-2-Clause */
/* What the processes do. The victims act until they are killed, the two survivors until the end. */
#include "kill.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

/*
 * Checks that the result of a victim's operation is valid. -EPIPE is not valid, because the queue
 * is closed only when all victims are dead.
 */
static void expect(int rc)
{
	if (rc != 0 && rc != -EAGAIN && rc != -ETIMEDOUT && rc != -EINVAL)
		fail("an operation answered %d", rc);
}

static int put_one(const struct item *item, fl_time deadline)
{
	unsigned char frame[FRAME_ROOM];
	bool tries = deadline.ns == FL_NO_WAIT.ns;
	if (campaign.frames) {
		size_t size = frame_of(item, frame);
		return fl_shm_queue_put_frame_until(queue, frame, size, deadline, FL_SHIELDED);
	}
	return tries ? fl_shm_queue_try_put(queue, item) : fl_shm_queue_put_until(queue, item, deadline, FL_SHIELDED);
}

static int get_one(unsigned char *to, size_t *size, fl_time deadline)
{
	bool tries = deadline.ns == FL_NO_WAIT.ns;
	*size = sizeof(struct item);
	if (campaign.frames)
		return fl_shm_queue_get_frame_until(queue, to, FRAME_ROOM, size, deadline, FL_SHIELDED);
	return tries ? fl_shm_queue_try_get(queue, to) : fl_shm_queue_get_until(queue, to, deadline, FL_SHIELDED);
}

static fl_time some_deadline(uint64_t *seed)
{
	switch (draw(seed) % 4) {
	case 0:
		return FL_NO_WAIT;
	case 1:
		return fl_after((int64_t)(draw(seed) % FL_US(100)));
	default:
		return FL_FOREVER;
	}
}

static void put_some(struct slot *slot, uint64_t *seed)
{
	struct item items[BULK];
	uint32_t n = campaign.frames || draw(seed) % 2 ? 1 : BULK;
	size_t count = 0;
	if (slot->put + n > PUTS)
		return;
	for (uint32_t i = 0; i < n; i++)
		items[i] = item_of(slot->life, slot->put + i);
	uint32_t before = slot->put;
	fl_time deadline = some_deadline(seed);
	slot->begun = before + n;
	if (n == 1) {
		int rc = put_one(items, deadline);
		expect(rc);
		count = rc == 0;
	} else {
		expect(fl_shm_queue_put_many_until(queue, items, n, &count, deadline, FL_SHIELDED));
	}
	if (slot->put != before + count)
		fail("a put of %u said that %zu went in, and %u did", n, count, slot->put - before);
}

/* Gets items straight into the slot, where the driver finds them after the victim's death. */
static void get_some(struct slot *slot, uint64_t *seed)
{
	uint32_t n = campaign.frames || draw(seed) % 2 ? 1 : BULK, before = slot->got;
	size_t count = 0, size;
	fl_time deadline = some_deadline(seed);
	if (before + n > GETS)
		return;
	unsigned char *to = slot->log + before * (campaign.frames ? (size_t)FRAME_ROOM : sizeof(struct item));
	if (n == 1) {
		int rc = get_one(to, &size, deadline);
		expect(rc);
		count = rc == 0;
	} else {
		expect(fl_shm_queue_get_many_until(queue, to, n, &count, deadline, FL_SHIELDED));
	}
	if (slot->got != before + count)
		fail("a get of %u said that %zu came, and %u did", n, count, slot->got - before);
}

void live_and_die(struct slot *slot, uint64_t seed)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	fl__store_relaxed(&slot->pid, (pid_t)syscall(SYS_getpid));
	arm(slot);
	for (;;) {
		uint64_t what = draw(&seed) % 16;
		if (what < 7)
			put_some(slot, &seed);
		else if (what < 14)
			get_some(slot, &seed);
		/*
		 * A task_done often comes right after a get, so that it may be the report of the
		 * last item.
		 */
		if (what > 9 && what < 15)
			expect(fl_shm_queue_task_done(queue));
		if (what == 15)
			expect(
			    fl_shm_queue_join_until(queue, fl_after((int64_t)(draw(&seed) % FL_US(50))), FL_SHIELDED));
	}
}

/* What the survivors do. */

/* Makes an operation that waits only for the lock, whose owner may have died. */
static void take_the_lock(void)
{
	if (fl_shm_queue_task_done(queue) == -ETIMEDOUT)
		fail("the lock was not to be had for ten seconds");
}

/*
 * Slows a survivor down, in three phases. In the first the producer is slow, so the queue is mostly
 * empty. In the second the consumer is slow, so the queue is mostly full. In the third both are
 * fast, and only sometimes leave the CPUs to the victims.
 */
static void dawdle(uint32_t phase, uint64_t turn)
{
	uint32_t now = fl__load_relaxed(&board->phase) % 3;
	if (now == phase || turn % 16 == 0)
		pause_for(FL_US(100));
}

int survive_putting(void)
{
	for (uint32_t i = 0; !fl__load_relaxed(&board->stop) && i < 1u << 28; i++) {
		struct item item = item_of(SURVIVOR, i);
		int rc = put_one(&item, FL_FOREVER);
		if (rc != 0)
			fail("a survivor's put answered %d", rc);
		fl__store_relaxed(&board->puts, (uint64_t)i + 1);
		take_the_lock();
		dawdle(1, i);
	}
	return 0;
}

int survive_getting(void)
{
	int64_t last = -1;
	for (;;) {
		unsigned char frame[FRAME_ROOM] = {0};
		struct item item;
		size_t size;
		int rc = get_one(frame, &size, FL_FOREVER);
		if (rc == -EPIPE)
			return 0;
		if (rc != 0)
			fail("a survivor's get answered %d", rc);
		if (!item_in(frame, size, &item)) {
			fl__add_relaxed(&board->wrong, 1);
			continue;
		}
		deliver(&item);
		if (item.life == SURVIVOR) {
			if ((int64_t)item.number <= last)
				fl__add_relaxed(&board->unordered, 1);
			last = item.number;
		}
		fl__add_relaxed(&board->gets, 1);
		take_the_lock();
		dawdle(2, board->gets);
	}
}
