/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/conf.h"

#include "common/labels.h"
#include "common/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* One decoding under way. */
struct dec {
	struct conf_ctx *c;
	struct buf path; /* "scrape_configs[2].syslog" */
	size_t values;   /* decoded so far */
	struct err *e;
};

/* ---- did you mean ---- */

/* 0 is equal; larger is farther; a name that only goes on where s stops is near. */
static unsigned farness(struct str s, struct str name, unsigned max)
{
	unsigned d = str_distance(s, name, max);
	bool prefix = s.n >= 4 && name.n >= 4 && (str_starts(name, s) || str_starts(s, name));
	if (!prefix) return d;
	size_t rest = s.n < name.n ? name.n - s.n : s.n - name.n;
	unsigned near = 1 + (unsigned)(rest < 60 ? rest / 20 : 3);
	return near < d ? near : d;
}

const char *conf_nearest(struct str s, const char *const *names, size_t n)
{
	unsigned max = s.n < 3 ? 1 : s.n / 3 > 6 ? 6 : (unsigned)(s.n / 3);
	const char *best = NULL;
	unsigned best_far = max + 1;
	for (size_t i = 0; i < n; i++) {
		unsigned far = farness(s, str_c(names[i]), max);
		if (far < best_far) {
			best = names[i];
			best_far = far;
		}
	}
	return best;
}

static const char *nearest_key(struct str key, const struct conf_table *t)
{
	const char *names[512];
	size_t n = 0;
	for (const struct conf_field *f = t->fields; f->kind != CONF_END && n < sizeof names / sizeof *names; f++)
		names[n++] = f->key;
	return conf_nearest(key, names, n);
}

/* ---- errors ---- */

/* What stands in the file, for an error text. */
static void found(const struct yaml *n, char *out, size_t size)
{
	if (!yaml_is_null(n) && n->kind == YAML_SCALAR)
		snprintf(out, size, "\"%.*s\"%s", (int)(n->text.n < 80 ? n->text.n : 80), n->text.p,
			 n->text.n > 80 ? "…" : "");
	else
		snprintf(out, size, "%s", yaml_kind_name(n));
}

static bool wrong(struct dec *d, const struct yaml *n, const char *expected, const char *example, const char *hint)
{
	char what[128];
	found(n, what, sizeof what);
	return err_at(d->e, ERR_INVALID, n->line, n->col, "%.*s: expected %s%s%s, found %s%s",
		      STR_ARG(buf_view(&d->path)), expected, example && *example ? " such as " : "",
		      example ? example : "", what, hint);
}

/* ---- values ---- */

struct value_kind {
	const char *expected, *example;
	bool (*decode)(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a);
	size_t size; /* of the member */
};

static bool decode_bool(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)f, (void)a;
	return yaml_bool(n, dst);
}

/* The digits of base 2, 8, 10 or 16, underscores between them, with a sign; as YAML 1.1 and Go write them. */
static bool int_of_text(struct str s, int64_t *out)
{
	bool neg = s.n && s.p[0] == '-';
	if (s.n && (s.p[0] == '-' || s.p[0] == '+')) s = str_from(s, 1);
	int base = 10;
	if (s.n > 1 && s.p[0] == '0') {
		char c = s.p[1] | 0x20;
		base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
		s = str_from(s, base == 8 && c != 'o' ? 1 : 2);
	}
	uint64_t v = 0;
	bool any = false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '_') continue;
		int digit = str_hex_digit((unsigned char)c);
		if (digit < 0 || digit >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)digit, &v))
			return false;
		any = true;
	}
	if (!any || v > (uint64_t)INT64_MAX + neg) return false;
	*out = neg ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

static bool decode_int(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)f, (void)a;
	if (n->kind != YAML_SCALAR || !n->plain) return false;
	double v;
	if (int_of_text(n->text, dst)) return true;
	if (!str_to_f64(n->text, &v) || v != trunc(v) || fabs(v) >= 0x1p63) return false;
	*(int64_t *)dst = (int64_t)v;
	return true;
}

