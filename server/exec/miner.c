/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "server/exec/miner.h"

#include <stdlib.h>

/* Of a line only so much is looked at; the rest is left out. */
#define LINE_BYTES 2048
#define LINE_WORDS 128
#define WORD_BYTES 64 /* longer words are left out */
#define WILD       '\1'

/* ---- words ---- */

enum { DELIM = 1, DIGIT = 2, HEX = 4, LETTER = 8, ODD = 16 };

/* Bytes that are in no list stand in words and mean nothing: ._-/@ and the like. */
static const unsigned char class_of[256] = {
	[0 ... 8] = ODD,        ['\t'] = DELIM,
	['\n'] = DELIM,         [11 ... 12] = ODD,
	['\r'] = DELIM,         [14 ... 31] = ODD,
	[' '] = DELIM,          ['='] = DELIM,
	[','] = DELIM,          [';'] = DELIM,
	[':'] = DELIM,          ['"'] = DELIM,
	['\''] = DELIM,         ['('] = DELIM,
	[')'] = DELIM,          ['['] = DELIM,
	[']'] = DELIM,          ['{'] = DELIM,
	['}'] = DELIM,          ['<'] = DELIM,
	['>'] = DELIM,          ['|'] = DELIM,
	['&'] = DELIM,          ['?'] = DELIM,
	['0' ... '9'] = DIGIT,  ['a' ... 'f'] = LETTER | HEX,
	['g' ... 'z'] = LETTER, ['A' ... 'F'] = LETTER | HEX,
	['G' ... 'Z'] = LETTER, [127] = ODD,
	[128 ... 255] = ODD,
};

static bool is_delim(char c) { return class_of[(unsigned char)c] == DELIM; }

/* The word that begins at i; its end. */
static size_t word_end(struct str s, size_t i)
{
	while (i < s.n && !is_delim(s.p[i])) i++;
	return i;
}

static bool is_number_like(struct str w)
{
	size_t digits = 0, letters = 0, hex = 0, sign = w.p[0] == '-' || w.p[0] == '+' || w.p[0] == '#';
	for (size_t i = 0; i < w.n; i++) {
		unsigned c = class_of[(unsigned char)w.p[i]];
		digits += c == DIGIT;
		letters += (c & LETTER) != 0;
		hex += (c & HEX) || c == DIGIT || w.p[i] == '-';
	}
	if (!digits) return false;
	return digits > letters || (w.n > sign && class_of[(unsigned char)w.p[sign]] == DIGIT) ||
	       (hex == w.n && w.n >= 8) || (w.n >= 16 && digits >= 4);
}

/* Months and days of the week, which dates are written with. */
static bool is_date_name(struct str w)
{
	static const char names[] = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec Mon Tue Wed Thu Fri Sat Sun ";
	for (size_t i = 0; w.n == 3 && i < sizeof names - 1; i += 4)
		if (memcmp(names + i, w.p, 3) == 0) return true;
	return false;
}

/* Would a pattern not read this text as it is written, or JSON not carry it? */
static bool is_unspeakable(struct str line, size_t from, size_t to)
{
	bool odd = false;
	if (from && line.p[from - 1] == '<' && to < line.n && line.p[to] == '>') return true;
	for (size_t i = from; i < to; i++) {
		unsigned char c = (unsigned char)line.p[i];
		if (c < ' ' || c == 127) return true;
		odd |= class_of[c] == ODD;
	}
	return odd && !str_utf8_valid(str_sub(line, from, to));
}

static bool is_variable(struct str line, size_t from, size_t to)
{
	struct str w = str_sub(line, from, to);
	return w.n > WORD_BYTES || is_number_like(w) || is_date_name(w) || is_unspeakable(line, from, to);
}

/* The shape of a line, appended. Whatever is left out stands between two delimiters or at an end. */
static void put_shape(struct buf *out, struct str line)
{
	size_t words = 0;
	for (size_t i = 0; i < line.n;) {
		if (is_delim(line.p[i])) {
			buf_ch(out, line.p[i++]);
			if (line.p[i - 1] != '\n' && i < LINE_BYTES) continue;
			if (i < line.n) buf_ch(out, WILD);
			return;
		}
		size_t end = word_end(line, i);
		if (++words > LINE_WORDS || end >= LINE_BYTES) {
			buf_ch(out, WILD);
			return;
		}
		if (is_variable(line, i, end))
			buf_ch(out, WILD);
		else
			buf_add(out, line.p + i, end - i);
		i = end;
	}
}

/* ---- shapes ---- */

void miner_init(struct miner *m)
{
	*m = (struct miner){.max = MINER_SHAPES};
	arena_init(&m->arena, 0);
}

