/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command `rc11 verify`: compares the verdicts of litmus tests with the outcomes that the
 * enumeration finds.
 */
#include "commands.h"

#include "enumerate.h"

static const char *const kind_names[] = {[ALLOWED] = "allowed", [ALLOWED_LATE] = "allowed-", [FORBIDDEN] = "forbidden"};

/* Returns what the enumeration says about the pattern of a verdict. */
static verdict_kind judge(const program *p, const outcome_set *outcomes, const outcome *pattern)
{
	verdict_kind kind = FORBIDDEN;
	for (int i = 0; i < outcomes->count; i++)
		if (outcome_matches(p, &outcomes->list[i].values, pattern)) {
			if (outcomes->list[i].prompt)
				return ALLOWED;
			kind = ALLOWED_LATE;
		}
	return kind;
}

int verify_program(const char *file, const program *p)
{
	outcome_set outcomes = outcomes_of(p, false);
	int wrong = 0;
	for (int i = 0; i < p->verdict_count; i++) {
		const verdict *v = &p->verdicts[i];
		verdict_kind kind = judge(p, &outcomes, &v->pattern);
		if (kind == v->kind)
			continue;
		wrong++;
		printf("%s:%d: %s: ", file, v->line, p->name);
		outcome_print(stdout, p, &v->pattern);
		printf(" is %s, not %s\n", kind_names[kind], kind_names[v->kind]);
	}
	if (!p->verdict_count) {
		wrong++;
		printf("%s: %s has no verdict\n", file, p->name);
	}
	outcomes_free(&outcomes);
	return wrong;
}
