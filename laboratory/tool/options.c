/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line. An error is reported in one line, and ends the program with status 2. */
#include "tool.h"
#include <getopt.h>
#include <sched.h>
#include <sys/stat.h>

enum {
	JOBS_MAX = 256,
	LONGEST = 1000000, /* the most steps that an execution may be given */
};

/*
 * What getopt returns for a word, for --version, and for the first option of `known`. These values
 * are not letters.
 */
enum { WORD = 1, VERSION, FIRST = 256 };

/*
 * Words are returned in their order. Every letter except h and v begins an option of the compiler.
 */
static const char letters[] = "-:hvA::B::C::D::E::F::G::H::I::J::K::L::M::N::O::P::Q::R::S::T::U::V::W::X::Y::Z::"
			      "a::b::c::d::e::f::g::i::j::k::l::m::n::o::p::q::r::s::t::u::w::x::y::z::";

static bool take_modes(struct options *o, char *list)
{
	memset(o->modes, 0, sizeof o->modes);
	o->pick_modes = true;
	do {
		char *word = list;
		const int mode = getsubopt(&list, (char *const *)mode_names, &word);
		if (mode < 0)
			return complain("--mode: '%.40s' is none of native, chaos, model, crash, lin", word);
		o->modes[mode] = true;
	} while (*list);
	return true;
}

static bool take_faults(struct options *o, char *list)
{
	enum { DELAY = 2 * LAB_FAULT_PARTIAL, KILL = 2 * DELAY };
	/* in the order of the bits LAB_FAULT_..., DELAY, KILL */
	static const char *const faults[] = {"spurious", "eintr", "eagain", "timeout", "weak",
	                                     "partial",  "delay", "kill",   NULL};
	unsigned given = 0;
	if (strcmp(list, "none") != 0)
		do {
			char *word = list;
			const int fault = getsubopt(&list, (char *const *)faults, &word);
			if (fault < 0)
				return complain("--faults: '%.40s' is none of spurious, eintr, eagain, timeout, weak, "
				                "partial, delay; nor is it the one word none",
				                word);
			given |= 1u << fault;
		} while (*list);
	if (given & KILL)
		return complain("--faults: 'kill' is a mode of its own: --mode crash, with --kills N");
	o->delays = given & DELAY;
	o->model.fault_mask = given & (DELAY - 1);
	return true;
}

static bool take_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *n)
{
	return parse_number(text, least, most, n) ||
	       complain("--%s: '%.40s' is not a number from %lu to %lu", name, text, least, most);
}

static bool take_time(const char *name, const char *text, int64_t *ns)
{
	return parse_time(text, ns) || complain("--%s: '%.40s' is not a time such as 500ms, 10s, 2m", name, text);
}

/* The strategies, and which of them take numbers behind a colon. */
static const struct {
	const char *name;
	enum lab_strategy strategy;
	uint64_t least, most;
} strategies[] = {{"auto", LAB_AUTO, 1, 0},
                  {"graphs", LAB_GRAPH, 1, 0},
                  {"random", LAB_RANDOM, 1, 0},
                  {"pct", LAB_PCT, 1, 100},
                  {"dfs", LAB_DFS, 0, 1000}};

static bool take_strategy(struct options *o, char *text)
{
	struct lab_config *c = &o->model;
	const bool all = strcmp(text, "dfs:all") == 0;
	const size_t n = strcspn(text, ":");
	LAB_EACH (i, strategies) {
		uint64_t number = strategies[i].strategy == LAB_PCT ? c->depth : (unsigned)c->preemptions;
		if (strlen(strategies[i].name) != n || strncmp(text, strategies[i].name, n) != 0 ||
		    (text[n] && !all && !parse_number(text + n + 1, strategies[i].least, strategies[i].most, &number)))
			continue;
		c->strategy = strategies[i].strategy;
		if (c->strategy == LAB_PCT)
			c->depth = (unsigned)number;
		else
			c->preemptions = (int)number;
		if (all)
			c->preemptions = c->stale = LAB_UNBOUNDED;
		return true;
	}
	return complain("--strategy: '%.40s' is none of auto, dfs, dfs:N, dfs:all, graphs, random, pct, pct:D", text);
}

static bool take_std(struct options *o, char *name)
{
	o->picks_std = true;
	o->model.rmw_sequences = strcmp(name, "c++20") == 0;
	return o->model.rmw_sequences || strcmp(name, "c11") == 0 ||
	       complain("--std: '%.40s' is none of c11, c++20", name);
}

