/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/conf.h"

#include "common/json.h"
#include "common/labels.h"
#include "common/units.h"

/* ---- effective configuration ---- */

static void indent(struct buf *out, int n)
{
	for (int i = 0; i < n; i++) buf_ch(out, ' ');
}

/* A plain scalar of a block may hold what means something in a flow. */
static bool is_flow_safe(struct str s)
{
	if (s.p[0] == '?') return false;
	if (s.p[0] == '-' && (s.n == 1 || s.p[1] < '.' || s.p[1] > '9')) return false; /* a number may stay */
	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || strchr(",[]{}#:\n", s.p[i])) return false;
	return true;
}

/* Flow form. budget bounds what a bomb of aliases may print. */
static void print_node(const struct yaml *n, struct buf *out, size_t *budget)
{
	if (!*budget) return;
	--*budget;
	if (yaml_is_null(n)) {
		buf_c(out, "null");
	} else if (n->kind == YAML_SCALAR && n->plain && is_flow_safe(n->text)) {
		buf_str(out, n->text);
	} else if (n->kind == YAML_SCALAR) {
		yaml_print_str(out, n->text);
	} else {
		buf_ch(out, n->kind == YAML_MAP ? '{' : '[');
		for (size_t i = 0; i < n->n; i++) {
			if (i) buf_c(out, ", ");
			if (n->kind == YAML_MAP) {
				print_node(n->pairs[i].key, out, budget);
				buf_c(out, ": ");
			}
			print_node(n->kind == YAML_MAP ? n->pairs[i].val : n->items[i], out, budget);
		}
		buf_ch(out, n->kind == YAML_MAP ? '}' : ']');
	}
}

static void print_bool(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	buf_c(out, *(const bool *)v ? "true" : "false");
}

static void print_int(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	buf_i64(out, *(const int64_t *)v);
}

static void print_float(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	double d = *(const double *)v;
	if (d - d == 0)
		buf_f64(out, d);
	else
		buf_c(out, d != d ? ".nan" : d > 0 ? ".inf" : "-.inf");
}

/* Where the password of an address begins and ends. False: it has none. */
static bool find_password(struct str url, size_t *from, size_t *to)
{
	ssize_t scheme = str_find(url, STR("://"));
	if (scheme < 0) return false;
	struct str rest = str_from(url, (size_t)scheme + 3), authority;
	str_cut(&rest, '/', &authority);
	ssize_t at = str_rchr(authority, '@'), colon = at < 0 ? -1 : str_chr(str_sub(authority, 0, (size_t)at), ':');
	*from = (size_t)scheme + 3 + (size_t)colon + 1;
	*to = (size_t)scheme + 3 + (size_t)at;
	return colon >= 0;
}

static void print_str(const struct conf_field *f, const void *v, struct buf *out)
{
	struct str s = *(const struct str *)v;
	struct buf shown = {0};
	size_t from, to;
	if (f->url && find_password(s, &from, &to)) {
		buf_printf(&shown, "%.*s********%.*s", STR_ARG(str_sub(s, 0, from)), STR_ARG(str_from(s, to)));
		s = buf_view(&shown);
	}
	yaml_print_str(out, s);
	buf_free(&shown);
}

static void print_secret(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	buf_c(out, ((const struct str *)v)->n ? "<secret>" : "\"\"");
}

static void print_dur_go(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	units_dur_go_print(out, *(const int64_t *)v);
}

static void print_dur_prom(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	units_dur_prom_print(out, *(const int64_t *)v);
}

static void print_bytes(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	units_bytes_1024_print(out, *(const uint64_t *)v);
}

static void print_enum(const struct conf_field *f, const void *v, struct buf *out)
{
	yaml_print_str(out, str_c(f->names[*(const int *)v]));
}

static void print_str_list(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	const struct conf_strs *s = v;
	buf_ch(out, '[');
	for (size_t i = 0; i < s->n; i++) {
		if (i) buf_c(out, ", ");
		yaml_print_str(out, s->v[i]);
	}
	buf_ch(out, ']');
}

