/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The results as one page, which needs no other file: the table of tests, and each distinct failure
 * once.
 */
#include "tool.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, "
    "initial-scale=1\">\n<title>fairlead-stress</title>\n<style>\n"
    ":root{color-scheme:light dark;--line:#8884;--soft:#8881;--bad:#c62828;--good:#2e7d32;--mark:#f9a82533}\n"
    "@media (prefers-color-scheme:dark){:root{--bad:#ef9a9a;--good:#a5d6a7}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1280px;margin:2em auto;padding:0 1em}\n"
    "h1{font-size:1.5em}h2{font-size:1.2em;margin-top:2.5em;border-top:1px solid var(--line);padding-top:1em}\n"
    "table{border-collapse:collapse;margin:1em 0}th{text-align:left}\n"
    "th,td{padding:.2em .8em;border-bottom:1px solid var(--line);vertical-align:top}\n"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:var(--bad)}.good{color:var(--good)}\n"
    "code,pre{font:13px/1.45 ui-monospace,monospace}pre{background:var(--soft);padding:.8em;white-space:pre-wrap;"
    "overflow-wrap:anywhere}\n"
    ".wide{overflow:auto}.draw{position:relative;width:max-content;min-width:100%}\n"
    "@media screen{.wide{max-height:92vh}.trace th{position:sticky;top:0;z-index:2;background:Canvas}}\n"
    ".trace{border-collapse:separate;border-spacing:3em .35em;margin:0 -2em 0 -3em}\n"
    ".trace th,.trace td{border:0;padding:.2em .8em}.trace td.n{padding:.2em .5em;opacity:.6}\n"
    ".trace td.step{border-left:3px solid var(--line);max-width:24em;position:relative;z-index:1;--tint:var(--soft);"
    "background:linear-gradient(var(--tint),var(--tint)) Canvas}\n"
    ".trace small{display:block;opacity:.7;overflow-wrap:anywhere}.trace td.mark{--tint:var(--mark)}\n"
    ".trace td.failing{border-left-color:var(--bad);box-shadow:inset 0 0 0 2px var(--bad)}\n"
    "@media (max-width:700px){body{margin:1em auto}.trace{border-spacing:1.6em .35em;margin:0 -1em 0 -1.6em}"
    ".trace td.step{max-width:10.5em;overflow-wrap:anywhere}}\n"
    ".trace button{font:inherit;color:inherit;background:none;border:1px solid var(--line);border-radius:4px;"
    "cursor:pointer}\n"
    ".draw svg{position:absolute;inset:0;pointer-events:none;overflow:visible}\n"
    ".draw path{fill:none;stroke-width:1.7}.reads_from{stroke:#1e88e5;color:#1e88e5;stroke-dasharray:5 3}\n"
    ".synchronizes{stroke:#43a047;color:#43a047}.waits_for{stroke:#e53935;color:#e53935}\n"
    ".key b{font-weight:600}.key .reads_from,.key .synchronizes,.key .waits_for{stroke:none}\n"
    "</style>\n</head>\n<body>\n";

/*
 * The script draws the edges over the table, again whenever the table's size changes, and folds
 * rows of one thread. Without scripts, the page has all rows and no arrows.
 */
