/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/positions.h"

#include "common/log.h"
#include "common/map.h"
#include "common/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define POSITIONS_MAX (64u << 20)

struct item {
	struct str key, value; /* own */
};

struct positions {
	struct fs *fs;
	char *path;
	struct map map; /* struct item */
	bool dirty;
};

struct positions *positions_new(struct fs *fs, const char *path)
{
	struct positions *p = mem_zalloc(sizeof *p);

	p->fs = fs;
	p->path = mem_strdup(path);
	return p;
}

static void item_free(struct item *it)
{
	free((char *)it->key.p);
	free((char *)it->value.p);
	free(it);
}

void positions_free(struct positions *p)
{
	if (!p) return;
	for (struct map_slot *s = NULL; (s = map_next(&p->map, s));) item_free(s->val);
	map_free(&p->map);
	free(p->path);
	free(p);
}

struct str positions_get(const struct positions *p, struct str key)
{
	const struct item *it = map_get(&p->map, key);

	return it ? it->value : STR_NULL;
}

int64_t positions_offset(const struct positions *p, struct str key)
{
	struct str v = positions_get(p, key);
	int64_t off;

	if (!v.p) return -1;
	return str_to_i64(v, &off) && off >= 0 ? off : -2;
}

void positions_put(struct positions *p, struct str key, struct str value)
{
	struct item *it = map_get(&p->map, key);

	if (it && str_eq(it->value, value)) return;
	p->dirty = true;
	if (!it) {
		it = mem_zalloc(sizeof *it);
		it->key = mem_str(key);
		map_put(&p->map, it->key, it);
	}
	free((char *)it->value.p);
	it->value = mem_str(value);
}

void positions_put_offset(struct positions *p, struct str key, int64_t off)
{
	struct buf b = {0};

	buf_i64(&b, off);
	positions_put(p, key, buf_view(&b));
	buf_free(&b);
}

void positions_del(struct positions *p, struct str key)
{
	struct item *it = map_del(&p->map, key);

	if (!it) return;
	p->dirty = true;
	item_free(it);
}

bool positions_prune(struct positions *p)
{
	struct str *gone = NULL;
	size_t n = 0, cap = 0;

	for (struct map_slot *s = NULL; (s = map_next(&p->map, s));) {
		/* Keys are NUL-terminated copies. */
		if (s->key.n == 0 || s->key.p[0] != '/' || access(s->key.p, F_OK) == 0 || errno != ENOENT) continue;
		MEM_GROW(gone, n, cap);
		gone[n++] = s->key;
	}
	for (size_t i = 0; i < n; i++) positions_del(p, gone[i]);
	free(gone);
	return n > 0;
}

static int by_key(const void *a, const void *b)
{
	return str_cmp((*(struct item *const *)a)->key, (*(struct item *const *)b)->key);
}

/* What Promtail's YAML writer leaves unquoted: paths and cursors. Offsets, which would read back as numbers,
 * and whatever is doubtful are quoted. */
static bool is_plain(struct str s)
{
	bool telling = false; /* holds what no number, boolean or date has */

	if (!s.n || s.p[s.n - 1] == ':' || s.p[s.n - 1] == ' ' || !str_utf8_valid(s)) return false;
	if (s.p[0] != '/' && !(s.p[0] >= 'a' && s.p[0] <= 'z')) return false;
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f) return false;
		if (i && s.p[i] == ' ' && s.p[i - 1] == ':') return false;
		if (i && s.p[i] == '#' && s.p[i - 1] == ' ') return false;
		telling |= s.p[i] == '/' || s.p[i] == '=' || s.p[i] == '-';
	}
	return telling;
}

static void print_scalar(struct buf *out, struct str s)
{
	if (is_plain(s))
		buf_str(out, s);
	else
		yaml_print_str(out, s);
}

void positions_print(const struct positions *p, struct buf *out)
{
	struct item **v = mem_alloc((p->map.n ? p->map.n : 1) * sizeof *v);
	size_t n = 0;

	for (struct map_slot *s = NULL; (s = map_next(&p->map, s));) v[n++] = s->val;
	qsort(v, n, sizeof *v, by_key);
	buf_c(out, n ? "positions:\n" : "positions: {}\n");
	for (size_t i = 0; i < n; i++) {
		buf_c(out, "  ");
		print_scalar(out, v[i]->key);
		buf_c(out, ": ");
		print_scalar(out, v[i]->value);
		buf_ch(out, '\n');
	}
	free(v);
}

bool positions_save(struct positions *p, struct err *e)
{
	struct buf b = {0};

	if (!p->dirty) return true;
	positions_print(p, &b);
	bool ok = fs_replace(p->fs, p->path, buf_view(&b), 0600, e);
	buf_free(&b);
	p->dirty = !ok;
	return ok;
}

bool positions_parse(struct positions *p, struct str text, struct err *e)
{
	struct arena a;
	struct yaml *root, *map = NULL;
	bool ok;

	arena_init(&a, 0);
	root = yaml_parse(&a, text, e);
	ok = root != NULL;
	if (ok && !yaml_is_null(root)) {
		if (root->kind != YAML_MAP || root->n != 1 || !(map = yaml_get(root, "positions")))
			ok = err_at(e, ERR_INVALID, root->line, root->col, "there must be one key, positions");
		else if (!yaml_is_null(map) && map->kind != YAML_MAP)
			ok = err_at(e, ERR_INVALID, map->line, map->col, "positions must be a mapping, not %s",
				    yaml_kind_name(map));
	}
	for (size_t i = 0; ok && map && map->kind == YAML_MAP && i < map->n; i++) {
		const struct yaml *k = map->pairs[i].key, *v = map->pairs[i].val;
		if (k->kind != YAML_SCALAR || v->kind != YAML_SCALAR)
			ok = err_at(e, ERR_INVALID, v->line, v->col, "a position must be a string, not %s",
				    yaml_kind_name(v));
		else
			positions_put(p, k->text, v->text);
	}
	arena_free(&a);
	p->dirty = false;
	return ok;
}

struct positions *positions_open(struct fs *fs, const char *path, bool ignore_invalid, struct err *e)
{
	struct positions *p = positions_new(fs, path);
	struct buf b = {0};
	struct err re = ERR_INIT;
	bool ok = true;

	if (!fs_read_file(fs, path, POSITIONS_MAX, &b, &re)) {
		if (re.code != ERR_NOT_FOUND) {
			*e = re;
			ok = false;
		}
	} else if (!positions_parse(p, buf_view(&b), &re)) {
		if (ignore_invalid) {
			log_warn("the positions file is invalid and ignored", kv_c("file", path), kv_i("line", re.line),
				 kv_err(&re));
		} else {
			*e = re;
			ok = err_wrap(
				e, "%s:%d:%d: not a positions file (positions.ignore_invalid_yaml: true starts afresh)",
				path, re.line, re.col);
		}
	}
	buf_free(&b);
	if (ok) return p;
	positions_free(p);
	return NULL;
}
