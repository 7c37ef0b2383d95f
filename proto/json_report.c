/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/json_report.h"

#include <stdio.h>

static struct str around(struct str body, size_t at, size_t reach)
{
	return str_sub(body, at < reach ? 0 : at - reach, body.n - at < reach ? body.n : at + reach);
}

bool json_report(struct str body, size_t at, const char *what, struct err *e)
{
	err_set(e, ERR_INVALID, "%s, error found in #%zu byte of ...|%.*s|..., bigger context ...|%.*s|...", what,
		at < 10 ? at : 10, STR_ARG(around(body, at, 10)), STR_ARG(around(body, at, 50)));
	e->off = (long)at;
	return false;
}

bool json_report_start(struct str body, struct err *e)
{
	size_t i = 0;
	while (i < body.n && strchr(" \t\r\n", body.p[i]) && body.p[i]) i++;
	if (i == body.n) return err_set(e, ERR_INVALID, "EOF");
	if (body.p[i] == 'n') { /* null: the n is read, three more must follow */
		size_t same = 1;
		while (same < 4 && i + same < body.n && body.p[i + same] == "null"[same]) same++;
		if (same == 4) return true;
		return json_report(body, i + same < body.n ? i + same + 1 : body.n, "skipThreeBytes: expect ull", e);
	}
	if (body.p[i] == '{') return true;
	char what[64];
	snprintf(what, sizeof what, "readObjectStart: expect { or n, but found %c", body.p[i]);
	return json_report(body, i + 1, what, e);
}