static const char script[] =
    "<script>\n"
    "document.querySelectorAll('.draw').forEach(draw => {\n"
    "  const svg = draw.querySelector('svg'), NS = 'http://www.w3.org/2000/svg';\n"
    "  const row = i => {\n"
    "    const r = draw.querySelector(`tr[data-step=\"${i}\"]`);\n"
    "    return r && r.hidden ? draw.querySelector(`tr[data-fold=\"${r.dataset.of}\"]`) : r;\n"
    "  };\n"
    "  const paint = () => {\n"
    "    svg.querySelectorAll('path.edge').forEach(p => p.remove());\n"
    "    const base = draw.getBoundingClientRect();\n"
    "    draw.querySelectorAll('tr[data-from]').forEach(to => {\n"
    "      const a = row(to.dataset.from), b = row(to.dataset.step);\n"
    "      if (!a || !b || a === b) return;\n"
    "      const ends = [a, b].map(r => r.querySelector('td.step').getBoundingClientRect());\n"
    "      const [f, t] = to.dataset.edge === 'waits_for' ? ends.reverse() : ends;\n"
    "      const right = t.left > f.left;\n"
    "      const x1 = (right ? f.right : f.left) - base.left, x2 = (right ? t.left : t.right) - base.left;\n"
    "      const y1 = f.top + f.height / 2 - base.top, y2 = t.top + t.height / 2 - base.top;\n"
    "      const bend = Math.max(18, Math.min(60, Math.abs(x2 - x1) / 2)) * (right ? 1 : -1);\n"
    "      const p = document.createElementNS(NS, 'path');\n"
    "      p.setAttribute('d', `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`);\n"
    "      p.setAttribute('class', 'edge ' + to.dataset.edge);\n"
    "      p.setAttribute('marker-end', 'url(#tip)');\n"
    "      svg.append(p);\n"
    "    });\n"
    "  };\n"
    "  const fold = (head, shut) => {\n"
    "    draw.querySelectorAll(`tr[data-of=\"${head.dataset.fold}\"]`).forEach(r => r.hidden = shut);\n"
    "    const button = head.querySelector('button');\n"
    "    button.textContent = (shut ? '+ ' : '- ') + head.dataset.text;\n"
    "    button.setAttribute('aria-expanded', !shut);\n"
    "  };\n"
    "  draw.querySelectorAll('tr[data-fold]').forEach(head => {\n"
    "    head.hidden = false;\n"
    "    fold(head, true);\n"
    "    head.querySelector('button').onclick = () => {\n"
    "      fold(head, head.querySelector('button').getAttribute('aria-expanded') === 'true');\n"
    "      paint();\n"
    "    };\n"
    "  });\n"
    "  new ResizeObserver(paint).observe(draw);\n"
    "});\n"
    "</script>\n";

static void cell(FILE *to, const char *kind, const char *text)
{
	emit_xml(to, kind ? "<td class=\"%s\">" : "<td>", kind);
	emit_xml(to, "%s</td>", text);
}

/* Whether two jobs have the same failure. A failure that comes in two modes is shown once. */
static bool is_same(const struct job *a, const struct job *b)
{
	return strcmp(a->test->test->name, b->test->test->name) == 0 &&
	       a->report.result.verdict == b->report.result.verdict &&
	       strcmp(a->report.result.message, b->report.result.message) == 0;
}

/*
 * Whether the page shows this job for its failure. Of the jobs with the same failure, it shows the
 * first one that has a trace. If none has a trace, it shows the first job.
 */
static bool is_told(const struct run *run, const struct job *job)
{
	const struct job *best = NULL;
	EACH_JOB (other, run) {
		if (!job_failed(other) || !is_same(job, other))
			continue;
		if (!best || (best->report.result.n_steps == 0 && other->report.result.n_steps > 0))
			best = other;
	}
	return best == job;
}

/* Writes the cell of a step. */
static void step(FILE *to, const struct lab_step *s)
{
	emit_xml(to, "<td class=\"step%s%s\">%s <b>%s</b>",
	         s->stale || s->fault || s->preempted || s->killed ? " mark" : "", s->failing ? " failing" : "",
	         s->what, s->value);
	fputs(s->killed      ? " &#10013; killed"
	      : s->stale     ? " &#9888; older value"
	      : s->fault     ? " &#9889; injected"
	      : s->preempted ? " &#8618; preempts"
	                     : "",
	      to);
	if (s->file || s->function)
		emit_xml(to, "<small>%s:%d %s</small>", short_path(s->file), s->line, s->function);
	if (s->source)
		emit_xml(to, "<small><code>%s</code></small>", s->source + strspn(s->source, " \t"));
	fputs("</td>", to);
}

