/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions between processes: handed over, killed, and damaged. */
#include "fl_shm.h"

enum { MIB = 1 << 20 };

/* --- several processes --- */

typedef struct parcel {
	fl_shm *region;
	int fd;
	fl_shm_offset offset;
} parcel;

static void receive(void *arg)
{
	const parcel *p = arg;
	fl_shm *mine = NULL;
	int fd = fl_test_pass(p->fd);
	FL_CHECK(fd >= 0 && fd != p->fd);
	fl_shm_free(p->region); /* the parent's mapping: from now on only the descriptor is used */
	FL_OK(fl_shm_attach(&mine, fd));
	FL_CHECK(close(fd) == 0 && fl_test_mappings() == 1);
	size_t n = fl_shm_size(mine) / 8;
	uint64_t *block = fl_shm_at(mine, p->offset, n * 8);
	FL_CHECK(block && fl_shm_root(mine) == p->offset);
	for (size_t i = 0; i < n; i++) {
		FL_CHECK(block[i] == i * UINT64_C(0x9e3779b97f4a7c15));
		block[i] = ~block[i];
	}
	fl_shm_block_free(mine, block); /* any process may */
	fl_shm_free(mine);
}

/* A block is passed by its offset: both processes have the same memory, and each may free it. */
FL_TEST(shm_hands_over_without_a_copy)
{
	FL_SCOPED(fl_shm) *region = region_of(fl_test_scaled(64) * MIB);
	size_t n = fl_shm_size(region) / 8;
	uint64_t *block = fl_shm_block_alloc_raw(region, n * 8);
	assert_non_null(block);
	for (size_t i = 0; i < n; i++)
		block[i] = i * UINT64_C(0x9e3779b97f4a7c15);
	parcel p = {region, fl_shm_fd(region), fl_shm_offset_of(region, block)};
	FL_OK(fl_shm_set_root(region, p.offset));
	FL_IN_CHILD(receive, &p);
	for (size_t i = 0; i < n; i++)
		if (block[i] != ~(i * UINT64_C(0x9e3779b97f4a7c15)))
			fail_msg("word %zu is not the child's", i);
	assert_ptr_equal(fl_shm_block_alloc_raw(region, n * 8), block); /* the child has freed it */
}

static void use_inherited(void *arg)
{
	fl_shm *region = arg;
	uint32_t *block = fl_shm_block_alloc(region, 64);
	FL_CHECK(block);
	*block = 11;
	FL_OK(fl_shm_set_root(region, fl_shm_offset_of(region, block)));
	fl_shm_free(region);
}

FL_TEST(shm_in_a_forked_child)
{
	FL_SCOPED(fl_shm) *region = region_of(4096);
	FL_IN_CHILD(use_inherited, region);
	uint32_t *block = FL_SHM_AT(region, uint32_t, fl_shm_root(region));
	assert_int_equal(*block, 11); /* outlives its process */
	fl_shm_block_free(region, block);
}

/* --- whatever others write into it --- */

static void use_all(fl_shm *region, unsigned *random, void *block)
{
	fl_shm *other = NULL;
	if (fl_shm_attach(&other, fl_shm_fd(region)) == 0) {
		assert_int_equal(fl_shm_size(other), fl_shm_size(region));
		fl_shm_free(other);
	}
	fl_shm_offset root = fl_shm_root(region);
	assert_true(root == 0 || fl_shm_at(region, root, 1));
	for (int i = 0; i < 20; i++) {
		size_t size = fl_test_random(random) % 3000;
		char *got = fl_shm_block_alloc_raw(region, size);
		if (got) {
			assert_non_null(fl_shm_at(region, fl_shm_offset_of(region, got), size));
			/* ASan and the kernel check the access. */
			got[0] = got[size ? size - 1 : 0] = 1;
		}
		fl_shm_block_free(region, got);
	}
	fl_shm_block_free(region, block);
	FL_OK(fl_shm_set_root(region, fl_shm_offset_of(region, block)));
	assert_int_equal(fl_shm_root(region), fl_shm_offset_of(region, block));
}

/*
 * Random bytes over all of a region, a thousand times. Most rounds spare the allocator's lock,
 * because a lock that seems to be owned delays a call by ten seconds; in the other rounds that time
 * passes at once.
 */
FL_TEST(shm_random_bytes)
{
	SHM_FAULTS();
	unsigned random = 20;
	fl_test_no_patience();
	for (int round = 0; round < 1000; round++) {
		FL_SCOPED(fl_shm) *region = region_of(16 * 1024);
		struct fl__shm_head good = *region->head;
		void *block = fl_shm_block_alloc(region, 700);
		fl_test_scribble(region, &random, round % 4 == 0 ? 1 : 64); /* all of them, or some */
		if (round % 8 != 0)
			region->head->arena.lock = good.arena.lock;
		use_all(region, &random, block);
	}
}
