/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool.h"
#include <sys/personality.h>
#include <unistd.h>

/*
 * Without address randomisation a replay has the same addresses. Where it cannot be switched off,
 * only steps that depend on addresses replay less exactly.
 */
static void keep_addresses(char **argv)
{
	static const char again[] = "FAIRLEAD_STRESS_AGAIN";
	int now = personality(0xffffffff);
	bool second = getenv(again) != NULL; // NOLINT(concurrency-mt-unsafe)
	(void)unsetenv(again);               // NOLINT(concurrency-mt-unsafe)
	if (now == -1 || (now & ADDR_NO_RANDOMIZE) || second)
		return;
	if (personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1)
		return;
	(void)setenv(again, "1", 1); // NOLINT(concurrency-mt-unsafe)
	(void)execv("/proc/self/exe", argv);
}

static int run(const struct options *o)
{
	if (o->action == DO_LITMUS)
		return run_litmus(o);
	if (!modules_load(o))
		return STATUS_USAGE;
	switch (o->action) {
	case DO_LIST:
		text_list(o);
		return STATUS_OK;
	case DO_SELF_TEST:
		return run_self_test(o);
	case DO_MUTANTS:
		return run_mutants(o);
	case DO_TRAFFIC:
		return run_traffic(o);
	default:
		return run_tests(o);
	}
}

int main(int argc, char **argv)
{
	struct options o;
	keep_addresses(argv);
	int status = options_read(&o, argc, argv);
	if (status < 0) {
		status = run(&o);
		compile_clean();
	}
	if (fflush(stdout) != 0 && status == STATUS_OK)
		status = STATUS_FAILED;
	return status;
}
