/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line. An error is reported in one line, and ends the program with status 2. */
#include "demo.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define USAGE_STATUS 2
#define LIMIT_DEFAULT 16000000
#define LIMIT_MAX 1000000000000
#define TIMEOUT_MAX 3600
#define CHAIRS_MAX 1000
#define CUSTOMERS_MAX 1000
#define PICTURES_MAX 40
#define STAGE_THREADS_MAX 64
#define CAPACITY_MAX 1000
#define SIDE_MAX 16384u
#define CENTER_MAX 4.0
#define ZOOM_MIN 0.1
#define ZOOM_MAX 1e12 /* beyond this, neighbouring pixels would be the same number */
#define ITERATIONS_MAX 1000000
#define RANKS_DEFAULT 3
#define RANKS_MAX 256
#define PAGES_MAX 4000 /* the capacity of the demo's server */

static const char help[] =
    "Usage: fairlead-demo [JOB] [OPTION]...\n"
    "\n"
    "Shows what Fairlead is good for. Without a job: primes, then album.\n"
    "\n"
    "Jobs, run in each model (sequential, threads, processes, async) and compared:\n"
    "  primes             count primes by trial division: work for the processor\n"
    "  album              download 40 pictures and make thumbnails: mostly waiting\n"
    "  frames             a filter over large frames in shared memory; a worker is killed\n"
    "Stories, which just run:\n"
    "  mandelbrot         draw the set, on all CPUs, and save it as PNG; Ctrl-C stops it\n"
    "  threads            two threads that print, each at its own pace\n"
    "  barber             the sleeping barber, with chairs for customers\n"
    "  pipeline           download, decode, thumbnail, write: stages with bounded queues between them\n"
    "  survivors          processes that share a queue; one after another is killed\n"
    "  crawler            follow the links of a site: tasks that submit tasks, with a bounded backlog\n"
    "\n"
    "Options for all jobs:\n"
    "  --workers N        workers of threads and processes (default the usable CPUs; album: 5);\n"
    "                     async runs everything on one thread; for mandelbrot, too\n"
    "  --json[=FILE]      results as JSON: alone on standard output, or beside the rest in FILE\n"
    "  --html=FILE        results as a page, in FILE\n"
    "For primes:\n"
    "  --limit N          count the primes below N (default 16000000)\n"
    "  --model mpi        also over MPI: starts itself by mpirun, on this machine\n"
    "  --ranks N          of MPI: from 2 (default 3); all but one run tasks\n"
    "For frames:\n"
    "  --output DIR       save a frame in DIR, before and after\n"
    "For album:\n"
    "  --urls FILE        download the URLs in FILE, one a line, not from the demo's own server\n"
    "  --output DIR       save the files in DIR and keep them (default: a temporary folder;\n"
    "                     with --urls: ./album)\n"
    "  --timeout SECONDS  give a file up after so long without data (default 10)\n"
    "  --fault KIND       make the demo's server misbehave for one file, to see how errors are\n"
    "                     reported: fail, missing, stall (see --timeout), short, wrong\n"
    "For pipeline, with --output, --timeout and --fault as above:\n"
    "  --pictures N       pictures, at most 40 (default 40)\n"
    "  --threads A,B,C,D  threads that download, decode, make thumbnails and write (default 4,2,2,1)\n"
    "  --capacity N       pictures in each queue (default 2); 0: rendezvous\n"
    "  --slow STAGE       takes 50 ms a picture longer: download, decode, thumbnail, write (the\n"
    "                     default), none\n"
    "For mandelbrot:\n"
    "  --output DIR       save mandelbrot.png in DIR (default: here)\n"
    "  --size WxH         pixels (default 1920x1080)\n"
    "  --center X,Y       the point in the middle (default -0.75,0)\n"
    "  --zoom N           how many times larger than the whole set (default 1)\n"
    "  --iterations N     a point that stays so long is in the set (default 500)\n"
    "For crawler, with --workers (default 8), --timeout and --fault as above:\n"
    "  --pages N          pages of the site (default 300)\n"
    "  --backlog N        pages that may be pending (default 16)\n"
    "For barber:\n"
    "  --chairs N         chairs to wait on (default 3)\n"
    "  --customers N      customers of the day (default 20)\n"
    "\n"
    "  -h, --help         this text\n"
    "\n"
    "Exit status: 0; 1 when something failed or answers differ; 2 for bad usage.\n";

