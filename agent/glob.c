/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/glob.h"

#include "common/buf.h"
#include "common/fs.h"

#include <stdlib.h>

#define GLOB_ALTERNATIVES 256
#define GLOB_DEPTH        64

struct alternative {
	struct str *parts; /* components between slashes; borrow from text */
	size_t n;
	char *text;
};

struct glob {
	char *source;
	struct alternative *v;
	size_t n, cap;
};

/* ---- compiling: braces are expanded, so that what is left is matched component by component ---- */

/* The offset of the brace that closes the one at s.p[open], or -1. */
static ssize_t closing(struct str s, size_t open)
{
	int depth = 0;

	for (size_t i = open; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '{')
			depth++;
		else if (s.p[i] == '}' && --depth == 0)
			return (ssize_t)i;
	}
	return -1;
}

static ssize_t opening(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '{')
			return (ssize_t)i;
	}
	return -1;
}

static void split(struct alternative *a, struct str s)
{
	size_t cap = 0;
	struct str part;
	bool more;

	a->text = mem_strndup(s.p, s.n);
	struct str rest = str_of(a->text, s.n);
	do {
		more = str_cut(&rest, '/', &part);
		if (part.n == 0) continue;
		MEM_GROW(a->parts, a->n, cap);
		a->parts[a->n++] = part;
	} while (more);
}

static bool expand(struct glob *g, struct str s, int depth, struct err *e)
{
	ssize_t open = opening(s), close = open < 0 ? -1 : closing(s, (size_t)open);

	if (open >= 0 && close < 0) return err_set(e, ERR_INVALID, "pattern \"%.*s\": { without }", STR_ARG(s));
	if (open < 0) {
		if (g->n == GLOB_ALTERNATIVES)
			return err_set(e, ERR_TOO_LARGE, "pattern \"%s\" has more than %d alternatives", g->source,
				       GLOB_ALTERNATIVES);
		MEM_GROW(g->v, g->n, g->cap);
		g->v[g->n] = (struct alternative){0};
		split(&g->v[g->n++], s);
		return true;
	}
	if (depth > GLOB_DEPTH) return err_set(e, ERR_TOO_LARGE, "pattern \"%s\": braces nested too deeply", g->source);
	struct str body = str_sub(s, (size_t)open + 1, (size_t)close);
	int nested = 0;
	bool ok = true;
	struct buf b = {0};
	for (size_t from = 0, i = 0; ok && i <= body.n; i++) {
		if (i < body.n && body.p[i] == '\\') {
			i++;
			continue;
		}
		if (i < body.n && body.p[i] == '{') nested++;
		if (i < body.n && body.p[i] == '}') nested--;
		if (i < body.n && (body.p[i] != ',' || nested)) continue;
		buf_clear(&b);
		buf_str(&b, str_sub(s, 0, (size_t)open));
		buf_str(&b, str_sub(body, from, i));
		buf_str(&b, str_from(s, (size_t)close + 1));
		ok = expand(g, buf_view(&b), depth + 1, e);
		from = i + 1;
	}
	buf_free(&b);
	return ok;
}

static bool classes_closed(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\') {
			i++;
			continue;
		}
		if (s.p[i] != '[') continue;
		for (i++; i < s.n && (s.p[i] != ']' || s.p[i - 1] == '['); i++)
			if (s.p[i] == '\\') i++;
		if (i >= s.n) return false;
	}
	return true;
}

struct glob *glob_new(struct str pattern, struct err *e)
{
	struct glob *g = mem_zalloc(sizeof *g);

	g->source = mem_strndup(pattern.p, pattern.n);
	bool ok = pattern.n > 0 && pattern.p[0] == '/' && !memchr(pattern.p, 0, pattern.n);
	if (!ok) err_set(e, ERR_INVALID, "\"%s\" is not an absolute path pattern", g->source);
	if (ok && !classes_closed(pattern)) ok = err_set(e, ERR_INVALID, "pattern \"%s\": [ without ]", g->source);
	if (ok && expand(g, pattern, 0, e)) return g;
	glob_free(g);
	return NULL;
}

void glob_free(struct glob *g)
{
	if (!g) return;
	for (size_t i = 0; i < g->n; i++) {
		free(g->v[i].parts);
		free(g->v[i].text);
	}
	free(g->v);
	free(g->source);
	free(g);
}

/* ---- matching ---- */

/* Matches c against the class whose '[' is at p.p[*i]; moves *i behind its ']'. */
static bool class_match(struct str p, size_t *i, unsigned char c)
{
	size_t k = *i + 1;
	bool negate = k < p.n && (p.p[k] == '^' || p.p[k] == '!'), hit = false;

	if (negate) k++;
	for (size_t first = k; k < p.n && (p.p[k] != ']' || k == first);) {
		if (p.p[k] == '\\' && k + 1 < p.n) k++;
		unsigned char lo = (unsigned char)p.p[k++], hi = lo;
		if (k + 1 < p.n && p.p[k] == '-' && p.p[k + 1] != ']') {
			k++;
			if (p.p[k] == '\\' && k + 1 < p.n) k++;
			hi = (unsigned char)p.p[k++];
		}
		hit |= c >= lo && c <= hi;
	}
	*i = k + 1;
	return hit != negate;
}

