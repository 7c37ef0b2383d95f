/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/yaml.h"

#include "common/map.h"

#include <yaml.h>

struct anchor {
	struct yaml *node;
	bool open; /* its end has not been read: an alias to it would be a cycle */
};

struct doc {
	yaml_parser_t p;
	yaml_event_t ev; /* current event, owned */
	struct str text;
	struct arena *a;
	struct map anchors; /* name → struct anchor; both in the arena */
	size_t nodes;
	struct err *e;
};

static int mark_line(yaml_mark_t m) { return (int)m.line + 1; }
static int mark_col(yaml_mark_t m) { return (int)m.column + 1; }

static bool is_tab_at(struct str text, yaml_mark_t m)
{
	struct str line = STR_NULL;
	for (size_t i = 0; i <= m.line; i++) str_cut(&text, '\n', &line);
	return m.column < line.n && line.p[m.column] == '\t';
}

/* The reader knows only a byte offset. */
static bool reader_error(struct doc *d)
{
	size_t at = d->p.problem_offset < d->text.n ? d->p.problem_offset : d->text.n;
	int line = 1, col = 1;
	for (size_t i = 0; i < at; i++) {
		col = d->text.p[i] == '\n' ? 1 : col + 1;
		line += d->text.p[i] == '\n';
	}
	return err_at(d->e, ERR_INVALID, line, col, "%s", d->p.problem ? d->p.problem : "not readable as text");
}

static bool parser_error(struct doc *d)
{
	const yaml_parser_t *p = &d->p;
	if (p->error == YAML_READER_ERROR) return reader_error(d);
	if (!p->problem) return err_set(d->e, ERR_INTERNAL, "the YAML parser gave up without a reason");
	const char *tab = is_tab_at(d->text, p->problem_mark) ? " (a tab here; YAML is indented with blanks)" : "";
	int line = mark_line(p->problem_mark), col = mark_col(p->problem_mark);
	if (!p->context) return err_at(d->e, ERR_INVALID, line, col, "%s%s", p->problem, tab);
	return err_at(d->e, ERR_INVALID, line, col, "%s%s, %s that starts at line %d", p->problem, tab, p->context,
		      mark_line(p->context_mark));
}

static bool next_event(struct doc *d)
{
	yaml_event_delete(&d->ev);
	return yaml_parser_parse(&d->p, &d->ev) ? true : parser_error(d);
}

static bool count_node(struct doc *d)
{
	if (++d->nodes <= YAML_NODES_MAX) return true;
	yaml_mark_t m = d->ev.start_mark;
	return err_at(d->e, ERR_TOO_LARGE, mark_line(m), mark_col(m), "the document has more than %d values",
		      YAML_NODES_MAX);
}

static struct yaml *new_node(struct doc *d, enum yaml_kind kind)
{
	if (!count_node(d)) return NULL;
	struct yaml *n = ARENA_NEW(d->a, struct yaml);
	n->kind = kind;
	n->line = mark_line(d->ev.start_mark);
	n->col = mark_col(d->ev.start_mark);
	return n;
}

static struct anchor *put_anchor(struct doc *d, const yaml_char_t *name, struct yaml *node)
{
	if (!name) return NULL;
	struct anchor *a = ARENA_NEW(d->a, struct anchor);
	*a = (struct anchor){.node = node, .open = true};
	map_put(&d->anchors, arena_str(d->a, str_c((const char *)name)), a);
	return a;
}

static struct yaml *resolve_alias(struct doc *d)
{
	const char *name = (const char *)d->ev.data.alias.anchor;
	const struct anchor *a = map_get(&d->anchors, str_c(name));
	if (a && !a->open) return count_node(d) ? a->node : NULL;
	yaml_mark_t m = d->ev.start_mark;
	if (a)
		err_at(d->e, ERR_INVALID, mark_line(m), mark_col(m), "alias *%s stands inside the value it names",
		       name);
	else
		err_at(d->e, ERR_INVALID, mark_line(m), mark_col(m), "alias *%s has no anchor &%s before it", name,
		       name);
	return NULL;
}

static struct yaml *read_scalar(struct doc *d)
{
	struct yaml *n = new_node(d, YAML_SCALAR);
	if (!n) return NULL;
	const char *tag = (const char *)d->ev.data.scalar.tag;
	if (tag && strcmp(tag, "tag:yaml.org,2002:binary") == 0) {
		err_at(d->e, ERR_INVALID, n->line, n->col, "!!binary is not supported; write the value as text");
		return NULL;
	}
	n->plain = d->ev.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !(tag && strcmp(tag, YAML_STR_TAG) == 0) &&
		   !(tag && strcmp(tag, "!") == 0);
	n->text = arena_str(d->a, str_of((const char *)d->ev.data.scalar.value, d->ev.data.scalar.length));
	struct anchor *anchor = put_anchor(d, d->ev.data.scalar.anchor, n);
	if (anchor) anchor->open = false;
	return n;
}

