/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pattern, NUL, text. A match and a search must agree, spans must lie in the text, and nothing takes long. */
#include "common/regex.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define MAX_SPANS 40

static void check(const struct regex *re, struct str text)
{
	struct regex_span spans[MAX_SPANS];
	struct buf out = {0};
	size_t k = regex_groups(re) + 1 < MAX_SPANS ? regex_groups(re) + 1 : MAX_SPANS;
	bool match = regex_match(re, text), hit = regex_exec(re, text, 0, spans, k);
	if (match != hit) abort();
	for (size_t i = 0; hit && i < k; i++) {
		if (spans[i].from < 0 && spans[i].to < 0) continue;
		if (spans[i].from < 0 || spans[i].to < spans[i].from || spans[i].to > (ssize_t)text.n) abort();
	}
	regex_replace(re, text, STR("<$1>"), false, &out);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = str_of((const char *)data + 1, n ? n - 1 : 0), pattern;
	struct err e = ERR_INIT;
	if (n == 0 || n > 1024) return 0;
	str_cut(&text, '\0', &pattern);
	struct regex *re = regex_new(pattern, data[0] & 7, &e);
	/* Counted repeats multiply: what the linear matcher does with them is bounded, but no work for a fuzzer. */
	if (re && str_chr(pattern, '{') < 0) check(re, text);
	regex_free(re);
	return 0;
}