static bool decode_float(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)f, (void)a;
	if (n->kind != YAML_SCALAR || !n->plain) return false;
	struct str s = n->text;
	size_t sign = s.n && (s.p[0] == '-' || s.p[0] == '+');
	if (str_ieq(str_from(s, sign), STR(".inf")) || str_ieq(s, STR(".nan"))) {
		double v = sign < s.n && (s.p[sign + 1] | 0x20) == 'i' ? INFINITY : NAN;
		*(double *)dst = s.p[0] == '-' ? -v : v;
		return true;
	}
	return str_to_f64(s, dst);
}

static bool decode_str(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)f;
	if (n->kind != YAML_SCALAR) return false;
	*(struct str *)dst = arena_str(a, n->text);
	return true;
}

static bool decode_dur_go(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)f, (void)a;
	struct err ignored;
	if (n->kind != YAML_SCALAR) return false;
	return (n->plain && int_of_text(n->text, dst)) || units_dur_go(n->text, dst, &ignored);
}

static bool decode_dur_prom(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)f, (void)a;
	struct err ignored;
	return n->kind == YAML_SCALAR && units_dur_any(n->text, dst, &ignored);
}

static bool decode_bytes(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)f, (void)a;
	struct err ignored;
	return n->kind == YAML_SCALAR && units_bytes_1024(n->text, dst, &ignored);
}

static bool decode_enum(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)a;
	for (int i = 0; n->kind == YAML_SCALAR && f->names[i]; i++) {
		if (!str_ieq(n->text, str_c(f->names[i]))) continue;
		*(int *)dst = i;
		return true;
	}
	return false;
}

static bool decode_str_list(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	struct conf_strs out = {0};
	size_t cap = 0;
	if (n->kind == YAML_MAP) return false;
	for (size_t i = 0; n->kind == YAML_LIST && i < n->n; i++) {
		if (n->items[i]->kind != YAML_SCALAR) return false;
		*ARENA_PUSH(a, out.v, out.n, cap) = arena_str(a, n->items[i]->text);
	}
	struct str rest = n->kind == YAML_SCALAR ? n->text : STR_NULL, item;
	if (n->kind == YAML_SCALAR && !f->csv) *ARENA_PUSH(a, out.v, out.n, cap) = arena_str(a, rest);
	while (f->csv && rest.n) {
		str_cut(&rest, ',', &item);
		item = str_trim(item);
		if (item.n) *ARENA_PUSH(a, out.v, out.n, cap) = arena_str(a, item);
	}
	*(struct conf_strs *)dst = out;
	return true;
}

static bool decode_str_map(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)f;
	if (n->kind != YAML_MAP) return false;
	struct labels out = {.v = arena_alloc(a, (n->n + 1) * sizeof *out.v), .n = n->n};
	for (size_t i = 0; i < n->n; i++) {
		if (n->pairs[i].val->kind != YAML_SCALAR) return false;
		struct str value = yaml_is_null(n->pairs[i].val) ? STR("") : n->pairs[i].val->text;
		out.v[i] = (struct label){arena_str(a, n->pairs[i].key->text), arena_str(a, value)};
	}
	struct str dup;
	labels_sort(out.v, out.n, &dup); /* keys of a mapping are unique already */
	*(struct labels *)dst = out;
	return true;
}

static bool decode_node(const struct conf_field *f, const struct yaml *n, void *dst, struct arena *a)
{
	(void)f, (void)a;
	memcpy(dst, &n, sizeof n);
	return true;
}

static const struct value_kind value_kinds[] = {
	[CONF_BOOL] = {"true or false", "", decode_bool, sizeof(bool)},
	[CONF_INT] = {"an integer", "10", decode_int, sizeof(int64_t)},
	[CONF_FLOAT] = {"a number", "1.5", decode_float, sizeof(double)},
	[CONF_STR] = {"a string", NULL, decode_str, sizeof(struct str)},
	[CONF_SECRET] = {"a string", NULL, decode_str, sizeof(struct str)},
	[CONF_DUR_GO] = {"a duration", "1h30m", decode_dur_go, sizeof(int64_t)},
	[CONF_DUR_PROM] = {"a duration", "1d12h", decode_dur_prom, sizeof(int64_t)},
	[CONF_BYTES] = {"a size", "256KB", decode_bytes, sizeof(uint64_t)},
	[CONF_ENUM] = {"one of", NULL, decode_enum, sizeof(int)},
	[CONF_STR_LIST] = {"a list of strings", "[a, b]", decode_str_list, sizeof(struct conf_strs)},
	[CONF_STR_MAP] = {"a mapping of strings", "{a: b}", decode_str_map, sizeof(struct labels)},
	[CONF_NODE] = {"any value", NULL, decode_node, sizeof(struct yaml *)},
};

