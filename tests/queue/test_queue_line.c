/* SPDX-License-Identifier: BSD-2-Clause */
/* The wait queues of a freed queue: a late wake does not reach waiters of another object. */
#include "fl_queued.h"
#include "fl_test.h"
#include "queue/queue.h"

/*
 * Any object at the queue's place, at any word of it: the queue's late wakes leave its waiters
 * alone.
 */
FL_TEST(queue_stray_wake_reused_memory)
{
	static _Alignas(max_align_t) unsigned char memory[sizeof(fl_queue)];
	fl_queue *gone = (fl_queue *)(void *)memory;
	for (size_t at = 0; at < sizeof memory; at += sizeof(uint32_t)) {
		struct fl__wait wait;
		struct fl__lot lot;
		fl__wait_begin(&wait, FL__DEBUG_NOTHING, NULL);
		struct fl__node node = FL__NODE(&wait);
		fl__lot_open(&lot, memory + at);
		fl__lot_add(&lot, &node);
		fl__lot_close(&lot);
		fl__queue_wake(gone, FL__CONSUMERS);
		fl__queue_wake(gone, FL__PRODUCERS);
		assert_true(node.queued);
		fl__lot_leave(&node);
	}
}