static void print_str_map(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	const struct labels *l = v;
	buf_ch(out, '{');
	for (size_t i = 0; i < l->n; i++) {
		if (i) buf_c(out, ", ");
		yaml_print_str(out, l->v[i].name);
		buf_c(out, ": ");
		yaml_print_str(out, l->v[i].value);
	}
	buf_ch(out, '}');
}

static void print_any(const struct conf_field *f, const void *v, struct buf *out)
{
	(void)f;
	size_t budget = YAML_NODES_MAX;
	print_node(*(const struct yaml *const *)v, out, &budget);
}

/* How a kind is named in the manual and how its values are printed. */
static const struct {
	const char *type;
	void (*print)(const struct conf_field *f, const void *v, struct buf *out);
} kinds[] = {
	[CONF_BOOL] = {"true or false", print_bool},
	[CONF_INT] = {"integer", print_int},
	[CONF_FLOAT] = {"number", print_float},
	[CONF_STR] = {"string", print_str},
	[CONF_SECRET] = {"secret", print_secret},
	[CONF_DUR_GO] = {"duration (`1h30m`)", print_dur_go},
	[CONF_DUR_PROM] = {"duration (`1d12h`)", print_dur_prom},
	[CONF_BYTES] = {"size (`256KB`)", print_bytes},
	[CONF_ENUM] = {"one of", print_enum},
	[CONF_STR_LIST] = {"list of strings", print_str_list},
	[CONF_STR_MAP] = {"mapping of strings", print_str_map},
	[CONF_OBJ] = {"mapping", NULL},
	[CONF_LIST] = {"list of mappings", NULL},
	[CONF_NODE] = {"any", print_any},
	[CONF_IGNORED] = {NULL, NULL},
	[CONF_REFUSED] = {NULL, NULL},
};

static void print_table(const struct conf_table *t, const void *obj, struct buf *out, int depth);

static void print_list(const struct conf_field *f, const struct conf_list *l, struct buf *out, int depth)
{
	if (!l->n) {
		buf_c(out, " []\n");
		return;
	}
	buf_ch(out, '\n');
	for (size_t i = 0; i < l->n; i++) {
		size_t at = out->n;
		print_table(f->sub, (const char *)l->v + i * f->sub->size, out, depth + 4);
		if (out->n > at) {
			out->p[at + (size_t)depth + 2] = '-';
		} else {
			indent(out, depth + 2);
			buf_c(out, "- {}\n");
		}
	}
}

static void print_table(const struct conf_table *t, const void *obj, struct buf *out, int depth)
{
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		const void *v = (const char *)obj + f->off;
		/* Where it matters whether a key was given, one that was not stays away. */
		if (!kinds[f->kind].type || (f->set_off && !*((const bool *)((const char *)obj + f->set_off))))
			continue;
		indent(out, depth);
		buf_printf(out, "%s:", f->key);
		if (kinds[f->kind].print) {
			buf_ch(out, ' ');
			kinds[f->kind].print(f, v, out);
			buf_ch(out, '\n');
		} else if (f->kind == CONF_LIST) {
			print_list(f, v, out, depth);
		} else {
			buf_ch(out, '\n');
			size_t at = out->n;
			print_table(f->sub, v, out, depth + 2);
			if (out->n == at) buf_insert(out, at - 1, " {}", 3);
		}
	}
}

static void json_value(const struct conf_field *f, const void *v, struct json_out *o)
{
	struct buf text = {0};
	switch (f->kind) {
	case CONF_STR_LIST:
		json_open(o, '[');
		for (size_t i = 0; i < ((const struct conf_strs *)v)->n; i++)
			json_put_str(o, ((const struct conf_strs *)v)->v[i]);
		json_close(o, ']');
		break;
	case CONF_STR: json_put_str(o, *(const struct str *)v); break;
	case CONF_BOOL: json_put_bool(o, *(const bool *)v); break;
	case CONF_INT: json_put_i64(o, *(const int64_t *)v); break;
	case CONF_FLOAT: json_put_f64(o, *(const double *)v); break;
	default: kinds[f->kind].print(f, v, &text); json_put_str(o, buf_view(&text));
	}
	buf_free(&text);
}