static bool is_value(enum conf_kind k) { return k < sizeof value_kinds / sizeof *value_kinds && value_kinds[k].decode; }

static void print_bound(const struct conf_field *f, int64_t v, struct buf *b)
{
	if (f->kind == CONF_DUR_GO)
		units_dur_go_print(b, v);
	else if (f->kind == CONF_DUR_PROM)
		units_dur_prom_print(b, v);
	else if (f->kind == CONF_BYTES)
		units_bytes_1024_print(b, (uint64_t)v);
	else
		buf_i64(b, v);
}

static bool check_range(struct dec *d, const struct conf_field *f, const struct yaml *n, const void *dst)
{
	if (f->max <= f->min) return true;
	int64_t v;
	if (f->kind == CONF_BYTES) {
		uint64_t u;
		memcpy(&u, dst, sizeof u);
		v = u > INT64_MAX ? INT64_MAX : (int64_t)u;
	} else if (f->kind == CONF_INT || f->kind == CONF_DUR_GO || f->kind == CONF_DUR_PROM) {
		memcpy(&v, dst, sizeof v);
	} else {
		return true;
	}
	if (v >= f->min && v <= f->max) return true;
	struct buf range = {0};
	buf_c(&range, f->max == INT64_MAX ? "at least " : "between ");
	print_bound(f, f->min, &range);
	if (f->max != INT64_MAX) {
		buf_c(&range, " and ");
		print_bound(f, f->max, &range);
	}
	err_at(d->e, ERR_INVALID, n->line, n->col, "%.*s: \"%.*s\" is out of range; it must be %s",
	       STR_ARG(buf_view(&d->path)), STR_ARG(n->text), buf_cstr(&range));
	buf_free(&range);
	return false;
}

static bool wrong_enum(struct dec *d, const struct conf_field *f, const struct yaml *n)
{
	struct buf b = {0};
	for (int i = 0; f->names[i]; i++)
		buf_printf(&b, "%s%s", i ? (f->names[i + 1] ? ", " : " or ") : "", f->names[i]);
	bool r = wrong(d, n, buf_cstr(&b), NULL, "");
	buf_free(&b);
	return r;
}

static bool decode_value(struct dec *d, const struct conf_field *f, const struct yaml *n, void *dst)
{
	const struct value_kind *k = &value_kinds[f->kind];
	if (k->decode(f, n, dst, d->c->arena)) return check_range(d, f, n, dst);
	if (f->kind == CONF_ENUM) return wrong_enum(d, f, n);
	bool quoted_number = (f->kind == CONF_INT || f->kind == CONF_FLOAT || f->kind == CONF_BOOL) &&
			     n->kind == YAML_SCALAR && !n->plain;
	bool own_example = f->def && *f->def && k->example && f->kind != CONF_STR_LIST && f->kind != CONF_BOOL;
	return wrong(d, n, k->expected, own_example ? f->def : k->example,
		     quoted_number ? "; write it without quotes" : "");
}

/* ---- typing ---- */

static bool is_number(const struct yaml *n)
{
	int64_t i;
	double v;
	struct str s = n->text;
	size_t sign = s.n && (s.p[0] == '-' || s.p[0] == '+');
	if (sign == s.n || !((s.p[sign] >= '0' && s.p[sign] <= '9') || s.p[sign] == '.')) return false;
	return int_of_text(s, &i) || (str_to_f64(s, &v) && str_chr(s, 'p') < 0 && str_chr(s, 'P') < 0) ||
	       str_ieq(str_from(s, sign), STR(".inf")) || str_ieq(s, STR(".nan"));
}

