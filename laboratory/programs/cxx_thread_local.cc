// SPDX-License-Identifier: BSD-2-Clause
/*
 * Expects a pass. The destructors of a thread's variables run when it ends: the last one first, and
 * before those of its keys. Those of main run in exit(), before the functions of atexit().
 */
#include <cassert>
#include <cstdlib>
#include <pthread.h>
#include <string>
#include <thread>

static std::string ends;
static pthread_key_t key;

struct variable {
	char name;
	bool used = true;
	~variable()
	{
		ends += name;
	}
};
static thread_local variable one{'1'}, two{'2'};

static void use()
{
	pthread_setspecific(key, &key);
	assert(one.used && two.used);
}

int main()
{
	pthread_key_create(&key, [](void *) { ends += 'k'; });
	std::atexit([] { assert(ends == "21k21"); });
	std::thread other(use);
	other.join();
	assert(ends == "21k");
	use();
	return 0;
}