/* One component; `*` backtracks to its last occurrence only, so this is O(n·m). */
static bool part_match(struct str p, struct str s)
{
	size_t i = 0, k = 0, star = SIZE_MAX, mark = 0;

	while (k < s.n) {
		size_t next = i;
		bool ok = false;
		if (i < p.n && p.p[i] == '*') {
			star = i++;
			mark = k;
			continue;
		}
		if (i < p.n && p.p[i] == '?') {
			size_t rune = k;
			str_rune(s, &rune);
			k = rune;
			i++;
			continue;
		}
		if (i < p.n && p.p[i] == '[') {
			ok = class_match(p, &next, (unsigned char)s.p[k]);
		} else if (i < p.n) {
			if (p.p[i] == '\\' && i + 1 < p.n) next++;
			ok = p.p[next] == s.p[k];
			next++;
		}
		if (ok) {
			i = next;
			k++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			k = ++mark;
		} else {
			return false;
		}
	}
	while (i < p.n && p.p[i] == '*') i++;
	return i == p.n;
}

static bool is_doublestar(struct str p) { return str_eq(p, STR("**")); }
static bool is_literal(struct str p)
{
	return !memchr(p.p, '*', p.n) && !memchr(p.p, '?', p.n) && !memchr(p.p, '[', p.n) && !memchr(p.p, '\\', p.n);
}

static bool parts_match(const struct str *p, size_t np, const struct str *s, size_t ns)
{
	size_t i = 0, k = 0, star = SIZE_MAX, mark = 0;

	while (k < ns) {
		if (i < np && is_doublestar(p[i])) {
			star = i++;
			mark = k;
		} else if (i < np && part_match(p[i], s[k])) {
			i++;
			k++;
		} else if (star != SIZE_MAX) {
			i = star + 1;
			k = ++mark;
		} else {
			return false;
		}
	}
	while (i < np && is_doublestar(p[i])) i++;
	return i == np;
}

bool glob_match(const struct glob *g, struct str path)
{
	struct alternative a = {0};
	bool hit = str_eqc(path, g->source);

	if (!hit) split(&a, path);
	for (size_t i = 0; i < g->n && !hit; i++) hit = parts_match(g->v[i].parts, g->v[i].n, a.parts, a.n);
	free(a.parts);
	free(a.text);
	return hit;
}

/* ---- walking ---- */

struct walk {
	const struct alternative *a;
	struct buf path;
	char **found;
	size_t n, cap;
	struct {
		dev_t dev;
		ino_t ino;
	} above[GLOB_DEPTH]; /* directories on the way down */
	void (*dir)(void *ud, const char *path);
	void *ud;
};

static void walk_part(struct walk *w, size_t part, int depth);

static void walk_into(struct walk *w, const char *name, size_t part, int depth)
{
	size_t n = w->path.n;
	struct stat st;

	buf_ch(&w->path, '/');
	buf_c(&w->path, name);
	const char *path = buf_cstr(&w->path);
	if (stat(path, &st) == 0) {
		bool last = part == w->a->n;
		if (last && !S_ISDIR(st.st_mode)) {
			MEM_GROW(w->found, w->n, w->cap);
			w->found[w->n++] = mem_strdup(path);
		} else if (!last && S_ISDIR(st.st_mode)) {
			w->above[depth].dev = st.st_dev;
			w->above[depth].ino = st.st_ino;
			bool loop = false;
			for (int i = 0; i < depth; i++)
				loop |= w->above[i].dev == st.st_dev && w->above[i].ino == st.st_ino;
			if (!loop) walk_part(w, part, depth + 1);
		}
	}
	w->path.n = n;
}

/* Matches components from `part` on below w->path, which is a directory. */
static void walk_part(struct walk *w, size_t part, int depth)
{
	struct fs_list names;
	struct err e = ERR_INIT;

	if (depth >= GLOB_DEPTH) return;
	struct str p = w->a->parts[part];
	bool deep = is_doublestar(p), last = part + 1 == w->a->n;
	if (!deep && is_literal(p)) {
		char *name = mem_strndup(p.p, p.n);
		if (last && w->dir) w->dir(w->ud, w->path.n ? buf_cstr(&w->path) : "/");
		walk_into(w, name, part + 1, depth);
		free(name);
		return;
	}
	if (deep && !last) walk_part(w, part + 1, depth); /* no directory in between */
	const char *dir = w->path.n ? buf_cstr(&w->path) : "/";
	if (w->dir) w->dir(w->ud, dir);
	if (!fs_list(dir, &names, &e)) return;
	for (size_t i = 0; i < names.n; i++) {
		if (deep) walk_into(w, names.v[i], part, depth);
		if (deep ? last : part_match(p, str_c(names.v[i]))) walk_into(w, names.v[i], part + 1, depth);
	}
	fs_list_free(&names);
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void glob_each(const struct glob *g, void (*fn)(void *ud, const char *path), void (*dir)(void *ud, const char *path),
	       void *ud)
{
	struct walk w = {.dir = dir, .ud = ud};
	struct stat st;

	if (stat(g->source, &st) == 0 && !S_ISDIR(st.st_mode)) {
		if (dir) {
			struct str parent = str_of(g->source, (size_t)str_rchr(str_c(g->source), '/'));
			char *name = parent.n ? mem_strndup(parent.p, parent.n) : mem_strdup("/");
			dir(ud, name);
			free(name);
		}
		fn(ud, g->source);
		return;
	}
	for (size_t i = 0; i < g->n; i++) {
		w.a = &g->v[i];
		if (w.a->n) walk_part(&w, 0, 0);
	}
	if (w.n) qsort(w.found, w.n, sizeof *w.found, by_name);
	for (size_t i = 0; i < w.n; i++)
		if (i == 0 || strcmp(w.found[i], w.found[i - 1]) != 0) fn(ud, w.found[i]);
	for (size_t i = 0; i < w.n; i++) free(w.found[i]);
	free(w.found);
	buf_free(&w.path);
}
