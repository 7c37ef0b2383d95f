/* SPDX-License-Identifier: GPL-2.0-or-later */
/* json_report: what is wrong with a JSON push, in the words of the decoder behind Loki's push routes (jsoniter):
 * the fault, then the body around the byte where reading stopped. Pure; any thread. */
#ifndef LARCH_PROTO_JSON_REPORT_H
#define LARCH_PROTO_JSON_REPORT_H

#include "common/err.h"
#include "common/str.h"

/* "WHAT, error found in #N byte of ...|10 bytes either side|..., bigger context ...|50 bytes either side|...", N being
 * how far into the first window `at` lies. Always false. */
bool json_report(struct str body, size_t at, const char *what, struct err *e);
/* A body must start with an object or null; else its answer: "EOF", "skipThreeBytes: …", "readObjectStart: …". */
bool json_report_start(struct str body, struct err *e);

#endif