static bool take_model(struct options *o, char *name)
{
	o->model.sc = strcmp(name, "sc") == 0;
	return o->model.sc || strcmp(name, "rc11") == 0 || complain("--model: '%.40s' is none of rc11, sc", name);
}

static bool take_name(const char *name, const char *value, const char **to)
{
	*to = value;
	return value[0] || complain("--%s needs a name that is not empty", name);
}

static void append(char **list, char *word)
{
	while (*list)
		list++;
	*list = word;
}

static bool take_load(struct options *o, char *value)
{
	const char *file;
	append(o->loads, value);
	return take_name("load", value, &file);
}

/* Takes an action other than a normal run. Only one such action may be given. */
static bool take_action(struct options *o, int action, const char *name)
{
	if (o->action != DO_RUN && (int)o->action != action)
		return complain("--%s does not go with another of --list, --litmus, --self-test, --mutants, --traffic",
		                name);
	o->action = action;
	return true;
}

static bool take_litmus(struct options *o, char *value)
{
	return take_action(o, DO_LITMUS, "litmus") && take_name("litmus", value, &o->litmus);
}

static bool take_json(struct options *o, char *value)
{
	o->json_only = value == NULL;
	return o->json_only || take_name("json", value, &o->json);
}

#define AT(field) offsetof(struct options, field)

static const struct known {
	const char *name;
	enum { FLAG, ACTION, OPTIONAL, NAME, TIME, COUNT, LONG_COUNT, OTHER } takes;
	size_t to; /* where the value goes in struct options; for ACTION, the action */
	uint64_t least, most;
	bool (*take)(struct options *o, char *value); /* for OPTIONAL and OTHER */
} known[] = {
    {"load", OTHER, .take = take_load},
    {"list", ACTION, DO_LIST},
    {"replay", NAME, AT(model.replay)},
    {"litmus", OTHER, .take = take_litmus},
    {"planted", FLAG, AT(planted)},
    {"self-test", ACTION, DO_SELF_TEST},
    {"mutants", ACTION, DO_MUTANTS},
    {"traffic", ACTION, DO_TRAFFIC},
    {"sites", NAME, AT(sites)},
    {"explained", NAME, AT(explained)},
    {"file", NAME, AT(file)},
    {"mode", OTHER, .take = take_modes},
    {"time", TIME, AT(time)},
    {"strategy", OTHER, .take = take_strategy},
    {"stale", COUNT, AT(model.stale), 0, 1000},
    {"steps", COUNT, AT(model.max_steps), 1, LONGEST},
    {"executions", LONG_COUNT, AT(model.max_executions), 1, UINT64_MAX},
    {"faults", OTHER, .take = take_faults},
    {"kills", COUNT, AT(kills), 1, FL_STRESS_ACTORS},
    {"seed", LONG_COUNT, AT(model.seed), 0, UINT64_MAX},
    {"oversubscribe", COUNT, AT(copies), 1, NATIVE_COPIES},
    {"jobs", COUNT, AT(jobs), 1, JOBS_MAX},
    {"fail-fast", FLAG, AT(fail_fast)},
    {"hang", TIME, AT(hang)},
    {"json", OPTIONAL, .take = take_json},
    {"junit", NAME, AT(results[JUNIT])},
    {"html", NAME, AT(results[HTML])},
    {"sarif", NAME, AT(results[SARIF])},
    {"watch", FLAG, AT(watch)},
    {"std", OTHER, .take = take_std},
    {"verbose", FLAG, AT(verbose)},
    {"no-leaks", FLAG, AT(model.no_leaks)},
    {"model", OTHER, .take = take_model},
    {"one-cpu", FLAG, AT(model.one_cpu)},
    {"safety", FLAG, AT(model.safety)},
};

enum { KNOWN = sizeof known / sizeof known[0] };

/* Returns the options for getopt: those of `known`, and two that set nothing. */
static const struct option *for_getopt(void)
{
	static struct option options[KNOWN + 3] = {[KNOWN] = {"help", no_argument, NULL, 'h'},
	                                           {"version", no_argument, NULL, VERSION}};
	for (int i = 0; i < KNOWN; i++)
		options[i] = (struct option){known[i].name,
		                             known[i].takes <= ACTION     ? no_argument
		                             : known[i].takes == OPTIONAL ? optional_argument
		                                                          : required_argument,
		                             NULL, FIRST + i};
	return options;
}