static struct yaml *read_node(struct doc *d, unsigned depth);

static struct yaml *read_list(struct doc *d, unsigned depth)
{
	struct yaml *n = new_node(d, YAML_LIST);
	if (!n) return NULL;
	struct anchor *anchor = put_anchor(d, d->ev.data.sequence_start.anchor, n);
	size_t cap = 0;
	while (next_event(d)) {
		if (d->ev.type == YAML_SEQUENCE_END_EVENT) {
			if (anchor) anchor->open = false;
			return n;
		}
		struct yaml *item = read_node(d, depth + 1);
		if (!item) return NULL;
		*ARENA_PUSH(d->a, n->items, n->n, cap) = item;
	}
	return NULL;
}

static bool is_merge_key(const struct yaml *k) { return k->plain && str_eqc(k->text, "<<"); }

/* Appends the pairs of src whose keys n does not have. */
static bool merge_map(struct doc *d, struct yaml *n, size_t *cap, struct map *keys, const struct yaml *src)
{
	if (src->kind != YAML_MAP)
		return err_at(d->e, ERR_INVALID, src->line, src->col,
			      "<< takes a mapping or a list of mappings, not %s", yaml_kind_name(src));
	for (size_t i = 0; i < src->n; i++) {
		if (map_get(keys, src->pairs[i].key->text)) continue;
		if (!count_node(d)) return false;
		struct yaml_pair pair = src->pairs[i];
		*ARENA_PUSH(d->a, n->pairs, n->n, *cap) = pair;
		map_put(keys, pair.key->text, pair.key);
	}
	return true;
}

static bool merge(struct doc *d, struct yaml *n, size_t *cap, struct map *keys, const struct yaml *from)
{
	if (from->kind != YAML_LIST) return merge_map(d, n, cap, keys, from);
	for (size_t i = 0; i < from->n; i++)
		if (!merge_map(d, n, cap, keys, from->items[i])) return false;
	return true;
}

static bool check_key(struct doc *d, struct map *keys, struct yaml *key)
{
	if (key->kind != YAML_SCALAR)
		return err_at(d->e, ERR_INVALID, key->line, key->col, "a key must be a string, not %s",
			      yaml_kind_name(key));
	const struct yaml *first = map_put(keys, key->text, key);
	if (!first) return true;
	return err_at(d->e, ERR_INVALID, key->line, key->col, "key \"%.*s\" is already set in line %d",
		      STR_ARG(key->text), first->line);
}

static bool read_pairs(struct doc *d, unsigned depth, struct yaml *n, struct map *keys)
{
	struct yaml *merged = NULL; /* value of << */
	size_t cap = 0;
	while (next_event(d)) {
		if (d->ev.type == YAML_MAPPING_END_EVENT) return merged ? merge(d, n, &cap, keys, merged) : true;
		struct yaml *key = read_node(d, depth + 1);
		if (!key || !check_key(d, keys, key) || !next_event(d)) return false;
		struct yaml *val = read_node(d, depth + 1);
		if (!val) return false;
		if (is_merge_key(key))
			merged = val;
		else
			*ARENA_PUSH(d->a, n->pairs, n->n, cap) = (struct yaml_pair){key, val};
	}
	return false;
}

static struct yaml *read_map(struct doc *d, unsigned depth)
{
	struct yaml *n = new_node(d, YAML_MAP);
	if (!n) return NULL;
	struct anchor *anchor = put_anchor(d, d->ev.data.mapping_start.anchor, n);
	struct map keys = {0};
	bool ok = read_pairs(d, depth, n, &keys);
	map_free(&keys);
	if (anchor) anchor->open = false;
	return ok ? n : NULL;
}

/* The node that starts at the current event; afterwards its last event is the current one. */
static struct yaml *read_node(struct doc *d, unsigned depth)
{
	if (depth > YAML_DEPTH_MAX) {
		yaml_mark_t m = d->ev.start_mark;
		err_at(d->e, ERR_TOO_LARGE, mark_line(m), mark_col(m), "more than %d levels of nesting",
		       YAML_DEPTH_MAX);
		return NULL;
	}
	switch (d->ev.type) {
	case YAML_SCALAR_EVENT: return read_scalar(d);
	case YAML_ALIAS_EVENT: return resolve_alias(d);
	case YAML_SEQUENCE_START_EVENT: return read_list(d, depth);
	case YAML_MAPPING_START_EVENT: return read_map(d, depth);
	default: err_set(d->e, ERR_INTERNAL, "unexpected event %d from the YAML parser", (int)d->ev.type); return NULL;
	}
}

