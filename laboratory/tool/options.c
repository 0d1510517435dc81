/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line. An error is reported in one line, and ends the program with status 2. */
#include "tool.h"
#include <getopt.h>
#include <sched.h>

enum {
	JOBS_MAX = 256,
	LONGEST = 1000000, /* steps of an execution, at most */
};

enum {
	LOAD = 256,
	LIST,
	REPLAY,
	LITMUS,
	PLANTED,
	SELF_TEST,
	MUTANTS,
	TRAFFIC,
	SITES,
	EXPLAINED,
	OF_FILE,
	MODE,
	TIME,
	STRATEGY,
	STALE,
	STEPS,
	EXECUTIONS,
	FAULTS,
	KILLS,
	SEED,
	OVERSUBSCRIBE,
	JOBS,
	FAIL_FAST,
	HANG,
	JSON,
	JUNIT,
	HTML,
	NO_LEAKS
};

static const struct option known[] = {
    {"load", required_argument, NULL, LOAD},
    {"list", no_argument, NULL, LIST},
    {"replay", required_argument, NULL, REPLAY},
    {"litmus", required_argument, NULL, LITMUS},
    {"planted", no_argument, NULL, PLANTED},
    {"self-test", no_argument, NULL, SELF_TEST},
    {"mutants", no_argument, NULL, MUTANTS},
    {"traffic", no_argument, NULL, TRAFFIC},
    {"sites", required_argument, NULL, SITES},
    {"explained", required_argument, NULL, EXPLAINED},
    {"file", required_argument, NULL, OF_FILE},
    {"mode", required_argument, NULL, MODE},
    {"time", required_argument, NULL, TIME},
    {"strategy", required_argument, NULL, STRATEGY},
    {"stale", required_argument, NULL, STALE},
    {"steps", required_argument, NULL, STEPS},
    {"executions", required_argument, NULL, EXECUTIONS},
    {"faults", required_argument, NULL, FAULTS},
    {"kills", required_argument, NULL, KILLS},
    {"seed", required_argument, NULL, SEED},
    {"oversubscribe", required_argument, NULL, OVERSUBSCRIBE},
    {"jobs", required_argument, NULL, JOBS},
    {"fail-fast", no_argument, NULL, FAIL_FAST},
    {"hang", required_argument, NULL, HANG},
    {"verbose", no_argument, NULL, 'v'},
    {"json", optional_argument, NULL, JSON},
    {"junit", required_argument, NULL, JUNIT},
    {"html", required_argument, NULL, HTML},
    {"no-leaks", no_argument, NULL, NO_LEAKS},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static bool take_modes(struct options *o, char *list)
{
	memset(o->modes, 0, sizeof o->modes);
	o->pick_modes = true;
	for (char *word; (word = next_word(&list)) != NULL;) {
		unsigned mode = 0;
		while (mode < MODES && strcmp(word, mode_name((enum mode)mode)) != 0)
			mode++;
		if (mode == MODES) {
			complain("--mode: '%.40s' is none of native, chaos, model, crash, lin", word);
			return false;
		}
		o->modes[mode] = true;
	}
	return true;
}

static bool take_faults(struct options *o, char *list)
{
	static const struct {
		const char *name;
		unsigned bit;
	} faults[] = {{"spurious", LAB_FAULT_SPURIOUS}, {"eintr", LAB_FAULT_EINTR}, {"eagain", LAB_FAULT_EAGAIN},
	              {"timeout", LAB_FAULT_TIMEOUT},   {"weak", LAB_FAULT_WEAK},   {"delay", 0}};
	const size_t n = sizeof faults / sizeof *faults;
	o->model.fault_mask = 0;
	o->delays = false;
	if (strcmp(list, "none") == 0)
		return true;
	for (char *word; (word = next_word(&list)) != NULL;) {
		if (strcmp(word, "kill") == 0) {
			complain("--faults: 'kill' is a mode of its own: --mode crash, with --kills N");
			return false;
		}
		size_t i = 0;
		while (i < n && strcmp(word, faults[i].name) != 0)
			i++;
		if (i == n) {
			complain("--faults: '%.40s' is none of spurious, eintr, eagain, timeout, weak, delay; nor is "
			         "it the one word none",
			         word);
			return false;
		}
		o->model.fault_mask |= faults[i].bit;
		o->delays = o->delays || faults[i].bit == 0;
	}
	return true;
}

static bool take_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *n)
{
	if (parse_number(text, least, most, n))
		return true;
	complain("--%s: '%.40s' is not a number from %lu to %lu", name, text, least, most);
	return false;
}

