/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/distributor/level.h"

#include "common/json.h"
#include "pipeline/extract/logfmt.h"


/* Spellings of a level, any case. `word`: also recognised as a bare word of a line. */
static const struct {
	struct str text, level;
	bool word;
} spellings[] = {
	{STR("trace"), STR("trace"), true},      {STR("trc"), STR("trace"), false},
	{STR("debug"), STR("debug"), true},      {STR("dbg"), STR("debug"), false},
	{STR("info"), STR("info"), true},        {STR("inf"), STR("info"), false},
	{STR("information"), STR("info"), false}, {STR("warn"), STR("warn"), true},
	{STR("warning"), STR("warn"), true},     {STR("wrn"), STR("warn"), false},
	{STR("error"), STR("error"), true},      {STR("err"), STR("error"), true},
	{STR("critical"), STR("critical"), true}, {STR("fatal"), STR("fatal"), true},
};
#define SPELLINGS (sizeof spellings / sizeof *spellings)

static struct str normalise(struct str s, bool words_only)
{
	for (size_t i = 0; i < SPELLINGS; i++)
		if ((spellings[i].word || !words_only) && str_ieq(s, spellings[i].text)) return spellings[i].level;
	return STR_NULL;
}

static bool is_field(const struct limits *l, struct str name)
{
	for (size_t i = 0; i < l->log_level_fields.n; i++)
		if (str_eq(l->log_level_fields.v[i], name)) return true;
	return false;
}

/* Values of labels and metadata keep a spelling that is not known. */
static struct str from_set(const struct limits *l, const struct labels *set)
{
	for (size_t i = 0; i < l->log_level_fields.n; i++) {
		struct str v = labels_get(set, l->log_level_fields.v[i]);
		if (!v.p) continue;
		struct str known = normalise(v, false);
		return known.p ? known : v;
	}
	return STR_NULL;
}

struct str level_of_labels(const struct limits *l, const struct labels *labels) { return from_set(l, labels); }

/* Walks a JSON object down to the given depth; the first field with a level's name decides. */
static struct str from_json(const struct limits *l, struct str line, struct arena *a)
{
	struct err e = ERR_INIT;
	struct json j;
	json_init(&j, line, &e);
	if (json_next(&j) != JSON_OBJ_OPEN) return STR_NULL;
	int64_t depth = 1;
	while (depth > 0) {
		enum json_tok t = json_next(&j);
		if (t == JSON_OBJ_CLOSE) {
			depth--;
			continue;
		}
		if (t != JSON_KEY) return STR_NULL;
		struct str key = j.text;
		if (!j.escaped && is_field(l, key)) {
			if (json_next(&j) != JSON_STRING) return STR_NULL;
			struct buf text = {0};
			struct str v = json_text(&j, &text);
			if (j.escaped) v = arena_str(a, v);
			buf_free(&text);
			return v;
		}
		/* Peek at the value: an object above the depth limit is entered, everything else is skipped. */
		struct json at = j;
		if (depth < l->log_level_from_json_max_depth && json_next(&j) == JSON_OBJ_OPEN) {
			depth++;
			continue;
		}
		j = at;
		if (!json_skip(&j)) return STR_NULL;
	}
	return STR_NULL;
}

static struct str from_logfmt(const struct limits *l, struct str line, struct arena *a)
{
	struct logfmt_pair p;
	struct str bad = STR_NULL;
	for (size_t pos = 0;;) {
		bad.n = 0;
		if (logfmt_next(line, &pos, a, &p, &bad)) {
			if (is_field(l, p.key)) return p.value;
		} else if (bad.n == 0) {
			return STR_NULL;
		}
	}
}

/* A letter that may start a level, at the start of a word. */
static const bool starts_level[256] = {['t'] = 1, ['T'] = 1, ['d'] = 1, ['D'] = 1, ['i'] = 1, ['I'] = 1, ['w'] = 1, ['W'] = 1,
                                       ['e'] = 1, ['E'] = 1, ['c'] = 1, ['C'] = 1, ['f'] = 1, ['F'] = 1};
static const bool word_char[256] = {['_'] = 1, ['0' ... '9'] = 1, ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1};

static struct str from_words(struct str line)
{
	const unsigned char *p = (const unsigned char *)line.p, *end = p + line.n;
	while (p < end) {
		while (p < end && !word_char[*p]) p++;
		const unsigned char *w = p;
		while (p < end && word_char[*p]) p++;
		size_t n = (size_t)(p - w);
		if (n < 3 || n > 8 || !starts_level[*w]) continue;
		struct str level = normalise(str_of((const char *)w, n), true);
		if (level.p) return level;
	}
	return STR_NULL;
}

static struct str from_line(const struct limits *l, struct str line, struct arena *a)
{
	struct str t = str_trim(line), v = STR_NULL;
	if (t.n > 1 && t.p[0] == '{' && t.p[t.n - 1] == '}') v = from_json(l, t, a);
	else if (str_chr(line, '=') >= 0) v = from_logfmt(l, line, a);
	if (v.p) v = normalise(v, false);
	return v.p ? v : from_words(line);
}

/* OTLP's ranges of four; what is no number counts as info, as in Loki. */
static struct str from_severity(struct str number)
{
	static const struct str levels[] = {STR("trace"), STR("debug"), STR("info"), STR("warn"), STR("error"), STR("fatal")};
	int64_t n;
	if (!str_to_i64(number, &n)) return STR("info");
	return n >= 1 && n <= 24 ? levels[(n - 1) / 4] : STR("unknown");
}

struct str level_detect(const struct limits *l, struct str from_labels, const struct labels *meta, struct str line,
                        struct arena *a)
{
	struct str v = labels_get(meta, STR("detected_level"));
	if (v.p) {
		struct str known = normalise(v, false);
		return known.p ? known : v;
	}
	if (from_labels.p) return from_labels;
	if (meta->n) {
		v = from_set(l, meta);
		if (v.p) return v;
		v = labels_get(meta, STR("severity_number"));
		if (v.p) return from_severity(v);
	}
	v = from_line(l, line, a);
	return v.p ? v : STR("unknown");
}
