/* SPDX-License-Identifier: BSD-2-Clause */
/* The results as one self-contained page: bar charts as SVG, thumbnails inside. */
#include "demo.h"
#include <string.h>
#include <time.h>

/* For all thumbnails, so that the page stays below a megabyte. */
#define THUMBNAIL_BYTES_MAX (600 * 1024)
#define LABEL_WIDTH 92
#define BAR_WIDTH 410
#define ROW_HEIGHT 38

static const char head[] =
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Fairlead demo</title>\n<style>\n"
    ":root { color-scheme: light dark; --page: #f4f5f7; --card: #fff; --text: #1d2733; --faint: #5f6c7b;"
    " --line: #e3e7ec; --slow: #a9b4c1; --fast: #0f766e; --bad: #b42318; }\n"
    "@media (prefers-color-scheme: dark) { :root { --page: #12171d; --card: #1b222b; --text: #e4e9ef;"
    " --faint: #95a2b1; --line: #2d3743; --slow: #5b6877; --fast: #2dd4bf; --bad: #ff8a7a; } }\n"
    "* { box-sizing: border-box; }\n"
    "body { margin: 0; padding: 40px 20px; background: var(--page); color: var(--text);"
    " font: 16px/1.5 system-ui, -apple-system, \"Segoe UI\", Roboto, \"DejaVu Sans\", sans-serif; }\n"
    "main { max-width: 800px; margin: 0 auto; }\n"
    "h1 { margin: 0; font-size: 30px; letter-spacing: -0.02em; }\n"
    "h2 { margin: 0; font-size: 21px; }\n"
    "p { margin: 4px 0 0; }\n"
    ".faint { color: var(--faint); }\n"
    "section { margin-top: 24px; padding: 26px 30px; background: var(--card); border: 1px solid var(--line);"
    " border-radius: 12px; }\n"
    ".title { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 20px; align-items: flex-start; }\n"
    ".gain { text-align: right; white-space: nowrap; color: var(--fast); font-size: 34px; line-height: 1;"
    " font-weight: 700; }\n"
    ".gain small { display: block; margin-top: 6px; color: var(--faint); font-size: 13px; font-weight: 400; }\n"
    "svg { display: block; width: 100%; height: auto; margin: 22px 0 14px; }\n"
    "svg text { fill: var(--text); font-size: 12px; }\n"
    "svg .value { font-weight: 600; }\n"
    ".bar { fill: var(--fast); } .first .bar { fill: var(--slow); }\n"
    ".scroll { overflow-x: auto; }\n"
    "table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }\n"
    "th, td { padding: 8px 4px; border-top: 1px solid var(--line); text-align: right; white-space: nowrap; }\n"
    "th { border-top: 0; color: var(--faint); font-size: 13px; font-weight: 500; }\n"
    "th:first-child, td:first-child { text-align: left; }\n"
    "code { font: 14px ui-monospace, \"DejaVu Sans Mono\", monospace; }\n"
    ".album { display: grid; grid-template-columns: repeat(auto-fill, minmax(110px, 1fr)); gap: 8px;"
    " margin-top: 20px; }\n"
    ".album img { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: cover; border-radius: 6px; }\n"
    ".note { margin-top: 10px; color: var(--faint); font-size: 14px; overflow-wrap: anywhere; }\n"
    ".bad { margin-top: 10px; color: var(--bad); font-size: 14px; overflow-wrap: anywhere; }\n"
    "footer { margin-top: 24px; font-size: 13px; }\n"
    "</style>\n</head>\n<body>\n<main>\n";

static void put_escaped(FILE *out, const char *text)
{
	static const char special[] = "&<>\"";
	static const char *const entity[] = {"&amp;", "&lt;", "&gt;", "&quot;"};
	for (; *text != '\0'; text++) {
		const char *found = strchr(special, *text);
		if (found != NULL)
			(void)fputs(entity[found - special], out);
		else
			(void)fputc(*text, out);
	}
}

static void put_base64(FILE *out, const struct bytes *b)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	for (size_t i = 0; i < b->size; i += 3) {
		size_t left = b->size - i;
		unsigned three = (unsigned)b->data[i] << 16;
		three |= left > 1 ? (unsigned)b->data[i + 1] << 8 : 0;
		three |= left > 2 ? (unsigned)b->data[i + 2] : 0;
		char four[5] = {digits[three >> 18], digits[three >> 12 & 63], left > 1 ? digits[three >> 6 & 63] : '=',
		                left > 2 ? digits[three & 63] : '=', '\0'};
		(void)fputs(four, out);
	}
}