static bool take_time(const char *name, const char *text, int64_t *ns)
{
	if (parse_time(text, ns))
		return true;
	complain("--%s: '%.40s' is not a time such as 500ms, 10s, 2m", name, text);
	return false;
}

static bool take_strategy(struct options *o, const char *text)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : strlen(text);
	const char *rest = colon ? colon + 1 : NULL;
	uint64_t number = 0;
	struct lab_config *c = &o->model;
	if (n == 4 && strncmp(text, "auto", n) == 0 && !rest) {
		c->strategy = LAB_AUTO;
	} else if (n == 6 && strncmp(text, "graphs", n) == 0 && !rest) {
		c->strategy = LAB_GRAPH;
	} else if (n == 6 && strncmp(text, "random", n) == 0 && !rest) {
		c->strategy = LAB_RANDOM;
	} else if (n == 3 && strncmp(text, "pct", n) == 0 && (!rest || parse_number(rest, 1, 100, &number))) {
		c->strategy = LAB_PCT;
		c->depth = rest ? (unsigned)number : c->depth;
	} else if (n == 3 && strncmp(text, "dfs", n) == 0 && rest && strcmp(rest, "all") == 0) {
		c->strategy = LAB_DFS;
		c->preemptions = c->stale = LAB_UNBOUNDED;
	} else if (n == 3 && strncmp(text, "dfs", n) == 0 && (!rest || parse_number(rest, 0, 1000, &number))) {
		c->strategy = LAB_DFS;
		c->preemptions = rest ? (int)number : c->preemptions;
	} else {
		complain("--strategy: '%.40s' is none of auto, dfs, dfs:N, dfs:all, graphs, random, pct, pct:D", text);
		return false;
	}
	return true;
}

static bool take_name(const char *name, const char *value, const char **to)
{
	if (value[0] == '\0')
		complain("--%s needs a name that is not empty", name);
	*to = value;
	return value[0] != '\0';
}

static bool take_load(struct options *o, const char *value)
{
	if (o->n_loads == LOADS_MAX) {
		complain("--load: at most %d files", LOADS_MAX);
		return false;
	}
	return take_name("load", value, &o->loads[o->n_loads++]);
}

/* An action other than a normal run; two of them exclude each other. */
static bool take_action(struct options *o, int action, const char *name)
{
	if (o->action != DO_RUN && (int)o->action != action) {
		complain("--%s does not go with another of --list, --litmus, --self-test, --mutants, --traffic", name);
		return false;
	}
	o->action = action;
	return true;
}

static bool take_count(struct options *o, int option, const char *value)
{
	uint64_t n = 0;
	switch (option) {
	case STALE:
		if (!take_number("stale", value, 0, 1000, &n))
			return false;
		o->model.stale = (int)n;
		return true;
	case STEPS:
		if (!take_number("steps", value, 1, LONGEST, &n))
			return false;
		o->model.max_steps = (uint32_t)n;
		return true;
	case EXECUTIONS:
		return take_number("executions", value, 1, UINT64_MAX, &o->model.max_executions);
	case KILLS:
		if (!take_number("kills", value, 1, FL_STRESS_ACTORS, &n))
			return false;
		o->kills = (int)n;
		return true;
	case SEED:
		return take_number("seed", value, 0, UINT64_MAX, &o->model.seed);
	case OVERSUBSCRIBE:
		if (!take_number("oversubscribe", value, 1, NATIVE_COPIES, &n))
			return false;
		o->copies = (unsigned)n;
		return true;
	default:
		if (!take_number("jobs", value, 1, JOBS_MAX, &n))
			return false;
		o->jobs = (unsigned)n;
		return true;
	}
}

