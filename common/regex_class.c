/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/regex_class.h"

#include "common/buf.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

void re_set_free(struct re_set *c)
{
	free(c->v);
	free(c->prop);
}

void re_set_range(struct re_set *c, uint32_t lo, uint32_t hi)
{
	MEM_GROW(c->v, c->n, c->cap);
	c->v[c->n++] = (struct re_range){lo, hi};
}

/* Pairs of bounds, ended by 0, 0 behind the first pair. */
struct group {
	const char *name;
	unsigned char r[12];
	bool folds; /* holds k, K, s or S: with (?i) also U+212A and U+017F */
};

static const struct group perl_groups[] = {
	{"d", {'0', '9'}, false},
	{"s", {'\t', '\n', '\f', '\r', ' ', ' '}, false},
	{"w", {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}, true},
};

static const struct group posix_groups[] = {
	{"alnum", {'0', '9', 'A', 'Z', 'a', 'z'}, true},
	{"alpha", {'A', 'Z', 'a', 'z'}, true},
	{"ascii", {0, 0x7F}, true},
	{"blank", {'\t', '\t', ' ', ' '}, false},
	{"cntrl", {0, 0x1F, 0x7F, 0x7F}, false},
	{"digit", {'0', '9'}, false},
	{"graph", {'!', '~'}, true},
	{"lower", {'a', 'z'}, true},
	{"print", {' ', '~'}, true},
	{"punct", {'!', '/', ':', '@', '[', '`', '{', '~'}, false},
	{"space", {'\t', '\r', ' ', ' '}, false},
	{"upper", {'A', 'Z'}, true},
	{"word", {'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}, true},
	{"xdigit", {'0', '9', 'A', 'F', 'a', 'f'}, false},
};

static const struct group *find_group(const struct group *v, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eqc(name, v[i].name)) return &v[i];
	return NULL;
}

static int by_lo(const void *a, const void *b)
{
	const struct re_range *x = a, *y = b;
	return x->lo < y->lo ? -1 : x->lo > y->lo;
}

void re_set_sort(struct re_set *c)
{
	if (c->n == 0) return;
	qsort(c->v, c->n, sizeof *c->v, by_lo);
	size_t out = 0;
	for (size_t i = 1; i < c->n; i++) {
		if (c->v[i].lo <= c->v[out].hi + 1) {
			if (c->v[i].hi > c->v[out].hi) c->v[out].hi = c->v[i].hi;
		} else {
			c->v[++out] = c->v[i];
		}
	}
	c->n = out + 1;
}

/* Adds a group or what it leaves out. Under (?i) it is folded first, so that the class stays the same
 * when PCRE2 folds it again. */
static void add_group(struct re_set *c, const struct group *g, bool negate, bool fold)
{
	struct re_set t = {0};
	for (size_t i = 0; i + 1 < sizeof g->r && (i == 0 || g->r[i + 1]); i += 2) {
		re_set_range(&t, g->r[i], g->r[i + 1]);
		if (!fold) continue;
		for (unsigned ch = g->r[i]; ch <= g->r[i + 1]; ch++)
			if (((ch | 0x20) >= 'a' && (ch | 0x20) <= 'z')) re_set_range(&t, ch ^ 0x20, ch ^ 0x20);
	}
	if (g->folds && fold) {
		re_set_range(&t, 0x17F, 0x17F);
		re_set_range(&t, 0x212A, 0x212A);
	}
	re_set_sort(&t);
	uint32_t next = 0;
	for (size_t i = 0; i < t.n; i++) {
		if (!negate)
			re_set_range(c, t.v[i].lo, t.v[i].hi);
		else if (t.v[i].lo > next)
			re_set_range(c, next, t.v[i].lo - 1);
		next = t.v[i].hi + 1;
	}
	if (negate) re_set_range(c, next, 0x10FFFF);
	free(t.v);
}

bool re_set_perl(struct re_set *c, char letter, bool fold)
{
	char low = letter | 0x20;
	const struct group *g = find_group(perl_groups, sizeof perl_groups / sizeof *perl_groups, str_of(&low, 1));
	if (!g) return false;
	add_group(c, g, letter != low, fold);
	return true;
}

bool re_set_posix(struct re_set *c, struct str name, bool fold)
{
	bool negate = name.n && name.p[0] == '^';
	const struct group *g =
		find_group(posix_groups, sizeof posix_groups / sizeof *posix_groups, str_from(name, negate));
	if (g) add_group(c, g, negate, fold);
	return g != NULL;
}

/* General categories and their long names, normalised; the value is PCRE2's. */
static const struct {
	const char *name, *pcre;
} categories[] = {
	{"any", "Any"},
	{"assigned", "^Cn"},
	{"c", "C"},
	{"other", "C"},
	{"cc", "Cc"},
	{"control", "Cc"},
	{"cntrl", "Cc"},
	{"cf", "Cf"},
	{"format", "Cf"},
	{"cn", "Cn"},
	{"unassigned", "Cn"},
	{"co", "Co"},
	{"privateuse", "Co"},
	{"cs", "Cs"},
	{"surrogate", "Cs"},
	{"l", "L"},
	{"letter", "L"},
	{"lc", "L&"},
	{"casedletter", "L&"},
	{"ll", "Ll"},
	{"lowercaseletter", "Ll"},
	{"lm", "Lm"},
	{"modifierletter", "Lm"},
	{"lo", "Lo"},
	{"otherletter", "Lo"},
	{"lt", "Lt"},
	{"titlecaseletter", "Lt"},
	{"lu", "Lu"},
	{"uppercaseletter", "Lu"},
	{"m", "M"},
	{"mark", "M"},
	{"combiningmark", "M"},
	{"mc", "Mc"},
	{"spacingmark", "Mc"},
	{"me", "Me"},
	{"enclosingmark", "Me"},
	{"mn", "Mn"},
	{"nonspacingmark", "Mn"},
	{"n", "N"},
	{"number", "N"},
	{"nd", "Nd"},
	{"decimalnumber", "Nd"},
	{"digit", "Nd"},
	{"nl", "Nl"},
	{"letternumber", "Nl"},
	{"no", "No"},
	{"othernumber", "No"},
	{"p", "P"},
	{"punctuation", "P"},
	{"punct", "P"},
	{"pc", "Pc"},
	{"connectorpunctuation", "Pc"},
	{"pd", "Pd"},
	{"dashpunctuation", "Pd"},
	{"pe", "Pe"},
	{"closepunctuation", "Pe"},
	{"pf", "Pf"},
	{"finalpunctuation", "Pf"},
	{"pi", "Pi"},
	{"initialpunctuation", "Pi"},
	{"po", "Po"},
	{"otherpunctuation", "Po"},
	{"ps", "Ps"},
	{"openpunctuation", "Ps"},
	{"s", "S"},
	{"symbol", "S"},
	{"sc", "Sc"},
	{"currencysymbol", "Sc"},
	{"sk", "Sk"},
	{"modifiersymbol", "Sk"},
	{"sm", "Sm"},
	{"mathsymbol", "Sm"},
	{"so", "So"},
	{"othersymbol", "So"},
	{"z", "Z"},
	{"separator", "Z"},
	{"zl", "Zl"},
	{"lineseparator", "Zl"},
	{"zp", "Zp"},
	{"paragraphseparator", "Zp"},
	{"zs", "Zs"},
	{"spaceseparator", "Zs"},
};

/* Does PCRE2 know the script? Go has no abbreviations, which all have four letters. */
static bool script_known(const char *name)
{
	static const char *const four[] = {"ahom", "cham", "kawi", "lisu", "miao", "modi", "thai", "toto"};
	if (strcmp(name, "unknown") == 0) return false;
	bool full = strlen(name) != 4;
	for (size_t i = 0; i < sizeof four / sizeof *four; i++) full = full || strcmp(name, four[i]) == 0;
	if (!full) return false;
	char pattern[80];
	int n = snprintf(pattern, sizeof pattern, "\\p{sc:%s}", name), error;
	PCRE2_SIZE at;
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, n, PCRE2_UTF, &error, &at, NULL);
	pcre2_code_free(code);
	return code != NULL;
}

