/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A scenario of the root of a region. A process that follows it finds what was made before it was
 * set.
 */
#include "process/shm/shm_region.h"
#include "../cases.h"

enum { AT = FL__SHM_HEAD };

struct shm_region_root {
	_Alignas(64) unsigned char memory[FL__SHM_HEAD + FL__SHM_UNIT];
	struct fl_shm region;
	int rc;
};

FL_STRESS_SETUP(shm_region_root)
{
	s->region = (struct fl_shm){
	    .head = (struct fl__shm_head *)(void *)s->memory, .data = AT, .total = sizeof s->memory, .writable = true};
}

static int *object_at(struct shm_region_root *s, fl_shm_offset offset)
{
	return fl_shm_at(&s->region, offset, sizeof(int));
}

FL_STRESS_ACTOR(shm_region_root, maker)
{
	*object_at(s, AT) = 1;
	OK(fl_shm_set_root(&s->region, AT));
}

FL_STRESS_ACTOR(shm_region_root, follower)
{
	fl_shm_offset root = fl_shm_root(&s->region);
	if (root != 0)
		FL_STRESS_CHECK(*object_at(s, root) == 1);
}

FL_STRESS_PROCESSES(shm_region_root, maker, follower)
{
	FL_FORBIDDEN(fl_shm_root(&s->region) != AT && !fl_stress_killed("maker"), "no root");
	FL_ACCEPTABLE(1, "found, or not there yet");
}