/* Would a YAML decoder that is not told what to expect make a string of it? */
static bool is_string(const struct yaml *n)
{
	bool b;
	return n->kind == YAML_SCALAR && (!n->plain || (!yaml_is_null(n) && !yaml_bool(n, &b) && !is_number(n)));
}

static bool check_string(struct dec *d, const struct yaml *n)
{
	if (is_string(n)) return true;
	return wrong(d, n, "a string", NULL, n->kind == YAML_SCALAR ? "; write it in quotes" : "");
}

static bool check_exact(struct dec *d, const struct conf_field *f, const struct yaml *n)
{
	if (f->kind == CONF_STR || f->kind == CONF_ENUM) return check_string(d, n);
	if (f->kind == CONF_STR_LIST && n->kind != YAML_LIST) return wrong(d, n, "a list of strings", "[a, b]", "");
	for (size_t i = 0; f->kind == CONF_STR_LIST && i < n->n; i++)
		if (!check_string(d, n->items[i])) return false;
	if (f->kind != CONF_STR_MAP || n->kind != YAML_MAP) return true;
	for (size_t i = 0; i < n->n; i++) {
		if (!check_string(d, n->pairs[i].key)) return false;
		if (!yaml_is_null(n->pairs[i].val) && !check_string(d, n->pairs[i].val)) return false;
	}
	return true;
}

static bool check_no_bool(struct dec *d, const struct yaml *n)
{
	bool b;
	return !n->plain || !yaml_bool(n, &b) || wrong(d, n, "a string", NULL, "; write it in quotes");
}

static bool check_convertible(struct dec *d, const struct conf_field *f, const struct yaml *n)
{
	if (f->kind == CONF_STR || f->kind == CONF_ENUM) return check_no_bool(d, n);
	for (size_t i = 0; f->kind == CONF_STR_LIST && n->kind == YAML_LIST && i < n->n; i++)
		if (!check_no_bool(d, n->items[i])) return false;
	for (size_t i = 0; f->kind == CONF_STR_MAP && n->kind == YAML_MAP && i < n->n; i++)
		if (!check_no_bool(d, n->pairs[i].val)) return false;
	return true;
}

/* The scalar as what the row wants, where that can be had. */
static const struct yaml *weak_node(struct dec *d, const struct conf_field *f, const struct yaml *n, struct yaml *as)
{
	bool b;
	int64_t i;
	if (n->kind != YAML_SCALAR || f->kind == CONF_NODE) return n;
	bool is_bool = n->plain && yaml_bool(n, &b);
	*as = *n;
	if (f->kind == CONF_STR || f->kind == CONF_STR_LIST) {
		if (is_bool)
			as->text = b ? STR("1") : STR("0");
		else if (n->plain && int_of_text(n->text, &i))
			as->text = arena_printf(d->c->arena, "%lld", (long long)i);
		return as;
	}
	as->plain = true;
	if (f->kind == CONF_INT || f->kind == CONF_FLOAT) {
		if (is_bool)
			as->text = b ? STR("1") : STR("0");
		else if (!n->text.n)
			as->text = STR("0");
	} else if (f->kind == CONF_BOOL) {
		if (int_of_text(n->text, &i))
			as->text = i ? STR("true") : STR("false");
		else if (str_ieq(n->text, STR("t")))
			as->text = STR("true");
		else if (str_ieq(n->text, STR("f")) || !n->text.n)
			as->text = STR("false");
	}
	return as;
}

/* ---- tables ---- */

static const struct conf_field *find_field(const struct conf_table *t, struct str key)
{
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++)
		if (t->any_case ? str_ieq(key, str_c(f->key)) : str_eqc(key, f->key)) return f;
	return NULL;
}

static bool has_key(const struct conf_table *t, const struct yaml *n, const struct conf_field *f)
{
	for (size_t i = 0; n && i < n->n; i++)
		if (find_field(t, n->pairs[i].key->text) == f) return true;
	return false;
}