enum {
	WORKERS = 256,
	LIMIT,
	MODEL,
	RANKS,
	URLS,
	OUTPUT,
	TIMEOUT,
	FAULT,
	CHAIRS,
	CUSTOMERS,
	PICTURES,
	THREADS,
	CAPACITY,
	SLOW,
	SIZE,
	CENTER,
	ZOOM,
	ITERATIONS,
	PAGES,
	BACKLOG,
	JSON,
	HTML
};

static const struct option known[] = {
    {"workers", required_argument, NULL, WORKERS},
    {"limit", required_argument, NULL, LIMIT},
    {"model", required_argument, NULL, MODEL},
    {"ranks", required_argument, NULL, RANKS},
    {"urls", required_argument, NULL, URLS},
    {"output", required_argument, NULL, OUTPUT},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"fault", required_argument, NULL, FAULT},
    {"chairs", required_argument, NULL, CHAIRS},
    {"customers", required_argument, NULL, CUSTOMERS},
    {"pictures", required_argument, NULL, PICTURES},
    {"threads", required_argument, NULL, THREADS},
    {"capacity", required_argument, NULL, CAPACITY},
    {"slow", required_argument, NULL, SLOW},
    {"size", required_argument, NULL, SIZE},
    {"center", required_argument, NULL, CENTER},
    {"zoom", required_argument, NULL, ZOOM},
    {"iterations", required_argument, NULL, ITERATIONS},
    {"pages", required_argument, NULL, PAGES},
    {"backlog", required_argument, NULL, BACKLOG},
    {"json", optional_argument, NULL, JSON},
    {"html", required_argument, NULL, HTML},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* Which options apply to which job; an option without effect is an error. */
static const struct {
	const char *name;
	unsigned long options;
} jobs[] = {
#define BIT(option) (1ul << ((option)-WORKERS))
#define REPORTS (BIT(WORKERS) | BIT(JSON) | BIT(HTML))
#define ALBUM (BIT(URLS) | BIT(OUTPUT) | BIT(TIMEOUT) | BIT(FAULT))
    {"primes", REPORTS | BIT(LIMIT) | BIT(MODEL) | BIT(RANKS)},
    {"album", REPORTS | ALBUM},
    {"frames", REPORTS | BIT(OUTPUT)},
    /* These jobs just run, and there is nothing to report. */
    {"mandelbrot", BIT(WORKERS) | BIT(OUTPUT) | BIT(SIZE) | BIT(CENTER) | BIT(ZOOM) | BIT(ITERATIONS)},
    {"crawler", BIT(WORKERS) | BIT(TIMEOUT) | BIT(FAULT) | BIT(PAGES) | BIT(BACKLOG)},
    {"threads", 0},
    {"barber", BIT(CHAIRS) | BIT(CUSTOMERS)},
    {"survivors", 0},
    {"pipeline", BIT(OUTPUT) | BIT(TIMEOUT) | BIT(FAULT) | BIT(PICTURES) | BIT(THREADS) | BIT(CAPACITY) | BIT(SLOW)},
};
static const unsigned long without_job = REPORTS | BIT(LIMIT) | ALBUM;

static bool number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *n)
{
	char *end = NULL;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	/* Strtoull would accept " -1", too. */
	bool digits = text[0] >= '0' && text[0] <= '9' && *end == '\0';
	if (digits && errno == 0 && value >= least && value <= most) {
		*n = value;
		return true;
	}
	complain("--%s: '%.40s' is not a number from %llu to %llu", name, text, (unsigned long long)least,
	         (unsigned long long)most);
	return false;
}

static bool small_number(const char *name, const char *text, unsigned most, unsigned *n)
{
	uint64_t value = 0;
	bool good = number(name, text, 1, most, &value);
	if (good)
		*n = (unsigned)value;
	return good;
}

static bool fault_named(const char *text, enum fault *fault)
{
	static const char *const names[] = {[FAULT_FAIL] = "fail",
	                                    [FAULT_MISSING] = "missing",
	                                    [FAULT_STALL] = "stall",
	                                    [FAULT_SHORT] = "short",
	                                    [FAULT_WRONG] = "wrong"};
	for (unsigned i = FAULT_FAIL; i < sizeof names / sizeof *names; i++) {
		if (strcmp(text, names[i]) == 0) {
			*fault = (enum fault)i;
			return true;
		}
	}
	complain("--fault: '%.40s' is none of fail, missing, stall, short, wrong", text);
	return false;
}

