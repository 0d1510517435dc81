/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints and parses schedules as text: choice.h describes the format. */
#include "choice.h"
#include <inttypes.h>

static const char letters[] = "=rfwiokp"; /* one for each enum lab_choice_kind */

const char *lab_thread_letters(unsigned thread, char text[3])
{
	char *at = text;
	if (thread >= 26)
		*at++ = (char)('A' + thread / 26 - 1);
	*at++ = (char)('a' + thread % 26);
	*at = '\0';
	return text;
}

static int print_token(const struct lab_token *t, char *text, size_t size)
{
	char thread[3], pick[3];
	if (t->kind == LAB_PICK_THREAD)
		return snprintf(text, size, "%s%" PRIu32 "=%s", lab_thread_letters(t->thread, thread), t->ops,
		                lab_thread_letters(t->pick, pick));
	return snprintf(text, size, "%s%" PRIu32 "%c%u", lab_thread_letters(t->thread, thread), t->ops,
	                letters[t->kind], (unsigned)t->pick);
}

void lab_schedule_print(const struct lab_schedule *schedule, uint64_t hash, char *text)
{
	size_t used = (size_t)snprintf(text, LAB_REPLAY_TEXT, "%s/", lab_running->test->name);
	for (unsigned i = 0; i < schedule->n && used < LAB_REPLAY_TEXT - 64; i++) {
		if (i > 0)
			text[used++] = ',';
		used += (size_t)print_token(&schedule->tokens[i], text + used, LAB_REPLAY_TEXT - used);
	}
	snprintf(text + used, LAB_REPLAY_TEXT - used, "/%016" PRIx64, hash);
}

static bool parse_thread(const char **text, uint8_t *thread)
{
	const char *s = *text;
	unsigned n = 0;
	if (*s >= 'A' && *s <= 'Z')
		n = 26 * (unsigned)(*s++ - 'A' + 1);
	if (*s < 'a' || *s > 'z')
		return false;
	n += (unsigned)(*s++ - 'a');
	*text = s;
	*thread = (uint8_t)n;
	return n < LAB_THREADS;
}

static bool parse_token(const char **text, struct lab_token *t)
{
	const char *s = *text;
	if (!parse_thread(&s, &t->thread))
		return false;
	char *end;
	t->ops = (uint32_t)strtoul(s, &end, 10);
	const char *letter = end > s && *end ? strchr(letters, *end) : NULL;
	if (!letter)
		return false;
	t->kind = (uint8_t)(letter - letters);
	s = end + 1;
	if (t->kind == LAB_PICK_THREAD) {
		if (!parse_thread(&s, &t->pick))
			return false;
	} else {
		t->pick = (uint8_t)strtoul(s, &end, 10);
		if (end == s)
			return false;
		s = end;
	}
	*text = s;
	return true;
}

bool lab_schedule_parse(const char *text, struct lab_schedule *schedule, uint64_t *hash)
{
	schedule->n = 0;
	schedule->overflow = false;
	const char *s = strchr(text, '/');
	if (!s)
		return false;
	s++;
	while (*s != '/') {
		if (schedule->n == LAB_TOKENS || !parse_token(&s, &schedule->tokens[schedule->n++]))
			return false;
		if (*s == ',')
			s++;
		else if (*s != '/')
			return false;
	}
	char *end;
	*hash = strtoull(s + 1, &end, 16);
	return end > s + 1 && *end == '\0';
}