static bool unknown_key(struct dec *d, const struct conf_table *t, const struct yaml *key)
{
	const char *near = nearest_key(key->text, t);
	struct str where = d->path.n ? buf_view(&d->path) : str_c(t->name);
	err_at(d->e, ERR_INVALID, key->line, key->col, "unknown key \"%.*s\" in %.*s%s%s%s", STR_ARG(key->text),
	       STR_ARG(where), near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	if (!t->lenient) return false;
	if (d->c->warn) {
		err_wrap(d->e, "%s:%d:%d", d->c->file, key->line, key->col);
		d->c->warn(d->c->ud, d->e->msg);
	}
	*d->e = ERR_INIT;
	return true;
}

/* A key whose value asks for nothing is no reason to refuse a file. */
static bool asks_for_nothing(const struct yaml *n)
{
	bool b;
	if (yaml_is_null(n) || (yaml_bool(n, &b) && !b)) return true;
	return n->kind == YAML_SCALAR ? n->text.n == 0 : n->n == 0;
}

static bool decode_table(struct dec *d, const struct conf_table *t, const struct yaml *n, void *obj);

static bool count_values(struct dec *d, const struct yaml *n, size_t more)
{
	d->values += more;
	if (d->values <= YAML_NODES_MAX) return true;
	return err_at(d->e, ERR_TOO_LARGE, n->line, n->col, "more than %d values", YAML_NODES_MAX);
}

static bool decode_list(struct dec *d, const struct conf_field *f, const struct yaml *n, struct conf_list *out)
{
	if (n->kind != YAML_LIST) return wrong(d, n, "a list", NULL, "");
	if (!count_values(d, n, n->n)) return false;
	out->n = n->n;
	out->v = arena_zalloc(d->c->arena, n->n * f->sub->size);
	size_t path_n = d->path.n;
	for (size_t i = 0; i < n->n; i++) {
		void *item = (char *)out->v + i * f->sub->size;
		buf_printf(&d->path, "[%zu]", i);
		conf_defaults(f->sub, item, d->c->arena);
		if (!decode_table(d, f->sub, n->items[i], item)) return false;
		d->path.n = path_n;
	}
	return true;
}

static bool decode_scalars(struct dec *d, const struct conf_table *t, const struct conf_field *f, const struct yaml *n,
			   void *dst)
{
	struct yaml as;
	switch (t->typing) {
	case CONF_TYPED: break;
	case CONF_EXACT:
		if (!check_exact(d, f, n)) return false;
		break;
	case CONF_WEAK: n = weak_node(d, f, n, &as); break;
	case CONF_CONVERTIBLE:
		if (!check_convertible(d, f, n)) return false;
		if (f->kind != CONF_INT && f->kind != CONF_FLOAT) break;
		as = *n; /* "5" is a number */
		as.plain = true;
		n = &as;
		break;
	}
	return decode_value(d, f, n, dst);
}

static bool decode_field(struct dec *d, const struct conf_table *t, const struct conf_field *f,
			 const struct yaml_pair *pair, void *obj)
{
	const struct yaml *key = pair->key, *n = pair->val;
	void *dst = (char *)obj + f->off;
	if (!count_values(d, n, 1)) return false;
	if (yaml_is_null(n) && f->kind == CONF_OBJ) return decode_table(d, f->sub, NULL, dst);
	if (yaml_is_null(n) && f->kind != CONF_NODE) return true;
	if (f->set_off) *(bool *)((char *)obj + f->set_off) = true;
	switch (f->kind) {
	case CONF_OBJ: return decode_table(d, f->sub, n, dst);
	case CONF_LIST: return decode_list(d, f, n, dst);
	case CONF_IGNORED:
		if (d->c->ignored) d->c->ignored(d->c->ud, buf_cstr(&d->path), key->line);
		return true;
	case CONF_REFUSED:
		if (asks_for_nothing(n)) return true;
		return err_at(d->e, ERR_INVALID, key->line, key->col, "%.*s: not available here. %s",
			      STR_ARG(buf_view(&d->path)), f->doc);
	default: return decode_scalars(d, t, f, n, dst);
	}
}

static void push_path(struct dec *d, const char *key) { buf_printf(&d->path, d->path.n ? ".%s" : "%s", key); }

/* n NULL: not in the file. */
static bool decode_table(struct dec *d, const struct conf_table *t, const struct yaml *n, void *obj)
{
	if (yaml_is_null(n)) n = NULL;
	if (n && n->kind != YAML_MAP) {
		if (!d->path.n) buf_c(&d->path, t->name);
		return wrong(d, n, "a mapping", NULL, "");
	}
	size_t path_n = d->path.n;
	for (size_t i = 0; n && i < n->n; i++) {
		const struct conf_field *f = find_field(t, n->pairs[i].key->text);
		if (!f) {
			if (!unknown_key(d, t, n->pairs[i].key)) return false;
			continue;
		}
		push_path(d, f->key);
		if (!decode_field(d, t, f, &n->pairs[i], obj)) return false;
		d->path.n = path_n;
	}
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		if (f->kind != CONF_OBJ || has_key(t, n, f)) continue;
		push_path(d, f->key);
		if (!decode_table(d, f->sub, NULL, (char *)obj + f->off)) return false;
		d->path.n = path_n;
	}
	if ((!t->check || t->check(obj, n, d->e)) && (!t->derive || t->derive(obj, n, d->c->arena, d->e))) return true;
	if (!d->e->line && n && path_n) {
		d->e->line = n->line;
		d->e->col = n->col;
	}
	return false;
}

