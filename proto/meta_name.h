/* SPDX-License-Identifier: GPL-2.0-or-later */
/* meta_name: names of structured metadata and of OTLP attributes made fit for LogQL (spec push-protocol §4).
 *
 * Each run of bytes outside [A-Za-z0-9] becomes one "_", a leading digit gets "key_"; a reserved __x__ keeps its
 * double underscores. Pure; any thread. */
#ifndef LARCH_PROTO_META_NAME_H
#define LARCH_PROTO_META_NAME_H

#include "common/arena.h"

/* Borrows from name when it is fit already. STR_NULL: nothing but underscores is left of it. */
struct str meta_name(struct arena *a, struct str name);

#endif