static bool take_output(struct options *o, int option, const char *value)
{
	switch (option) {
	case 'v':
		return o->verbose = true;
	case JSON:
		o->json_only = value == NULL;
		return o->json_only || take_name("json", value, &o->json);
	case JUNIT:
		return take_name("junit", value, &o->junit);
	case HTML:
		return take_name("html", value, &o->html);
	case SITES:
		return take_name("sites", value, &o->sites);
	case OF_FILE:
		return take_name("file", value, &o->file);
	default:
		return take_name("explained", value, &o->explained);
	}
}

static bool take(struct options *o, int option, char *value)
{
	switch (option) {
	case LOAD:
		return take_load(o, value);
	case LIST:
		return take_action(o, DO_LIST, "list");
	case REPLAY:
		o->model.strategy = LAB_REPLAY;
		return take_name("replay", value, &o->model.replay);
	case LITMUS:
		return take_action(o, DO_LITMUS, "litmus") && take_name("litmus", value, &o->litmus);
	case PLANTED:
		return o->planted = true;
	case SELF_TEST:
		return take_action(o, DO_SELF_TEST, "self-test");
	case MUTANTS:
		return take_action(o, DO_MUTANTS, "mutants");
	case TRAFFIC:
		return take_action(o, DO_TRAFFIC, "traffic");
	case MODE:
		return take_modes(o, value);
	case TIME:
		return take_time("time", value, &o->time);
	case HANG:
		return take_time("hang", value, &o->hang);
	case STRATEGY:
		return take_strategy(o, value);
	case FAULTS:
		return take_faults(o, value);
	case NO_LEAKS:
		return o->model.no_leaks = true;
	case FAIL_FAST:
		return o->fail_fast = true;
	case STALE:
	case STEPS:
	case EXECUTIONS:
	case KILLS:
	case SEED:
	case OVERSUBSCRIBE:
	case JOBS:
		return take_count(o, option, value);
	default:
		return take_output(o, option, value);
	}
}

/* getopt reports the wrong option in `optopt`: a letter, one of our codes, or 0 for a name. */
static void complain_of_option(char **argv, bool argument_missing)
{
	const char *argument = argv[optind - 1];
	if (argument_missing)
		complain("%s needs a value; see --help", argument);
	else if (optopt > 0 && optopt < LOAD && optopt != 'h' && optopt != 'v')
		complain("unknown option '-%c'; see --help", optopt);
	else if (optopt != 0)
		complain("'%.60s' takes no value; see --help", argument);
	else
		complain("unknown option '%.60s'; see --help", argument);
}

/* Whether the execution of a replay string has a kill: "c12k1". */
static bool kills(const char *replay)
{
	for (const char *s = strchr(replay, '/'); s && s[0] && s[1]; s++)
		if (s[0] >= '0' && s[0] <= '9' && s[1] == 'k')
			return true;
	return false;
}

/* Checks which options exclude each other. */
static bool agree(struct options *o)
{
	if (o->model.replay && o->action != DO_RUN) {
		complain("--replay does not go with --list, --litmus, --self-test, --mutants or --traffic");
		return false;
	}
	if (o->model.replay && o->pick_modes && (o->modes[MODE_NATIVE] || o->modes[MODE_CHAOS])) {
		complain("--replay is of the model: it does not go with another --mode");
		return false;
	}
	if (o->kills && o->pick_modes && !o->modes[MODE_CRASH]) {
		complain("--kills is of crash mode: it does not go with another --mode alone");
		return false;
	}
	if (o->model.replay && o->pick_modes && o->modes[MODE_MODEL] && kills(o->model.replay)) {
		complain("--replay: in that string a process is killed: it goes with --mode crash");
		return false;
	}
	const char *hash = o->model.replay ? strrchr(o->model.replay, '/') : NULL;
	if (o->model.replay && (!hash || strchr(o->model.replay, '/') == hash)) {
		complain("--replay: '%.60s' is no string of a report: NAME/CHOICES/FINGERPRINT", o->model.replay);
		return false;
	}
	if (o->action == DO_SELF_TEST && o->n_loads > 0) {
		complain("--self-test does not go with --load: it is of the laboratory's own");
		return false;
	}
	if (o->planted && o->n_loads > 0) {
		complain("--planted does not go with --load: it names scenarios of its own");
		return false;
	}
	if (o->action != DO_RUN && o->pick_modes) {
		complain("--mode is of a normal run");
		return false;
	}
	if ((o->action == DO_LIST || o->action == DO_LITMUS || o->action == DO_TRAFFIC) && (o->json || o->json_only)) {
		complain("--json does not go with --list, --litmus or --traffic");
		return false;
	}
	if (o->action == DO_LITMUS && o->n_patterns > 0) {
		complain("--litmus runs all programs of its file: there is no use for '%s'", o->patterns[0]);
		return false;
	}
	if (o->action != DO_MUTANTS && (o->sites || o->explained || o->file)) {
		complain("--%s goes with --mutants alone", o->sites ? "sites" : o->explained ? "explained" : "file");
		return false;
	}
	if ((o->junit || o->html) && o->action != DO_RUN) {
		complain("--%s is of a normal run", o->junit ? "junit" : "html");
		return false;
	}
	return true;
}