/* "4,2,2,1" */
static bool threads(const char *text, unsigned threads[STAGES])
{
	for (unsigned i = 0; i < STAGES; i++) {
		char one[8];
		size_t length = strcspn(text, ",");
		bool last = i == STAGES - 1;
		if (length >= sizeof one || (text[length] == ',') == last) {
			complain("--threads needs %d numbers with commas between them, as 4,2,2,1", STAGES);
			return false;
		}
		(void)snprintf(one, sizeof one, "%.*s", (int)length, text);
		if (!small_number("threads", one, STAGE_THREADS_MAX, &threads[i]))
			return false;
		text += length + 1;
	}
	return true;
}

static bool stage_named(const char *text, unsigned *stage)
{
	for (*stage = 0; *stage < STAGES && strcmp(text, stage_names[*stage]) != 0;)
		++*stage;
	if (*stage < STAGES || strcmp(text, "none") == 0)
		return true;
	complain("--slow: '%.40s' is none of download, decode, thumbnail, write, none", text);
	return false;
}

/* "1920x1080" */
static bool size(const char *text, unsigned *width, unsigned *height)
{
	unsigned w = 0, h = 0;
	int read = 0;
	bool digits = text[0] >= '0' && text[0] <= '9';
	if (digits && sscanf(text, "%5ux%5u%n", &w, &h, &read) == 2 && text[read] == '\0' && w > 0 && h > 0 &&
	    w <= SIDE_MAX && h <= SIDE_MAX) {
		*width = w;
		*height = h;
		return true;
	}
	complain("--size: '%.40s' is no size from 1x1 to %ux%u, as 1920x1080", text, SIDE_MAX, SIDE_MAX);
	return false;
}

/* `n` decimal numbers with commas between them. */
static bool real_numbers(const char *text, double least, double most, double **numbers, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char *end = NULL;
		*numbers[i] = strtod(text, &end);
		if (end == text || !(*numbers[i] >= least && *numbers[i] <= most) || *end != (i + 1 < n ? ',' : '\0'))
			return false;
		text = end + 1;
	}
	return true;
}

static bool center(const char *text, double *re, double *im)
{
	bool good = real_numbers(text, -CENTER_MAX, CENTER_MAX, (double *[]){re, im}, 2);
	if (!good)
		complain("--center: '%.60s' is no point from -%g,-%g to %g,%g, as -0.75,0", text, CENTER_MAX,
		         CENTER_MAX, CENTER_MAX, CENTER_MAX);
	return good;
}

static bool zoom(const char *text, double *times)
{
	bool good = real_numbers(text, ZOOM_MIN, ZOOM_MAX, (double *[]){times}, 1);
	if (!good)
		complain("--zoom: '%.40s' is not a number from %g to %g", text, ZOOM_MIN, ZOOM_MAX);
	return good;
}

static bool text(const char *name, const char *value, const char **to)
{
	if (value[0] == '\0')
		complain("--%s needs a name that is not empty", name);
	*to = value;
	return value[0] != '\0';
}

static bool take(struct options *o, int option, const char *value, const char **urls_file)
{
	switch (option) {
	case WORKERS:
		return small_number("workers", value, FL_WORKERS_MAX, &o->workers);
	case LIMIT:
		return number("limit", value, 1, LIMIT_MAX, &o->limit);
	case MODEL:
		o->ranks = o->ranks != 0 ? o->ranks : RANKS_DEFAULT;
		if (strcmp(value, "mpi") == 0)
			return true;
		complain("--model: '%.40s' is not mpi; the other models run in any case", value);
		return false;
	case RANKS: {
		uint64_t ranks = 0;
		bool good = number("ranks", value, 2, RANKS_MAX, &ranks);
		o->ranks = (unsigned)ranks;
		return good;
	}
	case URLS:
		return text("urls", value, urls_file);
	case OUTPUT:
		return text("output", value, &o->output);
	case TIMEOUT:
		return small_number("timeout", value, TIMEOUT_MAX, &o->timeout);
	case FAULT:
		return fault_named(value, &o->fault);
	case CHAIRS:
		return small_number("chairs", value, CHAIRS_MAX, &o->chairs);
	case CUSTOMERS:
		return small_number("customers", value, CUSTOMERS_MAX, &o->customers);
	case PICTURES:
		return small_number("pictures", value, PICTURES_MAX, &o->pictures);
	case THREADS:
		return threads(value, o->threads);
	case CAPACITY: {
		uint64_t capacity = 0;
		bool good = number("capacity", value, 0, CAPACITY_MAX, &capacity);
		o->capacity = (unsigned)capacity;
		return good;
	}
	case SLOW:
		return stage_named(value, &o->slow);
	case SIZE:
		return size(value, &o->width, &o->height);
	case CENTER:
		return center(value, &o->re, &o->im);
	case ZOOM:
		return zoom(value, &o->zoom);
	case PAGES:
		return small_number("pages", value, PAGES_MAX, &o->pages);
	case BACKLOG:
		return small_number("backlog", value, CAPACITY_MAX, &o->backlog);
	case ITERATIONS:
		return small_number("iterations", value, ITERATIONS_MAX, &o->iterations);
	case JSON:
		if (value != NULL)
			return text("json", value, &o->json);
		o->json_only = true;
		return true;
	default:
		return text("html", value, &o->html);
	}
}

