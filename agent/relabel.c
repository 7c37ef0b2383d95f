/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/relabel.h"

#include "common/digest.h"
#include "common/regex.h"

#include <stdlib.h>
#include <wctype.h>

#define SPANS 64 /* groups beyond cannot be referred to */

struct rule {
	const struct relabel_conf *conf;
	struct regex *re;
};

struct relabel {
	struct rule *v;
	size_t n;
};

struct relabel *relabel_new(const struct conf_list *v, struct err *e)
{
	struct relabel *r = mem_zalloc(sizeof *r);
	const struct relabel_conf *conf = v->v;

	r->v = mem_zalloc((v->n ? v->n : 1) * sizeof *r->v);
	for (size_t i = 0; i < v->n; i++) {
		struct rule *rule = &r->v[r->n++];
		rule->conf = &conf[i];
		rule->re = regex_new(conf[i].regex, REGEX_ANCHORED | REGEX_DOTALL, e);
		if (rule->re) continue;
		err_wrap(e, "relabel_configs regex \"%.*s\"", STR_ARG(conf[i].regex));
		e->line = conf[i].line;
		e->col = conf[i].col;
		relabel_free(r);
		return NULL;
	}
	return r;
}

void relabel_free(struct relabel *r)
{
	if (!r) return;
	for (size_t i = 0; i < r->n; i++) regex_free(r->v[i].re);
	free(r->v);
	free(r);
}

/* ---- the set ---- */

/* The first index whose name is not less. */
static size_t find(const struct relabel_set *s, struct str name)
{
	size_t i = 0;

	while (i < s->l.n && str_cmp(s->l.v[i].name, name) < 0) i++;
	return i;
}

struct str relabel_get(const struct relabel_set *s, struct str name)
{
	size_t i = find(s, name);

	return i < s->l.n && str_eq(s->l.v[i].name, name) ? s->l.v[i].value : STR("");
}

static void remove_at(struct relabel_set *s, size_t i)
{
	memmove(&s->l.v[i], &s->l.v[i + 1], (--s->l.n - i) * sizeof *s->l.v);
}

void relabel_put(struct relabel_set *s, struct str name, struct str value)
{
	size_t i = find(s, name);
	bool there = i < s->l.n && str_eq(s->l.v[i].name, name);

	if (there && value.n) s->l.v[i].value = value;
	if (there && !value.n) remove_at(s, i);
	if (there || !value.n) return;
	s->l.v = arena_grow(s->a, s->l.v, s->l.n, &s->cap, sizeof *s->l.v);
	memmove(&s->l.v[i + 1], &s->l.v[i], (s->l.n++ - i) * sizeof *s->l.v);
	s->l.v[i] = (struct label){name, value};
}

void relabel_strip(struct relabel_set *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->l.n; i++)
		if (!str_starts(s->l.v[i].name, STR("__"))) s->l.v[n++] = s->l.v[i];
	s->l.n = n;
}

/* ---- the actions ---- */

static struct str expand(const struct rule *r, struct arena *a, struct str tmpl, struct str s,
			 const struct regex_span *spans)
{
	struct buf b = {0};

	regex_expand(r->re, tmpl, s, spans, &b);
	struct str out = arena_str(a, buf_view(&b));
	buf_free(&b);
	return out;
}

static void replace(const struct rule *r, struct relabel_set *s, struct str value)
{
	struct regex_span spans[SPANS];

	if (!regex_exec(r->re, value, 0, spans, SPANS)) return;
	struct str target = expand(r, s->a, r->conf->target_label, value, spans);
	if (!labels_name_valid(target)) return;
	relabel_put(s, target, expand(r, s->a, r->conf->replacement, value, spans));
}

static struct str cased(struct arena *a, struct str v, bool upper)
{
	struct buf b = {0};

	for (size_t i = 0; i < v.n;) {
		size_t from = i;
		uint32_t rune = str_rune(v, &i);
		if (rune == 0xFFFD && i - from == 1)
			buf_ch(&b, v.p[from]);
		else
			buf_rune(&b, (uint32_t)(upper ? towupper((wint_t)rune) : towlower((wint_t)rune)));
	}
	struct str out = arena_str(a, buf_view(&b));
	buf_free(&b);
	return out;
}

static void labelmap(const struct rule *r, struct relabel_set *s)
{
	/* Labels that a mapping adds are not mapped again. */
	struct labels before = labels_copy(s->a, &s->l);
	struct regex_span spans[SPANS];

	for (size_t i = 0; i < before.n; i++)
		if (regex_exec(r->re, before.v[i].name, 0, spans, SPANS))
			relabel_put(s, expand(r, s->a, r->conf->replacement, before.v[i].name, spans),
				    before.v[i].value);
}

static void filter_names(const struct rule *r, struct relabel_set *s, bool keep)
{
	size_t n = 0;

	for (size_t i = 0; i < s->l.n; i++)
		if (regex_match(r->re, s->l.v[i].name) == keep) s->l.v[n++] = s->l.v[i];
	s->l.n = n;
}

/* The last 8 bytes of the MD5 digest, big-endian: hashmod must shard as Prometheus does. */
static uint64_t shard_hash(struct str s)
{
	unsigned char d[DIGEST_MD5];
	uint64_t v = 0;

	digest_md5(s, d);
	for (size_t i = 8; i < DIGEST_MD5; i++) v = v << 8 | d[i];
	return v;
}

static bool run_rule(const struct rule *r, struct relabel_set *s)
{
	const struct relabel_conf *c = r->conf;
	struct buf joined = {0};

	for (size_t i = 0; i < c->source_labels.n; i++) {
		if (i) buf_str(&joined, c->separator);
		buf_str(&joined, relabel_get(s, c->source_labels.v[i]));
	}
	struct str value = arena_str(s->a, buf_view(&joined));
	buf_free(&joined);
	switch ((enum relabel_action)c->action) {
	case RELABEL_REPLACE: replace(r, s, value); break;
	case RELABEL_KEEP: return regex_match(r->re, value);
	case RELABEL_DROP: return !regex_match(r->re, value);
	case RELABEL_KEEPEQUAL: return str_eq(relabel_get(s, c->target_label), value);
	case RELABEL_DROPEQUAL: return !str_eq(relabel_get(s, c->target_label), value);
	case RELABEL_HASHMOD:
		relabel_put(s, c->target_label,
			    arena_printf(s->a, "%llu", (unsigned long long)(shard_hash(value) % (uint64_t)c->modulus)));
		break;
	case RELABEL_LOWERCASE: relabel_put(s, c->target_label, cased(s->a, value, false)); break;
	case RELABEL_UPPERCASE: relabel_put(s, c->target_label, cased(s->a, value, true)); break;
	case RELABEL_LABELMAP: labelmap(r, s); break;
	case RELABEL_LABELDROP: filter_names(r, s, false); break;
	case RELABEL_LABELKEEP: filter_names(r, s, true); break;
	}
	return true;
}

bool relabel_run(const struct relabel *r, struct relabel_set *s)
{
	for (size_t i = 0; i < r->n; i++)
		if (!run_rule(&r->v[i], s)) return false;
	return true;
}