/* A bar shows the time: shorter is better. */
static void put_chart(FILE *out, const struct result *r)
{
	double longest = 0;
	for (size_t i = 0; i < r->run_count; i++)
		longest = r->runs[i].seconds > longest ? r->runs[i].seconds : longest;
	(void)fprintf(out, "<svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"seconds by model\">\n",
	              LABEL_WIDTH + BAR_WIDTH + 80, r->run_count * ROW_HEIGHT);
	for (size_t i = 0; i < r->run_count; i++) {
		const struct run *run = &r->runs[i];
		size_t top = i * ROW_HEIGHT + 6;
		double width = longest > 0 ? BAR_WIDTH * run->seconds / longest : BAR_WIDTH;
		(void)fprintf(
		    out,
		    "<g%s><text x=\"0\" y=\"%zu\">%s</text><rect class=\"bar\" x=\"%d\" y=\"%zu\" width=\"%.1f\" "
		    "height=\"%d\" rx=\"4\"/><text class=\"value\" x=\"%.1f\" y=\"%zu\">%.2f s</text></g>\n",
		    i == 0 ? " class=\"first\"" : "", top + 18, run->model, LABEL_WIDTH, top, width < 2 ? 2 : width,
		    ROW_HEIGHT - 12, LABEL_WIDTH + width + 12, top + 18, run->seconds);
	}
	(void)fputs("</svg>\n", out);
}

static void put_table(FILE *out, const struct result *r)
{
	(void)fprintf(
	    out,
	    "<div class=\"scroll\"><table>\n<tr><th>model<th>workers<th>seconds<th>speedup<th>peak memory<th>%s%s"
	    "answer</tr>\n",
	    r->figure != NULL ? r->figure->title : "", r->figure != NULL ? "<th>" : "");
	for (size_t i = 0; i < r->run_count; i++) {
		const struct run *run = &r->runs[i];
		char answer[32];
		group_digits(answer, run->answer);
		(void)fprintf(out, "<tr><td>%s<td>%u<td>%.3f<td>%.2f&times;<td>%.1f MiB", run->model, run->workers,
		              run->seconds, run->speedup, (double)run->peak_rss_kib / 1024);
		if (r->figure != NULL)
			(void)fprintf(out, "<td>%.*f%s", r->figure->digits, run->figure, r->figure->unit);
		if (r->digest)
			(void)fprintf(out, "<td><code>%016llx</code></tr>\n", (unsigned long long)run->answer);
		else
			(void)fprintf(out, "<td>%s</tr>\n", answer);
	}
	(void)fputs("</table></div>\n", out);
}

static void put_thumbnails(FILE *out, const struct result *r)
{
	size_t size = 0;
	(void)fputs("<div class=\"album\">\n", out);
	for (size_t i = 0; i < r->thumbnail_count; i++) {
		size += r->thumbnails[i].size;
		if (size > THUMBNAIL_BYTES_MAX)
			break;
		(void)fputs("<img alt=\"\" src=\"data:image/png;base64,", out);
		put_base64(out, &r->thumbnails[i]);
		(void)fputs("\">\n", out);
	}
	(void)fputs("</div>\n", out);
}

static void put_title(FILE *out, const struct result *r)
{
	const struct run *best = NULL;
	for (size_t i = 1; i < r->run_count; i++)
		if (best == NULL || r->runs[i].speedup > best->speedup)
			best = &r->runs[i];
	(void)fprintf(out, "<section>\n<div class=\"title\"><div><h2>%s</h2><p class=\"faint\">", r->job);
	put_escaped(out, r->question);
	(void)fputs("</p></div>", out);
	if (best != NULL)
		(void)fprintf(out, "<div class=\"gain\">%.*f&times;<small>as fast with %s on %u worker%s</small></div>",
		              best->speedup < 1.05 ? 2 : 1, best->speedup, best->model, best->workers,
		              best->workers == 1 ? "" : "s");
	(void)fputs("</div>\n", out);
}

static void put_result(FILE *out, const struct result *r)
{
	put_title(out, r);
	if (r->run_count != 0) {
		put_chart(out, r);
		put_table(out, r);
	}
	if (r->thumbnail_count != 0)
		put_thumbnails(out, r);
	for (size_t i = 0; i < r->note_count; i++) {
		(void)fputs("<p class=\"note\">", out);
		put_escaped(out, r->notes[i]);
		(void)fputs("</p>\n", out);
	}
	for (size_t i = 0; i < r->failure_count; i++) {
		(void)fputs("<p class=\"bad\">", out);
		put_escaped(out, r->failures[i]);
		(void)fputs("</p>\n", out);
	}
	(void)fputs("</section>\n", out);
}

bool report_html(FILE *out, const struct machine *m, const struct result *results, size_t n)
{
	char day[32] = "";
	struct tm now;
	time_t seconds = time(NULL);
	if (localtime_r(&seconds, &now) != NULL)
		(void)strftime(day, sizeof day, "%Y-%m-%d %H:%M", &now);
	(void)fputs(head, out);
	(void)fprintf(out, "<h1>Fairlead demo</h1>\n<p class=\"faint\">%u CPU%s (", m->cpus, m->cpus == 1 ? "" : "s");
	put_escaped(out, m->model);
	(void)fputs("), Linux ", out);
	put_escaped(out, m->kernel);
	(void)fprintf(out, ", %.1f GiB of memory</p>\n", (double)m->memory_kib / (1024 * 1024));
	for (size_t i = 0; i < n; i++)
		put_result(out, &results[i]);
	(void)fprintf(
	    out,
	    "<footer class=\"faint\">Fairlead %s, %s. Wall-clock time, shorter is better; speedup is over the "
	    "first row. The memory is that of this program, with the album's own server, and without its worker "
	    "processes.</footer>\n"
	    "</main>\n</body>\n</html>\n",
	    fl_version(), day);
	return !ferror(out);
}
