/* SPDX-License-Identifier: BSD-2-Clause */
/* clang-format off */
#include <errno.h>
#include <fairlead/stress_lin.h>
#include <stdatomic.h>

struct ring { atomic_uint puts, gets, turn[2]; int item[2]; };

FL_STRESS_SETUP(ring) { s->turn[1] = 1; }
FL_LIN_OP(ring, put, FL_LIN_PUT)
{
	for (unsigned at = s->puts;; at = s->puts) {
		unsigned turn = s->turn[at % 2];
		if (turn == at - 1)
			return s->gets == at - 2 ? -EAGAIN : -EBUSY;
		if (turn == at && atomic_compare_exchange_strong(&s->puts, &at, at + 1))
			return s->item[at % 2] = (int)arg, s->turn[at % 2] = at + 1, 0;
	}
}
FL_LIN_OP(ring, get, FL_LIN_GET)
{
	for (unsigned at = s->gets;; at = s->gets) {
		unsigned turn = s->turn[at % 2];
		if (turn == at)
			return s->puts == at ? -EAGAIN : -EBUSY;
		if (turn == at + 1 && atomic_compare_exchange_strong(&s->gets, &at, at + 1)) {
			int item = s->item[at % 2];
			return s->turn[at % 2] = at + 2, item;
		}
	}
}
FL_LIN(ring, &fl_lin_fifo, .limit = 2) {}
