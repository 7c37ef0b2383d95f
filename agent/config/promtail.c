/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config/promtail.h"

#include "agent/config/promtail_tables.h"

#include <stdlib.h>
#include <unistd.h>

#define EXTERNAL_LABELS_FLAG "client.external-labels"

/* ---- flags ---- */

static const struct conf_field *find_flag(const struct conf_table *t, struct str name)
{
	for (const struct conf_field *f = t->fields; f->key; f++) {
		if (f->flag && str_eqc(name, f->flag)) return f;
		const struct conf_field *sub = f->kind == CONF_OBJ ? find_flag(f->sub, name) : NULL;
		if (sub) return sub;
	}
	return NULL;
}

bool promtail_flag_known(struct str name, bool *is_bool)
{
	const struct conf_field *f = find_flag(&promtail_table, name);

	if (!f) f = find_flag(&promtail_client_flags, name);
	*is_bool = f && f->kind == CONF_BOOL;
	return f || str_eqc(name, EXTERNAL_LABELS_FLAG);
}

void promtail_flags_help(struct buf *out)
{
	conf_flags_help(&promtail_table, out);
	conf_flags_help(&promtail_client_flags, out);
	buf_printf(out, "  -%s k=v,…\n\tLabels put under every client's external_labels.\n", EXTERNAL_LABELS_FLAG);
}

/* "k=v,k2=v2" */
static bool parse_labels(struct arena *a, struct str text, struct labels *out, struct err *e)
{
	size_t cap = 0;
	struct str pair, dup;
	bool more = text.n > 0;

	*out = (struct labels){0};
	while (more) {
		more = str_cut(&text, ',', &pair);
		struct str name;
		if (!str_cut(&pair, '=', &name) || !labels_name_valid(name))
			return err_set(e, ERR_INVALID, "-%s: \"%.*s\" is not name=value", EXTERNAL_LABELS_FLAG,
				       STR_ARG(name));
		*ARENA_PUSH(a, out->v, out->n, cap) = (struct label){arena_str(a, name), arena_str(a, pair)};
	}
	return labels_sort(out->v, out->n, &dup) ||
	       err_set(e, ERR_INVALID, "-%s names \"%.*s\" twice", EXTERNAL_LABELS_FLAG, STR_ARG(dup));
}

static void put_under(struct arena *a, struct labels *over, const struct labels *under)
{
	struct label *v = arena_alloc(a, (over->n + under->n) * sizeof *v);
	size_t n = over->n;
	struct str dup;

	if (over->n) memcpy(v, over->v, over->n * sizeof *v);
	for (size_t i = 0; i < under->n; i++)
		if (!labels_get(over, under->v[i].name).p) v[n++] = under->v[i];
	labels_sort(v, n, &dup);
	*over = (struct labels){v, n};
}

static bool append_client(struct agent_config *c, const struct client_conf *add, struct err *e)
{
	struct client_conf *v = arena_alloc(&c->arena, (c->clients.n + 1) * sizeof *v);

	if (!promtail_client_table.check((void *)add, NULL, e)) return false;
	if (c->clients.n) memcpy(v, c->clients.v, c->clients.n * sizeof *v);
	v[c->clients.n++] = *add;
	c->clients.v = v;
	return true;
}

static bool apply_flags(struct agent_config *c, const struct promtail_source *src, struct err *e)
{
	struct client_conf *flagged = arena_zalloc(&c->arena, sizeof *flagged);
	struct labels external = {0};

	conf_defaults(&promtail_client_flags, flagged, &c->arena);
	for (size_t i = 0; i < src->nflags; i++) {
		const struct promtail_flag *f = &src->flags[i];
		bool ok;
		if (str_eqc(f->name, EXTERNAL_LABELS_FLAG))
			ok = parse_labels(&c->arena, f->value, &external, e);
		else if (find_flag(&promtail_client_flags, f->name))
			ok = conf_set_flag(&promtail_client_flags, flagged, &c->arena, f->name, f->value, e);
		else
			ok = conf_set_flag(&promtail_table, c, &c->arena, f->name, f->value, e);
		if (!ok) return false;
	}
	if (flagged->url.n && !append_client(c, flagged, e)) return err_wrap(e, "flags -client.*");
	for (size_t i = 0; i < c->clients.n && external.n; i++)
		put_under(&c->arena, &((struct client_conf *)c->clients.v)[i].external_labels, &external);
	return true;
}

/* ---- checks over several entries ---- */

/* A client without a name gets one from where it sends to, so that its saved cursor outlives other changes. */
static void default_name(struct arena *a, struct client_conf *c)
{
	struct buf b = {0};

	if (c->name.n) return;
	buf_lpstr(&b, c->url);
	buf_lpstr(&b, c->tenant_id);
	labels_print(&b, &c->external_labels);
	c->name = arena_printf(a, "%06x", (unsigned)(str_hash(buf_view(&b)) & 0xffffff));
	buf_free(&b);
}

