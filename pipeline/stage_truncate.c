/* SPDX-License-Identifier: GPL-2.0-or-later */
/* truncate: lines, labels, structured metadata and extracted values are cut to a number of bytes, with a suffix that
 * counts. What leaves no room for the suffix within the limit is cut, as in Alloy; unlike there, no character is cut in
 * two. The extracted value `truncated` names the kinds of what was cut: "label,line". */
#include "pipeline/stage.h"

enum kind { KIND_LINE, KIND_LABEL, KIND_METADATA, KIND_EXTRACTED };
static const char *const kind_names[] = {"line", "label", "structured_metadata", "extracted", NULL};
static const enum kind by_name[] = {KIND_EXTRACTED, KIND_LABEL, KIND_LINE, KIND_METADATA};
#define KINDS (sizeof by_name / sizeof *by_name)

struct rule {
	uint64_t limit;
	struct str suffix;
	struct conf_strs sources;
	int kind;
};
struct conf {
	struct conf_list rules;
};
struct state {
	bool unread; /* nobody looks at `truncated` */
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	const struct conf *c = s->conf;
	const struct rule *v = c->rules.v;
	if (!c->rules.n) return stage_refuse(body, "rules", e, "at least one rule must be given, as {limit: 8KB}");
	for (size_t i = 0; i < c->rules.n; i++) {
		if (!v[i].limit) return stage_refuse(body, "rules", e, "limit must be set, to more than 0 bytes");
		if (v[i].suffix.n >= v[i].limit)
			return stage_refuse(body, "rules", e, "the suffix must be shorter than the limit");
		if (v[i].kind == KIND_LINE && v[i].sources.n)
			return stage_refuse(body, "rules", e,
					    "sources name labels or values; set source_type or leave them out");
	}
	s->state = ARENA_NEW(s->arena, struct state);
	return true;
}

static void plan(struct stage *s, struct reads *r)
{
	const struct conf *c = s->conf;
	const struct rule *v = c->rules.v;
	((struct state *)s->state)->unread = !reads_has(r, STR("truncated"));
	reads_add(r, STR("truncated"));
	for (size_t i = 0; i < c->rules.n; i++) {
		if (v[i].kind != KIND_EXTRACTED) continue;
		r->all |= !v[i].sources.n;
		for (size_t k = 0; k < v[i].sources.n; k++) reads_add(r, v[i].sources.v[k]);
	}
}

/* False: short enough. */
static bool cut(struct arena *a, const struct rule *r, struct str *text)
{
	size_t keep = r->limit - r->suffix.n;
	if (text->n <= keep) return false;
	for (int i = 0; i < 3 && keep && (text->p[keep] & 0xC0) == 0x80; i++) keep--;
	if (r->suffix.n) {
		char *p = arena_alloc(a, keep + r->suffix.n);
		memcpy(p, text->p, keep);
		memcpy(p + keep, r->suffix.p, r->suffix.n);
		text->p = p;
	}
	text->n = keep + r->suffix.n;
	return true;
}

static bool is_named(const struct rule *r, struct str name)
{
	for (size_t i = 0; i < r->sources.n; i++)
		if (str_eq(r->sources.v[i], name)) return true;
	return !r->sources.n;
}

static bool cut_labels(const struct rule *r, struct batch *b, struct entry *e)
{
	bool any = false;
	for (size_t i = 0; i < e->labels.n; i++) {
		struct label l = e->labels.v[i];
		if (!is_named(r, l.name) || !cut(b->arena, r, &l.value)) continue;
		entry_label_set(b, e, l.name, l.value);
		any = true;
	}
	return any;
}

static bool cut_metadata(const struct rule *r, struct batch *b, struct entry *e)
{
	bool any = false;
	for (size_t i = 0; i < e->meta.n; i++) {
		struct str value = e->meta.v[i].value;
		if (!is_named(r, e->meta.v[i].name) || !cut(b->arena, r, &value)) continue;
		if (!any) {
			struct label *own = arena_alloc(b->arena, e->meta.n * sizeof *own);
			e->meta.v = memcpy(own, e->meta.v, e->meta.n * sizeof *own);
		}
		e->meta.v[i].value = value;
		any = true;
	}
	return any;
}

