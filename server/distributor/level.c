/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/distributor/level.h"

#include "common/json.h"
#include "common/simd.h"
#include "pipeline/extract/logfmt.h"

/* ---- spellings ---- */

#define SPELLING_MAX 8 /* but for "information" */

/* Spellings of a level, any case, padded with zeros. `word`: also recognised as a bare word of a line. */
static const struct spelling {
	char text[SPELLING_MAX];
	struct str level;
	bool word;
} spellings[] = {
	{"trace", STR("trace"), true}, {"trc", STR("trace"), false},   {"debug", STR("debug"), true},
	{"dbg", STR("debug"), false},  {"info", STR("info"), true},    {"inf", STR("info"), false},
	{"warn", STR("warn"), true},   {"warning", STR("warn"), true}, {"wrn", STR("warn"), false},
	{"error", STR("error"), true}, {"err", STR("error"), true},    {"critical", STR("critical"), true},
	{"fatal", STR("fatal"), true},
};
#define SPELLINGS (sizeof spellings / sizeof *spellings)

/* No other byte than a letter becomes one when its 0x20 bit is set. */
static struct str spelled(struct str s, bool words_only)
{
	uint64_t folded = 0, text;
	if (s.n < 3 || s.n > SPELLING_MAX) return STR_NULL;
	memcpy(&folded, s.p, s.n);
	memset(&text, 0, sizeof text);
	memset(&text, 0x20, s.n);
	folded |= text;
	for (size_t i = 0; i < SPELLINGS; i++) {
		memcpy(&text, spellings[i].text, sizeof text);
		if (folded == text && (spellings[i].word || !words_only)) return spellings[i].level;
	}
	return STR_NULL;
}

/* The level that a value spells, or STR_NULL. */
static struct str normalise(struct str s)
{
	return s.n > SPELLING_MAX && str_ieq(s, STR("information")) ? STR("info") : spelled(s, false);
}

/* Values of labels and metadata keep a spelling that is not known. */
static struct str normalise_or_keep(struct str s)
{
	struct str known = normalise(s);
	return known.p ? known : s;
}

/* ---- fields ---- */

void level_rules_init(struct level_rules *r, const struct limits *l)
{
	*r = (struct level_rules){.fields = &l->log_level_fields, .json_depth = l->log_level_from_json_max_depth};
	for (size_t i = 0; i < r->fields->n; i++) {
		struct str f = r->fields->v[i];
		if (f.n) r->ends_field[(unsigned char)f.p[f.n - 1]] = true;
	}
}

static bool is_field(const struct level_rules *r, struct str name)
{
	if (!name.n || !r->ends_field[(unsigned char)name.p[name.n - 1]]) return false;
	for (size_t i = 0; i < r->fields->n; i++)
		if (str_eq(r->fields->v[i], name)) return true;
	return false;
}

static struct str from_set(const struct level_rules *r, const struct labels *set)
{
	for (size_t i = 0; i < r->fields->n; i++) {
		struct str v = labels_get(set, r->fields->v[i]);
		if (v.p) return normalise_or_keep(v);
	}
	return STR_NULL;
}

struct str level_of_labels(const struct level_rules *r, const struct labels *labels) { return from_set(r, labels); }

/* Whether before[0..n) ends with a field's name; quick, since it is asked of every '=' and every key. */
static inline bool ends_with_field(const struct level_rules *r, const char *before, size_t n)
{
	if (!n || !r->ends_field[(unsigned char)before[n - 1]]) return false;
	for (size_t i = 0; i < r->fields->n; i++)
		if (str_ends(str_of(before, n), r->fields->v[i])) return true;
	return false;
}

/* Whether it is worth reading the line as logfmt: a field's name stands before some '='. */
static bool may_have_pair(const struct level_rules *r, struct str line)
{
	const char *end = line.p + line.n;
	for (const char *p = line.p; p < end && (p = memchr(p, '=', (size_t)(end - p))); p++)
		if (ends_with_field(r, line.p, (size_t)(p - line.p))) return true;
	return false;
}

/* The same for JSON: before some ':', in quotes. */
static bool may_have_member(const struct level_rules *r, struct str line)
{
	const char *end = line.p + line.n;
	for (const char *p = line.p; p < end && (p = memchr(p, ':', (size_t)(end - p))); p++) {
		size_t n = (size_t)(p - line.p);
		while (n && strchr(" \t\r\n", line.p[n - 1]) && line.p[n - 1]) n--;
		if (n && line.p[n - 1] == '"' && ends_with_field(r, line.p, n - 1)) return true;
	}
	return false;
}