static struct yaml *read_document(struct doc *d)
{
	if (!next_event(d) || !next_event(d)) return NULL; /* start of the stream, start of a document or end */
	if (d->ev.type == YAML_STREAM_END_EVENT) {
		struct yaml *empty = new_node(d, YAML_SCALAR);
		empty->plain = true;
		empty->text = STR("");
		return empty;
	}
	if (!next_event(d)) return NULL;
	struct yaml *root = read_node(d, 1);
	if (!root || !next_event(d) || !next_event(d)) return NULL; /* end of the document, end of the stream */
	if (d->ev.type == YAML_STREAM_END_EVENT) return root;
	yaml_mark_t m = d->ev.start_mark;
	err_at(d->e, ERR_INVALID, mark_line(m), mark_col(m), "a second document starts here; only one is read");
	return NULL;
}

struct yaml *yaml_parse(struct arena *a, struct str text, struct err *e)
{
	if (text.n > YAML_TEXT_MAX) {
		err_set(e, ERR_TOO_LARGE, "the document has %zu bytes, more than %u", text.n, YAML_TEXT_MAX);
		return NULL;
	}
	struct doc d = {.a = a, .text = text, .e = e};
	if (!yaml_parser_initialize(&d.p)) {
		err_set(e, ERR_INTERNAL, "cannot set up the YAML parser");
		return NULL;
	}
	yaml_parser_set_input_string(&d.p, (const unsigned char *)(text.n ? text.p : ""), text.n);
	struct yaml *root = read_document(&d);
	yaml_event_delete(&d.ev);
	yaml_parser_delete(&d.p);
	map_free(&d.anchors);
	return root;
}

struct yaml *yaml_get(const struct yaml *map, const char *key)
{
	if (!map || map->kind != YAML_MAP) return NULL;
	for (size_t i = 0; i < map->n; i++)
		if (str_eqc(map->pairs[i].key->text, key)) return map->pairs[i].val;
	return NULL;
}

static bool is_one_of(struct str s, const char *const *words)
{
	for (; *words; words++)
		if (str_eqc(s, *words)) return true;
	return false;
}

static bool is_null_text(struct str s)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
	return is_one_of(s, words);
}

static bool bool_of_text(struct str s, bool *out)
{
	static const char *const yes[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
					  "True", "TRUE", "on",  "On",  "ON",  NULL};
	static const char *const no[] = {"n",     "N",     "no",  "No",  "NO",  "false",
					 "False", "FALSE", "off", "Off", "OFF", NULL};
	*out = is_one_of(s, yes);
	return *out || is_one_of(s, no);
}

bool yaml_is_null(const struct yaml *n) { return !n || (n->kind == YAML_SCALAR && n->plain && is_null_text(n->text)); }

bool yaml_bool(const struct yaml *n, bool *out)
{
	return n && n->kind == YAML_SCALAR && n->plain && bool_of_text(n->text, out);
}

const char *yaml_kind_name(const struct yaml *n)
{
	if (yaml_is_null(n)) return "null";
	return n->kind == YAML_MAP ? "a mapping" : n->kind == YAML_LIST ? "a list" : "a string";
}

static bool is_alnum(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

static bool only_of(struct str s, const char *set)
{
	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || !strchr(set, s.p[i])) return false;
	return true;
}

/* True for a part of the strings that may stand without quotes: enough for names, paths, URLs, durations. */
static bool is_plain_safe(struct str s)
{
	bool b;
	if (is_null_text(s) || bool_of_text(s, &b)) return false;
	if (!is_alnum(s.p[0]) && !strchr("_/.", s.p[0])) return false;
	/* Might be a number, a sexagesimal number or a timestamp. */
	if (strchr("0123456789.", s.p[0]) && only_of(s, "0123456789abcdefABCDEFxXoO_:.+-TtZz ")) return false;
	if (str_ieq(s, STR(".inf")) || str_ieq(s, STR(".nan"))) return false;
	for (size_t i = 0; i < s.n; i++) {
		if (is_alnum(s.p[i])) continue;
		if (!s.p[i] || !strchr("_-./+@%=~ :", s.p[i])) return false;
		if (s.p[i] == ' ' && i + 1 == s.n) return false;
		if (s.p[i] == ':' && (i + 1 == s.n || s.p[i + 1] == ' ')) return false;
	}
	return true;
}

/* What a reader of YAML takes as it stands inside double quotes. */
static bool is_printable(uint32_t r)
{
	return (r >= 0x20 && r <= 0x7e) || (r >= 0xa0 && r <= 0xfffd && r != 0x2028 && r != 0x2029 && r != 0xfeff) ||
	       r >= 0x10000;
}

void yaml_print_str(struct buf *b, struct str s)
{
	if (s.n && is_plain_safe(s)) {
		buf_str(b, s);
		return;
	}
	buf_ch(b, '"');
	for (size_t i = 0; i < s.n;) {
		uint32_t r = str_rune(s, &i);
		if (r == '"' || r == '\\')
			buf_printf(b, "\\%c", (char)r);
		else if (r == '\n')
			buf_c(b, "\\n");
		else if (r == '\t')
			buf_c(b, "\\t");
		else if (is_printable(r))
			buf_rune(b, r);
		else
			buf_printf(b, r < 0x100 ? "\\x%02x" : "\\u%04x", r);
	}
	buf_ch(b, '"');
}