static bool decoded(struct dec *d, bool ok)
{
	if (!ok && !d->c->unplaced) {
		if (d->e->line)
			err_wrap(d->e, "%s:%d:%d", d->c->file, d->e->line, d->e->col);
		else
			err_wrap(d->e, "%s", d->c->file);
	}
	buf_free(&d->path);
	return ok;
}

bool conf_decode(const struct conf_table *t, const struct yaml *node, void *obj, struct conf_ctx *c, struct err *e)
{
	struct dec d = {.c = c, .e = e};
	return decoded(&d, decode_table(&d, t, node, obj));
}

bool conf_decode_bare(const struct conf_table *t, const struct yaml *node, void *obj, struct conf_ctx *c, struct err *e)
{
	struct dec d = {.c = c, .e = e};
	struct yaml_pair pair = {(struct yaml *)node, (struct yaml *)node};
	push_path(&d, t->fields[0].key);
	return decoded(&d, decode_field(&d, t, &t->fields[0], &pair, obj) && (!t->check || t->check(obj, node, e)));
}

/* ---- defaults ---- */

static void bad_default(const struct conf_table *t, const struct conf_field *f, const char *why)
{
	fprintf(stderr, "default of %s in table \"%s\" does not decode: %s\n", f->key, t->name, why);
	abort();
}

static const struct yaml *default_node(const struct conf_table *t, const struct conf_field *f, struct arena *a,
				       struct yaml *scalar)
{
	*scalar = (struct yaml){.kind = YAML_SCALAR, .text = str_c(f->def), .plain = true};
	if (f->kind != CONF_STR_LIST && f->kind != CONF_STR_MAP && f->kind != CONF_LIST && f->kind != CONF_NODE)
		return scalar;
	struct err e = ERR_INIT;
	const struct yaml *n = yaml_parse(a, str_c(f->def), &e);
	if (!n) bad_default(t, f, e.msg);
	return n;
}

void conf_defaults(const struct conf_table *t, void *obj, struct arena *a)
{
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		void *dst = (char *)obj + f->off;
		if (f->kind == CONF_OBJ) {
			conf_defaults(f->sub, dst, a);
			continue;
		}
		if (!is_value(f->kind) && f->kind != CONF_LIST) continue;
		memset(dst, 0, f->kind == CONF_LIST ? sizeof(struct conf_list) : value_kinds[f->kind].size);
		if (f->set_off) *(bool *)((char *)obj + f->set_off) = false;
		if (!f->def) continue;
		struct err e = ERR_INIT;
		struct conf_ctx c = {.arena = a, .file = "default"};
		struct dec d = {.c = &c, .e = &e};
		struct yaml scalar;
		const struct yaml *n = default_node(t, f, a, &scalar);
		buf_c(&d.path, f->key);
		bool ok = f->kind == CONF_LIST ? decode_list(&d, f, n, dst) : value_kinds[f->kind].decode(f, n, dst, a);
		if (!ok) bad_default(t, f, f->def);
		buf_free(&d.path);
	}
}

