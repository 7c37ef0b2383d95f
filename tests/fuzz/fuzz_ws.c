/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes from a peer: the first says which end reads them and into what pieces they are cut. Text that is handed on is
 * UTF-8, no message is longer than allowed, and what pends stays in proportion to what came. */
#include "common/ws.h"

#include "common/buf.h"

#include <stdint.h>
#include <stdlib.h>

#define MAX_MESSAGE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void on_message(void *ud, bool text, struct str bytes)
{
	(void)ud;
	if (bytes.n > MAX_MESSAGE || (text && !str_utf8_valid(bytes))) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct clock_fake clock;
	struct str in = str_of((const char *)data, n);
	size_t step, fed = 0;
	struct ws *w;

	if (n == 0) return 0;
	clock_fake_init(&clock, 0, data[0]);
	w = ws_new(&(struct ws_config){.side = data[0] & 1 ? WS_CLIENT : WS_SERVER,
				       .max_message = MAX_MESSAGE,
				       .clock = &clock.base,
				       .message = on_message});
	step = (size_t)(data[0] >> 1) + 1;
	in = str_from(in, 1);
	while (in.n) {
		struct str part = str_sub(in, 0, in.n < step ? in.n : step);

		ws_feed(w, part);
		fed += part.n;
		in = str_from(in, part.n);
		if (ws_pending(w).n > 3 * fed + 256) abort();
	}
	ws_text(w, STR("text"));
	ws_close(w, WS_NORMAL, STR("reason"));
	if (!ws_closing(w) && !ws_done(w)) abort();
	ws_sent(w, ws_pending(w).n);
	ws_free(w);
	return 0;
}
