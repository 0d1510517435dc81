/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The results as JSON, with jansson. Its pack functions take ownership of their arguments, and
 * return NULL when out of memory.
 */
#include "demo.h"
#include <jansson.h>

/*
 * A digest is a string of 16 digits, since a JSON number would lose its last bits; a count is a
 * number.
 */
static json_t *answer_json(const struct result *r, uint64_t answer)
{
	char text[32];
	if (!r->digest)
		return json_integer((json_int_t)answer);
	(void)snprintf(text, sizeof text, "%016llx", (unsigned long long)answer);
	return json_string(text);
}

static json_t *run_json(const struct result *r, const struct run *run)
{
	json_t *j = json_pack("{s:s, s:i, s:f, s:f, s:o, s:I}", "model", run->model, "workers", (int)run->workers,
	                      "seconds", run->seconds, "speedup", run->speedup, "answer", answer_json(r, run->answer),
	                      "peak_rss_kib", (json_int_t)run->peak_rss_kib);
	if (j != NULL && r->figure != NULL && json_object_set_new(j, r->figure->key, json_real(run->figure)) != 0) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static json_t *result_json(const struct result *r)
{
	json_t *runs = json_array();
	for (size_t i = 0; runs != NULL && i < r->run_count; i++) {
		if (json_array_append_new(runs, run_json(r, &r->runs[i])) != 0) {
			json_decref(runs);
			runs = NULL;
		}
	}
	json_t *answer = r->run_count != 0 ? answer_json(r, r->runs[0].answer) : json_null();
	json_t *j = json_pack("{s:s, s:o, s:o}", "name", r->job, "answer", answer, "runs", runs);
	if (j != NULL && r->ideal_seconds > 0 &&
	    json_object_set_new(j, "ideal_seconds", json_real(r->ideal_seconds)) != 0) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static json_t *machine_json(const struct machine *m)
{
	return json_pack("{s:i, s:s, s:s, s:I}", "cpus", (int)m->cpus, "model", m->model, "kernel", m->kernel,
	                 "memory_kib", (json_int_t)m->memory_kib);
}

bool report_json(FILE *out, const struct machine *m, const struct result *results, size_t n)
{
	json_t *jobs = json_array();
	for (size_t i = 0; jobs != NULL && i < n; i++) {
		if (json_array_append_new(jobs, result_json(&results[i])) != 0) {
			json_decref(jobs);
			jobs = NULL;
		}
	}
	json_t *all = json_pack("{s:o, s:o}", "machine", machine_json(m), "jobs", jobs);
	if (all == NULL) {
		complain("out of memory for the JSON");
		return false;
	}
	bool good = json_dumpf(all, out, JSON_INDENT(2) | JSON_REAL_PRECISION(7)) == 0 && fputc('\n', out) != EOF;
	json_decref(all);
	return good && !ferror(out);
}