void miner_free(struct miner *m)
{
	for (size_t i = 0; i < m->n; i++) free(m->v[i]->v);
	free(m->v);
	map_free(&m->by_key);
	arena_free(&m->arena);
	buf_free(&m->key);
}

size_t miner_bytes(const struct miner *m)
{
	return m->arena.used + m->counts + m->cap * sizeof *m->v + m->by_key.cap * sizeof *m->by_key.slots;
}

/* The key is in m->key, its level n bytes long. */
static struct miner_shape *shape_of(struct miner *m, size_t n)
{
	struct miner_shape *s = map_get(&m->by_key, buf_view(&m->key));
	if (s) return s;
	s = ARENA_NEW(&m->arena, struct miner_shape);
	struct str key = arena_str(&m->arena, buf_view(&m->key));
	s->level = str_sub(key, 0, n);
	s->text = str_from(key, n + 1);
	map_put(&m->by_key, key, s);
	MEM_GROW(m->v, m->n, m->cap);
	return m->v[m->n++] = s;
}

static struct miner_count *more_counts(struct miner *m, struct miner_shape *s)
{
	size_t before = s->cap;
	MEM_GROW(s->v, s->n, s->cap);
	m->counts += (s->cap - before) * sizeof *s->v;
	return &s->v[s->n++];
}

static void count(struct miner *m, struct miner_shape *s, uint32_t step, uint32_t n)
{
	size_t i = s->n;
	s->total += n;
	while (i && s->v[i - 1].step > step) i--;
	if (i && s->v[i - 1].step == step) {
		s->v[i - 1].n += n;
		return;
	}
	more_counts(m, s);
	memmove(s->v + i + 1, s->v + i, (s->n - 1 - i) * sizeof *s->v);
	s->v[i] = (struct miner_count){step, n};
}

/* Adds one list to another, both ascending. */
static void count_all(struct miner *m, struct miner_shape *to, const struct miner_shape *from)
{
	struct miner_shape sum = {0};
	size_t i = 0, k = 0;
	while (i < to->n || k < from->n) {
		bool a = i < to->n && (k == from->n || to->v[i].step <= from->v[k].step);
		bool b = k < from->n && (i == to->n || from->v[k].step <= to->v[i].step);
		struct miner_count *c = more_counts(m, &sum);
		c->step = a ? to->v[i].step : from->v[k].step;
		c->n = (a ? to->v[i].n : 0) + (b ? from->v[k].n : 0);
		i += a;
		k += b;
	}
	m->counts -= to->cap * sizeof *to->v;
	free(to->v);
	to->v = sum.v;
	to->n = sum.n;
	to->cap = sum.cap;
	to->total += from->total;
}

static void take(struct miner *m, struct str level, struct str text, const struct miner_shape *from)
{
	buf_clear(&m->key);
	buf_str(&m->key, level);
	buf_ch(&m->key, '\0');
	buf_str(&m->key, text);
	count_all(m, shape_of(m, level.n), from);
}

/* ---- templates ---- */

/* Words with so many values are told apart … */
#define FEW 3
/* … and at most so many of them in one text: 3 x 3 templates. */
#define FEW_SPLITS 2
/* A set of texts is cut at most into so many, where it has little in common. */
#define TEXTS_MAX 64

struct member { /* a shape of the group */
	struct miner_shape *shape;
	struct str structure; /* its text with every word left out */
};

/* Shapes of one level and structure. Words are numbered; 0 is one that is left out. */
struct group {
	struct miner *to;
	const struct member *m;
	size_t n_words;
	uint32_t *words; /* n_words for each member */
	uint32_t *row;   /* members in the order of the recursion */
	uint64_t *seen;  /* by word: the last stamp */
	uint64_t stamp;
	struct buf text;
};

struct varying {
	size_t n, constant; /* words that differ; that do not */
	size_t at[LINE_WORDS + 1];
	uint32_t values[LINE_WORDS + 1];
	bool left_out[LINE_WORDS + 1]; /* by place: in one member at least */
	size_t least;                  /* index in at[] of the one with the fewest values */
};

static uint32_t word(const struct group *g, size_t i, size_t place) { return g->words[g->row[i] * g->n_words + place]; }

static bool first_seen(struct group *g, uint32_t w)
{
	bool first = g->seen[w] != g->stamp;
	g->seen[w] = g->stamp;
	return first;
}

static void find_varying(struct group *g, size_t from, size_t to, struct varying *v)
{
	*v = (struct varying){0};
	for (size_t p = 0; p < g->n_words; p++) {
		uint32_t values = 0;
		g->stamp++;
		for (size_t i = from; i < to; i++) {
			values += first_seen(g, word(g, i, p));
			v->left_out[p] |= word(g, i, p) == 0;
		}
		v->constant += values == 1 && !v->left_out[p];
		if (values == 1 || v->left_out[p]) continue;
		v->at[v->n] = p;
		v->values[v->n] = values;
		if (values < v->values[v->least]) v->least = v->n;
		v->n++;
	}
}

