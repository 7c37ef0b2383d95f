/* SPDX-License-Identifier: GPL-2.0-or-later */
/* luhn: numbers that pass the Luhn check (ISO/IEC 7812-1, annex B), as those of payment cards do, are replaced. Numbers
 * beyond 63 bits are no such numbers. With source, what comes of it still becomes the line, as in Alloy. */
#include "pipeline/stage.h"

struct conf {
	struct str replacement, source, delimiters, skip_regex;
	int64_t min_length;
};
struct state {
	struct regex *skip; /* NULL: none */
	struct buf out;
};

static bool make(struct stage *s, const struct yaml *body, struct err *e)
{
	struct conf *c = s->conf;
	if (c->source.p && !c->source.n)
		return stage_refuse(body, "source", e, "source must not be empty; leave it out to look at the line");
	if (!c->replacement.n) c->replacement = STR("**REDACTED**");
	if (c->min_length < 1) c->min_length = 13;
	struct state *st = s->state = ARENA_NEW(s->arena, struct state);
	if (c->skip_regex.n) st->skip = stage_compile(body, "skip_regex", c->skip_regex, e);
	return st->skip || !c->skip_regex.n;
}

static void fini(struct stage *s)
{
	struct state *st = s->state;
	regex_free(st->skip);
	buf_free(&st->out);
}

/* ---- numbers ---- */

/* A number that is being read, with the delimiters between its digits. */
struct number {
	size_t start, last_delimiter; /* last_delimiter 0: a digit was last */
	int64_t digits;
	uint64_t value; /* UINT64_MAX: beyond int64_t */
};

static void add_digit(struct number *n, size_t at, unsigned digit)
{
	if (!n->digits++) n->start = at;
	n->last_delimiter = 0;
	n->value = n->value <= ((uint64_t)INT64_MAX - digit) / 10 ? n->value * 10 + digit : UINT64_MAX;
}

static bool is_luhn(uint64_t value)
{
	unsigned sum = 0;
	for (bool twice = false; value; value /= 10, twice = !twice) {
		unsigned digit = (unsigned)(value % 10) << twice;
		sum += digit > 9 ? digit - 9 : digit;
	}
	return sum % 10 == 0;
}

/* What skip_regex matches, from left to right. */
struct skips {
	const struct regex *re;
	struct regex_span now;
	size_t next;
};

static bool is_skipped(struct skips *k, struct str in, size_t at)
{
	while (k->re && (ssize_t)at >= k->now.to) {
		if (k->next > in.n || !regex_exec(k->re, in, k->next, &k->now, 1)) {
			k->re = NULL;
			return false;
		}
		k->next = (size_t)k->now.to + (k->now.from == k->now.to);
	}
	return k->re && (ssize_t)at >= k->now.from;
}

static bool is_delimiter(const struct conf *c, struct str rune)
{
	return c->delimiters.n && memmem(c->delimiters.p, c->delimiters.n, rune.p, rune.n);
}

/* The number ends before `end`. If it is one to hide, everything up to there is in out, and *done is `end`. */
static void end_number(const struct conf *c, struct number *n, struct str in, size_t end, struct buf *out, size_t *done)
{
	if (n->digits >= c->min_length && n->value != UINT64_MAX && is_luhn(n->value)) {
		buf_str(out, str_sub(in, *done, n->start));
		buf_str(out, c->replacement);
		*done = n->last_delimiter ? n->last_delimiter : end;
	}
	*n = (struct number){0};
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Are there so many digits on end? Looks at every n-th byte, and around it where that is one. */
static bool has_run(struct str in, size_t n)
{
	for (size_t i = n - 1, from, to; i < in.n; i += n) {
		if (!is_digit(in.p[i])) continue;
		for (from = i; from && is_digit(in.p[from - 1]);) from--;
		for (to = i + 1; to < in.n && to - from < n && is_digit(in.p[to]);) to++;
		if (to - from >= n) return true;
	}
	return false;
}

/* `in` itself when there is nothing to hide. */
static struct str redact(struct stage *s, struct arena *a, struct str in)
{
	const struct conf *c = s->conf;
	struct state *st = s->state;
	struct skips skips = {.re = st->skip};
	struct number n = {0};
	size_t done = 0;
	if (!c->delimiters.n && !st->skip && !has_run(in, (size_t)c->min_length)) return in;
	buf_clear(&st->out);
	for (size_t i = 0, next = 0; i < in.n; i = next) {
		if (!n.digits && !is_digit(in.p[i])) {
			next = i + 1;
			continue;
		}
		uint32_t rune = str_rune(in, &next);
		bool skipped = is_skipped(&skips, in, i);
		if (!skipped && rune >= '0' && rune <= '9')
			add_digit(&n, i, rune - '0');
		else if (!skipped && n.digits && is_delimiter(c, str_sub(in, i, next)))
			n.last_delimiter = i;
		else if (n.digits)
			end_number(c, &n, in, i, &st->out, &done);
	}
	end_number(c, &n, in, in.n, &st->out, &done);
	if (!done) return in;
	buf_str(&st->out, str_from(in, done));
	return arena_str(a, buf_view(&st->out));
}

static void plan(struct stage *s, struct reads *r) { reads_add(r, ((const struct conf *)s->conf)->source); }

static void run(struct stage *s, struct batch *b)
{
	const struct conf *c = s->conf;
	for (size_t i = 0; i < b->n; i++) {
		struct value scratch;
		const struct value *v = c->source.n ? entry_get(&b->v[i], c->source, &scratch) : NULL;
		if (c->source.n && (!v || v->kind != VALUE_STR)) continue;
		b->v[i].line = redact(s, b->arena, v ? v->s : b->v[i].line);
	}
}

static const struct conf_field fields[] = {
	{.key = "replacement",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, replacement),
	 .def = "**REDACTED**",
	 .doc = "What such a number becomes."},
	{.key = "min_length",
	 .kind = CONF_INT,
	 .off = offsetof(struct conf, min_length),
	 .def = "13",
	 .doc = "Numbers of fewer digits stay."},
	{.key = "delimiters",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, delimiters),
	 .doc = "Characters that may stand between the digits of a number, as \" -\"."},
	{.key = "skip_regex",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, skip_regex),
	 .doc = "What this expression matches stays as it is."},
	{.key = "source",
	 .kind = CONF_STR,
	 .off = offsetof(struct conf, source),
	 .doc = "Extracted value to look at; what comes of it becomes the line."},
	{0},
};
static const struct conf_table table = {"luhn stage",    sizeof(struct conf), fields,
					.lenient = true, .any_case = true,    .typing = CONF_EXACT};

const struct stage_type stage_luhn = {
	.name = "luhn",
	.doc = "Hides numbers of payment cards.",
	.conf = &table,
	.make = make,
	.fini = fini,
	.plan = plan,
	.run = run,
	.simple = true,
};