/* ---- flags ---- */

static const struct conf_field *find_flag(const struct conf_table *t, struct str name, void **obj)
{
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		if (f->flag && str_eqc(name, f->flag)) return f;
		if (f->kind != CONF_OBJ) continue;
		void *sub = (char *)*obj + f->off;
		const struct conf_field *hit = find_flag(f->sub, name, &sub);
		if (!hit) continue;
		*obj = sub;
		return hit;
	}
	return NULL;
}

static void collect_flags(const struct conf_table *t, struct arena *a, const char ***v, size_t *n, size_t *cap)
{
	for (const struct conf_field *f = t->fields; f->kind != CONF_END; f++) {
		if (f->flag) *ARENA_PUSH(a, *v, *n, *cap) = f->flag;
		if (f->kind == CONF_OBJ) collect_flags(f->sub, a, v, n, cap);
	}
}

static bool unknown_flag(const struct conf_table *t, struct arena *a, struct str name, struct err *e)
{
	const char **names = NULL;
	size_t n = 0, cap = 0;
	collect_flags(t, a, &names, &n, &cap);
	const char *near = conf_nearest(name, names, n);
	return err_set(e, ERR_NOT_FOUND, "unknown flag -%.*s%s%s%s", STR_ARG(name), near ? "; did you mean -" : "",
		       near ? near : "", near ? "?" : "");
}

static struct yaml *flag_scalar(struct arena *a, struct str text)
{
	struct yaml *n = ARENA_NEW(a, struct yaml);
	*n = (struct yaml){.kind = YAML_SCALAR, .text = text, .plain = true};
	return n;
}

/* The value of a flag as the node that would stand in a file. */
static struct yaml *flag_node(const struct conf_field *f, struct arena *a, struct str value)
{
	if (f->kind == CONF_BOOL && (str_eqc(value, "1") || str_ieq(value, STR("t"))))
		return flag_scalar(a, STR("true"));
	if (f->kind == CONF_BOOL && (str_eqc(value, "0") || str_ieq(value, STR("f"))))
		return flag_scalar(a, STR("false"));
	if (f->kind != CONF_STR_LIST && f->kind != CONF_STR_MAP) return flag_scalar(a, value);
	struct yaml *n = ARENA_NEW(a, struct yaml);
	n->kind = f->kind == CONF_STR_LIST ? YAML_LIST : YAML_MAP;
	size_t cap = 0;
	struct str item;
	while (value.n) {
		str_cut(&value, ',', &item);
		if (n->kind == YAML_LIST) {
			*ARENA_PUSH(a, n->items, n->n, cap) = flag_scalar(a, str_trim(item));
			continue;
		}
		struct str v = item, k;
		if (!str_cut(&v, '=', &k)) return flag_scalar(a, item); /* refused as not a mapping */
		*ARENA_PUSH(a, n->pairs, n->n, cap) = (struct yaml_pair){flag_scalar(a, k), flag_scalar(a, v)};
	}
	return n;
}

bool conf_set_flag(const struct conf_table *t, void *obj, struct arena *a, struct str name, struct str value,
		   struct err *e)
{
	const struct conf_field *f = find_flag(t, name, &obj);
	if (!f) return unknown_flag(t, a, name, e);
	struct conf_ctx c = {.arena = a, .file = "flag"};
	struct dec d = {.c = &c, .e = e};
	buf_printf(&d.path, "flag -%s", f->flag);
	struct yaml *n = flag_node(f, a, value);
	bool ok;
	if (is_value(f->kind)) {
		if (f->set_off) *(bool *)((char *)obj + f->set_off) = true;
		ok = decode_value(&d, f, n, (char *)obj + f->off);
	} else {
		ok = decode_field(&d, t, f, &(struct yaml_pair){n, n}, obj);
	}
	buf_free(&d.path);
	return ok;
}