struct by_word {
	const struct group *g;
	size_t place;
};

static int cmp_word(const void *a, const void *b, void *ud)
{
	const struct by_word *x = ud;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	uint32_t v = x->g->words[i * x->g->n_words + x->place], w = x->g->words[k * x->g->n_words + x->place];
	return v != w ? (v < w ? -1 : 1) : i < k ? -1 : i > k;
}

/* How many of the other differing words decide the one at `place`, by which rows are sorted? */
static size_t deciding(struct group *g, size_t from, size_t to, const struct varying *v, size_t place)
{
	size_t n = 0;
	for (size_t k = 0; k < v->n; k++) {
		size_t pairs = 0;
		if (v->at[k] == place) continue;
		for (size_t i = from; i < to; i++) {
			if (i == from || word(g, i, place) != word(g, i - 1, place)) g->stamp++;
			pairs += first_seen(g, word(g, i, v->at[k]));
		}
		n += pairs * 10 <= v->values[k] * 11;
	}
	return n;
}

/* Are rows [from, to), which differ in v, several texts rather than one? They are sorted by the word to cut by. */
static bool is_several(struct group *g, size_t from, size_t to, const struct varying *v, unsigned *few)
{
	size_t n = to - from, values = v->values[v->least], lines = 0;
	if (values <= FEW && *few < FEW_SPLITS) {
		++*few;
		return true;
	}
	for (size_t i = from; i < to; i++) lines += g->m[g->row[i]].shape->total;
	bool repeated = values * 2 <= n || lines >= 5 * n;
	if (v->n > 1 && repeated && values <= TEXTS_MAX && deciding(g, from, to, v, v->at[v->least]) * 2 >= v->n - 1)
		return true;
	return v->constant < v->n && values <= TEXTS_MAX && values * 2 <= n;
}

/* One template for rows [from, to). */
static void put_template(struct group *g, size_t from, size_t to, const struct varying *v)
{
	const struct miner_shape *first = g->m[g->row[from]].shape;
	struct str s = first->text;
	bool wild[LINE_WORDS + 1];
	size_t place = 0;
	memcpy(wild, v->left_out, sizeof wild);
	for (size_t k = 0; k < v->n; k++) wild[v->at[k]] = true;
	buf_clear(&g->text);
	for (size_t i = 0; i < s.n;) {
		if (is_delim(s.p[i])) {
			buf_ch(&g->text, s.p[i++]);
			continue;
		}
		size_t end = word_end(s, i);
		if (wild[place++])
			buf_ch(&g->text, WILD);
		else
			buf_add(&g->text, s.p + i, end - i);
		i = end;
	}
	for (size_t i = from; i < to; i++) take(g->to, first->level, buf_view(&g->text), g->m[g->row[i]].shape);
}

/* Rows [from, to); as deep as there are words. */
static void reduce(struct group *g, size_t from, size_t to, unsigned few)
{
	struct varying v;
	find_varying(g, from, to, &v);
	if (v.n == 0) {
		put_template(g, from, to, &v);
		return;
	}
	size_t place = v.at[v.least];
	struct by_word order = {g, place};
	qsort_r(g->row + from, to - from, sizeof *g->row, cmp_word, &order);
	if (!is_several(g, from, to, &v, &few)) {
		put_template(g, from, to, &v);
		return;
	}
	for (size_t end = from; from < to; from = end) {
		while (end < to && word(g, end, place) == word(g, from, place)) end++;
		reduce(g, from, end, few);
	}
}

/* Words of a text into out[], with their numbers from ids. */
static size_t number_words(struct arena *a, struct map *ids, struct str s, uint32_t *out)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n;) {
		if (is_delim(s.p[i])) {
			i++;
			continue;
		}
		size_t end = word_end(s, i);
		struct str w = str_sub(s, i, end);
		uint32_t *id = map_get(ids, w);
		if (!id && w.p[0] != WILD) {
			id = ARENA_NEW(a, uint32_t);
			*id = (uint32_t)ids->n + 1;
			map_put(ids, w, id);
		}
		if (out) out[n] = id ? *id : 0;
		n++;
		i = end;
	}
	return n;
}