static bool take(struct options *o, const struct known *k, char *value)
{
	void *to = (char *)o + k->to;
	uint64_t n = 0;
	switch (k->takes) {
	case FLAG:
		return *(bool *)to = true;
	case ACTION:
		return take_action(o, (int)k->to, k->name);
	case NAME:
		return take_name(k->name, value, to);
	case TIME:
		return take_time(k->name, value, to);
	case LONG_COUNT:
		return take_number(k->name, value, k->least, k->most, to);
	case COUNT:
		if (!take_number(k->name, value, k->least, k->most, &n))
			return false;
		*(unsigned *)to = (unsigned)n;
		return true;
	default:
		return k->take(o, value);
	}
}

/*
 * Reports a wrong option. getopt says in `optopt` which one it is: a letter, one of our codes, or 0
 * for a name.
 */
static void complain_of_option(char **argv, bool argument_missing)
{
	const char *argument = argv[optind - 1];
	if (argument_missing)
		complain("%s needs a value; see --help", argument);
	else if (optopt > VERSION && optopt < FIRST && optopt != 'h' && optopt != 'v')
		complain("unknown option '-%c'; see --help", optopt);
	else if (optopt != 0)
		complain("'%.60s' takes no value; see --help", argument);
	else
		complain("unknown option '%.60s'; see --help", argument);
}

/* Whether the execution of a replay string has a kill, such as "c12k1". */
static bool kills(const char *replay)
{
	for (const char *s = strchr(replay, '/'); s && s[0] && s[1]; s++)
		if (s[0] >= '0' && s[0] <= '9' && s[1] == 'k')
			return true;
	return false;
}

/* Checks that no options exclude each other. */
static bool agree(struct options *o)
{
	if (o->model.replay && o->action != DO_RUN)
		return complain("--replay does not go with --list, --litmus, --self-test, --mutants or --traffic");
	if (o->model.replay && o->pick_modes && (o->modes[MODE_NATIVE] || o->modes[MODE_CHAOS]))
		return complain("--replay is of the model: it does not go with another --mode");
	if (o->kills && o->pick_modes && !o->modes[MODE_CRASH])
		return complain("--kills is of crash mode: it does not go with another --mode alone");
	if (o->model.replay && o->pick_modes && o->modes[MODE_MODEL] && kills(o->model.replay))
		return complain("--replay: in that string a process is killed: it goes with --mode crash");
	const char *hash = o->model.replay ? strrchr(o->model.replay, '/') : NULL;
	if (o->model.replay && (!hash || strchr(o->model.replay, '/') == hash))
		return complain("--replay: '%.60s' is no string of a report: NAME/CHOICES/FINGERPRINT",
		                o->model.replay);
	if (o->action == DO_SELF_TEST && *o->loads)
		return complain("--self-test does not go with --load: it is of the laboratory's own");
	if (o->planted && *o->loads)
		return complain("--planted does not go with --load: it names scenarios of its own");
	if (o->action != DO_RUN && o->pick_modes)
		return complain("--mode is of a normal run");
	if ((o->action == DO_LIST || o->action == DO_LITMUS || o->action == DO_TRAFFIC) && (o->json || o->json_only))
		return complain("--json does not go with --list, --litmus or --traffic");
	if (o->action == DO_LITMUS && *o->patterns)
		return complain("--litmus runs all programs of its file: there is no use for '%s'", *o->patterns);
	for (char **pattern = o->patterns; *pattern; pattern++) {
		struct stat s;
		if (stat(*pattern, &s) == 0 && S_ISREG(s.st_mode))
			return complain(
			    "'%.60s' is a file, but no source; --load takes modules, and '*NAME*' is a pattern",
			    *pattern);
	}
	if (o->action != DO_MUTANTS && (o->sites || o->explained || o->file))
		return complain("--%s goes with --mutants alone", o->sites       ? "sites"
		                                                  : o->explained ? "explained"
		                                                                 : "file");
	LAB_EACH (i, format_names)
		if (o->results[i] && o->action != DO_RUN)
			return complain("--%s is of a normal run", format_names[i]);
	return !o->watch || o->first || *o->loads ||
	       complain("--watch goes with the sources of a program, or with --load");
}

/* Whether the value of an option of the compiler is the next word. */
static bool value_follows(const char *word)
{
	return matches(
	    word, "-@(-param|B|D|I|L|MF|MQ|MT|T|U|Xassembler|Xclang|Xlinker|Xpreprocessor|idirafter|imacros|include|"
		  "iquote|isystem|l|o|target|u|x|z)");
}