void conf_print_json(const struct conf_table *t, const void *obj, const char *const *keys, struct json_out *o)
{
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		const char *const *k = keys;
		while (*k && strcmp(*k, f->key)) k++;
		if (!*k || !kinds[f->kind].print) continue;
		json_key(o, str_c(f->key));
		json_value(f, (const char *)obj + f->off, o);
	}
}

void conf_print(const struct conf_table *t, const void *obj, struct buf *out) { print_table(t, obj, out, 0); }

/* ---- manual ---- */

static void put_cell(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|') buf_ch(out, '\\');
		buf_ch(out, *text);
	}
}

static void manual_row(const struct conf_field *f, struct buf *out)
{
	buf_printf(out, "| `%s` | %s", f->key, kinds[f->kind].type);
	for (int i = 0; f->names && f->names[i]; i++) buf_printf(out, "%s `%s`", i ? "," : "", f->names[i]);
	buf_c(out, " | ");
	if (f->def && *f->def) {
		buf_ch(out, '`');
		put_cell(out, f->def);
		buf_ch(out, '`');
	}
	buf_c(out, " | ");
	put_cell(out, f->doc ? f->doc : "");
	if (f->flag) buf_printf(out, " Flag: `-%s`.", f->flag);
	buf_c(out, " |\n");
}

static void manual_notes(const struct conf_table *t, struct buf *out)
{
	bool any = false;
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		if (f->kind != CONF_IGNORED) continue;
		buf_printf(out, any ? ", `%s`" : "\nAccepted without effect: `%s`", f->key);
		any = true;
	}
	if (any) buf_c(out, ".\n");
	any = false;
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		if (f->kind != CONF_REFUSED) continue;
		buf_printf(out, "%s- `%s`: %s\n", any ? "" : "\nRefused:\n\n", f->key, f->doc ? f->doc : "");
		any = true;
	}
}

static void manual_table(const struct conf_table *t, const char *doc, struct buf *path, struct buf *out)
{
	buf_printf(out, path->n ? "\n### `%s`\n\n" : "## %s\n\n", path->n ? buf_cstr(path) : t->name);
	if (doc && *doc) buf_printf(out, "%s\n\n", doc);
	bool any = false;
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		if (!kinds[f->kind].type) continue;
		if (!any) buf_c(out, "| Key | Type | Default | Meaning |\n|---|---|---|---|\n");
		any = true;
		manual_row(f, out);
	}
	manual_notes(t, out);
	size_t path_n = path->n;
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		if (f->kind != CONF_OBJ && f->kind != CONF_LIST) continue;
		buf_printf(path, "%s%s%s", path->n ? "." : "", f->key, f->kind == CONF_LIST ? "[]" : "");
		manual_table(f->sub, f->doc, path, out);
		path->n = path_n;
	}
}

void conf_manual(const struct conf_table *t, struct buf *out)
{
	struct buf path = {0};
	manual_table(t, NULL, &path, out);
	buf_free(&path);
}

static const char *flag_type(const struct conf_field *f)
{
	switch (f->kind) {
	case CONF_BOOL: return "";
	case CONF_INT: return " int";
	case CONF_FLOAT: return " float";
	case CONF_DUR_GO:
	case CONF_DUR_PROM: return " duration";
	case CONF_BYTES: return " size";
	case CONF_STR_LIST: return " a,b";
	case CONF_STR_MAP: return " k=v,k2=v2";
	default: return " string";
	}
}

void conf_flags_help(const struct conf_table *t, struct buf *out)
{
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		if (f->kind == CONF_OBJ) conf_flags_help(f->sub, out);
		if (!f->flag) continue;
		buf_printf(out, "  -%s%s\n    \t%s", f->flag, flag_type(f), f->doc ? f->doc : "");
		for (int i = 0; f->names && f->names[i]; i++)
			buf_printf(out, "%s%s", i ? ", " : " One of: ", f->names[i]);
		if (f->names) buf_ch(out, '.');
		if (f->def && *f->def) buf_printf(out, " (default %s)", f->def);
		buf_ch(out, '\n');
	}
}
