/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Expects DATA RACE "read of message->length by". If a function only returns what malloc()
 * returned, its caller's variable names the block.
 */
#include "two_threads.h"

struct message {
	int length;
	char text[];
};

static void *checked(size_t size)
{
	void *memory = malloc(size);
	if (!memory)
		abort();
	return memory;
}

static void *send(void *arg)
{
	struct message *sent = arg;
	sent->length--;
	return NULL;
}

int main(void)
{
	struct message *message = checked(sizeof *message + 5);
	message->length = 5;
	in_two_threads_with(send, message, send, message);
	free(message);
	return 0;
}
