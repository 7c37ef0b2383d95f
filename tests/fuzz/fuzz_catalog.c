/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A catalog entry, as it is and with its checksum put right. What is understood goes there and back. */
#include "server/store/catalog_entry.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct str bytes)
{
	struct arena a;
	struct catalog_entry c, again;
	struct err e = ERR_INIT;
	struct buf b = {0};
	arena_init(&a, 0);
	if (catalog_entry_decode(bytes, &a, &c, &e)) {
		catalog_entry_encode(&c, &b);
		if (!catalog_entry_decode(buf_view(&b), &a, &again, &e)) abort();
		struct buf twice = {0};
		catalog_entry_encode(&again, &twice);
		if (!str_eq(buf_view(&b), buf_view(&twice))) abort();
		buf_free(&twice);
	}
	buf_free(&b);
	arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str in = str_of((const char *)data, size);
	decode(in);
	if (size < 8) return 0;
	struct buf b = {0};
	buf_str(&b, str_sub(in, 0, size - 8));
	buf_le64(&b, str_hash(buf_view(&b)));
	decode(buf_view(&b));
	buf_free(&b);
	return 0;
}
