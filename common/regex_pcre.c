/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/regex_pcre.h"

#include "common/regex_emit.h"
#include "common/scan.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct rp_code {
	pcre2_code *code; /* NULL: PCRE2 refused it (it is too large) */
	bool jit;
	uint32_t pairs;
};

/* What a thread needs to match. */
struct scratch {
	pcre2_match_data *md;
	uint32_t pairs;
	pcre2_match_context *mc;
	pcre2_jit_stack *stack;
	struct buf copy; /* a text with its bad bytes replaced */
	size_t *bad;
	size_t cap_bad;
};

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static _Thread_local struct scratch *scratch_mine;

static void scratch_free(void *arg)
{
	struct scratch *s = arg;
	scratch_mine = NULL;
	pcre2_match_data_free(s->md);
	pcre2_match_context_free(s->mc);
	pcre2_jit_stack_free(s->stack);
	buf_free(&s->copy);
	free(s->bad);
	free(s);
}

static void scratch_key_make(void) { pthread_key_create(&scratch_key, scratch_free); }

static struct scratch *scratch(void)
{
	if (scratch_mine) return scratch_mine;
	pthread_once(&scratch_once, scratch_key_make);
	struct scratch *s = mem_zalloc(sizeof *s);
	s->mc = pcre2_match_context_create(NULL);
	s->stack = pcre2_jit_stack_create(32 * 1024, 1024 * 1024, NULL);
	pcre2_jit_stack_assign(s->mc, NULL, s->stack);
	pcre2_set_heap_limit(s->mc, 16 * 1024); /* KiB; only the interpreter uses it */
	pthread_setspecific(scratch_key, s);
	return scratch_mine = s;
}

/* ---- texts ---- */

void rp_prepare(struct rp_text *t, struct str s)
{
	*t = (struct rp_text){.s = s.p ? s : STR("")};
	if (scan_ascii(s)) return;
	t->utf = true;
	if (str_utf8_valid(s)) return;
	struct scratch *m = scratch();
	buf_clear(&m->copy);
	size_t from = 0;
	for (size_t i = 0; i < s.n;) {
		size_t at = i;
		if (str_rune(s, &i) != 0xFFFD || i - at != 1) continue;
		buf_add(&m->copy, s.p + from, at - from);
		MEM_GROW(m->bad, t->n_bad, m->cap_bad);
		m->bad[t->n_bad++] = m->copy.n;
		buf_rune(&m->copy, 0xFFFD);
		from = i;
	}
	buf_add(&m->copy, s.p + from, s.n - from);
	t->s = buf_view(&m->copy);
	t->bad = m->bad;
}

/* Each bad byte became three bytes: an offset moves by two for each bad byte before it. */
size_t rp_offset_in(const struct rp_text *t, size_t original)
{
	size_t lo = 0, hi = t->n_bad;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (t->bad[mid] - 2 * mid < original)
			lo = mid + 1;
		else
			hi = mid;
	}
	return original + 2 * lo;
}

size_t rp_offset_out(const struct rp_text *t, size_t prepared)
{
	size_t lo = 0, hi = t->n_bad;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (t->bad[mid] < prepared)
			lo = mid + 1;
		else
			hi = mid;
	}
	return prepared - 2 * lo;
}

/* ---- programs ---- */

static struct rp_code *compile(const struct rp *p, bool utf)
{
	struct rp_code *c = mem_zalloc(sizeof *c);
	struct buf b = {0};
	int error;
	PCRE2_SIZE at;
	uint32_t groups = 0;
	uint32_t options = PCRE2_DOTALL | PCRE2_ALT_CIRCUMFLEX | PCRE2_NO_UTF_CHECK;
	if (utf) options |= PCRE2_UTF;
	if (p->anchored) options |= PCRE2_ANCHORED;
	pcre2_compile_context *cc = pcre2_compile_context_create(NULL);
	pcre2_set_newline(cc, PCRE2_NEWLINE_LF);
	pcre2_set_parens_nest_limit(cc, 3 * RE_MAX_HEIGHT);
	re_emit(&b, p->root, (utf ? EMIT_UTF : 0) | (p->groups ? EMIT_GROUPS : 0));
	c->code = pcre2_compile((PCRE2_SPTR)buf_cstr(&b), b.n, options, &error, &at, cc);
	buf_free(&b);
	pcre2_compile_context_free(cc);
	if (!c->code) return c;
	/* Fails where memory may not be made executable: then PCRE2 interprets. */
	c->jit = pcre2_jit_compile(c->code, PCRE2_JIT_COMPLETE) == 0;
	pcre2_pattern_info(c->code, PCRE2_INFO_CAPTURECOUNT, &groups);
	c->pairs = groups + 1;
	return c;
}

static void code_free(struct rp_code *c)
{
	if (c) pcre2_code_free(c->code);
	free(c);
}

void rp_free(struct rp *p)
{
	for (int i = 0; i < 2; i++) code_free(atomic_load(&p->code[i]));
}

static struct rp_code *code_of(struct rp *p, bool utf)
{
	struct rp_code *c = atomic_load_explicit(&p->code[utf], memory_order_acquire), *none = NULL;
	if (c) return c;
	c = compile(p, utf);
	if (atomic_compare_exchange_strong(&p->code[utf], &none, c)) return c;
	code_free(c);
	return none;
}

/* ---- running ---- */

static void give_spans(const PCRE2_SIZE *ov, size_t pairs, struct regex_span *spans, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool set = i < pairs && ov[2 * i] != PCRE2_UNSET;
		spans[i] = set ? (struct regex_span){(ssize_t)ov[2 * i], (ssize_t)ov[2 * i + 1]}
			       : (struct regex_span){-1, -1};
	}
}

enum rp_outcome rp_run(struct rp *p, const struct rp_text *t, size_t start, struct regex_span *spans, size_t n)
{
	const struct rp_code *c = code_of(p, t->utf);
	struct scratch *m = scratch();
	if (!c->code) return RP_GAVE_UP;
	if (m->pairs < c->pairs) {
		pcre2_match_data_free(m->md);
		m->md = pcre2_match_data_create(c->pairs, NULL);
		m->pairs = c->pairs;
	}
	/* Backtracking worth about a millisecond; beyond it, the linear matcher is the better bet. */
	pcre2_set_match_limit(m->mc, (uint32_t)(50000 + (t->s.n < 1u << 20 ? t->s.n : 1u << 20) * 16));
	PCRE2_SPTR text = (PCRE2_SPTR)t->s.p;
	int rc = c->jit ? pcre2_jit_match(c->code, text, t->s.n, start, 0, m->md, m->mc)
			: pcre2_match(c->code, text, t->s.n, start, PCRE2_NO_UTF_CHECK, m->md, m->mc);
	if (rc == PCRE2_ERROR_NOMATCH) return RP_MISS;
	if (rc < 0) return RP_GAVE_UP;
	give_spans(pcre2_get_ovector_pointer(m->md), (size_t)rc, spans, n);
	return RP_HIT;
}
