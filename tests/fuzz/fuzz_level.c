/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The level of a line is one that is known; of a line without fields it is the first word that a byte-by-byte reading
 * finds. */
#include "server/distributor/level.h"

#include <ctype.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
	if (!ok) abort();
}

/* word, level */
static const char *const words[][2] = {{"trace", "trace"}, {"debug", "debug"},       {"info", "info"},
				       {"warn", "warn"},   {"warning", "warn"},      {"error", "error"},
				       {"err", "error"},   {"critical", "critical"}, {"fatal", "fatal"}};

static bool in_word(char c) { return isalnum((unsigned char)c) || c == '_'; }

static const char *first_word(struct str line)
{
	for (size_t i = 0; i < line.n;) {
		size_t end = i;
		while (end < line.n && in_word(line.p[end])) end++;
		for (size_t w = 0; w < sizeof words / sizeof *words; w++)
			if (str_ieq(str_sub(line, i, end), str_c(words[w][0]))) return words[w][1];
		i = end + 1;
	}
	return "unknown";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str line = str_of((const char *)data, size);
	struct arena conf, a;
	struct limits limits;
	struct level_rules rules;
	struct labels none = {0};
	arena_init(&conf, 0);
	arena_init(&a, 0);
	conf_defaults(&limits_table, &limits, &conf);
	level_rules_init(&rules, &limits);
	struct str got = level_detect(&rules, STR_NULL, &none, line, &a);
	bool known = str_eqc(got, "unknown");
	for (size_t w = 0; w < sizeof words / sizeof *words; w++) known |= str_eqc(got, words[w][1]);
	check(known);
	if (str_chr(line, '=') < 0 && str_chr(line, '{') < 0) check(str_eqc(got, first_word(line)));
	arena_free(&conf);
	arena_free(&a);
	return 0;
}
