/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a positions file: never a crash; what was read is written so that it reads back the same. */
#include "agent/positions.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct positions *p = positions_new(&fs_real, "unused"), *q = positions_new(&fs_real, "unused");
	struct err e = ERR_INIT;
	struct buf first = {0}, second = {0};

	if (positions_parse(p, str_of((const char *)data, size), &e)) {
		positions_print(p, &first);
		if (!positions_parse(q, buf_view(&first), &e)) abort();
		positions_print(q, &second);
		if (!str_eq(buf_view(&first), buf_view(&second))) abort();
	}
	buf_free(&first);
	buf_free(&second);
	positions_free(p);
	positions_free(q);
	return 0;
}