/* Whether a word that getopt does not know is for the compiler. */
static bool is_long_flag(const char *word)
{
	return matches(word, "--@(coverage|param|param=*|sysroot=*|target=*|gcc-toolchain=*)");
}

/* Returns the list to which the word belongs. */
static char **list_of(const struct options *o, const char *word)
{
	if (matches(word, "-?*"))
		return matches(word, "-@(l*|L*|Wl,*|Xlinker|u|z)") ? o->inputs : o->flags;
	return matches(word, "*.@(c|cc|cpp|cxx)") ? o->sources : matches(word, "*.@(o|a|so)") ? o->inputs : o->patterns;
}

/*
 * Takes a word before `--`; with `two`, the next word is its value. The name of the output is
 * ignored.
 */
static void take_word(struct options *o, char **word, bool two)
{
	char **list = list_of(o, *word);
	if (**word != '-' && list != o->patterns && !o->first)
		o->first = *word;
	if (list == o->sources && !o->picks_std && !matches(*word, "*.c"))
		o->model.rmw_sequences = true;
	for (int i = 0; i <= two && strcmp(*word, "-o") != 0; i++)
		append(list, word[i]);
}

/*
 * Takes the words of a program. The words behind `--` are its arguments. If there is no program,
 * they are patterns, too.
 */
static bool take_program(struct options *o, char **behind)
{
	const char *option = *o->flags ? *o->flags : *o->inputs;
	if (o->first && *o->patterns)
		return complain(
		    "'%.60s' is no source, object or library of a program; the words for its main() come behind --",
		    *o->patterns);
	if (o->first && (*o->loads || o->planted || o->action == DO_SELF_TEST || o->action == DO_LITMUS))
		return complain("the sources of a program do not go with --load, --planted, --self-test or --litmus");
	if (option && !o->first && !*o->loads)
		return complain("unknown option '%.60s'; see --help", option);
	o->arguments = behind;
	while (!o->first && !*o->loads && *behind)
		append(o->patterns, *behind++);
	return true;
}

static unsigned usable_cpus(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
	return n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
}

int options_read(struct options *o, int argc, char **argv)
{
	*o = (struct options){.modes = {true, true, true, true, true}, .hang = 5 * SECOND, .delays = true, .copies = 1};
	o->jobs = usable_cpus();
	o->model = LAB_CONFIG_DEFAULT;
	o->program = argv[0];
	o->argc = (unsigned)argc;
	char ***const lists[] = {&o->flags, &o->inputs, &o->sources, &o->loads, &o->patterns};
	LAB_EACH (i, lists)
		*lists[i] = zeroed(o->argc, sizeof *argv);
	int option;
	/* so that getopt prints nothing; errors are printed below */
	opterr = 0;
	while ((option = getopt_long(argc, argv, letters, for_getopt(), NULL)) != -1) { // NOLINT(concurrency-mt-unsafe)
		const char *text = option == 'h'       ? options_help
		                   : option == VERSION ? "fairlead-stress " STRESS_VERSION "\n"
		                                       : NULL;
		if (text)
			return fputs(text, stdout) < 0 || fflush(stdout) != 0 ? STATUS_FAILED : STATUS_OK;
		if ((option == '?' && !is_long_flag(argv[optind - 1])) || option == ':') {
			complain_of_option(argv, option == ':');
			return STATUS_USAGE;
		}
		if (option == 'v') {
			o->verbose = true;
		} else if (option < FIRST) {
			const bool two = value_follows(argv[optind - 1]) && optind < argc;
			take_word(o, argv + optind - 1, two);
			optind += two;
		} else if (!take(o, &known[option - FIRST], optarg)) {
			return STATUS_USAGE;
		}
	}
	if (!take_program(o, argv + optind) || !agree(o))
		return STATUS_USAGE;
	o->kills = o->kills ?: 1;
	if (o->time == 0)
		o->time = o->action == DO_MUTANTS ? 600 * SECOND : o->first ? 10 * SECOND : 60 * SECOND;
	if (o->model.replay) {
		bool crash = kills(o->model.replay) || (o->pick_modes && o->modes[MODE_CRASH]);
		o->model.strategy = LAB_REPLAY;
		memset(o->modes, 0, sizeof o->modes);
		o->modes[crash ? MODE_CRASH : MODE_MODEL] = true;
		o->modes[MODE_LIN] = !crash; /* the kind of the test decides */
	}
	return -1;
}
