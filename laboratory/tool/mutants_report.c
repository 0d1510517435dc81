/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report of the mutants: the matrix, the survivors that are explained, and the sites that no
 * scenario reaches.
 */
#include "mutants.h"

static const char *weakened_to(const struct mutant *m)
{
	const char *order = m->place->order;
	if (strcmp(m->place->operation, "fence") == 0)
		return "none";
	if (strcmp(order, "seq_cst") == 0)
		return strcmp(m->place->operation, "load") == 0    ? "acquire"
		       : strcmp(m->place->operation, "store") == 0 ? "release"
		                                                   : "acq_rel";
	if (strcmp(order, "acq_rel") == 0)
		return m->step == 0 ? "release" : "acquire";
	return "relaxed";
}

void mutant_print(FILE *to, const struct hunt *hunt, const struct mutant *m)
{
	char where[256], what[96];
	const struct place *p = m->place;
	snprintf(where, sizeof where, "%s:%d %s", short_path(p->file), p->line, p->function ? p->function : "");
	snprintf(what, sizeof what, "%s %s -> %s", p->operation, p->order, weakened_to(m));
	fprintf(to, "%-9s %-44s %-38s %7.2f s  ",
	        m->killed      ? "killed"
	        : m->explained ? "explained"
	                       : "SURVIVED",
	        where, what, (double)m->spent / 1e9);
	if (m->killed)
		fprintf(to, "%s: %s\n", hunt->scenarios[m->killer].baseline.test->test->name,
		        lab_verdict_name(m->verdict));
	else
		fprintf(to, "%s (%zu of %zu scenarios tried)\n", m->explained ? m->explained : "nothing noticed",
		        m->next, p->n_reached_by);
}

/* The lines of the file, such as "function: operation order: reason". */
static char **explanations;
static size_t n_explanations;

/* Returns NULL if the file has no reason. */
static const char *reason_of(const char *function, const char *operation, const char *order)
{
	char begin[256];
	snprintf(begin, sizeof begin, "%s: %s %s: ", function ? function : "", operation, order);
	for (size_t i = 0; i < n_explanations; i++)
		if (strncmp(explanations[i], begin, strlen(begin)) == 0)
			return explanations[i] + strlen(begin);
	return NULL;
}

bool mutants_explain(struct hunt *hunt)
{
	char line[1024];
	const struct options *o = hunt->options;
	char *path = o->explained ? strdup(o->explained) : !*o->loads ? data_file("orders/explained.txt") : NULL;
	FILE *in = path ? fopen(path, "re") : NULL;
	if (o->explained && !in)
		complain("--explained: there is no file '%s' that can be read", o->explained);
	while (in && fgets(line, sizeof line, in)) {
		line[strcspn(line, "\n")] = '\0';
		explanations = grown(explanations, n_explanations, sizeof *explanations);
		explanations[n_explanations++] = strdup(line);
	}
	if (in)
		fclose(in);
	free(path);
	for (size_t i = 0; i < hunt->n_mutants; i++) {
		const struct place *p = hunt->mutants[i].place;
		hunt->mutants[i].explained = reason_of(p->function, p->operation, p->order);
	}
	return in || !o->explained;
}

/* --- sites that are not reached, from a file that was made from the module --- */

struct unreached {
	char operation[32], order[32], function[128], where[256];
};

struct results {
	const struct hunt *hunt;
	struct unreached *unreached;
	size_t n_unreached;
};

static bool is_at(uintptr_t pc, const char *module, uintptr_t offset)
{
	uintptr_t at = 0;
	const char *path = lab_module_of(pc, &at);
	return path && at == offset && strcmp(basename(path), module) == 0;
}

/*
 * Whether the site, or another copy of the inline code, was reached. The copies of one line of a
 * header are one place.
 */
static bool is_reached(const struct hunt *hunt, const char *module, uintptr_t offset, const struct unreached *u)
{
	for (size_t i = 0; i < hunt->n_places; i++) {
		const struct place *p = &hunt->places[i];
		char line[256];
		for (size_t k = 0; k < p->n_pcs; k++)
			if (is_at(p->pcs[k], module, offset))
				return true;
		snprintf(line, sizeof line, "%s:%d", p->file ? short_path(p->file) : "?", p->line);
		if (strstr(line, ".h:") && strcmp(short_path(u->where), line) == 0 && strcmp(u->order, p->order) == 0)
			return true;
	}
	return false;
}