static bool check_clients(struct agent_config *c, bool wanted, struct err *e)
{
	struct client_conf *v = c->clients.v;

	if (wanted && !c->clients.n)
		return err_set(e, ERR_INVALID,
			       "no client is configured: add a clients entry with a url, or give -client.url");
	for (size_t i = 0; i < c->clients.n; i++) {
		default_name(&c->arena, &v[i]);
		for (size_t k = 0; k < i; k++)
			if (str_eq(v[i].name, v[k].name))
				return err_at(
					e, ERR_INVALID, v[i].line, 1,
					"two clients are named \"%.*s\" (the other in line %d): give each its own name",
					STR_ARG(v[i].name), v[k].line);
	}
	return true;
}

static bool check_jobs(struct agent_config *c, struct err *e)
{
	struct job_conf *v = c->jobs.v;

	for (size_t i = 0; i < c->jobs.n; i++) {
		for (size_t k = 0; k < i; k++)
			if (str_eq(v[i].name, v[k].name))
				return err_at(e, ERR_INVALID, v[i].line, 1,
					      "job_name \"%.*s\" is used twice (the other in line %d)",
					      STR_ARG(v[i].name), v[k].line);
		if (!v[i].has_statics && !v[i].has_journal && !v[i].is_stdin)
			return err_at(e, ERR_INVALID, v[i].line, 1,
				      "scrape config \"%.*s\" has no source: add static_configs or journal",
				      STR_ARG(v[i].name));
	}
	return true;
}

/* -stdin: the first scrape config, with its source replaced. */
static void use_stdin(struct agent_config *c)
{
	if (!c->jobs.n) {
		char host[256] = "";
		struct static_conf *s = arena_zalloc(&c->arena, sizeof *s);
		struct label *l = arena_zalloc(&c->arena, 2 * sizeof *l);
		gethostname(host, sizeof host - 1);
		l[0] = (struct label){STR("hostname"), arena_str(&c->arena, str_c(host))};
		l[1] = (struct label){STR("job"), STR("stdin")};
		s->labels = (struct labels){l, 2};
		struct job_conf *j = arena_zalloc(&c->arena, sizeof *j);
		*j = (struct job_conf){.name = STR("stdin"), .statics = {s, 1}};
		c->jobs = (struct conf_list){j, 1};
	}
	struct job_conf *first = c->jobs.v;
	first->is_stdin = true;
	first->has_journal = first->has_statics = false;
	c->jobs.n = 1;
}

/* ---- loading ---- */

struct notices {
	const struct promtail_source *src;
	struct buf keys;
};

static void on_ignored(void *ud, const char *path, int line)
{
	struct notices *n = ud;

	buf_printf(&n->keys, "%s%s (line %d)", n->keys.n ? ", " : "", path, line);
}

static bool decode(struct agent_config *c, const struct promtail_source *src, struct str text, struct notices *n,
		   struct err *e)
{
	struct conf_ctx ctx = {.arena = &c->arena, .file = c->file, .ignored = on_ignored, .ud = n};
	struct yaml *root = yaml_parse(&c->arena, arena_str(&c->arena, text), e);

	if (!root) return false;
	if (!yaml_is_null(root) && !conf_decode(&promtail_table, root, c, &ctx, e)) return false;
	if (c->one_client && !yaml_is_null(c->one_client)) {
		struct client_conf *one = arena_zalloc(&c->arena, sizeof *one);
		conf_defaults(&promtail_client_table, one, &c->arena);
		if (!conf_decode(&promtail_client_table, c->one_client, one, &ctx, e) || !append_client(c, one, e))
			return false;
	}
	if (!apply_flags(c, src, e)) return false;
	if (src->want_stdin || c->target.is_stdin) use_stdin(c);
	return check_clients(c, src->want_client, e) && check_jobs(c, e);
}

static const char *env_get(const char *name) { return getenv(name); }

struct agent_config *promtail_load(const struct promtail_source *src, struct err *e)
{
	struct arena a;
	struct buf expanded = {0};
	struct notices n = {.src = src};

	arena_init(&a, 0);
	struct agent_config *c = arena_zalloc(&a, sizeof *c);
	c->arena = a;
	c->file = arena_cstr(&c->arena, str_c(src->file));
	conf_defaults(&promtail_table, c, &c->arena);
	bool ok = !src->expand_env || conf_expand_env(src->text, env_get, &expanded, e);
	ok = ok && decode(c, src, src->expand_env ? buf_view(&expanded) : src->text, &n, e);
	if (ok && n.keys.n && src->notice) src->notice(src->ud, buf_cstr(&n.keys));
	buf_free(&n.keys);
	buf_free(&expanded);
	if (ok) return c;
	agent_config_place(c, e);
	agent_config_free(c);
	return NULL;
}

void promtail_print(const struct agent_config *c, struct buf *out) { conf_print(&promtail_table, c, out); }
void promtail_print_client(const struct client_conf *c, struct buf *out) { conf_print(&promtail_client_table, c, out); }
void promtail_manual(struct buf *out) { conf_manual(&promtail_table, out); }
