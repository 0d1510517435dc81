/* SPDX-License-Identifier: BSD-2-Clause */
/* What the recorder and the sensor agree on. */
#ifndef READING_H
#define READING_H

#include <fairlead.h>

struct reading {
	uint64_t number; /* 1, 2, 3, ... over all sensors */
	int64_t value;
};
FL_SHM_QUEUE_OF(struct reading, reading_queue)

/* With a new version, say when `value` gets another unit, programs of the old one are refused. */
#define READINGS .item_type = "struct reading", .item_version = 1, .item_size = sizeof(struct reading)

static inline int64_t value_of(uint64_t number)
{
	return (int64_t)(number * number % 1009);
}

#endif