/* The trace as a table: a column for each thread that has steps, and a row for each step. */
struct drawing {
	FILE *to;
	const struct lab_result *result;
	unsigned n;     /* steps, with the waits at the end */
	bool *used;     /* the threads that have steps */
	bool *told;     /* steps that stay visible: they fail, are marked, or have an edge */
	unsigned folds; /* how many there are so far */
};

enum { FOLDED = 4 }; /* this many or more steps in a row are folded */

static void lanes(const struct drawing *d, unsigned thread, const struct lab_step *s, const char *text)
{
	for (unsigned t = 0; t < d->result->n_threads; t++) {
		if (!d->used[t])
			continue;
		if (t != thread)
			fputs("<td></td>", d->to);
		else if (s)
			step(d->to, s);
		else
			fprintf(d->to, "<td class=\"step\"><button>%s</button></td>", text);
	}
}

static void drawn_row(const struct drawing *d, unsigned i, bool folded)
{
	const struct lab_step *s = &d->result->trace[i];
	fprintf(d->to, "<tr data-step=\"%u\"", i);
	if (folded)
		fprintf(d->to, " data-of=\"%u\"", d->folds);
	if (s->edge != LAB_NO_EDGE)
		fprintf(d->to, " data-from=\"%u\" data-edge=\"%s\"", s->from, edge_names[s->edge]);
	if (i < d->result->n_steps)
		fprintf(d->to, "><td class=\"n\">%u</td>", i + 1);
	else
		fputs("><td class=\"n\">end</td>", d->to);
	lanes(d, s->thread, s, NULL);
	fputs("</tr>\n", d->to);
}

/* Returns how many steps from `i` on are of one thread and need not be visible. */
static unsigned untold(const struct drawing *d, unsigned i)
{
	unsigned end = i;
	while (end < d->n && !d->told[end] && d->result->trace[end].thread == d->result->trace[i].thread)
		end++;
	return end - i;
}

static void rows(struct drawing *d)
{
	for (unsigned i = 0; i < d->n;) {
		const unsigned many = untold(d, i), end = many >= FOLDED ? i + many : i + 1;
		if (many >= FOLDED) {
			char text[32];
			snprintf(text, sizeof text, "%u steps", many);
			fprintf(d->to, "<tr data-fold=\"%u\" data-text=\"%s\" hidden><td class=\"n\">%u</td>", d->folds,
			        text, i + 1);
			lanes(d, d->result->trace[i].thread, NULL, text);
			fputs("</tr>\n", d->to);
		}
		for (; i < end; i++)
			drawn_row(d, i, many >= FOLDED);
		d->folds += many >= FOLDED;
	}
}

static void heads(const struct drawing *d)
{
	fputs("<p class=\"key\">Time runs down, a column a thread. Arrows: <b class=\"synchronizes\">happens "
	      "before</b> (a release that was acquired, a wake, a start, a join), <b class=\"reads_from\">reads "
	      "from</b> without that, <b class=\"waits_for\">waits for</b>. The failing steps are framed.</p>\n"
	      "<div class=\"wide\"><div class=\"draw\"><svg width=\"100%\" height=\"100%\"><defs><marker "
	      "id=\"tip\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"6\" markerHeight=\"6\" "
	      "orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" style=\"fill:context-stroke;stroke:none\"/></marker></defs>"
	      "</svg>\n<table class=\"trace\"><tr><th>#</th>",
	      d->to);
	for (unsigned t = 0; t < d->result->n_threads; t++) {
		if (d->used[t])
			emit_xml(d->to, "<th>%s</th>", d->result->threads[t]);
	}
	fputs("</tr>\n", d->to);
}