bool re_set_prop(struct re_set *c, struct arena *a, struct str name, bool negate, bool fold)
{
	char low[48];
	size_t n = 0;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char ch = name.p[i];
		if (ch == ' ' || ch == '_' || ch == '-') continue;
		if (!re_is_word(ch) || n + 1 >= sizeof low) return false;
		low[n++] = ch >= 'A' && ch <= 'Z' ? ch | 0x20 : ch;
	}
	low[n] = 0;
	if (n == 0) return false;
	static const struct group ascii = {"ascii", {0, 0x7F}, true};
	if (strcmp(low, "ascii") == 0) {
		add_group(c, &ascii, negate, fold);
		return true;
	}
	struct str pcre = STR_NULL;
	for (size_t i = 0; i < sizeof categories / sizeof *categories; i++)
		if (strcmp(low, categories[i].name) == 0) pcre = str_c(categories[i].pcre);
	/* PCRE2 does not fold properties. */
	if (fold && (str_eqc(pcre, "Lu") || str_eqc(pcre, "Ll") || str_eqc(pcre, "Lt"))) pcre = STR("L&");
	if (!pcre.p && script_known(low)) pcre = arena_printf(a, "sc:%s", low);
	if (!pcre.p) return false;
	if (pcre.p[0] == '^') {
		pcre = str_from(pcre, 1);
		negate = !negate;
	}
	MEM_GROW(c->prop, c->n_prop, c->cap_prop);
	c->prop[c->n_prop++] = (struct re_prop){pcre, negate};
	return true;
}