static void reduce_group(struct miner *to, const struct member *m, size_t n)
{
	struct arena a;
	struct map ids = {0};
	struct group g = {.to = to, .m = m};
	arena_init(&a, 0);
	for (size_t i = 0; i < m->structure.n; i++) g.n_words += m->structure.p[i] == WILD;
	g.words = arena_alloc(&a, (n * g.n_words + 1) * sizeof *g.words);
	g.row = arena_alloc(&a, n * sizeof *g.row);
	for (size_t i = 0; i < n; i++) {
		g.row[i] = (uint32_t)i;
		number_words(&a, &ids, m[i].shape->text, g.words + i * g.n_words);
	}
	g.seen = arena_zalloc(&a, (ids.n + 1) * sizeof *g.seen);
	reduce(&g, 0, n, 0);
	buf_free(&g.text);
	map_free(&ids);
	arena_free(&a);
}

static struct str structure_of(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n;) {
		if (is_delim(s.p[i])) {
			out[n++] = s.p[i++];
			continue;
		}
		out[n++] = WILD;
		i = word_end(s, i);
	}
	return str_of(out, n);
}

static int cmp_member(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int c = str_cmp(x->shape->level, y->shape->level);
	if (!c) c = str_cmp(x->structure, y->structure);
	return c ? c : str_cmp(x->shape->text, y->shape->text);
}

static bool same_group(const struct member *a, const struct member *b)
{
	return str_eq(a->structure, b->structure) && str_eq(a->shape->level, b->shape->level);
}

/* All shapes of m, reduced, into an empty miner. */
static void reduce_all(const struct miner *m, struct miner *to)
{
	struct arena a;
	arena_init(&a, 0);
	struct member *v = arena_alloc(&a, (m->n + 1) * sizeof *v);
	for (size_t i = 0; i < m->n; i++) v[i] = (struct member){m->v[i], structure_of(&a, m->v[i]->text)};
	if (m->n) qsort(v, m->n, sizeof *v, cmp_member);
	for (size_t i = 0, end = 0; i < m->n; i = end) {
		while (end < m->n && same_group(&v[i], &v[end])) end++;
		reduce_group(to, v + i, end - i);
	}
	arena_free(&a);
}

static int cmp_total(const void *a, const void *b)
{
	const struct miner_shape *x = *(struct miner_shape *const *)a, *y = *(struct miner_shape *const *)b;
	if (x->total != y->total) return x->total > y->total ? -1 : 1;
	int c = str_cmp(x->text, y->text);
	return c ? c : str_cmp(x->level, y->level);
}

static void replace(struct miner *m, struct miner *with)
{
	with->max = m->max;
	miner_free(m);
	*m = *with;
}

/* Makes room for further shapes. */
static void compact(struct miner *m)
{
	struct miner to, kept;
	miner_init(&to);
	reduce_all(m, &to);
	replace(m, &to);
	if (m->n <= m->max / 2) return;
	miner_init(&kept);
	qsort(m->v, m->n, sizeof *m->v, cmp_total);
	for (size_t i = 0; i < m->max / 2; i++) take(&kept, m->v[i]->level, m->v[i]->text, m->v[i]);
	replace(m, &kept);
}

/* ---- in and out ---- */

void miner_add(struct miner *m, struct str level, struct str line, uint32_t step)
{
	buf_clear(&m->key);
	buf_str(&m->key, level);
	buf_ch(&m->key, '\0');
	put_shape(&m->key, line);
	count(m, shape_of(m, level.n), step, 1);
	if (m->n > m->max) compact(m);
}

void miner_merge(struct miner *m, const struct miner *other)
{
	for (size_t i = 0; i < other->n; i++) {
		take(m, other->v[i]->level, other->v[i]->text, other->v[i]);
		if (m->n > m->max) compact(m);
	}
}

/* Behind numbers with colons between them, as in times and addresses: may they become one <_>? The pattern must not
 * find what follows inside of it. */
static bool may_join(struct str s, size_t end)
{
	return end == s.n || s.p[end] != ':' || (end + 1 < s.n && is_delim(s.p[end + 1]));
}

static void print(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != WILD) {
			buf_ch(b, s.p[i]);
			continue;
		}
		size_t end = i + 1;
		while (end + 1 < s.n && s.p[end] == ':' && s.p[end + 1] == WILD) end += 2;
		if (may_join(s, end)) i = end - 1;
		buf_c(b, "<_>");
	}
}

void miner_finish(struct miner *m)
{
	struct miner to, printed;
	struct buf text = {0};
	miner_init(&to);
	reduce_all(m, &to);
	replace(m, &to);
	miner_init(&printed);
	for (size_t i = 0; i < m->n; i++) {
		buf_clear(&text);
		print(&text, m->v[i]->text);
		take(&printed, m->v[i]->level, buf_view(&text), m->v[i]);
	}
	if (printed.n) qsort(printed.v, printed.n, sizeof *printed.v, cmp_total);
	buf_free(&text);
	replace(m, &printed);
}
