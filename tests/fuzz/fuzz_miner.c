/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines to patterns: each line is taken by a pattern of LogQL that JSON can carry, and every line is counted. The first
 * byte says after how many shapes they are reduced on the way; lines end with ';', so that they may hold a newline. */
#include "pipeline/extract/pattern.h"
#include "server/exec/miner.h"

#include <stdlib.h>

#define LINES_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_taken(const struct miner *m, struct pattern *const *p, struct str line)
{
	for (size_t i = 0; i < m->n; i++)
		if (pattern_match(p[i], line)) return true;
	return false;
}

static void check(const struct miner *m, const struct str *lines, size_t n)
{
	struct err e = ERR_INIT;
	struct pattern **p = mem_alloc((m->n + 1) * sizeof *p);
	uint64_t sum = 0;
	for (size_t i = 0; i < m->n; i++) {
		p[i] = pattern_new_filter(m->v[i]->text, &e);
		if (!p[i] || !str_utf8_valid(m->v[i]->text)) abort();
		sum += m->v[i]->total;
	}
	if (sum != n) abort();
	for (size_t i = 0; i < n; i++)
		if (!is_taken(m, p, lines[i])) abort();
	for (size_t i = 0; i < m->n; i++) pattern_free(p[i]);
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str lines[LINES_MAX], rest = {(const char *)data, size};
	struct miner m;
	size_t n = 0;
	if (!size) return 0;
	miner_init(&m);
	/* Forgetting begins where reducing leaves more than half; then not every line is in a pattern. */
	size_t max = data[0] ? (size_t)data[0] : MINER_SHAPES;
	rest = str_from(rest, 1);
	for (bool more = true; more && n < LINES_MAX; n++) {
		more = str_cut(&rest, ';', &lines[n]);
		miner_add(&m, STR("info"), lines[n], (uint32_t)n / 10);
	}
	struct miner small;
	miner_init(&small);
	small.max = max;
	miner_merge(&small, &m);
	if (small.n > max) abort();
	miner_free(&small);
	miner_finish(&m);
	check(&m, lines, n);
	miner_free(&m);
	return 0;
}