/*
 * Reads lines "module offset operation order function file:line". The path of the file has no
 * blanks.
 */
static void read_unreached(struct results *r, FILE *in)
{
	char line[1024], module[128];
	unsigned long offset;
	struct unreached u;
	while (fgets(line, sizeof line, in)) {
		if (sscanf(line, "%127s %lx %31s %31s %127s %255s", module, &offset, u.operation, u.order, u.function,
		           u.where) != 6)
			continue;
		if (!is_of_interest(r->hunt->options, u.where) || is_reached(r->hunt, module, offset, &u))
			continue;
		r->unreached = grown(r->unreached, r->n_unreached, sizeof u);
		r->unreached[r->n_unreached++] = u;
	}
}

static void print_json(FILE *to, const void *results)
{
	const struct results *r = results;
	const struct hunt *hunt = r->hunt;
	fputs("{\"mutants\":[", to);
	for (size_t i = 0; i < hunt->n_mutants; i++) {
		const struct mutant *m = &hunt->mutants[i];
		const struct place *p = m->place;
		fputs(i ? ",\n" : "\n", to);
		emit_json(to,
		          "{\"file\":%s,\"line\":%d,\"function\":%s,\"operation\":%s,\"order\":%s,\"weakened\":%s,"
		          "\"result\":%s"
		          ",\"seconds\":%.3f,\"scenario\":%s,\"verdict\":%s,\"reason\":%s}",
		          short_path(p->file), p->line, p->function, p->operation, p->order, weakened_to(m),
		          m->killed      ? "killed"
		          : !m->over     ? "not run"
		          : m->explained ? "explained"
		                         : "survived",
		          (double)m->spent / 1e9, m->killed ? hunt->scenarios[m->killer].baseline.test->test->name : "",
		          m->killed ? verdict_key(lab_verdict_name(m->verdict)) : "", m->killed ? "" : m->explained);
	}
	fputs("],\n\"unreached\":[", to);
	for (size_t i = 0; i < r->n_unreached; i++) {
		const struct unreached *u = &r->unreached[i];
		fputs(i ? ",\n" : "\n", to);
		emit_json(to, "{\"where\":%s,\"function\":%s,\"operation\":%s,\"order\":%s,\"reason\":%s}", u->where,
		          u->function, u->operation, u->order, reason_of(u->function, u->operation, u->order));
	}
	fprintf(to, "],\n\"killed\":%zu,\"explained\":%zu,\"total\":%zu,\"seconds\":%.1f}\n", hunt->killed,
	        hunt->explained, hunt->n_mutants, hunt->seconds);
}

static void print_unreached(const struct unreached *u)
{
	const char *reason = reason_of(u->function, u->operation, u->order);
	printf("%-9s %s %s (%s %s)%s%s\n", "unreached", short_path(u->where), u->function, u->operation, u->order,
	       reason ? ": " : "", reason ? reason : "");
}

static void print_summary(const struct results *r)
{
	const struct hunt *hunt = r->hunt;
	for (size_t i = 0; i < r->n_unreached; i++)
		print_unreached(&r->unreached[i]);
	double percent = hunt->n_mutants > 0 ? 100.0 * (double)hunt->killed / (double)hunt->n_mutants : 0;
	printf("%zu of %zu killed (%.1f%%), %zu survived, %zu of them explained; %zu sites never reached; %.0f s\n",
	       hunt->killed, hunt->n_mutants, percent, hunt->over - hunt->killed, hunt->explained, r->n_unreached,
	       hunt->seconds);
}

int mutants_report(const struct hunt *hunt)
{
	const struct options *o = hunt->options;
	struct results r = {.hunt = hunt};
	FILE *in = o->sites ? fopen(o->sites, "re") : NULL;
	if (in) {
		read_unreached(&r, in);
		fclose(in);
	} else if (o->sites) {
		complain("--sites: there is no file '%s' that can be read", o->sites);
		return STATUS_USAGE;
	}
	if (!o->json_only)
		print_summary(&r);
	const bool good = write_json(o, print_json, &r);
	free(r.unreached);
	if (interrupted)
		return 130;
	return good && hunt->killed + hunt->explained == hunt->n_mutants ? STATUS_OK : STATUS_FAILED;
}