static bool cut_extracted_one(const struct rule *r, struct batch *b, struct entry *e, struct str name)
{
	struct value scratch;
	const struct value *v = entry_get(e, name, &scratch);
	if (!v || v->kind != VALUE_STR || !is_named(r, name)) return false;
	struct str text = v->s;
	if (!cut(b->arena, r, &text)) return false;
	stage_set(b, e, name, text);
	return true;
}

static bool cut_extracted(const struct rule *r, struct batch *b, struct entry *e)
{
	bool any = false;
	uint32_t n = e->nextracted; /* those of `initial` are added behind */
	for (uint32_t i = 0; i < n; i++) any |= cut_extracted_one(r, b, e, e->extracted[i].name);
	for (size_t i = 0; i < e->initial.n; i++) any |= cut_extracted_one(r, b, e, e->initial.v[i].name);
	return any;
}

static bool cut_line(const struct rule *r, struct batch *b, struct entry *e) { return cut(b->arena, r, &e->line); }

static bool (*const cutters[])(const struct rule *r, struct batch *b, struct entry *e) = {
	[KIND_LINE] = cut_line,
	[KIND_LABEL] = cut_labels,
	[KIND_METADATA] = cut_metadata,
	[KIND_EXTRACTED] = cut_extracted,
};

/* Adds to what an earlier truncate stage noted. */
static void note(struct batch *b, struct entry *e, unsigned kinds)
{
	struct str before, one, out = STR("");
	bool more = stage_text(b, e, STR("truncated"), &before);
	while (more) {
		more = str_cut(&before, ',', &one);
		for (size_t k = 0; k < KINDS; k++)
			if (str_eqc(one, kind_names[k])) kinds |= 1u << k;
	}
	for (size_t i = 0; i < KINDS; i++)
		if (kinds & 1u << by_name[i])
			out = arena_printf(b->arena, "%.*s%s%s", STR_ARG(out), out.n ? "," : "",
					   kind_names[by_name[i]]);
	stage_set(b, e, STR("truncated"), out);
}

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	const struct rule *v = c->rules.v;
	bool unread = ((const struct state *)s->state)->unread;
	for (size_t i = 0; i < b->n; i++) {
		unsigned kinds = 0;
		for (size_t k = 0; k < c->rules.n; k++)
			if (cutters[v[k].kind](&v[k], b, &b->v[i])) kinds |= 1u << v[k].kind;
		if (kinds && !unread) note(b, &b->v[i], kinds);
	}
}

static const struct conf_field rule_fields[] = {
	{.key = "limit",
	 .kind = CONF_BYTES,
	 .off = offsetof(struct rule, limit),
	 .doc = "Most bytes, those of the suffix included."},
	{.key = "suffix",
	 .kind = CONF_STR,
	 .off = offsetof(struct rule, suffix),
	 .doc = "What a cut text ends with, as \"...\"."},
	{.key = "source_type",
	 .kind = CONF_ENUM,
	 .names = kind_names,
	 .def = "line",
	 .off = offsetof(struct rule, kind),
	 .doc = "What is cut."},
	{.key = "sources",
	 .kind = CONF_STR_LIST,
	 .off = offsetof(struct rule, sources),
	 .doc = "Names of the labels or values to cut; none: all of them."},
	{0},
};
static const struct conf_table rule_table = {"truncate rule", sizeof(struct rule), rule_fields, .any_case = true};
static const struct conf_field fields[] = {
	{.key = "rules",
	 .kind = CONF_LIST,
	 .off = offsetof(struct conf, rules),
	 .sub = &rule_table,
	 .doc = "What is cut to which size, in turn."},
	{0},
};
static const struct conf_table table = {"truncate stage", sizeof(struct conf), fields, .lenient = true,
					.any_case = true};

const struct stage_type stage_truncate = {
	.name = "truncate",
	.doc = "Cuts lines, labels and values to a size.",
	.conf = &table,
	.make = make,
	.plan = plan,
	.run = run,
	.simple = true,
};