/* Walks a JSON object down to the given depth; the first field with a level's name decides. */
static struct str from_json(const struct level_rules *r, struct str line, struct arena *a)
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
		if (!j.escaped && is_field(r, key)) {
			if (json_next(&j) != JSON_STRING) return STR_NULL;
			struct buf text = {0};
			struct str v = json_text(&j, &text);
			if (j.escaped) v = arena_str(a, v);
			buf_free(&text);
			return v;
		}
		/* Peek at the value: an object above the depth limit is entered, everything else is skipped. */
		struct json at = j;
		if (depth < r->json_depth && json_next(&j) == JSON_OBJ_OPEN) {
			depth++;
			continue;
		}
		j = at;
		if (!json_skip(&j)) return STR_NULL;
	}
	return STR_NULL;
}

static struct str from_logfmt(const struct level_rules *r, struct str line, struct arena *a)
{
	struct logfmt_pair p;
	struct str bad = STR_NULL;
	for (size_t pos = 0;;) {
		bad.n = 0;
		if (logfmt_next(line, &pos, a, &p, &bad)) {
			if (is_field(r, p.key)) return p.value;
		} else if (bad.n == 0) {
			return STR_NULL;
		}
	}
}

/* ---- words ---- */

static const bool word_char[256] = {['_'] = 1, ['0' ... '9'] = 1, ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1};

/* Of the 16 positions behind p: no letter before, and the first two letters of a level there. */
static inline unsigned word_starts(const char *p)
{
	v16 before = v16_load(p) | v16_splat(0x20), a = v16_load(p + 1) | v16_splat(0x20),
	    b = v16_load(p + 2) | v16_splat(0x20);
	v16 inside = (v16)((v16)(before - v16_splat('a')) <= v16_splat('z' - 'a'));
	v16 r = (v16_eq(a, 't') | v16_eq(a, 'e') | v16_eq(a, 'c')) & v16_eq(b, 'r');
	v16 w = (v16_eq(a, 'w') | v16_eq(a, 'f')) & v16_eq(b, 'a');
	return v16_mask((r | w | (v16_eq(a, 'd') & v16_eq(b, 'e')) | (v16_eq(a, 'i') & v16_eq(b, 'n'))) & ~inside);
}

/* The level that the word starting at i is, if one starts there. */
static struct str word_at(struct str line, size_t i)
{
	size_t end = i;
	if (i && word_char[(unsigned char)line.p[i - 1]]) return STR_NULL;
	while (end < line.n && end - i <= SPELLING_MAX && word_char[(unsigned char)line.p[end]]) end++;
	return spelled(str_sub(line, i, end), true);
}

enum { WINDOW = 18 }; /* bytes that word_starts() reads */

static struct str from_words(struct str line)
{
	char padded[WINDOW];
	if (line.n < WINDOW) {
		memset(padded, ' ', sizeof padded);
		if (line.n) memcpy(padded, line.p, line.n);
		line = str_of(padded, sizeof padded);
	}
	struct str level = word_at(line, 0);
	for (size_t i = 0; !level.p; i += 16) {
		if (i > line.n - WINDOW) i = line.n - WINDOW; /* the last window overlaps the one before */
		for (unsigned m = word_starts(line.p + i); m && !level.p; m &= m - 1)
			level = word_at(line, i + 1 + (unsigned)__builtin_ctz(m));
		if (i == line.n - WINDOW) break;
	}
	return level;
}

/* ---- all sources ---- */

static struct str from_line(const struct level_rules *r, struct str line, struct arena *a)
{
	struct str t = str_trim(line), v = STR_NULL;
	if (t.n > 1 && t.p[0] == '{' && t.p[t.n - 1] == '}') {
		if (may_have_member(r, t)) v = from_json(r, t, a);
	} else if (may_have_pair(r, line)) {
		v = from_logfmt(r, line, a);
	}
	if (v.p) v = normalise(v);
	return v.p ? v : from_words(line);
}

/* OTLP's ranges of four; what is no number counts as info, as in Loki. */
static struct str from_severity(struct str number)
{
	static const struct str levels[] = {STR("trace"), STR("debug"), STR("info"),
					    STR("warn"),  STR("error"), STR("fatal")};
	int64_t n;
	if (!str_to_i64(number, &n)) return STR("info");
	return n >= 1 && n <= 24 ? levels[(n - 1) / 4] : STR("unknown");
}

struct str level_detect(const struct level_rules *r, struct str from_labels, const struct labels *meta, struct str line,
			struct arena *a)
{
	struct str v = labels_get(meta, STR("detected_level"));
	if (v.p) return normalise_or_keep(v);
	if (from_labels.p) return from_labels;
	if (meta->n) {
		v = from_set(r, meta);
		if (v.p) return v;
		v = labels_get(meta, STR("severity_number"));
		if (v.p) return from_severity(v);
	}
	v = from_line(r, line, a);
	return v.p ? v : STR("unknown");
}