/* Getopt reports the wrong option in `optopt`: a letter, one of our codes, or 0 for a name. */
static void complain_of_option(char **argv, bool argument_missing)
{
	const char *argument = argv[optind - 1];
	if (argument_missing)
		complain("%s needs a value; see --help", argument);
	else if (optopt > 0 && optopt < WORKERS && optopt != 'h')
		complain("unknown option '-%c'; see --help", optopt);
	else if (optopt != 0)
		complain("'%.60s' takes no value; see --help", argument);
	else
		complain("unknown option '%.60s'; see --help", argument);
}

static bool take_job(struct options *o, int argc, char **argv, unsigned long given)
{
	unsigned long useful = without_job;
	if (argc - optind > 1) {
		complain("one job at a time: '%.40s' or '%.40s'", argv[optind], argv[optind + 1]);
		return false;
	}
	if (argc > optind) {
		size_t i = 0;
		while (i < sizeof jobs / sizeof *jobs && strcmp(argv[optind], jobs[i].name) != 0)
			i++;
		if (i == sizeof jobs / sizeof *jobs) {
			complain("unknown job '%.40s': there are primes, album, frames, mandelbrot, crawler, threads, "
			         "barber, pipeline, survivors",
			         argv[optind]);
			return false;
		}
		o->job = jobs[i].name;
		useful = jobs[i].options;
	}
	for (const struct option *option = known; option->name != NULL; option++) {
		if (option->val >= WORKERS && (given & BIT(option->val) & ~useful) != 0) {
			complain("--%s is of no use %s%s", option->name, o->job != NULL ? "to " : "without its job",
			         o->job != NULL ? o->job : "");
			return false;
		}
	}
	return true;
}

int options_read(struct options *o, int argc, char **argv)
{
	*o = (struct options){.limit = LIMIT_DEFAULT,
	                      .timeout = 10,
	                      .chairs = 3,
	                      .customers = 20,
	                      .pictures = PICTURES_MAX,
	                      .threads = {4, 2, 2, 1},
	                      .capacity = 2,
	                      .slow = STAGE_WRITE,
	                      .width = 1920,
	                      .height = 1080,
	                      .iterations = 500,
	                      .re = -0.75,
	                      .zoom = 1,
	                      .pages = 300,
	                      .backlog = 16};
	const char *urls_file = NULL;
	unsigned long given = 0;
	int option;
	opterr = 0; /* this file prints the messages */
	while ((option = getopt_long(argc, argv, ":h", known, NULL)) != -1) {
		if (option == 'h')
			return fputs(help, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
		if (option == '?' || option == ':') {
			complain_of_option(argv, option == ':');
			return USAGE_STATUS;
		}
		if (!take(o, option, optarg, &urls_file))
			return USAGE_STATUS;
		given |= BIT(option);
	}
	if (!take_job(o, argc, argv, given))
		return USAGE_STATUS;
	if ((given & BIT(RANKS)) != 0 && (given & BIT(MODEL)) == 0) {
		complain("--ranks goes with --model mpi");
		return USAGE_STATUS;
	}
	if (urls_file != NULL && o->fault != FAULT_NONE) {
		complain("--fault is about the demo's own server; it does not go with --urls");
		return USAGE_STATUS;
	}
	return urls_file == NULL || urls_read(urls_file, &o->urls, &o->url_count) ? -1 : USAGE_STATUS;
}

void options_free(struct options *o)
{
	for (size_t i = 0; i < o->url_count; i++)
		free(o->urls[i]);
	free(o->urls);
}