static void trace(FILE *to, const struct lab_result *r)
{
	struct drawing d = {to,
	                    r,
	                    r->n_steps + r->n_waiting,
	                    zeroed(r->n_threads, sizeof(bool)),
	                    zeroed(r->n_steps + r->n_waiting, sizeof(bool)),
	                    0};
	for (unsigned i = 0; i < d.n; i++) {
		const struct lab_step *s = &r->trace[i];
		if (s->thread < r->n_threads)
			d.used[s->thread] = true;
		d.told[i] |= s->failing || s->stale || s->fault || s->killed || s->edge != LAB_NO_EDGE;
		if (s->edge != LAB_NO_EDGE)
			d.told[s->from] = true;
	}
	heads(&d);
	rows(&d);
	fputs("</table></div></div>\n", to);
	free(d.used);
	free(d.told);
}

static void outcomes(FILE *to, const struct lab_result *r)
{
	fputs("<table><tr><th>Outcome</th><th>Samples</th><th>Expected</th></tr>\n", to);
	for (unsigned i = 0; i < r->n_outcomes; i++) {
		const struct lab_outcome *o = &r->outcomes[i];
		bool bad = o->expect == FL_STRESS_FORBIDDEN && o->count > 0;
		fputs("<tr>", to);
		cell(to, bad ? "bad" : NULL, o->label);
		cell(to, "n", grouped(o->count));
		cell(to, NULL, expect_names[o->expect]);
		fputs("</tr>\n", to);
	}
	fputs("</table>\n", to);
}

static void block(FILE *to, const char *title, const char *text)
{
	if (text && text[0])
		emit_xml(to, "<p>%s</p>\n<pre>%s</pre>\n", title, text);
}

static void failure(FILE *to, const struct run *run, const struct job *job, size_t number)
{
	const struct lab_result *r = &job->report.result;
	emit_xml(to,
	         "<h2 id=\"f%zu\"><span class=\"bad\">%s</span> %s</h2>\n<p>%s</p>\n"
	         "<p>%s; found after %s %s, %.3g s. %s</p>\n",
	         number, job_verdict(job), job->test->test->name, r->message, mode_names[job->mode],
	         grouped(job->mode == MODE_LIN && is_real(job) ? r->samples : r->executions),
	         is_real(job) ? "samples" : "executions", (double)r->found_ns / 1e9, r->strategy);
	if (r->n_outcomes > 0)
		outcomes(to, r);
	if (r->n_steps > 0)
		trace(to, r);
	block(to, "More:", r->details);
	block(to, "It printed:", job->printed);
	block(to, r->replay[0] ? "The same again:" : "To try again:", reproducer(run->options, job));
	block(to, "In the folder:", folder());
}

static void summary(FILE *to, const struct run *run)
{
	fputs("<table><tr><th>Test</th><th>Mode</th><th>Result</th><th>Samples</th><th>Seconds</th><th></th></tr>\n",
	      to);
	EACH_JOB (job, run) {
		char seconds[32];
		if (job->first && !job_failed(job))
			continue;
		snprintf(seconds, sizeof seconds, "%.2f", job->seconds);
		fputs("<tr>", to);
		cell(to, NULL, job->test->test->name);
		cell(to, NULL, mode_names[job->mode]);
		cell(to, job_failed(job) ? "bad" : job->done ? "good" : NULL, job_verdict(job));
		cell(to, "n", grouped(job->report.result.executions));
		cell(to, "n", seconds);
		cell(to, NULL, job_failed(job) ? job->report.result.message : job->done ? power_of(job) : job->skipped);
		fputs("</tr>\n", to);
	}
	fputs("</table>\n", to);
}

void html_results(FILE *to, const void *results)
{
	const struct run *run = results;
	size_t number = 0;
	fprintf(to, "%s<h1>fairlead-stress</h1>\n<p>%u passed, %u failed, %u skipped, %.1f s</p>\n", head,
	        run->totals.passed, run->totals.failed, run->totals.skipped, run->seconds);
	EACH_JOB (job, run)
		if (job_failed(job) && is_told(run, job))
			failure(to, run, job, ++number);
	fputs("<h2>All tests</h2>\n", to);
	summary(to, run);
	fprintf(to, "%s</body>\n</html>\n", script);
}
