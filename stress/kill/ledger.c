/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The account of the campaign. A victim that died before a step has recorded exactly what it had
 * committed. A victim that the driver killed may have died between the store that commits and the
 * record of it. Whether the last operation of such a victim has happened is decided at the end of
 * the run: if no other process has got an item that the victim may have got, the victim counts as
 * having got it. Either outcome is right, but no item may be delivered twice.
 */
#include "kill.h"

static struct life *lives;
static uint64_t n_lives;
static uint32_t *kept; /* a bit for each item of the survivors that was delivered */

/* Items that a victim may have got. */
static struct item *unsure;
static size_t n_unsure, room_unsure;

void ledger_open(uint64_t n)
{
	n_lives = n;
	lives = share(n * sizeof *lives);
	kept = share(((size_t)1 << 28) / 8);
}

static uint64_t check_of(uint32_t life, uint32_t number)
{
	/* Because of the 1, bytes that are all zero are not a valid item. */
	uint64_t x = ((uint64_t)life << 32 | number) * 0x9e3779b97f4a7c15u + 1;
	return (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
}

struct item item_of(uint32_t life, uint32_t number)
{
	return (struct item){life, number, check_of(life, number)};
}

static bool is_item(const struct item *item)
{
	return item->check == check_of(item->life, item->number) &&
	       (item->life == SURVIVOR ? item->number < 1u << 28 : item->life < n_lives && item->number < PUTS);
}

/* Makes a frame of an item. The size of the frame varies with the item. */
size_t frame_of(const struct item *item, unsigned char frame[FRAME_ROOM])
{
	size_t more = item->number % 24;
	memcpy(frame, item, sizeof *item);
	memset(frame + sizeof *item, (int)(item->check & 0xff), more);
	return sizeof *item + more;
}

bool item_in(const unsigned char *frame, size_t size, struct item *item)
{
	memcpy(item, frame, sizeof *item);
	if (size < sizeof *item || !is_item(item))
		return false;
	if (campaign.frames && size != sizeof *item + item->number % 24)
		return false;
	for (size_t i = sizeof *item; i < size; i++)
		if (frame[i] != (item->check & 0xff))
			return false;
	return true;
}

void deliver(const struct item *item)
{
	uint32_t *word, mine, more;
	if (item->life == SURVIVOR) {
		word = &kept[item->number / 32];
		mine = more = 1u << item->number % 32;
	} else {
		word = &lives[item->life].seen;
		mine = 3u << 2 * item->number;
		more = 1u << 2 * item->number;
	}
	if (fl__or_relaxed(word, more) & mine)
		fl__add_relaxed(&board->duplicates, 1);
}

static void be_unsure(const struct item *item)
{
	if (n_unsure == room_unsure) {
		room_unsure = room_unsure ? 2 * room_unsure : 1024;
		unsure = realloc(unsure, room_unsure * sizeof *unsure);
		if (!unsure)
			fail("out of memory");
	}
	unsure[n_unsure++] = *item;
}

/*
 * Checks the log of a slot from entry `from` to entry `to`. If `sure`, the victim has certainly got
 * these items.
 */
static void read_log(const struct slot *slot, uint32_t from, uint32_t to, bool sure)
{
	for (uint32_t i = from; i < to && i < GETS; i++) {
		const unsigned char *at = slot->log + i * (campaign.frames ? (size_t)FRAME_ROOM : sizeof(struct item));
		struct item item;
		memcpy(&item, at, sizeof item);
		bool good = is_item(&item);
		if (good && campaign.frames)
			good = item_in(at, sizeof item + item.number % 24, &item);
		if (sure && !good)
			fl__add_relaxed(&board->wrong, 1);
		else if (sure)
			deliver(&item);
		else if (good)
			be_unsure(&item);
	}
}

void bury(const struct slot *slot)
{
	struct life *life = &lives[slot->life];
	bool exact = slot->kind != BY_DRIVER;
	life->least = (uint8_t)slot->put;
	life->most = (uint8_t)(exact || slot->begun < slot->put ? slot->put : slot->begun);
	read_log(slot, 0, slot->got, true);
	if (!exact)
		read_log(slot, slot->got, slot->got + BULK, false);
}

static bool is_delivered(const struct item *item)
{
	if (item->life == SURVIVOR)
		return kept[item->number / 32] >> item->number % 32 & 1;
	return lives[item->life].seen >> 2 * item->number & 1;
}

/*
 * Counts the items that no other process has got as delivered to the victims that may have got
 * them. Returns how many there were.
 */
static uint64_t settle(void)
{
	uint64_t n = 0;
	for (size_t i = 0; i < n_unsure; i++)
		if (!is_delivered(&unsure[i])) {
			deliver(&unsure[i]);
			n++;
		}
	return n;
}

struct balance ledger_close(void)
{
	struct balance b = {0};
	b.unsure = settle();
	for (uint32_t i = 0; i < board->puts; i++) {
		struct item item = {SURVIVOR, i, 0};
		b.lost += !is_delivered(&item);
	}
	b.items = board->puts - b.lost;
	for (uint64_t l = 0; l < n_lives; l++) {
		for (uint32_t i = 0; i < PUTS; i++) {
			bool delivered = lives[l].seen >> 2 * i & 1;
			b.items += delivered;
			b.lost += i < lives[l].least && !delivered;
			b.wrong += i >= lives[l].most && delivered;
		}
	}
	b.duplicates = board->duplicates;
	b.wrong += board->wrong + board->unordered;
	b.counts_agree = ring->in == ring->out && (uint32_t)(ring->in >> 32) == (uint32_t)b.items;
	return b;
}
