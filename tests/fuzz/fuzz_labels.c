/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whatever parses as a label set prints as one that parses to the same set. */
#include "common/labels.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a;
	struct labels first, second;
	struct err e = ERR_INIT;
	struct buf text = {0};
	arena_init(&a, 0);
	if (labels_parse(&a, str_of((const char *)data, size), &first, &e)) {
		labels_print(&text, &first);
		if (!labels_parse(&a, buf_view(&text), &second, &e) || !labels_eq(&first, &second)) abort();
		if (labels_hash(&first) != labels_hash(&second) || labels_cmp(&first, &second) != 0) abort();
	} else if (e.code != ERR_INVALID || e.line < 1 || e.col < 1 || e.off < 0 || (size_t)e.off > size) {
		abort();
	}
	buf_free(&text);
	arena_free(&a);
	return 0;
}