/* Words before `--` that are sources make a program; the words after it are its arguments. */
static bool take_program(struct options *o, unsigned behind)
{
	const unsigned before = o->n_patterns - behind;
	for (unsigned i = 0; i < before; i++) {
		if (!is_source(o->patterns[i]))
			continue;
		if (o->n_sources == SOURCES_MAX) {
			complain("at most %d sources make a program", SOURCES_MAX);
			return false;
		}
		o->sources[o->n_sources++] = o->patterns[i];
	}
	if (o->n_sources > 0 && o->n_sources < before) {
		complain("a pattern does not go with the sources of a program");
		return false;
	}
	if (o->n_sources > 0 && (o->n_loads > 0 || o->planted || o->action == DO_SELF_TEST || o->action == DO_LITMUS)) {
		complain("the sources of a program do not go with --load, --planted, --self-test or --litmus");
		return false;
	}
	if (o->n_sources == 0 && o->n_loads == 0)
		return true;
	o->arguments = o->patterns + before;
	o->n_arguments = behind;
	o->n_patterns = o->n_sources > 0 ? 0 : before;
	return true;
}

/* The number of words after the first `--`. */
static unsigned words_behind(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			return (unsigned)(argc - i - 1);
	return 0;
}

static unsigned usable_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
	return n < 1 ? 1 : n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
}

int options_read(struct options *o, int argc, char **argv)
{
	*o = (struct options){.modes = {true, true, true, true, true}, .hang = 5 * SECOND, .delays = true, .copies = 1};
	o->jobs = usable_cpus();
	o->model = LAB_CONFIG_DEFAULT;
	o->program = argv[0];
	int option;
	const unsigned behind = words_behind(argc, argv);
	opterr = 0;                                                            /* printed below */
	while ((option = getopt_long(argc, argv, ":hv", known, NULL)) != -1) { // NOLINT(concurrency-mt-unsafe)
		if (option == 'h')
			return fputs(options_help, stdout) < 0 || fflush(stdout) != 0 ? STATUS_FAILED : STATUS_OK;
		if (option == '?' || option == ':') {
			complain_of_option(argv, option == ':');
			return STATUS_USAGE;
		}
		if (!take(o, option, optarg))
			return STATUS_USAGE;
	}
	o->patterns = argv + optind;
	o->n_patterns = (unsigned)(argc - optind);
	if (!take_program(o, behind) || !agree(o))
		return STATUS_USAGE;
	if (o->kills == 0)
		o->kills = 1;
	if (o->time == 0)
		o->time = o->action == DO_MUTANTS ? 600 * SECOND : o->n_sources > 0 ? 10 * SECOND : 60 * SECOND;
	if (o->model.replay) {
		bool crash = kills(o->model.replay) || (o->pick_modes && o->modes[MODE_CRASH]);
		o->model.strategy = LAB_REPLAY;
		memset(o->modes, 0, sizeof o->modes);
		o->modes[crash ? MODE_CRASH : MODE_MODEL] = true;
		o->modes[MODE_LIN] = !crash; /* the kind of the test decides */
	}
	return -1;
}
